"""A host does the same on this machine and over a real SSH."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dixis_tui import config
from dixis_tui.hosts.host import Host, HostError, LocalHost
from dixis_tui.hosts.ssh import SshHost
from dixis_tui.model import StoppedError
from dixis_tui.sandbox.sshd import RunningSshd, start_sshd, stop_sshd
from tests.conftest import frozen


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSshd]:
    directory = tmp_path_factory.mktemp("sshd") / "sshd"
    running = start_sshd(directory)
    yield running
    stop_sshd(running.pid)


def settings(sshd: RunningSshd, **changes: object) -> config.Ssh:
    values = {
        "address": "127.0.0.1",
        "port": sshd.port,
        "user": sshd.user,
        "key": sshd.key,
        "known_hosts": sshd.known_hosts,
    }
    return config.Ssh.model_validate({**values, **changes})


@pytest.fixture(params=["local", "ssh"])
def host(request: pytest.FixtureRequest, sshd: RunningSshd) -> Iterator[Host]:
    host: Host = LocalHost() if request.param == "local" else SshHost(settings(sshd))
    yield host
    host.close()


def test_a_command_is_a_list_of_words_and_never_shell_text(host: Host, tmp_path: Path) -> None:
    done = host.run(["printf", "%s|", "a b", "$HOME", "';x", "Ελιά"], cwd=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "a b|$HOME|';x|Ελιά|")


def test_output_comes_line_by_line_and_carriage_returns_count(host: Host) -> None:
    lines: list[str] = []
    host.run(["printf", "10%%\\r20%%\\rdone\\nlast"], on_line=lines.append)
    assert lines == ["10%", "20%", "done", "last"]


def test_both_outputs_and_the_exit_code_come_back(host: Host) -> None:
    done = host.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)
    with pytest.raises(HostError, match="Trying failed with exit code 7: err"):
        done.check("Trying")


def test_a_million_bytes_go_in_and_come_out(host: Host) -> None:
    data = bytes(range(32, 127)) * 11_000
    assert host.run(["cat"], data=data).stdout.encode() == data


def test_a_command_that_does_not_end_is_ended(host: Host, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="did not finish"):
        host.run(["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"], timeout=0.5)
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}/cmdline").exists() or b"sleep" not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_the_operator_can_stop_a_command(host: Host) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(StoppedError):
        host.run(["sleep", "60"], stop=stop)


def test_writing_keeps_mode_and_link(host: Host, tmp_path: Path) -> None:
    real, link = tmp_path / "real.env", tmp_path / "link.env"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    host.write(str(link), "νέο".encode())
    assert link.is_symlink()
    assert (real.read_text(encoding="utf-8"), real.stat().st_mode & 0o777) == ("νέο", 0o640)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.env", "real.env"]


def test_a_new_file_is_private(host: Host, tmp_path: Path) -> None:
    host.write(str(tmp_path / "new"), b"x")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_writing_where_nothing_can_be_written_says_so(host: Host) -> None:
    with pytest.raises(HostError, match=r"Cannot write /proc/nowhere/file on .*"):
        host.write("/proc/nowhere/file", b"x")


def test_files_travel_whole(host: Host, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "there").write_bytes(content)
    host.fetch(str(tmp_path / "there"), tmp_path / "here")
    host.store(tmp_path / "here", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    assert host.read(str(tmp_path / "back"), offset=250, length=10) == content[250:260]
    host.copy(str(tmp_path / "back"), str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == content
    host.remove(str(tmp_path / "copy"))
    assert host.stat(str(tmp_path / "copy")) is None


def test_free_space_is_what_the_system_says(host: Host, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert abs(host.free_space(str(tmp_path)) - free) < 0.1 * free


def test_the_sandboxs_sshd_starts_nothing_of_the_users_own(sshd: RunningSshd) -> None:
    host = SshHost(settings(sshd))
    assert host.run(["sh", "-c", 'echo "$HOME"']).stdout.strip() == str(sshd.key.parent)
    host.close()


def test_an_unknown_host_key_stops_and_says_how_to_trust_it(sshd: RunningSshd, tmp_path: Path) -> None:
    empty = tmp_path / "known_hosts"
    empty.touch()
    with pytest.raises(HostError, match=r"host key of .* is not known") as caught:
        SshHost(settings(sshd, known_hosts=empty)).run(["true"])
    assert "ssh-keyscan" in caught.value.next_step


def test_another_host_key_than_the_known_one_stops(sshd: RunningSshd, tmp_path: Path) -> None:
    other = tmp_path / "known_hosts"
    words = sshd.known_hosts.read_text().split()
    key = (sshd.key.with_name(sshd.key.name + ".pub")).read_text().split()[1]
    other.write_text(f"{words[0]} {words[1]} {key}\n")
    with pytest.raises(HostError, match="another host key"):
        SshHost(settings(sshd, known_hosts=other)).run(["true"])


def test_a_refused_login_is_told_apart_from_silence(sshd: RunningSshd, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    with pytest.raises(HostError, match="refuses the login"):
        SshHost(settings(sshd, key=stranger)).run(["true"])
    with pytest.raises(HostError, match="does not answer"):
        SshHost(settings(sshd, port=1)).run(["true"])
    with pytest.raises(HostError, match="cannot be read: Is a directory") as told:
        SshHost(settings(sshd, key=tmp_path)).run(["true"])
    assert told.value.next_step == "check [host.ssh] in the configuration"


HANGS_UP = """
import sys
from dixis_tui.config import Ssh
from dixis_tui.model import DixisError
from dixis_tui.hosts.ssh import SshHost
try:
    SshHost(Ssh.model_validate_json(sys.argv[1])).run(["true"])
except DixisError as error:
    print(error.what)
"""


def test_a_port_that_hangs_up_prints_no_traceback(sshd: RunningSshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        asked = settings(sshd, port=server.getsockname()[1]).model_dump_json()
        program = [sys.executable, "-c", HANGS_UP, asked]
        done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert "SSH to" in done.stdout
    assert done.stderr == ""


def below(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    try:
        mine = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except FileNotFoundError:  # it has ended meanwhile
        return []
    return [found for child in map(int, mine) for found in (child, *below(child))]


def test_a_link_that_freezes_is_given_up_and_opened_anew(sshd: RunningSshd, tmp_path: Path) -> None:
    host = SshHost(settings(sshd, connect_timeout=1))
    host.silence = 0.5
    path = tmp_path / "file"
    path.write_bytes(b"as it was")
    others = set(below(sshd.pid))
    operations: list[Callable[[], object]] = [
        lambda: host.read(str(path)),
        lambda: host.stat(str(path)),
        lambda: host.write(str(path), b"new"),
        lambda: host.fetch(str(path), tmp_path / "fetched"),
        lambda: host.run(["true"]),
    ]
    for operation in operations:
        assert host.read(str(path)) == b"as it was"  # over a link that works
        with contextlib.ExitStack() as ice:
            for pid in set(below(sshd.pid)) - others:
                ice.enter_context(frozen(pid))
            with pytest.raises(HostError, match=r"no answer for 0\.5 s|was lost|Timeout opening"):
                operation()
    host.close()


def test_a_command_is_not_waited_for_on_a_link_that_freezes(sshd: RunningSshd) -> None:
    host = SshHost(settings(sshd))
    host.asked_every = 1.0
    others = set(below(sshd.pid))
    with contextlib.ExitStack() as ice:

        def freeze(_: str) -> None:
            for pid in set(below(sshd.pid)) - others:
                ice.enter_context(frozen(pid))

        with pytest.raises(HostError, match="was lost"):
            host.run(["sh", "-c", "echo begun; sleep 30"], on_line=freeze)
    assert host.run(["true"]).returncode == 0
    host.close()

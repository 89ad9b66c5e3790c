"""The sandbox: a little world that comes up, answers as a real one does, and leaves no trace."""

from __future__ import annotations

import os
import signal
import sqlite3
import ssl
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import paramiko
import pymysql
import pytest

from dixis_tui import config, sandbox
from dixis_tui.model import DixisError
from dixis_tui.sandbox import Kind, RunningServer, World, processes
from tests.conftest import KINDS


def connect_ssh(world: World) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.load_host_keys(str(world.known_hosts))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.connect(
        "127.0.0.1",
        port=world.ssh_port,
        username=world.ssh_user,
        key_filename=str(world.ssh_key),
        allow_agent=False,
        look_for_keys=False,
    )
    return client


def run_over_ssh(world: World, command: str) -> tuple[int, str]:
    with connect_ssh(world) as client:
        _, output, errors = client.exec_command(command)
        text = output.read().decode() + errors.read().decode()
        return output.channel.recv_exit_status(), text


def processes_of(directory: Path) -> list[int]:
    """Every live process whose command line speaks of the folder."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            mentions = os.fsencode(directory) in command.read_bytes()
        except OSError:
            continue
        if mentions and int(command.parent.name) != os.getpid():
            found.append(int(command.parent.name))
    return found


def pids(directory: Path) -> dict[str, int | None]:
    return {process.name: process.pid for process in sandbox.status(directory).processes}


@pytest.fixture
def small_source(tmp_path: Path) -> Path:
    """A live database in WAL mode, whose last row is in the log only."""
    path = tmp_path / "small.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE producers (id INTEGER PRIMARY KEY, name VARCHAR, logo VARCHAR)")
        connection.execute("INSERT INTO producers VALUES (1, 'Ελαιώνας', 'producers/ελιά.png')")
        connection.execute("INSERT INTO producers VALUES (2, 'Μέλι', '../../outside.png')")
        connection.commit()
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_world_answers_on_every_side_and_goes_without_a_trace(
    kind: Kind, make_world: Callable[..., World], small_source: Path
) -> None:
    world = make_world(server=kind, source=small_source)
    state = sandbox.status(world.directory)
    assert state.state == "up"
    assert [process.alive for process in state.processes] == [True, True, True]
    assert state.config == world.config

    settings = config.load(world.config)
    admin = settings.target.admin
    assert admin is not None
    connection = pymysql.connect(
        host=settings.target.host,
        port=settings.target.port,
        user=admin.user,
        password=admin.password.resolve("the admin's password"),
        ssl=ssl.create_default_context(cafile=str(settings.target.tls.ca)),
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@version, @@local_infile, @@time_zone, @@performance_schema")
        row = cursor.fetchone()
        assert row is not None
        assert ("MariaDB" in row[0]) == (kind == "mariadb")
        assert row[1:] == (1, "+00:00", 1)
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_version'")
        assert str((cursor.fetchone() or ("", ""))[1]).startswith("TLSv1.")
        cursor.execute("SELECT user FROM mysql.user WHERE user = %s", [settings.target.user])
        assert cursor.fetchone() is None  # making the application's account is the migration's part

    assert run_over_ssh(world, f"php {world.app_root}/artisan --version") == (0, "Laravel Framework 8.83.26\n")
    assert run_over_ssh(world, "command -v rsync")[0] == 0
    with connect_ssh(world) as client, client.open_sftp() as sftp:
        assert sftp.stat(f"{world.app_root}/.env").st_mode == stat.S_IFREG | 0o640
    with closing(sqlite3.connect(world.source)) as shop:
        assert shop.execute("SELECT name FROM producers ORDER BY id").fetchall() == [("Ελαιώνας",), ("Μέλι",)]
    assert (world.assets / "producers" / "ελιά.png").read_bytes().startswith(b"\x89PNG")
    assert not (world.directory.parent / "outside.png").exists()

    running = processes_of(world.directory)
    assert set(pids(world.directory).values()) <= set(running)
    sandbox.down(world.directory)
    assert not any(processes.alive(pid) for pid in running)
    assert processes_of(world.directory) == []
    assert not world.directory.exists()
    assert sandbox.status(world.directory).state == "absent"


def test_artisan_speaks_to_the_sqlite_database(world: World) -> None:
    assert run_over_ssh(world, f"cd {world.app_root} && php artisan env")[1].split()[-1] == "production"
    code, _ = run_over_ssh(world, f"cd {world.app_root} && php artisan migrate:status")
    assert code == 0


def test_secrets_are_for_their_owner_only_and_not_on_any_command_line(
    make_world: Callable[..., World], small_source: Path
) -> None:
    world = make_world(source=small_source)
    passwords = [file.read_text().strip() for file in sorted(world.secrets.iterdir())]
    assert [stat.S_IMODE(file.stat().st_mode) for file in sorted(world.secrets.iterdir())] == [0o600, 0o600]
    assert len(set(passwords)) == 2
    for pid in processes_of(world.directory):
        seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert not any(password.encode() in seen for password in passwords)
    assert not any(password in world.config.read_text() for password in passwords)


def test_a_second_up_changes_nothing_and_other_options_are_refused(
    make_world: Callable[..., World], small_source: Path
) -> None:
    world = make_world(source=small_source)
    before = pids(world.directory)
    said: list[str] = []
    assert sandbox.up(world.directory, server=KINDS[0], source=small_source, say=said.append) == world
    assert said == [f"The sandbox in {world.directory} is up already."]
    with pytest.raises(DixisError, match="other options"):
        sandbox.up(world.directory, server=KINDS[0], source=small_source, seed=2)
    assert pids(world.directory) == before


def test_a_crashed_world_is_cleaned_by_the_next_up(make_world: Callable[..., World], small_source: Path) -> None:
    world = make_world(source=small_source)
    old = [pid for pid in pids(world.directory).values() if pid is not None]
    server = pids(world.directory)["server"]
    assert server is not None
    os.kill(server, signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.alive(server), 30)
    assert sandbox.status(world.directory).state == "broken"

    again = sandbox.up(world.directory, server=KINDS[0], source=small_source)
    assert sandbox.status(again.directory).state == "up"
    assert not any(processes.alive(pid) for pid in old)
    assert run_over_ssh(again, f"php {again.app_root}/artisan --version")[0] == 0


def test_a_pid_that_was_given_to_a_stranger_is_left_alone(
    make_world: Callable[..., World], small_source: Path, tmp_path: Path
) -> None:
    world = make_world(source=small_source)
    server = pids(world.directory)["server"]
    assert server is not None
    pid_file = world.directory / "server" / "server.pid"
    stranger = processes.spawn(["/bin/sleep", "600"], log=tmp_path / "log", pid_file=tmp_path / "pid")
    try:
        pid_file.write_text(f"{stranger} {pid_file.read_text().split()[1]}\n")
        assert sandbox.status(world.directory).state == "broken"
        os.kill(server, signal.SIGKILL)
        sandbox.down(world.directory)
        assert processes.alive(stranger)
    finally:
        processes.end(stranger, force=True)


def test_a_folder_with_a_greek_name_and_a_space_is_as_good(small_source: Path, tmp_path: Path) -> None:
    directory = tmp_path / "δοκιμή μία"
    sandbox.up(directory, server=KINDS[0], source=small_source)
    started = pids(directory)
    try:
        assert sandbox.status(directory).state == "up"
    finally:
        sandbox.down(directory)
    assert not any(processes.alive(pid) for pid in started.values() if pid)
    assert not directory.exists()


def test_down_ends_what_runs_over_ssh(make_world: Callable[..., World], small_source: Path) -> None:
    world = make_world(source=small_source)
    with connect_ssh(world) as client:
        _, output, _ = client.exec_command("echo $$; exec sleep 600")
        sleeper = int(output.readline())
        assert processes.alive(sleeper)
        sandbox.down(world.directory)
        assert not processes.alive(sleeper)


def test_a_folder_that_is_not_a_sandbox_is_refused(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("mine")
    for command in (sandbox.up, sandbox.down):
        with pytest.raises(DixisError, match="not a sandbox"):
            command(tmp_path)
    assert list(tmp_path.iterdir()) == [letter]


def test_a_source_that_is_no_database_leaves_nothing_running(tmp_path: Path) -> None:
    source = tmp_path / "letter.sqlite"
    source.write_text("not a database, but long enough to be looked at" * 20)
    directory = tmp_path / "sandbox"
    with pytest.raises(DixisError, match="cannot be read as an SQLite database"):
        sandbox.up(directory, server=KINDS[0], source=source)
    assert processes_of(directory) == []
    sandbox.down(directory)
    assert not directory.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_does_not_start_shows_its_log(kind: Kind, tmp_path: Path) -> None:
    binary = sandbox.find_servers()[kind]
    with pytest.raises(DixisError, match="no-such-option"):
        sandbox.start_server(binary, tmp_path / "server", options=["--no-such-option=1"])
    assert processes_of(tmp_path / "server") == []


def test_a_server_wants_tls_and_a_name_it_can_prove(server: RunningServer) -> None:
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(
            host="127.0.0.1",
            port=server.port,
            user=server.admin_user,
            password=server.admin_password,
            ssl_disabled=True,
        )
    with pytest.raises(pymysql.err.OperationalError, match="certificate verify failed"):
        pymysql.connect(
            host="127.0.0.1",
            port=server.port,
            user=server.admin_user,
            password=server.admin_password,
            ssl=ssl.create_default_context(),
        )


def test_root_without_a_password_cannot_come_in_over_the_network(server: RunningServer) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with pytest.raises(pymysql.err.OperationalError, match=r"Access denied|not allowed"):
        pymysql.connect(host="127.0.0.1", port=server.port, user="root", ssl=context)

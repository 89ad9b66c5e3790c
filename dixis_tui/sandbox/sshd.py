"""An SSH server with keys of its own that stands for the production host; it lets the current user in by key only."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from dixis_tui.model import DixisError
from dixis_tui.sandbox import processes
from dixis_tui.sandbox.tls import write_private

START_SECONDS = 30.0
PORT_ATTEMPTS = 3
PRIVILEGE_FOLDER = Path("/run/sshd")
PRIVILEGE_MARK = PRIVILEGE_FOLDER / "made-for-dixis-sandbox"


@dataclass(frozen=True)
class RunningSshd:
    """An sshd on 127.0.0.1. key: the user's private key; known_hosts: a file with this server's key."""

    port: int
    pid: int
    user: str
    key: Path
    known_hosts: Path


def start_sshd(directory: Path) -> RunningSshd:
    """Start an sshd whose every file is under directory. Raises DixisError with its log when it does not come up."""
    program = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    if program is None:
        raise DixisError("There is no sshd on this machine.", next_step="install openssh-server (scripts/setup does)")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)
    user = pwd.getpwuid(os.geteuid())
    host_key = _make_key(directory / "host_key")
    user_key = _make_key(directory / "user_key")
    (directory / "authorized_keys").write_text(f"{user_key}\n", encoding="ascii")
    known_hosts = directory / "known_hosts"
    log = directory / "sshd.log"
    _make_privilege_folder()
    for _ in range(PORT_ATTEMPTS):
        port = processes.free_port()
        known_hosts.write_text(f"[127.0.0.1]:{port} {host_key}\n", encoding="ascii")
        config = directory / "sshd_config"
        config.write_text(_config(directory, port, user), encoding="utf-8")
        command = [program, "-D", "-f", str(config), "-E", str(log)]
        pid = processes.spawn(command, log=log, pid_file=directory / "sshd.pid")
        if _comes_up(pid, port):
            return RunningSshd(port, pid, user.pw_name, directory / "user_key", known_hosts)
        if "already in use" not in processes.tail(log):
            break
    raise DixisError(
        f"The sandbox's sshd did not start. The end of its log:\n{processes.tail(log)}",
        safe="nothing was left running",
        next_step=f"read {log}",
    )


def stop_sshd(pid: int | None) -> None:
    """End an sshd with every session under it, and remove the folder made for it outside the sandbox."""
    if pid is not None:
        processes.end(pid)
    _remove_privilege_folder()


def _comes_up(pid: int, port: int) -> bool:
    def greets() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    if processes.wait_until(lambda: not processes.alive(pid) or greets(), START_SECONDS) and processes.alive(pid):
        return True
    stop_sshd(pid)
    return False


def _make_key(path: Path) -> str:
    """Write an ed25519 key pair (private 0600); returns the public key's line."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    write_private(path, private)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.with_name(path.name + ".pub").write_bytes(public + b"\n")
    return public.decode("ascii")


def _config(directory: Path, port: int, user: pwd.struct_passwd) -> str:
    # StrictModes would refuse a sandbox under /tmp, a folder that everybody may write to.
    # A locked account (root on many machines) may log in by key only where PAM has the say.
    # A home of its own: what the user's own files of the shell start is no part of the sandbox, and may take its time.
    return f"""\
ListenAddress 127.0.0.1
Port {port}
HostKey "{directory}/host_key"
AuthorizedKeysFile "{directory}/authorized_keys"
AllowUsers {user.pw_name}
PermitRootLogin prohibit-password
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM {"yes" if _locked(user.pw_name) else "no"}
UseDNS no
PidFile none
PrintMotd no
X11Forwarding no
AllowTcpForwarding no
AllowAgentForwarding no
SetEnv "HOME={directory}" PATH={processes.child_environment()["PATH"]} LC_ALL=C.UTF-8
Subsystem sftp internal-sftp
MaxSessions 32
MaxStartups 100
"""


def _locked(user: str) -> bool:
    try:
        lines = Path("/etc/shadow").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.startswith(f"{user}:!") for line in lines)


def _make_privilege_folder() -> None:
    """Run by root, sshd wants this folder. Where no service has made it we do, and leave a mark to know it by."""
    if os.geteuid() != 0 or PRIVILEGE_FOLDER.exists():
        return
    PRIVILEGE_FOLDER.mkdir(mode=0o755, exist_ok=True)
    PRIVILEGE_MARK.touch(mode=0o644)


def _remove_privilege_folder() -> None:
    """Remove the folder if we made it and no sshd, ours or the system's, is left that could need it."""
    if os.geteuid() != 0 or not PRIVILEGE_MARK.exists() or _any_sshd():
        return
    PRIVILEGE_MARK.unlink(missing_ok=True)
    try:
        PRIVILEGE_FOLDER.rmdir()
    except OSError:
        return  # somebody else keeps something there: theirs now


def _any_sshd() -> bool:
    for name in Path("/proc").glob("[0-9]*/comm"):
        try:
            named = name.read_text(encoding="utf-8", errors="replace").startswith("sshd")
            if named and processes.alive(int(name.parent.name)):
                return True
        except OSError:
            continue
    return False

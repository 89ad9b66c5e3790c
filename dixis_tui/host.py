"""A host: the same operations on this machine and on one behind SSH.

Commands are argument lists, never shell text. Files are written whole: to a temporary file beside the old one, with its
mode and owner, then renamed over it; a symbolic link keeps pointing where it pointed.
"""

from __future__ import annotations

import os
import posixpath
import secrets
import shlex
import signal
import socket
import stat
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dixis_tui import config
from dixis_tui.model import DixisError, StoppedError
from dixis_tui.ran import ran

if TYPE_CHECKING:
    import paramiko

TEMPORARY = ".dixis-"
BLOCK = 1 << 16
OnLine = Callable[[str], None]
Read = Callable[[int], bytes]


class HostError(DixisError):
    """A host could not be reached, or an operation on it failed."""


class HungError(HostError):
    """A command did not end in the time it was given, and was ended."""


@dataclass(frozen=True)
class Completed:
    """A finished command. returncode is negative for a signal on this machine, -1 over SSH when none was given."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    def check(self, what: str) -> Completed:
        """Self when the command succeeded; HostError with its last words otherwise."""
        if self.returncode != 0:
            words = (self.stderr.strip() or self.stdout.strip() or "it printed nothing").splitlines()[-5:]
            raise HostError(
                f"{what} failed with exit code {self.returncode}: " + " / ".join(words),
                next_step=f"run it by hand to see more: {shlex.join(self.argv)}",
            )
        return self


@dataclass(frozen=True)
class FileFacts:
    """Size in bytes, permission bits, owner, and modification time in seconds since 1970."""

    size: int
    mode: int
    uid: int
    gid: int
    mtime: float
    is_dir: bool


class Host(ABC):
    """Operations on the machine where something lives. Every failure is a HostError that names the host."""

    name: str
    is_local: bool

    @abstractmethod
    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        data: bytes | None = None,
        timeout: float = 600.0,
        on_line: OnLine | None = None,
        stop: threading.Event | None = None,
    ) -> Completed:
        """Run a command to its end; on_line is called with each line of its standard output as it comes.

        data goes to its standard input. Past timeout (seconds) or when stop is set the command is ended and
        HostError or StoppedError raised.
        """

    @abstractmethod
    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file from offset, at most length of them."""

    @abstractmethod
    def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        """Replace a file's content atomically; mode is for a new file, an existing one keeps its mode and owner."""

    @abstractmethod
    def stat(self, path: str) -> FileFacts | None:
        """Facts of what a path leads to, links followed; None when there is nothing."""

    @abstractmethod
    def fetch(self, path: str, destination: Path) -> None:
        """Copy a file from the host to this machine (mode 0600)."""

    @abstractmethod
    def store(self, source: Path, path: str, *, mode: int = 0o600) -> None:
        """Copy a file of this machine to the host, atomically; an existing file's mode and owner are kept."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections; the next operation connects again."""

    def copy(self, source: str, destination: str) -> None:
        """Copy a file on the host, atomically, keeping mode, owner and times."""
        temporary = f"{destination}{TEMPORARY}{secrets.token_hex(4)}"
        copying = self.run(["cp", "--preserve=mode,ownership,timestamps", "--", source, temporary])
        if copying.returncode != 0:
            self.remove(temporary)
            copying.check(f"Copying {source} to {destination} on {self.name}")
        self.run(["mv", "-fT", "--", temporary, destination]).check(f"Renaming {temporary} on {self.name}")

    def remove(self, path: str) -> None:
        """Remove a file; nothing happens when it is not there."""
        self.run(["rm", "-f", "--", path]).check(f"Removing {path} on {self.name}")

    def make_directory(self, path: str) -> None:
        """Make a directory and those above it; an existing one is left as it is."""
        self.run(["mkdir", "-p", "--", path]).check(f"Making the folder {path} on {self.name}")

    def free_space(self, path: str) -> int:
        """Bytes a user may still write on the file system that holds path."""
        done = self.run(["df", "-PB1", "--", path]).check(f"Asking {self.name} for its free space")
        return int(done.stdout.splitlines()[-1].split()[3])


class LocalHost(Host):
    """This machine."""

    name = "this machine"
    is_local = True

    def __init__(self) -> None:
        self._children: set[subprocess.Popen[bytes]] = set()

    def end_children(self) -> None:
        """End every command that runs now, with all it started."""
        for process in tuple(self._children):
            _end_group(process)

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        data: bytes | None = None,
        timeout: float = 600.0,
        on_line: OnLine | None = None,
        stop: threading.Event | None = None,
    ) -> Completed:
        _tell(self.name, argv, cwd)
        try:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                stdin=subprocess.PIPE if data is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise HostError(
                f"Cannot run {argv[0]} on {self.name}: {error.strerror}.", next_step=f"install {argv[0]}"
            ) from error
        self._children.add(process)
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.fileno(), process.stderr.fileno()
        collect = _Collector(lambda size: os.read(out, size), lambda size: os.read(err, size), on_line)
        if data is not None:
            assert process.stdin is not None
            collect.feed(process.stdin, data)
        try:
            _wait(lambda: process.poll() is not None, argv, self.name, timeout, stop)
        except DixisError:
            _end_group(process)
            raise
        finally:
            collect.join()
            self._children.discard(process)
        return Completed(tuple(argv), process.wait(), *collect.texts())

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        try:
            with Path(path).open("rb") as file:
                file.seek(offset)
                return file.read(-1 if length is None else length)
        except OSError as error:
            raise self._error("read", path, error) from error

    def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        ran("file", self.name, f"write {path}, {len(data)} bytes")
        target = Path(path).resolve()
        temporary = target.with_name(f"{target.name}{TEMPORARY}{secrets.token_hex(4)}")
        try:
            old = self.stat(str(target))
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    if old and (old.uid, old.gid) != (os.geteuid(), os.getegid()):
                        os.fchown(descriptor, old.uid, old.gid)
                    os.fchmod(descriptor, old.mode if old else mode)
                    os.fsync(descriptor)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise self._error("write", path, error) from error

    def stat(self, path: str) -> FileFacts | None:
        try:
            facts = Path(path).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error("look at", path, error) from error
        return FileFacts(
            facts.st_size,
            stat.S_IMODE(facts.st_mode),
            facts.st_uid,
            facts.st_gid,
            facts.st_mtime,
            stat.S_ISDIR(facts.st_mode),
        )

    def fetch(self, path: str, destination: Path) -> None:
        self.copy(path, str(destination))
        destination.chmod(0o600)

    def store(self, source: Path, path: str, *, mode: int = 0o600) -> None:
        old = self.stat(path)
        target = Path(path).resolve()
        temporary = f"{target}{TEMPORARY}{secrets.token_hex(4)}"
        self.copy(str(source), temporary)
        try:
            if old:
                os.chown(temporary, old.uid, old.gid)
            Path(temporary).chmod(old.mode if old else mode)
            Path(temporary).replace(target)
        except OSError as error:
            Path(temporary).unlink(missing_ok=True)
            raise self._error("write", path, error) from error

    def close(self) -> None:
        """Nothing to let go of."""

    def _error(self, verb: str, path: str, error: OSError) -> HostError:
        return HostError(f"Cannot {verb} {path} on {self.name}: {error.strerror}.")


class SshHost(Host):
    """A machine behind SSH, by key and known hosts only; connects when first used, and again after a loss."""

    is_local = False

    def __init__(self, settings: config.Ssh) -> None:
        # Imported with the first host of this kind: it takes a fifth of the console's start, and most runs need none.
        global paramiko
        import paramiko

        self.settings = settings
        self.name = f"{settings.user}@{settings.address}:{settings.port}"
        self._client: paramiko.SSHClient | None = None
        self._sftp: paramiko.SFTPClient | None = None
        self._lock = threading.RLock()
        # One SFTP session takes one question at a time; transfers of whole files have their own.
        self._one_at_a_time = threading.RLock()

    def connect(self) -> paramiko.SSHClient:
        """The live connection. Raises HostError that tells an unknown key, a refused login and silence apart."""
        with self._lock:
            transport = self._client.get_transport() if self._client else None
            if self._client and transport and transport.is_active():
                return self._client
            self.close()
            self._client = self._open()
            return self._client

    def _open(self) -> paramiko.SSHClient:
        settings = self.settings
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        scan = f"ssh-keyscan -p {settings.port} {settings.address} | ssh-keygen -lf -"
        untrusted = (
            f"compare the fingerprint with the one your provider shows ({scan}), "
            f"then add the line ssh-keyscan prints to {settings.known_hosts}"
        )
        try:
            client.load_host_keys(str(settings.known_hosts))
            client.connect(
                settings.address,
                port=settings.port,
                username=settings.user,
                key_filename=str(settings.key) if settings.key else None,
                look_for_keys=settings.key is None,
                allow_agent=settings.key is None,
                timeout=settings.connect_timeout,
                banner_timeout=settings.connect_timeout,
                auth_timeout=settings.connect_timeout,
            )
        except paramiko.BadHostKeyException as error:
            raise HostError(f"{self.name} shows another host key than the known one.", next_step=untrusted) from error
        except paramiko.AuthenticationException as error:
            key = settings.key or "the agent's keys"
            raise HostError(
                f"{self.name} refuses the login with {key}.",
                next_step=f"check that the public key is in authorized_keys of {settings.user}",
            ) from error
        except paramiko.SSHException as error:
            if "not found in known_hosts" in str(error):
                raise HostError(f"The host key of {self.name} is not known.", next_step=untrusted) from error
            raise HostError(
                f"SSH to {self.name} failed: {error}.", next_step="check that sshd answers there"
            ) from error
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            if isinstance(error, FileNotFoundError):
                raise HostError(
                    f"SSH to {self.name}: {error.filename} is not there.",
                    next_step="check [host.ssh] in the configuration",
                ) from error
            raise HostError(
                f"{self.name} does not answer: {reason}.", next_step="check address, port and firewall"
            ) from error
        transport = client.get_transport()
        assert transport is not None
        transport.set_keepalive(15)
        return client

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        data: bytes | None = None,
        timeout: float = 600.0,
        on_line: OnLine | None = None,
        stop: threading.Event | None = None,
    ) -> Completed:
        _tell(self.name, argv, cwd)
        # The shell says its process id first and becomes the command, so that the command can be ended from outside.
        command = f"echo $$; exec {shlex.join(argv)}"
        if cwd is not None:
            command = f"cd {shlex.quote(cwd)} || exit 125; {command}"
        try:
            transport = self.connect().get_transport()
            assert transport is not None
            channel = transport.open_session(timeout=self.settings.connect_timeout)
            channel.exec_command(command)
            pids: list[int] = []
            collect = _Collector(channel.recv, channel.recv_stderr, on_line, pids)
            if data is not None:
                collect.feed(channel.makefile_stdin("wb"), data, channel.shutdown_write)
            else:
                channel.shutdown_write()
            try:
                _wait(channel.exit_status_ready, argv, self.name, timeout, stop)
            except DixisError:
                for pid in filter(None, pids):
                    self.run(["kill", str(pid)], timeout=10)
                channel.close()
                raise
            finally:
                collect.join()
            code = channel.recv_exit_status()
            channel.close()
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._lost(error) from error
        if code == -1 and not transport.is_active():
            raise self._lost(EOFError("connection closed while the command ran"))
        return Completed(tuple(argv), code, *collect.texts())

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        try:
            with self._one_at_a_time, self._files().open(path, "rb") as file:
                file.seek(offset)
                return bytes(file.read(length))
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._error("read", path, error) from error

    def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        def send(file: paramiko.SFTPFile) -> int:
            file.write(data)
            return len(data)

        ran("file", self.name, f"write {path}, {len(data)} bytes")
        self._replace(path, mode, send)

    def store(self, source: Path, path: str, *, mode: int = 0o600) -> None:
        def send(file: paramiko.SFTPFile) -> int:
            sent = 0
            with source.open("rb") as local:
                while block := local.read(1 << 18):
                    file.write(block)
                    sent += len(block)
            return sent

        ran("file", self.name, f"store {source} as {path}")
        self._replace(path, mode, send)

    def _replace(self, path: str, mode: int, send: Callable[[paramiko.SFTPFile], int]) -> None:
        with self._one_at_a_time:
            self._replace_alone(path, mode, send)

    def _replace_alone(self, path: str, mode: int, send: Callable[[paramiko.SFTPFile], int]) -> None:
        try:
            files = self._files()
            old = self.stat(path)
            target = files.normalize(path) if old else path
            temporary = f"{target}{TEMPORARY}{secrets.token_hex(4)}"
            try:
                with files.open(temporary, "wx") as file:
                    file.chmod(0o600)
                    file.set_pipelined(True)
                    sent = send(file)
                made = files.stat(temporary)
                # A pipelined write that failed, on a full disk say, is not told by SFTP's close.
                if made.st_size != sent:
                    raise OSError(f"only {made.st_size} of {sent} bytes arrived")
                if old and (old.uid, old.gid) != (made.st_uid, made.st_gid):
                    files.chown(temporary, old.uid, old.gid)
                files.chmod(temporary, old.mode if old else mode)
                files.posix_rename(temporary, target)
            except BaseException:
                self._discard(temporary)
                raise
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._full(path) or self._error("write", path, error) from error

    def _full(self, path: str) -> HostError | None:
        """The error of a write that failed for want of room, which SFTP does not tell; None when there is some."""
        try:
            folder = posixpath.dirname(self._files().normalize(path))
            if self.free_space(folder) >= BLOCK:
                return None
        except (OSError, EOFError, paramiko.SSHException, HostError):
            return None
        return HostError(
            f"Cannot write {path} on {self.name}: there is no room left on its disk.",
            safe="the file is as it was",
            next_step=f"make room there (df -h {folder}), then run the step again",
        )

    def _discard(self, path: str) -> None:
        try:
            self._files().remove(path)
        except FileNotFoundError:
            return
        except (OSError, EOFError, paramiko.SSHException, HostError):
            return  # the link is gone; the name of the leftover says what it is

    def stat(self, path: str) -> FileFacts | None:
        try:
            with self._one_at_a_time:
                facts = self._files().stat(path)
        except FileNotFoundError:
            return None
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._error("look at", path, error) from error
        mode = facts.st_mode or 0
        return FileFacts(
            facts.st_size or 0,
            stat.S_IMODE(mode),
            facts.st_uid or 0,
            facts.st_gid or 0,
            float(facts.st_mtime or 0),
            stat.S_ISDIR(mode),
        )

    def fetch(self, path: str, destination: Path) -> None:
        ran("file", self.name, f"fetch {path} as {destination}")
        temporary = destination.with_name(f"{destination.name}{TEMPORARY}{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                with self.connect().open_sftp() as files:
                    files.getfo(path, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(destination)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._error("fetch", path, error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def close(self) -> None:
        with self._lock:
            if self._sftp:
                self._sftp.close()
            if self._client:
                self._client.close()
            self._sftp = self._client = None

    def _files(self) -> paramiko.SFTPClient:
        with self._lock:
            client = self.connect()
            channel = self._sftp.get_channel() if self._sftp else None
            if self._sftp is None or channel is None or channel.closed:
                self._sftp = client.open_sftp()
            return self._sftp

    def _error(self, verb: str, path: str, error: Exception) -> HostError:
        if isinstance(error, EOFError | paramiko.SSHException | socket.error) and not isinstance(
            error, PermissionError | FileNotFoundError
        ):
            reason = str(error) or type(error).__name__
        else:
            reason = getattr(error, "strerror", None) or str(error)
        return HostError(f"Cannot {verb} {path} on {self.name}: {reason}.")

    def _lost(self, error: Exception) -> HostError:
        return HostError(
            f"The SSH link to {self.name} was lost: {error or type(error).__name__}.",
            next_step="check the network, then run the step again",
        )


def open_host(settings: config.Host) -> Host:
    """The application's host as configured; nothing is connected yet."""
    return SshHost(settings.ssh) if settings.ssh else LocalHost()


def join(root: str, path: str) -> str:
    """A path on a host: path itself when absolute, else below root."""
    return posixpath.join(root, path)


def _tell(name: str, argv: Sequence[str], cwd: str | None) -> None:
    ran("shell", name, f"cd {shlex.quote(cwd)} && {shlex.join(argv)}" if cwd else shlex.join(argv))


class _Collector:
    """Reads both outputs of a command at the same time, so that neither can block it."""

    def __init__(self, stdout: Read, stderr: Read, on_line: OnLine | None, pids: list[int] | None = None) -> None:
        self._out: list[bytes] = []
        self._err: list[bytes] = []
        self._threads = [
            threading.Thread(target=self._read_out, args=(stdout, on_line, pids), daemon=True),
            threading.Thread(target=self._read_err, args=(stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_out(self, read: Read, on_line: OnLine | None, pids: list[int] | None) -> None:
        rest = b""
        while block := read(BLOCK):
            if pids is not None and not pids:
                rest += block
                first, newline, after = rest.partition(b"\n")
                if not newline:
                    continue
                pids.append(int(first) if first.isdigit() else 0)
                block, rest = after, b""
            self._out.append(block)
            if on_line:
                # rsync redraws its progress line with carriage returns, without ever ending it
                *lines, rest = (rest + block).replace(b"\r", b"\n").split(b"\n")
                for line in lines:
                    on_line(line.decode("utf-8", "replace"))
        if on_line and rest:
            on_line(rest.decode("utf-8", "replace"))

    def _read_err(self, read: Read) -> None:
        while block := read(BLOCK):
            self._err.append(block)

    def feed(
        self, stream: IO[bytes] | paramiko.ChannelFile, data: bytes, after: Callable[[], None] | None = None
    ) -> None:
        def send() -> None:
            try:
                stream.write(data)
                stream.flush()
            except OSError:
                return  # the command ended without reading; its exit code tells
            finally:
                stream.close()
                if after:
                    after()

        thread = threading.Thread(target=send, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=10)

    def texts(self) -> tuple[str, str]:
        return b"".join(self._out).decode("utf-8", "replace"), b"".join(self._err).decode("utf-8", "replace")


def _wait(
    done: Callable[[], bool], argv: Sequence[str], name: str, timeout: float, stop: threading.Event | None
) -> None:
    deadline = time.monotonic() + timeout
    pause = stop or threading.Event()
    interval = 0.002
    while not done():
        if pause.wait(interval) and stop is not None:
            raise StoppedError
        if time.monotonic() > deadline:
            raise HungError(
                f"{argv[0]} on {name} did not finish in {timeout:.0f} s and was ended.",
                next_step=f"run it by hand to see what it waits for: {shlex.join(argv)}",
            )
        interval = min(interval * 1.5, 0.1)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=5)
            return
        except subprocess.TimeoutExpired:
            continue

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
import stat
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dixis_tui.model import DixisError, StoppedError
from dixis_tui.ran import ran

if TYPE_CHECKING:
    import paramiko

TEMPORARY = ".dixis-"
BLOCK = 1 << 16
QUICK = 120.0  # seconds for a command that asks about one file, or makes or removes it; nobody can stop it before
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
        self.run(["rm", "-f", "--", path], timeout=QUICK).check(f"Removing {path} on {self.name}")

    def make_directory(self, path: str) -> None:
        """Make a directory and those above it; an existing one is left as it is."""
        self.run(["mkdir", "-p", "--", path], timeout=QUICK).check(f"Making the folder {path} on {self.name}")

    def free_space(self, path: str) -> int:
        """Bytes a user may still write on the file system that holds path."""
        done = self.run(["df", "-PB1", "--", path], timeout=QUICK).check(f"Asking {self.name} for its free space")
        return int(done.stdout.splitlines()[-1].split()[3])

    def real_path(self, path: str) -> str:
        """What a path leads to, links followed."""
        asked = self.run(["realpath", "--", path], timeout=QUICK)
        return asked.check(f"Following {path} on {self.name}").stdout.rstrip("\n")


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
        tell(self.name, argv, cwd)
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
        collect = Collector(lambda size: os.read(out, size), lambda size: os.read(err, size), on_line)
        if data is not None:
            assert process.stdin is not None
            collect.feed(process.stdin, data)
        try:
            wait_for(lambda: process.poll() is not None, argv, self.name, timeout, stop)
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


def join(root: str, path: str) -> str:
    """A path on a host: path itself when absolute, else below root."""
    return posixpath.join(root, path)


def tell(name: str, argv: Sequence[str], cwd: str | None) -> None:
    ran("shell", name, f"cd {shlex.quote(cwd)} && {shlex.join(argv)}" if cwd else shlex.join(argv))


class Collector:
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


def wait_for(
    done: Callable[[], bool], argv: Sequence[str], name: str, timeout: float, stop: threading.Event | None
) -> None:
    deadline = time.monotonic() + timeout
    pause = stop or threading.Event()
    interval = 0.002
    while not done():
        if pause.wait(interval) and stop is not None:
            raise StoppedError
        if time.monotonic() > deadline:
            program = next((word for word in argv if word != "env" and "=" not in word), argv[0])
            raise HungError(
                f"{program} on {name} did not finish in {timeout:.0f} s and was ended.",
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

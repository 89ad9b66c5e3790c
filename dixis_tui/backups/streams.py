"""Dumps as streams: from the dump program through a compressor into a file, and back into the server."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from dixis_tui.backups import tools
from dixis_tui.backups.manifest import settle
from dixis_tui.hosts.backup import BackupError
from dixis_tui.model import StoppedError

BLOCK = 1 << 20
# A dump that says nothing for so long is ended: the way to the server is gone, and nobody has noticed.
SILENCE = 900.0
LOOK = 0.2
TRAILER = b"\n-- Dump completed"
ENDINGS = {"gzip": ".gz", "zstd": ".zst"}


class DumpError(BackupError):
    """A dump did not come to its end, or could not be read back."""


@dataclass(frozen=True)
class Packed:
    """What went into a file, before it was compressed."""

    sha256: str
    size: int


class Compressor(ABC):
    """Writes blocks, compressed, to a file that is open."""

    @abstractmethod
    def write(self, block: bytes) -> None:
        """Raises OSError when the disk does not take it."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left. Raises OSError as write does."""

    @abstractmethod
    def abandon(self) -> None:
        """Give up; whatever is in the file is of no use."""


class Gzip(Compressor):
    def __init__(self, file: BinaryIO) -> None:
        self._file = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file)

    def write(self, block: bytes) -> None:
        self._file.write(block)

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        """Nothing runs beside this process."""


class Zstd(Compressor):
    """The program zstd, which takes the stream and writes the file itself."""

    def __init__(self, file: BinaryIO) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the compressor)
        self._process = subprocess.Popen(
            [_zstd(), "--quiet", "--stdout", "-3", "-"], stdin=subprocess.PIPE, stdout=file, stderr=self._words
        )

    def write(self, block: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(block)
        except BrokenPipeError:
            self._ended()

    def close(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            self._ended()
        if self._process.wait() != 0:
            self._ended()
        self._words.close()

    def _ended(self) -> None:
        self._process.wait()
        self._words.seek(0)
        words = self._words.read().decode("utf-8", "replace").strip()
        raise OSError(errno.ENOSPC if "No space" in words else errno.EIO, words or "zstd ended early")

    def abandon(self) -> None:
        self._process.kill()
        self._process.wait()
        self._words.close()


def _zstd() -> str:
    found = shutil.which("zstd")
    if found is None:
        raise DumpError(
            "There is no zstd here.",
            safe="no backup was made; those there are as they were",
            next_step='apt-get install zstd, or set [backup] compress = "gzip"',
        )
    return found


def pack(blocks: Iterable[bytes], path: Path, compress: str) -> Packed:
    """Write blocks, compressed, into a file. Raises OSError when the disk does not take them."""
    summed, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        compressor = Zstd(file) if compress == "zstd" else Gzip(file)
        try:
            for block in blocks:
                summed.update(block)
                size += len(block)
                compressor.write(block)
            compressor.close()
        except BaseException:
            compressor.abandon()
            raise
        file.flush()
        settle(file.fileno())
    return Packed(summed.hexdigest(), size)


def unpack(path: Path) -> Generator[bytes, None, None]:
    """What is in a compressed file, in blocks. Raises DumpError where it does not read back."""
    try:
        if path.suffix == ".zst":
            yield from _unpack_zstd(path)
            return
        with gzip.open(path, "rb") as file:
            while block := file.read(BLOCK):
                yield block
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, str(error)) from error


def _unpack_zstd(path: Path) -> Generator[bytes, None, None]:
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen([_zstd(), "-dc", "--", str(path)], stdout=subprocess.PIPE, stderr=words) as process,
    ):
        assert process.stdout is not None
        try:
            while block := process.stdout.read(BLOCK):
                yield block
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            words.seek(0)
            raise _unreadable(path, words.read().decode("utf-8", "replace").strip())


def _unreadable(path: Path, why: str) -> DumpError:
    return DumpError(
        f"{path.name} does not read back: {why}.",
        safe="nothing was restored from it",
        next_step="use an older one: dixis backup list",
    )


def dumped(argv: Sequence[str], begun: Callable[[], None], stop: threading.Event) -> Generator[bytes, None, None]:
    """The blocks of a dump, checked to have come to its end. begun is called when its transaction has begun. Whoever
    takes them closes it: the program runs until then.

    Raises DumpError when the program fails, is killed, falls silent, or ends without saying that it is done.
    """
    marker = b"\n-- Table structure for table"
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words, env=tools.environment()
        )
        assert process.stdout is not None
        tail, told = b"", False
        try:
            for block in _blocks(process.stdout, argv[0], stop):
                if not told and marker in tail + block:
                    told = True
                    begun()
                tail = (tail + block)[-4096:]
                yield block
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
        words.seek(0)
        said = words.read().decode("utf-8", "replace")
    if code != 0 or TRAILER not in tail:
        raise _not_done(argv[0], code, said)


def _blocks(stream: IO[bytes], program: str, stop: threading.Event) -> Iterator[bytes]:
    heard = time.monotonic()
    while True:
        if stop.is_set():
            raise StoppedError
        if select.select([stream], [], [], LOOK)[0]:
            block = os.read(stream.fileno(), BLOCK)
            if not block:
                return
            heard = time.monotonic()
            yield block
        elif time.monotonic() - heard > SILENCE:
            raise DumpError(
                f"{Path(program).name} has said nothing for {SILENCE:.0f} s and was ended.",
                safe="nothing of it is taken for a backup",
                next_step="check that the server answers: dixis health",
            )


def _not_done(program: str, code: int, said: str) -> DumpError:
    words = " / ".join(line.strip() for line in said.splitlines()[-3:]) or "it said nothing"
    how = (
        f"was ended by {signal.Signals(-code).name}"
        if code < 0
        else f"failed with exit code {code}"
        if code
        else "ended without saying that it is done"
    )
    return DumpError(
        f"{Path(program).name} {how}: {words}.",
        safe="nothing of it is taken for a backup; older ones are as they were",
        next_step=_next_step(said),
    )


def _next_step(said: str) -> str:
    lowered = said.lower()
    if "privilege" in lowered or "access denied" in lowered:
        return "give the account what is missing, or name another one in [backup.account]"
    if "definition has changed" in lowered:
        return "somebody changes tables (a migration?); run it again when that is done"
    return "check that the server runs (dixis health), then run it again"


def restore(argv: Sequence[str], blocks: Iterable[bytes], stop: threading.Event) -> Packed:
    """Feed a dump to the client program. Raises DumpError with the server's words when it does not take it all."""
    summed, size = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words, env=tools.environment()
        )
        assert process.stdin is not None
        try:
            for block in blocks:
                if stop.is_set():
                    raise StoppedError
                summed.update(block)
                size += len(block)
                process.stdin.write(block)
            process.stdin.close()
        except BrokenPipeError:
            pass  # the program has ended; its words tell why
        except BaseException:
            process.kill()
            raise
        finally:
            code = process.wait()
        words.seek(0)
        said = words.read().decode("utf-8", "replace").strip()
    if code != 0:
        raise DumpError(
            f"{Path(argv[0]).name} did not take the dump: {said.splitlines()[-1] if said else f'exit code {code}'}.",
            safe="the backup itself is as it was",
            next_step="see the server's error log, or try an older backup: dixis backup list",
        )
    return Packed(summed.hexdigest(), size)

"""Files of a backup on this machine: where they are kept, and written whole or not at all."""

from __future__ import annotations

import hashlib
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dixis_tui.model import FAILED, DixisError, StoppedError
from dixis_tui.phrase import counted


class BackupError(DixisError):
    """A backup could not be written or does not read back."""

    exit_code = FAILED


def prepare(directory: Path) -> None:
    """Make the folder of the backups, for its owner only. Raises BackupError when it cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = directory / ".dixis-write-test"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise BackupError(
            f"The backup folder {directory} cannot be written: {error.strerror}.",
            safe="nothing was changed",
            next_step=f"mend its permissions or choose another in [backup] directory: ls -ld {directory}",
        ) from error


@contextmanager
def new_file(directory: Path, name: str) -> Iterator[Path]:
    """A path to write a backup to (mode 0600); it gets its name only when the block ends well."""
    temporary = directory / f".{name}.part"
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    try:
        yield temporary
        temporary.replace(directory / name)
    except OSError as error:
        raise BackupError(
            f"The backup {name} could not be written: {error.strerror}.",
            safe="older backups are as they were",
            next_step=f"make room in {directory}, then run the step again",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def stamp() -> str:
    """The time for a backup's name, UTC, sortable."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


@dataclass(frozen=True)
class Packed:
    """What reads back from an archive: each file's SHA-256 by its name, and the bytes of all."""

    files: dict[str, str]
    size: int


def archive(source: Path, destination: Path, stop: threading.Event) -> Packed:
    """Pack a folder into a gzipped tar and read it back.

    Raises BackupError when what was packed is not what reads back.
    """
    packed: dict[str, str] = {}
    size = 0
    with tarfile.open(destination, "w:gz", compresslevel=6) as tar:
        for path in sorted(source.rglob("*")):
            if stop.is_set():
                raise StoppedError
            name = str(path.relative_to(source))
            tar.add(path, arcname=name, recursive=False)
            if path.is_file() and not path.is_symlink():
                packed[name] = file_digest(path)
                size += path.stat().st_size
    with tarfile.open(destination, "r:gz") as tar:
        read_back = {}
        for member in tar:
            if member.isreg():
                content = tar.extractfile(member)
                assert content is not None
                digest = hashlib.sha256()
                while block := content.read(1 << 20):
                    digest.update(block)
                read_back[member.name] = digest.hexdigest()
            elif member.islnk():
                read_back[member.name] = read_back[member.linkname]
    if read_back != packed:
        changed = sorted(name for name in packed if read_back.get(name) != packed[name])
        raise BackupError(
            f"{counted(len(changed), 'file')} of {source} changed while they were packed, the first: {changed[0]}.",
            safe="nothing was replaced",
            next_step="run the step again when nobody writes there",
        )
    return Packed(read_back, size)


def listing(files: Mapping[str, str]) -> bytes:
    """Checksums by name as sha256sum writes them, so that it can check them: names are bytes, and may have any."""
    lines = []
    for name, digest in files.items():
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        lines.append(f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

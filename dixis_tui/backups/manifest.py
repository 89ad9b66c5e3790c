"""What a backup is: a file and, beside it, a manifest that is written last. A file without a manifest is none."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dixis_tui.hosts import backup
from dixis_tui.model import HELD, DixisError

Kind = Literal["target", "source"]
State = Literal["verified", "whole", "failed", "broken"]
SUFFIX = ".json"
# How sums are made; those of another way are not compared.
SUMS = 1
# Names that only a backup of ours bears, with or without its manifest.
ENDINGS = (".sql.gz", ".sql.zst", ".sqlite.gz", ".sqlite.zst")
LOCK = ".dixis-backup.lock"
CREDENTIALS = ".dixis-credentials-"
# Folders in which a backup is unpacked.
UNPACKED = ".dixis-unpacked-"


class BusyError(DixisError):
    """Another command works on the backups."""

    exit_code = HELD


class TableRecord(BaseModel):
    """One table as it was backed up. sum: of the hashes of its rows, None where they were only counted; rows_after: the
    count just after the dump began where that or the sum was another one then: somebody was writing; definition: a hash
    of how the table is built."""

    model_config = ConfigDict(frozen=True)

    rows: int
    sum: str | None = None
    rows_after: int | None = None
    definition: str = ""


class Verified(BaseModel):
    """What came of restoring a backup. differences: the first ones, none where all was equal."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    equal: bool
    differences: tuple[str, ...] = ()
    seconds: float = 0.0


class Manifest(BaseModel):
    """What is written beside a backup.

    sha256, size: of the file; content_sha256, content_size: of what is in it, unpacked; made_at: when it was begun;
    of: the database, or the path of the SQLite file; objects: names of views, triggers, routines and events; null: what
    stood for NULL when the sums were made; mark: of the source, to see whether it was written since.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    kind: Kind
    file: str
    sha256: str
    size: int
    content_sha256: str
    content_size: int
    made_at: datetime
    seconds: float
    host: str
    of: str
    server: str = ""
    tool: str = ""
    charset: str = ""
    collation: str = ""
    sums: int = SUMS
    null: str = ""
    tables: dict[str, TableRecord]
    objects: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    mark: dict[str, Any] = Field(default_factory=dict)
    verified: Verified | None = None

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


@dataclass(frozen=True)
class Kept:
    """A backup in the folder. problem: why it is none, empty for a good one."""

    path: Path
    manifest: Manifest
    problem: str = ""

    @property
    def state(self) -> State:
        if self.problem:
            return "broken"
        verified = self.manifest.verified
        return "whole" if verified is None else "verified" if verified.equal else "failed"

    @property
    def good(self) -> bool:
        """True when it is whole and no attempt to restore it has failed."""
        return self.state in ("verified", "whole")


@dataclass(frozen=True)
class Folder:
    """What is in a folder of backups: those with a manifest, oldest first, and what is none of them."""

    kept: tuple[Kept, ...]
    strays: tuple[Path, ...]

    def newest_good(self, kind: Kind | None = None) -> Kept | None:
        good = [one for one in self.kept if one.good and kind in (None, one.manifest.kind)]
        return good[-1] if good else None

    def last_good(self, kind: Kind) -> Kept | None:
        """The one to fall back on: the newest that was restored and equal, else the newest whole one."""
        mine = [one for one in self.kept if one.manifest.kind == kind]
        verified = [one for one in mine if one.state == "verified"]
        return verified[-1] if verified else self.newest_good(kind)


def look(directory: Path) -> Folder:
    """What is in a folder; nothing where there is no folder."""
    if not directory.is_dir():
        return Folder((), ())
    kept = []
    described: set[str] = set()
    strays: list[Path] = []
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        if not path.name.removesuffix(SUFFIX).endswith(ENDINGS):
            continue
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            strays.append(path)
            continue
        described.add(manifest.file)
        kept.append(_kept(directory / manifest.file, manifest))
    for path in sorted(directory.iterdir()):
        if _half(path) or (path.name.endswith(ENDINGS) and path.name not in described):
            strays.append(path)
    return Folder(tuple(sorted(kept, key=lambda one: (one.manifest.made_at, one.path.name))), tuple(strays))


def _half(path: Path) -> bool:
    """True for a backup or manifest that is being written, or was when its command was killed."""
    name = path.name.removeprefix(".").removesuffix(".part").removesuffix(SUFFIX)
    return path.name.startswith(".") and path.name.endswith(".part") and name.endswith(ENDINGS)


def _kept(path: Path, manifest: Manifest) -> Kept:
    try:
        size = path.stat().st_size
    except OSError as error:
        return Kept(path, manifest, f"the file cannot be read: {error.strerror}")
    if size != manifest.size:
        return Kept(path, manifest, f"the file has {size:,} bytes, the manifest says {manifest.size:,}")
    return Kept(path, manifest)


def find(directory: Path, name: str) -> Kept:
    """The backup of that name (or path, or the newest good one for "latest"). Raises BackupError."""
    folder = look(directory)
    wanted = Path(name).name.removesuffix(SUFFIX)
    found = folder.newest_good("target") if name == "latest" else None
    found = found or next((one for one in folder.kept if one.path.name == wanted), None)
    if found is None:
        stray = any(path.name == wanted for path in folder.strays)
        why = "has no manifest: it is no whole backup" if stray else f"is not in {directory}"
        raise backup.BackupError(
            "There is no good backup yet." if name == "latest" else f"{wanted} {why}.",
            safe="nothing was changed",
            next_step="see what is there: dixis backup list",
        )
    return found


def write(directory: Path, manifest: Manifest) -> Kept:
    """Write a backup's manifest, whole or not at all."""
    name = manifest.file + SUFFIX
    with backup.new_file(directory, name) as path, path.open("wb") as file:
        file.write(manifest.model_dump_json(indent=1).encode() + b"\n")
        settle(file.fileno())
    settle_folder(directory)
    return _kept(directory / manifest.file, manifest)


def settle(descriptor: int) -> None:
    """Have the disk take what was written."""
    os.fsync(descriptor)


def settle_folder(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def new_name(directory: Path, stem: str, ending: str, now: datetime) -> str:
    """A name for today's backup that no file has: the day's first is `stem_YYYYMMDD`, further ones bear their time."""
    day, second = f"{stem}_{now:%Y%m%d}", f"{stem}_{now:%Y%m%d_%H%M%S}"
    names = [f"{day}{ending}", f"{second}{ending}", *(f"{second}_{number}{ending}" for number in range(2, 100))]
    # Another ending of the same day is another backup of it: the plan's name stays the first one's.
    taken = {path.name.partition(".")[0] for path in directory.iterdir() if not path.name.startswith(".")}
    return next(name for name in names if name.partition(".")[0] not in taken)


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """The folder to oneself: one command at a time works on backups; what a killed one left half is cleared away.

    Raises BusyError that names the holder.
    """
    backup.prepare(directory)
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 100).decode("utf-8", "replace").strip() or "unknown"
            raise BusyError(
                f"Another command works on the backups in {directory}: {holder}.",
                safe="nothing was changed by this one",
                next_step="wait until it has ended",
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()}\n".encode())
        for path in directory.iterdir():
            if path.name.startswith(CREDENTIALS) or _half(path):
                path.unlink(missing_ok=True)
            elif path.name.startswith(UNPACKED):
                shutil.rmtree(path)
        yield
    finally:
        os.close(descriptor)


def age(kept: Kept, now: Callable[[], datetime]) -> timedelta:
    """How long ago a backup was begun."""
    return now() - kept.manifest.made_at

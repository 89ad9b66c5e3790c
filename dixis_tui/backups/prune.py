"""Which backups have been kept long enough. The last good one of each kind stays, whatever its age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from dixis_tui.backups.manifest import SUFFIX, Folder, Kept
from dixis_tui.phrase import counted

STRAYS_STAY = timedelta(days=1)


@dataclass(frozen=True)
class Pruning:
    """remove: with the reason; keep: with the reason where age alone would not keep it; strays: files that are no
    backup, and no longer being written."""

    remove: tuple[tuple[Kept, str], ...]
    keep: tuple[tuple[Kept, str], ...]
    strays: tuple[Path, ...]

    def lines(self) -> list[str]:
        told = [f"remove  {kept.path.name}  {why}" for kept, why in self.remove]
        told += [f"remove  {path.name}  no backup: it has no whole manifest" for path in self.strays]
        return told + [f"keep    {kept.path.name}  {why}" for kept, why in self.keep]


def plan(folder: Folder, now: datetime, retention_days: int) -> Pruning:
    """What would be removed at this moment."""
    oldest = now - timedelta(days=retention_days)
    last = {kept.path for kind in ("target", "source") if (kept := folder.last_good(kind)) is not None}
    remove, keep = [], []
    for kept in folder.kept:
        days = (now - kept.manifest.made_at).days
        if kept.manifest.made_at >= oldest:
            keep.append((kept, f"{days} of {retention_days} days old"))
        elif kept.path in last:
            keep.append((kept, f"{counted(days, 'day')} old, but the last good one of the {kept.manifest.kind}"))
        else:
            remove.append((kept, f"{counted(days, 'day')} old, {kept.state}"))
    strays = [path for path in folder.strays if now - _changed(path, now) > STRAYS_STAY]
    return Pruning(tuple(remove), tuple(keep), tuple(strays))


def _changed(path: Path, now: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, now.tzinfo)
    except FileNotFoundError:
        return now


def apply(pruning: Pruning) -> int:
    """Remove what was planned, each manifest first: what loses it is no backup any more. Bytes that became free."""
    freed = 0
    for kept, _ in pruning.remove:
        for path in (kept.path.with_name(kept.path.name + SUFFIX), kept.path):
            freed += _remove(path)
    return freed + sum(_remove(path) for path in pruning.strays)


def _remove(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size

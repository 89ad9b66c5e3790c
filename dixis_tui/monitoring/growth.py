"""How the database grows, day by day, and when what it lies on is full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from dixis_tui.monitoring.samples import Sample

DAY = 86400.0
# A projection rests on at least so many days between its first and its last size.
RESTS_ON = 1.0


@dataclass(frozen=True)
class Growth:
    """days: bytes at the end of each day. a_day: bytes a day, None while it is too early to say. room: bytes left on
    the database's disk or of its quota, None where neither is known. left: days until that is used up, None when it
    never is or cannot be said."""

    days: Sequence[tuple[date, float]]
    a_day: float | None
    room: float | None
    left: float | None


def growth(samples: Iterable[Sample], disks: Mapping[str, Any] | None, quota_gib: float) -> Growth:
    """From samples, oldest first, and what was last seen of the disks."""
    sizes = [(one.at, one.values["database_bytes"]) for one in samples if "database_bytes" in one.values]
    by_day = {datetime.fromtimestamp(at).astimezone().date(): size for at, size in sizes}
    room = None
    if sizes:
        rooms = [float(disk["free"]) for disk in (disks or {}).get("disks", []) if disk["what"] == "the database"]
        rooms += [max(quota_gib * (1 << 30) - sizes[-1][1], 0.0)] if quota_gib else []
        room = min(rooms, default=None)
    if not sizes or sizes[-1][0] - sizes[0][0] < RESTS_ON * DAY:
        return Growth(sorted(by_day.items()), None, room, None)
    a_day = _slope(sizes) * DAY
    left = room / a_day if room is not None and a_day > 0 else None
    return Growth(sorted(by_day.items()), a_day, room, left)


def _slope(sizes: Sequence[tuple[float, float]]) -> float:
    """Bytes a second, by least squares."""
    middle = sum(at for at, _ in sizes) / len(sizes)
    mean = sum(size for _, size in sizes) / len(sizes)
    spread = sum((at - middle) ** 2 for at, _ in sizes)
    return sum((at - middle) * (size - mean) for at, size in sizes) / spread if spread else 0.0

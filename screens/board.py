"""What running steps last said about their items: tables, files, streams.

Progress comes from any thread and in bursts; only the newest word about an item is kept, so a burst costs one entry.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from dixis_tui.model import Progress, Status

SHOWN = 200  # rows worth showing at once: trouble and work come first


@dataclass(frozen=True)
class Track:
    """The newest progress of an item, and where it left off pending. Times are seconds of a monotonic clock."""

    progress: Progress
    first_done: int
    first_at: float
    last_at: float

    @property
    def rate(self) -> float | None:
        """Units per second since the first message; None until there is something to divide."""
        seconds = self.last_at - self.first_at
        moved = self.progress.done - self.first_done
        return moved / seconds if seconds > 0 and moved > 0 else None

    @property
    def left(self) -> float | None:
        """Seconds to go: as the item says itself, else by its rate; None when neither is known."""
        progress, rate = self.progress, self.rate
        if progress.state is not Status.RUNNING or progress.left is not None:
            return progress.left
        return (progress.total - progress.done) / rate if progress.total is not None and rate else None

    @property
    def silent(self) -> float:
        """Seconds since the last message."""
        return time.monotonic() - self.last_at


class Board:
    """All tracks, by step and item."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[str, dict[str, Track]] = {}
        self._changed = False

    def take(self, progress: Progress) -> None:
        """Keep the newest progress of its item. Called from any thread."""
        now = time.monotonic()
        with self._lock:
            items = self._steps.setdefault(progress.step, {})
            known = items.get(progress.item)
            begun = known is not None and known.progress.state is not Status.PENDING
            first_done, first_at = (known.first_done, known.first_at) if known and begun else (progress.done, now)
            items[progress.item] = Track(progress, first_done, first_at, now)
            self._changed = True

    def waited(self, seconds: float) -> None:
        """Everything stood still for so long: that is no part of any rate."""
        with self._lock:
            for step, items in self._steps.items():
                self._steps[step] = {
                    name: replace(track, first_at=track.first_at + seconds, last_at=track.last_at + seconds)
                    for name, track in items.items()
                }

    def forget(self, step_id: str) -> None:
        """A step starts again: what it said before is history."""
        with self._lock:
            self._changed |= self._steps.pop(step_id, None) is not None

    def take_changed(self) -> bool:
        """True once after anything changed."""
        with self._lock:
            changed, self._changed = self._changed, False
            return changed

    def has(self, step_id: str) -> bool:
        with self._lock:
            return bool(self._steps.get(step_id))

    def tracks(self, step_id: str) -> list[Track]:
        """Every item of a step: their sum, streams, those in trouble, those at work, then the newest."""
        with self._lock:
            tracks = list(self._steps.get(step_id, {}).values())
        return sorted(tracks, key=_rank)


def _rank(track: Track) -> tuple[int, float | str]:
    """Sum and streams first; rows at work keep their places; of those that have ended the newest comes first."""
    if track.progress.part != "item":
        return -1 if track.progress.part == "stream" else -2, track.progress.item
    match track.progress.state:
        case Status.FAIL | Status.ERROR:
            return 0, -track.last_at
        case Status.RUNNING | Status.INTERRUPTED:
            return 1, track.first_at
        case Status.PENDING:
            return 3, track.first_at
        case _:
            return 2, -track.last_at

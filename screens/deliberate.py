"""A yes that was meant: not by a key held down or hit twice, nor typed before the question could be read."""

from __future__ import annotations

from typing import ClassVar

from textual import events

from screens.once import Once


class Deliberate(Once):
    """For a dialog in which a key means yes."""

    READING: ClassVar[float] = 0.7  # seconds; a key that is held begins to repeat before
    HELD: ClassVar[float] = 0.15  # seconds between two of the same key, below which it repeats by itself or bounces
    _asked_at: float | None = None  # by time.monotonic(), as the times of events are
    _before: tuple[str, float] = "", 0.0

    def meant(self, event: events.Key) -> bool:
        """False for a key that came by itself or too soon. To be called with every key of the dialog."""
        key, at = self._before
        self._before = event.key, event.time
        held = event.key == key and event.time - at < self.HELD
        return not held and (self._asked_at is None or event.time - self._asked_at >= self.READING)

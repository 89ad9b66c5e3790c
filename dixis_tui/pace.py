"""How hard the running step may work: bounds that the operator moves while it does.

Below one stream the pace is a share of its time: at 1/4 a stream rests three times as long as it has worked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

MOST = 16
SHARES = (Fraction(1, 8), Fraction(1, 4), Fraction(1, 2))
LEVELS = (*SHARES, *(Fraction(streams) for streams in range(1, MOST + 1)))
# Seconds between two looks at whether a stop or a pause was asked for while waiting.
LOOK = 0.2


class Pace:
    """Safe to use from any thread. streams: how many may work at once, to begin with; bandwidth_kib: KiB a second
    that rsync may use the next time it starts, 0 for all there is."""

    def __init__(self, streams: int = 2, bandwidth_kib: int = 0) -> None:
        self._level = Fraction(max(1, min(streams, MOST)))
        self.bandwidth_kib = bandwidth_kib
        self._changed = threading.Condition()
        self._working = 0

    @property
    def level(self) -> Fraction:
        return self._level

    @property
    def streams(self) -> int:
        """How many streams may work at once."""
        return max(int(self._level), 1)

    def __str__(self) -> str:
        if self._level < 1:
            return f"1 stream at {self._level} of its time"
        return f"{self.streams} stream{'s' if self.streams > 1 else ''}"

    def set(self, level: Fraction) -> None:
        """Take one of LEVELS; holds from the next chunk on."""
        with self._changed:
            self._level = level
            self._changed.notify_all()

    def slower(self) -> bool:
        """One level down; False when it is the lowest."""
        return self._move(-1)

    def faster(self) -> bool:
        """One level up; False when it is the highest."""
        return self._move(1)

    def _move(self, by: int) -> bool:
        place = LEVELS.index(self._level) + by
        if not 0 <= place < len(LEVELS):
            return False
        self.set(LEVELS[place])
        return True

    @contextmanager
    def turn(self, check: Callable[[], None]) -> Iterator[None]:
        """Wait until one more stream may work, and rest afterwards. check: called meanwhile; raises to end it."""
        check()
        while not self._begin():
            check()
        began = time.monotonic()
        try:
            yield
            self.rest(time.monotonic() - began, check)
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify()

    def _begin(self) -> bool:
        """Take a turn; False when none was free for a moment."""
        with self._changed:
            if self._working >= self.streams:
                self._changed.wait(LOOK)
                return False
            self._working += 1
            return True

    def rest(self, worked: float, check: Callable[[], None]) -> None:
        """Wait as long as so many seconds of work ask for at this pace; a change of it is heeded at once."""
        began = time.monotonic()
        while True:
            with self._changed:
                share = min(self._level, Fraction(1))
                left = worked * float(1 / share - 1) - (time.monotonic() - began)
                if left <= 0:
                    return
                self._changed.wait(min(left, LOOK))
            check()


class Breather:
    """Called between pieces of work that one thread does: rests in proportion to the time since it was last called."""

    def __init__(self, pace: Pace, check: Callable[[], None]) -> None:
        self._pace = pace
        self._check = check
        self._since = time.monotonic()

    def __call__(self) -> None:
        worked = time.monotonic() - self._since
        self._check()
        self._pace.rest(worked, self._check)
        self._since = time.monotonic()

"""The gate a running step passes between units of work; the operator closes it to pause, and opens it again."""

from __future__ import annotations

import threading
import time

LOOK = 0.2  # seconds between two looks at whether a stop was asked for behind a closed gate


class Gate:
    """Open until pause(). Safe to use from any thread."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._closed_at = 0.0
        self._closed_for = 0.0

    @property
    def paused(self) -> bool:
        return not self._open.is_set()

    @property
    def seconds(self) -> float:
        """How long it has been closed, in all."""
        with self._lock:
            return self._closed_for + (time.monotonic() - self._closed_at if self.paused else 0.0)

    def pause(self) -> None:
        with self._lock:
            if self._open.is_set():
                self._closed_at = time.monotonic()
                self._open.clear()

    def resume(self) -> float:
        """Open it; the seconds it was closed this time."""
        with self._lock:
            if self._open.is_set():
                return 0.0
            closed = time.monotonic() - self._closed_at
            self._closed_for += closed
            self._open.set()
            return closed

    def wait(self, stop: threading.Event) -> None:
        """Return once the gate is open, or a stop was asked for."""
        while not self._open.wait(LOOK) and not stop.is_set():
            pass

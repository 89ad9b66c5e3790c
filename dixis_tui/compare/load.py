"""Keeps out of the way of a busy server: waits while others use more of it than they should have to share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dixis_tui.target import TargetConnection, query

# Seconds between two looks at the server.
LOOK = 1.0


class Throttle:
    """Called between two pieces of work. max_load: the share of the server's max_connections that may be running for
    others; 0 never waits. Our own two connections, the asking one and the working one, are not counted."""

    OURS = 2

    def __init__(self, connection: TargetConnection, max_load: float, say: Callable[[str], None]) -> None:
        self._connection = connection
        self._max_load = max_load
        self._say = say
        self._looked = 0.0

    def wait(self, stop: threading.Event) -> None:
        """Return when the server has room, or when stop is set."""
        if not self._max_load or time.monotonic() - self._looked < LOOK:
            return
        told = False
        while (load := self._load()) > self._max_load and not stop.is_set():
            if not told:
                self._say(f"The server is busy ({load:.0%} of its connections at work); waiting.")
                told = True
            stop.wait(LOOK)
        self._looked = time.monotonic()

    def _load(self) -> float:
        running = int(query(self._connection, "SHOW GLOBAL STATUS LIKE 'Threads_running'")[0][1])
        most = int(query(self._connection, "SELECT @@GLOBAL.max_connections")[0][0])
        return max(0, running - self.OURS) / most

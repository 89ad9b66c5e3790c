"""How far a run is, for those who look on: what its steps last said, in one small file beside the journal.

The console that drives replaces the file a few times a second while something changes. Nobody depends on it: the
journal alone says what was done.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dixis_tui.model import Progress, Status

NAME = "live.json"
INTERVAL = 0.4  # seconds between two writings
ITEMS = 400  # items of a step worth telling of, the newest; a shop has tables, but its files are many
LINES = 200  # lines of the log


@dataclass(frozen=True)
class Live:
    """What was read. lines: of the log, numbered from 1 since the console began; `first` is the number of the first."""

    running: str | None = None
    paused: bool = False
    progress: tuple[Progress, ...] = ()
    first: int = 1
    lines: tuple[Mapping[str, Any], ...] = ()


@dataclass
class Publisher:
    """Collects what is said, from any thread, and writes it down from one of its own.

    A file that cannot be written stops nobody's work: observers then see the journal alone.
    """

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _changed: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _steps: dict[str, OrderedDict[str, Progress]] = field(default_factory=dict)
    _lines: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=LINES))
    _said: int = 0
    _running: str | None = None
    _paused: bool = False

    def __post_init__(self) -> None:
        self._changed.set()
        self._thread = threading.Thread(target=self._write_on, name="publisher", daemon=True)
        self._thread.start()

    def progress(self, progress: Progress) -> None:
        """Keep the newest progress of its item."""
        with self._lock:
            items = self._steps.setdefault(progress.step, OrderedDict())
            items[progress.item] = progress
            items.move_to_end(progress.item)
            if len(items) > ITEMS:
                items.popitem(last=False)
        self._changed.set()

    def forget(self, step: str) -> None:
        """A step starts again: what it said before is history."""
        with self._lock:
            self._steps.pop(step, None)
        self._changed.set()

    def line(self, line: Mapping[str, Any]) -> None:
        with self._lock:
            self._lines.append(line)
            self._said += 1
        self._changed.set()

    def state(self, running: str | None, *, paused: bool) -> None:
        with self._lock:
            self._running, self._paused = running, paused
        self._changed.set()

    def close(self) -> None:
        """Write what is left and end."""
        self._ended.set()
        self._changed.set()
        self._thread.join()

    def _write_on(self) -> None:
        while not self._ended.is_set():
            self._changed.wait()
            self._changed.clear()
            with contextlib.suppress(OSError):
                replace_file(self.folder / NAME, self._text())
            self._ended.wait(INTERVAL)
        with contextlib.suppress(OSError):
            replace_file(self.folder / NAME, self._text())

    def _text(self) -> str:
        with self._lock:
            progress = [one for items in self._steps.values() for one in items.values()]
            lines, said = list(self._lines), self._said
            running, paused = self._running, self._paused
        told = {
            "running": running,
            "paused": paused,
            "progress": [asdict(one) for one in progress],
            "first": said - len(lines) + 1,
            "lines": lines,
        }
        return json.dumps(told, ensure_ascii=False)


def replace_file(path: Path, text: str) -> None:
    """Put a new text in a file's place, mode 0600; who reads meanwhile sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


class Reader:
    """Reads what a driving console publishes, and only when it has changed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._seen = (0, 0)

    def news(self) -> Live | None:
        """What is there now; None when it is what was read before, or nothing can be read."""
        try:
            found = self._path.stat()
            mark = (found.st_mtime_ns, found.st_ino)
            if mark == self._seen:
                return None
            told = json.loads(self._path.read_text(encoding="utf-8"))
            live = Live(
                running=told["running"],
                paused=told["paused"],
                progress=tuple(Progress(**{**one, "state": Status(one["state"])}) for one in told["progress"]),
                first=told["first"],
                lines=tuple(told["lines"]),
            )
        except (OSError, ValueError, KeyError, TypeError):  # none, or of another version: the journal is enough
            return None
        self._seen = mark
        return live

"""The command log of a run: what was run, secrets taken out, in `commands.log` of the run directory.

A line of header, then the command as it can be copied. What a step runs again and again, word for word (the statement
that stores a chunk) or but for its numbers and values (questions), is written once; how often it came again is written
when the step has ended.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from dixis_tui.ran import Command, Kind
from dixis_tui.record.appended import Appended

NAME = "commands.log"
# Characters of a question that are kept; statements that change something and command lines are kept whole.
QUESTION = 600
VALUES = re.compile(r"'[^']*'|(?<![\w`.])\d+(?![\w`])")
HEADER = re.compile(rf"# (\S+T\S+) (\S+) ({'|'.join(get_args(Kind))}) (.*?)(?:; again, (\d+) times)?")


@dataclass(frozen=True)
class Entry:
    """A line of the log. at: ISO 8601 UTC; again: how often it was run once more, 0 for the first time."""

    at: str
    step: str
    kind: Kind
    where: str
    text: str
    again: int = 0

    def lines(self) -> list[str]:
        """As it stands in the file."""
        again = f"; again, {self.again} times" if self.again else ""
        return [f"# {self.at} {self.step or '-'} {self.kind} {self.where}{again}", *self.text.splitlines()]


class CommandLog:
    """Writes the file; used from any thread. running: the step at work, for threads that do not know their step."""

    def __init__(self, run_dir: Path, redact: Callable[[str], str], running: Callable[[], str]) -> None:
        self.file = Appended(run_dir / NAME)
        self._redact = redact
        self._running = running
        self._again: dict[str, dict[tuple[Kind, str, str], int]] = {}
        self._lock = threading.Lock()

    def hear(self, command: Command) -> None:
        """Write a command down, or count it when this step has run it before."""
        step = command.step or self._running()
        text = command.text.strip()
        same = text
        if command.kind == "ask":
            text = text if len(text) <= QUESTION else f"{text[:QUESTION]} …"
            same = VALUES.sub("?", text)
        key = (command.kind, command.where, same)
        with self._lock:
            seen = self._again.setdefault(step, {})
            if key in seen:
                seen[key] += 1
                return
            seen[key] = 0
            self._write(step, command.kind, command.where, text)

    def end(self, step: str) -> None:
        """A step has ended: write how often it ran again what it ran."""
        with self._lock:
            for (kind, where, text), count in self._again.pop(step, {}).items():
                if count:
                    self._write(step, kind, where, text, count)

    def close(self) -> None:
        for step in tuple(self._again):
            self.end(step)
        with self._lock:
            self.file.close()

    def _write(self, step: str, kind: Kind, where: str, text: str, again: int = 0) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = Entry(at, step, kind, where, self._redact(text), again)
        self.file.write("\n".join(entry.lines()) + "\n")


class Reader:
    """Reads the file as it grows; nothing while it cannot be read."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / NAME
        self._offset = 0
        self._rest = b""

    def new(self) -> list[Entry]:
        """The entries added since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = self._rest + file.read()
                self._offset = file.tell()
        except OSError:
            return []
        *lines, self._rest = data.split(b"\n")
        return parse([line.decode("utf-8", "replace") for line in lines])


def parse(lines: list[str]) -> list[Entry]:
    """The entries of these lines; lines before the first header belong to none."""
    found: list[tuple[re.Match[str], list[str]]] = []
    for line in lines:
        header = HEADER.fullmatch(line)
        if header:
            found.append((header, []))
        elif found:
            found[-1][1].append(line)
    kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    return [
        Entry(one[1], "" if one[2] == "-" else one[2], kinds[one[3]], one[4], "\n".join(body), int(one[5] or 0))
        for one, body in found
    ]

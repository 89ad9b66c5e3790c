"""The log of a run: what was said and what happened, with a level each, in `console.log` of the run directory."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from dixis_tui.model import Level, Status
from dixis_tui.phrase import counted
from dixis_tui.record import telling
from dixis_tui.record.appended import Appended
from dixis_tui.record.journal import Event

NAME = "console.log"
LINE = re.compile(rf"(\d{{4}}-\S+) ({'|'.join(get_args(Level))}) +(\S+) (.*)")
# Bytes at the end of a long log that are read when it is opened.
RECENT = 4 << 20
LEVEL_OF = {
    Status.FAIL: "error",
    Status.ERROR: "error",
    Status.WARN: "warn",
    Status.WAIVED: "warn",
    Status.INTERRUPTED: "warn",
}
WORTH_A_LOOK = ("step-interrupted", "step-waived", "refused", "paused", "rolled-back", "log-unwritable")


@dataclass(frozen=True)
class LogLine:
    """A line for the log: when (ISO 8601 UTC), which step spoke (empty for the console), what, how much it matters."""

    at: str
    step: str
    text: str
    level: Level = "info"


def of_event(event: Event) -> LogLine:
    """An event of the journal as a line of the log."""
    step, level = str(event.data.get("step") or ""), "info"
    text = telling.told(event).removeprefix(f"{step}: ")
    outcome, proof = event.data.get("outcome"), event.data.get("proof")
    if isinstance(outcome, dict):
        level = LEVEL_OF.get(Status(outcome["status"]), "info")
    elif isinstance(proof, dict):
        level = "info" if proof["status"] == "equal" else "error"
        text = f"{proof['table']}: {proof['status']}, {counted(proof['rows_source'], 'row')}"
    elif event.kind in WORTH_A_LOOK:
        level = "warn"
    return LogLine(event.at, step, text, _level(level))


def _level(word: str) -> Level:
    found: dict[str, Level] = {level: level for level in get_args(Level)}
    return found[word]


class LogFile:
    """Writes the file. redact takes secrets out of a text."""

    def __init__(self, run_dir: Path, redact: Callable[[str], str]) -> None:
        self.file = Appended(run_dir / NAME)
        self._redact = redact

    def write(self, line: LogLine) -> None:
        text = self._redact(line.text).replace("\n", "\n    ")
        self.file.write(f"{line.at} {line.level:<5} {line.step or '-'} {text}\n")

    def close(self) -> None:
        self.file.close()


class LogReader:
    """Reads the file as it grows; nothing while it cannot be read."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / NAME
        self._offset: int | None = None
        self._rest = b""

    def new(self) -> list[LogLine]:
        """The lines added since the last call; of a long file the last ones at first."""
        try:
            with self.path.open("rb") as file:
                if self._offset is None:
                    self._offset = max(0, self.path.stat().st_size - RECENT)
                file.seek(self._offset)
                data = self._rest + file.read()
                self._offset = file.tell()
        except OSError:
            return []
        *whole, self._rest = data.split(b"\n")
        return parse([line.decode("utf-8", "replace") for line in whole])


def parse(lines: Sequence[str]) -> list[LogLine]:
    """The lines of the log; what does not begin one goes on with the one before."""
    found: list[LogLine] = []
    for text in lines:
        line = LINE.fullmatch(text)
        if line:
            step = "" if line[3] == "-" else line[3]
            found.append(LogLine(line[1], step, line[4], _level(line[2])))
        elif found:
            found[-1] = replace(found[-1], text=f"{found[-1].text} / {text.strip()}")
    return found

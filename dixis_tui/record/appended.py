"""A file that logs are written to."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import IO


class Appended:
    """A text file that grows. What cannot be written is left out: a log gives way before the work does.

    problem: why it could not be opened, empty where it could.
    """

    def __init__(self, path: Path) -> None:
        self.problem = ""
        self._file: IO[str] | None = None
        try:
            path.touch(mode=0o600)
            self._file = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            self.problem = error.strerror or type(error).__name__

    def write(self, text: str) -> None:
        if self._file:
            with suppress(OSError, ValueError):  # ValueError: closed
                self._file.write(text)

    def close(self) -> None:
        if self._file:
            with suppress(OSError):  # what was left to write
                self._file.close()

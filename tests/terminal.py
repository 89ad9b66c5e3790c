"""A real terminal for the tests: a program in tmux, keys sent to it, its screen read as text."""

from __future__ import annotations

import shlex
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed


class Terminal:
    """One program in one tmux server of its own."""

    def __init__(self, command: Sequence[str], size: tuple[int, int] = (80, 24)) -> None:
        self._socket = f"dixis-test-{uuid.uuid4().hex[:12]}"
        width, height = (str(cells) for cells in size)
        # Some words for whoever reads the screen after the program has ended, and its exit code.
        line = f"{shlex.join(command)}; echo ENDED $?; cat"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height, line)
        self.process = int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *words], capture_output=True, text=True, check=False, timeout=30
        )
        if done.returncode:
            raise AssertionError(f"tmux {words[0]}: {done.stderr.strip()}")
        return done.stdout

    @property
    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Send keys by tmux's names for them."""
        self._tmux("send-keys", *keys)

    def send(self, data: bytes) -> None:
        """Send bytes as they are, whatever a terminal in another encoding would."""
        self._tmux("send-keys", "-H", *(f"{byte:02x}" for byte in data))

    def write(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def see(self, *texts: str, within: float = 30.0, gone: str = "") -> str:
        """Wait until one screen has all these texts, and not the one that should be gone; that screen."""

        def lacks(screen: str) -> bool:
            flat = " ".join(screen.split())
            return not all(text in flat for text in texts) or bool(gone and gone in flat)

        def give_up(state: object) -> str:
            wanted = f"wanted {texts} without {gone!r} within {within:.0f} s"
            raise AssertionError(f"{wanted}, the screen is:\n{self.screen}")

        waiting = Retrying(
            retry=retry_if_result(lacks),
            stop=stop_after_delay(within),
            wait=wait_fixed(0.05),
            retry_error_callback=give_up,
        )
        return waiting(lambda: self.screen)

    def agree(self) -> None:
        """Say yes to what is asked, once it can have been read; behind the dialog the key means nothing."""

        def agreed() -> bool:
            self.press("y")
            return "Enter or y: run" not in self.screen

        Retrying(retry=retry_if_result(lambda so: not so), stop=stop_after_delay(60), wait=wait_fixed(0.3))(agreed)

    def close(self) -> None:
        """Take the terminal away, as a closed window or a lost link does: what runs in it is sent SIGHUP."""
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, check=False, timeout=30)


@contextmanager
def terminal(command: Sequence[str], size: tuple[int, int] = (80, 24)) -> Iterator[Terminal]:
    opened = Terminal(command, size)
    try:
        yield opened
    finally:
        opened.close()


def children(process: int) -> list[int]:
    """The processes under this one that are there now, the nearest first."""
    found = [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return found + [below for one in found for below in children(one)]


def until(seen: Callable[[], bool], within: float = 30.0) -> float:
    """Wait until something is so; the seconds that took. Raises RetryError when it does not become so in time."""
    begun = time.monotonic()
    Retrying(retry=retry_if_result(lambda so: not so), stop=stop_after_delay(within), wait=wait_fixed(0.02))(seen)
    return time.monotonic() - begun


def gone(process: int, within: float = 30.0) -> float:
    """Wait until a process has ended; the seconds that took."""
    return until(lambda: not Path(f"/proc/{process}").exists(), within)

"""The terminal goes away, or the process is told to end: work comes to a safe point, and a rollback to its end."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from dixis_tui.model import Status
from dixis_tui.record.journal import Journal, RunState, fold
from tests.terminal import Terminal, children, gone, terminal, until
from tests.test_observers import CONFIG

# A plan whose copy goes from chunk to chunk for a minute, and whose rollback waits for a file that says go on.
PROGRAM = """
import sys, time
from pathlib import Path
from dixis_tui.console.app import ConsoleApp
from dixis_tui.config import load
from dixis_tui.headless import Consent, Headless
from dixis_tui.model import Kind, passed
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step

folder, how = Path(sys.argv[1]), sys.argv[2]

def copy(ctx):
    for number in range(600):
        ctx.check_stop()
        time.sleep(0.1)  # stands for work
        (folder / "chunks").write_text(str(number))
        ctx.say(f"chunk {number}")
    return passed("copied")

def back(ctx):
    for _ in range(600):
        if (folder / "go-on").exists():
            return passed("back")
        time.sleep(0.1)  # stands for work
        ctx.say("waiting")

def step(name, title, work):
    return Step(name, title, Kind.ACTION, "Why.", work, lambda _: ["COPY ALL"], "UNDO IT")

done = lambda _: passed("done")
plan = Plan(
    (Phase("data", "Data", (step("data.copy", "Long copy", copy), step("data.after", "Afterwards", done))),),
    Phase("rollback", "Rollback", (step("rollback.one", "First", back), step("rollback.two", "Second", done))),
)
with Runner(plan, load(folder / "dixis.toml")) as runner:
    if how == "console":
        sys.exit(ConsoleApp(runner).run())
    twin = Headless(runner, Consent(yes=True), verbose=True)
    sys.exit(twin.run(plan.phases) if how == "run" else twin.rollback())
"""


class Place:
    """A folder with the program, and what its journal says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "dixis.toml").write_text(CONFIG.replace("production", "rehearsal"), encoding="utf-8")
        (folder / "program.py").write_text(PROGRAM, encoding="utf-8")

    def command(self, how: str) -> list[str]:
        return [sys.executable, str(self.folder / "program.py"), str(self.folder), how]

    @property
    def state(self) -> RunState:
        return fold(Journal(self.folder / "run", create=False).events)

    def kinds(self, kind: str) -> int:
        return sum(event.kind == kind for event in Journal(self.folder / "run", create=False).events)

    def begin_copy(self, screen: Terminal) -> None:
        """In the console, until a chunk is there."""
        screen.see("Long copy", "Press r")
        screen.press("r")
        screen.see("COPY ALL", "Enter or y: run")
        screen.agree()
        until((self.folder / "chunks").exists)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_console_stops_at_a_safe_point(place: Place) -> None:
    with terminal(place.command("console")) as screen:
        place.begin_copy(screen)
        console = children(screen.process)[-1]
        screen.close()
        gone(console)
    assert place.state.step("data.copy").status is Status.INTERRUPTED
    assert place.state.step("data.after").status is Status.PENDING
    assert (place.kinds("console-left"), place.kinds("step-interrupted")) == (1, 1)


def test_a_paused_console_ends_too(place: Place) -> None:
    with terminal(place.command("console")) as screen:
        place.begin_copy(screen)
        screen.press("z")
        screen.see("paused")
        console = children(screen.process)[-1]
        screen.close()
        gone(console)
    assert place.state.step("data.copy").status is Status.INTERRUPTED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_is_not_utf_8_ends_nothing_and_a_signal_leaves_the_terminal_in_order(
    place: Place, number: signal.Signals
) -> None:
    with terminal(place.command("console")) as screen:
        place.begin_copy(screen)
        screen.send("άλφα".encode("iso-8859-7"))
        screen.press("z")
        screen.see("paused")
        os.kill(children(screen.process)[-1], number)
        screen.see("ENDED 1", gone="Long copy")
    assert place.state.step("data.copy").status is Status.INTERRUPTED


def test_a_rollback_in_the_console_goes_on_to_its_end(place: Place) -> None:
    with terminal(place.command("console")) as screen:
        screen.see("Long copy", "Press r")
        screen.press("C-r")
        screen.see("type ROLLBACK")
        screen.write("ROLLBACK")
        screen.press("Enter")
        screen.see("Running: First")
        console = children(screen.process)[-1]
        screen.close()
        until(lambda: place.kinds("console-left") == 1)
        (place.folder / "go-on").touch()
        gone(console)
    assert place.kinds("rolled-back") == 1


def test_the_headless_twin_does_the_same(place: Place) -> None:
    with terminal(place.command("run")) as screen:
        screen.see("chunk 3")
        program = children(screen.process)[-1]
        screen.close()
        gone(program)
    assert place.state.step("data.copy").status is Status.INTERRUPTED
    with terminal(place.command("rollback")) as screen:
        screen.see("waiting")
        program = children(screen.process)[-1]
        screen.close()
        (place.folder / "go-on").touch()
        gone(program)
    assert place.kinds("rolled-back") == 1

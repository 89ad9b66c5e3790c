"""The whole night in a real terminal: real keys, read from the real screen, on 80 columns and 24 lines."""

from __future__ import annotations

import sys
from collections.abc import Callable

import checks
from dixis_tui import config as configuration
from dixis_tui import plan, sandbox
from dixis_tui.model import Kind, Status
from dixis_tui.record.journal import Journal, fold
from tests.conftest import KINDS
from tests.terminal import Terminal, children, gone, terminal, until
from tests.test_migration import dixis


class Night:
    """The console on one sandbox, worked with keys. What it says is read on the screen, what it did in the journal."""

    def __init__(self, world: sandbox.World) -> None:
        self.world = world
        self.run = world.directory / "run"
        self.plan = plan.build(configuration.load(world.config), checks.preflight())
        self.command = [sys.executable, "-m", "dixis_tui.cli", "--config", str(world.config)]

    def status(self, step: str) -> Status:
        return fold(Journal(self.run, create=False).events).step(step).status

    def run_phase(self, screen: Terminal, *, asked: bool = True) -> None:
        """Run the phase that is next; agree to what is shown, where anything would be changed."""
        screen.press("n")
        screen.press("r")
        if not asked:
            return
        screen.see("Enter or y: run")
        screen.agree()

    def sign_phase(self, screen: Terminal, phase: str, kind: Kind = Kind.SIGNOFF) -> None:
        """Sign whatever of a phase waits for people, with the names that are expected, in every role there is."""
        for step in self.plan.phase(phase).steps:
            for _ in (step.roles or ("operator",)) if step.kind is kind else ():
                known = len(self._signatures())
                screen.press("n")
                screen.press("s")
                screen.see("Refuse", "Name")
                screen.press("Tab", "Tab", "Enter")  # to the note, to the button, and it is signed
                screen.see(gone="Refuse")
                until(lambda known=known: len(self._signatures()) > known)  # type: ignore[misc]

    def see_done(self, screen: Terminal, phase: str) -> None:
        """Wait until every step of a phase has settled, and the screen says so."""
        steps = self.plan.phase(phase).steps
        until(lambda: all(self.status(step.id).settled for step in steps), within=90)
        screen.see(f"{len(steps)}/{len(steps)}", "Next")

    def _signatures(self) -> list[object]:
        return [event for event in Journal(self.run, create=False).events if event.kind == "signed"]


def test_the_night_in_a_terminal_that_is_lost_in_the_middle_of_the_copy(
    make_world: Callable[..., sandbox.World],
) -> None:
    world = make_world(server=KINDS[0], scale=4)
    settings = world.config.read_text(encoding="utf-8")
    world.config.write_text(f"{settings}\n[data]\nchunk_rows = 200\nstreams = 1\n", encoding="utf-8")
    night = Night(world)

    with terminal(night.command) as screen:
        screen.see("REHEARSAL", "Preflight", "Nothing has run yet")
        night.run_phase(screen, asked=False)
        screen.see("A person", "Enter signs", within=90)
        night.sign_phase(screen, "preflight")
        night.see_done(screen, "preflight")
        night.run_phase(screen)
        night.see_done(screen, "schema")
        night.run_phase(screen)
        screen.see("running data.financial", "order_items", within=60)
        console = children(screen.process)[-1]
        screen.close()
        gone(console)
    assert night.status("data.financial") is Status.INTERRUPTED
    left = [event.data for event in Journal(night.run, create=False).events if event.kind == "console-left"]
    assert [(one["why"], one["step"]) for one in left] == [("the terminal went away", "data.financial")]

    with terminal(night.command) as screen:
        screen.see("REHEARSAL", "Financial data", "was interrupted", "carries on")
        night.run_phase(screen)
        night.see_done(screen, "data")
        dixis(world, "verify")  # every value is there, and once, whatever was cut off
        night.run_phase(screen)
        night.see_done(screen, "assets")
        night.run_phase(screen, asked=False)
        screen.see("4 Validation", "A person", "Enter signs", within=60)
        night.sign_phase(screen, "validation")
        night.see_done(screen, "validation")
        night.run_phase(screen)
        screen.see("5 Cutover", "A person", "T+", within=60)
        night.sign_phase(screen, "cutover", Kind.GATE)
        night.run_phase(screen)
        night.see_done(screen, "cutover")
        screen.see("window closed")
        night.run_phase(screen)
        screen.see(">6 Watch", "A person", within=90)  # its checks have passed; the days after are signed one by one
        screen.press("C-r")
        screen.see("ROLLBACK: the application goes back to SQLite", "To roll back, type ROLLBACK")
        screen.write("ROLLBACK")
        screen.press("Enter")
        screen.see("Rolled back: the application runs on SQLite again.", within=60)
        screen.press("Escape")
        screen.see("Preflight", gone="Rolled back: ")
        screen.press("q")
        screen.see("ENDED 0")
    assert night.status(night.plan.rollback.steps[-1].id) is Status.PASS
    assert "DB_CONNECTION=sqlite" in (world.app_root / ".env").read_text(encoding="utf-8")

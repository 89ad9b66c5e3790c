"""A phase as a checklist that reads like challenge and response: the step, what answered it, who, when, how long."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from dixis_tui.model import Kind, Status
from dixis_tui.record.journal import StepState
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Step
from screens import words
from screens.widgets import Table

STEP = 42  # cells the steps may take where their answers stand beside them
WHO = 10  # cells of the name
WITH_KIND, WITH_ANSWER = 72, 104  # cells of the table from which it shows more
VERIFIED = {
    Kind.CHECK: "the console asks",
    Kind.ACTION: "shown first, then done and checked",
    Kind.SIGNOFF: "a person looks, and signs",
}


def verified(step: Step) -> str:
    """How a step comes to count as done."""
    return VERIFIED.get(step.kind) or f"to be signed by {', '.join(step.roles)}"


def response(step: Step, now: StepState) -> Text:
    """What stands against the step: the answer once there is one, else how it will be verified."""
    if now.status is Status.RUNNING and now.started_at:
        return Text(f"at work since {words.local_time(now.started_at)}", "bold")
    if now.status is Status.INTERRUPTED:
        return Text("cut off; what was finished is kept, run it again")
    if now.outcome is not None and now.status.ended:
        return Text(now.outcome.summary, "" if now.status is Status.PASS else "bold")
    if now.signatures:
        missing = [role for role in step.roles if role not in {one.role for one in now.signatures}]
        return Text(f"still to be signed by {', '.join(missing)}", "bold")
    return Text(verified(step), "dim")


def who(now: StepState) -> str:
    """Who signed, took responsibility, or had it done."""
    return ", ".join(one.name for one in now.signatures) or now.by


def when(now: StepState) -> str:
    """The local time it ended, or began where it has not."""
    at = now.finished_at or now.started_at
    return words.local_time(at) if at else ""


def elapsed(now: StepState) -> str:
    """How long it took, or has been at work."""
    if now.status is Status.RUNNING and now.started_at:
        return words.duration(max((words.local_now() - datetime.fromisoformat(now.started_at)).total_seconds(), 0.0))
    return words.took(now)


class Checklist(Table):
    """The steps of one phase. follow: the cursor goes with the running step until the operator moves it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.do", "Do"),
        Binding("left", "screen.turn(-1)", "Previous phase", show=False),
        Binding("right", "screen.turn(1)", "Next phase", show=False),
    ]

    def __init__(self, runner: Runner) -> None:
        super().__init__("checklist")
        self._runner = runner
        self._layout: tuple[str, int] = ("", 0)
        self._widths = (8, 0)
        self.follow = True

    def show(self, phase: Phase) -> None:
        """Render the phase's steps as they stand."""
        width = self.size.width
        changed = (phase.id, width) != self._layout
        row = self.cursor_row if self._layout[0] == phase.id else self._first_open(phase)
        if changed:
            self._layout = (phase.id, width)
            self._set_columns(phase, width)
        step_cells, answer_cells = self._widths
        for step in phase.steps:
            now = self._runner.state.step(step.id)
            cells = [words.state(now.status), Text(words.shorten(step.title, step_cells))]
            if answer_cells:
                answer = response(step, now)
                answer.plain = words.shorten(answer.plain, answer_cells)
                cells += [answer, Text(words.shorten(who(now), WHO))]
            elif width >= WITH_KIND:
                cells.append(Text(step.kind, "dim"))
            if width >= WITH_KIND:
                cells.append(Text(when(now)))
            self.put(step.id, [*cells, Text(elapsed(now).rjust(7))])
        if changed:
            self.move_cursor(row=row)

    def _set_columns(self, phase: Phase, width: int) -> None:
        end = [("When", 8), ("   Took", 7)] if width >= WITH_KIND else [("   Took", 7)]
        if width < WITH_ANSWER:
            kind = [("Kind", 8)] if width >= WITH_KIND else []
            self._widths = self.set_columns([("State", 13), (phase.title, 0), *kind, *end], width), 0
            return
        step = min(max(len(one.title) for one in phase.steps), STEP)
        columns = [("State", 13), (phase.title, step), ("Answer", 0), ("Who", WHO), *end]
        self._widths = step, self.set_columns(columns, width)

    def select(self, step_id: str) -> None:
        self.move_cursor(row=self.get_row_index(step_id))

    def _first_open(self, phase: Phase) -> int:
        """The row of the first step that is not settled; the first row when all are."""
        rows = (row for row, step in enumerate(phase.steps) if not self._runner.state.step(step.id).status.settled)
        return next(rows, 0)

    def action_cursor_up(self) -> None:
        self.follow = False
        super().action_cursor_up()

    def action_cursor_down(self) -> None:
        self.follow = False
        super().action_cursor_down()

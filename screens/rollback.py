"""The way back: what is, what will be, what it costs, five visible steps, one typed word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Input, Static

from dixis_tui.model import Status
from dixis_tui.record import timeline
from dixis_tui.record.journal import Event
from dixis_tui.record.log import LogLine
from dixis_tui.record.timeline import Timekeeper
from dixis_tui.runner import Runner
from dixis_tui.step import Step
from dixis_tui.switch import wayback
from screens import words
from screens.checklist import elapsed
from screens.footer import Footer
from screens.requests import StartRollback
from screens.view import View
from screens.widgets import Headline, LogPane


class RollbackScreen(View, Screen[None]):
    """Reached by one key from everywhere; started only by the typed word."""

    AUTO_FOCUS = "#rollback-word"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back"),
        Binding("pageup", "scroll(-5)", "Page up", show=False),
        Binding("pagedown", "scroll(5)", "Page down", show=False),
    ]

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner
        self._word = words.rollback_word(runner.config)
        self._asked = False
        self._keeper = Timekeeper(runner)

    def compose(self) -> ComposeResult:
        yield Headline(self._runner)
        yield Static(" ROLLBACK: the application goes back to SQLite", id="rollback-title", markup=False)
        with VerticalScroll(id="rollback-body", can_focus=False):
            yield Static(id="rollback-text", markup=False)
        yield Static(id="rollback-verdict", markup=False)
        yield Input(id="rollback-word", placeholder=f"type {self._word} and press Enter")
        yield LogPane()
        yield Footer()

    def on_mount(self) -> None:
        self.show_state()

    def show_state(self) -> None:
        self.query_one(Headline).show()
        self.query_one("#rollback-text", Static).update(self._text())
        self._tell(self._verdict())
        self.query_one(Input).disabled = self._at_work

    def show_log(self, notices: Sequence[Event | LogLine]) -> None:
        self.query_one(LogPane).show(notices)

    def show_clock(self) -> None:
        for headline in self.query(Headline):  # none while the screen comes or goes
            headline.show()
        if self._at_work and self.query("#rollback-text"):
            self.show_state()  # every second of it is seen

    def ended(self) -> None:
        """The application is through with it, well or not."""
        self._asked = False
        self.query_one(Input).value = ""
        self.show_state()
        self.query_one(Input).focus()

    @property
    def _at_work(self) -> bool:
        running = self._runner.running
        return self._asked or (running is not None and running.startswith(f"{self._runner.plan.rollback.id}."))

    def _text(self) -> Group:
        """What is, what will be, what it costs; the five steps, with their answers once there are any."""
        at = words.local_now()
        line = self._keeper.look(at)
        back = wayback.look(self._runner, line, at)
        begun = any(self._runner.state.step(step.id).started_at for step in self._runner.plan.rollback.steps)
        if self._at_work or begun:
            # The steps are what matters now; they must all be seen in a small terminal.
            told = [] if self._at_work else [("Now", back.now)]
            told += [("Costs", back.costs[0])] if self._at_work else []
        else:
            told = [("Now", back.now), ("Then", back.then), ("Costs", f"{back.costs[0]};"), ("", back.costs[1])]
            told += [("Keeps", back.keeps), ("Cannot", back.cannot)]
        told += [("Until", timeline.turn(line))] if line.left is not None and not begun else []
        told += [("Call", back.call)] if back.call else []
        table = Table.grid(padding=(0, 1))
        for label, said in told:
            table.add_row(Text(f"{label}:" if label else "", "bold cyan"), Text(said))
        steps = [self._step(number, step) for number, step in enumerate(self._runner.plan.rollback.steps, 1)]
        return Group(table, "", *steps)

    def _step(self, number: int, step: Step) -> Text:
        now = self._runner.state.step(step.id)
        text = Text(f" {number}  ").append_text(words.state(now.status)).append(" " * (13 - len(now.status)))
        text.append(step.title, "bold").append(f"  {elapsed(now)}", "bold" if now.status is Status.RUNNING else "dim")
        if now.status is Status.RUNNING:
            text.append(f"\n      {step.why}", "dim")
        if now.outcome and now.status.ended:
            text.append(f"\n      {now.outcome.summary}", "dim" if now.status.settled else "")
        if now.outcome and now.status in (Status.FAIL, Status.ERROR):
            text.append("".join(f"\n      to do: {line}" for line in now.outcome.remedy), "bold")
        return text

    def _verdict(self) -> str:
        running, rollback = self._runner.running, self._runner.plan.rollback
        if self._at_work:
            if running and running.startswith(f"{rollback.id}."):
                return f"Running: {self._runner.plan.step(running).title}. {self._spent()}"
            return f"Waiting for {running or 'the last step'} to stop at its next safe point."
        match self._runner.order.phase_status(rollback):
            case Status.PASS | Status.WARN:
                return f"Rolled back: the application runs on SQLite again. {self._spent()} Esc goes back."
            case Status.FAIL | Status.ERROR | Status.INTERRUPTED:
                return f"Not finished. Mend what is named above, then type {self._word} again; it is safe to repeat."
            case _:
                first = f" {running} is running: it is stopped at its next safe point first." if running else ""
                return f"Nothing has been done.{first} To roll back, type {self._word} and press Enter. Esc goes back."

    def _spent(self) -> str:
        """How long its steps have taken so far, all together."""
        states = [self._runner.state.step(step.id) for step in self._runner.plan.rollback.steps]
        done = sum(now.seconds or 0.0 for now in states)
        at_work = [now.started_at for now in states if now.status is Status.RUNNING and now.started_at]
        done += sum((words.local_now() - datetime.fromisoformat(at)).total_seconds() for at in at_work)
        return f"{words.duration(max(done, 0.0))} so far." if at_work else f"It took {words.duration(done)}."

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        if self._runner.watch:
            self._tell("This console only watches; roll back in the one that drives the run.")
        elif event.value.strip() != self._word:
            self._tell(f"That is not {self._word}. Nothing was done.")
        else:
            self._asked = True
            self.show_state()
            self.post_message(StartRollback())

    def _tell(self, text: str) -> None:
        self.query_one("#rollback-verdict", Static).update(text)

    def action_scroll(self, by: int) -> None:
        self.query_one("#rollback-body").scroll_relative(y=by, animate=False)

"""The way back: what it does, what it keeps and cannot, one typed word, five visible steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from dixis_tui.journal import Event
from dixis_tui.model import Status
from dixis_tui.runner import LogLine, Runner
from screens import words
from screens.requests import StartRollback
from screens.view import View
from screens.widgets import Headline, LogPane

KEEPS = "rows written since (they come home), every file it replaces (set aside), the new database, the journal"
CANNOT = "bring home rows written to MySQL while that does not answer: they stay there for dixis rollback --recover"


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

    def compose(self) -> ComposeResult:
        yield Headline(self._runner)
        with VerticalScroll(id="rollback-body", can_focus=False):
            yield Static(id="rollback-text", markup=False)
        yield Static(id="rollback-verdict", markup=False)
        yield Input(id="rollback-word", placeholder=f"type {self._word} and press Enter")
        yield LogPane()
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.show_state()

    def show_state(self) -> None:
        self.query_one(Headline).show()
        self.query_one("#rollback-text", Static).update(self._steps())
        self._tell(self._verdict())
        self.query_one(Input).disabled = self._at_work

    def show_log(self, notices: Sequence[Event | LogLine]) -> None:
        self.query_one(LogPane).show(notices)

    def show_clock(self) -> None:
        for headline in self.query(Headline):  # none while the screen comes or goes
            headline.show()

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

    def _steps(self) -> Text:
        text = Text("ROLLBACK: the application goes back to SQLite\n", "bold")
        for number, step in enumerate(self._runner.plan.rollback.steps, 1):
            now = self._runner.state.step(step.id)
            text.append(f" {number}  ").append_text(words.state(now.status)).append(" " * (13 - len(now.status)))
            text.append(step.title, "bold")
            text.append(f"  {words.duration(now.seconds)}\n" if now.seconds is not None else "\n", "dim")
            said = now.outcome.summary if now.outcome and now.status.ended else step.why
            text.append(f"      {said}\n", "dim" if now.status.settled else "")
            if now.outcome and now.status in (Status.FAIL, Status.ERROR):
                text.append("".join(f"      to do: {line}\n" for line in now.outcome.remedy), "bold")
        text.append("Keeps: ", "bold cyan").append(KEEPS)
        return text.append("\nCannot: ", "bold cyan").append(CANNOT)

    def _verdict(self) -> str:
        running, rollback = self._runner.running, self._runner.plan.rollback
        if self._at_work:
            if running and running.startswith(f"{rollback.id}."):
                return f"Running: {self._runner.plan.step(running).title}"
            return f"Waiting for {running or 'the last step'} to stop at its next safe point."
        match self._runner.phase_status(rollback):
            case Status.PASS | Status.WARN:
                return "Rolled back: the application runs on SQLite again. Esc goes back."
            case Status.FAIL | Status.ERROR | Status.INTERRUPTED:
                return f"Not finished. Mend what is named above, then type {self._word} again; it is safe to repeat."
            case _:
                first = f" {running} is running: it is stopped at its next safe point first." if running else ""
                return f"Nothing has been done.{first} To roll back, type {self._word} and press Enter. Esc goes back."

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

"""The first start, without a configuration: rehearse, answer a few questions, or look at an old run."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import humanize
from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import get_current_worker

from dixis_tui.config import ConfigError
from dixis_tui.console import answers
from dixis_tui.console.answers import HOST, QUESTIONS, SOURCE, TARGET, FoundRun, Question, Trial
from screens import words
from screens.footer import Footer
from screens.once import Once

PAUSE = 0.8  # seconds without a key before what was typed is tried
PARTS = {HOST: "Host", SOURCE: "Source", TARGET: "Target"}


class StartScreen(Screen[None]):
    """Three ways on."""

    AUTO_FOCUS = "#ways"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1,2,3", "way", "Choose", show=False),
        Binding("q,escape", "app.quit", "Quit"),
    ]

    class Rehearse(Message):
        """Build a sandbox and open the console on it."""

    class Open(Message):
        """Look at an old run."""

        def __init__(self, folder: Path) -> None:
            super().__init__()
            self.folder = folder

    def __init__(self, config: Path, runs: list[FoundRun]) -> None:
        super().__init__()
        self._config = config
        self._runs = runs

    def compose(self) -> ComposeResult:
        yield Static(
            f"dixis moves a live Laravel shop from SQLite to MySQL, and can take it back.\n"
            f"There is no configuration here ({self._config}). Nothing has been done yet.",
            id="start-text",
            markup=False,
        )
        count = len(self._runs)
        yield OptionList(
            Option(
                _way(1, "Rehearse in a sandbox", "a real MySQL, sshd, application and shop here; gone afterwards"), "1"
            ),
            Option(_way(2, "Write a configuration", "a few questions; connections are tried as you type"), "2"),
            Option(
                _way(3, "Open an old run", f"{count} found below this folder; read-only" if count else "none here"),
                "3",
                disabled=not count,
            ),
            id="ways",
        )
        yield Footer()

    def on_key(self, event: events.Key) -> None:
        """The number of a way chooses it."""
        options = self.query_one(OptionList)
        if event.key in ("1", "2", "3") and not options.get_option(event.key).disabled:
            self._go(event.key)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self._go(event.option.id or "")

    def _go(self, way: str) -> None:
        if way == "1":
            self.post_message(self.Rehearse())
        elif way == "2":
            self.app.push_screen(QuestionsScreen(self._config))
        else:
            self.app.push_screen(OldRunsScreen(self._runs))


def _way(number: int, title: str, more: str) -> Text:
    return Text().append(f" {number}  {title}\n", "bold").append(f"    {more}\n", "dim")


class OldRunsScreen(Once, Screen[None]):
    """The runs that were found, the newest first."""

    AUTO_FOCUS = "#runs"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss", "Back")]

    def __init__(self, runs: list[FoundRun]) -> None:
        super().__init__()
        self._runs = runs

    def compose(self) -> ComposeResult:
        yield Static("Old runs. Enter opens one, read-only.", id="start-text", markup=False)
        yield OptionList(*(Option(self._line(run)) for run in self._runs), id="runs")
        yield Footer()

    def _line(self, run: FoundRun) -> Text:
        when = humanize.naturaltime(words.local_now() - run.changed)
        state = "driven now" if run.driven else when
        line = Text().append(f" {run.name}", "bold").append(f"  {run.environment}  {run.database}  {state}\n")
        return line.append(f"    {run.folder}\n", "dim")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.post_message(StartScreen.Open(self._runs[event.option_index].folder))


class QuestionsScreen(Once, Screen[None]):
    """A form. What is typed is tried after a pause; a password once its field is left, so that no half is ever sent."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "write", "Write the file", key_display="^S"),
        Binding("tab", "app.focus_next", "Next", show=False),
        Binding("escape", "dismiss", "Back, nothing is written"),
    ]

    class Written(Message):
        """The configuration is there."""

        def __init__(self, config: Path) -> None:
            super().__init__()
            self.config = config

    def __init__(self, config: Path) -> None:
        super().__init__()
        self._config = config
        self._waiting: dict[str, Timer] = {}
        self._tried: dict[str, dict[str, str]] = {}

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="questions", can_focus=False):
            for question in QUESTIONS:
                with Horizontal(classes="question"):
                    yield Static(question.label, classes="question-label", markup=False)
                    yield Input(question.default, placeholder=question.hint, password=question.secret, id=question.name)
        with Vertical(id="trials"):
            for part in PARTS:
                yield Static(id=f"trial-{part}", classes="trial", markup=False)
        yield Static(id="start-problem", classes="problem", markup=False)
        with Horizontal(classes="buttons"):
            yield Button(f"Write {self._config}", id="write", compact=True)
            yield Button("Back", id="back", compact=True)
        yield Footer()

    def on_mount(self) -> None:
        for part in PARTS:
            self._later(part)

    @property
    def answers(self) -> dict[str, str]:
        return {question.name: self.query_one(f"#{question.name}", Input).value for question in QUESTIONS}

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        question = _question(event.input)
        self.query_one("#start-problem", Static).update("")
        if question.part and not question.secret:
            self._later(question.part)
            if question.part == HOST:
                self._later(SOURCE)

    @on(Input.Submitted)
    def _answered(self) -> None:
        self.focus_next()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        if isinstance(event.widget, Input) and _question(event.widget).secret:
            self._later(TARGET)

    def _later(self, part: str) -> None:
        """Try a part once nothing has been typed for a moment."""
        if part in self._waiting:
            self._waiting[part].stop()
        self._waiting[part] = self.set_timer(PAUSE, lambda: self.begin(part))

    def begin(self, part: str) -> None:
        """Try a part with the answers there are now, unless that was done, or a password is being typed."""
        now = self.answers
        if isinstance(self.focused, Input) and _question(self.focused).secret and part == TARGET:
            return  # it is tried when the password has been typed to its end
        if self._tried.get(part) != now:
            self._tried[part] = now
            self._show(part, Trial(None, "trying…"))
            self._attempt(part, now)

    @work(thread=True, group="trials")
    def _attempt(self, part: str, now: dict[str, str]) -> None:
        trial = answers.attempt(part, now)
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._ended, part, now, trial)

    def _ended(self, part: str, now: dict[str, str], trial: Trial) -> None:
        if self._tried.get(part) is now and self.is_mounted:  # an answer to an older question says nothing
            self._show(part, trial)

    def _show(self, part: str, trial: Trial) -> None:
        sign, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}[trial.ok]
        line = Text().append(f" {sign} {PARTS[part]:<7}", f"bold {style}").append(trial.text)
        self.query_one(f"#trial-{part}", Static).update(line)

    @on(Button.Pressed, "#write")
    def action_write(self) -> None:
        try:
            answers.write(self._config, self.answers)
        except ConfigError as error:
            self.query_one("#start-problem", Static).update(f"{error.what} Next: {error.next_step}.")
        else:
            self.post_message(self.Written(self._config))

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.dismiss(None)


def _question(field: Input) -> Question:
    return next(question for question in QUESTIONS if question.name == field.id)

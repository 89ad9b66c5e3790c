"""One step on the whole screen, for evidence that is long."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from dixis_tui.runner import Runner
from dixis_tui.step import Step
from screens.detail import describe
from screens.footer import Footer
from screens.view import View
from screens.widgets import Detail, Headline


class EvidenceScreen(View, Screen[None]):
    """Everything the run knows of a step."""

    AUTO_FOCUS = "#detail"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,e,q", "dismiss", "Back", key_display="esc"),
        Binding("question_mark", "app.help", "Help", key_display="?"),
    ]

    def __init__(self, runner: Runner, step: Step) -> None:
        super().__init__()
        self._runner = runner
        self._step = step

    def compose(self) -> ComposeResult:
        yield Headline(self._runner)
        yield Detail()
        yield Footer()

    def on_mount(self) -> None:
        self.show_state()

    def show_state(self) -> None:
        self.query_one(Headline).show()
        self.query_one(Detail).show(describe(self._runner, self._step), top=False)

    def show_clock(self) -> None:
        self.query_one(Headline).show()

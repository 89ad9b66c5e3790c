"""The application of the first start: it asks what to do, and answers with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.app import App
from textual.driver import Driver

import screens
from dixis_tui.console import answers
from dixis_tui.console.terminal import driver_for
from screens.start import QuestionsScreen, StartScreen


@dataclass(frozen=True)
class Choice:
    """What the operator chose: rehearse, the configuration that was written, or the folder of an old run."""

    rehearse: bool = False
    config: Path | None = None
    run: Path | None = None


class StartApp(App[Choice]):
    """`run()` answers the choice, None when the operator left."""

    TITLE = "dixis"
    CSS_PATH = Path(screens.__file__).parent / "start.tcss"

    def __init__(self, config: Path, folder: Path) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.ansi_color = None
        self._config = config
        self._folder = folder

    def get_driver_class(self) -> type[Driver]:
        return driver_for(super().get_driver_class())

    def get_default_screen(self) -> StartScreen:
        return StartScreen(self._config, answers.runs(self._folder))

    @on(StartScreen.Rehearse)
    def _rehearse(self) -> None:
        self.exit(Choice(rehearse=True))

    @on(StartScreen.Open)
    def _open(self, chosen: StartScreen.Open) -> None:
        self.exit(Choice(run=chosen.folder))

    @on(QuestionsScreen.Written)
    def _written(self, written: QuestionsScreen.Written) -> None:
        self.exit(Choice(config=written.config))

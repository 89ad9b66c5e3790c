"""The log on the whole screen: by level and step, searched, followed, copied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from dixis_tui.model import LEVELS, Level
from dixis_tui.phrase import counted
from dixis_tui.record.log import LogLine, LogReader
from dixis_tui.runner import Runner
from screens import words
from screens.listing import Column, Listing, tail
from screens.lists import ListScreen

STYLES: dict[Level, str] = {"debug": "dim", "info": "", "warn": "bold yellow", "error": "bold red"}
KEPT = 20_000  # lines; older ones are in the file


class LogScreen(ListScreen[tuple[int, LogLine]]):
    """Everything that was said and what happened, the newest at the end."""

    SUBJECT = "log"
    INTRO = (
        "What the steps said and what the journal recorded. / searches and goes to the next match, & leaves only lines"
        " with a text, v leaves out lower levels, s leaves only the step of the selected line."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/", tooltip="search; Enter goes to the match above"),
        Binding("n", "match(-1)", "Next", show=False, tooltip="the match above, which is older"),
        Binding("N", "match(1)", "Previous", show=False, tooltip="the match below, which is newer"),
        Binding("ampersand", "filter", "Filter", key_display="&", tooltip="show only the lines that hold a text"),
        Binding("v", "level", "Level", tooltip="leave out lower levels: debug, info, warn, error"),
        Binding("s", "step", "Step", tooltip="only the step of the selected line, or all"),
        Binding("f", "follow", "Follow", tooltip="keep to the newest line, or not"),
        Binding("Y", "copy_all", "Copy all", show=False, tooltip="copy every line of the list"),
    ]

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner)
        self._reader = LogReader(runner.run_dir)
        self._lines: list[tuple[int, LogLine]] = []
        self._count = 0
        self._level: Level = "info"
        self._step: str | None = None
        self._follow = True
        self._sought = ""

    def below(self) -> Iterable[Widget]:
        yield Input(id="log-search", placeholder="search: a part of a line; Enter goes to it, n and N to others")

    def show_log(self, notices: object) -> None:
        self.show_list()

    def show_clock(self) -> None:
        super().show_clock()
        if self._runner.watch:
            self.show_list()

    def show_list(self) -> None:
        for one in self._reader.new():
            self._lines.append((self._count, one))
            self._count += 1
        del self._lines[:-KEPT]
        super().show_list()
        if self._follow and self.query(Listing):
            self.query_one(Listing).go(len(self._items) - 1)

    def items(self) -> Iterable[tuple[int, LogLine]]:
        levels = LEVELS[LEVELS.index(self._level) :]
        return [one for one in self._lines if one[1].level in levels and self._step in (None, one[1].step)]

    def key(self, item: tuple[int, LogLine]) -> int:
        return item[0]

    def columns(self) -> list[Column]:
        return [Column("Time", 8), Column("Level", 5), Column("Step", 26 if self.wide else 18), Column("What")]

    def cells(self, item: tuple[int, LogLine]) -> list[Text]:
        one = item[1]
        what = Text(one.text, STYLES[one.level])
        if self._sought:
            what.highlight_words([self._sought], "reverse", case_sensitive=False)
        level = Text(one.level, STYLES[one.level])
        return [
            Text(words.local_time(one.at), "dim"),
            level,
            Text(tail(one.step, 26 if self.wide else 18), "cyan"),
            what,
        ]

    def plain(self, item: tuple[int, LogLine]) -> str:
        one = item[1]
        return f"{words.local_time(one.at)} {one.level} {one.step or '-'} {one.text}"

    def heading(self, shown: Sequence[tuple[int, LogLine]]) -> Text:
        text = Text().append(counted(len(shown), "line"), "bold")
        text.append(f", {self._level} and above" if self._level != "debug" else ", every level")
        text.append(f", of {self._step or 'the console'}" if self._step is not None else ", all steps")
        text.append(", following the newest" if self._follow else ", standing still (f follows)", "dim")
        if self._sought:
            places = self._matches()
            text.append(f"\n'{self._sought}' in {counted(len(places), 'line')}; n goes up, N down", "bold")
        return text.append(f"\nAlso in {words.where(self._reader.path)}", "dim")

    # Keys

    def action_back(self) -> None:
        field = self.query_one("#log-search", Input)
        if field.has_focus or (self._sought and not self._wanted):
            field.value = self._sought = ""
            self._end_search()
        else:
            super().action_back()

    def action_search(self) -> None:
        self.open_field("#log-search")

    @on(Input.Changed, "#log-search")
    def _seek(self, event: Input.Changed) -> None:
        self._sought = event.value
        self.show_state()

    @on(Input.Submitted, "#log-search")
    def _end_search(self) -> None:
        self.close_field("#log-search")
        if self._sought and self.selected and not self._matching(self.selected):
            self.action_match(-1)

    def _matching(self, item: tuple[int, LogLine]) -> bool:
        return self._sought.casefold() in item[1].text.casefold()

    def _matches(self) -> list[int]:
        return [index for index, item in enumerate(self._items) if self._matching(item)] if self._sought else []

    def action_match(self, by: int) -> None:
        """To the next line that matches: up with -1, down with 1; behind the last it begins at the other end."""
        places, here = self._matches(), self.query_one(Listing).cursor
        if not places:
            return
        self._follow = False
        above, below = [p for p in places if p < here], [p for p in places if p > here]
        self.query_one(Listing).go((above or places)[-1] if by < 0 else (below or places)[0])
        self.show_state()

    def action_level(self) -> None:
        self._level = LEVELS[(LEVELS.index(self._level) + 1) % len(LEVELS)]
        self.show_state()

    def action_step(self) -> None:
        self._step = self.selected[1].step if self._step is None and self.selected else None
        self.show_state()

    def action_follow(self) -> None:
        self._follow = not self._follow
        self.show_state()

    def action_copy(self) -> None:
        if self.selected:
            self.copy(self.plain(self.selected), "the line", also=str(self._reader.path))

    def action_copy_all(self) -> None:
        self.copy(
            "\n".join(map(self.plain, self._items)), counted(len(self._items), "line"), also=str(self._reader.path)
        )

    def on_listing_moved(self) -> None:
        """Whoever looks back does not want to be carried on; at the last line, again."""
        self._follow = self.query_one(Listing).cursor >= len(self._items) - 1
        self.call_later(self.show_state)

"""Exactly what was run: statements and command lines, secrets taken out, to read and to copy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget

from dixis_tui.phrase import counted
from dixis_tui.record.commandlog import Entry, Reader
from dixis_tui.runner import Runner
from screens import words
from screens.listing import Column, Listing, tail
from screens.lists import Below, ListScreen

KINDS = {"sql": "sql", "ask": "question", "shell": "command", "file": "file"}
STYLES = {"sql": "bold", "ask": "dim", "shell": "bold cyan", "file": "cyan"}


class CommandsScreen(ListScreen[tuple[int, Entry]]):
    """What was run, the newest at the end; below, the selected one as it can be copied."""

    SUBJECT = "commands"
    INTRO = (
        "Everything that was sent to the database or run on a host, as it was, secrets taken out. What a step runs"
        " again and again is one line with its count. Questions, which change nothing, are left out until v shows them."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "questions", "Questions", tooltip="show or leave out what only asked"),
        Binding("Y", "copy_all", "Copy all", tooltip="copy every command of the list"),
        Binding("f", "follow", "Follow", tooltip="keep to the newest line, or not"),
    ]

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner)
        self._reader = Reader(runner.run_dir)
        self._entries: list[Entry] = []
        self._questions = False
        self._follow = True

    def below(self) -> Iterable[Widget]:
        yield Below()

    def show_list(self) -> None:
        self._entries += self._reader.new()
        super().show_list()
        if self._follow and self.query(Listing):
            self.query_one(Listing).go(len(self._items) - 1)

    def show_clock(self) -> None:
        super().show_clock()
        if new := self._reader.new():
            self._entries += new
            self.show_list()

    def items(self) -> Iterable[tuple[int, Entry]]:
        return [(n, one) for n, one in enumerate(self._entries) if self._questions or one.kind != "ask"]

    def key(self, item: tuple[int, Entry]) -> int:
        return item[0]

    def columns(self) -> list[Column]:
        where = [Column("Where", 34)] if self.wide else []
        return [Column("Time", 8), Column("Step", 22 if self.wide else 16), Column("Kind", 8), *where, Column("What")]

    def cells(self, item: tuple[int, Entry]) -> list[Text]:
        one = item[1]
        what = Text().append(f"again {one.again:,}×: " if one.again else "", "dim").append(" ".join(one.text.split()))
        where = [Text(one.where, "dim")] if self.wide else []
        kind = Text(KINDS[one.kind], STYLES[one.kind])
        return [
            Text(words.local_time(one.at), "dim"),
            Text(tail(one.step, 22 if self.wide else 16), "cyan"),
            kind,
            *where,
            what,
        ]

    def plain(self, item: tuple[int, Entry]) -> str:
        one = item[1]
        return f"{one.step} {KINDS[one.kind]} {one.where} {one.text}"

    def heading(self, shown: Sequence[tuple[int, Entry]]) -> Text:
        asked = sum(one.kind == "ask" for one in self._entries)
        text = Text().append(counted(len(shown), "command"), "bold")
        text.append(f", {counted(asked, 'question')} {'among them' if self._questions else 'left out (v)'}")
        text.append(", following the newest" if self._follow else ", standing still (f follows)", "dim")
        return text.append(f"\nAlso in {words.where(self._reader.path)}", "dim")

    def look(self, item: tuple[int, Entry] | None) -> None:
        if item is None:
            self.query_one(Below).show(Text("Nothing was run yet.", "dim"))
            return
        one = item[1]
        text = Text().append(f"{words.local_time(one.at)} {one.step or '-'}, {one.where}", "dim")
        text.append(f", run {counted(one.again, 'more time')}" if one.again else "", "bold")
        self.query_one(Below).show(text.append("\n").append(one.text, ""))

    def action_copy(self) -> None:
        if self.selected:
            self.copy(self.selected[1].text, "the command", also=str(self._reader.path))

    def action_copy_all(self) -> None:
        lines = [line for _, one in self._items for line in one.lines()]
        self.copy("\n".join(lines), counted(len(self._items), "command"), also=str(self._reader.path))

    def action_questions(self) -> None:
        self._questions = not self._questions
        self.show_state()

    def action_follow(self) -> None:
        self._follow = not self._follow
        self.show_state()

    def on_listing_moved(self) -> None:
        """Whoever looks back does not want to be carried on; at the last line, again."""
        self._follow = self.query_one(Listing).cursor >= len(self._items) - 1
        self.call_later(self.show_state)

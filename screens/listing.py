"""A list of which only the lines on the screen are drawn, so that its length costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

GAP = 1  # cells between two columns
CURSOR = Style(reverse=True, bold=True)


@dataclass(frozen=True)
class Column:
    """A column of a list. width: cells, 0 for the one that takes what the others leave; right: numbers stand there."""

    label: str
    width: int = 0
    right: bool = False


def widths(columns: Sequence[Column], width: int) -> list[int]:
    """Cells of each column in a list so many cells wide."""
    fixed = sum(column.width for column in columns) + GAP * (len(columns) - 1)
    return [column.width or max(width - fixed, 8) for column in columns]


def tail(text: str, width: int) -> str:
    """The end of a text, for names that begin alike."""
    return text if len(text) <= width else f"…{text[1 - width :]}"


def line(columns: Sequence[Column], cells: Sequence[Text], width: int) -> Text:
    """Cells beside each other, each cut or filled to the width of its column."""
    text = Text()
    for column, cell, room in zip(columns, cells, widths(columns, width), strict=True):
        shown = cell.copy()
        shown.truncate(room, overflow="ellipsis")
        if column.right:
            shown.pad_left(room - shown.cell_len)
        else:
            shown.pad_right(room - shown.cell_len)
        text.append_text(shown).append(" " * GAP)
    text.right_crop(GAP)
    return text


class Listing(ScrollView, can_focus=True):
    """Lines by key. The cursor stays with its line when lines move, and at the top until the operator leaves it."""

    DEFAULT_CSS = """
    Listing { height: 1fr; width: 1fr; background: $background; scrollbar-size-vertical: 1; overflow-x: hidden;
        scrollbar-gutter: stable; }
    Listing:focus { background-tint: transparent 0%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "end(0)", "First", show=False),
        Binding("end", "end(-1)", "Last", show=False),
        Binding("enter", "select", "Open", show=False),
    ]

    class Highlighted(Message):
        """The cursor stands on another line."""

    class Moved(Message):
        """The operator has moved the cursor."""

    class Selected(Message):
        """Enter, or a click, on the line under the cursor."""

    def __init__(self) -> None:
        super().__init__(id="listing")
        self._keys: Sequence[Hashable] = ()
        self._line: Callable[[int, int], Text] = lambda _index, _width: Text()
        self._moved = False
        self.cursor = 0

    def show(self, keys: Sequence[Hashable], line: Callable[[int, int], Text]) -> None:
        """Show these lines. line: what the line of that index is, in so many cells; asked when it is on the screen."""
        here = self._keys[self.cursor] if self._moved and self.cursor < len(self._keys) else None
        before = self._keys[self.cursor] if self.cursor < len(self._keys) else None
        self._keys, self._line = keys, line
        if here is not None and here in keys:
            self.cursor = keys.index(here)
        self.cursor = max(0, min(self.cursor, len(keys) - 1))
        self.virtual_size = Size(self.room, len(keys))
        self._follow()
        self.refresh()
        if not keys or keys[self.cursor] != before:
            self.post_message(self.Highlighted())

    @property
    def room(self) -> int:
        """Cells of a line."""
        return self.scrollable_content_region.width

    def go(self, index: int) -> None:
        """Put the cursor there; it stays with that line from now on, but for the first."""
        index = max(0, min(index, len(self._keys) - 1))
        self._moved = index > 0
        changed, self.cursor = index != self.cursor, index
        self._follow()
        self.refresh()
        if changed:
            self.post_message(self.Highlighted())

    def _follow(self) -> None:
        """Keep the cursor on the screen."""
        top, height = self.scroll_offset.y, max(self.size.height, 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        index, width = self.scroll_offset.y + y, self.room
        if index >= len(self._keys):
            return Strip.blank(width, self.rich_style)
        text = self._line(index, width)
        here = index == self.cursor and self.has_focus
        segments = Text(text.plain).render(self.app.console) if here else text.render(self.app.console)
        strip = Strip(segments).adjust_cell_length(width)
        return strip.apply_style(self.rich_style + CURSOR if here else self.rich_style)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.room, len(self._keys))
        self._follow()

    def on_click(self, event: events.Click) -> None:
        index = self.scroll_offset.y + event.y
        if index < len(self._keys):
            again = index == self.cursor
            self._by_hand(index)
            if again:
                self.post_message(self.Selected())

    def _by_hand(self, index: int) -> None:
        self.go(index)
        self.post_message(self.Moved())

    def action_move(self, by: int) -> None:
        self._by_hand(self.cursor + by)

    def action_page(self, by: int) -> None:
        self._by_hand(self.cursor + by * max(self.size.height - 1, 1))

    def action_end(self, index: int) -> None:
        self._by_hand(index % max(len(self._keys), 1))

    def action_select(self) -> None:
        if self._keys:
            self.post_message(self.Selected())

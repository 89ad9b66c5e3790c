"""What every whole-screen list has in common: a title, columns, a filter, copying, the way back."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from dixis_tui.runner import Runner
from screens.footer import Footer
from screens.listing import Column, Listing, line
from screens.view import View
from screens.widgets import Headline

T = TypeVar("T")


class Below(VerticalScroll):
    """What is known of the selected item, under the list; long text scrolls."""

    DEFAULT_CSS = """
    Below { height: 8; padding: 0 1; border-top: solid ansi_default; scrollbar-size-vertical: 1; }
    .-tall Below { height: 14; }
    """

    def __init__(self) -> None:
        super().__init__(Static(id="below-text", markup=False), id="below")

    def show(self, text: Text) -> None:
        self.query_one("#below-text", Static).update(text)
        self.scroll_home(animate=False)


class ListScreen(View, Screen[None], Generic[T]):
    """A list of items that follows the run. What kind of items is for the classes made of it to say.

    SUBJECT: what the list is of, in one word; INTRO: what the screen is for, for its help.
    """

    SUBJECT: ClassVar[str] = ""
    INTRO: ClassVar[str] = ""
    DEFAULT_CSS = """
    ListScreen #list-body { height: 1fr; }
    ListScreen #list-title { height: auto; max-height: 5; padding: 0 1; }
    ListScreen #list-head { height: 1; padding: 0 1; text-style: bold underline; text-wrap: nowrap; }
    ListScreen Listing { padding: 0 0 0 1; }
    ListScreen Input { display: none; margin: 0 1; }
    """
    AUTO_FOCUS = "#listing"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back", key_display="esc", tooltip="take the filter away; then go back"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="show only the lines that hold a text"),
        Binding("y", "copy", "Copy", tooltip="copy the selected line to the terminal's clipboard"),
        Binding("question_mark", "app.help", "Help", key_display="?", tooltip="help: the keys of this screen"),
    ]

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner
        self._wanted = ""
        self._items: list[T] = []

    def compose(self) -> ComposeResult:
        yield Headline(self._runner)
        with Vertical(id="list-body"):
            yield Static(id="list-title", markup=False)
            yield Static(id="list-head", markup=False)
            yield Listing()
            yield from self.below()
            yield Input(id="list-filter", placeholder="filter: a part of a line; Enter keeps it, Esc takes it away")
        yield Footer()

    def on_mount(self) -> None:
        self.call_after_refresh(self.show_state)

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_state)

    # For the classes made of this one; the metaclass of widgets leaves no room for abstract methods.

    def below(self) -> Iterable[Widget]:
        """Widgets between the list and the filter."""
        return ()

    def items(self) -> Iterable[T]:
        """Everything there is to list, in its order."""
        raise NotImplementedError

    def key(self, item: T) -> Hashable:
        """What tells an item from all others."""
        raise NotImplementedError

    def columns(self) -> Sequence[Column]:
        """The columns that fit the screen's width."""
        raise NotImplementedError

    def cells(self, item: T) -> Sequence[Text]:
        """An item, column by column."""
        raise NotImplementedError

    def heading(self, shown: Sequence[T]) -> Text:
        """What stands above the list."""
        raise NotImplementedError

    def plain(self, item: T) -> str:
        """An item as text: what a filter looks in, and what is copied."""
        return "  ".join(cell.plain.strip() for cell in self.cells(item))

    def look(self, item: T | None) -> None:
        """The cursor stands on this item now."""

    # The list

    @property
    def wide(self) -> bool:
        return self.size.width >= 120

    @property
    def selected(self) -> T | None:
        cursor = self.query_one(Listing).cursor
        return self._items[cursor] if 0 <= cursor < len(self._items) else None

    def show_state(self) -> None:
        """The list, and which keys mean something now."""
        self.show_list()
        self.refresh_bindings()

    def show_list(self) -> None:
        """The list alone: what may be asked for many times a second."""
        if not self.is_mounted or not self.query(Listing):
            return
        wanted = self._wanted.casefold()
        self._items = [item for item in self.items() if not wanted or wanted in self.plain(item).casefold()]
        columns, items = self.columns(), self._items
        title = self.heading(items)
        if self._wanted:
            title.append(f"\nOnly lines with '{self._wanted}': {len(items)}. Esc shows all.", "bold")
        self.query_one(Headline).show()
        self.query_one("#list-title", Static).update(title)
        listing = self.query_one(Listing)
        listing.show(
            [self.key(item) for item in items], lambda index, width: line(columns, self.cells(items[index]), width)
        )
        labels = [Text(column.label) for column in columns]
        self.query_one("#list-head", Static).update(line(columns, labels, listing.room))
        self.look(self.selected)

    def show_clock(self) -> None:
        for headline in self.query(Headline):
            headline.show()

    @on(Listing.Highlighted)
    def _highlighted(self) -> None:
        self.look(self.selected)

    # Keys

    def action_back(self) -> None:
        field = self.query_one("#list-filter", Input)
        if field.has_focus or self._wanted:
            field.value = self._wanted = ""
            self._end_filter()
        else:
            self.dismiss()

    def action_filter(self) -> None:
        self.open_field("#list-filter")

    def open_field(self, selector: str) -> None:
        """Show a field and type into it, from the very next key on: that key may mean something to the list."""
        field = self.query_one(selector, Input)
        field.display = True
        self.set_focus(field)

    def close_field(self, selector: str) -> None:
        self.set_focus(self.query_one(Listing))
        self.query_one(selector, Input).display = False
        self.show_state()

    @on(Input.Changed, "#list-filter")
    def _typed(self, event: Input.Changed) -> None:
        self._wanted = event.value.strip()
        self.show_state()

    @on(Input.Submitted, "#list-filter")
    def _end_filter(self) -> None:
        self.close_field("#list-filter")

    def action_copy(self) -> None:
        if (item := self.selected) is not None:
            self.copy(self.plain(item), "the selected line")

    def copy(self, text: str, what: str, *, also: str = "") -> None:
        """To the clipboard, by the terminal's own sequence for it, which not every terminal heeds."""
        self.app.copy_to_clipboard(text)
        self.notify(f"Copied {what}, if your terminal takes it.{also and f' It also stands in {also}'}", markup=False)

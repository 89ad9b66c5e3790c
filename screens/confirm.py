"""The question before anything is changed: what exactly would be done, and a yes that cannot slip out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from dixis_tui.model import DixisError
from screens.deliberate import Deliberate


class ConfirmDialog(Deliberate, ModalScreen[bool]):
    """Shows what prepare answers and asks; True only for a clear yes.

    prepare: the lines to show, called in a thread because looking may take a while; no yes is taken before it ended.
    word: what must be typed; empty when y or Enter is enough. go: what yes means, as a verb. production: this is it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "Back"),
        Binding("n", "dismiss(False)", "No", show=False),
        Binding("enter,y", "yes", "Yes"),
        Binding("up", "scroll(-1)", "Up", show=False),
        Binding("down", "scroll(1)", "Down", show=False),
        Binding("pageup", "scroll(-8)", "Page up", show=False),
        Binding("pagedown", "scroll(8)", "Page down", show=False),
    ]

    def __init__(
        self, title: str, prepare: Callable[[], Sequence[str]], *, go: str, word: str = "", production: bool = False
    ) -> None:
        super().__init__()
        self._title = title
        self._prepare = prepare
        self._go = go
        self._word = word
        self._production = production
        self._ready = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(self._title)  # a title may hold brackets
            with VerticalScroll(id="confirm-body", classes="dialog-body", can_focus=False):
                yield Static("Looking at what would be done…", id="confirm-text", markup=False)
            if self._word:
                where = "This is PRODUCTION. " if self._production else ""
                yield Static(f"{where}To {self._go}, type {self._word} and press Enter.", markup=False)
                yield Input(id="confirm-word")
            yield Static("", id="confirm-problem", classes="problem", markup=False)
            keys = "Enter: " if self._word else "Enter or y: "
            yield Static(
                f"{keys}{self._go}   Esc: back, nothing is done   ↑↓: scroll", classes="dialog-keys", markup=False
            )

    def on_mount(self) -> None:
        self.run_worker(self._look(), exit_on_error=False)

    async def _look(self) -> None:
        try:
            lines = await asyncio.to_thread(self._prepare)
        except DixisError as error:
            self._refuse("This cannot be shown, so it is not done.", *error.lines())
        except Exception as error:
            self._refuse("This cannot be shown, so it is not done.", f"{type(error).__name__}: {error}")
        else:
            self._ready = True
            self._asked_at = time.monotonic()
            self._problem("")
            self.query_one("#confirm-text", Static).update("\n".join(lines) or "Nothing would be changed.")

    def _refuse(self, *lines: str) -> None:
        self.query_one("#confirm-text", Static).update("\n".join(lines))
        self._problem("Esc goes back.")

    def on_key(self, event: events.Key) -> None:
        if event.key in ("enter", "y") and not self._word and not self.meant(event):
            event.stop()
            self._problem("That was too fast to have been read; nothing was done. Press it once more.")

    @on(Input.Submitted)
    def action_yes(self) -> None:
        if not self._ready:
            self._problem("What would be done is not known yet; wait for it, or Esc.")
        elif self._word and self.query_one(Input).value.strip() != self._word:
            self._problem(f"That is not {self._word}. Nothing was done.")
        else:
            self.dismiss(True)

    def action_scroll(self, by: int) -> None:
        self.query_one("#confirm-body").scroll_relative(y=by, animate=False)

    def _problem(self, text: str) -> None:
        self.query_one("#confirm-problem", Static).update(text)

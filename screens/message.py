"""A message the operator must read: what happened, what is safe, what next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.once import Once


class MessageDialog(Once, ModalScreen[None]):
    """Closed with Enter or Esc."""

    AUTO_FOCUS = "#message-body"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "Back")]

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(self._title)  # a title may hold brackets
            with VerticalScroll(id="message-body", classes="dialog-body"):
                yield Static("\n".join(self._lines), markup=False)
            yield Static("Enter or Esc: back", classes="dialog-keys", markup=False)

"""The last line of a screen: the keys that apply now. A click on one is as good as the key.

One widget, not Textual's row of them: those are made anew whenever a binding may have changed, and never let go of.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.screen import Screen
from textual.widget import Widget


class Footer(Widget, can_focus=False):
    """Every binding of the screen that is shown and enabled, once per action, as far as there is room."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"footer--key", "footer--description"}
    DEFAULT_CSS = """
    Footer {
        dock: bottom;
        height: 1;
        color: $footer-foreground;
        background: $footer-background;
        .footer--key {
            color: $footer-key-foreground;
            background: $footer-key-background;
            text-style: bold;
        }
        .footer--description {
            color: $footer-description-foreground;
            background: $footer-description-background;
        }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[tuple[str, str, str]] = []  # key, how it is shown, what it does

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._update)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _update(self, screen: Screen[Any]) -> None:
        shown: dict[str, tuple[str, str, str]] = {}
        for _, binding, enabled, _ in screen.active_bindings.values():
            if binding.show and enabled:
                key = binding.key, self.app.get_key_display(binding), binding.description
                shown.setdefault(binding.action, key)
        if self._keys != list(shown.values()):
            self._keys = list(shown.values())
            self.refresh()

    def render(self) -> Text:
        key_style, style = (self.get_component_rich_style(name) for name in ("footer--key", "footer--description"))
        text = Text(no_wrap=True, overflow="ellipsis")
        for _, display, description in self._keys:
            text.append(display, key_style).append(f" {description}", style).append(" ")
        return text

    def on_click(self, event: events.Click) -> None:
        end = 0
        for key, display, description in self._keys:
            begin, end = end, end + Text(f"{display} {description} ").cell_len
            if begin <= event.x < end - 1:
                self.app.simulate_key(key)

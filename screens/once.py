"""A screen that is left once: a second Enter may be on its way when the first one closes a dialog."""

from __future__ import annotations

from typing import Any

from textual.await_complete import AwaitComplete
from textual.screen import Screen


class Once:
    """For every screen. Textual would close the screen below in its place, or end with a traceback."""

    def dismiss(self, result: Any = None) -> AwaitComplete:
        assert isinstance(self, Screen)
        if self.app.screen is not self:
            return AwaitComplete()
        return Screen.dismiss(self, result)

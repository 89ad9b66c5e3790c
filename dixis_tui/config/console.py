"""[console]."""

from __future__ import annotations

from typing import Literal

from dixis_tui.config.base import Section


class Console(Section):
    """[console]: how it looks."""

    theme: Literal["terminal", "dark", "light", "high-contrast", "monochrome"] = "terminal"

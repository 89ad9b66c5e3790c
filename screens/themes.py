"""How the console looks: the terminal's own colours, dark, light, high contrast, or none at all.

Texts name the sixteen colours of a terminal; a theme says what they are. States stand in words and signs in each.
"""

from __future__ import annotations

import os

from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

from dixis_tui.config import Config
from dixis_tui.model import DixisError

NAMES = ("terminal", "dark", "light", "high-contrast", "monochrome")
# Themes that leave colours to the terminal; the last of them shows none.
ANSI_VARIABLES = {
    "line": "ansi_default",
    "ansi-background": "ansi_black",
    "ansi-foreground": "ansi_white",
    "block-cursor-foreground": "ansi_black",
    "block-cursor-background": "ansi_white",
    "input-cursor-background": "ansi_black",
    "input-cursor-foreground": "ansi_bright_white",
    "input-selection-background": "ansi_bright_blue",
    "input-selection-foreground": "ansi_black",
    "screen-selection-background": "ansi_bright_blue",
    "screen-selection-foreground": "ansi_black",
}


def _ansi(name: str) -> Theme:
    return Theme(
        name=name,
        ansi=True,
        primary="ansi_blue",
        secondary="ansi_cyan",
        accent="ansi_green",
        success="ansi_green",
        warning="ansi_yellow",
        error="ansi_red",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        variables=dict(ANSI_VARIABLES),
    )


def _plain(name: str, ink: str, paper: str, line: str, accent: str, *, dark: bool) -> Theme:
    """A theme of few colours; error and warning are said by the texts themselves."""
    return Theme(
        name=name,
        dark=dark,
        primary=accent,
        secondary=accent,
        accent=accent,
        foreground=ink,
        background=paper,
        surface=paper,
        panel=paper,
        error="#ff6b6b" if dark else "#a4161a",
        warning="#e5c07b" if dark else "#7a4f00",
        success="#8fd19e" if dark else "#14632d",
        variables={"line": line, "footer-key-foreground": accent},
    )


THEMES = (
    _ansi("terminal"),
    _plain("dark", "#d7dce2", "#15191f", "#4a5563", "#7cb7e8", dark=True),
    _plain("light", "#1d2126", "#fbfaf7", "#a9adb3", "#0b5394", dark=False),
    _plain("high-contrast", "#ffffff", "#000000", "#ffffff", "#00ffff", dark=True),
    _ansi("monochrome"),
)


def _colours(ink: str, paper: str, *colours: str) -> TerminalTheme:
    """The terminal's colours from black to white, bright ones the same; then the bright black."""
    normal = [_rgb(colour) for colour in colours]
    return TerminalTheme(_rgb(paper), _rgb(ink), normal[:8], [normal[8], *normal[1:8]])


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


# What the sixteen names mean: black red green yellow blue magenta cyan white, bright black.
MEANINGS = {
    "dark": _colours(
        *("#d7dce2", "#15191f"),
        *("#15191f", "#ff7b72", "#8fd19e", "#e5c07b", "#7cb7e8", "#d2a8ff", "#76d4d6", "#f2f4f6", "#8b949e"),
    ),
    "light": _colours(
        *("#1d2126", "#fbfaf7"),
        *("#1d2126", "#a4161a", "#14632d", "#7a4f00", "#0b5394", "#6f2c91", "#075e66", "#ffffff", "#5a6068"),
    ),
    "high-contrast": _colours(
        *("#ffffff", "#000000"),
        *("#000000", "#ff8080", "#80ff80", "#ffff00", "#80c0ff", "#ff80ff", "#00ffff", "#ffffff", "#d0d0d0"),
    ),
}


def wanted(config: Config) -> str:
    """The theme the environment asks for, else the configuration. Raises DixisError for one there is not."""
    name = os.environ.get("DIXIS_THEME") or config.console.theme
    if name not in NAMES:
        raise DixisError(
            f"There is no theme named {name!r}.", next_step=f"set DIXIS_THEME to one of: {', '.join(NAMES)}"
        )
    return name

"""Keys and words of the screen one is on, for whoever sits here for the first time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from dixis_tui.runner import Runner
from screens import words
from screens.footer import Footer
from screens.once import Once
from screens.run import RunScreen

KEYS = (
    ("↑ ↓", "select a step"),
    ("← → or [ ]", "previous, next phase; 0 to 9 go to one"),
    ("Enter", "do the selected step: run a check, show what it found, preview and run an action, sign"),
    ("r", "run the phase from its first open step"),
    ("t", "ask the selected check again"),
    ("R", "ask all checks of Preflight again"),
    ("n", "go to the step that is next"),
    ("s", "sign the selected sign-off or gate"),
    ("w", "waive a warning, or a check that did not pass, with name and reason"),
    ("x", "stop the running step at its next safe point"),
    ("z", "pause the running step at its next safe point; once more, it goes on"),
    ("e", "the selected step on the whole screen, with all its evidence"),
    ("d", "the comparison table by table; Enter there: the rows that differ, both sides beside each other"),
    ("p", "hide or show the progress of a step"),
    ("l", "make the log bigger or smaller"),
    ("Tab", "move between checklist, progress, detail and log, to scroll them"),
    ("Ctrl+R", "ROLLBACK, from every screen and dialog; asks for a typed word"),
    ("Ctrl+P", "all commands, phases and steps, found by typing"),
    ("m", "the watch of the server: values, limits, triggers; there h changes the span, e tells more"),
    ("T", "the next theme; Ctrl+P finds each by its name"),
    ("?", "help: these keys and words"),
    ("q, Ctrl+Q", "quit; asks while a step runs"),
)
# Keys that work on every screen.
EVERYWHERE = (
    ("a", "all tables while they are copied, and the files: rows, bytes, rate, time left; slower, faster"),
    ("c", "the commands that were run, word for word, to copy"),
    ("L", "the log on the whole screen: levels, filter, search"),
    ("/", "find a step of the plan; in a list, show only the lines that hold a text"),
)
KINDS = (
    ("check", "reads, changes nothing"),
    ("action", "changes something; first shows exactly what, is safe to run twice, says how it is undone"),
    ("sign-off", "a person confirms, with name and note"),
    ("gate", "go or no-go, with the signatures the plan asks for"),
)


class HelpScreen(Once, Screen[None]):
    """Scrolls; Esc goes back."""

    AUTO_FOCUS = "#help-body"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Back", key_display="esc"),
    ]

    def __init__(self, screen: Screen[Any]) -> None:
        """screen: the one to tell about."""
        super().__init__()
        self._about = screen

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help-body"):
            yield Static(_text(self._about, self.app.get_key_display), markup=False)
            yield Static(_people(getattr(self.app, "runner", None)), markup=False)
        yield Footer()


def keys(screen: type[Screen[Any]], display: Callable[[Binding], str]) -> Iterator[tuple[str, str]]:
    """The keys of a kind of screen and what they do, as its bindings say it; display: a key as it is printed."""
    seen: set[str] = set()
    for kind in screen.__mro__:
        for binding in vars(kind).get("BINDINGS", ()):
            if not isinstance(binding, Binding) or binding.key in seen:
                continue
            seen.add(binding.key)
            meaning = binding.tooltip or (binding.description if binding.show else "")
            if meaning:
                yield binding.key_display or display(binding), meaning


def _text(screen: Screen[Any], display: Callable[[Binding], str]) -> Text:
    text = Text()
    intro = getattr(screen, "INTRO", "")
    if intro:
        text.append(f"{intro}\n\n")
    text.append("Keys\n", "bold")
    mine = () if isinstance(screen, RunScreen) else tuple(keys(type(screen), display))
    for key, meaning in mine or KEYS:
        text.append(f"  {key:<12}", "bold cyan").append(f"{meaning}\n")
    text.append("\nEverywhere\n" if mine else "", "bold")
    known = {key for key, _ in mine or KEYS}
    rollback = tuple(pair for pair in KEYS if pair[0] in ("Ctrl+R", "Ctrl+P", "q, Ctrl+Q")) if mine else ()
    for key, meaning in (*EVERYWHERE, *rollback):
        if key not in known:
            text.append(f"  {key:<12}", "bold cyan").append(f"{meaning}\n")
    text.append("\nStates\n", "bold")
    for status, meaning in words.MEANINGS.items():
        text.append("  ").append_text(words.state(status)).append(" " * (13 - len(status))).append(f"{meaning}\n")
    text.append("\nSteps\n", "bold")
    for kind, meaning in KINDS:
        text.append(f"  {kind:<12}", "bold cyan").append(f"{meaning}\n")
    return text


def _people(runner: Runner | None) -> Text:
    """Who has which role, and who is called when the night goes wrong."""
    people = runner.config.people if runner else None
    named = {**people.roles(), "emergency contact": people.emergency_contact} if people else {}
    text = Text("\nPeople\n" if any(named.values()) else "", "bold")
    for role, name in named.items():
        if name:
            text.append(f"  {role:<20}", "bold cyan").append(f"{name}\n")
    return text

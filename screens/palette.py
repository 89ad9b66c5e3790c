"""The command palette: every action, phase and step, found by typing a few letters of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from textual.binding import Binding
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.css.query import NoMatches
from textual.message import Message
from textual.screen import Screen
from textual.worker import Worker

from screens import themes, words
from screens.once import Once
from screens.run import RunScreen

# Actions of keys that make no command of their own: to move, to leave, and what stands here by another name.
NO_COMMANDS = ("app.", "turn", "phase", "busy", "dismiss", "scroll", "screen.")
PLACES = (
    ("All tables", "a", "app.tables"),
    ("Commands that were run", "c", "app.commands"),
    ("Log on the whole screen", "L", "app.log"),
    ("Find a step", "/", "app.steps"),
)


class Palette(Once, CommandPalette):
    """Textual's, which keys that come faster than it is drawn do not end."""

    def _action_command_list(self, action: str) -> None:
        with suppress(LookupError):  # its list has no lines yet
            super()._action_command_list(action)

    def run_worker(self, *arguments: Any, **options: Any) -> Worker[Any]:
        """The search, too, may find no list any more."""
        return super().run_worker(*arguments, **{**options, "exit_on_error": False})

    async def _on_message(self, message: Message) -> None:
        """What was typed last may come when the palette has been closed, its widgets gone or not there yet."""
        try:
            await super()._on_message(message)
        except (NoMatches, IndexError):
            if self.app.screen is self:
                raise


class Command(NamedTuple):
    title: str
    help: str
    run: Callable[[], Awaitable[object] | None]


class ConsoleCommands(Provider):
    """What the present screen can do now, what is always there, and on the main screen every phase and step."""

    async def discover(self) -> Hits:
        for command in self._commands():
            yield DiscoveryHit(Content(command.title), command.run, text=command.title, help=command.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._commands():
            score = matcher.match(command.title)
            if score > 0:
                yield Hit(score, Content(command.title), command.run, text=command.title, help=command.help)

    def _commands(self) -> Iterator[Command]:
        yield Command(
            "Rollback", "Take the application back to SQLite; asks for a typed word", self._action("app.rollback")
        )
        yield Command("Help", "Keys and words of this screen", self._action("app.help"))
        for name in themes.NAMES:
            yield Command(f"Theme: {name}", "How the console looks", self._action(f"app.theme('{name}')"))
        for title, key, action in PLACES:
            yield Command(title, f"Key {key}", self._action(action))
        yield from self._of(self.screen)
        if isinstance(self.screen, RunScreen):
            yield from self._of_run(self.screen)

    def _of(self, screen: Screen[Any]) -> Iterator[Command]:
        """What the keys of a screen do, where they do something now."""
        seen = set()
        for kind in type(screen).__mro__:
            for binding in vars(kind).get("BINDINGS", ()):
                if not isinstance(binding, Binding) or binding.action.startswith(NO_COMMANDS) or binding.key in seen:
                    continue
                seen.add(binding.key)
                if binding.description and screen.check_action(binding.action, ()):
                    words_for_it = binding.tooltip or f"Key {binding.key}"
                    yield Command(binding.description, words_for_it, partial(screen.run_action, binding.action))

    def _of_run(self, screen: RunScreen) -> Iterator[Command]:
        for number, phase in enumerate(screen.plan.phases):
            yield Command(
                f"Phase {words.phase_name(screen.plan, phase)}",
                f"Key {number}",
                partial(screen.run_action, f"phase({number})"),
            )
            for step in phase.steps:
                yield Command(f"Step: {step.title}", step.id, partial(screen.go, step.id))

    def _action(self, action: str) -> Callable[[], Awaitable[object]]:
        return partial(self.app.run_action, action)

"""The command palette: every action, phase and step, found by typing a few letters of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import NamedTuple

from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from screens import themes, words
from screens.run import RunScreen


class Command(NamedTuple):
    title: str
    help: str
    run: Callable[[], Awaitable[object] | None]


class ConsoleCommands(Provider):
    """On the main screen everything; elsewhere what is always there."""

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
        yield Command("Help", "Keys and words", self._action("app.help"))
        for name in themes.NAMES:
            yield Command(f"Theme: {name}", "How the console looks", self._action(f"app.theme('{name}')"))
        screen = self.screen
        if isinstance(screen, RunScreen):
            yield from self._of_run(screen)

    def _of_run(self, screen: RunScreen) -> Iterator[Command]:
        for binding in screen.BINDINGS:
            if not isinstance(binding, Binding) or binding.action.startswith(("app.", "turn", "phase", "busy")):
                continue
            if screen.check_action(binding.action, ()):
                yield Command(binding.description, f"Key {binding.key}", partial(screen.run_action, binding.action))
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

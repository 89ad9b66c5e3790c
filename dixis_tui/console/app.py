"""The console: hears the runner and the screens, and begins what they ask for; the screens render what it tells them.

Notices of the runner come from any thread. They are collected and handed to the screens a few times a second, so a
burst of progress costs one repaint; an event is never lost, because what is shown is always `runner.state`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from rich.terminal_theme import TerminalTheme
from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.filter import LineFilter, NoColor
from textual.screen import ModalScreen, Screen
from textual.worker import Worker

import screens
from dixis_tui.console.conversations import Conversations
from dixis_tui.console.tasks import Tasks
from dixis_tui.console.terminal import driver_for
from dixis_tui.model import FAILED, DixisError, Kind, Progress
from dixis_tui.monitoring.watching import Watching
from dixis_tui.openrun import Notice
from dixis_tui.record.journal import Event
from dixis_tui.record.log import LogLine
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Step
from screens import requests, themes
from screens.board import Board
from screens.commands import CommandsScreen
from screens.help import HelpScreen
from screens.log import LogScreen
from screens.message import MessageDialog
from screens.palette import ConsoleCommands, Palette
from screens.rollback import RollbackScreen
from screens.run import RunScreen
from screens.steps import StepsScreen
from screens.tables import FILES, TablesScreen
from screens.view import View
from screens.watch import WatchScreen

TICK = 0.1  # seconds between two looks at what has come in
TURN = 0.001  # seconds a thread of the copy may keep Python while a key waits; a fifth of what is usual
WATCH = 0.5  # seconds between two looks at a run that another console drives
LOG_BACKLOG = 2000  # lines waiting for the log pane; older ones are in console.log
LEAST_KIB = 64  # a lower limit for rsync would only look like silence
WIDTHS: list[tuple[int, str]] | None = [(0, "-narrow"), (100, "-medium"), (120, "-wide")]
HEIGHTS: list[tuple[int, str]] | None = [(0, "-low"), (36, "-tall")]


class ConsoleApp(App[int]):
    """The operator's console on one run. `run()` answers the exit code."""

    TITLE = "dixis"
    CSS_PATH = Path(screens.__file__).parent / "console.tcss"
    COMMANDS = App.COMMANDS | {ConsoleCommands}
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "rollback", "ROLLBACK", key_display="^R", priority=True),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("a", "tables", "All tables", show=False),
        Binding("c", "commands", "Commands", show=False),
        Binding("L", "log", "Log", show=False),
        Binding("slash", "steps", "Find a step", show=False),
    ]

    def __init__(self, runner: Runner) -> None:
        # The terminal's own colours, said before the theme is set: with NO_COLOR the filter is chosen right there.
        super().__init__(ansi_color=True)
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.theme = themes.wanted(runner.config)
        self.ansi_color = None
        self.runner = runner
        self._board = Board()
        self._notices: deque[Event | LogLine] = deque(maxlen=LOG_BACKLOG)
        self._changed = False
        self._driving: tuple[str | None, bool, bool] = (None, False, False)
        self._tasks = Tasks(self, runner, self._show)
        self._conversations = Conversations(self, runner)
        self._leaving = False
        self._gone = False
        self._watching: Watching | None = None
        self._sampling: Worker[None] | None = None

    def get_driver_class(self) -> type[Driver]:
        """A terminal may go away; in a browser there is none."""
        return driver_for(super().get_driver_class())

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"line": self.current_theme.foreground or "ansi_default"}

    @property
    def ansi_theme(self) -> TerminalTheme:
        """What the colours that texts name look like in the theme of the moment."""
        return themes.MEANINGS.get(self.theme, super().ansi_theme)

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = super().get_line_filters()
        return [*filters, NoColor()] if self.theme == "monochrome" and not self.no_color else filters

    def get_default_screen(self) -> Screen[None]:
        return RunScreen(self.runner, self._board)

    def on_mount(self) -> None:
        self._turns = sys.getswitchinterval()
        sys.setswitchinterval(TURN)
        forget = self.runner.listen(self._heard)
        self._forget: Callable[[], None] = forget
        self.set_interval(TICK, self._tick)
        self.set_interval(1.0, self._clock)
        if self.runner.watch:
            self.set_interval(WATCH, self._read_again)

    def on_ready(self) -> None:
        # What is there by now stays until the end: the collector need not walk through it again while a key waits.
        gc.freeze()

    def on_unmount(self) -> None:
        sys.setswitchinterval(self._turns)
        gc.unfreeze()
        self._forget()
        if self._watching:
            self._watching.close()

    @property
    def busy(self) -> bool:
        """True while a step, a phase or the rollback is at work."""
        return self._tasks.busy

    # What the runner says

    def _heard(self, notice: Notice) -> None:
        """Collect a notice. Called from any thread."""
        if isinstance(notice, Progress):
            self._board.take(notice)
            return
        if isinstance(notice, Event) and notice.kind == "step-started":
            self._board.forget(notice.data["step"])
        self._notices.append(notice)
        self._changed |= isinstance(notice, Event)

    def _tick(self) -> None:
        changed, self._changed = self._changed, False
        lines = [self._notices.popleft() for _ in range(len(self._notices))]
        progressed = self._board.take_changed()

        def tell(view: View) -> None:
            if lines:
                view.show_log(lines)
            if changed:
                view.show_state()
            elif progressed:
                view.show_progress()

        self._each(tell)

    def _clock(self) -> None:
        self._each(lambda view: view.show_clock())
        self._watch_on()

    async def _read_again(self) -> None:
        """For a watcher: take in what the driving console recorded and said."""
        try:
            await asyncio.to_thread(self.runner.refresh)
        except DixisError as error:
            self.notify("\n".join(error.lines()), severity="error", markup=False)
            return
        now = (self.runner.running, self.runner.gate.paused, self.runner.driven())
        if now != self._driving:
            self._driving, self._changed = now, True

    def _each(self, tell: Callable[[View], None]) -> None:
        """Tell every screen; one that comes or goes may be without its widgets, and shows all when it is back."""
        for screen in self.screen_stack:
            if isinstance(screen, View) and screen.is_mounted:
                with contextlib.suppress(NoMatches):
                    tell(screen)

    def _show(self) -> None:
        self._changed = True
        self._tick()

    # Requests of the screens

    @on(requests.DoStep)
    def _do_step(self, request: requests.DoStep) -> None:
        if not self._tasks.free():
            return
        step = self.runner.plan.step(request.step_id)
        obstacle = self.runner.obstacle(step)
        if obstacle:
            self._not_now(f"{step.title} cannot be done now: {obstacle}.")
        elif step.work is None:
            self._tasks.ask(self._conversations.sign(step))
        elif step.kind is Kind.CHECK:
            self._tasks.run_step(step)
        else:
            self._tasks.ask(self._act(step))

    @on(requests.RunPhase)
    def _run_phase(self, request: requests.RunPhase) -> None:
        if not self._tasks.free():
            return
        phase = self.runner.plan.phase(request.phase_id)
        open_steps = [step for step in phase.steps if not self.runner.state.step(step.id).status.settled]
        again = not open_steps
        steps = list(phase.steps) if again else open_steps
        ahead = _until_a_person(steps)
        obstacle = next(filter(None, map(self.runner.obstacle, steps[:1])), None)
        if obstacle:
            self._not_now(f"{phase.title} cannot run now: {obstacle}.")
        elif not ahead:
            self._tasks.ask(self._conversations.sign(steps[0]))
        elif (again and not phase.side_by_side) or any(step.kind is Kind.ACTION for step in ahead):
            self._tasks.ask(self._phase_asked(phase, ahead, again=again))
        else:
            self._tasks.run_phase(phase, again=again)

    @on(requests.AskAgain)
    def _ask_again(self, request: requests.AskAgain) -> None:
        if not self._tasks.free():
            return
        step = self.runner.plan.step(request.step_id)
        phase = self.runner.plan.phase_of(step.id)
        if phase.side_by_side:
            self._tasks.run_phase(phase, again=True, only=(step.id,))
        else:
            self._tasks.run_step(step)

    @on(requests.AllAgain)
    def _all_again(self, request: requests.AllAgain) -> None:
        if self._tasks.free():
            self._tasks.run_phase(self.runner.plan.phase(request.phase_id), again=True)

    @on(requests.Waive)
    def _waive_asked(self, request: requests.Waive) -> None:
        if self._tasks.free():
            self._tasks.ask(self._conversations.waive(self.runner.plan.step(request.step_id)))

    @on(requests.Stop)
    def _stop(self) -> None:
        if self.busy:
            self._tasks.stop()
            self.notify(f"{self.runner.running or 'The phase'} stops at its next safe point.", markup=False)

    @on(requests.Pause)
    def _pause(self) -> None:
        if self.runner.watch:
            self._tasks.free()
        elif self.runner.gate.paused:
            self._board.waited(self.runner.resume())
        else:
            self.runner.pause()
        self._show()

    @on(requests.Slower)
    def _slower(self) -> None:
        self._change_pace(self.runner.slower, at_most="the slowest pace there is", by=0.5)

    @on(requests.Faster)
    def _faster(self) -> None:
        self._change_pace(self.runner.faster, at_most="as many streams as there may be", by=2)

    def _change_pace(self, change: Callable[[], bool], *, at_most: str, by: float) -> None:
        if self.runner.watch:
            self._tasks.free()
        elif self.runner.running == FILES:
            if not self._tasks.asking:
                self._tasks.ask(self._limit(by))
        elif change():
            self.notify(f"{self.runner.pace}, from the next chunk on", markup=False)
        else:
            self.notify(f"{self.runner.pace}: that is {at_most}.", markup=False)
        self._show()

    @on(requests.StartRollback)
    def _start_rollback(self) -> None:
        self._tasks.roll_back(self._rollback_ended)

    def _not_now(self, why: str) -> None:
        self.push_screen(MessageDialog("Not now", [why, "Safe: nothing was changed", "Next: press n"]))

    async def _act(self, step: Step) -> None:
        if await self._conversations.action(step):
            self._tasks.run_step(step)

    async def _phase_asked(self, phase: Phase, steps: Sequence[Step], *, again: bool) -> None:
        if await self._conversations.phase(phase, steps, again=again):
            self._tasks.run_phase(phase, again=again)

    async def _limit(self, by: float) -> None:
        """Ask for another limit for rsync, so many times the present one."""
        track = next(iter(self._board.tracks(FILES)), None)
        kib = _another_limit(self.runner.pace.bandwidth_kib, track.rate if track else None, by)
        if await self._conversations.limit(kib):
            await self._tasks.limit(FILES, kib)

    def _rollback_ended(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, RollbackScreen):
                screen.ended()

    # The watch of the server

    def _watch_on(self) -> None:
        """Sample and look when it is time: from the switch on, and wherever the screen was opened before."""
        if self._watching is None and self.runner.state.switched and not self.runner.watch:
            self._begin_to_watch()
        idle = self._sampling is None or self._sampling.is_finished
        if self._watching and idle and self._watching.due():
            self._sampling = self.run_worker(self._look(self._watching), group="sampling", exit_on_error=False)

    def _begin_to_watch(self) -> Watching:
        host = self.runner.ask(lambda context: context.app_host)
        self._watching = Watching(self.runner.config, host, drives=not self.runner.watch)
        return self._watching

    async def _look(self, watching: Watching) -> None:
        taken = await asyncio.to_thread(watching.step)
        self._each(lambda view: view.show_samples())
        for one in taken.began if taken else ():
            if one.rule.rollback:
                self.runner.record("trigger-stands", {"name": one.rule.says(), "value": one.value, "since": one.since})
            self.notify(one.rule.says(), severity="warning", markup=False)
        for rule, crossing in taken.ended if taken else ():
            if rule.rollback:
                fell = {"name": rule.says(), "worst": crossing.worst, "ended": crossing.ended}
                self.runner.record("trigger-fell", fell)

    def action_monitor(self) -> None:
        if not any(isinstance(screen, WatchScreen) for screen in self.screen_stack):
            self.push_screen(WatchScreen(self.runner, self._watching or self._begin_to_watch()))
            self._watch_on()

    # Keys that work everywhere

    def action_rollback(self) -> None:
        """Open the rollback; a dialog in the way is closed first, as if its Esc had been pressed."""
        while isinstance(self.screen, ModalScreen):
            self.screen.dismiss(None)
        if not any(isinstance(screen, RollbackScreen) for screen in self.screen_stack):
            self.push_screen(RollbackScreen(self.runner))

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())  # without an id: the last one may not be gone yet

    def action_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_tables(self) -> None:
        self._go_to(TablesScreen, lambda: TablesScreen(self.runner, self._board))

    def action_commands(self) -> None:
        self._go_to(CommandsScreen, lambda: CommandsScreen(self.runner))

    def action_log(self) -> None:
        self._go_to(LogScreen, lambda: LogScreen(self.runner))

    def action_steps(self) -> None:
        self._go_to(StepsScreen, lambda: StepsScreen(self.runner, self._show_step))

    def _go_to(self, kind: type[Screen[None]], make: Callable[[], Screen[None]]) -> None:
        """Open a screen; one of its kind that lies below the present one comes back instead."""
        if any(isinstance(screen, kind) for screen in self.screen_stack):
            self._back_to(kind)
        else:
            self.push_screen(make())

    def _back_to(self, kind: type[Screen[None]]) -> None:
        """Close what lies above a screen; a dialog as if its Esc had been pressed, for somebody waits on it."""
        while not isinstance(self.screen, kind):
            self.screen.dismiss(None)

    def _show_step(self, step_id: str) -> None:
        """On the main screen, whatever lies above it."""
        self._back_to(RunScreen)
        if isinstance(self.screen, RunScreen):
            self.screen.go(step_id)

    def action_theme(self, name: str = "") -> None:
        """Change to that theme, or to the next one."""
        here = themes.NAMES.index(self.theme) if self.theme in themes.NAMES else -1
        self.theme = name or themes.NAMES[(here + 1) % len(themes.NAMES)]
        self.notify(f"Theme: {self.theme}", timeout=2, markup=False)

    async def action_quit(self) -> None:
        """Leave; asks first while something is at work, and then waits for its safe point."""
        if not self.busy:
            self.exit(0)
        elif self._leaving:
            self.notify("Waiting for the running step to reach its next safe point.", markup=False)
        elif not self._tasks.asking:
            self._tasks.ask(self._leave())

    async def _leave(self) -> None:
        if await self._conversations.leave():
            self._leaving = True
            self._tasks.stop()
            await self._tasks.rest()
            self.exit(0)

    def leave(self, why: str) -> None:
        """Come to an end without asking: what runs stops at its next safe point, a rollback goes on to its end."""
        if not self._gone:
            self._gone = True
            self.run_worker(self._end(why), group="end", exit_on_error=False)

    async def _end(self, why: str) -> None:
        running = self.runner.running
        if not self.runner.watch:
            with contextlib.suppress(DixisError):  # a full disk: what was recorded before counts
                self.runner.record("console-left", {"why": why, "step": running, "name": self.runner.operator})
        if self.busy:
            if running is None or self.runner.plan.phase_of(running) is not self.runner.plan.rollback:
                self._tasks.stop()
            self.runner.gate.resume()
            await self._tasks.rest()
        self.exit(FAILED)


def _another_limit(kib: int, rate: float | None, by: float) -> int:
    """A limit so many times the present one, in KiB a second; where there is none, of what it has done so far."""
    now = kib or int((rate or (4 << 20)) / 1024)
    return 0 if not kib and by > 1 else max(int(now * by), LEAST_KIB)


def _until_a_person(steps: Sequence[Step]) -> list[Step]:
    """The steps that run by themselves before the first that needs a person."""
    ahead: list[Step] = []
    for step in steps:
        if step.work is None:
            break
        ahead.append(step)
    return ahead


async def picture(
    runner: Runner, path: Path, *, size: tuple[int, int] = (120, 36), keys: Sequence[str] = (), theme: str = ""
) -> None:
    """Write the console as an SVG after keys were pressed, each waited for; columns and rows in size."""
    app = ConsoleApp(runner)
    app.theme = theme or app.theme
    async with app.run_test(size=size) as pilot:
        for key in keys:
            await pilot.press(key)
            while app.busy:
                await pilot.pause(TICK)
        await pilot.pause(2 * TICK)
        app.save_screenshot(path.name, str(path.parent))

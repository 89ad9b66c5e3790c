"""The console's long work: one task at a time, and one conversation that may lead to it.

Both belong to the application, so no screen can take them down. Whatever goes wrong in one is shown, never lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from textual.app import App
from textual.worker import Worker, WorkerError

from dixis_tui.model import DixisError, NotNowError, Status, StoppedError
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Step
from screens.message import MessageDialog


class Tasks:
    """shown: called when a task or a conversation has come to its end."""

    def __init__(self, app: App[int], runner: Runner, shown: Callable[[], None]) -> None:
        self._app = app
        self._runner = runner
        self._shown = shown
        self._conversation: Worker[None] | None = None
        self._phase_at_work = False
        self._task: Worker[None] | None = None

    @property
    def busy(self) -> bool:
        """True while a step, a phase or the rollback is at work."""
        return self._task is not None and not self._task.is_finished

    @property
    def asking(self) -> bool:
        """True while a conversation is going on."""
        return self._conversation is not None and not self._conversation.is_finished

    def free(self) -> bool:
        """True when something new may be begun; otherwise says why not."""
        if self._runner.watch:
            lines = ["This console only watches the run.", "Next: act in the console that drives it."]
            self._app.push_screen(MessageDialog("Watching", lines))
        elif self.busy:
            what = self._runner.running or "the last request"
            self._app.notify(f"{what} is still at work. x stops it at the next safe point.", markup=False)
        else:
            return not self.asking
        return False

    def ask(self, work: Awaitable[None]) -> None:
        """Start a conversation: dialogs in turn, then perhaps a task."""
        self._conversation = self._app.run_worker(self._reported(work), group="conversation", exit_on_error=False)

    def run_step(self, step: Step) -> None:
        self._begin(self._step(step))

    def run_phase(self, phase: Phase, *, again: bool, only: Sequence[str] = ()) -> None:
        self._begin(self._phase(phase, again=again, only=only))

    def roll_back(self, ended: Callable[[], None]) -> None:
        """Take the application back; what is at work stops at its next safe point first. ended: called at the end."""
        before = self._task if self.busy else None
        if before:
            self.stop()
        self._begin(self._rollback(before, ended))

    def stop(self) -> None:
        """Ask what is at work to stop at its next safe point."""
        self._runner.stop.set()

    async def rest(self) -> None:
        """Wait for the task's end; what went wrong in it, it has shown itself."""
        if self._task:
            with suppress(WorkerError):
                await self._task.wait()

    async def limit(self, step_id: str, kib: int) -> None:
        """Stop rsync, which that step runs, and let it go on from there with another limit."""
        phase = self._phase_at_work
        if self._runner.running == step_id and self._task is not None:
            self.stop()
            await self.rest()
        self._runner.limit_bandwidth(kib)
        if self._runner.state.step(step_id).status is Status.INTERRUPTED:
            if phase:
                self.run_phase(self._runner.plan.phase_of(step_id), again=False)
            else:
                self.run_step(self._runner.plan.step(step_id))

    def _begin(self, work: Awaitable[None]) -> None:
        self._task = self._app.run_worker(self._reported(work), group="task", exit_on_error=False)

    async def _reported(self, work: Awaitable[None]) -> None:
        try:
            await work
        except StoppedError as error:
            self._app.notify(error.what, markup=False)
        except NotNowError as error:
            self._app.push_screen(MessageDialog("Not now", error.lines()))
        except DixisError as error:
            self._app.push_screen(MessageDialog("This went wrong", error.lines()))
        except Exception as error:
            text = f"Unexpected {type(error).__name__}: {error}"
            self._runner.say(text)
            lines = [text, "Next: look at the log; the step can be run again."]
            self._app.push_screen(MessageDialog("This was not foreseen", lines))
        finally:
            self._shown()

    async def _step(self, step: Step) -> None:
        await self._runner.run_step(step.id)

    async def _phase(self, phase: Phase, *, again: bool, only: Sequence[str]) -> None:
        self._phase_at_work = True
        try:
            await self._runner.run_phase(phase.id, again=again, only=only)
        finally:
            self._phase_at_work = False

    async def _rollback(self, before: Worker[None] | None, ended: Callable[[], None]) -> None:
        try:
            if before:
                await before.wait()
            self._runner.record("confirmed", {"name": self._runner.operator, "what": "rollback"})
            await self._runner.rollback()
        finally:
            ended()

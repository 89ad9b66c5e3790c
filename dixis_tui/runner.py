"""Runs the steps of a plan: one at a time or side by side, each in a thread, its start and answer into the journal."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from fractions import Fraction
from typing import TypeVar

from dixis_tui import ran
from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.hosts.host import Host, LocalHost
from dixis_tui.hosts.ssh import SshHost, open_host
from dixis_tui.model import DixisError, Kind, NotNowError, Outcome, Status, StoppedError, skipped
from dixis_tui.openrun import OpenRun
from dixis_tui.order import Order
from dixis_tui.pace import Pace
from dixis_tui.record.journal import CONFIRMED, PACED, WAITS_FOR
from dixis_tui.step import Phase, Plan, Step

T = TypeVar("T")


class Runner(OpenRun):
    """An open run whose steps can be run; with watch=True it refuses to.

    order: what the plan lets happen now. today: the day by which that is judged.
    """

    def __init__(self, plan: Plan, config: Config, *, watch: bool = False) -> None:
        self.today: Callable[[], date] = lambda: datetime.now().astimezone().date()
        self.stop = threading.Event()
        self.pace = Pace(config.data.streams, config.assets.bandwidth_kib if config.assets else 0)
        self._local = LocalHost()
        self._app_host: Host = open_host(config.host) if config.host.ssh else self._local
        self._other_hosts = tuple(SshHost(one.ssh) for one in config.hosts)
        super().__init__(plan, config, watch=watch)
        self.order = Order(plan, lambda: self._state, lambda: self.today())
        if not watch:
            self._end_rollback()

    def close(self) -> None:
        for host in (self._app_host, *self._other_hosts):
            host.close()
        super().close()

    def abandon(self) -> None:
        """End the commands that run on this machine now; for a console that is ended at once."""
        self._local.end_children()

    def obstacle(self, step: Step) -> str | None:
        """Why a step cannot run now; None when it can. Checks and the rollback can always run."""
        if self.watch:
            return "this console only watches the run"
        if self._running:
            return f"{self.running} is running"
        return self.order.obstacle(step)

    def preview(self, step: Step) -> list[str]:
        """Exactly what an action would do, secrets taken out; empty for other kinds. Raises what the step raises."""
        if step.preview is None:
            return []
        with ran.by_step(step.id):
            lines = step.preview(self._context(step.id))
        return [line for text in lines for line in self._redactor.text(text).splitlines()]

    def word(self, steps: Sequence[Step]) -> str:
        """What the operator must type before these steps run, beyond what production asks; empty for nothing."""
        words = (step.word(self._context(step.id)) for step in steps if step.word)
        return next(filter(None, words), "")

    def confirm(self, steps: Sequence[Step], what: str, typed: str) -> None:
        """Record that the operator agreed to these steps, and what they typed."""
        data = {"name": self.operator, "what": what, "typed": typed, "steps": [step.id for step in steps]}
        self.record(CONFIRMED, data)

    def ask(self, question: Callable[[Context], T]) -> T:
        """Answer a question that changes nothing and is no step of the plan; a watcher may ask, too."""
        return question(self._context(""))

    # Doing

    async def run_step(self, step_id: str) -> Outcome:
        """Run one check or action to its end and record the answer.

        Raises NotNowError when the plan does not allow it now; StoppedError when the operator stopped it. Any other
        exception becomes an outcome: error ("could not ask") for a check, fail for an action.
        """
        self.stop.clear()
        return await self._run(self.plan.step(step_id))

    async def _run(self, step: Step, pool: ThreadPoolExecutor | None = None) -> Outcome:
        """pool: whose threads do the work; the steps in it run side by side."""
        if step.work is None:
            raise NotNowError(f"{step.id} is a {step.kind}: a person confirms it.", next_step="sign it")
        obstacle = self.obstacle(step) if pool is None else self.order.obstacle(step)
        if obstacle:
            raise NotNowError(f"{step.id} cannot run now: {obstacle}.", safe="nothing was changed")
        unmet = self.order.unmet(step)
        if unmet:
            return self._skip(step, unmet)
        self._begin(step.id)
        try:
            self.record("step-started", {"step": step.id})
            try:
                outcome = await asyncio.get_running_loop().run_in_executor(pool, self._work, step)
            except StoppedError:
                self.record("step-interrupted", {"step": step.id})
                raise
            except DixisError as error:
                outcome = _outcome_of(step, error)
            except Exception as error:
                outcome = _outcome_of(step, error)
                self.say(f"unexpected {type(error).__name__}: {error}", step.id, "error")
            outcome = self._redactor.outcome(outcome)
            self.record("step-finished", {"step": step.id, "outcome": outcome.model_dump(mode="json")})
            self._end_rollback()
            return outcome
        finally:
            self._end(step.id)

    def _work(self, step: Step) -> Outcome:
        """Do a step's work, in a thread."""
        assert step.work is not None
        with ran.by_step(step.id):
            return step.work(self._context(step.id))

    def slower(self) -> bool:
        """Let the running step and those behind it do less at once; False when it is least already."""
        return self._paced(self.pace.slower)

    def faster(self) -> bool:
        """Let the running step and those behind it do more at once; False when it is most already."""
        return self._paced(self.pace.faster)

    def begin_at(self, streams: int) -> None:
        """The operator wants another number of streams than the configuration has, to begin with."""
        self._paced(lambda: self.pace.set(Fraction(streams)))

    def limit_bandwidth(self, kib: int) -> None:
        """KiB a second for rsync the next time it starts; 0 for all there is."""
        before, self.pace.bandwidth_kib = self.pace.bandwidth_kib, kib
        told = [f"{number} KiB/s" if number else "no limit" for number in (before, kib)]
        self.record(PACED, {"step": self.running or "", "name": self.operator, "from": told[0], "to": told[1]})

    def _paced(self, change: Callable[[], bool | None]) -> bool:
        before = str(self.pace)
        change()
        if str(self.pace) == before:
            return False
        data = {"step": self.running or "", "name": self.operator, "from": before, "to": str(self.pace)}
        self.record(PACED, data)
        return True

    def pause(self) -> None:
        """Let the running step hold at its next safe point; what is in flight is finished first."""
        if self.running is not None and not self.gate.paused:
            self.gate.pause()
            self.record("paused", {"step": self.running, "name": self.operator})

    def resume(self) -> float:
        """Let a paused step go on; the seconds it was paused."""
        if self.running is None or not self.gate.paused:
            return 0.0
        seconds = self.gate.resume()
        self.record("resumed", {"step": self.running, "name": self.operator})
        return seconds

    def _skip(self, step: Step, unmet: str) -> Outcome:
        """Record that a check was not asked because one it needs is not well."""
        status = self._state.step(unmet).status
        word = "has not run" if status is Status.PENDING else f"stands at {status}"
        outcome = skipped(f"not asked: {unmet} {word}", **{WAITS_FOR: unmet})
        self.record("step-finished", {"step": step.id, "outcome": outcome.model_dump(mode="json")})
        return outcome

    def _end_rollback(self) -> None:
        """Record the end of a rollback once every step of it has settled, however they were run."""
        if self._state.rollback_begun and self.order.settled(self.plan.rollback):
            self.record("rolled-back")

    async def run_phase(self, phase_id: str, *, again: bool = False, only: Collection[str] = ()) -> Status:
        """Run the steps of a phase in order until one does not settle, or a person is needed; the phase's status after.

        again: start over, settled steps included; otherwise settled steps are left alone. only: of checks that run side
        by side, these and what they need; signatures among them stay. Raises StoppedError after the running step when
        the operator asked to stop, even if that step never looked.
        """
        self.stop.clear()
        phase = self.plan.phase(phase_id)
        if phase.side_by_side:
            wanted = _with_needs(phase, only)
            if again:
                self.reset(phase, wanted)
            await self._run_side_by_side(phase, wanted)
            return self.order.phase_status(phase)
        if again:
            self.reset(phase)
        for step in phase.steps:
            if self._state.step(step.id).status.settled:
                continue
            if step.work is None:
                break
            if self.stop.is_set():
                raise StoppedError
            outcome = await self._run(step)
            if not outcome.status.settled and not phase.go_on:
                break
        return self.order.phase_status(phase)

    async def _run_side_by_side(self, phase: Phase, wanted: Sequence[Step]) -> None:
        """Run those of these checks that are open, so many at a time, each as soon as the checks it needs have ended.

        When the operator asks to stop, no further one is begun. Raises StoppedError then, else the first unforeseen
        error, once all that run have come to their end.
        """
        tried: set[str] = set()
        tasks: dict[asyncio.Future[Outcome], Step] = {}
        problems: list[BaseException] = []
        pool = ThreadPoolExecutor(phase.side_by_side, thread_name_prefix="check")
        try:
            while True:
                for step in () if self.stop.is_set() or problems else wanted:
                    if len(tasks) >= phase.side_by_side:
                        break
                    ready = all(need in tried or self._state.step(need).status.settled for need in step.needs)
                    begun = step.id in tried or step in tasks.values()
                    if ready and not begun and not self._state.step(step.id).status.settled:
                        tasks[asyncio.ensure_future(self._run(step, pool))] = step
                if not tasks:
                    break
                ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    tried.add(tasks.pop(task).id)
                    problem = task.exception()
                    if problem is not None:
                        problems.append(problem)
        finally:
            pool.shutdown(wait=False)  # nothing runs by now, but for a console that is ended at once
        if self.stop.is_set():
            raise StoppedError
        if problems:
            raise problems[0]

    async def rollback(self) -> Status:
        """Take the application back: every step of the rollback, from the first, whatever was done before."""
        return await self.run_phase(self.plan.rollback.id, again=True)

    def reset(self, phase: Phase, only: Sequence[Step] = (), *, since: Step | None = None) -> None:
        """Count a phase's steps, and those whose answers rest on them, as pending again; what they did stays as it is.

        only: these steps of it, and no others. since: only this one of the phase's and those behind it.

        Raises NotNowError for a phase that may not start over while the application is on the target.
        """
        self.allow_writing()
        if phase.before_switch and self._state.switched:
            raise NotNowError(
                f"{phase.title} cannot start over: the application is on the target.",
                safe="nothing was changed",
                next_step="roll back first",
            )
        phases = (phase, *(self.plan.phase(name) for name in phase.invalidates))
        kept = phase.steps[: phase.steps.index(since)] if since else ()
        # What was signed for a day stays signed: nobody can go back to that day.
        every = only or [step for one in phases for step in one.steps if step not in kept and not step.day]
        begun = [step.id for step in every if step.id in self._state.steps]
        if begun:
            self.record("phase-reset", {"steps": begun})

    def _context(self, step_id: str) -> Context:
        return Context(
            config=self.config,
            run_id=self._state.run_id,
            run_dir=self.run_dir,
            operator=self.operator,
            local=self._local,
            app_host=self._app_host,
            other_hosts=self._other_hosts,
            outcomes=self._state.outcomes(),
            say=lambda text: self.say(text, step_id),
            progress=self._tell,
            record=self.record,
            recorded=lambda kind: [event.data for event in self._journal.events if event.kind == kind],
            stop=self.stop,
            gate=self.gate,
            pace=self.pace,
            log=lambda text, level: self.say(text, step_id, level),
        )


def _with_needs(phase: Phase, only: Collection[str]) -> list[Step]:
    """The steps of a phase that answer by themselves: all, or those named and what they need."""
    checks = [step for step in phase.steps if step.work is not None]
    if not only:
        return checks
    wanted = set(only)
    for step in reversed(checks):  # what a step needs stands before it
        if step.id in wanted:
            wanted.update(step.needs)
    return [step for step in checks if step.id in wanted]


def _outcome_of(step: Step, error: Exception) -> Outcome:
    status = Status.ERROR if step.kind is Kind.CHECK else Status.FAIL
    if isinstance(error, DixisError):
        evidence = (f"safe: {error.safe}",) if error.safe else ()
        return Outcome(
            status=status, summary=error.what, evidence=evidence, remedy=(error.next_step,) if error.next_step else ()
        )
    return Outcome(
        status=status,
        summary=f"{type(error).__name__}: {error}",
        remedy=("this was not foreseen; the log holds more. The step can be run again.",),
    )

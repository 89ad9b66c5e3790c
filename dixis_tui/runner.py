"""Runs the steps of a plan: one at a time, each in a thread, every start, answer and signature into the journal.

The runner decides what may run next and nothing else. Listeners hear of events after they are on disk, of progress and
of log lines as they come; they are called from any thread.
"""

from __future__ import annotations

import asyncio
import getpass
import threading
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any, TypeVar

from dixis_tui import glance, live, log, outline, people, ran, signatures
from dixis_tui.commandlog import CommandLog
from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.gate import Gate
from dixis_tui.host import Host, LocalHost
from dixis_tui.journal import (
    CONFIRMED,
    PACED,
    WAITS_FOR,
    Event,
    Journal,
    Lock,
    RunState,
    Signature,
    advance,
    fold,
    interrupted,
    now,
)
from dixis_tui.log import LogFile
from dixis_tui.log import LogLine as LogLine
from dixis_tui.model import (
    FAILED,
    DixisError,
    Kind,
    Level,
    Outcome,
    Progress,
    Status,
    StoppedError,
    skipped,
)
from dixis_tui.pace import Pace
from dixis_tui.redact import Redactor
from dixis_tui.ssh import SshHost, open_host
from dixis_tui.step import Phase, Plan, Step

T = TypeVar("T")
Notice = Event | Progress | LogLine
Listener = Callable[[Notice], None]


class NotNowError(DixisError):
    """The plan does not allow this step yet."""

    exit_code = FAILED


class Runner:
    """Drives one run. Open it, use it, close it: it holds the run's lock in between.

    With watch=True it takes no lock, only reads, and refuses to run anything.
    """

    def __init__(self, plan: Plan, config: Config, *, watch: bool = False) -> None:
        self.plan = plan
        self.today: Callable[[], date] = lambda: datetime.now().astimezone().date()
        self.config = config
        self.watch = watch
        self.run_dir = config.run.directory
        self.operator = config.run.operator or getpass.getuser()
        self.stop = threading.Event()
        self.gate = Gate()
        self.pace = Pace(config.data.streams, config.assets.bandwidth_kib if config.assets else 0)
        self._redactor = Redactor(config)
        self._listeners: list[Listener] = []
        self._running: dict[str, None] = {}
        self._recording = threading.RLock()
        self._local = LocalHost()
        self._app_host: Host = open_host(config.host) if config.host.ssh else self._local
        self._other_hosts = tuple(SshHost(one.ssh) for one in config.hosts)
        self._lock = Lock(self.run_dir)
        self._log: LogFile | None = None
        self._commands: CommandLog | None = None
        self._hearing = ExitStack()
        self._publisher: live.Publisher | None = None
        self._published = live.Reader(self.run_dir)
        self._live = live.Live()
        if not watch:
            # The lock first: what is read behind it is all there is.
            self._lock.acquire(self.operator)
        self._journal = Journal(self.run_dir, create=not watch)
        if not watch:
            self._log = LogFile(self.run_dir, self._redactor.text)
            self._commands = CommandLog(self.run_dir, self._redactor.text, lambda: self.running or "")
            self._hearing.enter_context(ran.heard_by(self._commands.hear))
            if not self._journal.events:
                opened = {
                    "run_id": uuid.uuid4().hex[:12],
                    "name": config.run.name,
                    "environment": config.run.environment,
                    "operator": self.operator,
                }
                self._log.write(log.of_event(self._journal.append("run-opened", opened)))
            attached = self._journal.append("console-attached", {"operator": self.operator})
            self._log.write(log.of_event(attached))
            self._publish()
            planned = outline.of(plan, config)
            if outline.recorded(self._journal.events) != planned:
                self._log.write(log.of_event(self._journal.append(outline.PLAN, planned.model_dump(mode="json"))))
        self._was_driven = self.driven()
        self._state = self._folded()
        if not watch:
            self._end_rollback()

    def _publish(self) -> None:
        """For those who look on: what this run is, and from now on how far. It stops nobody's work where it fails."""
        try:
            glance.write(self.run_dir, self.plan, self.config)
        except OSError as error:
            self.say(f"{self.run_dir / glance.NAME} cannot be written: {error.strerror}; nobody can look on")
        self._publisher = live.Publisher(self.run_dir)

    def _folded(self) -> RunState:
        """The state of the journal. Where nobody drives, what is recorded as running was cut off."""
        state = fold(self._journal.events)
        return interrupted(state) if self.watch and not self.driven() else state

    def close(self) -> None:
        for host in (self._app_host, *self._other_hosts):
            host.close()
        if self._publisher:
            self._publisher.close()
        self._hearing.close()
        if self._commands:
            self._commands.close()
        self._journal.close()
        self._lock.release()
        if self._log:
            self._log.close()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state(self) -> RunState:
        return self._state

    @property
    def events(self) -> Sequence[Event]:
        return self._journal.events

    @property
    def running(self) -> str | None:
        """Id of the step that runs now, the one begun first where several do; a watcher has it from who drives."""
        return self._live.running if self.watch else next(iter(self._running), None)

    def driven(self) -> bool:
        """True when some console drives this run now."""
        return self._lock.held()

    def refresh(self) -> None:
        """For a watcher: take in what the driving console has recorded and said since; listeners hear of it."""
        known, driven = len(self._journal.events), self.driven()
        if self._journal.refresh() or driven != self._was_driven:
            self._state, self._was_driven = self._folded(), driven
            for event in self._journal.events[known:]:
                self._tell(event)
        news = self._published.news()
        if news is not None:
            self._hear(news)
        if not driven and self._live.running:
            self._live = live.Live(first=self._live.first, lines=self._live.lines)
            self.gate.resume()

    def _hear(self, news: live.Live) -> None:
        """Tell what has been said since the last reading."""
        known, self._live = self._live, news
        if news.paused:
            self.gate.pause()
        else:
            self.gate.resume()
        before = set(known.progress)
        for progress in news.progress:
            if progress not in before:
                self._tell(progress)
        began_anew = news.first + len(news.lines) < known.first + len(known.lines)
        heard = 0 if began_anew else max(known.first + len(known.lines) - news.first, 0)
        for line in news.lines[heard:]:
            self._tell(LogLine(**line))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call listener with every notice from now on; the answer ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def say(self, text: str, step: str = "", level: Level = "info") -> None:
        """A line for the log, with every known secret taken out."""
        line = LogLine(datetime.now(UTC).isoformat(timespec="milliseconds"), step, self._redactor.text(text), level)
        if self._log:
            self._log.write(line)
        self._tell(line)

    def abandon(self) -> None:
        """End the commands that run on this machine now; for a console that is ended at once."""
        self._local.end_children()

    # What stands where

    def phase_status(self, phase: Phase) -> Status:
        """One word for a phase: the worst of its steps once one has ended, pending before the first has begun."""
        return outline.standing([self._state.step(step.id).status for step in phase.steps])

    def settled(self, phase: Phase) -> bool:
        """Whether nothing of a phase is open today."""
        return all(self._state.step(step.id).status.settled or self.too_early(step) for step in phase.steps)

    def next_step(self) -> Step | None:
        """The first step of the plan that is not settled and whose day has come; None when there is none."""
        for phase in self.plan.phases:
            for step in phase.steps:
                if not self._state.step(step.id).status.settled and not self.too_early(step):
                    return step
        return None

    def too_early(self, step: Step) -> str:
        """Why a step's day has not come, empty when it has or it has none."""
        if not step.day:
            return ""
        due = self._state.day(step.day)
        if due is None:
            return f"day {step.day} of the week after is counted from the opening of the shop on the target"
        return f"day {step.day} is {due:%A, %d %B}" if due > self.today() else ""

    def missed(self) -> list[Step]:
        """Sign-offs whose day is over without a signature."""
        found = []
        for step in (step for phase in self.plan.phases for step in phase.steps if step.day):
            due = self._state.day(step.day)
            if due is not None and due < self.today() and not self._state.step(step.id).status.settled:
                found.append(step)
        return found

    def obstacle(self, step: Step) -> str | None:
        """Why a step cannot run now; None when it can. Checks and the rollback can always run."""
        if self.watch:
            return "this console only watches the run"
        if self._running:
            return f"{self.running} is running"
        return self._order(step)

    def _order(self, step: Step) -> str | None:
        """What the plan's order, or the calendar, has against a step now."""
        if early := self.too_early(step):
            return early
        phase = self.plan.phase_of(step.id)
        if step.kind is Kind.CHECK or phase is self.plan.rollback:
            return None
        if self._state.rollback_begun:
            return "a rollback was begun and has not come to its end; finish it first"
        if phase.before_switch and self._state.switched:
            return "the application is on the target and this would replace its rows; roll back first"
        for earlier in self.plan.phases:
            if earlier is phase:
                break
            if self._state.switched and all(before.kind is Kind.CHECK for before in earlier.steps):
                continue  # questions about the time before the switch
            for before in earlier.steps:
                if before.kind is Kind.SIGNOFF and self._may_wait(earlier, phase):
                    continue
                if not self._state.step(before.id).status.settled:
                    return f"{before.id} comes first ({self._state.step(before.id).status})"
        for before in phase.steps:
            if before is step or step.day:  # a day's sign-off waits for no other step of the phase
                return None
            status = self._state.step(before.id).status
            if not status.settled and not (step.kind is Kind.SIGNOFF and before.kind is Kind.SIGNOFF):
                return f"{before.id} comes first ({status})"
        return None

    def _may_wait(self, earlier: Phase, phase: Phase) -> bool:
        """Whether the sign-offs of an earlier phase are not yet asked for by this one."""
        if not earlier.signed_before:
            return False
        phases = self.plan.phases
        return phases.index(phase) < phases.index(self.plan.phase(earlier.signed_before))

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
        obstacle = self.obstacle(step) if pool is None else self._order(step)
        if obstacle:
            raise NotNowError(f"{step.id} cannot run now: {obstacle}.", safe="nothing was changed")
        unmet = self._unmet(step)
        if unmet:
            return self._skip(step, unmet)
        self._running[step.id] = None
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
            self._running.pop(step.id, None)
            if self._commands:
                self._commands.end(step.id)
            if not self._running:
                self.gate.resume()
            if self._publisher:
                self._publisher.state(self.running, paused=self.gate.paused)

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

    def _unmet(self, step: Step) -> str:
        """The first of the checks a step needs that is not well, empty when all are."""

        def well(need: str) -> bool:
            now = self._state.step(need)
            waits = now.outcome is not None and WAITS_FOR in now.outcome.facts
            return now.status.settled and not (now.status is Status.SKIP and waits)

        return next((need for need in step.needs if not well(need)), "")

    def _skip(self, step: Step, unmet: str) -> Outcome:
        """Record that a check was not asked because one it needs is not well."""
        status = self._state.step(unmet).status
        word = "has not run" if status is Status.PENDING else f"stands at {status}"
        outcome = skipped(f"not asked: {unmet} {word}", **{WAITS_FOR: unmet})
        self.record("step-finished", {"step": step.id, "outcome": outcome.model_dump(mode="json")})
        return outcome

    def _end_rollback(self) -> None:
        """Record the end of a rollback once every step of it has settled, however they were run."""
        if self._state.rollback_begun and self.settled(self.plan.rollback):
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
            wanted = self._with_needs(phase, only)
            if again:
                self.reset(phase, wanted)
            await self._run_side_by_side(phase, wanted)
            return self.phase_status(phase)
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
        return self.phase_status(phase)

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

    def _with_needs(self, phase: Phase, only: Collection[str]) -> list[Step]:
        """The steps of a phase that answer by themselves: all, or those named and what they need."""
        checks = [step for step in phase.steps if step.work is not None]
        if not only:
            return checks
        wanted = set(only)
        for step in reversed(checks):  # what a step needs stands before it
            if step.id in wanted:
                wanted.update(step.needs)
        return [step for step in checks if step.id in wanted]

    async def rollback(self) -> Status:
        """Take the application back: every step of the rollback, from the first, whatever was done before."""
        return await self.run_phase(self.plan.rollback.id, again=True)

    def reset(self, phase: Phase, only: Sequence[Step] = (), *, since: Step | None = None) -> None:
        """Count a phase's steps, and those whose answers rest on them, as pending again; what they did stays as it is.

        only: these steps of it, and no others. since: only this one of the phase's and those behind it.

        Raises NotNowError for a phase that may not start over while the application is on the target.
        """
        self._allow_writing()
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

    def sign(self, step_id: str, *, role: str, name: str, note: str, key: bool = True) -> Outcome | None:
        """A person confirms a step. The outcome once nothing is missing any more, else None.

        It is signed with the person's SSH key where one is at hand and key is true.
        Raises NotNowError when it is too early, the role is not asked for, or one person would sign for two.
        """
        step = self.plan.step(step_id)
        self._check_signer(step, role, name)
        roles = step.roles or ("operator",)
        name = name.strip()
        mine, why = self.key_of(name) if key else (None, "nobody was asked")
        others = {s.role: s for s in self._state.step(step.id).signatures if s.role != role}
        complete = set(roles) == {*others, role}
        signers = [(one.name, one.fingerprint) for one in others.values()]
        signers.append((name, mine.fingerprint if mine else ""))
        if complete and people.count(signers) < min(2, len(roles)):
            raise NotNowError(
                f"{step.id} wants at least two different people; {name} would be the only one.",
                safe="nothing was signed",
                next_step=f"have another person sign as {role}, with a name and a key of their own",
            )
        self._record_signed("signed", {"step": step.id, "role": role, "name": name, "note": note}, mine, why)
        if not complete:
            return None
        signed = {signature.role: signature for signature in self._state.step(step.id).signatures}
        outcome = Outcome(
            status=Status.PASS,
            summary="signed by " + ", ".join(s.name for s in signed.values()),
            evidence=tuple(_signature_line(s) for s in signed.values()),
        )
        self.record("step-finished", {"step": step.id, "outcome": outcome.model_dump(mode="json")})
        return outcome

    def reject(self, step_id: str, *, role: str, name: str, note: str) -> Outcome:
        """A person says no to a sign-off or a gate; the step fails with their words, earlier signatures do not count.

        Raises NotNowError where sign() would, and when no reason is given.
        """
        self._check_signer(self.plan.step(step_id), role, name)
        name = name.strip()
        if not note.strip():
            raise NotNowError(f"{step_id} cannot be refused without a reason.", next_step="say what is wrong")
        outcome = Outcome(
            status=Status.FAIL,
            summary=f"refused by {name} ({role}): {note}",
            remedy=("mend what is named, then sign again; or roll back",),
        )
        said = {"step": step_id, "role": role, "name": name, "note": note, "outcome": outcome.model_dump(mode="json")}
        self._record_signed("refused", said, *self.key_of(name))
        return outcome

    def key_of(self, name: str) -> tuple[signatures.Key | None, str]:
        """The SSH key at hand with which this person would sign; else None, and why by name only."""
        settings = self.config.people
        try:
            return signatures.key_of(name, self.operator, settings.allowed_signers, settings.keys)
        except signatures.SigningError as error:
            return None, error.what

    def _record_signed(self, kind: str, data: Mapping[str, Any], key: signatures.Key | None, why: str) -> None:
        """Record what a person says, signed with their key where there is one.

        Nothing else is recorded between the event that is signed over and this one.
        """
        with self._recording:
            at = now()
            if key is not None:
                what = signatures.text(self._state.run_id, kind, data, at, self._journal.last_hash)
                try:
                    armour = signatures.sign(key, what)
                except signatures.SigningError as error:
                    why = error.what
                else:
                    ssh = {"key": key.public, "fingerprint": key.fingerprint, "signature": armour}
                    self.record(kind, {**data, "ssh": ssh}, at=at)
                    return
            self.record(kind, {**data, "by_name_only": why}, at=at)

    def _check_signer(self, step: Step, role: str, name: str) -> None:
        self._allow_writing()
        roles = step.roles or ("operator",)
        obstacle = self.obstacle(step)
        if step.work is not None:
            obstacle = f"it is a {step.kind} and answers by itself"
        elif role not in roles:
            obstacle = f"it asks for {', '.join(roles)}, not for {role}"
        elif not name.strip():
            obstacle = "a signature needs a name"
        if obstacle:
            raise NotNowError(f"{step.id} cannot be signed: {obstacle}.", safe="nothing was signed")

    def waive(self, step_id: str, *, name: str, note: str) -> None:
        """The operator takes responsibility for a check that did not pass. Raises NotNowError for anything else."""
        self._allow_writing()
        step = self.plan.step(step_id)
        status = self._state.step(step_id).status
        if step.kind is not Kind.CHECK or status not in (Status.WARN, Status.FAIL, Status.ERROR):
            raise NotNowError(f"{step_id} cannot be waived: it is a {step.kind} and stands at {status}.")
        if status is Status.FAIL and not step.waivable_fail:
            raise NotNowError(
                f"{step_id} cannot be waived: its answer is no.",
                next_step="apply a remedy it names, in the source or in the configuration, and ask again",
            )
        if not step.waivable:
            raise NotNowError(
                f"{step_id} cannot be waived: what it asks must be so.", next_step="mend what it names, or roll back"
            )
        if not name.strip():
            raise NotNowError(f"{step_id} cannot be waived without a name.", next_step="say who takes responsibility")
        if not note.strip():
            raise NotNowError(
                f"{step_id} cannot be waived without a reason.", next_step="say why it may be passed over"
            )
        name = name.strip()
        self._record_signed("step-waived", {"step": step_id, "name": name, "note": note}, *self.key_of(name))

    def record(self, kind: str, data: Mapping[str, Any] | None = None, *, at: str = "") -> None:
        """An event into the journal, then to the listeners. at: its time, where it was signed with it."""
        self._allow_writing()
        with self._recording:
            added = self._journal.append(kind, data, at=at)
            self._state = advance(self._state, added)
        if self._log:
            self._log.write(log.of_event(added))
        self._tell(added)

    def _allow_writing(self) -> None:
        if self.watch:
            raise NotNowError(
                "This console only watches the run.", next_step="sign and decide in the one that drives it"
            )

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

    def _tell(self, notice: Notice) -> None:
        if self._publisher:
            self._pass_on(self._publisher, notice)
        for listener in tuple(self._listeners):
            listener(notice)

    def _pass_on(self, publisher: live.Publisher, notice: Notice) -> None:
        """To those who look on; events they read in the journal."""
        match notice:
            case Progress():
                publisher.progress(replace(notice, note=self._redactor.text(notice.note)) if notice.note else notice)
            case LogLine():
                publisher.line(asdict(notice))
            case Event():
                if notice.kind == "step-started":
                    publisher.forget(notice.data["step"])
                publisher.state(self.running, paused=self.gate.paused)


def _signature_line(signature: Signature) -> str:
    key = f", key {signature.fingerprint}" if signature.fingerprint else ", by name only"
    return f"{signature.role}: {signature.name}, {signature.at}{f', {signature.note}' if signature.note else ''}{key}"


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

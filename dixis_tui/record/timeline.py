"""The maintenance window as a line of time: planned, expected, actual, and the latest moment to turn back.

A fold over the journal and a clock. T-0 is the announced opening, or the moment maintenance began where that was
earlier or none was announced; every time here is seconds from it, negative before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from dixis_tui.config.run import Run
from dixis_tui.model import DixisError, Status
from dixis_tui.phrase import duration, roughly
from dixis_tui.record.journal import Event, Journal, RunState
from dixis_tui.runner import Runner
from dixis_tui.step import Plan

# What a rollback is taken to need until one was rehearsed; it is said that nobody has measured it.
UNREHEARSED = 15 * 60.0
# A plan is kept when it is met to the minute.
ON_PLAN = 60.0


@dataclass(frozen=True)
class Pace:
    """Seconds as measured: of each step the last try that settled, and of the last rollback that came to its end."""

    steps: Mapping[str, float] = field(default_factory=dict)
    rollback: float | None = None


class Mark(BaseModel):
    """By when a phase is to be done. expected: None once it is done; actual: None until then; measured: whether what is
    expected rests on measured times alone, for what is left of the machine's work."""

    model_config = ConfigDict(frozen=True)

    phase: str
    title: str
    planned: float
    expected: float | None
    actual: float | None
    measured: bool


class Timeline(BaseModel):
    """opens_at: T-0, None while it is not known; now: None as well; ended: when the shop was let in on the target.
    needs: seconds the open phases still take; behind: seconds behind plan, negative when ahead; closed: seconds the
    shop has been closed; rollback: what it takes, by source; turn_back: the latest safe moment to begin it."""

    model_config = ConfigDict(frozen=True)

    window: float
    opens_at: datetime | None
    now: float | None
    ended: float | None
    marks: tuple[Mark, ...]
    needs: float
    behind: float | None
    closed: float | None
    rollback: float
    source: str
    margin: float
    turn_back: float

    @property
    def current(self) -> Mark | None:
        """The first mark that is not reached."""
        return next((mark for mark in self.marks if mark.actual is None), None)

    @property
    def open(self) -> bool:
        """True from T-0 until the shop is let in."""
        return self.now is not None and self.now >= 0 and self.ended is None

    @property
    def left(self) -> float | None:
        """Seconds until one must turn back at the latest, negative when that has passed; None outside the window."""
        return None if self.now is None or self.ended is not None else self.turn_back - self.now

    @property
    def expected_end(self) -> float | None:
        return self.marks[-1].expected if self.marks else None

    def at(self, seconds: float) -> datetime | None:
        """The local time of a moment of the line."""
        return None if self.opens_at is None else (self.opens_at + timedelta(seconds=seconds)).astimezone()


def pace(events: Iterable[Event]) -> Pace:
    """What the events of a run have measured."""
    steps: dict[str, float] = {}
    begun: dict[str, datetime] = {}
    rollback, back = None, 0.0
    for event in events:
        step = str(event.data.get("step", ""))
        if event.kind == "step-started":
            begun[step] = event.time
        elif event.kind in ("step-finished", "step-interrupted") and step in begun:
            seconds = (event.time - begun.pop(step)).total_seconds()
            back += seconds if step.startswith("rollback.") else 0.0
            if event.kind == "step-finished" and Status(event.data["outcome"]["status"]).settled:
                steps[step] = seconds
        elif event.kind == "rolled-back":
            rollback, back = back, 0.0
    return Pace(steps, rollback)


def rehearsed(run: Run) -> Pace:
    """What the rehearsal named in the configuration has measured; nothing where there is none to be read."""
    if run.rehearsal is None or not (run.rehearsal / "journal.sqlite").exists():
        return Pace()
    try:
        journal = Journal(run.rehearsal, create=False)
    except (DixisError, OSError):
        return Pace()
    try:
        return pace(journal.events)
    finally:
        journal.close()


def build(
    plan: Plan,
    run: Run,
    state: RunState,
    here: Pace,
    before: Pace,
    now: datetime,
    left: Mapping[str, float] | None = None,
) -> Timeline:
    """The line as it stands. here, before: measured in this run, and in its rehearsal; left: seconds to go of running
    steps, as they say themselves."""
    window = run.window_minutes * 60.0
    began = datetime.fromisoformat(state.window_opened_at) if state.window_opened_at else None
    # A window that a rollback has closed is over: the plan begins anew.
    counts = state.window_open or state.switched
    opens_at = min(filter(None, (began if counts else None, _announced(run, now))), default=None)
    ended = datetime.fromisoformat(state.window_closed_at) if state.window_closed_at and state.switched else None
    elapsed = None if opens_at is None else ((ended or now) - opens_at).total_seconds()
    marks = tuple(_marks(plan, window, state, here, before, now, opens_at, left or {}))
    rollback, source = _rollback(run, here, before)
    margin = run.margin_minutes * 60.0
    needs = (marks[-1].expected or 0.0) - max(elapsed or 0.0, 0.0) if marks and marks[-1].expected is not None else 0.0
    return Timeline(
        window=window,
        opens_at=opens_at,
        now=elapsed,
        ended=None if ended is None else elapsed,
        marks=marks,
        needs=needs,
        behind=_behind(marks, elapsed),
        closed=_closed(state, began, now),
        rollback=rollback,
        source=source,
        margin=margin,
        turn_back=max(window - rollback - margin, 0.0),
    )


def _announced(run: Run, now: datetime) -> datetime | None:
    """The opening that was announced; without a zone it is local time."""
    opens = run.window_opens
    if opens is None:
        return None
    return opens if opens.tzinfo else opens.replace(tzinfo=now.astimezone().tzinfo)


def _marks(
    plan: Plan,
    window: float,
    state: RunState,
    here: Pace,
    before: Pace,
    now: datetime,
    opens_at: datetime | None,
    left: Mapping[str, float],
) -> Iterator[Mark]:
    """A mark for each phase the plan gives a time; the plan's times are stretched to the length of the window."""
    timed = [phase for phase in plan.phases if phase.minutes is not None]
    last = max((phase.minutes or 0 for phase in timed), default=0)
    elapsed = 0.0 if opens_at is None else (now - opens_at).total_seconds()
    at, due = max(elapsed, 0.0), 0.0
    for phase in timed:
        planned = window * (phase.minutes or 0) / last
        share = max(planned - due, 0.0) / max(len(phase.steps), 1)  # a phase may have nothing to do
        due = planned
        open_steps = [step for step in phase.steps if not state.step(step.id).status.settled]
        actual = None
        if not open_steps and opens_at is not None:
            ends = [datetime.fromisoformat(end) for step in phase.steps if (end := state.step(step.id).finished_at)]
            actual = (max(ends, default=opens_at) - opens_at).total_seconds()
        known = {
            step.id: seconds
            for step in open_steps
            if (seconds := here.steps.get(step.id, before.steps.get(step.id))) is not None
        }
        for step in open_steps:
            at += _to_go(state, step.id, known.get(step.id, share), now, left)
        yield Mark(
            phase=phase.id,
            title=phase.title.lstrip("0123456789 "),
            planned=planned,
            expected=at if open_steps else None,
            actual=0.0 if not open_steps and opens_at is None else actual,
            measured=all(step.work is None or step.id in known or step.id in left for step in open_steps),
        )


def _to_go(state: RunState, step_id: str, whole: float, now: datetime, left: Mapping[str, float]) -> float:
    """Seconds a step still takes, which takes so many in all."""
    if step_id in left:
        return left[step_id]
    step = state.step(step_id)
    if step.status is Status.RUNNING and step.started_at:
        return max(whole - (now - datetime.fromisoformat(step.started_at)).total_seconds(), 0.0)
    return whole


def _behind(marks: Sequence[Mark], now: float | None) -> float | None:
    if now is None or not marks:
        return None
    mark = next((mark for mark in marks if mark.actual is None), marks[-1])
    reached = mark.actual if mark.actual is not None else max(mark.expected or 0.0, now)
    return reached - mark.planned


def _closed(state: RunState, began: datetime | None, now: datetime) -> float | None:
    if began is None:
        return None
    until = datetime.fromisoformat(state.window_closed_at) if state.window_closed_at else now
    return (until - began).total_seconds()


def _rollback(run: Run, here: Pace, before: Pace) -> tuple[float, str]:
    """What a rollback takes, and how that is known."""
    if here.rollback is not None:
        return here.rollback, "as in this run before"
    if run.rollback_seconds is not None:
        return run.rollback_seconds, "as configured"
    if before.rollback is not None:
        return before.rollback, "as rehearsed"
    return UNREHEARSED, "not rehearsed, assumed"


class Timekeeper:
    """The timeline of a run at any moment; what the journal has measured is added up once for each state of it."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._before: Pace | None = None
        self._here = Pace()
        self._counted = -1

    def look(self, now: datetime, left: Mapping[str, float] | None = None) -> Timeline:
        """The line at this moment."""
        runner = self._runner
        if self._before is None:
            self._before = rehearsed(runner.config.run)
        if self._counted != len(runner.events):
            self._counted = len(runner.events)
            self._here = pace(runner.events)
        return build(runner.plan, runner.config.run, runner.state, self._here, self._before, now, left)


# In words


def plus(seconds: float) -> str:
    """A moment of the line: T+0:47, T-1:10."""
    minutes = int(abs(seconds) // 60)
    return f"T{'-' if seconds < 0 and minutes else '+'}{minutes // 60}:{minutes % 60:02}"


def of_day(line: Timeline, seconds: float) -> str:
    """The local time of day of a moment, as T+ where the day is not known."""
    at = line.at(seconds)
    return plus(seconds) if at is None else at.strftime("%H:%M")


def standing(line: Timeline) -> str:
    """How the run stands to its plan."""
    if line.behind is None:
        return ""
    if line.behind >= ON_PLAN:
        return f"Behind plan by {roughly(line.behind)}"
    return "On plan" if line.behind > -ON_PLAN else f"Ahead of plan by {roughly(-line.behind)}"


def where(line: Timeline) -> str:
    """What time it is on the line, or how long until it begins."""
    if line.now is None:
        return "The window is not open"
    if line.ended is not None:
        return f"The window closed at {plus(line.ended)}"
    if line.now < 0:
        return f"The window opens at {of_day(line, 0)}, in {roughly(-line.now)}"
    return f"{plus(line.now)} of {int(line.window // 3600)}:{int(line.window % 3600 // 60):02}"


def basis(line: Timeline) -> str:
    """What the expected times rest on."""
    open_marks = [mark for mark in line.marks if mark.actual is None]
    if all(mark.measured for mark in open_marks):
        return "as measured"
    return "partly as planned" if any(mark.measured for mark in open_marks) else "as planned"


def turn(line: Timeline) -> str:
    """The latest safe moment to turn back."""
    if line.ended is not None:
        return ""
    if line.now is None:
        return f"turn back by {plus(line.turn_back)} at the latest"
    gone = (line.left or 0.0) < 0
    if gone:
        return f"SAFE MOMENT TO TURN BACK PASSED {roughly(-(line.left or 0.0))} ago, at {of_day(line, line.turn_back)}"
    return f"turn back by {of_day(line, line.turn_back)}, in {roughly(line.left or 0.0)}"


def cost(line: Timeline) -> str:
    return f"a rollback takes {duration(line.rollback)} ({line.source})"


def closed(line: Timeline) -> str:
    """How long customers have been locked out."""
    if line.closed is None:
        return ""
    return f"the shop {'has been' if line.open else 'was'} closed for {duration(line.closed)}"


def lines(line: Timeline) -> Iterator[str]:
    """The line for the headless twin."""
    yield ", ".join(filter(None, (where(line), standing(line), turn(line))))
    yield ", ".join(filter(None, (cost(line), f"{roughly(line.margin)} kept as margin", closed(line))))
    for mark in line.marks:
        planned = f"planned {plus(mark.planned)}"
        if mark.actual is not None:
            told = "done before the window" if line.now is None or mark.actual < 0 else f"done {plus(mark.actual)}"
        else:
            told = f"expected {plus(mark.expected or 0.0)}, {'as measured' if mark.measured else 'partly as planned'}"
        yield f"{mark.title:<12}{planned}, {told}"

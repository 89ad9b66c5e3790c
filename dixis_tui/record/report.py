"""What a run amounts to: one model, for the summary of a headless run, for machines, and for paper (`paper`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import humanize
from pydantic import BaseModel, ConfigDict

from dixis_tui.compare.proof import Converted, TableProof
from dixis_tui.compare.validation import proofs
from dixis_tui.model import Example, Finding, Status
from dixis_tui.record import commandlog, downtime, outline, telling
from dixis_tui.record.audit import Audit, audit
from dixis_tui.record.journal import Event, Journal, Lock, RunState, fold, interrupted
from dixis_tui.record.outline import Outline, PhaseOutline, StepOutline
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Step

# Lines of the command log that a report holds, the last ones.
COMMAND_LINES = 5000


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class StepReport(_Frozen):
    id: str
    title: str
    kind: str
    status: Status
    summary: str
    evidence: tuple[str, ...]
    remedy: tuple[str, ...]
    findings: tuple[Finding, ...]
    started_at: str | None
    finished_at: str | None
    seconds: float | None
    signatures: tuple[dict[str, str], ...]


class PhaseReport(_Frozen):
    id: str
    title: str
    status: Status
    seconds: float
    steps: tuple[StepReport, ...]


class Report(_Frozen):
    """The whole run. tables, rows: as compared, else counted, on both sides; bytes: of the source; verified: whether
    they agreed, None before that was asked; proved: whether every value was compared, not only counted.
    downtime: seconds the shop was closed, None before it was open again; downtime_whole, downtime_early: seconds the
    rows keep the shop closed when all is copied in the window, and when the copy is made before. seconds are of the
    last try of each step."""

    run_id: str
    name: str
    environment: str
    database: str
    operator: str
    window_opened_at: str | None
    window_closed_at: str | None
    on_target: bool
    rollbacks: int
    tables: int | None
    rows: int | None
    bytes: int | None
    verified: bool | None
    proved: bool
    downtime: float | None
    downtime_whole: float | None
    downtime_early: float | None
    next: str | None
    phases: tuple[PhaseReport, ...]


class Mark(_Frozen):
    """A phase against the plan. planned: minutes after the opening of the window; begun, done: seconds after it as it
    was, negative before; late: seconds behind the plan, 0 when kept. None for what is not known."""

    phase: str
    title: str
    planned: int | None
    begun: float | None
    done: float | None
    late: float | None


class Waiver(_Frozen):
    """Somebody took responsibility for a check that did not pass; found: what it had answered."""

    at: str
    step: str
    title: str
    name: str
    note: str
    found: str


class Told(_Frozen):
    """An event in words."""

    seq: int
    at: str
    text: str


class Record(Report):
    """All of a run, of its journal alone. next leaves out what is due on a day of the week after. differences: of the
    latest comparison, tables that are not equal; conversions: changes of values that were declared, with the rows each
    concerned; commands: lines of the command log in the run's folder, which is no part of the chain.
    """

    source: str
    server: str
    application: str
    window_minutes: int
    people: dict[str, str]
    emergency_contact: str
    audit: Audit
    timeline: tuple[Mark, ...]
    waivers: tuple[Waiver, ...]
    compared_in: str
    differences: tuple[TableProof, ...]
    conversions: tuple[Converted, ...]
    chronicle: tuple[Told, ...]
    commands: tuple[str, ...]


def build(runner: Runner) -> Report:
    """The report of a run as it stands now."""
    built = _standing(runner.events, runner.state, outline.of(runner.plan, runner.config))
    upcoming = runner.order.next_step()
    return Report.model_validate({**built, "next": upcoming.id if upcoming else None})


def record(run_dir: Path, allowed: Path | None = None) -> Record:
    """All of the run in this folder, which may be a copy of it. allowed: ssh's file that says whose a key is.

    Raises JournalError where the journal cannot be read, or is not what was written.
    """
    audited = audit(run_dir, allowed)
    journal, lock = Journal(run_dir, create=False), Lock(run_dir)
    try:
        events = list(journal.events)
    finally:
        journal.close()
    plan = outline.recorded(events)
    state = fold(events) if lock.held() else interrupted(fold(events))
    compared_in, found = proofs(events)
    return Record.model_validate(
        {
            **_standing(events, state, plan),
            "source": plan.source,
            "server": plan.server,
            "application": plan.application,
            "window_minutes": plan.window_minutes,
            "people": plan.people,
            "emergency_contact": plan.emergency_contact,
            "audit": audited,
            "timeline": tuple(_mark(phase, events, state) for phase in plan.plan),
            "waivers": tuple(_waivers(events, plan)),
            "compared_in": compared_in,
            "differences": tuple(one for one in found if one.status != "equal"),
            "conversions": tuple(one for proof in found for one in proof.conversions if one.rows),
            "chronicle": tuple(Told(seq=e.seq, at=e.at, text=telling.told(e)) for e in telling.chronicle(events)),
            "commands": _commands(run_dir / commandlog.NAME),
        }
    )


def _commands(path: Path) -> tuple[str, ...]:
    """The lines of the command log, the last ones of a long one; none where there is no such file."""
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", errors="replace") as file:
        return tuple(line.rstrip("\n") for line in deque(file, maxlen=COMMAND_LINES))


def _standing(events: Sequence[Event], state: RunState, plan: Outline) -> dict[str, Any]:
    proof = state.step("cutover.proof").outcome or state.step("validation.proof").outcome
    counts = proof or state.step("data.counts").outcome
    closed = downtime.expected(events)
    snapshot = state.step("data.snapshot").outcome
    opened = next((event.data for event in events if event.kind == "run-opened"), {})
    ahead = (step for phase in plan.plan for step in phase.steps if not step.day)
    upcoming = (step.id for step in ahead if not state.step(step.id).status.settled)
    return {
        "run_id": state.run_id,
        "name": plan.name or opened.get("name", ""),
        "environment": plan.environment or opened.get("environment", ""),
        "database": plan.database,
        "operator": state.operator,
        "window_opened_at": state.window_opened_at,
        "window_closed_at": state.window_closed_at,
        "on_target": state.switched,
        "rollbacks": state.rollbacks,
        "tables": counts.facts.get("tables") if counts else None,
        "rows": counts.facts.get("rows") if counts else None,
        "bytes": snapshot.facts["snapshot"]["size"] if snapshot and "snapshot" in snapshot.facts else None,
        "verified": counts.status is Status.PASS if counts else None,
        "proved": proof is not None,
        "downtime": state.downtime,
        "downtime_whole": closed.whole if closed else None,
        "downtime_early": closed.early if closed else None,
        "next": next(upcoming, None),
        "phases": tuple(
            PhaseReport(
                id=phase.id,
                title=phase.title,
                status=outline.standing([state.step(step.id).status for step in phase.steps]),
                seconds=sum(state.step(step.id).seconds or 0.0 for step in phase.steps),
                steps=tuple(_step(step, state) for step in phase.steps),
            )
            for phase in plan.phases
        ),
    }


def _step(step: StepOutline, state: RunState) -> StepReport:
    now = state.step(step.id)
    outcome = now.outcome
    return StepReport(
        id=step.id,
        title=step.title,
        kind=step.kind,
        status=now.status,
        summary=outcome.summary if outcome else "",
        evidence=outcome.evidence if outcome else (),
        remedy=outcome.remedy if outcome else (),
        findings=outcome.findings if outcome else (),
        started_at=now.started_at,
        finished_at=now.finished_at,
        seconds=now.seconds,
        signatures=tuple(asdict(signature) for signature in now.signatures),
    )


def _between(begin: str | None, end: str | None) -> float | None:
    """Seconds from one time to the other; None while one of them is not known."""
    if begin is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def _mark(phase: PhaseOutline, events: Sequence[Event], state: RunState) -> Mark:
    """When a phase began and was done, its people's answers included; of the tries since the last rollback."""
    since = max((event.seq for event in events if event.kind == "rolled-back"), default=0)
    mine = {step.id for step in phase.steps}
    begun = next((e.at for e in events if e.seq > since and e.kind == "step-started" and e.data["step"] in mine), None)
    settled = all(state.step(step.id).status.settled for step in phase.steps)
    ends = [state.step(step.id).finished_at for step in phase.steps]
    done = max(filter(None, ends), default=None) if settled else None
    after = _between(state.window_opened_at, done)
    return Mark(
        phase=phase.id,
        title=phase.title,
        planned=phase.minutes,
        begun=_between(state.window_opened_at, begun),
        done=after,
        late=None if after is None or phase.minutes is None else max(0.0, after - phase.minutes * 60),
    )


def _waivers(events: Iterable[Event], plan: Outline) -> Iterator[Waiver]:
    answers: dict[str, str] = {}
    for event in events:
        if event.kind == "step-finished":
            outcome = event.data["outcome"]
            answers[event.data["step"]] = f"{outcome['status']}: {outcome['summary']}"
        elif event.kind == "step-waived":
            step = event.data["step"]
            yield Waiver(
                at=event.at,
                step=step,
                title=plan.title(step),
                name=event.data["name"],
                note=event.data["note"],
                found=answers.get(step, ""),
            )


class PreflightFinding(_Frozen):
    """One line of a preflight's answer. status: note, warn or fail of the finding; error, skip, waived of its check."""

    check: str
    status: str
    table: str
    column: str
    rows: int
    examples: tuple[Example, ...]
    message: str
    remedy: tuple[str, ...]


class PreflightSummary(_Frozen):
    """How many checks answered what; status: the worst of them."""

    status: Status
    checks: int
    answers: dict[str, int]
    findings: int
    rows: int
    seconds: float


class Preflight(_Frozen):
    """What `dixis preflight --json` prints."""

    summary: PreflightSummary
    findings: tuple[PreflightFinding, ...]


def preflight(runner: Runner, phase: Phase, only: Collection[str] = ()) -> Preflight:
    """What the checks of a phase have found. only: of these, and of what they need where that is not well."""
    wanted = set(only)
    for step in reversed(phase.steps):
        if step.id in wanted:
            wanted.update(need for need in step.needs if not runner.state.step(need).status.settled)
    steps = [step for step in phase.steps if step.work and (not only or step.id in wanted)]
    findings = tuple(one for step in steps for one in _findings(phase, step, runner.state))
    statuses = [runner.state.step(step.id).status for step in steps]
    worst = next((one for one in (Status.ERROR, Status.FAIL, Status.WARN) if one in statuses), Status.PASS)
    answers = {str(one): statuses.count(one) for one in Status if one in statuses}
    told = [one for one in findings if one.status in ("fail", "warn")]
    return Preflight(
        summary=PreflightSummary(
            status=worst,
            checks=len(steps),
            answers=answers,
            findings=len(told),
            rows=sum(one.rows for one in told),
            seconds=_elapsed(runner.state, steps),
        ),
        findings=findings,
    )


def _elapsed(state: RunState, steps: Sequence[Step]) -> float:
    """Seconds between the first beginning and the last end of steps that ran beside each other."""
    times = [
        datetime.fromisoformat(at)
        for step in steps
        for at in (state.step(step.id).started_at, state.step(step.id).finished_at)
        if at
    ]
    return round((max(times) - min(times)).total_seconds(), 3) if times else 0.0


def _findings(phase: Phase, step: Step, state: RunState) -> Iterator[PreflightFinding]:
    """The findings of a check; one made of its answer where that is error or skip."""
    now = state.step(step.id)
    if now.outcome is None:
        return
    found = now.outcome.findings
    if not found and now.status in (Status.ERROR, Status.FAIL, Status.SKIP):
        found = (Finding(status=now.status, message=now.outcome.summary, remedy=now.outcome.remedy),)
    for one in found:
        status = "note" if one.status is Status.PASS else "waived" if now.status is Status.WAIVED else str(one.status)
        yield PreflightFinding(
            check=step.id.removeprefix(phase.id + "."),
            status=status,
            table=one.table,
            column=one.column,
            rows=one.rows,
            examples=one.examples,
            message=one.message,
            remedy=one.remedy,
        )


def summary(report: Report) -> Iterator[str]:
    """The end of a headless run: what moved, whether it was verified, how long each phase took."""
    yield f"{report.name}, run {report.run_id or 'not begun'}, {report.environment}, database {report.database}"
    if report.rows is not None and report.tables is not None:
        yield f"  tables    {report.tables}"
        yield f"  rows      {report.rows:,}"
    if report.bytes is not None:
        yield f"  bytes     {report.bytes:,} ({humanize.naturalsize(report.bytes)})"
    if report.verified is not None:
        what = ("every value is equal", "values differ") if report.proved else ("row counts agree", "row counts differ")
        yield f"  verified  {what[0] if report.verified else f'NO: {what[1]}'}"
    if report.downtime is not None:
        yield f"  closed    {humanize.precisedelta(report.downtime, format='%0.0f')}, from maintenance on to off"
    if report.downtime_whole is not None and report.downtime_early is not None:
        yield (
            f"  downtime  of the rows, as measured: {report.downtime_whole:.1f} s copied in the window,"
            f" {report.downtime_early:.1f} s copied before it and re-synced"
        )
    yield f"  the shop  {'runs on MySQL' if report.on_target else 'runs on SQLite'}"
    for phase in report.phases:
        if phase.status is not Status.PENDING or phase.seconds:
            yield f"  {phase.title:<14}{phase.status:<12}{phase.seconds:8.1f} s"
    if report.next is not None:
        yield f"  next      {report.next}"

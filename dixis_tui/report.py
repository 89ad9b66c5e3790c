"""What a run amounts to: one model, printed as text, as Markdown for the reviewers, or as JSON for machines."""

from __future__ import annotations

from collections.abc import Iterator

import humanize
from pydantic import BaseModel, ConfigDict

from dixis_tui import downtime
from dixis_tui.journal import RunState, Signature
from dixis_tui.model import Status
from dixis_tui.runner import Runner
from dixis_tui.step import Step


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
    downtime_whole, downtime_early: seconds the rows keep the shop closed when all is copied in the window, and when
    the copy is made before. seconds are of the last try of each step."""

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
    downtime_whole: float | None
    downtime_early: float | None
    next: str | None
    phases: tuple[PhaseReport, ...]


def build(runner: Runner) -> Report:
    """The report of a run as it stands now."""
    state, config = runner.state, runner.config
    proof = state.step("validation.proof").outcome
    counts = proof or state.step("data.counts").outcome
    closed = downtime.expected(runner.events)
    snapshot = state.step("data.snapshot").outcome
    upcoming = runner.next_step()
    return Report(
        run_id=state.run_id,
        name=config.run.name,
        environment=config.run.environment,
        database=config.target_section.database if config.target_section else "",
        operator=state.operator,
        window_opened_at=state.window_opened_at,
        window_closed_at=state.window_closed_at,
        on_target=state.switched,
        rollbacks=state.rollbacks,
        tables=counts.facts.get("tables") if counts else None,
        rows=counts.facts.get("rows") if counts else None,
        bytes=snapshot.facts["snapshot"]["size"] if snapshot and "snapshot" in snapshot.facts else None,
        verified=counts.status is Status.PASS if counts else None,
        proved=proof is not None,
        downtime_whole=closed.whole if closed else None,
        downtime_early=closed.early if closed else None,
        next=upcoming.id if upcoming else None,
        phases=tuple(
            PhaseReport(
                id=phase.id,
                title=phase.title,
                status=runner.phase_status(phase),
                seconds=sum(state.step(step.id).seconds or 0.0 for step in phase.steps),
                steps=tuple(_step(step, state) for step in phase.steps),
            )
            for phase in (*runner.plan.phases, runner.plan.rollback)
        ),
    )


def _step(step: Step, state: RunState) -> StepReport:
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
        seconds=now.seconds,
        signatures=tuple(_signature(signature) for signature in now.signatures),
    )


def _signature(signature: Signature) -> dict[str, str]:
    return {"role": signature.role, "name": signature.name, "note": signature.note, "at": signature.at}


def summary(report: Report) -> Iterator[str]:
    """The end of a headless run: what moved, whether it was verified, how long each phase took."""
    yield f"{report.name}, run {report.run_id}, {report.environment}, database {report.database}"
    if report.rows is not None and report.tables is not None:
        yield f"  tables    {report.tables}"
        yield f"  rows      {report.rows:,}"
    if report.bytes is not None:
        yield f"  bytes     {report.bytes:,} ({humanize.naturalsize(report.bytes)})"
    if report.verified is not None:
        what = ("every value is equal", "values differ") if report.proved else ("row counts agree", "row counts differ")
        yield f"  verified  {what[0] if report.verified else f'NO: {what[1]}'}"
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


def markdown(report: Report) -> Iterator[str]:
    """The report for the reviewers: every step with evidence, remedies and signatures."""
    yield f"# Migration of {report.name}"
    yield ""
    yield "```"
    yield from summary(report)
    yield "```"
    for phase in report.phases:
        if all(step.status is Status.PENDING for step in phase.steps):
            continue
        yield ""
        yield f"## {phase.title}: {phase.status}"
        for step in phase.steps:
            yield ""
            seconds = "" if step.seconds is None else f", {step.seconds:.1f} s"
            yield f"### {step.id}: {step.status}{seconds}"
            yield ""
            yield f"{step.title}. {step.summary}".rstrip()
            for signature in step.signatures:
                note = f" ({signature['note']})" if signature["note"] else ""
                yield f"- signed as {signature['role']} by {signature['name']}, {signature['at']}{note}"
            if step.evidence:
                yield ""
                yield from (f"    {line}" for line in step.evidence)
            for line in step.remedy:
                yield f"- next: {line}"

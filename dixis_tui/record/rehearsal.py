"""What a rehearsal has shown: read from its journal, which must hold to the last byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dixis_tui.model import Status
from dixis_tui.record import outline, timeline
from dixis_tui.record.audit import audit
from dixis_tui.record.journal import WENT_LIVE, Event, Journal, JournalError

PROOFS = ("cutover.proof", "validation.proof")


@dataclass(frozen=True)
class Rehearsal:
    """problems: why it does not count as one that ended well; empty when it does. phases: seconds each took, by title.

    closed: seconds the shop was closed; rollback: seconds it took to go back, None when that was not rehearsed.
    """

    run_id: str
    name: str
    environment: str
    ended_at: str
    proof: str
    phases: Mapping[str, float]
    closed: float | None
    rollback: float | None
    problems: Sequence[str]


def read(directory: Path) -> Rehearsal:
    """The rehearsal in this folder. Raises JournalError where its journal is not there, or not what was written."""
    found = audit(directory)
    if found.broken:
        raise JournalError(
            f"The rehearsal's journal {found.journal} is not what was written: {found.broken.line()}.",
            safe="nothing was changed",
            next_step="restore it from a copy, or rehearse once more",
        )
    journal = Journal(directory, create=False)
    try:
        events = list(journal.events)
    finally:
        journal.close()
    last = {event.data["step"]: event for event in events if event.kind == "step-finished"}
    live = next((event for event in reversed(events) if event.kind == WENT_LIVE), None)
    proof = next((last[step] for step in PROOFS if step in last), None)
    plan, took = outline.recorded(events), timeline.pace(events)
    return Rehearsal(
        run_id=found.run_id,
        name=plan.name,
        environment=plan.environment,
        ended_at=live.at if live else "",
        proof=proof.data["outcome"]["summary"] if proof else "",
        phases={
            phase.title: sum(seconds for step, seconds in took.steps.items() if step.startswith(f"{phase.id}."))
            for phase in plan.plan
        },
        closed=_between(events, "window-opened", "window-closed"),
        rollback=took.rollback,
        problems=tuple(_problems(live, proof)),
    )


def _problems(live: Event | None, proof: Event | None) -> list[str]:
    problems = []
    if proof is None:
        problems.append("it did not compare the values")
    elif proof.data["outcome"]["status"] != Status.PASS:
        problems.append(
            f"its comparison ended with {proof.data['outcome']['status']}: {proof.data['outcome']['summary']}"
        )
    if live is None:
        problems.append("it did not come to the opening of the shop on the target")
    return problems


def _between(events: Sequence[Event], first: str, last: str) -> float | None:
    """Seconds from the first event of one kind to the next of the other."""
    begin = next((event for event in events if event.kind == first), None)
    end = next((event for event in events if begin and event.kind == last and event.seq > begin.seq), None)
    return (end.time - begin.time).total_seconds() if begin and end else None

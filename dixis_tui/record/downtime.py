"""How long the rows keep the shop closed, by what was measured in this run: copied in the window, or before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dixis_tui.record.journal import Event

PROOFS = ("validation.proof", "cutover.proof")


@dataclass(frozen=True)
class Downtime:
    """Seconds. whole: snapshot, copy and proof in the window; early: the copy made before, and in the window a
    snapshot, the comparison that writes what changed, and the proof."""

    whole: float
    early: float


def expected(events: Iterable[Event]) -> Downtime | None:
    """What both ways would take; None before the copy and a proof have been made."""
    took: dict[str, list[float]] = {}
    begun: dict[str, datetime] = {}
    for event in events:
        step = str(event.data.get("step", ""))
        if event.kind == "step-started":
            begun[step] = event.time
        elif event.kind == "step-finished" and step in begun:
            took.setdefault(step, []).append((event.time - begun.pop(step)).total_seconds())
    proofs = [took[step][-1] for step in PROOFS if step in took]
    # A later run of the phase re-syncs: the longest is the one that copied.
    copied = {step: max(seconds) for step, seconds in took.items() if step.startswith("data.")}
    if not proofs or "data.snapshot" not in copied:
        return None
    proof = proofs[-1]
    # Comparing reads what the proof reads; a re-sync that was made knows better.
    resync = took.get("cutover.resync", [proof])[-1]
    return Downtime(sum(copied.values()) + proof, copied["data.snapshot"] + resync + proof)

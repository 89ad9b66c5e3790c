"""The words of a migration: statuses, outcomes, steps, phases, the plan.

Nothing here does work or keeps state; every other module speaks in these terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from dixis_tui.context import Context


class DixisError(Exception):
    """Something went wrong that the operator must read.

    what: what happened; safe: what is untouched; next_step: what to do now.
    """

    def __init__(self, what: str, *, safe: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.safe = safe
        self.next_step = next_step

    def lines(self) -> list[str]:
        """The message as the console and the headless twin print it, one thought a line."""
        lines = [self.what]
        if self.safe:
            lines.append(f"Safe: {self.safe}")
        if self.next_step:
            lines.append(f"Next: {self.next_step}")
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())


class StoppedError(DixisError):
    """The operator asked to stop; what was finished is kept and the step can be run again."""

    def __init__(self, what: str = "Stopped at the operator's request.") -> None:
        super().__init__(what, safe="everything finished so far is kept", next_step="run the step again to carry on")


class Kind(StrEnum):
    """What a step does: see docs/architecture.md."""

    CHECK = "check"
    ACTION = "action"
    SIGNOFF = "sign-off"
    GATE = "gate"


class Status(StrEnum):
    """Where a step stands. The last six are ends; FAIL is an answer, ERROR is "could not ask"."""

    PENDING = "pending"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    WAIVED = "waived"

    @property
    def settled(self) -> bool:
        """True when the plan may go on past this step."""
        return self in (Status.PASS, Status.WARN, Status.WAIVED)

    @property
    def glyph(self) -> str:
        """One sign that goes with the word, never instead of it."""
        return _GLYPHS[self]

    @property
    def ended(self) -> bool:
        return self.settled or self in (Status.FAIL, Status.ERROR)


_GLYPHS = dict(zip(Status, "·…~✓!✗?–", strict=True))


class Outcome(BaseModel):
    """What a step found or did.

    summary: one line; evidence: lines a reviewer would want to read; remedy: lines that say what to do,
    commands ready to copy; facts: JSON values other steps or reports read.
    """

    model_config = ConfigDict(frozen=True)

    status: Status
    summary: str
    evidence: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    facts: Mapping[str, Any] = Field(default_factory=dict)


def passed(summary: str, evidence: Sequence[str] = (), **facts: Any) -> Outcome:
    return Outcome(status=Status.PASS, summary=summary, evidence=tuple(evidence), facts=facts)


def warned(summary: str, evidence: Sequence[str] = (), remedy: Sequence[str] = (), **facts: Any) -> Outcome:
    return Outcome(status=Status.WARN, summary=summary, evidence=tuple(evidence), remedy=tuple(remedy), facts=facts)


def failed(summary: str, evidence: Sequence[str] = (), remedy: Sequence[str] = (), **facts: Any) -> Outcome:
    return Outcome(status=Status.FAIL, summary=summary, evidence=tuple(evidence), remedy=tuple(remedy), facts=facts)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one item of a running step is; a later message for the same item replaces the earlier one.

    step: id of the step; item: a table, a file, a stream; done, total: counted in unit; note: short free text.
    """

    step: str
    item: str
    done: int
    total: int | None
    unit: str = "rows"
    state: Status = Status.RUNNING
    note: str = ""


@dataclass(frozen=True)
class Step:
    """One line of a phase's checklist.

    id: `phase.name`, stable, used by the journal, the docs and the command line.
    why: one sentence for the newcomer. work: does it, in a thread, and answers; None for sign-offs and gates.
    preview: what an action would do, as SQL or command lines with secrets left out.
    undo: how it is taken back. roles: who must sign a gate. waivable: whether a person may take responsibility for
    a check that did not pass.
    waivable: whether a person may take responsibility for a check that did not pass.
    """

    id: str
    title: str
    kind: Kind
    why: str
    work: Callable[[Context], Outcome] | None = None
    preview: Callable[[Context], list[str]] | None = None
    undo: str = ""
    roles: tuple[str, ...] = ()
    waivable: bool = True

    def __post_init__(self) -> None:
        if (self.work is None) != (self.kind in (Kind.SIGNOFF, Kind.GATE)):
            raise ValueError(f"step {self.id}: checks and actions have work, sign-offs and gates have none")
        if self.kind is Kind.ACTION and not (self.preview and self.undo):
            raise ValueError(f"action {self.id} must show what it would do and say how it is undone")


@dataclass(frozen=True)
class Phase:
    """An ordered part of the plan.

    go_on: keep running steps after one has failed (checks that stand alone). minutes: when it should be finished,
    counted from the opening of the window; None outside the window. before_switch: its actions may not run while the
    application is on the target, whose rows they would replace. invalidates: phases whose answers no longer count once
    this one starts over.
    """

    id: str
    title: str
    steps: tuple[Step, ...]
    go_on: bool = False
    minutes: int | None = None
    before_switch: bool = False
    invalidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The phases in order, and the rollback that stands beside them."""

    phases: tuple[Phase, ...]
    rollback: Phase
    _steps: dict[str, Step] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        steps: dict[str, Step] = {}
        for phase in (*self.phases, self.rollback):
            for step in phase.steps:
                if step.id in steps or not step.id.startswith(phase.id + "."):
                    raise ValueError(f"step id {step.id} is taken or does not belong to phase {phase.id}")
                steps[step.id] = step
        object.__setattr__(self, "_steps", steps)

    def step(self, step_id: str) -> Step:
        """The step of that id; KeyError when there is none."""
        return self._steps[step_id]

    def phase(self, phase_id: str) -> Phase:
        """The phase of that id, the rollback included; DixisError names the ones there are."""
        for phase in (*self.phases, self.rollback):
            if phase.id == phase_id:
                return phase
        known = ", ".join(phase.id for phase in (*self.phases, self.rollback))
        raise DixisError(f"There is no phase named {phase_id!r}.", next_step=f"use one of: {known}")

    def phase_of(self, step_id: str) -> Phase:
        return self.phase(step_id.split(".", 1)[0])

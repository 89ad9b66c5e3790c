"""The words of a migration: errors, kinds and statuses of steps, outcomes, progress.

Nothing here does work or keeps state; every other module speaks in these terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# Stable exit codes of every command, documented in docs/operator.md.
OK, FAILED, USAGE, COULD_NOT_ASK, HELD = range(5)


class DixisError(Exception):
    """Something went wrong that the operator must read.

    what: what happened; safe: what is untouched; next_step: what to do now. exit_code: of a command that it ends.
    """

    exit_code = COULD_NOT_ASK

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

    exit_code = FAILED

    def __init__(self, what: str = "Stopped at the operator's request.") -> None:
        super().__init__(what, safe="everything finished so far is kept", next_step="run the step again to carry on")


class NotNowError(DixisError):
    """The plan does not allow this step yet."""

    exit_code = FAILED


class Kind(StrEnum):
    """What a step does: see docs/architecture.md."""

    CHECK = "check"
    ACTION = "action"
    SIGNOFF = "sign-off"
    GATE = "gate"


class Status(StrEnum):
    """Where a step stands. The last six are ends; FAIL is an answer, ERROR is "could not ask", SKIP is "not asked"."""

    PENDING = "pending"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    WAIVED = "waived"
    SKIP = "skip"

    @property
    def settled(self) -> bool:
        """True when the plan may go on past this step."""
        return self in (Status.PASS, Status.WARN, Status.WAIVED, Status.SKIP)

    @property
    def glyph(self) -> str:
        """One sign that goes with the word, never instead of it."""
        return _GLYPHS[self]

    @property
    def ended(self) -> bool:
        return self.settled or self in (Status.FAIL, Status.ERROR)


_GLYPHS = dict(zip(Status, "·…~✓!✗?–»", strict=True))


Level = Literal["debug", "info", "warn", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warn", "error")


class Example(BaseModel):
    """One row of a finding. key: how to find it again, `id = 7`; value: what it holds there."""

    model_config = ConfigDict(frozen=True)

    key: str
    value: str


class Finding(BaseModel):
    """One thing a check has found.

    status: fail, warn, or pass for a note that stops nobody; rows: how many it concerns, 0 where it is not about rows;
    remedy: lines ready to copy, for the configuration, SQL or a shell; a line "or" stands between two ways out.
    """

    model_config = ConfigDict(frozen=True)

    status: Status
    message: str
    table: str = ""
    column: str = ""
    rows: int = 0
    examples: tuple[Example, ...] = ()
    remedy: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The table and column it is about, empty when it is about neither."""
        return ".".join(filter(None, (self.table, self.column)))


class Outcome(BaseModel):
    """What a step found or did.

    summary: one line; evidence: lines a reviewer would want to read; remedy: lines that say what to do,
    commands ready to copy; facts: JSON values other steps or reports read; findings: what a check found, one by one.
    """

    model_config = ConfigDict(frozen=True)

    status: Status
    summary: str
    evidence: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = Field(default_factory=dict)


def passed(summary: str, evidence: Sequence[str] = (), **facts: Any) -> Outcome:
    return Outcome(status=Status.PASS, summary=summary, evidence=tuple(evidence), facts=facts)


def warned(summary: str, evidence: Sequence[str] = (), remedy: Sequence[str] = (), **facts: Any) -> Outcome:
    return Outcome(status=Status.WARN, summary=summary, evidence=tuple(evidence), remedy=tuple(remedy), facts=facts)


def failed(summary: str, evidence: Sequence[str] = (), remedy: Sequence[str] = (), **facts: Any) -> Outcome:
    return Outcome(status=Status.FAIL, summary=summary, evidence=tuple(evidence), remedy=tuple(remedy), facts=facts)


def skipped(reason: str, **facts: Any) -> Outcome:
    """A check that was not asked, and why."""
    return Outcome(status=Status.SKIP, summary=reason, facts=facts)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one item of a running step is; a later message for the same item replaces the earlier one.

    step: id of the step; item: a table, a file, a stream; done, total: counted in unit; note: short free text.
    size: bytes so far, 0 when not known. part: an item of its own, the sum of all items (whole), or one of the streams
    that work on them, whose note names the item; left: seconds to go, None when not known.
    """

    step: str
    item: str
    done: int
    total: int | None
    unit: str = "rows"
    state: Status = Status.RUNNING
    note: str = ""
    size: int = 0
    part: Literal["item", "whole", "stream"] = "item"
    left: float | None = None

"""The registry of checks: what each is called, why it matters, how bad a problem is, and what mends it.

A check is a function of the context that answers `good(…)`, `problem(…)`, `found(…)` or `skip(…)`. It only reads. When
it raises, the answer is "could not ask", never yes or no.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dixis_tui.context import Context
from dixis_tui.model import Example, Finding, Kind, Outcome, Status, skipped
from dixis_tui.step import Step

Severity = Literal["fail", "warn", "note"]
PHASE = "preflight."
STATUSES = {"fail": Status.FAIL, "warn": Status.WARN, "note": Status.PASS}
WORST_FIRST = (Status.FAIL, Status.WARN, Status.PASS)


@dataclass(frozen=True)
class Answer:
    """A check's answer: one line, what was found, lines of evidence, JSON facts.

    findings without a status of their own have the one the check is registered with. skipped: the question does not
    arise, and the summary says why.
    """

    summary: str
    findings: tuple[Finding, ...] = ()
    evidence: tuple[str, ...] = ()
    facts: dict[str, Any] | None = None
    skipped: bool = False


def good(summary: str, *evidence: str, facts: dict[str, Any] | None = None) -> Answer:
    return Answer(summary, (), evidence, facts)


def skip(reason: str) -> Answer:
    """The question does not arise."""
    return Answer(reason, skipped=True)


def finding(
    message: str,
    *remedy: str,
    severity: Severity | None = None,
    table: str = "",
    column: str = "",
    rows: int = 0,
    examples: Iterable[tuple[str, str]] = (),
) -> Finding:
    """severity: where it is not the check's; remedy: lines ready to copy, the check's own where there are none."""
    return Finding(
        status=STATUSES[severity] if severity else Status.PENDING,
        message=message,
        table=table,
        column=column,
        rows=rows,
        examples=tuple(Example(key=key, value=value) for key, value in examples),
        remedy=remedy,
    )


def problem(
    summary: str, *evidence: str, remedy: Iterable[str] = (), severity: Severity | None = None, table: str = ""
) -> Answer:
    """An answer with one finding, whose message is the summary."""
    return Answer(summary, (finding(summary, *remedy, severity=severity, table=table),), evidence)


def found(findings: Iterable[Finding], otherwise: str, *evidence: str, facts: dict[str, Any] | None = None) -> Answer:
    """An answer with these findings; otherwise: what to say when there are none."""
    return Answer(otherwise, tuple(findings), evidence, facts)


Function = Callable[[Context], Answer]


@dataclass(frozen=True)
class Check:
    """One check. severity: what a problem means for the plan, stop (fail) or think (warn); needs: ids of checks that
    must be well before this one can be asked."""

    id: str
    title: str
    why: str
    severity: Severity
    remedy: str
    ask: Function
    needs: tuple[str, ...] = ()

    @property
    def step_id(self) -> str:
        return PHASE + self.id

    def step(self) -> Step:
        """This check as a step of the Preflight phase. Its no cannot be waived, only mended or mapped."""
        return Step(
            id=self.step_id,
            title=self.title,
            kind=Kind.CHECK,
            why=self.why,
            work=self.outcome,
            waivable_fail=False,
            needs=tuple(PHASE + need for need in self.needs),
        )

    def outcome(self, ctx: Context) -> Outcome:
        """Ask, and say it in the plan's terms. Raises whatever stood between question and answer."""
        answer = self.ask(ctx)
        if answer.skipped:
            return skipped(answer.summary)
        findings = sorted(map(self._settled, answer.findings), key=lambda one: WORST_FIRST.index(one.status))
        status = findings[0].status if findings else Status.PASS
        remedies = () if status is Status.PASS else dict.fromkeys(line for one in findings[:1] for line in one.remedy)
        return Outcome(
            status=status,
            summary=_summary(findings, answer.summary),
            evidence=answer.evidence,
            remedy=tuple(remedies),
            findings=tuple(findings),
            facts=answer.facts or {},
        )

    def _settled(self, one: Finding) -> Finding:
        status = STATUSES[self.severity] if one.status is Status.PENDING else one.status
        remedy = one.remedy or (() if status is Status.PASS else (self.remedy,))
        return one.model_copy(update={"status": status, "remedy": remedy})


def _summary(findings: Sequence[Finding], otherwise: str) -> str:
    """The worst finding, and how many there are as well; when none is more than a note, their number."""
    told = [one for one in findings if one.status is not Status.PASS]
    if not told:
        notes = "1 note" if len(findings) == 1 else f"{len(findings)} notes"
        return f"{otherwise}; {notes}" if findings else otherwise
    place = f"{told[0].place}: " if told[0].place else ""
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    return f"{place}{told[0].message}{more}"


REGISTRY: dict[str, Check] = {}


def check(
    id: str,  # noqa: A002
    title: str,
    *,
    why: str,
    severity: Severity,
    remedy: str,
    needs: tuple[str, ...] = (),
) -> Callable[[Function], Function]:
    """Register a function as the check of that id; checks stand in the order they are registered."""

    def register(function: Function) -> Function:
        if id in REGISTRY:
            raise ValueError(f"check {id} is registered twice")
        REGISTRY[id] = Check(id, title, why, severity, remedy, function, needs)
        return function

    return register

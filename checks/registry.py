"""The registry of checks: what each is called, why it matters, how bad a problem is, and what mends it.

A check is a function of the context that answers `good(…)` or `problem(…)`. It only reads. When it raises, the answer
is "could not ask", never yes or no.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from dixis_tui.context import Context
from dixis_tui.model import Kind, Outcome, Status
from dixis_tui.step import Step

Severity = Literal["fail", "warn"]


@dataclass(frozen=True)
class Answer:
    """A check's answer: ok or not, one line, lines of evidence, lines of remedy beyond the check's own, JSON facts."""

    ok: bool
    summary: str
    evidence: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    facts: dict[str, Any] | None = None


def good(summary: str, *evidence: str, facts: dict[str, Any] | None = None) -> Answer:
    return Answer(True, summary, evidence, facts=facts)


def problem(summary: str, *evidence: str, remedy: tuple[str, ...] = ()) -> Answer:
    """remedy: what mends just this case; the check's general remedy stands when it is left out."""
    return Answer(False, summary, evidence, remedy)


Function = Callable[[Context], Answer]


@dataclass(frozen=True)
class Check:
    """One check. severity: what a problem means for the plan, stop (fail) or think (warn)."""

    id: str
    title: str
    why: str
    severity: Severity
    remedy: str
    ask: Function

    def step(self) -> Step:
        """This check as a step of the Preflight phase."""
        return Step(id=self.id, title=self.title, kind=Kind.CHECK, why=self.why, work=self._work)

    def _work(self, ctx: Context) -> Outcome:
        answer = self.ask(ctx)
        return Outcome(
            status=Status.PASS if answer.ok else Status(self.severity),
            summary=answer.summary,
            evidence=answer.evidence,
            remedy=() if answer.ok else (answer.remedy or (self.remedy,)),
            facts=answer.facts or {},
        )


REGISTRY: dict[str, Check] = {}


def check(id: str, title: str, *, why: str, severity: Severity, remedy: str) -> Callable[[Function], Function]:  # noqa: A002
    """Register a function as the check of that id; checks run in the order they are registered."""

    def register(function: Function) -> Function:
        if id in REGISTRY:
            raise ValueError(f"check {id} is registered twice")
        REGISTRY[id] = Check(id, title, why, severity, remedy, function)
        return function

    return register

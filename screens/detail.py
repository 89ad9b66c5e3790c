"""All that is known about one step, as text: what was found, what to do, evidence, why it is there, who signed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from dixis_tui.model import Finding, Kind, Status
from dixis_tui.runner import Runner
from dixis_tui.step import Step
from screens import words
from screens.checklist import verified

SHOWN = 40  # findings on a step's page


def describe(runner: Runner, step: Step) -> Text:
    """The step's page; what needs the operator's eyes comes first."""
    now = runner.state.step(step.id)
    text = Text()
    text.append(step.title, "bold").append("  ").append_text(words.state(now.status)).append("\n")
    text.append(" · ".join(_facts(runner, step)), "dim").append("\n")
    if now.outcome and now.status is not Status.RUNNING:
        _part(text, "Found", (now.outcome.summary,))
        _findings(text, now.outcome.findings)
        _part(text, "To do", () if now.outcome.findings else now.outcome.remedy, style="bold")
        _part(text, "Evidence", now.outcome.evidence)
    _part(text, "Signed", (_signed(s.role, s.name, s.at, s.note) for s in now.signatures))
    _part(text, "Wanted", _missing(runner, step))
    _part(text, "Why", (step.why,))
    _part(text, "Verified", (verified(step),) if step.kind is not Kind.GATE else ())
    if step.kind is Kind.ACTION:
        _part(text, "Does", ("Enter first shows exactly what it would do.",))
        _part(text, "Undo", (step.undo,))
    text.right_crop(1)
    return text


def _findings(text: Text, findings: Sequence[Finding]) -> None:
    """The worst findings in a line each; Enter shows them with their rows and remedies."""
    if not findings:
        return
    text.append("Findings: ", "bold cyan").append("Enter shows rows and remedies", "dim")
    for one in findings[:SHOWN]:
        text.append("\n  ").append_text(words.severity(one.status))
        text.append(f" {one.place}: " if one.place else " ", "bold").append(one.message)
    if len(findings) > SHOWN:
        text.append(f"\n  and {len(findings) - SHOWN} more", "dim")
    text.append("\n")


def _facts(runner: Runner, step: Step) -> Iterable[str]:
    now = runner.state.step(step.id)
    yield step.kind
    yield step.id
    if now.status is Status.RUNNING and now.started_at:
        yield f"since {words.local_time(now.started_at)}"
    elif now.finished_at:
        yield f"at {words.local_time(now.finished_at)}"
        if words.took(now):
            yield f"took {words.took(now)}"


def _signed(role: str, name: str, at: str, note: str) -> str:
    return f"{role}: {name}, {words.local_time(at)}" + (f", {note}" if note else "")


def _missing(runner: Runner, step: Step) -> Iterable[str]:
    now = runner.state.step(step.id)
    if step.kind is Kind.GATE and not now.status.settled:
        signed = {signature.role for signature in now.signatures}
        missing = [role for role in step.roles if role not in signed]
        yield f"{'signature' if len(missing) == 1 else 'signatures'} of {', '.join(missing)}"


def _part(text: Text, label: str, lines: Iterable[str], style: str = "") -> None:
    lines = tuple(lines)
    if not lines or not any(lines):
        return
    text.append(f"{label}: ", "bold cyan")
    indent = "" if len(lines) == 1 else "\n  "
    for line in lines:
        text.append(indent).append(line, style)
    text.append("\n")

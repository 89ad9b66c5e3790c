"""All that is known about one step, as text: what was found, what to do, evidence, why it is there, who signed."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from dixis_tui.model import Kind, Status
from dixis_tui.runner import Runner
from dixis_tui.step import Step
from screens import words


def describe(runner: Runner, step: Step) -> Text:
    """The step's page; what needs the operator's eyes comes first."""
    now = runner.state.step(step.id)
    text = Text()
    text.append(step.title, "bold").append("  ").append_text(words.state(now.status)).append("\n")
    text.append(" · ".join(_facts(runner, step)), "dim").append("\n")
    if now.outcome and now.status is not Status.RUNNING:
        _part(text, "Found", (now.outcome.summary,))
        _part(text, "To do", now.outcome.remedy, style="bold")
        _part(text, "Evidence", now.outcome.evidence)
    _part(text, "Signed", (_signed(s.role, s.name, s.at, s.note) for s in now.signatures))
    _part(text, "Wanted", _missing(runner, step))
    _part(text, "Why", (step.why,))
    if step.kind is Kind.ACTION:
        _part(text, "Does", ("Enter first shows exactly what it would do.",))
        _part(text, "Undo", (step.undo,))
    text.right_crop(1)
    return text


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
        yield from (f"signature of {role}" for role in step.roles if role not in signed)


def _part(text: Text, label: str, lines: Iterable[str], style: str = "") -> None:
    lines = tuple(lines)
    if not lines or not any(lines):
        return
    text.append(f"{label}: ", "bold cyan")
    indent = "" if len(lines) == 1 else "\n  "
    for line in lines:
        text.append(indent).append(line, style)
    text.append("\n")

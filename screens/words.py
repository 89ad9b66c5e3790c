"""How the console says things: words for a status, durations, counts, times, the line that says what is next.

Pure functions of the run's state; nothing here knows a widget.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from dixis_tui.config import Config
from dixis_tui.model import Kind, Outcome, Progress, Status
from dixis_tui.phrase import counted
from dixis_tui.phrase import duration as duration
from dixis_tui.record import downtime
from dixis_tui.record.journal import Event, RunState, StepState
from dixis_tui.record.log import LogLine
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step

MEANINGS = {
    Status.PENDING: "not begun",
    Status.RUNNING: "at work now",
    Status.INTERRUPTED: "was cut off or stopped; run it again to carry on",
    Status.PASS: "done and well",
    Status.WARN: "done, with something to know",
    Status.FAIL: "the answer is no; mend it and run it again",
    Status.ERROR: "could not ask: neither yes nor no",
    Status.WAIVED: "did not pass; a person took responsibility",
    Status.SKIP: "not asked, for the reason it gives",
}
STYLES = {
    Status.PENDING: "",
    Status.RUNNING: "bold cyan",
    Status.INTERRUPTED: "bold yellow",
    Status.PASS: "green",
    Status.WARN: "bold yellow",
    Status.FAIL: "bold red",
    Status.ERROR: "bold red",
    Status.WAIVED: "yellow",
    Status.SKIP: "dim",
}


def state(status: Status) -> Text:
    """Mark and word of a status, readable without colour."""
    return Text(f"{status.glyph} {status}", STYLES[status])


def paused() -> Text:
    """The word for an item whose step the operator has paused."""
    return Text("‖ paused", "bold yellow")


def severity(status: Status) -> Text:
    """How bad a finding is; a note is what stops nobody."""
    return Text("· note", "dim") if status is Status.PASS else state(status)


def spread(left: Text, right: Text, width: int) -> Text:
    """Two texts on one line, one at each end; the left one gives way."""
    room = max(width - right.cell_len - 1, 0)
    left = left.copy()
    left.truncate(room, overflow="ellipsis", pad=True)
    return left.append(" ").append_text(right)


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)].rstrip() + "…"


def took(step: StepState) -> str:
    """How long the step's last try took; empty when it did not finish by itself."""
    return "" if step.seconds is None or step.status is Status.WAIVED else duration(step.seconds)


def clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole % 3600 // 60:02}:{whole % 60:02}"


def local_time(at: str) -> str:
    """The local time of day of an ISO 8601 time."""
    return datetime.fromisoformat(at).astimezone().strftime("%H:%M:%S")


def short_count(number: float) -> str:
    """At most 5 characters: 950, 12.3k, 123k, 1.2M."""
    for limit, divisor, suffix in ((1e4, 1, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M")):
        if number < limit:
            scaled = number / divisor
            return f"{scaled:.1f}{suffix}" if suffix and scaled < 99.95 else f"{scaled:.0f}{suffix}"
    return f"{number / 1e9:.1f}G"


def amount(number: float, unit: str) -> str:
    """A number in its unit; bytes are scaled by 1000."""
    if unit != "bytes":
        return short_count(number)
    for suffix in ("B", "kB", "MB", "GB"):
        if number < 1000 or suffix == "GB":
            return f"{number:.0f}{suffix}" if suffix == "B" else f"{number:.1f}{suffix}"
        number /= 1000
    raise AssertionError("not reached")


def ago(seconds: float) -> str:
    """How long ago a stream gave a sign of life."""
    return "now" if seconds < 1 else f"{duration(seconds)} ago" if seconds >= 10 else f"{seconds:.0f}s ago"


def share(progress: Progress) -> str:
    """Per cent done, empty when the total is not known."""
    if progress.total is None:
        return ""
    return f"{100 * progress.done // progress.total if progress.total else 100}%"


def place(config: Config) -> str:
    """The target as the operator knows it; still a sentence when that section of the configuration is broken."""
    target = config.target_section
    return f"{target.database} at {target.host}:{target.port}" if target else "(the [target] section is broken)"


def where(path: Path) -> str:
    """A path as one would type it here: from the present folder where it lies below, from ~ in the home folder."""
    for folder, mark in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(folder):
            return f"{mark}{path.relative_to(folder)}"
    return str(path)


def rollback_word(config: Config) -> str:
    """What must be typed to roll back: the database's name in production, ROLLBACK elsewhere or without a target."""
    target = config.target_section
    return target.database if target and config.run.environment == "production" else "ROLLBACK"


def run_state(runner: Runner) -> str:
    if runner.watch:
        at = f", {'paused at' if runner.gate.paused else 'running'} {runner.running}" if runner.running else ""
        return f"watching a driven run{at}" if runner.driven() else "watching; nobody drives"
    if runner.running is None:
        return "idle"
    return f"paused at {runner.running}" if runner.gate.paused else f"running {runner.running}"


def phase_name(plan: Plan, phase: Phase) -> str:
    """Number and title. Phases count from 0, so that the plan's "1 Schema" is number 1, and so is its key."""
    return f"{plan.phases.index(phase)} {phase.title.lstrip('0123456789 ')}"


def done_of(state: RunState, phase: Phase) -> str:
    return f"{sum(state.step(step.id).status.settled for step in phase.steps)}/{len(phase.steps)}"


def verb(step: Step) -> str:
    return "sign" if step.work is None else "run"


def hint(runner: Runner, phase: Phase) -> str:
    """One sentence at all times: how it stands, why, and what is next."""
    if runner.watch:
        return "This console only watches: it can change nothing. e shows the evidence of a step."
    if runner.running:
        step = runner.plan.step(runner.running)
        if runner.gate.paused:
            return f"{step.title} is paused: it holds at its next safe point. z lets it go on; x stops it."
        if runner.plan.phase_of(step.id).side_by_side:
            return f"{step.title} and others are asked. x stops before the next; answers come in as they are found."
        return f"{step.title} is running. z pauses, x stops it at the next safe point; what is finished is kept."
    for step in phase.steps:
        found = _trouble(step, runner.state.step(step.id).status, runner.state.step(step.id).outcome)
        if found:
            return found
    upcoming = runner.order.next_step()
    if upcoming is None and any(runner.order.too_early(step) for step in phase.steps):
        return "Done for today. What is signed on the days of the week waits for them; m shows the numbers meanwhile."
    if upcoming is None:
        return "Every step of the plan is done. e shows evidence; the journal in the run directory holds the record."
    its_phase = runner.plan.phase_of(upcoming.id)
    if not runner.state.steps:
        return f"Nothing has run yet. Press r to run {its_phase.title} ({_kinds(its_phase)})."
    closed = downtime.expected(runner.events) if phase.id in ("data", "validation", "cutover") else None
    if closed and not runner.state.window_open and its_phase is not phase:
        return (
            f"Rows keep the shop closed for about {duration(closed.whole)} if copied in the window,"
            f" {duration(closed.early)} if copied before. Next: {its_phase.title}."
        )
    if its_phase is not phase:
        place_of = "is done" if runner.order.settled(phase) else "waits"
        return f"{phase.title} {place_of}. Next: {its_phase.title}, {upcoming.title}. Press n to go there."
    if upcoming.work is None:
        return f"Next: {upcoming.title}. A person confirms it: n goes there, Enter signs."
    return f"Next: {upcoming.title}. Enter runs the selected step, r runs the phase from there."


def _trouble(step: Step, status: Status, outcome: Outcome | None) -> str:
    why = shorten(f": {outcome.summary}", 26) + "." if outcome else "."
    match status:
        case Status.FAIL if step.work is None:
            return f"{step.title} was refused{why} Next: mend it and sign again; Ctrl+R rolls back."
        case Status.FAIL | Status.ERROR:
            word = "failed" if status is Status.FAIL else "could not ask"
            if step.kind is Kind.CHECK and not step.waivable_fail:
                way_on = "" if status is Status.FAIL else ", w waives"
                return (
                    f"{shorten(step.title, 32)} {word}{why} Next: n, Enter shows what mends it; t asks again{way_on}."
                )
            way_on = "w waives" if step.kind is Kind.CHECK else "^R rolls back"
            return f"{shorten(step.title, 32)} {word}{why} Next: n shows it; Enter tries again, {way_on}."
        case Status.INTERRUPTED:
            return f"{step.title} was interrupted; what was finished is kept. Next: r carries on."
        case _:
            return ""


def _kinds(phase: Phase) -> str:
    checks = sum(step.kind is Kind.CHECK for step in phase.steps)
    if checks == len(phase.steps):
        return "checks only, nothing is changed"
    return f"{checks} of {len(phase.steps)} steps only check"


def log_text(notice: Event | LogLine) -> Text:
    """A notice as a line of the log pane."""
    if isinstance(notice, LogLine):
        line = Text().append(f"{local_time(notice.at)} ", "dim")
        if notice.step:
            line.append(f"{notice.step} ", "cyan")
        return line.append(notice.text, "")
    line = Text().append(f"{local_time(notice.at)} ", "dim")
    step = notice.data.get("step")
    line.append(f"{step} " if step else "", "cyan")
    outcome = notice.data.get("outcome")
    proof = notice.data.get("proof")
    if isinstance(proof, dict):
        places = f", {counted(proof['differences_total'], 'difference')}" if proof["differences_total"] else ""
        return line.append(f"{proof['table']}: {proof['status']}, {counted(proof['rows_source'], 'row')}{places}", "")
    if notice.kind == "step-finished" and isinstance(outcome, dict):
        return line.append_text(state(Status(outcome["status"]))).append(f": {outcome['summary']}", "")
    name = notice.data.get("name", notice.data.get("operator", ""))
    return line.append(notice.kind.replace("-", " "), "bold").append(f" ({name})" if name else "", "")


def local_now() -> datetime:
    return datetime.now(UTC).astimezone()

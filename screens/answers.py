"""The four answers of the console: where are we, is it well, what is next, how long until we must turn back.

Pure functions of the run and its line of time.
"""

from __future__ import annotations

from rich.text import Text

from dixis_tui.model import Status
from dixis_tui.phrase import counted
from dixis_tui.record import timeline
from dixis_tui.record.timeline import Timeline
from dixis_tui.runner import Runner
from screens import words

LATE = 5 * 60.0  # seconds to the turning point from which it is shown as a warning


def title(runner: Runner) -> Text:
    """Which run this is: how careful to be, and the target."""
    environment = runner.config.run.environment
    danger = environment == "production"
    text = Text().append(f" {environment.upper()} ", "bold white on red" if danger else "bold reverse")
    return text.append(f" {words.place(runner.config)}", "bold")


def standing(runner: Runner) -> Text:
    """Is it well: the worst that stands in the run, as a sign and a word."""
    state = runner.state
    statuses = [state.step(step.id).status for phase in runner.plan.phases for step in phase.steps]
    if state.rollback_begun:
        return Text("✗ ROLLBACK not finished", "bold red")
    for status, word in ((Status.FAIL, "failed"), (Status.ERROR, "could not ask"), (Status.INTERRUPTED, "interrupted")):
        if number := statuses.count(status):
            return Text(f"{status.glyph} {number} {word}", words.STYLES[status])
    if runner.gate.paused:
        return words.paused()
    warnings = statuses.count(Status.WARN)
    return Text().append("✓ well", "green").append(f", {counted(warnings, 'warning')}" if warnings else "", "yellow")


def place(runner: Runner, *, long: bool) -> str:
    """Where we are: the phase and step that run, or are next."""
    upcoming = runner.order.next_step()
    step = runner.plan.step(runner.running) if runner.running else upcoming
    if step is None:
        return "every step is done"
    phase = runner.plan.phase_of(step.id)
    if phase is runner.plan.rollback:
        return f"Rollback, step {phase.steps.index(step) + 1} of {len(phase.steps)}"
    name = words.phase_name(runner.plan, phase)
    where = f"{name}, step {phase.steps.index(step) + 1} of {len(phase.steps)}"
    return f"{where}: {step.title}" if long else where


def following(runner: Runner) -> str:
    """What comes after the step that runs, or is next, and after its phase."""
    steps = [step for phase in runner.plan.phases for step in phase.steps]
    open_steps = [step for step in steps if not runner.state.step(step.id).status.settled]
    later = [step for step in open_steps if step.id != runner.running]
    if not later:
        return "nothing: this is the last step" if runner.running else "nothing: every step is done"
    first = later[0]
    phase = runner.plan.phase_of(first.id)
    behind = next((one for step in later if (one := runner.plan.phase_of(step.id)) is not phase), None)
    then = f"; then {words.phase_name(runner.plan, behind)}" if behind else "; then the plan is done"
    return f"{first.title} ({words.phase_name(runner.plan, phase)}){then}"


def clock(line: Timeline) -> Text:
    """The window's clock, with a word on the plan."""
    if line.now is None or line.now < 0 or line.ended is not None:
        text = Text().append(timeline.where(line), "bold")
        if line.ended is None and line.needs:
            text.append(f"; what is left takes about {words.duration(line.needs)}, {timeline.basis(line)}")
    else:
        text = Text().append(f"T+{words.clock(line.now)} of {words.clock(line.window).removeprefix('0')}", "bold")
    said = timeline.standing(line)
    if said and (line.now or 0) >= 0:
        late = (line.behind or 0) >= timeline.ON_PLAN
        text.append("  ").append(f"{'! ' if late else ''}{said}", "bold red" if late else "")
    return text


def turning(line: Timeline) -> Text:
    """How long until we must turn back."""
    left = line.left
    style = "" if left is None or left > LATE else "bold yellow" if left > 0 else "bold red"
    text = timeline.turn(line)
    return Text().append(text[:1].upper() + text[1:], style or "bold")


def shut(line: Timeline) -> str:
    """How long the shop has been closed, in few words."""
    if line.closed is None:
        return ""
    return f"{'shop closed' if line.open else 'was closed'} {words.duration(line.closed)}"


def cell_of(line: Timeline, seconds: float, width: int) -> int:
    """The cell of a moment on a line so many cells wide."""
    return min(max(round(seconds / line.window * (width - 1)), 0), width - 1)


def band(line: Timeline, width: int, *, numbers: bool) -> Text:
    """The window as a line: ● is now, ◆ the latest moment to turn back, ✓ a mark that is reached, ! a late one."""
    elapsed = -1 if line.now is None or line.now < 0 else cell_of(line, line.now, width)
    cells = [("━", "bold") if cell <= elapsed else ("─", "dim") for cell in range(width)]

    def put(cell: int, text: str, style: str) -> None:
        for offset, letter in enumerate(text):
            if 0 <= cell + offset < width:  # there is no room before the screen is laid out
                cells[cell + offset] = (letter, style)

    points = {}
    if line.ended is None:
        points[cell_of(line, line.turn_back, width)] = ("◆", "bold yellow")
    if elapsed >= 0:
        points[elapsed] = ("●" if line.ended is None else "■", "bold cyan")
    put(0, "┝" if elapsed >= 0 else "├", "bold")
    for mark in line.marks:
        cell = cell_of(line, mark.planned, width)
        late = mark.actual is None and line.now is not None and line.now > mark.planned
        sign = "✓" if mark.actual is not None else "!" if late else "┤" if cell == width - 1 else "┼"
        style = "green" if mark.actual is not None else "bold red" if late else ""
        put(cell, sign, style)
        number = str(round(mark.planned / 60))
        taken = range(cell + 1, cell + 1 + len(number))
        if numbers and taken.stop <= width and not points.keys() & set(taken):
            put(cell + 1, number, style)
    for cell, (sign, style) in points.items():
        put(cell, sign, style)
    return Text.assemble(*cells)

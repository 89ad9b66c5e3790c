"""The top of the main screen, which answers without a key: where are we, is it well, what is next, how long until we
must turn back. Four lines in a small terminal; in a large one the window's line of time with planned, expected, actual.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text
from textual.widgets import Static

from dixis_tui.phrase import counted, roughly
from dixis_tui.record import timeline
from dixis_tui.record.timeline import Mark, Timekeeper, Timeline
from dixis_tui.runner import Runner
from screens import answers, words
from screens.board import Board

BAND = 42  # cells of the line of time where it shares a line with words
LABEL = 9  # cells of the labels at the left of the large form


class Dashboard(Static):
    """Rendered anew every second and with every change of the run."""

    def __init__(self, runner: Runner, board: Board) -> None:
        super().__init__(id="dashboard", markup=False)
        self._runner = runner
        self._board = board
        self._keeper = Timekeeper(runner)

    def on_resize(self) -> None:
        self.show()

    def show(self) -> None:
        now = words.local_now()
        line = self._keeper.look(now, lefts(self._runner, self._board))
        large = self.screen.has_class("-wide") and self.screen.has_class("-tall")
        draw = _large if large else _small
        self.update(Text("\n").join(draw(self._runner, line, now, self.size.width)))


def lefts(runner: Runner, board: Board) -> dict[str, float]:
    """Seconds to go of the running step, where it says so itself."""
    step = runner.running
    if step is None or runner.gate.paused:
        return {}
    whole = next((track for track in board.tracks(step) if track.progress.part == "whole"), None)
    return {} if whole is None or whole.left is None else {step: whole.left}


# Forms


def _small(runner: Runner, line: Timeline, now: datetime, width: int) -> list[Text]:
    who = Text(f"{runner.operator} · {words.run_state(runner)} ")
    where = Text(" ").append_text(answers.standing(runner)).append(f"  {answers.place(runner, long=width >= 120)}")
    turn = Text(" ").append_text(answers.turning(line))
    room = max(width - turn.cell_len - 3, 0)
    if room >= LABEL * 3:
        turn = words.spread(turn, answers.band(line, min(room, BAND), numbers=True).append(" "), width)
    return [
        words.spread(answers.title(runner), Text(now.strftime("%H:%M:%S %Z ")), width),
        words.spread(where, who, width),
        words.spread(Text(" ").append_text(answers.clock(line)), Text(f"{answers.shut(line)} "), width),
        turn,
    ]


def _large(runner: Runner, line: Timeline, now: datetime, width: int) -> list[Text]:
    def row(label: str, text: Text | str, right: str = "") -> Text:
        left = Text().append(f" {label:<{LABEL - 1}}", "bold cyan")
        left.append_text(Text(text) if isinstance(text, str) else text)
        return words.spread(left, Text(f"{right} "), width)

    steps = [runner.state.step(step.id).status for phase in runner.plan.phases for step in phase.steps]
    done = sum(status.settled for status in steps)
    well = answers.standing(runner).append(f"  {done} of {counted(len(steps), 'step')} done", "dim")
    time = answers.clock(line)
    if line.open and line.expected_end is not None:
        last = line.marks[-1]
        time.append(f"  {last.title} expected at {timeline.of_day(line, line.expected_end)}, {timeline.basis(line)}")
    turn = answers.turning(line)
    if turn:
        turn.append(f"  {timeline.cost(line)}, {roughly(line.margin)} kept", "dim")
    inner = width - LABEL - 3
    return [
        words.spread(answers.title(runner), Text(now.strftime("%a %d %b %H:%M:%S %Z ")), width),
        row("Where", answers.place(runner, long=True), f"{runner.operator} · {words.run_state(runner)}"),
        row("Well", well),
        row("Next", answers.following(runner)),
        row("Time", time, answers.shut(line)),
        row("Back", turn),
        row("", _under(line, [f"{mark.title} +{round(mark.planned / 60)}" for mark in line.marks], inner, "bold")),
        row("T-0", answers.band(line, inner, numbers=False)),
        row("planned", _under(line, [timeline.of_day(line, mark.planned) for mark in line.marks], inner)),
        row("expected", _under(line, [_expected(line, mark) for mark in line.marks], inner)),
        row("actual", _under(line, [_actual(line, mark) for mark in line.marks], inner)),
    ]


def _expected(line: Timeline, mark: Mark) -> str:
    return "" if mark.expected is None else f"{timeline.of_day(line, mark.expected)}{'' if mark.measured else '?'}"


def _actual(line: Timeline, mark: Mark) -> str:
    if mark.actual is None:
        return "-"
    return "before" if line.now is None or mark.actual < 0 else timeline.of_day(line, mark.actual)


def _under(line: Timeline, texts: Sequence[str], width: int, style: str = "") -> Text:
    """Texts each of which ends under its mark."""
    row, used = "", 0
    for mark, text in zip(line.marks, texts, strict=True):
        end = answers.cell_of(line, mark.planned, width) + 1
        row += words.shorten(text, max(end - used - 1, 0)).rjust(max(end - used, 0))
        used = max(end, used)
    return Text(row, style)

"""The window as a line of time: what was planned, what is to be expected, what happened, and when to turn back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dixis_tui.config import Run
from dixis_tui.model import Kind, Outcome, passed
from dixis_tui.phrase import counted, duration, roughly
from dixis_tui.record import timeline
from dixis_tui.record.journal import SWITCHED, Event, Journal, fold
from dixis_tui.record.timeline import Mark, Pace, Timeline
from dixis_tui.step import Phase, Plan, Step
from screens import answers

T0 = datetime(2026, 1, 2, 0, 0, tzinfo=UTC)
DONE = passed("done").model_dump(mode="json")


def check(step_id: str) -> Step:
    return Step(step_id, step_id, Kind.CHECK, "Why.", lambda _: passed("fine"))


PLAN = Plan(
    (
        Phase("preflight", "Preflight", (check("preflight.one"),)),
        Phase("schema", "1 Schema", (check("schema.one"), check("schema.two")), minutes=15),
        Phase("data", "2 Data", (check("data.copy"),), minutes=45),
        Phase("cutover", "Cutover", (check("cutover.up"), Step("cutover.go", "Go", Kind.GATE, "Why.")), minutes=120),
    ),
    Phase("rollback", "Rollback", (check("rollback.one"),)),
)


class Night:
    """A night's events, minute by minute."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, minute: float, kind: str, **data: Any) -> Night:
        at = (T0 + timedelta(minutes=minute)).isoformat(timespec="milliseconds")
        self.events.append(Event(len(self.events) + 1, at, kind, data, "", ""))
        return self

    def step(self, name: str, minute: float, minutes: float) -> Night:
        self.add(minute, "step-started", step=name)
        return self.add(minute + minutes, "step-finished", step=name, outcome=DONE)

    def look(
        self,
        minute: float,
        before: Pace | None = None,
        left: dict[str, float] | None = None,
        **run: Any,
    ) -> Timeline:
        settings = Run(environment="rehearsal", **run)
        now = T0 + timedelta(minutes=minute)
        return timeline.build(
            PLAN, settings, fold(self.events), timeline.pace(self.events), before or Pace(), now, left
        )


def mark(line: Timeline, phase: str) -> Mark:
    return next(one for one in line.marks if one.phase == phase)


def test_before_anything_the_plan_is_all_there_is() -> None:
    line = Night().look(0)
    assert [(one.title, one.planned / 60) for one in line.marks] == [("Schema", 15), ("Data", 45), ("Cutover", 120)]
    assert [one.expected for one in line.marks] == [one.planned for one in line.marks]
    assert not any(one.measured for one in line.marks)
    assert (line.now, line.behind, line.left, line.closed) == (None, None, None, None)
    assert timeline.where(line) == "The window is not open"
    assert timeline.turn(line) == "turn back by T+1:35 at the latest"  # 2 hours less 15 minutes assumed and 10 kept
    assert timeline.cost(line) == "a rollback takes 15m 00s (not rehearsed, assumed)"


def test_the_plans_times_follow_the_length_of_the_window() -> None:
    assert [one.planned / 60 for one in Night().look(0, window_minutes=60).marks] == [7.5, 22.5, 60]


def test_a_line_of_time_without_room_is_empty() -> None:
    line = Night().look(20)
    assert [answers.band(line, width, numbers=True).cell_len for width in (-9, 0, 1, 30)] == [0, 0, 1, 30]


def test_what_is_late_is_said_in_words() -> None:
    night = Night().add(0, "window-opened").step("schema.one", 1, 4).step("schema.two", 5, 8)
    line = night.look(20)
    assert mark(line, "schema").actual == 13 * 60
    # the copy was never measured: it gets the plan's half hour from now on
    assert mark(line, "data").expected == 50 * 60
    assert timeline.standing(line) == "Behind plan by 5 minutes"
    assert timeline.standing(night.look(57)) == "Behind plan by 42 minutes"
    assert timeline.standing(night.look(15)) == "On plan"
    assert timeline.standing(night.look(14)) == "Ahead of plan by 1 minute"
    assert timeline.where(line) == "T+0:20 of 2:00"
    assert timeline.closed(line) == "the shop has been closed for 20m 00s"


def test_what_was_rehearsed_and_what_a_running_step_says_is_what_to_expect() -> None:
    rehearsal = Pace({"data.copy": 600.0, "cutover.up": 120.0})
    night = Night().add(0, "window-opened").step("schema.one", 1, 4).step("schema.two", 5, 5)
    night.add(10, "step-started", step="data.copy")
    assert mark(night.look(14, rehearsal), "data").expected == 20 * 60  # six of its ten minutes are left
    assert mark(night.look(25, rehearsal), "data").expected == 25 * 60  # over its time: any moment now
    assert mark(night.look(14), "data").expected == 40 * 60  # never measured: four of the plan's thirty have gone
    told = night.look(14, rehearsal, {"data.copy": 60.0})
    assert mark(told, "data").expected == 15 * 60
    assert mark(told, "data").measured
    assert mark(told, "cutover").measured  # what a person decides is not the machine's work
    assert timeline.standing(told) == "Ahead of plan by 30 minutes"


def test_an_earlier_try_in_this_run_knows_better_than_the_rehearsal() -> None:
    night = Night().step("data.copy", -60, 20)
    assert mark(night.look(-30), "data").actual is not None
    night.add(-30, "phase-reset", steps=["data.copy"]).add(0, "window-opened")
    night.step("schema.one", 0, 1).step("schema.two", 1, 1)
    assert mark(night.look(2, Pace({"data.copy": 5.0})), "data").expected == 22 * 60


def test_the_moment_to_turn_back_follows_from_a_rollback_that_was_measured() -> None:
    night = Night().add(-90, "window-opened")
    night.step("rollback.one", -89, 6).add(-83, "rolled-back").add(-83, "window-closed")
    night.add(0, "window-opened")
    line = night.look(50, Pace(rollback=60.0), rollback_seconds=120)
    assert (line.rollback, line.source) == (360.0, "as in this run before")
    assert line.turn_back == (120 - 6 - 10) * 60
    assert timeline.turn(line).endswith("in 54 minutes")
    assert "PASSED 3 minutes ago" in timeline.turn(night.look(107))
    plain = Night().add(0, "window-opened")
    assert plain.look(1, Pace(rollback=60.0), rollback_seconds=120).rollback == 120
    assert plain.look(1, Pace(rollback=60.0)).source == "as rehearsed"
    assert plain.look(1, margin_minutes=0, rollback_seconds=600).turn_back == 110 * 60


def test_an_announced_window_runs_while_the_shop_is_still_open() -> None:
    opens: dict[str, Any] = {"window_opens": T0}
    assert "in 20 minutes" in timeline.where(Night().look(-20, **opens))
    night = Night().step("schema.one", -30, 5).step("schema.two", -25, 5)
    line = night.look(10, **opens)
    assert mark(line, "schema").actual == -20 * 60
    assert (line.now, line.closed) == (600, None)
    night.add(12, "window-opened").add(30, "window-closed")
    line = night.look(40, **opens)
    assert (line.now, line.closed, line.ended) == (40 * 60, 18 * 60, None)  # rolled back: the window goes on
    again = Night().add(0, "window-opened").add(3, "window-closed").look(40)
    assert timeline.where(again) == "The window is not open"  # rolled back, and no other one was announced
    assert timeline.closed(again) == "the shop was closed for 3m 00s"
    early = Night().add(-5, "window-opened").look(0, **opens)
    assert early.now == 300  # who began before the announced time counts from there


def test_a_window_that_was_closed_stands_still() -> None:
    night = Night().add(0, "window-opened").step("schema.one", 1, 1).step("schema.two", 2, 1)
    night.step("data.copy", 3, 20).step("cutover.up", 23, 7).step("cutover.go", 30, 1)
    night.add(31, SWITCHED).add(32, "window-closed")
    line = night.look(500)
    assert (line.ended, line.left, line.open) == (32 * 60, None, False)
    assert timeline.standing(line) == "Ahead of plan by 1 hour 29 minutes"
    assert timeline.turn(line) == ""
    assert list(timeline.lines(line))[-1] == "Cutover     planned T+2:00, done T+0:31"


def test_a_rehearsals_journal_is_read_and_a_broken_one_does_no_harm(tmp_path: Path) -> None:
    def run() -> Run:
        return Run(environment="rehearsal", rehearsal=tmp_path)

    assert timeline.rehearsed(run()) == Pace()
    journal = Journal(tmp_path)
    journal.append("step-started", {"step": "data.copy"})
    journal.append("step-finished", {"step": "data.copy", "outcome": DONE})
    journal.close()
    assert list(timeline.rehearsed(run()).steps) == ["data.copy"]
    (tmp_path / "journal.head").write_text("9 nothing\n", encoding="ascii")
    assert timeline.rehearsed(run()) == Pace()


def test_a_try_that_failed_says_nothing_about_time() -> None:
    failed = Outcome(status="fail", summary="no").model_dump(mode="json")  # type: ignore[arg-type]
    night = Night().add(0, "step-started", step="data.copy").add(1, "step-finished", step="data.copy", outcome=failed)
    assert timeline.pace(night.events).steps == {}


@pytest.mark.parametrize(
    ("seconds", "short", "words"),
    [
        (0.4, "0.4s", "0 seconds"),
        (1, "1.0s", "1 second"),
        (83, "1m 23s", "1 minute"),
        (720, "12m 00s", "12 minutes"),
        (7500, "2h 05m", "2 hours 5 minutes"),
        (3600, "1h 00m", "1 hour"),
        (3 * 86400, "72h 00m", "3 days"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, short: str, words: str) -> None:
    assert (duration(seconds), roughly(seconds)) == (short, words)


def test_one_thing_is_not_many() -> None:
    assert [counted(1, "table"), counted(2, "table"), counted(1234, "row")] == ["1 table", "2 tables", "1,234 rows"]
    assert [counted(1, "entry", "entries"), counted(0, "entry", "entries")] == ["1 entry", "0 entries"]

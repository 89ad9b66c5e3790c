"""How long the rows keep the shop closed is what was measured, both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dixis_tui.record.downtime import Downtime, expected
from dixis_tui.record.journal import Event

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Makes the events of steps that took so long."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._now = START

    def _add(self, kind: str, data: dict[str, Any]) -> None:
        at = self._now.isoformat(timespec="milliseconds")
        self.events.append(Event(len(self.events) + 1, at, kind, data, "", ""))

    def step(self, name: str, seconds: float) -> None:
        self._add("step-started", {"step": name})
        self._now += timedelta(seconds=seconds)
        self._add("step-finished", {"step": name, "outcome": {}})


def test_nothing_is_expected_before_anything_was_measured() -> None:
    clock = Clock()
    assert expected(clock.events) is None
    clock.step("data.snapshot", 2)
    clock.step("data.orders", 50)
    assert expected(clock.events) is None


def test_the_early_way_costs_a_snapshot_a_comparison_and_the_proof() -> None:
    clock = Clock()
    for name, seconds in (("data.snapshot", 2), ("data.orders", 50), ("data.indexes", 30), ("validation.proof", 9)):
        clock.step(name, seconds)
    assert expected(clock.events) == Downtime(whole=91, early=20)


def test_a_re_sync_that_was_made_knows_better_and_a_second_run_of_data_does_not_count_as_the_copy() -> None:
    clock = Clock()
    for name, seconds in (
        ("data.snapshot", 2),
        ("data.orders", 50),
        ("validation.proof", 9),
        ("data.snapshot", 3),
        ("data.orders", 4),
        ("cutover.resync", 5),
        ("cutover.proof", 8),
    ):
        clock.step(name, seconds)
    assert expected(clock.events) == Downtime(whole=61, early=16)

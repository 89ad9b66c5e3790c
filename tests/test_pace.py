"""The pace of a running step: turns, shares of time, and a copy on a real server that is slowed and hurried."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from dixis_tui.model import Progress, Status, StoppedError
from dixis_tui.pace import LEVELS, MOST, Pace
from dixis_tui.sandbox import RunningServer
from dixis_tui.target import query
from tests.data_path import make_driver

PATIENCE = 20.0
TABLES, ROWS = 4, 3000


def nothing() -> None:
    """A check that never ends anything."""


def test_the_levels_go_from_an_eighth_of_a_stream_to_the_most_there_may_be() -> None:
    pace = Pace(2)
    told = [str(pace)]
    while pace.slower():
        told.append(str(pace))
    assert told[:3] == ["2 streams", "1 stream", "1 stream at 1/2 of its time"]
    assert pace.level == LEVELS[0] == Fraction(1, 8)
    while pace.faster():
        pass
    assert pace.streams == MOST
    assert not pace.faster()


def test_no_more_than_the_bound_work_at_once_and_a_change_is_heeded_at_once() -> None:
    pace = Pace(3)
    three, two = threading.Barrier(3, timeout=PATIENCE), threading.Barrier(2, timeout=0.1)

    def work(together: threading.Barrier) -> None:
        with pace.turn(nothing):
            together.wait()

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(work, [three] * 30))
        pace.set(Fraction(1))
        alone = [executor.submit(work, two) for _ in range(2)]
        assert all(isinstance(turn.exception(), threading.BrokenBarrierError) for turn in alone)
        pace.set(Fraction(2))
        two.reset()
        list(executor.map(work, [two] * 4))


def test_a_share_of_its_time_is_rest_and_a_stop_ends_it() -> None:
    pace = Pace(1)
    pace.set(Fraction(1, 4))
    began = time.monotonic()
    pace.rest(0.05, nothing)
    assert 0.15 <= time.monotonic() - began < 5

    def stop() -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        pace.rest(3600, stop)


def test_a_copy_is_slowed_and_hurried_while_it_runs(server: RunningServer, database: str, tmp_path: Path) -> None:
    """Tables in small chunks: one stream at first; once chunks come, four are allowed; then one at half its time."""
    statements = [f"CREATE TABLE t{n} (id INTEGER PRIMARY KEY, value TEXT)" for n in range(TABLES)]
    driver = make_driver(server, database, tmp_path, statements, data={"chunk_rows": 10, "streams": 1, "groups": []})
    with closing(sqlite3.connect(driver.config.source.path)) as live:
        for n in range(TABLES):
            live.executemany(f"INSERT INTO t{n} (value) VALUES (?)", [(f"row {row}",) for row in range(ROWS)])
        live.commit()
    driver.make_tables()
    stages: dict[str, Counter[str]] = {"one": Counter(), "four": Counter(), "half": Counter()}
    stage = ["one"]

    def heard(progress: Progress) -> None:
        if progress.part != "stream" or progress.state is not Status.RUNNING:
            return
        seen = stages[stage[0]]
        seen[progress.item] += 1
        if stage[0] == "one" and seen.total() >= 20:
            stage[0] = "four"
            driver.pace.set(Fraction(4))
        elif stage[0] == "four" and len(seen) == 4 and min(seen.values()) >= 5:
            stage[0] = "half"
            driver.pace.set(Fraction(1, 2))

    driver.heard = heard
    copying = threading.Thread(target=driver.copy)
    copying.start()
    deadline = time.monotonic() + PATIENCE
    while stages["half"].total() < 40 and copying.is_alive():
        assert time.monotonic() < deadline
        copying.join(0.02)
    driver.pace.set(Fraction(4))  # the rest may be quick
    copying.join(PATIENCE)
    assert not copying.is_alive()
    assert set(stages["one"]) == {"stream 1"}
    assert len(stages["four"]) == 4
    assert stages["half"].total() >= 40
    assert len(stages["half"]) == 4, "streams that have begun take turns, so that none is left behind"
    assert driver.outcomes["data.counts"].status is Status.PASS
    with closing(driver.target()) as target:
        for n in range(TABLES):
            assert query(target, f"SELECT COUNT(*), COUNT(DISTINCT value) FROM t{n}") == [(ROWS, ROWS)]

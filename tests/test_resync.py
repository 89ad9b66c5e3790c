"""A target that already holds rows is made equal by writing only what differs, whatever the source did meanwhile."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dixis_tui.compare import validation
from dixis_tui.compare.drilldown import Sides
from dixis_tui.copy import catchup, holdings, transfer
from dixis_tui.copy.refusal import TransferError
from dixis_tui.copy.segments import Unlike
from dixis_tui.model import Outcome, Progress, Status, StoppedError
from dixis_tui.record.journal import CONFIRMED
from dixis_tui.sandbox import RunningServer
from dixis_tui.schemas import structure
from dixis_tui.source import Snapshot, latest_snapshot
from dixis_tui.target import execute, query
from tests.data_path import Driver, make_driver

SHOP = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, email VARCHAR(80) NOT NULL, name VARCHAR)",
    "CREATE UNIQUE INDEX users_email ON users (email)",
    "INSERT INTO users (email, name) WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500)"
    " SELECT 'u' || n || '@example.com', 'Χρήστης ' || n FROM n",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, user_id INTEGER REFERENCES users (id)"
    " ON DELETE CASCADE, total NUMERIC, doc TEXT)",
    "INSERT INTO orders (user_id, total, doc) SELECT id, id * 1.25, json_object('n', id) FROM users",
    "CREATE TABLE role_user (role_id INTEGER, user_id INTEGER, note VARCHAR, PRIMARY KEY (role_id, user_id))",
    "INSERT INTO role_user SELECT id % 4, id, 'n' || id FROM users",
    "CREATE TABLE cache (key VARCHAR(80) PRIMARY KEY, value TEXT, expiration INTEGER)",
    "INSERT INTO cache SELECT 'k' || id, name, id FROM users WHERE id <= 60",
    "CREATE TABLE notes (word VARCHAR, number INTEGER)",
    "INSERT INTO notes SELECT 'w' || (id % 20), id % 7 FROM users",
)
# What the shop does while the first copy is being made; two users change places in a unique column.
MEANWHILE = (
    "UPDATE users SET email = 'moving' WHERE id = 5",
    "UPDATE users SET email = 'u5@example.com' WHERE id = 450",
    "UPDATE users SET email = 'u450@example.com' WHERE id = 5",
    "DELETE FROM users WHERE id IN (10, 499)",
    "INSERT INTO users (id, email, name) VALUES (10, 'new10@example.com', 'νέος'), (900, 'u10@example.com', NULL)",
    "UPDATE orders SET total = total + 0.01 WHERE id % 50 = 0",
    "DELETE FROM orders WHERE id BETWEEN 100 AND 110 OR user_id = 499",
    "UPDATE role_user SET note = note || ' ' WHERE user_id = 7",
    "DELETE FROM role_user WHERE user_id = 8",
    "INSERT INTO role_user VALUES (9, 8, 'moved')",
    "DELETE FROM cache WHERE key = 'k3'",
    "UPDATE cache SET value = '' WHERE key = 'k4'",
    "INSERT INTO cache VALUES ('Κ4', NULL, 0)",
    "DELETE FROM notes WHERE rowid IN (SELECT rowid FROM notes WHERE word = 'w3' LIMIT 2)",
    "INSERT INTO notes VALUES ('w5', 5), ('w5', 5), ('fresh', NULL)",
)


def settled(outcomes: list[Outcome]) -> None:
    assert all(outcome.status.settled for outcome in outcomes), outcomes[-1]


def write(driver: Driver, *statements: str) -> None:
    """As the shop would, into the live source."""
    with closing(sqlite3.connect(driver.config.source.path)) as live:
        for statement in statements:
            live.execute(statement)
        live.commit()


def early(server: RunningServer, database: str, folder: Path, **sections: object) -> Driver:
    """A copy made while the shop is open."""
    driver = make_driver(server, database, folder, SHOP, **sections)
    settled([*driver.make_tables(), *driver.copy()])
    return driver


def equal(driver: Driver) -> None:
    report = validation.report(driver.ctx)
    assert report.equal, [line for one in report.tables if one.status != "equal" for line in validation.lines(one)]


def say(driver: Driver, step: str) -> None:
    """The operator types the database's name for a step."""
    driver.ctx.record(CONFIRMED, {"typed": driver.config.target.database, "steps": [step]})


class StopsAfter(list[Progress]):
    """Takes progress messages, and asks to stop when so many have come."""

    def __init__(self, stop: threading.Event, count: int) -> None:
        super().__init__()
        self._stop, self._count = stop, count

    def append(self, one: Progress) -> None:
        super().append(one)
        if len(self) == self._count:
            self._stop.set()


@pytest.mark.parametrize("way", ["load", "insert"])
def test_what_the_shop_did_since_the_early_copy_is_taken_along(
    server: RunningServer, database: str, tmp_path: Path, way: str
) -> None:
    driver = early(server, database, tmp_path)
    write(driver, *MEANWHILE)
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SET GLOBAL local_infile = {int(way == 'load')}")
    try:
        driver.outcomes["cutover.snapshot"] = transfer.take_last(driver.ctx)
        outcome = catchup.resync_all(driver.ctx, "cutover.resync")
    finally:
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL local_infile = 1")
    assert outcome.status is Status.PASS
    told = {line.partition(": re-synced, ")[0]: line.partition(": re-synced, ")[2] for line in outcome.evidence}
    assert told["users"] == "1 inserted, 3 updated, 1 deleted"
    assert told["orders"] == "0 inserted, 9 updated, 12 deleted"
    equal(driver)
    # once more writes nothing
    again = catchup.resync_all(driver.ctx, "cutover.resync")
    assert not [line for line in again.evidence if "re-synced" in line]
    # the checkpoints stand as after a load of this snapshot: the phase data has nothing to do either
    assert "re-synced" not in " ".join(
        line for one in driver.run(transfer.steps(driver.config)[1:]) for line in one.evidence
    )


def test_a_table_that_holds_the_earlier_snapshot_is_not_read_to_know_what_changed(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = early(server, database, tmp_path)
    write(driver, *MEANWHILE)
    driver.outcomes["cutover.snapshot"] = transfer.take_last(driver.ctx)
    compared: list[str] = []
    unlike = Sides.unlike

    def noted(self: Sides, between: Callable[[int], None]) -> Iterator[Unlike]:
        compared.append(self.table.name)
        return unlike(self, between)

    monkeypatch.setattr(Sides, "unlike", noted)
    settled([catchup.resync_all(driver.ctx, "cutover.resync")])
    # only those whose rows no number tells apart
    assert compared == ["role_user", "cache", "notes"]
    equal(driver)


def test_what_somebody_changed_in_place_is_found_by_the_proof_and_then_written_again(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = early(server, database, tmp_path)
    with closing(driver.target()) as target:
        execute(target, "UPDATE users SET name = 'a functional test' WHERE id = 3")
        target.commit()
    write(driver, "UPDATE orders SET total = 1 WHERE id = 1")
    driver.outcomes["cutover.snapshot"] = transfer.take_last(driver.ctx)
    settled([catchup.resync_all(driver.ctx, "cutover.resync")])
    proved = validation.prove(driver.ctx, "cutover.proof")
    assert (proved.status, proved.facts["differences"]) == (Status.FAIL, 1)
    # the same snapshot again: now that table is compared with the target itself
    outcome = catchup.resync_all(driver.ctx, "cutover.resync")
    assert [line for line in outcome.evidence if "re-synced" in line] == [
        "users: re-synced, 0 inserted, 1 updated, 0 deleted"
    ]
    assert validation.prove(driver.ctx, "cutover.proof").status is Status.PASS
    assert not [line for line in catchup.resync_all(driver.ctx, "cutover.resync").evidence if "re-synced" in line]


def test_an_unwritten_source_keeps_its_snapshot(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = early(server, database, tmp_path)
    before = latest_snapshot(driver.ctx)
    outcome = transfer.take_last(driver.ctx)
    assert Snapshot.model_validate(outcome.facts["snapshot"]) == before
    write(driver, "DELETE FROM notes WHERE word = 'w1'")
    outcome = transfer.take_last(driver.ctx)
    assert Snapshot.model_validate(outcome.facts["snapshot"]).taking != before.taking


def test_a_thousand_changes_by_a_writer_while_the_early_copy_runs(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = make_driver(server, database, tmp_path, SHOP, data={"chunk_rows": 40})
    driver.make_tables()
    begun, changes = threading.Event(), []

    def writer() -> None:
        chance = random.Random(7)
        begun.set()
        with closing(sqlite3.connect(driver.config.source.path, timeout=60)) as live:
            for number in range(1000):
                one = chance.randrange(1, 501)
                live.execute(
                    chance.choice(
                        [
                            f"UPDATE users SET name = 'n{number}' WHERE id = {one}",
                            f"DELETE FROM orders WHERE id = {one}",
                            f"INSERT INTO orders (user_id, total) VALUES ({one}, {number}.5)",
                            f"UPDATE role_user SET note = 'm{number}' WHERE user_id = {one}",
                            f"INSERT INTO notes VALUES ('m', {number})",
                            f"UPDATE cache SET expiration = {number} WHERE key = 'k{one % 60}'",
                        ]
                    )
                )
                live.commit()
                changes.append(number)

    thread = threading.Thread(target=writer)
    thread.start()
    begun.wait()
    try:
        settled(driver.copy())
    finally:
        thread.join()
    assert len(changes) == 1000
    driver.outcomes["cutover.snapshot"] = transfer.take_last(driver.ctx)
    settled([catchup.resync_all(driver.ctx, "cutover.resync")])
    equal(driver)


def test_the_next_number_is_carried_where_the_newest_rows_are_gone(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = early(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (700, 'short@example.com')", "DELETE FROM users WHERE id = 700")
    with server.connect() as connection, connection.cursor() as cursor:
        # an ALTER that waits for a reader of ours would wait for a day
        cursor.execute("SET GLOBAL lock_wait_timeout = 5")
    try:
        driver.outcomes["cutover.snapshot"] = transfer.take_last(driver.ctx)
        settled([catchup.resync_all(driver.ctx, "cutover.resync")])
    finally:
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL lock_wait_timeout = DEFAULT")
    with closing(driver.target()) as target:
        assert structure.next_number(target, "users") == 701


def test_rows_of_others_are_replaced_only_by_one_who_types_the_name(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = early(server, database, tmp_path)
    with closing(driver.target()) as target:
        execute(target, "INSERT INTO users (email, name) VALUES ('tester@example.com', 'a functional test')")
        execute(target, "UPDATE users SET name = 'touched' WHERE id = 3")
        target.commit()
    assert holdings.word_needed(driver.ctx) == database
    refused = transfer.prepare(driver.ctx)
    assert refused.status is Status.FAIL
    assert refused.summary == "1 table does not hold the rows this run wrote; nothing was changed"
    assert f"dixis run --phase data --database {database}" in refused.remedy[-1]
    assert catchup.resync_all(driver.ctx, "cutover.resync").status is Status.FAIL
    say(driver, "data.prepare")
    settled(driver.run(transfer.steps(driver.config)[1:]))
    assert holdings.word_needed(driver.ctx) == ""
    equal(driver)
    # a word counts once
    with closing(driver.target()) as target:
        execute(target, "DELETE FROM users WHERE id = 77")
        target.commit()
    assert transfer.prepare(driver.ctx).status is Status.FAIL


def test_rows_that_others_write_behind_the_preparation_are_not_replaced(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = make_driver(server, database, tmp_path, SHOP)
    driver.make_tables()
    steps = transfer.steps(driver.config)
    settled(driver.run(steps[:2]))
    with closing(driver.target()) as target:
        execute(target, "INSERT INTO cache VALUES ('theirs', 'precious', 0)")
        target.commit()
    refused = driver.run(steps[2:])[-1]
    assert refused.status is Status.FAIL
    assert refused.evidence == ("cache: 1 row, 0 of them ours",)
    with closing(driver.target()) as target:
        assert query(target, "SELECT value FROM cache") == [("precious",)]
    # agreed to, they are
    say(driver, "data.prepare")
    settled(driver.run(steps[1:]))
    equal(driver)


def test_conversions_and_rows_set_aside_hold_for_what_is_written_later(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    source = (
        "CREATE TABLE logs (id INTEGER PRIMARY KEY, at DATETIME, level INTEGER)",
        "INSERT INTO logs VALUES (1, '', 1), (2, '2024-01-01 10:00:00', 2), (3, NULL, 3)",
    )
    rules = [
        {"column": "logs.at", "rule": "empty-to-null"},
        {"column": "logs.level", "rule": "quarantine"},
    ]
    driver = make_driver(
        server,
        database,
        tmp_path,
        source,
        data={"conversions": rules},
        types={"logs.at": "DATETIME", "logs.level": "INT"},
    )
    settled([*driver.make_tables(), *driver.copy()])
    write(driver, "UPDATE logs SET at = '' WHERE id = 2", "INSERT INTO logs VALUES (4, '', 'loud'), (5, '', 5)")
    driver.outcomes["cutover.snapshot"] = transfer.take_last(driver.ctx)
    settled([catchup.resync_all(driver.ctx, "cutover.resync")])
    report = validation.report(driver.ctx)
    assert report.equal
    assert {(one.rule, one.rows) for one in report.tables[0].conversions} == {("empty-to-null", 4), ("quarantine", 1)}
    with closing(driver.target()) as target:
        assert query(target, "SELECT row_key, column_name FROM _dixis_quarantine") == [("4", "level")]
        assert query(target, "SELECT id, at FROM logs ORDER BY id") == [(1, None), (2, None), (3, None), (5, None)]


def test_a_row_the_server_refuses_is_named_and_nothing_of_its_batch_stays(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = early(server, database, tmp_path)
    # equal to the server's collation, not to SQLite
    write(driver, "INSERT INTO users (id, email) VALUES (901, 'fresh@example.com'), (902, 'FRESH@example.com')")
    driver.outcomes["cutover.snapshot"] = transfer.take_last(driver.ctx)
    with pytest.raises(TransferError) as caught:
        catchup.resync_all(driver.ctx, "cutover.resync")
    assert "the row with id = 902 takes the place of the row with id = 901" in caught.value.what
    assert "change one of the two rows in the source" in caught.value.next_step
    with closing(driver.target()) as target:
        assert query(target, "SELECT COUNT(*) FROM users WHERE id > 900") == [(0,)]


def test_a_stop_in_the_middle_is_gone_on_from(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = early(server, database, tmp_path)
    write(driver, *MEANWHILE, "UPDATE orders SET total = total + 1")
    driver.outcomes["cutover.snapshot"] = transfer.take_last(driver.ctx)
    monkeypatch.setattr("dixis_tui.compare.resync.BATCH", 20)
    monkeypatch.setattr("dixis_tui.compare.resync.SEGMENT_ROWS", 60)
    driver.progress = StopsAfter(driver.stop, 12)
    with pytest.raises(StoppedError):
        catchup.resync_all(driver.ctx, "cutover.resync")
    driver.stop.clear()
    settled([catchup.resync_all(driver.ctx, "cutover.resync")])
    equal(driver)

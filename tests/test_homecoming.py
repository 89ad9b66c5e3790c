"""What the shop wrote on MySQL after the cutover is in SQLite after a rollback, exactly, and nothing else changed."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dixis_tui import source
from dixis_tui.hosts.host import Completed, LocalHost
from dixis_tui.model import Outcome, Status
from dixis_tui.record.journal import CAME_HOME, PLACING, WENT_LIVE
from dixis_tui.sandbox import RunningServer
from dixis_tui.source import latest_snapshot
from dixis_tui.switch import owed, rollback
from dixis_tui.target import execute
from tests.data_path import Driver, make_driver

SHOP = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, email VARCHAR(80) NOT NULL, born DATE,"
    " balance NUMERIC, ratio DOUBLE, photo BLOB, settings TEXT, seen DATETIME, odd VARCHAR)",
    "CREATE UNIQUE INDEX users_email ON users (email)",
    "INSERT INTO users VALUES (1, 'a@example.com', '1980-02-29', 19.99, 0.1, x'00ff', '{\"a\":1}',"
    " '2024-01-01 10:00:00', 7), (2, 'b@example.com', NULL, 5, NULL, NULL, NULL, NULL, ''),"
    " (3, 'c@example.com', NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, user_id INTEGER REFERENCES users (id),"
    " total NUMERIC, twice INTEGER GENERATED ALWAYS AS (total * 2) VIRTUAL)",
    "INSERT INTO orders (user_id, total) VALUES (1, 10), (2, 20.5)",
    "CREATE TABLE told (what VARCHAR)",
    "CREATE TRIGGER orders_told AFTER INSERT ON orders BEGIN INSERT INTO told VALUES ('order ' || new.id); END",
    "CREATE TABLE cache (key VARCHAR(80) PRIMARY KEY, value TEXT)",
    "INSERT INTO cache VALUES ('x', '1'), ('y', '2')",
    "CREATE TABLE notes (word VARCHAR, number INTEGER)",
    "INSERT INTO notes VALUES ('same', 1), ('same', 1), ('gone', 2)",
)
# What customers did on MySQL: two of them took each other's address, too.
SINCE = (
    "UPDATE users SET email = 'moving' WHERE id = 1",
    "UPDATE users SET email = 'a@example.com' WHERE id = 2",
    "UPDATE users SET email = 'b@example.com', balance = 20.01, photo = x'01' WHERE id = 1",
    "DELETE FROM users WHERE id = 3",
    "INSERT INTO users (id, email, born, balance, ratio, photo, settings, seen) VALUES"
    " (9, 'Νέα@example.com', '1999-12-31', 1234.50, 0.30000000000000004, x'c3', '{\"b\": [1]}', '2025-05-05 05:05:05')",
    "INSERT INTO orders (user_id, total) VALUES (9, 99.99)",
    "UPDATE cache SET value = 'new' WHERE `key` = 'x'",
    "DELETE FROM cache WHERE `key` = 'y'",
    "INSERT INTO cache VALUES ('z', NULL)",
    "DELETE FROM notes WHERE word = 'gone'",
    "INSERT INTO notes VALUES ('same', 1), ('fresh', NULL)",
)


def live(server: RunningServer, database: str, folder: Path, **sections: object) -> Driver:
    """A shop that has been taken to the target and let its customers in there."""
    driver = make_driver(server, database, folder, SHOP, **sections)
    go_live(driver, [*driver.make_tables(), *driver.copy()])
    return driver


def go_live(driver: Driver, outcomes: list[Outcome]) -> None:
    """The cutover, when these steps before it have settled."""
    assert all(outcome.status.settled for outcome in outcomes), outcomes[-1]
    facts = latest_snapshot(driver.ctx).model_dump(mode="json")
    name = driver.config.target.database
    server = f"{driver.config.target.host}:{driver.config.target.port}"
    at = "2026-01-01T02:00:00+00:00"
    driver.ctx.record(WENT_LIVE, {"database": name, "server": server, "snapshot": facts, "at": at})


@pytest.fixture
def second_database(server: RunningServer, database: str) -> Iterator[str]:
    """The name of another database; it is dropped afterwards."""
    name = f"{database}_2"
    yield name
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")


def lead_to(driver: Driver, **target: object) -> None:
    """Change [target]."""
    changed = driver.config.target.model_copy(update=target)
    driver.config = driver.config.model_copy(update={"target_section": changed})


def write(driver: Driver, *statements: str) -> None:
    with closing(driver.target()) as target:
        for statement in statements:
            execute(target, statement)
        target.commit()


def back(driver: Driver) -> Outcome:
    """The rollback's second step; earlier outcomes do not count any more by then."""
    driver.outcomes.clear()
    step = next(step for step in rollback.phase(driver.config).steps if step.id == "rollback.database")
    assert step.preview
    assert step.preview(driver.ctx)
    assert step.work
    return step.work(driver.ctx)


def rows(driver: Driver, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(driver.config.source.path)) as shop:
        return shop.execute(sql).fetchall()


def test_rows_written_on_mysql_come_home_exactly(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = live(server, database, tmp_path)
    write(driver, *SINCE)
    outcome = back(driver)
    assert outcome.status is Status.PASS, "\n".join(outcome.evidence)
    assert outcome.summary == (
        "the SQLite database is whole; brought home from MySQL: 5 inserted, 3 updated, 3 deleted"
    )
    assert rows(driver, "SELECT * FROM users ORDER BY id") == [
        # what did not change keeps its very form: a number in a column of texts, JSON without spaces
        (1, "b@example.com", "1980-02-29", 20.01, 0.1, b"\1", '{"a":1}', "2024-01-01 10:00:00", "7"),
        (2, "a@example.com", None, 5, None, None, None, None, ""),
        (
            9,
            "Νέα@example.com",
            "1999-12-31",
            1234.5,
            0.30000000000000004,
            b"\xc3",
            '{"b": [1]}',
            "2025-05-05 05:05:05",
            None,
        ),
    ]
    assert rows(driver, "SELECT typeof(balance) FROM users ORDER BY id") == [("real",), ("integer",), ("real",)]
    assert rows(driver, "SELECT id, user_id, total, twice FROM orders") == [
        (1, 1, 10, 20),
        (2, 2, 20.5, 41),
        (3, 9, 99.99, 199.98),
    ]
    # the trigger has not run again, and is there as before
    assert rows(driver, "SELECT * FROM told") == []
    assert rows(driver, "SELECT name FROM sqlite_schema WHERE type = 'trigger'") == [("orders_told",)]
    assert rows(driver, "SELECT * FROM cache ORDER BY key") == [("x", "new"), ("z", None)]
    assert rows(driver, "SELECT * FROM notes ORDER BY word") == [("fresh", None), ("same", 1), ("same", 1), ("same", 1)]
    assert rows(driver, "SELECT seq FROM sqlite_sequence WHERE name = 'users'") == [(9,)]
    assert len(list(tmp_path.glob("shop.sqlite.before-home-*"))) == 1
    # once they are home and the rollback has ended nothing is brought again
    driver.ctx.record("rolled-back", {})
    write(driver, "DELETE FROM cache")
    assert "nothing to bring home" in back(driver).evidence[-1]
    assert rows(driver, "SELECT count(*) FROM cache") == [(2,)]


def test_without_a_change_nothing_is_replaced(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = live(server, database, tmp_path)
    before = source.mark(driver.ctx.local, driver.config.source.path)
    outcome = back(driver)
    assert outcome.summary.endswith("brought home from MySQL: 0 inserted, 0 updated, 0 deleted")
    assert source.mark(driver.ctx.local, driver.config.source.path) == before


def test_where_mysql_does_not_answer_it_is_said_since_when_and_fetched_later(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, *SINCE)
    sound = driver.config
    deaf = sound.target.model_copy(update={"port": 1})
    driver.config = sound.model_copy(update={"target_section": deaf})
    outcome = back(driver)
    assert outcome.status is Status.WARN
    assert outcome.summary == (
        "rows written to MySQL since 2026-01-01T02:00:00+00:00 were not brought home, and stay there"
    )
    assert outcome.remedy[-1] == "once it answers: dixis rollback --recover brings them home"
    assert owed.since(driver.ctx) == "2026-01-01T02:00:00+00:00"
    # meanwhile the shop is open on SQLite: one new order, one row that both sides have changed
    with closing(sqlite3.connect(sound.source.path)) as shop:
        shop.execute("INSERT INTO orders (user_id, total) VALUES (2, 1)")
        shop.execute("UPDATE users SET balance = 6 WHERE id = 2")
        shop.execute("UPDATE users SET balance = 0 WHERE id = 1")
        shop.commit()
    driver.config = sound
    outcome = back(driver)
    assert outcome.status is Status.WARN
    assert "orders: 1 row was changed on both sides" in outcome.evidence
    assert "users: 2 rows were changed on both sides" in outcome.evidence
    kept = [
        json.loads(line) for path in driver.run_dir.glob("conflicts-*") for line in path.read_text("utf-8").splitlines()
    ]
    order = next(one for one in kept if one["table"] == "orders")
    assert (order["sqlite"]["total"], order["mysql"]["total"]) == (1, 99.99)
    assert rows(driver, "SELECT id, balance FROM users ORDER BY id") == [(1, 0), (2, 6), (9, 1234.5)]
    assert owed.since(driver.ctx) == ""


def test_cut_off_before_it_was_written_down_the_rows_are_home_once(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, *SINCE)
    back(driver)
    events = driver.run_dir / "events.jsonl"
    lines = [line for line in events.read_text("utf-8").splitlines() if json.loads(line)[0] != CAME_HOME]
    assert json.loads(lines[-1])[0] == PLACING
    events.write_text("\n".join(lines) + "\n", encoding="utf-8")
    outcome = back(driver)
    assert outcome.status is Status.PASS
    assert "cut off just then" in outcome.evidence[-1]
    assert rows(driver, "SELECT count(*) FROM notes") == [(4,)]


def test_a_copy_that_is_not_what_mysql_holds_never_takes_the_place(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, *SINCE)
    before = Path(driver.config.source.path).read_bytes()
    # as if the row were lost on its way
    monkeypatch.setattr("dixis_tui.switch.homecoming._Table._fresh", lambda *_: iter(()))
    outcome = back(driver)
    assert outcome.status is Status.WARN
    assert "were not brought home" in outcome.summary
    assert any("the copy is not what MySQL holds" in line for line in outcome.evidence)
    assert Path(driver.config.source.path).read_bytes() == before


def test_after_a_second_cutover_its_rows_come_home_too(
    server: RunningServer, database: str, second_database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'first@example.com')")
    back(driver)
    driver.ctx.record("rolled-back", {})
    # a day later, into another database; nobody wrote to SQLite between the rollback and this cutover
    lead_to(driver, database=second_database)
    go_live(driver, [*driver.make_tables(), *driver.copy()])
    write(driver, "INSERT INTO users (id, email) VALUES (77, 'second@example.com')")
    outcome = back(driver)
    assert outcome.summary.endswith("brought home from MySQL: 1 inserted, 0 updated, 0 deleted")
    assert rows(driver, "SELECT email FROM users WHERE id = 77") == [("second@example.com",)]


def test_rows_come_from_the_database_the_shop_was_live_on_whatever_is_configured_since(
    server: RunningServer, database: str, second_database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'first@example.com')")
    # the next try is made ready: its tables are there, and empty
    lead_to(driver, database=second_database)
    assert all(outcome.status.settled for outcome in driver.make_tables())
    assert back(driver).summary.endswith("brought home from MySQL: 1 inserted, 0 updated, 0 deleted")
    assert rows(driver, "SELECT count(*) FROM users") == [(4,)]


def test_rows_are_not_looked_for_on_another_server(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'new@example.com')")
    lead_to(driver, host="localhost")
    outcome = back(driver)
    assert outcome.status is Status.WARN
    assert any("The shop was live on the server 127.0.0.1:" in line for line in outcome.evidence)
    lead_to(driver, host="127.0.0.1")
    assert back(driver).summary.endswith("brought home from MySQL: 1 inserted, 0 updated, 0 deleted")


def test_rows_that_a_second_cutover_left_behind_come_home_with_its_own(
    server: RunningServer, database: str, second_database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'first@example.com')")
    there = driver.config.target.port
    lead_to(driver, port=1)
    assert "were not brought home" in back(driver).summary
    lead_to(driver, port=there, database=second_database)
    with closing(sqlite3.connect(driver.config.source.path)) as shop:
        shop.execute("UPDATE users SET balance = 6 WHERE id = 2")
        shop.commit()
    go_live(driver, [*driver.make_tables(), *driver.copy()])
    write(driver, "INSERT INTO users (id, email) VALUES (77, 'second@example.com')", "DELETE FROM users WHERE id = 3")
    outcome = back(driver)
    assert outcome.status is Status.PASS, outcome
    assert rows(driver, "SELECT id FROM users ORDER BY id") == [(1,), (2,), (66,), (77,)]
    assert rows(driver, "SELECT balance FROM users WHERE id = 2") == [(6,)]
    assert len(list(tmp_path.glob("shop.sqlite.before-home-*"))) == 2
    assert owed.since(driver.ctx) == ""


def test_a_row_that_sqlite_refuses_does_not_stop_the_rollback(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    before = Path(driver.config.source.path).read_bytes()
    # more than NOT NULL of SQLite's takes, where a migration on MySQL has loosened it
    write(driver, "ALTER TABLE users MODIFY email VARCHAR(80) NULL", "INSERT INTO users (id, email) VALUES (8, NULL)")
    outcome = back(driver)
    assert outcome.status is Status.WARN
    assert "were not brought home" in outcome.summary
    assert "users: SQLite refuses a row from MySQL: NOT NULL constraint failed: users.email." in outcome.evidence
    assert Path(driver.config.source.path).read_bytes() == before


def test_cut_off_with_the_database_set_aside_nothing_of_it_is_lost(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = live(server, database, tmp_path)
    # in no snapshot, so a database restored from one would not have it; and in the write-ahead log only
    with closing(sqlite3.connect(driver.config.source.path)) as shop:
        shop.execute("PRAGMA journal_mode = WAL")
        shop.execute("INSERT INTO users (id, email) VALUES (50, 'late@example.com')")
        shop.commit()
        write(driver, "INSERT INTO users (id, email) VALUES (66, 'mysql@example.com')")

        run = LocalHost.run

        def killed(self: LocalHost, argv: Sequence[str], **options: Any) -> Completed:
            if argv[0] == "mv" and argv[-1] == driver.config.source.path:
                raise KeyboardInterrupt
            return run(self, argv, **options)

        with monkeypatch.context() as patch:
            patch.setattr(LocalHost, "run", killed)
            with pytest.raises(KeyboardInterrupt):
                back(driver)
        assert not Path(driver.config.source.path).exists()
        Path(driver.config.source.path).touch()  # by whoever opened it in that moment
        back(driver)
    assert rows(driver, "SELECT id FROM users WHERE id > 3 ORDER BY id") == [(50,), (66,)]
    assert list(tmp_path.glob("*.new")) == []


def test_the_database_keeps_its_write_ahead_log(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = live(server, database, tmp_path)
    assert rows(driver, "PRAGMA journal_mode = WAL") == [("wal",)]
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'new@example.com')")
    assert back(driver).status is Status.PASS
    assert rows(driver, "PRAGMA journal_mode") == [("wal",)]


def test_a_database_behind_a_link_is_replaced_where_it_lies(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    link, real = Path(driver.config.source.path), tmp_path / "shared.sqlite"
    link.rename(real)
    link.symlink_to(real)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'new@example.com')")
    assert back(driver).status is Status.PASS
    assert link.is_symlink()
    assert len(list(tmp_path.glob("shared.sqlite.before-home-*"))) == 1
    assert rows(driver, "SELECT email FROM users WHERE id = 66") == [("new@example.com",)]


def test_a_moment_of_the_hour_that_comes_twice_comes_home_as_sqlite_writes_it(
    server: RunningServer, database: str, tmp_path: Path, athens: str
) -> None:
    driver = live(server, database, tmp_path, types={"users.seen": "TIMESTAMP"})
    target = driver.config.target.model_copy(update={"time_zone": athens})
    driver.config = driver.config.model_copy(update={"target_section": target})
    # the snapshot went over in UTC; only the shop's own rows tell the hour's second passing
    write(
        driver,
        "UPDATE users SET seen = '2024-01-01 10:00:00' WHERE id = 1",
        "SET SESSION time_zone = '+00:00'",
        "INSERT INTO users (id, email, seen) VALUES (66, 'new@example.com', '2024-10-27 01:01:00')",
    )
    assert back(driver).status is Status.PASS
    assert rows(driver, "SELECT seen FROM users WHERE id IN (1, 66)") == [
        ("2024-01-01 10:00:00",),
        ("2024-10-27 03:01:00",),
    ]


def test_a_declared_conversion_is_no_change_of_a_row_with_a_composite_key(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = make_driver(
        server,
        database,
        tmp_path,
        (
            "CREATE TABLE stays (guest INTEGER, room VARCHAR, left DATETIME, nights INTEGER,"
            " PRIMARY KEY (guest, room))",
            "INSERT INTO stays VALUES (1, 'a', '2024-01-01 10:00:00', 1), (1, 'b', '', 2), (2, 'a', '', 3)",
        ),
        types={"stays.left": "DATETIME"},
        data={"conversions": [{"column": "stays.left", "rule": "empty-to-null"}]},
    )
    go_live(driver, [*driver.make_tables(), *driver.copy()])
    write(driver, "UPDATE stays SET nights = 5 WHERE guest = 1", "INSERT INTO stays VALUES (3, 'c', NULL, 1)")
    outcome = back(driver)
    assert outcome.summary.endswith("brought home from MySQL: 1 inserted, 2 updated, 0 deleted")
    assert rows(driver, "SELECT * FROM stays ORDER BY guest, room") == [
        (1, "a", "2024-01-01 10:00:00", 5),
        (1, "b", "", 5),
        (2, "a", "", 3),
        (3, "c", None, 1),
    ]


def test_what_a_deployment_made_on_mysql_since_is_named(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = live(server, database, tmp_path)
    write(
        driver,
        "CREATE TABLE coupons (id INT PRIMARY KEY)",
        "INSERT INTO coupons VALUES (1), (2)",
        "ALTER TABLE users ADD COLUMN phone VARCHAR(20)",
        "ALTER TABLE users DROP COLUMN ratio",
        "DROP TABLE notes",
        "INSERT INTO users (id, email, phone) VALUES (9, 'new@example.com', '210')",
    )
    outcome = back(driver)
    assert outcome.status is Status.WARN
    assert "brought home from MySQL: 1 inserted, 0 updated, 0 deleted" in outcome.summary
    assert {
        "table coupons was made on MySQL since; its 2 rows stay there",
        "column users.phone was made on MySQL since; its values stay there",
        "column users.ratio is gone from MySQL since; SQLite keeps its values",
        "table notes is gone from MySQL since; SQLite keeps the rows it had",
    } <= set(outcome.evidence)
    assert "keep that MySQL database" in "\n".join(outcome.remedy)
    assert rows(driver, "SELECT count(*) FROM notes") == [(3,)]
    assert rows(driver, "SELECT ratio FROM users WHERE id IN (1, 9) ORDER BY id") == [(0.1,), (None,)]


def test_numbers_that_mysql_gave_out_are_not_given_out_again(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    shop = ("CREATE TABLE carts (id INTEGER PRIMARY KEY AUTOINCREMENT, word VARCHAR)",)
    driver = make_driver(server, database, tmp_path, shop)
    go_live(driver, [*driver.make_tables(), *driver.copy()])
    # An order that came and went leaves no row, but its number stands on a receipt.
    write(driver, "INSERT INTO carts (id, word) VALUES (41, 'gone'), (42, 'there')", "DELETE FROM carts WHERE id = 41")
    write(driver, "INSERT INTO carts (word) VALUES ('gone')", "DELETE FROM carts WHERE word = 'gone'")
    assert back(driver).status is Status.PASS
    assert rows(driver, "SELECT seq FROM sqlite_sequence") == [(43,)]


def test_an_owner_that_cannot_be_given_is_told(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = live(server, database, tmp_path)
    if os.geteuid() == 0:  # only root has files of others
        os.chown(driver.config.source.path, 12345, 12345)
    write(driver, "DELETE FROM users WHERE id = 3")
    # A host whose login may write files, but not give them away.
    run = LocalHost.run

    def refused(self: LocalHost, argv: Sequence[str], **options: Any) -> Completed:
        return run(self, ["false"] if argv[0] == "chown" else argv, **options)

    monkeypatch.setattr(LocalHost, "run", refused)
    monkeypatch.setattr(LocalHost, "store", lambda self, file, path, *, mode: shutil.copy(file, path))
    outcome = back(driver)
    told = [line for line in outcome.evidence if "NOT given its owner: as root on" in line]
    assert len(told) == (os.geteuid() == 0)
    assert all("chown --reference=" in line for line in told)


def shop_write(driver: Driver, sql: str) -> None:
    """The shop writes to SQLite."""
    with closing(sqlite3.connect(driver.config.source.path)) as shop:
        shop.execute(sql)
        shop.commit()


def test_what_is_written_to_sqlite_while_rows_come_home_is_not_lost(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'mysql@example.com')")
    late = ["INSERT INTO users (id, email) VALUES (50, 'late@example.com')"]

    def heard(_: object) -> None:
        while late:
            shop_write(driver, late.pop())

    driver.heard = heard
    assert back(driver).status is Status.PASS
    assert rows(driver, "SELECT id FROM users WHERE id > 3 ORDER BY id") == [(50,), (66,)]


def test_what_is_written_to_sqlite_while_the_copy_is_carried_to_the_host_is_not_lost(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'mysql@example.com')")
    late = ["INSERT INTO users (id, email) VALUES (50, 'late@example.com')"]
    store = LocalHost.store

    def slowly(self: LocalHost, file: Path, path: str, *, mode: int) -> None:
        store(self, file, path, mode=mode)
        while late:
            shop_write(driver, late.pop())

    monkeypatch.setattr(LocalHost, "store", slowly)
    assert back(driver).status is Status.PASS
    assert rows(driver, "SELECT id FROM users WHERE id > 3 ORDER BY id") == [(50,), (66,)]
    assert len(list(tmp_path.glob("shop.sqlite.*"))) == 1


def test_a_database_that_is_written_all_the_time_is_not_replaced(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'mysql@example.com')")
    driver.heard = lambda _: shop_write(driver, "UPDATE users SET balance = balance + 1 WHERE id = 2")
    outcome = back(driver)
    assert outcome.status is Status.WARN
    assert any("was written while a copy was made" in line for line in outcome.evidence)
    assert list(tmp_path.glob("shop.sqlite.*")) == list((driver.run_dir / "snapshots").glob("home-*")) == []
    driver.heard = lambda _: None
    back(driver)
    assert rows(driver, "SELECT id FROM users WHERE id > 3") == [(66,)]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder for the live database, on a file system that has no room for a second one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(disk)], check=True)
    yield disk
    disk.chmod(0o700)
    if os.geteuid() == 0:
        subprocess.run(["umount", str(disk)], check=True)


def test_without_room_beside_it_the_database_is_not_touched(
    server: RunningServer, database: str, tmp_path: Path, full_disk: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'new@example.com')")
    path = Path(driver.config.source.path)
    shutil.move(path, full_disk / "shop.sqlite")
    path.symlink_to(full_disk / "shop.sqlite")
    with contextlib.suppress(OSError), (full_disk / "filler").open("wb", buffering=0) as filler:
        while os.geteuid() == 0:
            filler.write(b"x" * 4096)
    full_disk.chmod(0o500)  # only root makes file systems; a folder nobody may write refuses as well
    outcome = back(driver)
    assert outcome.status is Status.WARN
    assert "were not brought home" in outcome.summary
    assert rows(driver, "SELECT count(*) FROM users") == [(3,)]
    full_disk.chmod(0o700)
    (full_disk / "filler").unlink()
    assert sorted(one.name for one in full_disk.iterdir()) == ["shop.sqlite"]
    assert back(driver).summary.endswith("1 inserted, 0 updated, 0 deleted")


def test_without_room_on_this_machine_the_rollback_goes_on(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "UPDATE users SET photo = REPEAT('x', 60000), settings = REPEAT('y', 60000)")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
    try:
        outcome = back(driver)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert outcome.status is Status.WARN
    assert any("The copy " in line and " cannot be made: " in line for line in outcome.evidence), outcome.evidence
    assert list((driver.run_dir / "snapshots").glob("home-*")) == []
    assert back(driver).summary.endswith("0 inserted, 3 updated, 0 deleted")


def test_a_database_that_cannot_be_read_from_here_does_not_stop_the_rollback(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'new@example.com')")
    path = Path(driver.config.source.path)
    path.rename(tmp_path / "kept.sqlite")
    path.symlink_to(path)
    outcome = back(driver)
    assert outcome.status is Status.WARN
    assert "could not be examined; it was not touched; rows written to MySQL since" in outcome.summary
    assert owed.since(driver.ctx)


def test_a_folder_in_the_databases_place_is_set_aside(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'new@example.com')")
    outcome = driver.outcomes["data.snapshot"]
    driver.ctx.record("step-finished", {"step": "data.snapshot", "outcome": outcome.model_dump(mode="json")})
    path = Path(driver.config.source.path)
    path.unlink()
    path.mkdir()
    (path / "kept").write_text("something")
    assert "was restored from the snapshot" in back(driver).summary
    assert rows(driver, "SELECT count(*) FROM users") == [(4,)]
    assert [one.read_text() for one in tmp_path.glob("shop.sqlite.damaged-*/kept")] == ["something"]


def test_rows_never_come_home_to_somebody_elses(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = live(server, database, tmp_path)
    # a new customer, and one who goes, on both sides; by their numbers each is another one on the other side
    write(
        driver,
        "INSERT INTO users (id, email) VALUES (4, 'mysql@example.com'), (5, 'both@example.com')",
        "INSERT INTO orders (id, user_id, total) VALUES (70, 4, 1), (71, 5, 2), (72, 2, 3), (73, 3, 4)",
        "UPDATE orders SET user_id = 4 WHERE id = 1",
        "DELETE FROM orders WHERE user_id = 2",
        "DELETE FROM users WHERE id = 2",
    )
    for sql in (
        "INSERT INTO users (id, email) VALUES (4, 'sqlite@example.com')",
        "DELETE FROM users WHERE id = 3",
        "INSERT INTO orders (id, user_id, total) VALUES (60, 2, 5)",
    ):
        shop_write(driver, sql)
    outcome = back(driver)
    assert outcome.status is Status.WARN
    assert rows(driver, "SELECT id, user_id FROM orders ORDER BY id") == [(1, 1), (60, 2), (71, 5)]
    assert rows(driver, "SELECT id, email FROM users ORDER BY id") == [
        (1, "a@example.com"),
        (2, "b@example.com"),
        (4, "sqlite@example.com"),
        (5, "both@example.com"),
    ]
    assert "users: 2 rows were changed on both sides" in outcome.evidence
    assert any(line.startswith("3 rows of these belong to a row that SQLite") for line in outcome.evidence)
    kept = [json.loads(line) for path in driver.run_dir.glob("conflicts-*") for line in path.read_text().splitlines()]
    assert {(one["table"], one["key"]) for one in kept} == {
        ("users", "2"),
        ("users", "4"),
        ("orders", "1"),
        ("orders", "70"),
        ("orders", "73"),
    }


def test_rows_of_a_tree_come_home_with_what_they_hang_on(server: RunningServer, database: str, tmp_path: Path) -> None:
    shop = (
        "CREATE TABLE categories (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES categories, name VARCHAR)",
        "INSERT INTO categories VALUES (1, NULL, 'all')",
    )
    driver = make_driver(server, database, tmp_path, shop)
    go_live(driver, [*driver.make_tables(), *driver.copy()])
    write(driver, "INSERT INTO categories VALUES (3, 1, 'oil'), (2, 3, 'green'), (9, 1, 'x'), (8, 9, 'y'), (7, 8, 'z')")
    shop_write(driver, "INSERT INTO categories VALUES (9, 1, 'other')")
    back(driver)
    assert rows(driver, "SELECT id, parent_id FROM categories ORDER BY id") == [(1, None), (2, 3), (3, 1), (9, 1)]


def test_rows_of_tables_that_refer_to_each_other_come_home_or_stay_together(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    shop = (
        "CREATE TABLE users (id INTEGER PRIMARY KEY, tenant_id INTEGER REFERENCES tenants (id))",
        "CREATE TABLE tenants (id INTEGER PRIMARY KEY, owner_id INTEGER REFERENCES users (id))",
        "INSERT INTO users VALUES (1, NULL)",
        "INSERT INTO tenants VALUES (1, 1)",
        "UPDATE users SET tenant_id = 1",
    )
    driver = make_driver(server, database, tmp_path, shop)
    go_live(driver, [*driver.make_tables(), *driver.copy()])
    write(
        driver,
        "SET SESSION foreign_key_checks = 0",
        "INSERT INTO users VALUES (2, 2), (3, 3), (4, 9)",
        "INSERT INTO tenants VALUES (2, 2), (3, 3), (9, 4), (10, 4)",
    )
    # by that number it is another one's, so neither its owner nor what else he owns may come
    shop_write(driver, "INSERT INTO tenants VALUES (9, 1)")
    assert back(driver).status is Status.WARN
    assert rows(driver, "SELECT * FROM users ORDER BY id") == [(1, 1), (2, 2), (3, 3)]
    assert rows(driver, "SELECT * FROM tenants ORDER BY id") == [(1, 1), (2, 2), (3, 3), (9, 1)]


@pytest.mark.parametrize("written_since", [False, True])
def test_rows_come_home_where_foreign_keys_hold_nothing(
    server: RunningServer, database: str, tmp_path: Path, written_since: bool
) -> None:
    shop = (
        # such a key cannot be made on MySQL: nothing makes the code unique, and there are no carts
        "CREATE TABLE users (id INTEGER PRIMARY KEY, code INTEGER)",
        "INSERT INTO users VALUES (1, 1), (2, 2)",
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, user_code INTEGER REFERENCES users (code))",
        "CREATE TABLE items (id INTEGER PRIMARY KEY, cart_id INTEGER REFERENCES carts (id))",
        "INSERT INTO items VALUES (1, 1)",
    )
    driver = make_driver(server, database, tmp_path, shop)
    go_live(driver, [*driver.make_tables(), *driver.copy()])
    write(driver, "INSERT INTO orders VALUES (2, 2)", "INSERT INTO items VALUES (2, 7)")
    if written_since:
        shop_write(driver, "INSERT INTO orders VALUES (50, 1)")
    outcome = back(driver)
    assert outcome.summary.endswith("brought home from MySQL: 2 inserted, 0 updated, 0 deleted"), outcome
    assert "items: 1 row from MySQL with nothing in carts to refer to" in outcome.evidence
    assert "see what those rows should refer to" in outcome.remedy[-1]
    assert rows(driver, "SELECT id FROM items") == [(1,), (2,)]


def test_rows_written_after_the_others_had_come_home_come_too(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, *SINCE)
    assert back(driver).status is Status.PASS
    # a request that was not over yet, before traffic returns to SQLite; it meets rows of each kind of table
    write(
        driver,
        "INSERT INTO orders (user_id, total) VALUES (9, 5)",
        "UPDATE users SET balance = 1 WHERE id = 9",
        "INSERT INTO notes VALUES ('late', 1)",
        "DELETE FROM cache WHERE `key` = 'z'",
    )
    outcome = back(driver)
    assert outcome.summary.endswith("brought home from MySQL: 2 inserted, 1 updated, 1 deleted")
    assert rows(driver, "SELECT id, total FROM orders") == [(1, 10), (2, 20.5), (3, 99.99), (4, 5)]
    assert rows(driver, "SELECT balance FROM users ORDER BY id") == [(20.01,), (5,), (1,)]
    assert rows(driver, "SELECT count(*) FROM notes") == [(5,)]
    assert rows(driver, "SELECT key FROM cache") == [("x",)]


def test_while_somebody_goes_on_writing_on_mysql_rows_come_home_all_the_same(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = live(server, database, tmp_path)
    write(driver, "INSERT INTO users (id, email) VALUES (66, 'new@example.com')")
    driver.heard = lambda _: write(driver, "INSERT INTO notes VALUES ('late', 1)")
    assert back(driver).summary.endswith("brought home from MySQL: 1 inserted, 0 updated, 0 deleted")
    driver.heard = lambda _: None
    back(driver)
    written = int(str(rows(driver, "SELECT count(*) FROM notes WHERE word = 'late'")[0][0]))
    assert written == sum(1 for one in driver.progress if one.step == "rollback.database") / 2


def test_a_database_that_was_made_anew_takes_no_row_away(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = live(server, database, tmp_path)
    before = Path(driver.config.source.path).read_bytes()
    for statements in (["DELETE FROM orders", "DELETE FROM users", "DELETE FROM cache"], ["DROP TABLE orders, users"]):
        write(driver, *statements)
        outcome = back(driver)
        assert outcome.status is Status.WARN
        told = "3 of 4 tables that held rows when the shop went live hold none now"
        assert any(line.startswith(told) for line in outcome.evidence), outcome
        assert owed.since(driver.ctx)
    assert Path(driver.config.source.path).read_bytes() == before

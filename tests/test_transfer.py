"""Rows arrive byte for byte and exactly once, or their chunk is taken back and the reason named."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dixis_tui.copy import reindex, transfer
from dixis_tui.copy.copying import CHUNKS
from dixis_tui.copy.refusal import TransferError
from dixis_tui.model import DixisError, Outcome, Progress, Status, StoppedError
from dixis_tui.sandbox import RunningServer
from dixis_tui.schemas import shape
from dixis_tui.target import execute, query
from tests.data_path import Driver, make_driver

AWKWARD = (
    "plain",
    "",
    "tab\there",
    "line\nbreak\r\nand return\r",
    "back\\slash \\N \\t \\",
    "\\N",
    "nul\0in the middle\0",
    "quote ' and \" and `",
    "Ελιά Καλαμών ελαιόλαδο – ΆΈΉΊΌΎΏ",
    "🫒 four bytes",
    " spaces around ",
    "\x1a\b\x7f",
    "\x1d\x1e\x1f \x1dN \x1f\x1e\x1d",
    "\x1dN",
    "x" * 70_000,
)
BYTES = (b"", b"\0\xff\\\n\t\r'\"", bytes(range(256)) * 300)
DOUBLES = (0.1, 1 / 3, 1e-7, 1.7976931348623157e308, 5e-324, -0.1 - 0.2, 1e15, 123456789.123456789)
HARD = (
    "CREATE TABLE texts (id INTEGER PRIMARY KEY AUTOINCREMENT, value TEXT)",
    "CREATE TABLE codes (id INTEGER PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE doubles (id INTEGER PRIMARY KEY, value DOUBLE)",
    "CREATE TABLE money (id INTEGER PRIMARY KEY, value NUMERIC NOT NULL)",
    'CREATE TABLE pairs (a VARCHAR NOT NULL, b INTEGER NOT NULL, "order" INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID',
    "CREATE TABLE loose (value INTEGER, made DATETIME)",
    "CREATE TABLE empty (id INTEGER PRIMARY KEY)",
)


@pytest.fixture(params=["load", "insert"])
def way(request: pytest.FixtureRequest, server: RunningServer) -> Iterator[str]:
    """Both ways of storing rows: the second is what a server without local_infile gets."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SET GLOBAL local_infile = {int(request.param == 'load')}")
        yield request.param
        cursor.execute("SET GLOBAL local_infile = 1")


def fill(path: Path) -> None:
    with closing(sqlite3.connect(path)) as live:
        live.executemany("INSERT INTO texts (value) VALUES (?)", [(text,) for text in AWKWARD])
        live.execute("INSERT INTO texts (id, value) VALUES (0, NULL)")
        live.execute("UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'texts'")
        live.executemany("INSERT INTO codes (value) VALUES (?)", [(code,) for code in BYTES])
        live.executemany("INSERT INTO doubles (value) VALUES (?)", [(number,) for number in DOUBLES])
        live.executemany("INSERT INTO money (value) VALUES (?)", [(19.99,), (5,), (-0.005,), (1234567890123.25,)])
        live.executemany("INSERT INTO pairs VALUES (?, ?, ?)", [(f"k'{n % 7}", n, n or None) for n in range(300)])
        live.executemany("INSERT INTO loose VALUES (?, ?)", [(7, "2024-03-31 03:30:00.123456")] * 3 + [(-1, None)])
        live.commit()


def test_every_value_arrives_as_it_was(server: RunningServer, database: str, tmp_path: Path, way: str) -> None:
    driver = make_driver(server, database, tmp_path, HARD, data={"chunk_rows": 7})
    fill(Path(driver.config.source.path))
    outcomes = [*driver.make_tables(), *driver.copy()]
    assert all(outcome.status.settled for outcome in outcomes), outcomes[-1]
    prepared = driver.outcomes["data.prepare"].evidence[0]
    assert ("LOAD DATA" in prepared) == (way == "load")
    with closing(driver.target()) as target:
        assert query(target, "SELECT value FROM texts ORDER BY id") == [(None,), *((text,) for text in AWKWARD)]
        assert query(target, "SELECT id FROM texts ORDER BY id")[0] == (0,)
        assert query(target, "SELECT value FROM codes ORDER BY id") == [(code,) for code in BYTES]
        assert query(target, "SELECT value FROM doubles ORDER BY id") == [(number,) for number in DOUBLES]
        money = query(target, "SELECT CAST(value AS CHAR) FROM money ORDER BY id")
        assert [row[0] for row in money] == ["19.990", "5.000", "-0.005", "1234567890123.250"]
        pairs = query(target, "SELECT a, b, `order` FROM pairs ORDER BY b")
        assert pairs == [(f"k'{n % 7}", n, n or None) for n in range(300)]
        loose = query(target, "SELECT value, CAST(made AS CHAR) FROM loose ORDER BY value")
        assert loose == [(-1, None), *[(7, "2024-03-31 03:30:00.123456")] * 3]
        execute(target, "INSERT INTO texts (value) VALUES ('next')")
        assert query(target, "SELECT MAX(id) FROM texts") == [(5001,)]


def test_running_again_changes_nothing(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, HARD)
    fill(Path(driver.config.source.path))
    driver.make_tables()
    first = driver.copy()
    again = driver.copy()
    assert [outcome.status for outcome in again] == [Status.PASS] * len(first)
    assert driver.outcomes["data.counts"].facts["rows"] == len(AWKWARD) + 1 + len(BYTES) + len(DOUBLES) + 4 + 300 + 4
    assert [path.name for path in sorted((driver.run_dir / "snapshots").glob("data-*"))] == [
        "data-1.sqlite",
        "data-2.sqlite",
    ]


def test_a_newer_snapshot_replaces_our_own_rows_only(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, HARD)
    path = Path(driver.config.source.path)
    fill(path)
    driver.make_tables()
    driver.copy()
    with closing(sqlite3.connect(path)) as live:
        live.execute("DELETE FROM texts WHERE id > 3")
        live.commit()
    assert driver.copy()[-1].status is Status.PASS
    with closing(driver.target()) as target:
        assert query(target, "SELECT COUNT(*) FROM texts") == [(4,)]
        execute(target, "INSERT INTO texts (value) VALUES ('written by the shop')")
        target.commit()
    refused = driver.copy()[-1]
    assert refused.status is Status.FAIL
    assert "does not hold the rows this run wrote" in refused.summary
    assert refused.evidence == ("texts: 5 rows, 4 of them ours",)
    with closing(driver.target()) as target:
        assert query(target, "SELECT COUNT(*) FROM texts") == [(5,)]


def test_rows_the_collation_takes_for_equal_stop_the_chunk(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    statements = [
        "CREATE TABLE names (id INTEGER PRIMARY KEY, name VARCHAR UNIQUE)",
        "INSERT INTO names VALUES (1, 'Μέλι'), (2, 'Ελιά'), (3, 'ΕΛΙΑ'), (4, 'Τυρί')",
    ]
    types = {"names.name": "VARCHAR(255) COLLATE utf8mb4_unicode_ci"}
    driver = make_driver(server, database, tmp_path, statements, types=types)
    driver.make_tables()
    with pytest.raises(TransferError) as caught:
        driver.copy()
    assert "names: 4 rows sent, 3 stored" in caught.value.what
    assert "Duplicate entry" in caught.value.what
    assert "the row with id = 3 takes the place of the row with id = 2" in caught.value.what
    with closing(driver.target()) as target:
        assert query(target, "SELECT COUNT(*) FROM names") == [(0,)]


def test_a_narrower_column_is_refused_and_the_row_named(
    server: RunningServer, database: str, tmp_path: Path, way: str
) -> None:
    statements = [
        "CREATE TABLE names (id INTEGER PRIMARY KEY, name VARCHAR, price NUMERIC)",
        "INSERT INTO names VALUES (1, 'short', 1.5), (2, 'much too long', 1.5), (3, 'short', 1.555)",
    ]
    driver = make_driver(server, database, tmp_path, statements)
    driver.make_tables()
    with closing(driver.target()) as target:
        execute(target, "ALTER TABLE names MODIFY name VARCHAR(5)")
    with pytest.raises(Exception, match=r"too long|truncated") as caught:
        driver.copy()
    assert "the row with id = 2 has name = 'much too long', the target has varchar(5)" in str(caught.value)
    with closing(driver.target()) as target:
        execute(target, "ALTER TABLE names MODIFY name VARCHAR(50), MODIFY price DECIMAL(10,2)")
        assert query(target, "SELECT COUNT(*) FROM names") == [(0,)]
    with pytest.raises(TransferError, match="truncated"):
        driver.copy()
    with closing(driver.target()) as target:
        assert query(target, "SELECT COUNT(*) FROM names") == [(0,)]


def test_what_would_be_rounded_silently_is_refused_before_the_first_row(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    statements = [
        "CREATE TABLE visits (id INTEGER PRIMARY KEY, seen DATETIME, weight NUMERIC, extra TEXT)",
        "INSERT INTO visits VALUES (1, '2024-12-31 23:59:59.999', 1.5, 'x')",
    ]
    driver = make_driver(server, database, tmp_path, statements)
    driver.make_tables()
    with closing(driver.target()) as target:
        execute(target, "ALTER TABLE visits MODIFY seen DATETIME, MODIFY weight INT, DROP extra, ADD shop INT NOT NULL")
    refused = driver.copy()[-1]
    assert refused.status is Status.FAIL
    assert [line.partition(" ")[0] for line in refused.evidence] == ["visits:"] * 4
    text = "\n".join(refused.evidence)
    for part in ("no column extra", "fractions of a second of 3 digits", "with a fraction", "wants a value for shop"):
        assert part in text


CHILD = """
import sys
from pathlib import Path
from dixis_tui.config import Config
from dixis_tui.copy import reindex, transfer
from dixis_tui.model import Outcome
from tests.data_path import Driver

reindex.LARGE = 1000
run_dir = Path(sys.argv[1])
driver = Driver(Config.model_validate_json((run_dir / "config.json").read_text()), run_dir)
driver.outcomes["preflight.data.source"] = Outcome.model_validate_json((run_dir / "outcome.json").read_text())
driver.outcomes["data.snapshot"] = driver.outcomes["preflight.data.source"]
driver.run(transfer.steps(driver.config)[1:])
"""

ORDERS = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name VARCHAR NOT NULL)",
    "INSERT INTO users VALUES (1, 'Μαρία')",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, user_id INTEGER NOT NULL, number VARCHAR"
    " NOT NULL, note TEXT, total NUMERIC NOT NULL, FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)",
    "CREATE UNIQUE INDEX orders_number_unique ON orders (number)",
    "CREATE INDEX orders_total_index ON orders (total DESC, user_id)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
    " INSERT INTO orders SELECT i * 3, 1, 'ORD-' || i, CASE WHEN i % 2 THEN 'Σημείωση' || char(10) END, i / 4.0 FROM n",
)


def start_child(driver: Driver, server: RunningServer) -> subprocess.Popen[bytes]:
    """Another process that does phase Data from data.prepare on."""
    config = driver.config.model_dump(mode="json", by_alias=True)
    config["target"]["password"] = server.app_password
    config["target"]["admin"]["password"] = server.admin_password
    (driver.run_dir / "config.json").write_text(json.dumps(config))
    (driver.run_dir / "outcome.json").write_text(driver.outcomes["preflight.data.source"].model_dump_json())
    return subprocess.Popen([sys.executable, "-c", CHILD, str(driver.run_dir)])


def chunks_stored(driver: Driver) -> int:
    with closing(driver.target()) as target:
        if CHUNKS not in shape.table_names(target):
            return 0
        return int(query(target, f"SELECT COUNT(*) FROM {CHUNKS} WHERE table_name = 'orders'")[0][0])


def test_a_killed_load_goes_on_exactly_once_and_indexes_come_back(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex, "LARGE", 1000)
    driver = make_driver(server, database, tmp_path, ORDERS, data={"chunk_rows": 100})
    driver.make_tables()
    driver.outcomes["data.snapshot"] = driver.outcomes["preflight.data.source"]
    with closing(driver.target()) as target:
        before = shape.definition(target, "orders")
    for kill in range(1, 4):
        already = chunks_stored(driver)
        child = start_child(driver, server)
        deadline = time.monotonic() + 60
        while chunks_stored(driver) < already + 5 and child.poll() is None and time.monotonic() < deadline:
            pass
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL, f"child {kill} ended before it was killed"
    with closing(driver.target()) as target:
        stored = query(target, "SELECT COUNT(*) FROM orders")[0][0]
        assert 0 < stored < 30_000
        assert set(shape.definition(target, "orders").keys) < set(before.keys)
    outcomes = driver.run(transfer.steps(driver.config)[1:])
    assert [outcome.status for outcome in outcomes] == [Status.PASS] * len(outcomes)
    with closing(driver.target()) as target, closing(sqlite3.connect(driver.config.source.path)) as live:
        mine = live.execute("SELECT id, user_id, number, note, total FROM orders ORDER BY id").fetchall()
        theirs = query(target, "SELECT id, user_id, number, note, CAST(total AS DOUBLE) FROM orders ORDER BY id")
        assert theirs == mine
        after = shape.definition(target, "orders")
    assert after == before


def test_a_stop_is_kept_to_between_chunks(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, ORDERS, data={"chunk_rows": 1000})
    driver.make_tables()
    steps = transfer.steps(driver.config)
    driver.run(steps[:2])
    driver.stop.set()
    with pytest.raises(StoppedError):
        driver.run(steps[2:])
    driver.stop.clear()
    assert driver.run(steps[2:])[-1].status is Status.PASS


def test_a_pause_is_kept_between_chunks_until_it_ends(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, ORDERS, data={"chunk_rows": 1000})
    driver.make_tables()
    steps = transfer.steps(driver.config)
    driver.run(steps[:2])
    outcomes: list[Outcome] = []
    held = threading.Event()

    def pause_once(progress: Progress) -> None:
        if progress.item == "orders" and progress.done and not held.is_set():
            driver.gate.pause()
            held.set()

    driver.heard = pause_once
    copier = threading.Thread(target=lambda: outcomes.extend(driver.run(steps[2:])))
    copier.start()
    assert held.wait(60)
    copier.join(1)
    assert copier.is_alive()
    with closing(driver.target()) as target:
        stored = query(target, "SELECT COUNT(*) FROM orders")[0][0]
        # Chunks that were in flight are there whole, with their checkpoints.
        checkpoints = query(target, f"SELECT SUM(rows_stored) FROM {CHUNKS} WHERE table_name = 'orders'")[0][0]
        assert 0 < stored == int(checkpoints) < 30_000
    assert driver.gate.resume() >= 1
    copier.join(60)
    assert [outcome.status for outcome in outcomes] == [Status.PASS] * len(outcomes)
    assert outcomes[-1].facts["rows"] > 30_000
    whole = [p for p in driver.progress if p.part == "whole" and p.step == "data.financial"]
    assert whole[-1].done == whole[-1].total


def test_a_paused_copy_can_be_stopped(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, ORDERS, data={"chunk_rows": 1000})
    driver.make_tables()
    steps = transfer.steps(driver.config)
    driver.run(steps[:2])
    driver.gate.pause()
    stopper = threading.Timer(0.5, driver.stop.set)
    stopper.start()
    with pytest.raises(StoppedError):
        driver.run(steps[2:])
    stopper.join()
    driver.gate.resume()
    driver.stop.clear()
    assert driver.run(steps[2:])[-1].status is Status.PASS


def test_progress_ends_at_the_number_of_rows(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, ORDERS, data={"chunk_rows": 10_000})
    driver.make_tables()
    driver.copy()
    told = [(p.done, p.total, p.state) for p in driver.progress if p.item == "orders" and p.step == "data.financial"]
    assert told[0] == (0, 30_000, Status.PENDING)
    assert told[-1] == (30_000, 30_000, Status.PASS)
    assert sorted(done for done, _, _ in told) == [done for done, _, _ in told]


def test_a_value_larger_than_a_packet_is_named_before_the_first_row(
    server: RunningServer, database: str, tmp_path: Path, way: str
) -> None:
    assert way
    statements = [
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, word TEXT, note TEXT)",
        "INSERT INTO notes VALUES (7, 'short', printf('%.*c', 3000000, 'x')), (8, 'short', 'short')",
    ]
    driver = make_driver(server, database, tmp_path, statements)
    driver.make_tables()
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        (before,) = cursor.fetchone() or (0,)
        cursor.execute("SET GLOBAL max_allowed_packet = 2097152")
        try:
            refused = driver.copy()[-1]
        finally:
            cursor.execute(f"SET GLOBAL max_allowed_packet = {before}")
    assert refused.status is Status.FAIL
    (line,) = refused.evidence
    assert line.startswith("notes: note holds 3000000 bytes in the row with id = 7; the server's max_allowed_packet")


def test_rows_a_unique_key_cannot_tell_apart_are_named_when_it_is_put_back(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex, "LARGE", 1)
    statements = [
        "CREATE TABLE names (id INTEGER PRIMARY KEY, name VARCHAR UNIQUE)",
        "INSERT INTO names VALUES (1, 'Μέλι'), (2, 'Ελιά'), (3, 'ΕΛΙΑ'), (4, 'Τυρί')",
    ]
    types = {"names.name": "VARCHAR(255) COLLATE utf8mb4_unicode_ci"}
    driver = make_driver(server, database, tmp_path, statements, types=types)
    driver.make_tables()
    with pytest.raises(DixisError, match=r"id = 2 and 3 with '(Ελιά|ΕΛΙΑ)'"):
        driver.copy()

"""Whatever is killed, cut off or full in the middle of a copy: in the end every row is there exactly once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import pymysql
import pytest

from dixis_tui import sandbox
from dixis_tui.copy import copying, reindex, transfer
from dixis_tui.copy.copying import CHUNKS
from dixis_tui.model import Outcome, Status
from dixis_tui.sandbox import Kind, RunningServer
from dixis_tui.schemas import shape
from dixis_tui.target import TargetError, query
from tests.conftest import FOUND, KINDS
from tests.data_path import Driver, make_driver

KILLS = 9
SERVER_KILLS = 3
ROWS = 12_000
NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
TABLES = {
    "large": "id, owner, code, price, note",
    "keyless": "word, number",
    "pairs": "a, b, value",
    "packed": "code, part, value",
}
SOURCE = (
    "CREATE TABLE large (id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER, code VARCHAR NOT NULL, price NUMERIC,"
    " note TEXT)",
    "CREATE UNIQUE INDEX large_code ON large (code)",
    "CREATE INDEX large_price ON large (price, owner)",
    f"{NUMBERS} INSERT INTO large SELECT i * 7, i % 50, 'Κ' || i, i / 8.0,"
    " CASE WHEN i % 3 THEN 'γραμμή ' || char(10) || i || char(9) || '\\' END FROM n",
    "CREATE TABLE keyless (word VARCHAR, number INTEGER)",
    f"{NUMBERS} INSERT INTO keyless SELECT 'w' || (i % 10), i % 100 FROM n WHERE i <= 6000",
    "CREATE TABLE pairs (a INTEGER NOT NULL, b VARCHAR NOT NULL, value BLOB, PRIMARY KEY (a, b))",
    f"{NUMBERS} INSERT INTO pairs SELECT i % 60, 'b''' || i, CAST(i || x'00ff0a' AS BLOB) FROM n WHERE i <= 5000",
    "CREATE TABLE packed (code VARCHAR NOT NULL, part INTEGER NOT NULL, value TEXT, PRIMARY KEY (code, part))"
    " WITHOUT ROWID",
    f"{NUMBERS} INSERT INTO packed SELECT 'κ' || (i % 90), i, 'value ' || i FROM n WHERE i <= 5000",
)
CHILD = """
import sys
from pathlib import Path
from dixis_tui.config import Config
from dixis_tui.copy import copying, reindex, transfer
from dixis_tui.model import Outcome
from tests.data_path import Driver

reindex.LARGE, copying.PART_ROWS = 1000, 2000
run_dir = Path(sys.argv[1])
driver = Driver(Config.model_validate_json((run_dir / "config.json").read_text()), run_dir)
for step in ("preflight.data.source", "data.snapshot"):
    driver.outcomes[step] = Outcome.model_validate_json((run_dir / "outcome.json").read_text())
driver.run(transfer.steps(driver.config)[1:])
"""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the child: several parts and dropped indexes even in the small tables of these tests."""
    monkeypatch.setattr(reindex, "LARGE", 1000)
    monkeypatch.setattr(copying, "PART_ROWS", 2000)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers of this test's own, which it may kill."""
    running: list[RunningServer] = []

    def make(kind: Kind, *options: str) -> RunningServer:
        running.append(sandbox.start_server(FOUND[kind], tmp_path / "server", options=options))
        return running[-1]

    yield make
    for server in running:
        server.kill()


def ready(server: RunningServer, database: str, folder: Path) -> Driver:
    """A source, its tables on the target, and the snapshot the rows are to be copied from."""
    driver = make_driver(server, database, folder, SOURCE, data={"chunk_rows": 60})
    assert all(outcome.status.settled for outcome in driver.make_tables())
    driver.outcomes["data.snapshot"] = driver.outcomes["preflight.data.source"]
    return driver


def start_child(driver: Driver, server: RunningServer) -> subprocess.Popen[bytes]:
    """Another process that does phase Data from data.prepare on."""
    config = driver.config.model_dump(mode="json", by_alias=True)
    config["target"]["password"] = server.app_password
    config["target"]["admin"]["password"] = server.admin_password
    (driver.run_dir / "config.json").write_text(json.dumps(config))
    (driver.run_dir / "outcome.json").write_text(driver.outcomes["preflight.data.source"].model_dump_json())
    return subprocess.Popen([sys.executable, "-c", CHILD, str(driver.run_dir)])


def chunks_stored(server: RunningServer, database: str) -> int:
    """Chunks there; 0 while the server is away or has no checkpoints yet."""
    try:
        with closing(server.connect(database=database)) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {CHUNKS}")
            found = cursor.fetchone()
            return int(found[0]) if found else 0
    except pymysql.MySQLError:
        return 0


def ended(child: subprocess.Popen[bytes]) -> bool:
    return child.poll() is not None


def wait_for_chunks(server: RunningServer, database: str, wanted: int, over: Callable[[], bool]) -> None:
    """Wait until so many chunks are stored, or the copy is over."""
    deadline = time.monotonic() + 60
    while chunks_stored(server, database) < wanted and not over():
        assert time.monotonic() < deadline, "the copy does not come on"


def compare(driver: Driver, shapes: dict[str, shape.Definition]) -> None:
    """Every value of every row on both sides, and the tables as they were before indexes were dropped."""
    with closing(driver.target()) as target, closing(sqlite3.connect(driver.config.source.path)) as live:
        for table, columns in TABLES.items():
            mine = live.execute(f"SELECT {columns.replace('price', 'CAST(price AS REAL)')} FROM {table}").fetchall()
            theirs = query(target, f"SELECT {columns.replace('price', 'CAST(price AS DOUBLE)')} FROM {table}")
            assert sorted(map(repr, theirs)) == sorted(map(repr, mine)), table
        assert {table: shape.definition(target, table) for table in TABLES} == shapes


def fill_up(cursor: pymysql.cursors.Cursor) -> None:
    """Store values until the server has hardly room left."""
    cursor.execute("CREATE DATABASE filler")
    cursor.execute("CREATE TABLE filler.filler (value LONGBLOB)")
    for size in (1 << 20, 1 << 18):
        for _ in range(200):
            try:
                cursor.execute(f"INSERT INTO filler.filler VALUES (REPEAT('x', {size}))")
            except pymysql.MySQLError:
                break
        else:
            raise AssertionError("the server has room for everything")


def shapes_of(driver: Driver) -> dict[str, shape.Definition]:
    with closing(driver.target()) as target:
        return {table: shape.definition(target, table) for table in TABLES}


def test_a_console_killed_again_and_again_ends_exact(server: RunningServer, database: str, tmp_path: Path) -> None:
    random = Random(20)
    driver = ready(server, database, tmp_path)
    shapes = shapes_of(driver)
    for number in range(KILLS):
        already = chunks_stored(server, database)
        child = start_child(driver, server)
        wait_for_chunks(server, database, already + random.randint(1, 24), partial(ended, child))
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL, f"child {number + 1} ended before it was killed"
    outcomes = driver.run(transfer.steps(driver.config)[1:])
    assert [outcome.status for outcome in outcomes] == [Status.PASS] * len(outcomes)
    compare(driver, shapes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_killed_in_the_middle_ends_exact(
    kind: Kind, start: Callable[..., RunningServer], tmp_path: Path
) -> None:
    server = start(kind)
    driver = ready(server, "killed", tmp_path)
    shapes = shapes_of(driver)
    outcomes: list[Outcome] = []
    errors: list[BaseException] = []

    def copy() -> None:
        try:
            outcomes.extend(driver.run(transfer.steps(driver.config)[1:]))
        except BaseException as error:
            errors.append(error)

    copier = threading.Thread(target=copy)
    copier.start()
    random = Random(21)
    for _ in range(SERVER_KILLS):
        wanted = chunks_stored(server, "killed") + random.randint(20, 60)
        wait_for_chunks(server, "killed", wanted, lambda: not copier.is_alive())
        assert copier.is_alive(), errors or outcomes
        server.kill()
        server.restart()
    copier.join(120)
    assert not errors
    assert [outcome.status for outcome in outcomes] == [Status.PASS] * len(outcomes)
    compare(driver, shapes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_told_and_gone_on_from(kind: Kind, start: Callable[..., RunningServer], tmp_path: Path) -> None:
    """The server's only tablespace cannot grow, and something else has filled it."""
    server = start(kind, "--innodb-file-per-table=OFF", "--innodb-data-file-path=ibdata1:12M:autoextend:max:24M")
    driver = ready(server, "full", tmp_path)
    shapes = shapes_of(driver)
    steps = transfer.steps(driver.config)
    driver.run(steps[1:2])
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        fill_up(cursor)
    with pytest.raises(TargetError, match="no room left") as caught:
        driver.run(steps[2:])
    assert "make room" in caught.value.next_step
    server.stop()
    server.command = (*server.command, "--innodb-data-file-path=ibdata1:12M:autoextend")
    server.restart()
    outcomes = driver.run(steps[1:])
    assert [outcome.status for outcome in outcomes] == [Status.PASS] * len(outcomes)
    compare(driver, shapes)

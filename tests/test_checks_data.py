"""What single checks of data, schema and plan find, on real servers."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from checks.registry import REGISTRY
from dixis_tui.compare.verify import check_orphans
from dixis_tui.config import Target
from dixis_tui.copy.misfits import GAP, TIMESTAMP, clock_gaps, wrong_how
from dixis_tui.model import Finding, Outcome, Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.schemas.nearest import nearest
from dixis_tui.server.variables import judged
from dixis_tui.target import connected, query, server_facts
from tests.data_path import Driver, make_driver


def ask(driver: Driver, *names: str) -> dict[str, Outcome]:
    """The answers of these checks, asked after what they need."""
    for name in ("data.source", "data.scan", "schema.migrations-run", *names):
        check = REGISTRY[name]
        driver.outcomes[check.step_id] = check.outcome(driver.ctx)
    return {name: driver.outcomes[REGISTRY[name].step_id] for name in names}


def only(outcome: Outcome) -> Finding:
    (one,) = outcome.findings
    return one


def test_times_that_the_clock_skipped(server: RunningServer, database: str, tmp_path: Path) -> None:
    rows = ("2024-03-31 02:59:59", "2024-03-31 03:30:00", "2024-07-01 03:30:00", "2039-01-01 00:00:00")
    source = (
        "CREATE TABLE shifts (id INTEGER PRIMARY KEY, at DATETIME)",
        *(f"INSERT INTO shifts (at) VALUES ('{text}')" for text in rows),
    )
    gaps = clock_gaps("Europe/Athens")
    assert ("2024-03-31 03:00:00", "2024-03-31 04:00:00") in gaps
    told = [wrong_how("text", text.encode(), "timestamp", "timestamp", True, gaps) for text in rows]
    assert told == [None, GAP, None, TIMESTAMP]
    assert clock_gaps("+02:00") == []

    driver = make_driver(server, database, tmp_path, source, types={"shifts.at": "TIMESTAMP"})
    answer = ask(driver, "data.timestamp-range", "data.dst-gap")
    one = only(answer["data.timestamp-range"])
    assert (one.table, one.column, one.rows, one.examples[0].key) == ("shifts", "at", 1, "id = 4")
    assert answer["data.dst-gap"].status is Status.PASS  # +00:00 skips nothing


ORPHANS = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR)",
    "CREATE TABLE wishes (id INTEGER PRIMARY KEY, person_id INTEGER NOT NULL REFERENCES people(id))",
    "INSERT INTO people VALUES (1, 'Ελένη')",
    "INSERT INTO wishes VALUES (1, 1), (2, 77), (3, 78)",
)
WAYS: dict[str, dict[str, Any]] = {
    "set aside": {"data": {"conversions": [{"column": "wishes.person_id", "rule": "set-orphans-aside"}]}},
    "leave out": {
        "schema": {"indexes": [], "fulltext": [], "leave_out": {"wishes.(person_id)": "Eleni: kept on purpose"}}
    },
}


def test_orphans_are_named_with_three_ways_out(server: RunningServer, database: str, tmp_path: Path) -> None:
    one = only(ask(make_driver(server, database, tmp_path, ORPHANS), "data.orphans")["data.orphans"])
    assert (one.status, one.rows) == (Status.FAIL, 2)
    assert [(each.key, each.value) for each in one.examples] == [("id = 2", "77"), ("id = 3", "78")]
    told = "\n".join(one.remedy)
    assert told.count("\nor\n") == 2
    assert "DELETE FROM" in told
    assert "set-orphans-aside" in told
    assert "[schema.leave_out]" in told


@pytest.mark.parametrize("way", WAYS)
def test_each_way_out_of_orphans_leads_through(server: RunningServer, database: str, tmp_path: Path, way: str) -> None:
    driver = make_driver(server, database, tmp_path, ORPHANS, **WAYS[way])
    assert ask(driver, "data.orphans")["data.orphans"].status is Status.PASS
    outcomes = [*driver.make_tables(), *driver.copy()]
    assert all(outcome.status.settled for outcome in outcomes), outcomes[-1]
    assert check_orphans(driver.ctx).status is Status.PASS
    with closing(driver.target()) as target:
        count = query(target, "SELECT COUNT(*) FROM wishes")[0][0]
        keys = query(
            target,
            "SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()",
        )[0][0]
        if way == "set aside":
            reasons = query(target, "SELECT row_key, reason FROM _dixis_quarantine ORDER BY row_key")
            assert [str(row[1]) for row in reasons] == ["refers to no row of people"] * 2
            assert (count, keys) == (1, 1)
        else:
            assert (count, keys) == (3, 0)


def test_a_value_larger_than_a_packet(server: RunningServer, database: str, tmp_path: Path) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        before = cursor.fetchone()[0]  # type: ignore[index]
        cursor.execute("SET GLOBAL max_allowed_packet = 1048576")
        try:
            source = (
                "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)",
                "INSERT INTO notes VALUES (5, hex(zeroblob(600000))), (6, 'short')",
            )
            one = only(ask(make_driver(server, database, tmp_path, source), "data.packet")["data.packet"])
        finally:
            cursor.execute(f"SET GLOBAL max_allowed_packet = {before}")
    assert (one.table, one.column, one.rows, one.examples[0].key) == ("notes", "body", 1, "id = 5")
    assert any("max_allowed_packet = 4194304" in line for line in one.remedy)


def test_tuning_statements_are_judged_by_the_server_that_is_there(server: RunningServer) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL VARIABLES")
        variables = {str(name).lower(): str(value) for name, value in cursor.fetchall()}
    mysql = server.binary.kind == "mysql"
    target = Target.model_validate(
        {
            "host": "127.0.0.1",
            "port": server.port,
            "database": "mysql",
            "user": server.admin_user,
            "password": server.admin_password,
            "tls": {"ca": server.ca_file},
        }
    )
    with connected(target, database=None) as asked:
        facts = server_facts(asked)

    def wrong(text: str, may_set: bool = True) -> str:
        return judged(text, variables, facts, may_set).wrong

    sized = judged("SET GLOBAL innodb_buffer_pool_size = '1G'", variables, facts, True)
    verb = "PERSIST" if mysql else "GLOBAL"
    assert "error 1232" in sized.wrong
    assert sized.works == f"SET {verb} innodb_buffer_pool_size = 1073741824"
    assert ("error 1193" in wrong("SET GLOBAL query_cache_size = 0")) is mysql
    assert wrong("SET GLOBAL max_connections = 200") == ""
    assert "error 1227" in wrong("SET GLOBAL max_connections = 200", may_set=False)
    assert wrong("SET GLOBAL slow_query_log = 'ON'") == ""
    assert "no SET statement" in wrong("FLUSH TABLES")
    for text in (sized.works, "SET GLOBAL query_cache_size = 0", "SET GLOBAL innodb_buffer_pool_size = '1G'"):
        with server.connect() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(text.replace("1073741824", "134217728"))
                worked = True
            except Exception:
                worked = False
        assert worked is (wrong(text) == ""), text  # the server says the same
    if mysql:
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("RESET PERSIST innodb_buffer_pool_size")


@pytest.mark.parametrize(
    ("name", "names", "first"),
    [
        ("category", ["id", "category_id", "is_featured"], "category_id"),
        ("total_tax", ["total_amount", "tax_amount", "subtotal"], "tax_amount"),
        ("covers", ["logo", "cover_image"], "cover_image"),
        ("prodcuts", ["orders", "products"], "products"),
        ("region", ["id", "name", "is_active"], ""),
    ],
)
def test_the_nearest_name(name: str, names: list[str], first: str) -> None:
    assert (nearest(name, names) or [""])[0] == first

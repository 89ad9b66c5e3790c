"""Declared conversions change what they are declared for, are counted, and nothing else is changed."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from dixis_tui.config import Conversion
from dixis_tui.model import Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.schemas import schema
from dixis_tui.schemas.conversions import QUARANTINE
from dixis_tui.target import execute, query
from tests.data_path import Driver, make_driver

SOURCE = (
    "CREATE TABLE visits (id INTEGER PRIMARY KEY, seen TEXT, made INTEGER, price NUMERIC, born TEXT, word TEXT)",
    "INSERT INTO visits VALUES (1, '2024-03-31T00:30:00Z', 0, 19.995, '', CAST(x'c5ebe9dc' AS TEXT))",
    "INSERT INTO visits VALUES (2, '2024-07-01T12:00:00.250+02:00', 86400, 5, '1990-02-28', 'Ελιά')",
    "INSERT INTO visits VALUES (3, '2024-01-01 00:00:00', 1711843200, -0.005, NULL, NULL)",
    "CREATE TABLE packed (code VARCHAR NOT NULL, size INTEGER, PRIMARY KEY (code)) WITHOUT ROWID",
    "INSERT INTO packed VALUES ('a', 1), ('b', 300), ('c', 'much'), ('d', NULL), ('e', 2)",
)
RULES = [
    {"column": "visits.seen", "rule": "iso-datetime", "zone": "Europe/Athens"},
    {"column": "visits.made", "rule": "epoch", "zone": "+02:00"},
    {"column": "visits.price", "rule": "round"},
    {"column": "visits.born", "rule": "empty-to-null"},
    {"column": "visits.word", "rule": "charset", "from": "iso-8859-7"},
    {"column": "packed.size", "rule": "quarantine"},
]
SHAPE = (
    "CREATE TABLE visits (id BIGINT PRIMARY KEY, seen DATETIME(3), made DATETIME, price DECIMAL(10,2), born DATE,"
    " word VARCHAR(20))",
    "CREATE TABLE packed (code VARCHAR(20) PRIMARY KEY, size TINYINT NOT NULL)",
)


def make_shaped(driver: Driver) -> None:
    """Tables with the types an application's own migrations would give them."""
    driver.snapshot()
    driver.run(step for step in schema.steps(driver.config) if step.id in ("schema.database", "schema.user"))
    with closing(driver.target()) as target:
        for statement in SHAPE:
            execute(target, statement)


@pytest.mark.parametrize("chunk", [1, 1000])
def test_each_rule_does_what_it_says_and_is_counted(
    server: RunningServer, database: str, tmp_path: Path, chunk: int
) -> None:
    driver = make_driver(server, database, tmp_path, SOURCE, data={"conversions": RULES, "chunk_rows": chunk})
    make_shaped(driver)
    outcomes = driver.copy()
    assert all(outcome.status is Status.PASS for outcome in outcomes), outcomes[-1]
    with closing(driver.target()) as target:
        columns = "CAST(seen AS CHAR), CAST(made AS CHAR), price, born, word"
        assert query(target, f"SELECT {columns} FROM visits ORDER BY id") == [
            ("2024-03-31 02:30:00.000", "1970-01-01 02:00:00", Decimal("20.00"), None, "Ελιά"),
            ("2024-07-01 13:00:00.250", "1970-01-02 02:00:00", Decimal("5.00"), date(1990, 2, 28), "Ελιά"),
            ("2024-01-01 00:00:00.000", "2024-03-31 02:00:00", Decimal("-0.01"), None, None),
        ]
        assert query(target, "SELECT code, size FROM packed ORDER BY code") == [("a", 1), ("e", 2)]
        aside = query(target, f"SELECT table_name, column_name, reason, row_json FROM {QUARANTINE} ORDER BY row_json")
    assert [json.loads(row[3]) for row in aside] == [
        {"code": "b", "size": 300},
        {"code": "c", "size": "much"},
        {"code": "d", "size": None},
    ]
    assert [row[2].removesuffix("(4)") for row in aside] == [
        "outside the range of tinyint",
        "a text in a column of numbers",
        "NULL, and the column takes none",
    ]
    counted = {c["column"]: c["rows"] for c in driver.outcomes["data.rest"].facts["conversions"]}
    assert counted == {
        "visits.seen": 2,
        "visits.made": 3,
        "visits.price": 2,
        "visits.born": 1,
        "visits.word": 1,
        "packed.size": 3,
    }
    assert "visits.seen: iso-datetime, 2 rows" in driver.outcomes["data.rest"].evidence
    assert any("3 set aside" in line for line in driver.outcomes["data.counts"].evidence)


def test_without_a_declaration_nothing_is_changed(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, SOURCE)
    make_shaped(driver)
    refused = driver.copy()[-1]
    assert refused.status is Status.FAIL
    assert "nothing was changed" in refused.summary


def test_a_column_that_is_not_there_is_named(server: RunningServer, database: str, tmp_path: Path) -> None:
    rules = [{"column": "visits.sean", "rule": "empty-to-null"}, {"column": "packed.code", "rule": "empty-to-null"}]
    driver = make_driver(server, database, tmp_path, SOURCE, data={"conversions": rules})
    make_shaped(driver)
    refused = driver.copy()[-1]
    assert refused.status is Status.FAIL
    assert any("names visits.sean, which is not there" in line for line in refused.evidence)
    assert any("packed.code is the key rows are walked by" in line for line in refused.evidence)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rule": "charset"},
        {"rule": "charset", "from": "greek-ish"},
        {"rule": "epoch", "zone": "Athens"},
        {"rule": "trim"},
    ],
)
def test_a_rule_that_cannot_be_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"charset|zone|rule"):
        Conversion.model_validate({"column": "a.b", **wrong})

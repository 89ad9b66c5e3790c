"""Where values do not fit, the remedy holds the conversions that mend them, ready to be copied: copied, they do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import tomli

from dixis_tui.copy import transfer
from dixis_tui.model import Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.schemas import schema
from dixis_tui.target import execute, query
from tests.data_path import Driver, make_driver

SHOP = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, amount NUMERIC, size INTEGER, born DATE, seen DATETIME, paid DATETIME,"
    " body TEXT, price NUMERIC(8,2))",
    "INSERT INTO t VALUES (1, '', 5, '', '2024-03-31T00:30:00Z', 1700000000, CAST(x'C5EBE9DC' AS TEXT), 1.005)",
    "INSERT INTO t VALUES (2, 1.5, '', '2001-02-28', '2024-01-01 10:00:00', NULL, 'Ελιά', 0.1 + 0.2)",
    "INSERT INTO t VALUES (3, 2, 'much', NULL, 'yesterday', NULL, NULL, 4)",
)


def copied(remedy: Sequence[str]) -> dict[str, Any]:
    """What the lines of a remedy that belong into the configuration say there."""
    first = next(number for number, line in enumerate(remedy) if line.startswith("[[data.conversions]]"))
    return tomli.loads("\n".join(remedy[first:]))


def test_the_proposals_of_the_findings_mend_them(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, SHOP, schema={"indexes": [], "fulltext": []})
    driver.waives = False
    told = driver.make_tables()[0]
    assert told.status is Status.FAIL
    found = copied(told.remedy)
    rules = {(rule["column"], rule["rule"]) for rule in found["data"]["conversions"]}
    assert rules == {
        ("t.amount", "empty-to-null"),
        ("t.size", "empty-to-null"),
        ("t.size", "quarantine"),
        ("t.born", "empty-to-null"),
        ("t.seen", "iso-datetime"),
        ("t.seen", "quarantine"),
        ("t.paid", "epoch"),
        ("t.body", "charset"),
        ("t.price", "round"),
    }
    assert found["types"] == {"t.price": "DECIMAL(8,2)"}
    assert any(line == "[[data.conversions]]               # 1 row" for line in told.remedy)

    config = driver.config.model_dump(by_alias=True) | {"types": found["types"], "data": found["data"]}
    config["target"]["password"], config["target"]["admin"]["password"] = server.app_password, server.admin_password
    driver.config = type(driver.config).model_validate(config)
    assert [outcome.status for outcome in driver.make_tables()][:1] == [Status.PASS]
    assert all(outcome.status is Status.PASS for outcome in driver.copy())
    with closing(driver.target()) as target:
        assert query(target, "SELECT id, amount, size, CAST(born AS CHAR), CAST(seen AS CHAR), body, price FROM t") == [
            (1, None, 5, None, "2024-03-31 00:30:00", "Ελιά", Decimal("1.01")),
            (2, Decimal("1.50"), None, "2001-02-28", "2024-01-01 10:00:00", "Ελιά", Decimal("0.30")),
        ]
        assert query(target, "SELECT CAST(paid AS CHAR) FROM t WHERE id = 1") == [("2023-11-14 22:13:20",)]


def shaped(driver: Driver) -> None:
    driver.snapshot()
    driver.run(schema.steps(driver.config)[:2])
    with closing(driver.target()) as target:
        execute(
            target,
            "CREATE TABLE t (id BIGINT PRIMARY KEY, amount DECIMAL(10,2), size INT NOT NULL, born DATE, seen DATETIME,"
            " paid DATETIME, body TEXT, price DECIMAL(8,2))",
        )


def test_beside_artisans_tables_they_are_proposed_too(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, SHOP, schema={"mode": "artisan", "indexes": [], "fulltext": []})
    shaped(driver)
    for told in (schema.check_differences(driver.ctx), transfer.prepare(driver.ctx)):
        assert told.status is Status.FAIL
        rules = [(rule["column"], rule["rule"]) for rule in copied(told.remedy)["data"]["conversions"]]
        # A column that takes no NULL: the empty text can only be set aside.
        assert [rule for column, rule in rules if column == "t.size"] == ["quarantine"]
        assert ("t.seen", "iso-datetime") in rules
    data = driver.config.data.model_validate(copied(told.remedy)["data"])
    driver.config = driver.config.model_copy(update={"data": data})
    beside = schema.check_differences(driver.ctx)
    assert not any(line.startswith("error: t: seen") for line in beside.evidence)
    assert any("converted as declared: iso-datetime, quarantine" in line for line in beside.evidence)

"""What a later snapshot holds follows from an earlier one and what changed: never less than a scan of it would say."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest

from dixis_tui.schemas import catalogue, since
from dixis_tui.schemas.contents import ColumnContents, TableContents, scan
from dixis_tui.source import open_readonly
from tests.data_path import make_source

SHOP = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR COLLATE RTRIM, balance NUMERIC, born DATETIME, loose)",
    "INSERT INTO users VALUES (1, 'a', 1.5, '2024-01-01 00:00:00', 1), (2, 'b', 2, NULL, 2), (3, 'c', 3, NULL, 'x')",
    "CREATE TABLE packed (key VARCHAR PRIMARY KEY, value INTEGER) WITHOUT ROWID",
    "INSERT INTO packed VALUES ('a', 1)",
    "CREATE TABLE still (id INTEGER PRIMARY KEY, value TEXT)",
    "INSERT INTO still VALUES (1, 'x')",
)
CHANGES = {
    "null": "UPDATE users SET name = NULL WHERE id = 2",
    "nul": "UPDATE users SET name = 'a' || char(0) WHERE id = 2",
    "separator": "UPDATE users SET name = 'a' || char(31) WHERE id = 1",
    "spaces": "UPDATE users SET name = 'a                 ' WHERE id = 1",
    "scale": "UPDATE users SET balance = 2.125 WHERE id = 2",
    "range": "INSERT INTO users (id, balance) VALUES (99, -100000)",
    "words": "UPDATE users SET born = 'yesterday' WHERE id = 3",
    "fraction": "UPDATE users SET born = '2024-01-01 00:00:00.25' WHERE id = 3",
    "type": "UPDATE users SET loose = 1.0 WHERE id = 1",
    "blob": "UPDATE users SET loose = x'78' WHERE id = 3",
    "gone": "DELETE FROM users WHERE id = 3",
    "packed": "INSERT INTO packed VALUES ('b', 70000)",
    "column": "ALTER TABLE still ADD COLUMN more INTEGER DEFAULT 5",
    "table": "CREATE TABLE fresh AS SELECT 'long' AS word",
    "nothing": "UPDATE users SET name = name",
}


def scanned(path: Path) -> dict[str, TableContents]:
    with closing(open_readonly(path)) as connection:
        schema = catalogue.read_schema(connection)
        return {table.name: scan(connection, table) for table in schema.tables}


def says_no_less(one: ColumnContents, other: ColumnContents) -> list[str]:
    """Facts in which one says less than other."""
    facts = [fact.name for fact in fields(ColumnContents)]
    lower = [name for name in facts if name != "low" and getattr(one, name) < getattr(other, name)]
    return lower + (["low"] if one.low > other.low else [])


@pytest.mark.parametrize("change", CHANGES)
def test_it_says_no_less_than_a_scan(tmp_path: Path, change: str) -> None:
    before = make_source(tmp_path / "before.sqlite", SHOP)
    after = tmp_path / "after.sqlite"
    shutil.copy(before, after)
    with closing(sqlite3.connect(after)) as live:
        live.execute(CHANGES[change])
        live.commit()
    with closing(open_readonly(after)) as connection:
        schema = catalogue.read_schema(connection)
    found = since.contents(after, schema, before, scanned(before), lambda: None)
    wanted = scanned(after)
    assert found.keys() == wanted.keys()
    for table, held in wanted.items():
        assert found[table].rows == held.rows
        assert found[table].columns.keys() == held.columns.keys()
        for column, facts in held.columns.items():
            # Texts that were all plain, all moments, and so on, are so only when the new ones are as well.
            mine = found[table].columns[column]
            assert says_no_less(mine, facts) == [], (table, column)
            for part in ("plain", "datetimes", "json"):
                if getattr(facts, part) < facts.texts:
                    assert getattr(mine, part) < mine.texts


def test_only_what_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make_source(tmp_path / "before.sqlite", SHOP)
    known = scanned(before)
    after = tmp_path / "after.sqlite"
    shutil.copy(before, after)
    with closing(sqlite3.connect(after)) as live:
        live.execute(CHANGES["scale"])
        live.commit()
    with closing(open_readonly(after)) as connection:
        schema = catalogue.read_schema(connection)
    rows: list[int] = []

    def counted(connection: sqlite3.Connection, table: catalogue.Table) -> TableContents:
        found = scan(connection, table)
        rows.append(found.rows)
        return found

    monkeypatch.setattr(since, "scan", counted)
    since.contents(after, schema, before, known, lambda: None)
    assert rows == [1, 1]  # the changed row, and the table without row numbers

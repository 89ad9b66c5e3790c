"""What a snapshot holds, by what an earlier one held and the rows that are new or have changed since.

Asking two files which rows differ takes an eighth of the time of a scan. Rows that are gone still count, so the answer
may say more than the snapshot holds, never less: enough for encoding and comparing, too little for choosing types.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

from dixis_tui import catalogue
from dixis_tui.catalogue import ColumnContents, SourceSchema, Table, TableContents
from dixis_tui.source import open_readonly

# Facts of a column that are extremes; all others are counts.
LOWEST, HIGHEST = ("low",), ("high", "characters", "bytes", "digits", "scale", "fraction")
ROWS, CHANGED = "dixis_changed_rows", "dixis_changed"


def contents(
    path: Path,
    schema: SourceSchema,
    before: Path,
    known: Mapping[str, TableContents],
    check_stop: Callable[[], None],
) -> dict[str, TableContents]:
    """What the tables of a snapshot hold at most; before: an earlier one; known: what that holds."""
    found = {}
    with closing(open_readonly(path)) as connection:
        connection.execute("ATTACH ? AS before", (f"{before.resolve().as_uri()}?mode=ro&immutable=1",))
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA query_only = OFF")
        connection.execute(f"CREATE TEMP TABLE {ROWS} (id INTEGER PRIMARY KEY)")
        earlier = {table: list(_columns(connection, "before", table)) for table in known}
        for table in schema.tables:
            check_stop()
            same = table.rowid and earlier.get(table.name) == list(_columns(connection, "main", table.name))
            if same:
                found[table.name] = _merged(connection, table, known[table.name])
            else:
                found[table.name] = catalogue.scan(connection, table)
    return found


def _columns(connection: sqlite3.Connection, database: str, table: str) -> list[tuple[object, ...]]:
    """Everything SQLite says of a table's columns."""
    return connection.execute("SELECT * FROM pragma_table_xinfo(?, ?)", (table, database)).fetchall()


def _merged(connection: sqlite3.Connection, table: Table, known: TableContents) -> TableContents:
    name, rowid = catalogue.name(table.name), catalogue.name(table.rowid)
    differs = " OR ".join(_differs(catalogue.name(column.name), column.declared) for column in table.columns)
    connection.execute(f"DELETE FROM {ROWS}")
    connection.execute(
        f"INSERT INTO {ROWS} SELECT n.{rowid} FROM main.{name} n LEFT JOIN before.{name} o ON o.{rowid} = n.{rowid}"
        f" WHERE o.{rowid} IS NULL OR {differs}"
    )
    rows = connection.execute(f"SELECT count(*) FROM main.{name}").fetchone()[0]
    if not connection.execute(f"SELECT EXISTS (SELECT 1 FROM {ROWS})").fetchone()[0]:
        return replace(known, rows=rows)
    selected = ", ".join(f"n.{catalogue.name(column.name)}" for column in table.columns)
    connection.execute(
        f"CREATE TEMP VIEW {CHANGED} AS SELECT {selected} FROM main.{name} n JOIN {ROWS} ON n.{rowid} = {ROWS}.id"
    )
    changed = catalogue.scan(connection, replace(table, name=CHANGED))
    connection.execute(f"DROP VIEW {CHANGED}")
    return TableContents(rows, {c: merge(known.columns[c], changed.columns[c]) for c in changed.columns})


def _differs(column: str, declared: str) -> str:
    """True where a value is not the very same; without a declared type 1 and 1.0 are told apart by their types alone."""
    values = f"n.{column} COLLATE BINARY IS NOT o.{column}"
    loose = not declared or "blob" in declared.lower()
    return f"{values} OR typeof(n.{column}) <> typeof(o.{column})" if loose else values


def merge(one: ColumnContents, other: ColumnContents) -> ColumnContents:
    """What a column holds at most that holds the rows of both."""
    facts = {}
    for fact in fields(ColumnContents):
        a, b = getattr(one, fact.name), getattr(other, fact.name)
        facts[fact.name] = min(a, b) if fact.name in LOWEST else max(a, b) if fact.name in HIGHEST else a + b
    return ColumnContents(**facts)

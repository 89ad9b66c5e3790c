"""Builds the demo shop: a SQLite database of 83 tables as a Laravel application leaves it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from dixis_tui.model import DixisError
from dixis_tui.sandbox.hostile import add_trouble
from dixis_tui.sandbox.shop_catalogue import Row, Value, catalogue, moment
from dixis_tui.sandbox.shop_orders import COLUMNS, order_batches
from dixis_tui.sandbox.shop_schema import TABLES, sqlite_ddl

_COLUMNS_OF = {table.name: {column.name for column in table.columns} for table in TABLES}


_STAMPS: tuple[str, ...] = ("created_at", "updated_at")


@dataclass(frozen=True)
class ShopFacts:
    """What was built: number of tables, rows in all of them, size of the file in bytes."""

    tables: int
    rows: int
    bytes: int


def build_shop(path: Path, *, seed: int = 1, scale: int = 1, hostile: bool = False) -> ShopFacts:
    """Write the shop to a new file. The same seed and scale give the same rows.

    `scale` multiplies the orders (480 each) with their items, payments, invoices and tracking events; `hostile` adds
    the tables of `dixis_tui.sandbox.hostile`. Raises DixisError if the file exists.
    """
    if path.exists():
        raise DixisError(
            f"{path} exists already.",
            safe="It was not touched.",
            next_step="Choose another name for the new shop, or move that file away.",
        )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = off")
        connection.execute("begin")
        for table in TABLES:
            for statement in sqlite_ddl(table):
                connection.execute(statement)
        for name, rows in catalogue(Random(seed)):
            _insert(connection, name, rows)
        statements = {table: _statement(table, columns.split()) for table, columns in COLUMNS.items()}
        for batch in order_batches(Random(seed), scale):
            for name, records in batch.items():
                connection.executemany(statements[name], records)
        if hostile:
            add_trouble(connection)
        connection.execute("commit")
        tables, rows_stored = _count(connection)
    return ShopFacts(tables, rows_stored, path.stat().st_size)


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    columns = list(rows[0])
    missing = _COLUMNS_OF[table].difference(columns)
    stamps = [name for name in _STAMPS if name in missing]
    records: list[list[Value]] = []
    for number, row in enumerate(rows):
        stamp = moment(number % 365, 1 + number * 311)
        records.append([row[name] for name in columns] + [stamp for _ in stamps])
    connection.executemany(_statement(table, columns + stamps), records)


def _statement(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    return f'insert into "{table}" ({names}) values ({", ".join("?" * len(columns))})'


def _count(connection: sqlite3.Connection) -> tuple[int, int]:
    names = connection.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")
    tables = [name.replace('"', '""') for (name,) in names]
    return len(tables), sum(connection.execute(f'select count(*) from "{name}"').fetchone()[0] for name in tables)

"""The scan's cheap questions answer exactly what looking at every value does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dixis_tui.model import StoppedError
from dixis_tui.schemas.catalogue import read_schema
from dixis_tui.schemas.contents import ColumnContents, look_closely, scan, scan_all

COUNTS = ("nulls", "integers", "reals", "texts", "blobs", "low", "high", "characters", "bytes", "nul")
WRITTEN = ("digits", "scale", "inexact")
MOMENTS = ("dates", "datetimes", "times", "fraction")

CENTS = st.integers(-(10**12), 10**12).map(lambda cents: cents / 100)
REALS = st.floats(allow_nan=False) | CENTS | st.sampled_from([0.1 + 0.2, 1e15, -0.0, 9e999, 1e-9, 99.999, 2.5])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(['{"a": 1}', "[]", "a\0b", "12", "null"])
DATES = st.dates().map(str) | st.datetimes().map(lambda at: at.isoformat(" ")) | st.times().map(str)
ODD = st.sampled_from(["2024-02-30", "2024-02-30 10:00:00", "0000-00-00 00:00:00", "2024-01-01 24:00:00", "now", ""])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "numeric": st.integers(-(10**15), 10**15) | REALS,
    "real": REALS,
    "varchar": TEXTS,
    "text": TEXTS,
    "date": DATES | ODD,
    "datetime": DATES | ODD,
    "": REALS | TEXTS | st.binary(max_size=4),
}


@st.composite
def columns(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """A declared type, and values most of which suit it."""
    declared = draw(st.sampled_from(sorted(VALUES)))
    strange = st.none() | (st.binary(max_size=3) | REALS | TEXTS if draw(st.booleans()) else st.nothing())
    return declared, draw(st.lists(VALUES[declared] | strange, max_size=8))


@settings(deadline=None, max_examples=300)
@given(column=columns())
def test_a_glance_sees_what_looking_closely_does(column: tuple[str, list[Any]]) -> None:
    declared, values = column
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t (c {declared})")
        connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        (table,) = read_schema(connection).tables
        quick = scan(connection, table).columns["c"]
        close = look_closely(connection, table, table.columns)["c"]
    facts = COUNTS + (WRITTEN if declared in ("numeric", "real", "") else ())
    facts += MOMENTS if declared in ("date", "datetime") else ()
    assert {fact: asdict(quick)[fact] for fact in facts} == {fact: asdict(close)[fact] for fact in facts}
    if quick.json:
        assert quick.json == close.json


def test_json_is_counted_where_all_texts_are() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a TEXT, b TEXT, c VARCHAR)")
        connection.execute("INSERT INTO t VALUES ('{}', '{}', '{}'), ('[1]', 'no', '[1]'), (NULL, NULL, NULL)")
        found = scan(connection, read_schema(connection).tables[0]).columns
    assert (found["a"].json, found["b"].json, found["c"].json) == (2, 0, 0)


def test_a_scan_of_many_tables_ends_when_it_is_asked_to() -> None:
    uri = "file:many?mode=memory&cache=shared"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        for number in range(9):
            connection.execute(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, c NUMERIC)")
            connection.execute(f"INSERT INTO t{number} (c) VALUES (1.25), (3)")
        connection.commit()
        tables = read_schema(connection).tables
        found = scan_all(lambda: sqlite3.connect(uri, uri=True), tables, lambda: None)

        def stop() -> None:
            raise StoppedError

        with pytest.raises(StoppedError):
            scan_all(lambda: sqlite3.connect(uri, uri=True), tables, stop)
    assert list(found) == [table.name for table in tables]
    wanted = ColumnContents(integers=1, reals=1, low=1, high=3, digits=1, scale=2)
    assert all(one.columns["c"] == wanted for one in found.values())

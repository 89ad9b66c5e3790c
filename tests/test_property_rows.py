"""Whatever values a source holds: after the copy, every one of them is read back as it was."""

from __future__ import annotations

import itertools
import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dixis_tui.compare import validation
from dixis_tui.sandbox import RunningServer
from dixis_tui.target import query
from tests.data_path import make_driver

EXAMPLES = 12
SOURCE = (
    "CREATE TABLE texts (id INTEGER PRIMARY KEY, value TEXT)",
    "CREATE TABLE words (id INTEGER PRIMARY KEY, value VARCHAR)",
    "CREATE TABLE codes (id INTEGER PRIMARY KEY, value BLOB)",
    "CREATE TABLE wholes (id INTEGER PRIMARY KEY, value INTEGER)",
    "CREATE TABLE doubles (id INTEGER PRIMARY KEY, value DOUBLE)",
    "CREATE TABLE money (id INTEGER PRIMARY KEY, value NUMERIC)",
    "CREATE TABLE moments (id INTEGER PRIMARY KEY, value DATETIME)",
    "CREATE TABLE loose (value TEXT, number INTEGER)",
    "CREATE TABLE packed (a BLOB NOT NULL, b INTEGER NOT NULL, value TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID",
)
# Text without lone surrogates, with a liking for what is special to SQLite, to LOAD DATA and to INSERT.
SPECIAL = st.sampled_from(
    [
        "\\N",
        "\\",
        "\t",
        "\n",
        "\r\n",
        "'",
        '"',
        "\0",
        "%s",
        "%",
        "NULL",
        "\x1a",
        "🫒",
        "Ά",
        "`",
        ";",
        "\x1d",
        "\x1e",
        "\x1f",
        "\x1dN",
    ]
)
TEXTS = st.one_of(
    st.lists(st.one_of(SPECIAL, st.text(st.characters(exclude_categories=["Cs"]), max_size=8)), max_size=8).map(
        "".join
    ),
    st.integers(1, 40_000).map(lambda count: "αβ\t" * count),
)
PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: number == 0 or abs(number) > 1e-300)
MOMENTS = st.datetimes().filter(lambda m: m.year >= 1000).map(lambda m: m.isoformat(" ", "microseconds"))
CENTS = st.integers(-(10**9), 10**9).map(lambda cents: cents / 100)
WHOLES = st.integers(-(2**63), 2**63 - 1)
CODES = st.binary(max_size=300)


def some(values: st.SearchStrategy[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(st.one_of(st.none(), values), max_size=30)


CONTENTS = st.fixed_dictionaries(
    {
        "texts": some(TEXTS),
        "words": some(PLAIN),
        "codes": some(CODES),
        "wholes": some(WHOLES),
        "doubles": some(DOUBLES),
        "money": some(CENTS),
        "moments": some(MOMENTS),
        "loose": st.lists(st.tuples(TEXTS, WHOLES), max_size=30),
        "packed": st.dictionaries(st.tuples(st.binary(max_size=20), WHOLES), TEXTS, max_size=30),
    }
)
_numbers = itertools.count(1)


def fill(path: Path, contents: dict[str, object]) -> None:
    with closing(sqlite3.connect(path)) as live:
        for table, values in contents.items():
            if isinstance(values, dict):
                live.executemany(
                    f"INSERT INTO {table} VALUES (?, ?, ?)", [(*key, text) for key, text in values.items()]
                )
            elif isinstance(values, list) and table == "loose":
                live.executemany("INSERT INTO loose VALUES (?, ?)", values)
            elif isinstance(values, list):
                live.executemany(f"INSERT INTO {table} (value) VALUES (?)", [(value,) for value in values])
        live.commit()


def same(mine: object, theirs: object) -> bool:
    if isinstance(mine, float) and isinstance(theirs, float):
        return mine == theirs and math.copysign(1, mine) == math.copysign(1, theirs)
    return type(mine) is type(theirs) and mine == theirs


@pytest.mark.parametrize("way", ["load", "insert"])
def test_every_value_is_read_back_as_it_was(server: RunningServer, tmp_path: Path, way: str) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck], database=None
    )
    @given(contents=CONTENTS, chunk=st.integers(1, 40))
    def copied(contents: dict[str, object], chunk: int) -> None:
        number = next(_numbers)
        folder = tmp_path / str(number)
        folder.mkdir()
        driver = make_driver(server, f"property_{number}", folder, SOURCE, data={"chunk_rows": chunk})
        path = Path(driver.config.source.path)
        fill(path, contents)
        try:
            outcomes = [*driver.make_tables(), *driver.copy()]
            assert all(outcome.status.settled for outcome in outcomes), outcomes[-1]
            with closing(driver.target()) as target, closing(sqlite3.connect(path)) as live:
                for table in contents:
                    value = {"moments": "CAST(value AS CHAR)", "money": "CAST(value AS DOUBLE)"}.get(table, "value")
                    columns = {"loose": "value, number", "packed": "a, b, value"}.get(table, f"id, {value}")
                    theirs = query(target, f"SELECT {columns} FROM {table}")
                    asked = columns.replace("AS CHAR", "AS TEXT").replace("AS DOUBLE", "AS REAL")
                    mine = live.execute(f"SELECT {asked} FROM {table}").fetchall()
                    pairs = list(zip(sorted(mine, key=repr), sorted(theirs, key=repr), strict=True))
                    assert all(same(a, b) for one, other in pairs for a, b in zip(one, other, strict=True)), (
                        table,
                        pairs,
                    )
            report = validation.report(driver.ctx)
            assert report.equal, [one for one in report.tables if one.status != "equal"]
        finally:
            with server.connect() as connection, connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS property_{number}")

    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SET GLOBAL local_infile = {int(way == 'load')}")
        try:
            copied()
        finally:
            cursor.execute("SET GLOBAL local_infile = 1")

"""Any schema: every table, key, index, foreign key and default of the source is on the real server, or is a finding."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dixis_tui.model import Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.schemas import schema, shape
from dixis_tui.schemas.catalogue import Index, SourceSchema, Table, name, read_schema
from dixis_tui.target import connected, execute, literal, query
from tests.data_path import Driver, make_driver

NAMES = ["a", "b", "order", "key", "Τιμή", "name with space", "back`tick", "percent %", "x" * 64, "y" * 65, "it's"]
TYPES = [
    *("integer", "int unsigned", "tinyint(1)", "smallint", "numeric", "decimal(8,3)", "real", "varchar", "varchar(40)"),
    *("text", "date", "datetime", "time", "blob", "json", "", "varchar(2000)", "char(10)"),
]
DEFAULTS = [
    *("", "", "", "NULL", "0", "'0'", "1.5", "'text'", "''", "'it''s \\ \"so\"'", "CURRENT_TIMESTAMP", "CURRENT_DATE"),
    *("(1 + 2)", "(datetime('now'))", "(random())", "TRUE", "-3", "x'00ff'", "(lower('ABC'))"),
]
ACTIONS = ["", "on delete cascade", "on delete set null", "on update cascade", "on delete set default"]


@st.composite
def tables(draw: st.DrawFn) -> list[str]:
    """Statements that make one to three tables."""
    names = draw(
        st.lists(st.sampled_from(["t", "users", "groups", "Πίνακας", "z" * 60]), min_size=1, max_size=3, unique=True)
    )
    statements = []
    for table in names:
        columns = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
        lines = []
        rowid = draw(st.booleans())
        if rowid:
            lines.append("id integer primary key" + draw(st.sampled_from(["", " autoincrement"])))
        for column in columns:
            line = f"{name(column)} {draw(st.sampled_from(TYPES))}"
            line += draw(st.sampled_from(["", "", " not null"]))
            default = draw(st.sampled_from(DEFAULTS))
            line += f" default {default}" if default else ""
            line += draw(st.sampled_from(["", "", "", " collate nocase", " unique"]))
            lines.append(line)
        if draw(st.booleans()):
            kept = draw(st.sampled_from(["stored", "virtual"]))
            lines.append(f"made integer as (length({name(columns[0])}) + 1) {kept}")
        if draw(st.booleans()):
            allowed = draw(st.sampled_from(["'x', 'y'", "1, 2", "'x', 1"]))
            lines.append(f"check ({name(columns[-1])} in ({allowed}) or {name(columns[0])} is null)")
        if not rowid and draw(st.booleans()):
            key = draw(st.lists(st.sampled_from(columns), min_size=1, max_size=2, unique=True))
            lines.append(f"primary key ({', '.join(map(name, key))})")
        for number in range(draw(st.integers(0, 2))):
            other = draw(st.sampled_from(names))
            lines.insert(-1 if "primary key (" in lines[-1] else len(lines), f"ref{number} integer")
            lines.append(f"foreign key (ref{number}) references {name(other)} (id) {draw(st.sampled_from(ACTIONS))}")
        # Columns come before constraints.
        lines.sort(key=lambda line: line.startswith(("check", "primary key (", "foreign key")))
        statements.append(f"create table {name(table)} ({', '.join(lines)})")
        for number in range(draw(st.integers(0, 3))):
            parts = draw(st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True))
            written = [name(part) + draw(st.sampled_from(["", "", " desc"])) for part in parts]
            if draw(st.integers(0, 4)) == 0:
                written[0] = f"lower({name(parts[0])})"
            unique = draw(st.sampled_from(["", "unique "]))
            where = draw(st.sampled_from(["", "", f" where {name(columns[-1])} is null"]))
            index = name(f"{table}_{number}_index")
            statements.append(f"create {unique}index {index} on {name(table)} ({', '.join(written)}){where}")
    return statements


_numbers = itertools.count(1)


@pytest.fixture
def prefix(server: RunningServer) -> Iterator[str]:
    """Databases whose names begin like this are dropped afterwards."""
    found = f"property_schema_{next(_numbers)}_"
    yield found
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES")
        for (database,) in cursor.fetchall():
            if str(database).startswith(found):
                cursor.execute(f"DROP DATABASE `{database}`")


def lost(driver: Driver, source: SourceSchema, told: str) -> Iterator[str]:
    """Everything of the source that is neither on the target nor named by a finding."""
    with connected(driver.config.target) as target:
        columns = shape.all_columns(target)
        indexes = shape.all_indexes(target)
        defaults = {
            (str(table), str(column)): default
            for table, column, default in query(
                target,
                "SELECT table_name, column_name, column_default FROM information_schema.columns"
                " WHERE table_schema = DATABASE()",
            )
        }
        definitions = {table: shape.definition(target, table) for table in columns}
    for table in source.tables:
        if table.name not in columns:
            if f"{table.name}:columns" not in told:
                yield f"table {table.name}"
            continue
        there = {column.name for column in columns[table.name]}
        for column in table.columns:
            if column.name not in there and f"{table.name}.{column.name}:name" not in told:
                yield f"column {table.name}.{column.name}"
            wanted = column.default is not None and column.default.strip("()").upper() != "NULL"
            if wanted and defaults.get((table.name, column.name)) is None and not column.generated:
                numbered = table.primary_key == (column.name,)
                if not numbered and f"{table.name}.{column.name}:" not in told:
                    yield f"default of {table.name}.{column.name}"
        keys = {index.name: index for index in indexes.get(table.name, ())}
        primary = keys["PRIMARY"].columns if "PRIMARY" in keys else ()
        if primary != table.primary_key and f"{table.name}.PRIMARY:" not in told:
            yield f"primary key of {table.name}"
        yield from (
            f"index {index.name}"
            for index in table.indexes
            if not _made(table, index, list(keys.values())) and f"{table.name}.{index.name}:" not in told
        )
        foreign = [shape.foreign_key(line) for line in definitions[table.name].foreign_keys.values()]
        for key in table.foreign_keys:
            made = (list(key.columns), key.table, list(key.references)) in foreign
            if not made and f"{table.name}.({','.join(key.columns)}):" not in told:
                yield f"foreign key of {table.name} {key.columns}"


def _made(table: Table, index: Index, keys: list[shape.ShapeIndex]) -> bool:
    if index.constraint:
        return any(key.unique and key.columns == index.columns for key in keys)
    same = [key for key in keys if key.name == index.name]
    return bool(same) and same[0].unique == index.unique


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(statements=tables())
@example(statements=["create table t (id integer primary key, \"a\" text default 'x' unique)"])
def test_nothing_of_any_schema_is_lost_in_silence(server: RunningServer, prefix: str, statements: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        driver = make_driver(server, prefix + str(next(_numbers)), Path(folder), statements)
        outcomes: dict[str, Any] = dict(zip(map(_id, schema.steps(driver.config)), driver.make_tables(), strict=False))
        made = outcomes["schema.tables"]
        assert made.status in (Status.PASS, Status.WARN), made.evidence
        with closing(sqlite3.connect(driver.config.source.path)) as connection:
            source = read_schema(connection)
        assert list(lost(driver, source, "\n".join(made.evidence))) == []
        again = schema.make_tables(driver.ctx)
        assert again.evidence[0].startswith("created 0, "), again.evidence
        assert again.evidence[0].endswith("leftovers 0"), again.evidence
        with connected(driver.config.target) as target:
            execute(target, f"DROP DATABASE {literal(driver.config.target.database)}".replace("'", "`"))


def _id(step: Any) -> str:
    return str(step.id)

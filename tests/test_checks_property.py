"""The claim: where preflight is green the migration succeeds and every value is equal; where it is not, its own
remedies make it so. Whatever schema and rows somebody has."""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.registry import REGISTRY
from checks.remedies import Remedies, together
from dixis_tui.copy import transfer
from dixis_tui.model import Finding, Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.schemas import schema, shape
from dixis_tui.schemas.catalogue import name as quoted
from dixis_tui.target import query
from tests.data_path import Driver, make_config
from tests.test_hostile import rows_of_source, rows_of_target

EXAMPLES = 25
ROUNDS = 3
# Asked of the application, which is not there.
ELSEWHERE = {"schema.pending"}

DECLARED = st.sampled_from(
    [
        *("integer", "INTEGER", "tinyint(1)", "bigint", "numeric", "decimal(6, 2)", "real", "varchar", "varchar(20)"),
        *("text", "datetime", "date", "time", "boolean", "blob", "json", "", "STRING", "timestamp"),
    ]
)
NAMES = st.sampled_from(["a", "b", "Value", "key", "order", "τιμή", "Τιμή", "per cent %", "c`d", "x" * 70, "last "])
TEXTS = st.one_of(
    st.sampled_from(
        [
            *("", " ", "α", "Ελιά", "ΕΛΙΑ", "Strauß", "Strauss", "key", "key ", "🫒", "true", "7", "7.50", "\\N", "\0"),
            *("2024-05-01", "2024-05-01 10:20:30", "2024-05-01 10:20:30.5", "2024-05-01T10:20:30Z", "10:20:30"),
            *("0000-00-00", "2024-02-30 10:00:00", "2024-12-31 23:59:59.1234567", "2024-05-01T10:20:30.123+03:00"),
            *('{"a": 1}', '{"a": 1, "a": 2}', "[1, 2.50]", "{broken", "null", "x" * 300, "-0044-03-15 12:00:00"),
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 7, 255, 300, 2**31, 2**63 - 1, -(2**63), 0.5, 19.99, 1e-9, 2.0**63, float("inf"), -0.0]),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, min_value=-1e12, max_value=1e12),
)
INVALID = st.sampled_from([b"\xc5\xeb\xe9\xdc", b"a\xed\xa0\xbdb"])
VALUES = st.one_of(st.none(), TEXTS, NUMBERS, st.binary(max_size=6), INVALID.map(lambda code: ("text", code)))


@st.composite
def shops(draw: st.DrawFn) -> list[str | tuple[str, list[Any]]]:
    """Statements, with values, that make a small shop."""
    made: list[str | tuple[str, list[Any]]] = ["create table filled (id integer)", "insert into filled values (1)"]
    for number in range(draw(st.integers(1, 2))):
        table = f"t{number}"
        kind = draw(st.sampled_from(["id", "id", "id", "word", "pair", "none"]))
        names = draw(st.lists(NAMES, min_size=1, max_size=3, unique_by=str.lower))
        columns = [(name, draw(DECLARED)) for name in names]
        lines = {"id": ['"id" integer primary key autoincrement'], "word": ['"word" varchar primary key']}.get(kind, [])
        if kind == "pair":
            lines = ['"l" integer not null', '"r" varchar not null']
        lines += [f"{quoted(name)} {declared}" for name, declared in columns]
        if number and draw(st.booleans()):
            lines.append('"t0_id" integer references "t0"("id")' if has_id(made) else '"t0_id" integer')
            columns.append(("t0_id", "integer"))
        if kind == "pair":
            lines.append('primary key ("l", "r")')
        made.append(f"create table {table} ({', '.join(lines)})")
        if draw(st.integers(0, 3)) == 0:
            unique = draw(st.sampled_from(["unique ", ""]))
            made.append(f"create {unique}index {table}_index on {table} ({quoted(names[0])})")
        keys: list[list[Any]] = []
        for row in range(draw(st.integers(0, 4))):
            word = draw(st.one_of(st.none(), TEXTS))
            keys_of: dict[str, list[Any]] = {"id": [row], "word": [word], "pair": [row, "x"], "none": []}
            key = keys_of[kind]
            values = [draw(st.integers(0, 3)) if name == "t0_id" else draw(VALUES) for name, _ in columns]
            keys.append([*key, *values])
        for row_values in keys:
            marks = ", ".join("cast(? as text)" if isinstance(one, tuple) else "?" for one in row_values)
            plain = [one[1] if isinstance(one, tuple) else one for one in row_values]
            made.append((f"insert or ignore into {table} values ({marks})", plain))
    return made


def has_id(made: list[str | tuple[str, list[Any]]]) -> bool:
    return any(isinstance(one, str) and one.startswith("create table t0") and '"id"' in one for one in made)


def ask(driver: Driver) -> list[Finding]:
    """All checks of data and schema, in order; every one of them can be asked."""
    found: list[Finding] = []
    for check in REGISTRY.values():
        if check.id in ELSEWHERE or not check.id.startswith(("data.", "schema.")):
            continue
        outcome = check.outcome(driver.ctx)
        driver.outcomes[check.step_id] = outcome
        found += outcome.findings
    return [one for one in found if one.status is not Status.PASS]


def with_remedies(sections: dict[str, Any], put: Remedies) -> dict[str, Any]:
    """Sections of a configuration with what the remedies add to them."""
    merged = {key: dict(value) for key, value in sections.items()}
    for key, value in put.config.items():
        for name, part in value.items():
            before = merged.setdefault(key, {}).get(name)
            merged[key][name] = (
                [*before, *(one for one in part if one not in before)] if isinstance(before, list) else part
            )
    return merged


def is_right(driver: Driver, accepted: set[str]) -> None:
    """The migration succeeds; rows are missing only where they were set aside, and all others are equal."""
    outcomes = [*driver.run(schema.steps(driver.config)), *driver.run(transfer.steps(driver.config))]
    assert all(outcome.status.settled for outcome in outcomes), outcomes[-1]
    rules = driver.config.data.conversions
    changed = {rule.column for rule in rules} | accepted
    with closing(driver.target()) as target, closing(sqlite3.connect(driver.config.source.path)) as source:
        source.text_factory = bytes
        shapes = shape.all_columns(target)
        for table in ("t0", "t1"):
            there = shapes.get(table)
            if there is None:
                assert not source.execute("select 1 from sqlite_master where name = ?", (table,)).fetchone()
                continue
            have = {bytes(row[1]).decode() for row in source.execute(f"PRAGMA table_xinfo({table})")}
            columns = {c.name: c.kind for c in there if c.name in have and f"{table}.{c.name}" not in changed}
            aside = 0
            if any(rule.table == table and rule.rule in ("quarantine", "set-orphans-aside") for rule in rules):
                aside = int(
                    query(target, "SELECT COUNT(*) FROM _dixis_quarantine WHERE table_name = %s", (table,))[0][0]
                )
            count = source.execute(f"select count(*) from {table}").fetchone()[0]
            assert count == int(query(target, f"SELECT COUNT(*) FROM {table}")[0][0]) + aside
            if not columns:
                continue
            mine, theirs = rows_of_source(source, table, columns), rows_of_target(target, table, columns)
            assert theirs - mine == Counter(), table
            assert (mine - theirs).total() == aside, table


_numbers = itertools.count(1)


def test_green_means_success_and_remedies_make_green(server: RunningServer, tmp_path: Path) -> None:
    seen = Counter[str]()

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck], database=None
    )
    @given(shop=shops())
    def holds(shop: list[str | tuple[str, list[Any]]]) -> None:
        number = next(_numbers)
        database = f"claim_{number}"
        folder = tmp_path / str(number)
        (folder / "run").mkdir(parents=True)
        path = folder / "shop.sqlite"
        with closing(sqlite3.connect(path)) as live:
            for statement in shop:
                live.execute(*((statement,) if isinstance(statement, str) else statement))
            live.commit()
        sections: dict[str, Any] = {"schema": {"indexes": [], "fulltext": []}}
        accepted: set[str] = set()
        try:
            for round_number in range(ROUNDS + 1):
                driver = Driver(make_config(server, database, path, folder / "run", **sections), folder / "run", False)
                found = ask(driver)
                if not found:
                    seen["green at once" if round_number == 0 else "green with remedies"] += 1
                    break
                assert round_number < ROUNDS, found
                accepted |= {one.place for one in found if one.status is Status.FAIL and not one.examples}
                put = together(found)
                sections = with_remedies(sections, put)
                with closing(sqlite3.connect(path)) as live:
                    for statement in put.source:
                        live.execute(statement)
                    live.commit()
            is_right(driver, accepted)
        finally:
            with server.connect() as connection, connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {database}")

    holds()
    assert seen["green at once"]
    assert seen["green with remedies"]

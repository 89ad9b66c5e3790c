"""The proof finds the smallest change there is, names the cell, and finds nothing where nothing was changed."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import unicodedata
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dixis_tui.compare import normalise, validation
from dixis_tui.compare.difference import of_cell
from dixis_tui.compare.load import Throttle
from dixis_tui.compare.proof import Comparison, TableProof
from dixis_tui.copy import copyplan
from dixis_tui.model import Status
from dixis_tui.record.journal import CONFIRMED
from dixis_tui.sandbox import RunningServer
from dixis_tui.source import latest_snapshot
from dixis_tui.target import execute, query
from tests.data_path import Driver, make_driver

COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "Ελλάδα é"), unicodedata.normalize("NFD", "Ελλάδα é")


@dataclass(frozen=True)
class Change:
    """A cell of the source and the smallest step away from it: the SQL that makes it on the target.

    declared: the column in the source; value: what row 2 holds there; type: in the target, as [types] asks, empty for
    what the console chooses; change: the new value as SQL.
    """

    id: str
    declared: str
    value: object
    change: str
    type: str = ""


CHANGES = (
    Change("tinyint", "TINYINT(1)", 1, "0"),
    Change("smallint", "SMALLINT", 32767, "32766", "SMALLINT"),
    Change("mediumint", "MEDIUMINT", 8388607, "8388606", "MEDIUMINT"),
    Change("int", "INT", -1, "0", "INT"),
    Change("bigint", "INTEGER", 2**63 - 1, "9223372036854775806"),
    Change("unsigned", "INTEGER", 2**62, "4611686018427387905", "BIGINT UNSIGNED"),
    Change("null-number", "INTEGER", None, "0"),
    Change("decimal", "NUMERIC", 19.99, "19.98"),
    Change("decimal-sign", "NUMERIC", -0.01, "0.01"),
    Change("decimal-scale", "NUMERIC", 5, "5.0001", "DECIMAL(12,4)"),
    Change("decimal-wide", "NUMERIC", 9007199254740993, "9007199254740992", "DECIMAL(30,10)"),
    Change("double", "DOUBLE", 0.1, "0.10000000000000002e0"),
    Change("double-last-bit", "DOUBLE", 1.7976931348623157e308, "1.7976931348623155e308"),
    Change("double-small", "DOUBLE", 1e-300, "0e0"),
    Change("double-zero", "DOUBLE", 0.0, "5e-300"),
    Change("float", "INTEGER", 999999, "999998", "FLOAT"),
    Change("varchar-space", "VARCHAR", "word", "'word '"),
    Change("varchar-case", "VARCHAR", "Ελιά", "'ελιά'"),
    Change("varchar-accent", "VARCHAR", "Ελιά", "'Ελια'"),
    Change("varchar-empty", "VARCHAR", None, "''"),
    Change("varchar-null", "VARCHAR", "", "NULL"),
    Change("varchar-composed", "VARCHAR", COMPOSED, f"'{DECOMPOSED}'"),
    Change("varchar-nul", "VARCHAR", "a\0b", "CONCAT('a', CHAR(0 USING utf8mb4), 'b ')"),
    Change("varchar-separator", "VARCHAR", "a\x1fb", "CONCAT('a', CHAR(30 USING utf8mb4), 'b')"),
    Change("varchar-zero-width", "VARCHAR", "ab", "CONCAT('a', CONVERT(x'E2808B' USING utf8mb4), 'b')"),
    Change("varchar-marks-null", "VARCHAR", None, "CONCAT(CHAR(29 USING utf8mb4), 'N')"),
    Change("char", "CHAR(5)", "abcde", "'abcdf'", "CHAR(5)"),
    Change("text", "TEXT", "α" * 9000, "CONCAT(REPEAT('α', 8999), 'ά')"),
    Change("mediumtext", "TEXT", "x" * 70_000, "CONCAT(REPEAT('x', 69999), 'y')"),
    Change("longtext", "TEXT", "x" * 10, "CONCAT(REPEAT('x', 9), 'X')", "LONGTEXT"),
    Change("enum", "VARCHAR", "paid", "'open'", "ENUM('open','paid')"),
    Change("blob", "BLOB", bytes(range(256)), "INSERT(c, 200, 1, x'00')"),
    Change("blob-empty", "BLOB", b"", "x'00'"),
    Change("binary", "BLOB", b"\1\2", "x'0103'", "BINARY(2)"),
    Change("varbinary", "BLOB", b"\1\2", "x'010200'", "VARBINARY(9)"),
    Change("date", "DATE", "2024-02-29", "'2024-02-28'"),
    Change("datetime", "DATETIME", "2024-12-31 23:59:59", "'2025-01-01 00:00:00'"),
    Change("datetime-fraction", "DATETIME", "2024-12-31 23:59:59.5", "'2024-12-31 23:59:59.500001'", "DATETIME(6)"),
    Change("time", "TIME", "23:59:59", "'23:59:58'", "TIME"),
    Change("timestamp", "DATETIME", "2024-06-01 12:00:00", "'2024-06-01 12:00:01'", "TIMESTAMP"),
    Change("timestamp-fraction", "DATETIME", "2024-06-01 12:00:00", "'2024-06-01 12:00:00.001'", "TIMESTAMP(3)"),
    Change("year", "INTEGER", 2024, "2025", "YEAR"),
    Change("json-value", "TEXT", '{"a": {"b": [1, 2]}}', """'{"a": {"b": [1, 3]}}'""", "JSON"),
    Change("json-key", "TEXT", '{"a": 1, "b": 2}', """'{"a": 1, "c": 2}'""", "JSON"),
    Change("json-number", "TEXT", '{"a": 1}', """'{"a": 1.0}'""", "JSON"),
    Change("json-null", "TEXT", '{"a": null}', "'{}'", "JSON"),
    Change("json-text", "TEXT", '["1"]', "'[1]'", "JSON"),
)


def migrated(
    server: RunningServer, database: str, folder: Path, statements: Sequence[str], **sections: object
) -> Driver:
    driver = make_driver(server, database, folder, statements, **sections)
    outcomes = [*driver.make_tables(), *driver.copy()]
    assert all(outcome.status.settled for outcome in outcomes), outcomes[-1]
    return driver


def change(driver: Driver, *statements: str) -> None:
    with closing(driver.target()) as target:
        for statement in statements:
            execute(target, statement)
        target.commit()


def proof(driver: Driver, table: str) -> TableProof:
    return next(one for one in validation.report(driver.ctx).tables if one.table == table)


def found(driver: Driver, table: str) -> set[tuple[str, str]]:
    return {(one.key, one.column) for one in proof(driver, table).differences}


def in_zone(driver: Driver, zone: str) -> Driver:
    """The same, with sessions in that time zone."""
    target = driver.config.target.model_copy(update={"time_zone": zone})
    driver.config = driver.config.model_copy(update={"target_section": target})
    return driver


@pytest.mark.parametrize("named", [False, True])
def test_one_cell_of_every_type_is_found_and_no_other(
    server: RunningServer, database: str, tmp_path: Path, athens: str, named: bool
) -> None:
    tables = {f"t{number}": one for number, one in enumerate(CHANGES)}
    driver = make_driver(
        server,
        database,
        tmp_path,
        [
            f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, c {one.declared}, n INTEGER)"
            for table, one in tables.items()
        ],
        types={f"{table}.c": one.type for table, one in tables.items() if one.type},
    )
    in_zone(driver, athens if named else "+00:00")
    with closing(sqlite3.connect(driver.config.source.path)) as live:
        for table, one in tables.items():
            live.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", [(n, one.value, n) for n in (1, 2, 3)])
        live.commit()
    outcomes = [*driver.make_tables(), *driver.copy()]
    assert all(outcome.status.settled for outcome in outcomes), outcomes[-1]
    report = validation.report(driver.ctx)
    assert report.equal, [line for one in report.tables if one.status != "equal" for line in validation.lines(one)]
    change(driver, *(f"UPDATE {table} SET c = {one.change} WHERE id = 2" for table, one in tables.items()))
    report = validation.report(driver.ctx)
    wrong = {
        tables[one.table].id: validation.lines(one)
        for one in report.tables
        if [(d.key, d.column) for d in one.differences] != [("id = 2", "c")]
    }
    assert not wrong


ROWS = (
    "CREATE TABLE keyed (id INTEGER PRIMARY KEY, value VARCHAR, number INTEGER)",
    "INSERT INTO keyed WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60)"
    " SELECT n * 3, 'v' || n, n FROM n",
    "CREATE TABLE pairs (a INTEGER, b INTEGER, value VARCHAR, PRIMARY KEY (a, b))",
    "INSERT INTO pairs SELECT number % 5, number, value FROM keyed",
    "CREATE TABLE worded (word VARCHAR PRIMARY KEY, value INTEGER)",
    "INSERT INTO worded SELECT value, number FROM keyed",
    "CREATE TABLE loose (value VARCHAR, number INTEGER)",
    "INSERT INTO loose SELECT value, number FROM keyed UNION ALL SELECT 'twice', 1 UNION ALL SELECT 'twice', 1",
)


def test_rows_missing_extra_and_swapped_are_found_in_tables_of_every_kind_of_key(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small segments and buckets, so that this table is cut like a large one.
    monkeypatch.setattr("dixis_tui.compare.drilldown.LIST_ROWS", 32)
    monkeypatch.setattr("dixis_tui.compare.proof.Comparison.segment_rows", 7)
    driver = migrated(server, database, tmp_path, ROWS)
    assert validation.report(driver.ctx).equal
    change(
        driver,
        "DELETE FROM keyed WHERE id = 9",
        "INSERT INTO keyed VALUES (10, 'new', 10), (1, 'below', 1), (9999, 'above', 2)",
        # two rows change places in one column: sums of that column would not see it
        "UPDATE keyed SET value = IF(id = 30, 'v20', 'v10') WHERE id IN (30, 60)",
        "DELETE FROM pairs WHERE a = 2 AND b = 7",
        "INSERT INTO pairs VALUES (2, 700, 'new')",
        "UPDATE pairs SET value = 'other' WHERE a = 3 AND b = 8",
        "DELETE FROM worded WHERE word = 'v7'",
        "INSERT INTO worded VALUES ('w', 1)",
        "UPDATE worded SET value = value + 1 WHERE word = 'v8'",
    )
    assert found(driver, "keyed") == {
        ("id = 9", "*"),
        ("id = 10", "*"),
        ("id = 1", "*"),
        ("id = 9999", "*"),
        ("id = 30", "value"),
        ("id = 60", "value"),
    }
    assert found(driver, "pairs") == {("a = 2, b = 7", "*"), ("a = 2, b = 700", "*"), ("a = 3, b = 8", "value")}
    assert found(driver, "worded") == {("word = v7", "*"), ("word = w", "*"), ("word = v8", "value")}
    assert proof(driver, "loose").status == "equal"


def test_a_table_without_a_key_is_compared_as_a_multiset(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dixis_tui.compare.drilldown.LIST_ROWS", 32)
    driver = migrated(server, database, tmp_path, ROWS)
    change(
        driver,
        "INSERT INTO loose VALUES ('twice', 1)",  # a copy that XOR would not see either, twice over
        "INSERT INTO loose VALUES ('twice', 1)",
        "DELETE FROM loose WHERE value = 'v3'",
        "UPDATE loose SET number = 77 WHERE value = 'v4'",
    )
    one = proof(driver, "loose")
    assert (one.rows_source, one.rows_target) == (62, 63)
    told = {(d.key, d.source, d.target) for d in one.differences}
    assert told == {
        ("value = twice, number = 1", "2 times", "4 times"),
        ("value = v3, number = 3", "present", "missing"),
        ("value = v4, number = 4", "present", "missing"),
        ("value = v4, number = 77", "missing", "present"),
    }
    assert one.differences_total == 4


def test_differences_shown_are_capped_and_the_total_is_not(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = migrated(server, database, tmp_path, ROWS, data={"chunk_rows": 10})
    change(driver, "UPDATE keyed SET value = CONCAT(value, ' '), number = number + 1")
    outcome = validation.prove(driver.ctx, "validation.proof")
    assert outcome.status is Status.FAIL
    assert outcome.facts["differences"] == 120
    one = proof(driver, "keyed")
    assert (one.differences_total, len(one.differences)) == (120, 100)
    assert one.differences[0].model_dump() == {
        "key": "id = 3",
        "column": "value",
        "source": "v1",
        "target": "v1\\x20",
        "at": "character 3: the end, U+0020",
    }


def test_json_is_equal_by_value_and_by_nothing_less(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = migrated(
        server,
        database,
        tmp_path,
        ["CREATE TABLE docs (id INTEGER PRIMARY KEY, settings JSON)"],
        types={"docs.settings": "JSON"},
    )
    same = ('{"b": 1.50, "a": ["\\u03b1", 1e2]}', '{"a": ["α", 100.0], "b": 1.5}')
    change(driver, f"INSERT INTO docs VALUES (1, '{same[1]}')")
    with closing(sqlite3.connect(driver.config.source.path)) as live:
        live.execute("INSERT INTO docs VALUES (1, ?)", (same[0],))
        live.commit()
    driver.snapshot()
    driver.outcomes.pop("data.snapshot")
    with closing(driver.target()) as target:
        binary = query(target, "SELECT data_type FROM information_schema.columns WHERE column_name = 'settings'")
    # MariaDB's JSON is a text with a check: what is stored is what is compared.
    assert proof(driver, "docs").status == ("equal" if binary[0][0] == "json" else "differs")


def test_an_hour_that_comes_twice_is_two_instants(
    server: RunningServer, database: str, tmp_path: Path, athens: str
) -> None:
    driver = in_zone(
        make_driver(
            server,
            database,
            tmp_path,
            [
                "CREATE TABLE moments (id INTEGER PRIMARY KEY, at DATETIME)",
                "INSERT INTO moments VALUES (1, '2024-10-27 03:30:00'), (2, '2024-10-27 03:30:00')",
            ],
            types={"moments.at": "TIMESTAMP"},
        ),
        athens,
    )
    assert all(outcome.status.settled for outcome in [*driver.make_tables(), *driver.copy()])
    assert proof(driver, "moments").status == "equal"
    with closing(driver.target()) as target:
        execute(target, "SET time_zone = '+00:00'")
        stored = str(query(target, "SELECT at FROM moments WHERE id = 2")[0][0])
        other = "2024-10-27 01:30:00" if stored == "2024-10-27 00:30:00" else "2024-10-27 00:30:00"
        execute(target, f"UPDATE moments SET at = '{other}' WHERE id = 2")
        target.commit()
    assert found(driver, "moments") == {("id = 2", "at")}


def test_texts_are_compared_as_texts_whatever_character_set_the_target_keeps_them_in(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = make_driver(
        server,
        database,
        tmp_path,
        [
            "CREATE TABLE words (id INTEGER PRIMARY KEY, west VARCHAR(50), greek VARCHAR(50), rest VARCHAR(50))",
            "INSERT INTO words VALUES (1, 'é', 'Ελιά', '€ 😀'), (2, 'x', NULL, NULL)",
            "CREATE TABLE alone (id INTEGER PRIMARY KEY, west VARCHAR(50))",
            "INSERT INTO alone VALUES (1, 'é')",
        ],
    )
    outcomes = driver.make_tables()
    change(
        driver,
        "ALTER TABLE words MODIFY west VARCHAR(50) CHARACTER SET latin1, MODIFY greek VARCHAR(50) CHARACTER SET greek",
        "ALTER TABLE alone CONVERT TO CHARACTER SET latin1",
    )
    outcomes += driver.copy()
    assert all(outcome.status.settled for outcome in outcomes), outcomes[-1]
    assert {one.table: one.status for one in validation.report(driver.ctx).tables} == {
        "words": "equal",
        "alone": "equal",
    }
    # é in UTF-8 has the bytes that this other text has in latin1
    change(driver, "UPDATE alone SET west = CONVERT(x'C383C2A9' USING utf8mb4)", "UPDATE words SET greek = 'Ελια'")
    assert found(driver, "alone") == {("id = 1", "west")}
    assert found(driver, "words") == {("id = 1", "greek"), ("id = 2", "greek")}
    (one,) = proof(driver, "alone").differences
    assert (one.source, one.target) == ("é", "Ã©")


def test_a_row_that_stands_twice_is_found_where_the_target_has_lost_its_primary_key(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = migrated(server, database, tmp_path, ROWS)
    change(
        driver,
        "ALTER TABLE keyed MODIFY id BIGINT NOT NULL",
        "ALTER TABLE keyed DROP PRIMARY KEY, ADD KEY (id)",
        "INSERT INTO keyed SELECT * FROM keyed WHERE id = 9",
    )
    one = proof(driver, "keyed")
    assert (one.rows_source, one.rows_target, one.differences_total) == (60, 61, 1)
    driver.ctx.record(CONFIRMED, {"typed": database, "steps": ["data.prepare"]})
    assert all(outcome.status.settled for outcome in driver.copy())
    assert proof(driver, "keyed").status == "equal"


def test_a_list_that_the_server_cuts_short_in_its_last_line_is_asked_for_again(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dixis_tui.compare.proof.Comparison.segment_rows", 20)
    driver = migrated(server, database, tmp_path, ROWS)
    change(driver, "UPDATE keyed SET number = 0 WHERE id = 3")
    monkeypatch.setattr("dixis_tui.compare.sides.SEGMENT_ROWS", 1)
    # a later segment, listed at once, holds 20 rows of 3 and 16 digits: the last line lacks its hash, or half its key
    for quarter in range(100, 105):
        monkeypatch.setattr("dixis_tui.compare.sides.LINE_BYTES", quarter)
        assert found(driver, "keyed") == {("id = 3", "number")}


def test_a_column_that_is_gone_is_no_equality(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = migrated(server, database, tmp_path, ROWS)
    change(driver, "ALTER TABLE keyed DROP COLUMN value", "DROP TABLE loose")
    report = validation.report(driver.ctx)
    states = {one.table: (one.status, one.message) for one in report.tables}
    assert states["keyed"] == ("error", "the target has no column value, which holds 60 values")
    assert states["loose"] == ("error", "the target has no such table")
    assert states["pairs"] == ("equal", "")
    assert report.could_not_compare
    assert not report.equal
    assert report.structure
    assert {(one.table, one.object) for one in report.structure} == {("keyed", "columns value"), ("loose", "table")}


def test_a_proof_that_was_stopped_goes_on_with_the_tables_it_had_not_come_to(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = migrated(server, database, tmp_path, ROWS)
    validation.prove(driver.ctx, "validation.proof")
    lines = (driver.run_dir / "events.jsonl").read_text(encoding="utf-8").splitlines()
    ended = next(n for n, line in enumerate(lines) if json.loads(line)[0] == validation.PROOF_ENDED)
    # as a kill behind the second table leaves the journal
    kept = lines[: ended - 2]
    (driver.run_dir / "events.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    outcome = validation.prove(driver.ctx, "validation.proof")
    assert outcome.summary == "4 tables, 242 rows, every value equal"
    assert outcome.evidence == ("2 tables had been compared before this step was stopped",)
    # a proof that came to its end is no help to the next one
    change(driver, "UPDATE keyed SET number = 0 WHERE id = 3")
    assert validation.prove(driver.ctx, "validation.proof").status is Status.FAIL


def test_what_was_built_and_is_gone_is_named(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = migrated(
        server,
        database,
        tmp_path,
        [
            "CREATE TABLE parents (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, code VARCHAR(20) DEFAULT 'x',"
            " CHECK (code <> 'no'))",
            "INSERT INTO parents VALUES (5, 'a')",
            "INSERT INTO parents VALUES (90, 'b')",
            "DELETE FROM parents WHERE id = 90",
            "CREATE TABLE children (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parents (id))",
            "CREATE UNIQUE INDEX parents_code ON parents (code)",
            "CREATE VIEW coded AS SELECT id FROM parents WHERE code = 'a'",
        ],
    )
    assert validation.check_structure(driver.ctx).status is Status.PASS
    with closing(driver.target()) as target:
        constraints = query(
            target,
            "SELECT constraint_name, constraint_type FROM information_schema.table_constraints"
            " WHERE table_schema = DATABASE() AND constraint_type IN ('CHECK', 'FOREIGN KEY')",
        )
    by_kind = {str(kind): str(name) for name, kind in constraints}
    change(
        driver,
        "DROP INDEX parents_code ON parents",
        f"ALTER TABLE children DROP FOREIGN KEY `{by_kind['FOREIGN KEY']}`",
        f"ALTER TABLE parents DROP CONSTRAINT `{by_kind['CHECK']}`",
        "ALTER TABLE parents ALTER COLUMN code SET DEFAULT 'y'",
        "ALTER TABLE parents AUTO_INCREMENT = 6",
        "CREATE OR REPLACE VIEW coded AS SELECT id FROM parents WHERE code = 'nobody'",
    )
    outcome = validation.check_structure(driver.ctx)
    assert outcome.status is Status.FAIL
    told = {line.partition(":")[0] for line in outcome.evidence}
    assert {"parents, keys parents_code", "parents, columns code", "parents, next number", "coded, view"} <= told
    assert any(line.startswith("parents, checks") for line in told)
    assert any(line.startswith("children, foreign keys") for line in told)


DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**17), 10**17).map(lambda n: n / 1000)
# MySQL reads numbers next to the smallest normal one inexactly, and the proof then tells them as different; it writes
# the largest as one that is too large, so that their cells are asked for.
READ_EXACTLY = DOUBLES.filter(lambda number: number == 0 or 1e-300 < abs(number) < 1.7976e308)


def test_doubles_are_written_as_the_server_writes_them(server: RunningServer) -> None:
    width = normalise.WIDTH["MySQL" if server.binary.kind == "mysql" else "MariaDB"]

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.lists(READ_EXACTLY, min_size=1, max_size=40))
    def same(numbers: list[float]) -> None:
        with server.connect() as connection, connection.cursor() as cursor:
            written = (f"CONCAT({number!r} + 0e0), CONCAT({number!r} + 0e0) + 0e0" for number in numbers)
            cursor.execute("SELECT " + ", ".join(written))
            row = cursor.fetchone()
        assert row is not None
        for number, text, again in zip(numbers, row[::2], row[1::2], strict=True):
            # Some powers of two are written as another number: the form marks those, and their cells are asked for.
            assert normalise.double_text(number + 0.0, width) == text or again != number

    same()


def test_neighbours_of_powers_of_two_are_told_apart(server: RunningServer, database: str, tmp_path: Path) -> None:
    powers = [2.0**exponent for exponent in range(-900, 1000, 37)]
    rows = ", ".join(f"({n}, {number!r})" for n, number in enumerate(powers, 1))
    driver = migrated(
        server,
        database,
        tmp_path,
        ["CREATE TABLE powers (id INTEGER PRIMARY KEY, value DOUBLE)", f"INSERT INTO powers VALUES {rows}"],
    )
    assert proof(driver, "powers").status == "equal"
    above = (
        f"UPDATE powers SET value = {math.nextafter(p, math.inf)!r} WHERE id = {n}" for n, p in enumerate(powers, 1)
    )
    change(driver, *above)
    assert len(found(driver, "powers")) == len(powers)


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_json_is_written_as_the_server_writes_it(server: RunningServer) -> None:
    if server.binary.kind != "mysql":
        return  # MariaDB keeps JSON as the text it was given

    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(JSONS)
    def same(value: object) -> None:
        text = json.dumps(value)
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT CAST(CAST(%s AS JSON) AS CHAR)", (text,))
            row = cursor.fetchone()
        assert row is not None
        assert normalise.json_form(text.encode()) == row[0]

    same()


@pytest.mark.parametrize(
    ("mine", "theirs", "shown"),
    [
        (b"word", b"word ", ("word", "word\\x20", "character 5: the end, U+0020")),
        (b"A", "Α".encode(), ("A", "Α", "character 1: U+0041, U+0391")),
        (None, b"", (None, "", "")),
        (b"\xff\x00", b"\xff\x01", ("ff00", "ff01", "byte 2: 00, 01")),
        (b"a" * 500 + b"b", b"a" * 501, ("…" + "a" * 20 + "b", "…" + "a" * 21, "character 501: U+0062, U+0061")),
        ("é".encode(), "e\u0301".encode(), ("é", "e\\u0301", "character 1: U+00E9, U+0065")),
    ],
)
def test_a_difference_is_shown_so_that_it_can_be_seen(
    mine: bytes | None, theirs: bytes | None, shown: tuple[str | None, ...]
) -> None:
    one = of_cell("id = 1", "c", mine, theirs)
    assert (one.source, one.target, one.at) == shown


def test_what_is_written_while_it_compares_changes_nothing_in_the_answer(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = migrated(server, database, tmp_path, ROWS)
    with closing(driver.target()) as target:
        jobs = copyplan.jobs(driver.ctx, target)
        tables = copyplan.compared_tables(driver.ctx, target, jobs)
    comparing = Comparison(latest_snapshot(driver.ctx), driver.config.target, lambda *_: None).run(tables)
    first = next(comparing)
    change(driver, "DELETE FROM loose", "UPDATE worded SET value = 0")
    assert [first.status, *(one.status for one in comparing)] == ["equal"] * 4
    assert not validation.report(driver.ctx).equal


def test_a_busy_server_is_left_alone_until_it_has_room(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = migrated(server, database, tmp_path, ROWS)
    said: list[str] = []
    stop, asleep = threading.Event(), threading.Event()

    def busy() -> None:
        with server.connect() as connection, connection.cursor() as cursor:
            asleep.set()
            cursor.execute("SELECT SLEEP(3)")

    with closing(driver.target()) as connection:
        most = int(query(connection, "SELECT @@GLOBAL.max_connections")[0][0])
        others = [threading.Thread(target=busy) for _ in range(4)]
        for thread in others:
            thread.start()
        asleep.wait()
        throttle = Throttle(connection, 1.5 / most, said.append)
        while not said:  # until those connections are seen at work
            throttle.wait(stop)
        for thread in others:
            thread.join()
        assert said[0].endswith("waiting.")
        # with room, and without a limit, nothing waits
        before = len(said)
        throttle.wait(stop)
        Throttle(connection, 0, said.append).wait(stop)
        assert len(said) == before

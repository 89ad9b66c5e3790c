"""What a column of the target would alter without a word is refused before the first row; the rest arrives as it is."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from dixis_tui.copy import transfer
from dixis_tui.model import Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.schemas import json_values, schema
from dixis_tui.target import execute, query
from tests.data_path import Driver, make_driver

# The source's declared type, its value as SQL, the target's type, and the words of the problem.
REFUSED = (
    ("VARCHAR", "'ab '", "CHAR(10)", "a space at the end"),
    ("BLOB", "x'0102'", "BINARY(5)", "shorter than binary(5)"),
    ("VARCHAR", "'A'", "ENUM('a','b')", "'A' is not what enum('a','b') has"),
    ("VARCHAR", "'a '", "ENUM('a','b')", "'a ' is not what"),
    ("VARCHAR", "'2'", "ENUM('a','b')", "'2' is not what"),
    ("VARCHAR", "'ά'", "ENUM('α','b')", "'ά' is not what"),
    ("INTEGER", "1", "ENUM('a','1')", "no text"),
    ("VARCHAR", "'10:00'", "TIME", "not of the form HH:MM:SS"),
    ("VARCHAR", "'10:11:12.5'", "TIME", "not of the form HH:MM:SS"),
    ("VARCHAR", "'1 10:11:12'", "TIME", "not of the form HH:MM:SS"),
    ("VARCHAR", "'024:00:00'", "TIME", "not of the form HH:MM:SS"),
    ("VARCHAR", "'-00:00:00'", "TIME", "not of the form HH:MM:SS"),
    ("DATE", "'2024-2-3'", "DATE", "not of the form YYYY-MM-DD"),
    ("DATE", "'2024-02-30'", "DATE", "not of the form YYYY-MM-DD"),
    ("DATE", "'2024-01-00'", "DATE", "not of the form YYYY-MM-DD"),
    ("VARCHAR", "'20240203'", "DATE", "not of the form YYYY-MM-DD"),
    ("VARCHAR", "'2024/02/03'", "DATE", "not of the form YYYY-MM-DD"),
    ("VARCHAR", "'2024-01-01 10:00'", "DATETIME", "not of the form YYYY-MM-DD HH:MM:SS"),
    ("VARCHAR", "'2024-01-01 10:00:60'", "DATETIME", "not of the form YYYY-MM-DD HH:MM:SS"),
    ("VARCHAR", "'2024-01-01 10:00:00.25'", "DATETIME(1)", "would be rounded in datetime(1)"),
    ("VARCHAR", "'2024-01-01 10:00:00.5'", "TIMESTAMP NULL", "would be rounded in timestamp"),
    ("INTEGER", "9007199254740993", "DOUBLE", "more digits than a double"),
    ("INTEGER", "-9223372036854775808", "DOUBLE", "more digits than a double"),
    ("INTEGER", "1234567", "FLOAT", "more digits than a float"),
    ("REAL", "0.1", "FLOAT", "lose digits"),
    ("REAL", "1.005", "DOUBLE(8,2)", "would be rounded in double(8,2)"),
    ("REAL", "0.1 + 0.2", "DOUBLE(30,20)", "would be rounded"),
    ("REAL", "9e999", "DOUBLE", "infinite"),
    ("REAL", "-9e999", "DOUBLE", "infinite"),
    ("", "1e20", "VARCHAR(30)", "no one way to be written"),
    ("BLOB", "5", "BLOB", "is a number"),
    ("INTEGER", "24", "YEAR", "YEAR keeps"),
    ("VARCHAR", "CAST(x'ff41' AS TEXT)", "VARCHAR(10)", "not valid UTF-8"),
    ("INTEGER", "5", "BIT(8)", "not known to the copy"),
    ("VARCHAR", "'b,a'", "SET('a','b')", "not known to the copy"),
)
ON_MYSQL = (
    ("TEXT", """'{"a":1,"b":2,"a":3}'""", "JSON", "the key 'a' stands twice"),
    ("TEXT", "'[18446744073709551616]'", "JSON", "more than 64 bits"),
    ("TEXT", "'[0.12345678901234567890]'", "JSON", "no double tells exactly"),
    ("INTEGER", "5", "JSON", "no text"),
)
ON_MARIADB = (
    ("VARCHAR", "'123E4567-e89b-12d3-a456-426614174000'", "UUID", "form of a uuid"),
    ("VARCHAR", "'123e4567e89b12d3a456426614174000'", "UUID", "form of a uuid"),
    ("VARCHAR", "'::0001'", "INET6", "not known to the copy"),
)
# What is taken, and how the server shows it.
TAKEN = (
    ("VARCHAR", "'ab'", "CHAR(10)", "ab"),
    ("BLOB", "x'4100'", "BINARY(2)", "A\0"),
    ("VARCHAR", "'1'", "ENUM('a','b','1')", "1"),
    ("VARCHAR", "'-838:59:59'", "TIME", "-838:59:59"),
    ("VARCHAR", "'25:00:00.5'", "TIME(1)", "25:00:00.5"),
    ("VARCHAR", "'0000-01-01'", "DATE", "0000-01-01"),
    ("VARCHAR", "'2024-02-29 10:00:00.25'", "DATETIME(2)", "2024-02-29 10:00:00.25"),
    ("VARCHAR", "'2024-02-29 10:00:00'", "TIMESTAMP NULL", "2024-02-29 10:00:00"),
    ("INTEGER", "-9007199254740992", "DOUBLE", "-9.007199254740992e15"),
    ("INTEGER", "999999", "FLOAT", "999999"),
    ("REAL", "1.25", "DOUBLE(8,2)", "1.25"),
    ("REAL", "1.7976931348623157e308", "DOUBLE", "1.7976931348623157e308"),
    ("INTEGER", "5", "INT ZEROFILL", "0000000005"),
    ("INTEGER", "2024", "YEAR", "2024"),
    ("VARCHAR", "'Ελιά'", "VARCHAR(20) CHARACTER SET greek", "Ελιά"),
    ("TEXT", """'{"a":[18446744073709551615,1e2]}'""", "LONGTEXT", '{"a":[18446744073709551615,1e2]}'),
)


def prepared(server: RunningServer, database: str, folder: Path, cases: tuple[tuple[str, ...], ...]) -> Driver:
    """A table for each case, c0, c1, …, in the source and on the target, where it has the type of the case."""
    statements = []
    for number, (declared, value, _, _) in enumerate(cases):
        statements.append(f"CREATE TABLE c{number} (id INTEGER PRIMARY KEY, c {declared})")
        statements.append(f"INSERT INTO c{number} VALUES (1, {value})")
    driver = make_driver(
        server, database, folder, statements, schema={"mode": "artisan", "indexes": [], "fulltext": []}
    )
    driver.snapshot()
    driver.run(schema.steps(driver.config)[:2])
    with closing(driver.target()) as target:
        for number, (*_, kind, _) in enumerate(cases):
            execute(target, f"CREATE TABLE c{number} (id BIGINT PRIMARY KEY, c {kind})")
    return driver


def test_what_would_be_altered_is_refused_before_the_first_row(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    cases = REFUSED + (ON_MARIADB if server.binary.kind == "mariadb" else ON_MYSQL)
    driver = prepared(server, database, tmp_path, cases)
    told = transfer.prepare(driver.ctx)
    assert told.status is Status.FAIL
    by_table = {line.partition(": ")[0]: line for line in told.evidence}
    for number, (*case, words) in enumerate(cases):
        assert words in by_table.get(f"c{number}", ""), case
    beside = "\n".join(schema.check_differences(driver.ctx).evidence)
    for number, (*case, words) in enumerate(cases):
        assert f"error: c{number}: c: " in beside, (case, words)


def test_what_is_taken_arrives_as_it_is(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = prepared(server, database, tmp_path, TAKEN)
    assert [outcome.status for outcome in driver.copy()].count(Status.FAIL) == 0
    with closing(driver.target()) as target:
        for number, (*case, shown) in enumerate(TAKEN):
            assert query(target, f"SELECT CAST(c AS CHAR) FROM c{number}") == [(shown,)], case


def test_columns_whose_json_mysql_would_lose_stay_text(server: RunningServer, database: str, tmp_path: Path) -> None:
    lossy = '{"a": 1, "a": 2}'
    driver = make_driver(
        server,
        database,
        tmp_path,
        (
            "CREATE TABLE t (id INTEGER PRIMARY KEY, kept JSON, lossy JSON)",
            f"""INSERT INTO t VALUES (1, '{{"b": 1.5}}', '{lossy}')""",
        ),
    )
    made = driver.make_tables()[-3]
    assert all(outcome.status.settled for outcome in driver.copy())
    with closing(driver.target()) as target:
        kept, text = query(target, "SELECT kept, lossy FROM t")[0]
        assert json.loads(kept) == {"b": 1.5}
        assert text == lossy
    assert any("note: t.lossy:json-text" in line for line in made.evidence) == (server.binary.kind == "mysql")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": {"b": 1, "b": 1}}', "the key 'b' stands twice in an object"),
        ("[-9223372036854775809]", "-9223372036854775809 has more than 64 bits"),
        ("[0.30000000000000004, 1.10, 100e-2, 18446744073709551615, -9223372036854775808]", ""),
        ("[3.1415926535897932384626]", "3.1415926535897932384626 is a number that no double tells exactly"),
        ("1e400", "1e400 is a number that no double tells exactly"),
        ('"\\ud83e\\uded2"', ""),
        ('"\\ud83e"', "half a character"),
        ("[" * 101 + "]" * 101, "nested too deep"),
        ('"' + "[" * 101 + '"', ""),
        ("NaN", "no valid JSON"),
        ("", "no valid JSON"),
    ],
)
def test_what_mysqls_json_keeps(text: str, why: str) -> None:
    assert json_values.loss(text.encode()) == why

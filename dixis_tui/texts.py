"""Whether texts are what they say: valid UTF-8, and which of them hold what other tools lose on the way.

SQLite does not ask that of a text. Whole blocks of values are read as one, joined by a character that no broken
sequence can swallow; only a block that does not decode is looked at value by value.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dixis_tui import catalogue
from dixis_tui.catalogue import Table, TableContents

BLOCK_ROWS = 4000
BLOCK_BYTES = 8 << 20
COLUMNS = 40
SCANS = 2
BETWEEN = b"\x1f"
ASTRAL = bytes(range(0xF0, 0xF8))
CONTROLS = bytes(number for number in range(32) if number != BETWEEN[0]) + b"\x7f\\"


@dataclass(frozen=True)
class Texts:
    """What the texts of a column are. invalid: how many are not UTF-8; four_bytes: some have signs beyond the basic
    plane, as emoji are; controls: some have control characters or backslashes; documents: some begin like JSON."""

    invalid: int = 0
    four_bytes: bool = False
    controls: bool = False
    documents: bool = False


def scan_texts(
    connect: Callable[[], sqlite3.Connection],
    tables: Sequence[Table],
    contents: Mapping[str, TableContents],
    told: Callable[[Table], None],
    check_stop: Callable[[], None],
) -> dict[str, dict[str, Texts]]:
    """Texts by table and column, for columns that hold any; two tables at a time. told hears of each table read."""

    def work(table: Table) -> dict[str, Texts]:
        check_stop()
        with closing(connect()) as connection:
            found = scan(connection, table, contents[table.name], check_stop)
        told(table)
        return found

    with ThreadPoolExecutor(SCANS) as pool:
        return dict(zip((table.name for table in tables), pool.map(work, tables), strict=True))


def scan(
    connection: sqlite3.Connection, table: Table, contents: TableContents, check_stop: Callable[[], None]
) -> dict[str, Texts]:
    """The texts of one table. The connection gives texts as bytes from now on."""
    connection.text_factory = bytes
    found: dict[str, Texts] = {}
    columns = [column.name for column in table.columns if _worth_reading(contents, column.name)]
    for start in range(0, len(columns), COLUMNS):
        some = columns[start : start + COLUMNS]
        size = sum(contents.columns[column].bytes for column in some)
        for values in _blocks(connection, table, some, max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(size, 1)))):
            check_stop()
            for column, block in zip(some, values, strict=True):
                if block:
                    found[column] = _with(found.get(column, Texts()), block)
    return found


def _worth_reading(contents: TableContents, column: str) -> bool:
    holds = contents.columns[column]
    moments = holds.dates + holds.datetimes + holds.times
    return holds.texts > moments


def _blocks(
    connection: sqlite3.Connection, table: Table, columns: Sequence[str], count: int
) -> Iterator[Sequence[bytes | None]]:
    """The texts of these columns, each joined for so many rows at a time."""
    name = catalogue.name(table.name)
    asked = [f"CASE WHEN typeof({c}) = 'text' THEN {c} END" for c in map(catalogue.name, columns)]
    if not table.rowid:
        rows = connection.execute(f"SELECT {', '.join(asked)} FROM {name}")
        while block := rows.fetchmany(count):
            yield [BETWEEN.join(value for value in values if value is not None) for values in zip(*block, strict=True)]
        return
    joined = ", ".join(f"group_concat({one}, char(31))" for one in asked)
    after: int | None = None
    while True:
        where = "" if after is None else f" WHERE {table.rowid} > {after}"
        last = connection.execute(
            f"SELECT max(r) FROM (SELECT {table.rowid} AS r FROM {name}{where} ORDER BY r LIMIT {count})"
        ).fetchone()[0]
        if last is None:
            return
        bound = f"{where} AND {table.rowid} <= {last}" if where else f" WHERE {table.rowid} <= {last}"
        yield connection.execute(f"SELECT {joined} FROM {name}{bound}").fetchone()
        after = last


def _with(before: Texts, block: bytes) -> Texts:
    """What is known of a column after one more block."""
    invalid = 0
    try:
        block.decode()
    except UnicodeDecodeError:
        invalid = sum(not _valid(value) for value in block.split(BETWEEN))
    return replace(
        before,
        invalid=before.invalid + invalid,
        four_bytes=before.four_bytes or _has(block, ASTRAL),
        controls=before.controls or _has(block, CONTROLS),
        documents=before.documents or any(block.startswith(sign) or BETWEEN + sign in block for sign in (b"{", b"[")),
    )


def _valid(code: bytes) -> bool:
    try:
        code.decode()
    except UnicodeDecodeError:
        return False
    return True


def _has(block: bytes, signs: bytes) -> bool:
    return len(block.translate(None, signs)) != len(block)


def keep(path: Path, found: Mapping[str, Mapping[str, Texts]]) -> None:
    """Write the answers for a snapshot to a file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    told = {table: {column: asdict(one) for column, one in columns.items()} for table, columns in found.items()}
    temporary.write_text(json.dumps(told), encoding="utf-8")
    temporary.replace(path)


def load(path: Path) -> dict[str, dict[str, Texts]] | None:
    """What keep() wrote, None when there is no such file."""
    if not path.is_file():
        return None
    return {
        table: {column: Texts(**facts) for column, facts in columns.items()}
        for table, columns in json.loads(path.read_text(encoding="utf-8")).items()
    }

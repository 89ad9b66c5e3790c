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

from dixis_tui.schemas import catalogue
from dixis_tui.schemas.catalogue import Table

BLOCK_ROWS = 4000
FIRST_ROWS = 250
# What a joined block should not exceed, and what it cannot.
BLOCK_BYTES, MOST_BYTES = 4 << 20, 64 << 20
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
    wanted: Mapping[Table, Sequence[str]],
    check_stop: Callable[[], None],
) -> dict[str, dict[str, Texts]]:
    """Texts by table and column, for those of these columns that hold any; two tables at a time."""

    def work(table: Table) -> dict[str, Texts]:
        with closing(connect()) as connection:
            return scan(connection, table, wanted[table], check_stop)

    with ThreadPoolExecutor(SCANS) as pool:
        return dict(zip((table.name for table in wanted), pool.map(work, wanted), strict=True))


def scan(
    connection: sqlite3.Connection, table: Table, columns: Sequence[str], check_stop: Callable[[], None]
) -> dict[str, Texts]:
    """The texts of some columns of one table. The connection gives texts as bytes from now on."""
    connection.text_factory = bytes
    found: dict[str, Texts] = {}
    for start in range(0, len(columns), COLUMNS):
        some = columns[start : start + COLUMNS]
        for values in _blocks(connection, table, some):
            check_stop()
            for column, block in zip(some, values, strict=True):
                if block:
                    found[column] = _with(found.get(column, Texts()), block)
    return found


def _blocks(connection: sqlite3.Connection, table: Table, columns: Sequence[str]) -> Iterator[Sequence[bytes | None]]:
    """The texts of these columns, each joined for some rows at a time: for fewer where they are long."""
    name = catalogue.name(table.name)
    asked = [f"CASE WHEN typeof({c}) = 'text' THEN {c} END" for c in map(catalogue.name, columns)]
    if not table.rowid:
        rows = connection.execute(f"SELECT {', '.join(asked)} FROM {name}")
        while block := rows.fetchmany(FIRST_ROWS):
            yield [BETWEEN.join(value for value in values if value is not None) for values in zip(*block, strict=True)]
        return
    joined = ", ".join(f"group_concat({one}, char(31))" for one in asked)
    whole = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
    after, count = "", FIRST_ROWS
    while True:
        where = f" WHERE {table.rowid} > {after}" if after else ""
        ids = f"SELECT {table.rowid} AS r FROM {name}{where} ORDER BY r LIMIT {count}"
        last = connection.execute(f"SELECT max(r) FROM ({ids})").fetchone()[0]
        if last is None:
            return
        bound = f"{where} AND {table.rowid} <= {last}" if where else f" WHERE {table.rowid} <= {last}"
        try:
            values = connection.execute(f"SELECT {joined} FROM {name}{bound}").fetchone()
        except sqlite3.DataError:  # longer than a block may be
            if count == 1:
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, whole)
            count = max(1, count // 8)
            continue
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        yield values
        after = str(last)
        size = max(len(value or b"") for value in values)
        count = min(BLOCK_ROWS, max(1, count * 2 if size * 2 < BLOCK_BYTES else count))


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

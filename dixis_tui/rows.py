"""The way of one row: SQLite's own SQL writes it in the form the server reads, so that Python only moves bytes.

Two forms: lines for LOAD DATA, and tuples for a multi-row INSERT where the server takes no LOAD DATA LOCAL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dixis_tui import catalogue
from dixis_tui.catalogue import Column, ColumnContents, Table
from dixis_tui.shape import ShapeColumn
from dixis_tui.target import identifier

# Rows fetched at once; few, because a row may hold a value of many megabytes.
BATCH = 64
EXACT = "dixis_exact"
INTEGER_KINDS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
BINARY_KINDS = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
TEXT_KINDS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "json", "uuid"})
NUMBER_KINDS = INTEGER_KINDS | {"decimal", "double"}
# What the server's YEAR takes literally; it reads smaller numbers as years of this century or the last.
FIRST_YEAR, LAST_YEAR = 1901, 2155
MOMENT_KINDS = frozenset({"date", "datetime", "timestamp", "time"})


@dataclass(frozen=True)
class Field:
    """One column on its way: what it is in the source, what it holds there, and where it goes."""

    source: Column
    holds: ColumnContents
    target: ShapeColumn

    @property
    def hexadecimal(self) -> bool:
        """True when the bytes cannot stand in a line as they are."""
        return bool(self.holds.blobs or self.holds.nul)

    def problem(self) -> str:
        """Why the target's column would not hold these values exactly, where the server would not say so itself."""
        kind, holds = self.target.kind, self.holds
        if kind not in NUMBER_KINDS | TEXT_KINDS | BINARY_KINDS | MOMENT_KINDS | {"float", "year"}:
            return f"a column of type {self.target.type} is not known to the copy"
        if kind == "float" and holds.reals:
            return f"{holds.reals} reals would lose digits in a FLOAT; make it DOUBLE or DECIMAL"
        years = holds.integers == holds.values and holds.low >= FIRST_YEAR and holds.high <= LAST_YEAR
        if kind == "year" and holds.values and not years:
            return f"the target's YEAR keeps whole numbers from {FIRST_YEAR} to {LAST_YEAR} as they are, and no others"
        if kind in INTEGER_KINDS and holds.reals:
            return f"{holds.reals} numbers with a fraction would be rounded in a column of type {self.target.type}"
        if kind in NUMBER_KINDS and (holds.texts or holds.blobs):
            return f"{holds.texts + holds.blobs} values are no numbers, the target has {self.target.type}"
        if kind in MOMENT_KINDS and (holds.integers or holds.reals or holds.blobs):
            return (
                f"{holds.integers + holds.reals + holds.blobs} values are no texts, the target has {self.target.type}"
            )
        if kind == "date" and holds.datetimes:
            return f"{holds.datetimes} values have a time of day, the target has {self.target.type}"
        if kind in ("datetime", "timestamp") and holds.texts > holds.datetimes:
            return f"{holds.texts - holds.datetimes} values are not of the form YYYY-MM-DD HH:MM:SS"
        digits = self.target.type.partition("(")[2].rstrip(")")
        if kind in ("datetime", "timestamp", "time") and holds.fraction > int(digits or 0):
            return f"fractions of a second of {holds.fraction} digits would be rounded in {self.target.type}"
        return ""


def prepare(connection: sqlite3.Connection) -> None:
    """Make a connection ready for the statements below: text as bytes, and reals written out exactly."""
    connection.text_factory = bytes
    connection.create_function(EXACT, 1, repr, deterministic=True)


def _real(field: Field) -> str:
    """15 digits where they tell the number, which is how it was meant; the shortest exact form otherwise."""
    c = catalogue.name(field.source.name)
    if field.target.kind == "double":
        return f"{EXACT}({c})"
    return f"CASE WHEN CAST(CAST({c} AS TEXT) AS REAL) = {c} THEN CAST({c} AS TEXT) ELSE {EXACT}({c}) END"


def _by_type(field: Field, text: str, blob: str, null: str) -> str:
    """An expression for the types the column holds, in the cheapest form that tells them apart."""
    c = catalogue.name(field.source.name)
    holds = field.holds
    forms = {"integer": c, "real": _real(field), "text": text, "blob": blob}
    counts = {"integer": holds.integers, "real": holds.reals, "text": holds.texts, "blob": holds.blobs}
    present = [kind for kind, count in counts.items() if count]
    if not present:
        return null
    if len(present) == 1:
        value = forms[present[0]]
    else:
        value = f"CASE typeof({c})" + "".join(f" WHEN '{kind}' THEN {forms[kind]}" for kind in present) + " END"
    return f"CASE WHEN {c} IS NULL THEN {null} ELSE {value} END" if holds.nulls else value


def _load_value(field: Field) -> str:
    c = catalogue.name(field.source.name)
    if field.hexadecimal:
        code = f"hex(CAST({c} AS BLOB))"
        return f"CASE WHEN {c} IS NULL THEN '\\N' ELSE {code} END"
    text = f"replace(replace(replace({c}, '\\', '\\\\'), char(9), '\\t'), char(10), '\\n')"
    return _by_type(field, text, "", "'\\N'")


def _insert_value(field: Field) -> str:
    c = catalogue.name(field.source.name)
    blob = f"'x''' || hex({c}) || ''''"
    if field.holds.nul:
        text = f"'_utf8mb4 x''' || hex(CAST({c} AS BLOB)) || ''''"
    else:
        text = f"'''' || replace(replace({c}, '\\', '\\\\'), '''', '''''') || ''''"
    return _by_type(field, text, blob, "'NULL'")


def key_columns(table: Table) -> tuple[str, ...]:
    """What rows are walked by: the row number, or the primary key of a table without one."""
    return (table.rowid,) if table.rowid else table.primary_key


def select(table: Table, fields: Sequence[Field], *, load: bool, after: str) -> str:
    """The statement that answers (key, row) for every row behind a key; after is a key it answered, empty to begin.

    load: lines for LOAD DATA, else tuples for INSERT. A key is SQL text that SQLite reads back as the same values.
    """
    if load:
        row = " || char(9) || ".join(f"({_load_value(field)})" for field in fields)
        row += " || char(10)"
    else:
        row = "'(' || " + " || ',' || ".join(f"({_insert_value(field)})" for field in fields) + " || ')'"
    keys = [catalogue.name(column) for column in key_columns(table)]
    key = f"CAST({keys[0]} AS TEXT)" if table.rowid else " || ',' || ".join(_key_text(c) for c in keys)
    where = f" WHERE ({', '.join(keys)}) > ({after})" if after else ""
    return f"SELECT {key}, {row} FROM {catalogue.name(table.name)}{where} ORDER BY {', '.join(keys)}"


def _key_text(c: str) -> str:
    return (
        f"CASE typeof({c}) WHEN 'text' THEN 'CAST(x''' || hex(CAST({c} AS BLOB)) || ''' AS TEXT)'"
        f" WHEN 'blob' THEN 'x''' || hex({c}) || '''' WHEN 'real' THEN {EXACT}({c}) ELSE CAST({c} AS TEXT) END"
    )


def load_statement(table: str, fields: Sequence[Field]) -> str:
    """The LOAD DATA statement that reads lines as select() writes them. Its file name means nothing."""
    columns, sets = [], []
    with_set = any(item.hexadecimal for item in fields)
    for number, item in enumerate(fields):
        column, variable = identifier(item.target.name), f"@v{number}"
        if item.hexadecimal:
            code = f"UNHEX({variable})"
            sets.append(f"{column} = {code if item.target.kind in BINARY_KINDS else f'CONVERT({code} USING utf8mb4)'}")
        elif with_set and item.target.automatic:
            # MariaDB numbers a row with the number 0 anew when there is a SET clause that does not name the column.
            sets.append(f"{column} = {variable}")
        else:
            variable = column
        columns.append(variable)
    return (
        f"LOAD DATA LOCAL INFILE 'dixis' INTO TABLE {identifier(table)} CHARACTER SET utf8mb4"
        " FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n'"
        f" ({', '.join(columns)})" + (f" SET {', '.join(sets)}" if sets else "")
    )


def insert_statement(table: str, fields: Sequence[Field]) -> bytes:
    """The beginning of the INSERT that tuples as select() writes them are put behind."""
    columns = ", ".join(identifier(item.target.name) for item in fields)
    return f"INSERT INTO {identifier(table)} ({columns}) VALUES\n".encode()


@dataclass
class Chunk:
    """Rows of one transaction, taken from a running SELECT. keys: of the rows taken so far; size: bytes of them."""

    keys: list[bytes] = field(default_factory=list)
    size: int = 0


class RowStream:
    """A running select(), cut into chunks as it is read."""

    def __init__(self, connection: sqlite3.Connection, sql: str) -> None:
        self._cursor = connection.execute(sql)
        self._ahead = self._cursor.fetchmany(BATCH)

    @property
    def ended(self) -> bool:
        """True when every row has been taken."""
        return not self._ahead

    def take(self, chunk: Chunk, rows: int, size: int) -> Iterator[list[bytes]]:
        """Batches of encoded rows until the chunk holds so many rows or bytes, or there are no more."""
        while self._ahead and len(chunk.keys) < rows and chunk.size < size:
            count = min(rows - len(chunk.keys), len(self._ahead))
            batch, self._ahead = self._ahead[:count], self._ahead[count:]
            lines = [line for _, line in batch]
            chunk.keys += [key for key, _ in batch]
            chunk.size += sum(map(len, lines))
            if not self._ahead:
                self._ahead = self._cursor.fetchmany(BATCH)
            yield lines

"""The way of one row: SQLite's own SQL writes it in the form the server reads, so that Python only moves bytes.

Two forms: lines for LOAD DATA, and tuples for a multi-row INSERT where the server takes no LOAD DATA LOCAL. Rows are
read in blocks, each one value of SQLite's, so that neither Python nor its global lock is asked for every row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dixis_tui.phrase import counted
from dixis_tui.schemas import catalogue, expressions
from dixis_tui.schemas.catalogue import Column, Table
from dixis_tui.schemas.contents import ColumnContents
from dixis_tui.schemas.shape import ShapeColumn
from dixis_tui.target import identifier

# Rows in a block at most, and the bytes it should not exceed: few of them where a row may hold many megabytes.
BLOCK_ROWS = 1000
BLOCK_BYTES = 1 << 20
# SQLite's functions take 127 arguments.
ARGUMENTS = 100
NUMBER_WIDTH = 32
EXACT = "dixis_exact"
# What ends a value and a row, and what makes the next character stand for itself. They hardly ever occur in texts, so
# that line feeds in notes and backslashes in JSON need not be escaped.
VALUE, LINE, ESCAPE = "\x1f", "\x1e", "\x1d"
NULL = f"'{ESCAPE}N'"
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
        return bool(self.holds.blobs or self.holds.nul or self.unmeasured)

    @property
    def unmeasured(self) -> bool:
        """True when the scan did not ask how long the texts are: it does not expect any in a column of integers."""
        return bool(self.holds.texts + self.holds.blobs and not self.holds.bytes and not self.holds.plain)

    @property
    def plain(self) -> bool:
        """True when no text holds a character that must be escaped for LOAD DATA."""
        return self.holds.plain == self.holds.texts

    def problem(self) -> str:
        """Why the target's column would not hold these values exactly, where the server would not say so itself."""
        kind, holds = self.target.kind, self.holds
        if kind not in NUMBER_KINDS | TEXT_KINDS | BINARY_KINDS | MOMENT_KINDS | {"float", "year"}:
            return f"a column of type {self.target.type} is not known to the copy"
        if holds.broken and kind in TEXT_KINDS:
            return f"{holds.broken} texts are not valid UTF-8"
        if kind == "float" and holds.reals:
            return f"{holds.reals} reals would lose digits in a FLOAT; make it DOUBLE or DECIMAL"
        fixed = expressions.sizes_of(self.target.type)
        if kind == "double" and holds.reals and fixed and (holds.inexact or holds.scale > fixed[-1]):
            return f"values with more decimals would be rounded in {self.target.type}; make it DOUBLE"
        if kind in ("enum", "json", "uuid") and holds.texts < holds.values:
            what = counted(holds.values - holds.texts, "value is no text", "values are no texts")
            return f"{what}, the target has {self.target.type}"
        if kind in BINARY_KINDS and holds.integers + holds.reals:
            what = counted(holds.integers + holds.reals, "value is a number", "values are numbers")
            return f"{what}, the target has {self.target.type}"
        if kind in TEXT_KINDS and holds.inexact:
            return f"{holds.inexact} reals have no one way to be written as texts; make it DOUBLE"
        years = holds.integers == holds.values and holds.low >= FIRST_YEAR and holds.high <= LAST_YEAR
        if kind == "year" and holds.values and not years:
            return f"the target's YEAR keeps whole numbers from {FIRST_YEAR} to {LAST_YEAR} as they are, and no others"
        if kind in INTEGER_KINDS and holds.reals:
            return f"{holds.reals} numbers with a fraction would be rounded in a column of type {self.target.type}"
        if kind in NUMBER_KINDS and (holds.texts or holds.blobs):
            what = counted(holds.texts + holds.blobs, "value is no number", "values are no numbers")
            return f"{what}, the target has {self.target.type}"
        if kind in MOMENT_KINDS and (holds.integers or holds.reals or holds.blobs):
            return (
                f"{holds.integers + holds.reals + holds.blobs} values are no texts, the target has {self.target.type}"
            )
        if kind == "date" and holds.datetimes:
            what = counted(holds.datetimes, "value has", "values have")
            return f"{what} a time of day, the target has {self.target.type}"
        digits = self.target.type.partition("(")[2].rstrip(")")
        if kind in ("datetime", "timestamp", "time") and holds.fraction > int(digits or 0):
            return f"fractions of a second of {holds.fraction} digits would be rounded in {self.target.type}"
        return ""


def prepare(connection: sqlite3.Connection) -> None:
    """Make a connection ready for the statements below: text as bytes, and reals written out exactly."""
    connection.text_factory = bytes
    connection.create_function(EXACT, 1, lambda value: None if value is None else repr(value), deterministic=True)


def _real(field: Field) -> str:
    """15 digits where they tell the number, which is how it was meant; the shortest exact form otherwise."""
    c = catalogue.name(field.source.name)
    if field.target.kind == "double":
        return f"{EXACT}({c})"
    if not field.holds.inexact:
        return c
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
    if len({forms[kind] for kind in present}) == 1:
        value = forms[present[0]]
    else:
        value = f"CASE typeof({c})" + "".join(f" WHEN '{kind}' THEN {forms[kind]}" for kind in present) + " END"
    return f"CASE WHEN {c} IS NULL THEN {null} ELSE {value} END" if holds.nulls else value


def text_form(field: Field) -> str:
    """The expression of a value as the text that is sent for it; NULL for NULL."""
    c = catalogue.name(field.source.name)
    return _by_type(field, c, c, "NULL")


def sizes(full: str) -> tuple[int, int]:
    """The two numbers of a type such as decimal(10,2) or varchar(255); 0 for those it does not have."""
    numbers = expressions.sizes_of(full)
    return (numbers[0] if numbers else 0, numbers[1] if len(numbers) > 1 else 0)


def _load_value(field: Field) -> str:
    c = catalogue.name(field.source.name)
    if field.hexadecimal:
        return f"CASE WHEN {c} IS NULL THEN {NULL} ELSE hex(CAST({c} AS BLOB)) END"
    text = c
    for mark in () if field.plain else (ESCAPE, LINE, VALUE):
        text = f"replace({text}, '{mark}', '{ESCAPE}{mark}')"
    return _by_type(field, text, "", NULL)


def _insert_value(field: Field) -> str:
    c = catalogue.name(field.source.name)
    if field.hexadecimal:
        text = f"'_utf8mb4 x''' || hex(CAST({c} AS BLOB)) || ''''"
    else:
        text = f"quote(replace({c}, '\\', '\\\\'))"
    return _by_type(field, text, f"quote({c})", "'NULL'")


def row_text(fields: Sequence[Field], *, load: bool) -> str:
    """The expression that writes one row: a line for LOAD DATA, else a tuple for INSERT."""
    value, between, first, last = (_load_value, VALUE, "", LINE) if load else (_insert_value, ",", "(", ")")
    parts = []
    for start in range(0, len(fields), ARGUMENTS):
        some = fields[start : start + ARGUMENTS]
        begin = between if start else first
        end = "" if start + ARGUMENTS < len(fields) else last
        written = ", ".join(value(field) for field in some)
        parts.append(f"printf('{begin}{between.join(['%s'] * len(some))}{end}', {written})")
    return " || ".join(parts)


def key_columns(table: Table) -> tuple[str, ...]:
    """What rows are walked by: the row number, or the primary key of a table without one."""
    return (table.rowid,) if table.rowid else table.primary_key


def key_text(table: Table) -> str:
    """The expression of a row's key: SQL text that SQLite reads back as the same values."""
    keys = [catalogue.name(column) for column in key_columns(table)]
    return f"CAST({keys[0]} AS TEXT)" if table.rowid else " || ',' || ".join(_key_part(c) for c in keys)


def _key_part(c: str) -> str:
    return (
        f"CASE typeof({c}) WHEN 'text' THEN 'CAST(x''' || hex(CAST({c} AS BLOB)) || ''' AS TEXT)'"
        f" WHEN 'blob' THEN 'x''' || hex({c}) || '''' WHEN 'real' THEN {EXACT}({c}) ELSE CAST({c} AS TEXT) END"
    )


@dataclass(frozen=True)
class Range:
    """Rows of a table by key: those behind `after`, up to and with `until`; empty for no bound."""

    after: str = ""
    until: str = ""

    def where(self, table: Table) -> str:
        """The rows as WHERE and ORDER BY clauses."""
        keys = ", ".join(catalogue.name(column) for column in key_columns(table))
        bounds = [f"({keys}) > ({self.after})"] if self.after else []
        bounds += [f"({keys}) <= ({self.until})"] if self.until else []
        return (f" WHERE {' AND '.join(bounds)}" if bounds else "") + f" ORDER BY {keys}"


@dataclass(frozen=True)
class Keys:
    """Rows of a table by their keys, as key_text() writes them; at least one."""

    keys: Sequence[str]

    def where(self, table: Table) -> str:
        """The rows as WHERE and ORDER BY clauses."""
        columns = ", ".join(catalogue.name(column) for column in key_columns(table))
        values = ", ".join(f"({key})" for key in self.keys)
        return f" WHERE ({columns}) IN (VALUES {values}) ORDER BY {columns}"


@dataclass(frozen=True)
class Block:
    """Rows that follow each other. data: as they are sent; last: key of the last one, the range's end when final."""

    data: bytes
    rows: int
    last: str
    final: bool


def width(fields: Sequence[Field]) -> int:
    """Bytes no row exceeds as it is sent."""
    return 64 + sum(2 * field.holds.bytes + NUMBER_WIDTH for field in fields)


def block_rows(fields: Sequence[Field], *, most: int = BLOCK_ROWS, size: int = BLOCK_BYTES) -> int:
    """Rows to a block so that it stays below size bytes whatever they hold, one at least."""
    if any(field.unmeasured for field in fields):
        return 1
    return max(1, min(most, BLOCK_ROWS, size // width(fields)))


def key_at(connection: sqlite3.Connection, table: Table, span: Range, number: int) -> str:
    """The key of the row of that number (from 1) in a range, empty when it has fewer."""
    found = connection.execute(
        f"SELECT {key_text(table)} FROM {catalogue.name(table.name)}{span.where(table)} LIMIT 1 OFFSET {number - 1}"
    ).fetchone()
    return bytes(found[0]).decode() if found else ""


def largest(connection: sqlite3.Connection, table: Table, size: str, *, above: int = 0) -> str:
    """The row for which an expression is largest, as `column = value`; empty when that is not above a number."""
    columns = ", ".join(catalogue.name(column) for column in table.primary_key) or catalogue.name(table.rowid)
    row = connection.execute(
        f"SELECT {size} AS size, {columns} FROM {catalogue.name(table.name)} ORDER BY size DESC LIMIT 1"
    ).fetchone()
    if row is None or row[0] <= above:
        return ""
    values = (value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in row[1:])
    names = table.primary_key or (table.rowid,)
    return ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))


def read_block(
    connection: sqlite3.Connection, table: Table, fields: Sequence[Field], span: Range | Keys, *, load: bool
) -> tuple[bytes, int]:
    """All rows of a range or of some keys as they are sent, and how many they are."""
    between = "''" if load else "',' || char(10)"
    data, count = connection.execute(
        f"SELECT group_concat(r, {between}), count(*)"
        f" FROM (SELECT {row_text(fields, load=load)} AS r FROM {catalogue.name(table.name)}{span.where(table)})"
    ).fetchone()
    return data or b"", count


def blocks(
    connection: sqlite3.Connection, table: Table, fields: Sequence[Field], span: Range, *, load: bool, count: int
) -> Iterator[Block]:
    """The rows of a range, so many to a block; the final one may be empty."""
    after, final = span.after, False
    while not final:
        last = key_at(connection, table, Range(after, span.until), count)
        final = not last
        data, rows = read_block(connection, table, fields, Range(after, last or span.until), load=load)
        yield Block(data, rows, last or span.until, final)
        after = last


def pieces(
    connection: sqlite3.Connection,
    table: Table,
    fields: Sequence[Field],
    some: Range | Keys,
    *,
    load: bool,
    size: int = BLOCK_BYTES,
) -> Iterator[tuple[bytes, int]]:
    """The rows of a range or of some keys as they are sent, near size bytes at a time, and how many they are."""
    count = block_rows(fields, size=size)
    if isinstance(some, Range):
        found = ((block.data, block.rows) for block in blocks(connection, table, fields, some, load=load, count=count))
    else:
        each = (Keys(some.keys[start : start + count]) for start in range(0, len(some.keys), count))
        found = (read_block(connection, table, fields, keys, load=load) for keys in each)
    yield from ((data, number) for data, number in found if number)


def _code(mark: str) -> str:
    return f"x'{ord(mark):02x}'"


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
        f" FIELDS TERMINATED BY {_code(VALUE)} ESCAPED BY {_code(ESCAPE)} LINES TERMINATED BY {_code(LINE)}"
        f" ({', '.join(columns)})" + (f" SET {', '.join(sets)}" if sets else "")
    )


def insert_statement(table: str, fields: Sequence[Field]) -> bytes:
    """The beginning of the INSERT that tuples as select() writes them are put behind."""
    columns = ", ".join(identifier(item.target.name) for item in fields)
    return f"INSERT INTO {identifier(table)} ({columns}) VALUES\n".encode()

"""The schema of a SQLite database, as facts.

Facts come from PRAGMAs. Only what they do not tell (checks, generated columns, expressions of indexes) is read from the
DDL text, through sqlglot's tokens.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from sqlglot.dialects import SQLite
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from dixis_tui.model import DixisError
from dixis_tui.schemas.expressions import lower

TABLE_CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})
# DDL texts that are remembered taken apart.
TEXTS = 1000


@dataclass(frozen=True)
class Column:
    """declared: the type as written; default: its SQL text; key: position in the primary key from 1, else 0;
    generated: the expression of a generated column, empty for others; stored: whether its values are kept."""

    name: str
    declared: str
    not_null: bool = False
    default: str | None = None
    key: int = 0
    collation: str = ""
    generated: str = ""
    stored: bool = False


@dataclass(frozen=True)
class IndexPart:
    """column is empty for an expression; literal marks a quoted name that is no column, which SQLite takes as text."""

    column: str
    descending: bool = False
    collation: str = "BINARY"
    expression: str = ""
    literal: bool = False


@dataclass(frozen=True)
class Index:
    """where: condition of a partial index, else empty; constraint: made by a UNIQUE constraint and not by name."""

    name: str
    unique: bool
    parts: tuple[IndexPart, ...]
    where: str = ""
    constraint: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(part.column for part in self.parts)


@dataclass(frozen=True)
class ForeignKey:
    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"


@dataclass(frozen=True)
class Table:
    """rowid: the name by which its row number can be asked for, empty for WITHOUT ROWID; sequence: the highest number
    AUTOINCREMENT has given out, None without; checks: SQL text of CHECK conditions."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    rowid: str = "rowid"
    autoincrement: bool = False
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[str, ...] = ()
    sequence: int | None = None

    @property
    def numbered(self) -> bool:
        """True when a column of the table is its row number: INTEGER PRIMARY KEY, in these very words."""
        key = self.column(self.primary_key[0]) if len(self.primary_key) == 1 else None
        return bool(self.rowid) and key is not None and key.declared.upper() == "INTEGER"

    def column(self, name: str) -> Column | None:
        """The column of that name, whatever its case."""
        return next((column for column in self.columns if lower(column.name) == lower(name)), None)


@dataclass(frozen=True)
class SourceSchema:
    """left_out: virtual tables and the tables behind them, which hold no rows of their own; encoding: of its text."""

    tables: tuple[Table, ...]
    views: Mapping[str, str] = field(default_factory=dict)
    triggers: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    encoding: str = "UTF-8"

    def table(self, name: str) -> Table | None:
        """The table of that name, whatever its case."""
        return next((table for table in self.tables if lower(table.name) == lower(name)), None)


def name(text: str) -> str:
    """A name quoted for SQLite."""
    return '"' + text.replace('"', '""') + '"'


def read_schema(connection: sqlite3.Connection) -> SourceSchema:
    """The schema of a database. Raises DixisError when its DDL text cannot be read."""
    listed = connection.execute("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'").fetchall()
    order = {row[0]: number for number, row in enumerate(connection.execute("SELECT name FROM sqlite_schema"))}
    listed = sorted((row for row in listed if not row[0].startswith("sqlite_")), key=lambda row: order[row[0]])
    texts = {
        (kind, text_name): sql
        for kind, text_name, sql in connection.execute(
            "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
        )
    }
    marks: dict[str, int] = {}
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").fetchone():
        marks = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
    tables = tuple(
        _table(connection, table, bool(without_rowid), texts, marks.get(table))
        for table, kind, without_rowid in listed
        if kind == "table"
    )
    keys = {lower(table.name): table.primary_key for table in tables}
    return SourceSchema(
        tables=tuple(_with_references(table, keys) for table in tables),
        views={text_name: sql for (kind, text_name), sql in texts.items() if kind == "view"},
        triggers={text_name: sql for (kind, text_name), sql in texts.items() if kind == "trigger"},
        left_out=tuple(table for table, kind, _ in listed if kind in ("virtual", "shadow")),
        encoding=connection.execute("PRAGMA encoding").fetchone()[0],
    )


def _table(
    connection: sqlite3.Connection,
    table: str,
    without_rowid: bool,
    texts: Mapping[tuple[str, str], str],
    sequence: int | None,
) -> Table:
    ddl = _table_text(texts["table", table], table)
    columns = tuple(
        Column(
            name=column,
            declared=declared or "",
            not_null=bool(not_null),
            default=default,
            key=key,
            collation=ddl.collations.get(lower(column), ""),
            generated=ddl.generated.get(lower(column), "") if hidden in (2, 3) else "",
            stored=hidden == 3,
        )
        for _, column, declared, not_null, default, key, hidden in connection.execute(
            "SELECT * FROM pragma_table_xinfo(?)", (table,)
        )
        if hidden != 1
    )
    names = {lower(column.name) for column in columns}
    return Table(
        name=table,
        columns=columns,
        primary_key=tuple(column.name for column in sorted(columns, key=lambda c: c.key) if column.key),
        rowid="" if without_rowid else next(word for word in ("rowid", "_rowid_", "oid") if word not in names),
        autoincrement=ddl.autoincrement,
        indexes=tuple(_indexes(connection, table, texts, names)),
        foreign_keys=tuple(_foreign_keys(connection, table)),
        checks=ddl.checks,
        sequence=sequence,
    )


def _indexes(
    connection: sqlite3.Connection, table: str, texts: Mapping[tuple[str, str], str], columns: set[str]
) -> Iterator[Index]:
    listed = connection.execute("SELECT * FROM pragma_index_list(?)", (table,)).fetchall()
    for _, index, unique, origin, _ in reversed(listed):
        if origin == "pk":
            continue
        sql = texts.get(("index", index), "")
        expressions, where = _index_text(sql, index) if sql else ([], "")
        parts = []
        rows = connection.execute("SELECT * FROM pragma_index_xinfo(?) WHERE key = 1", (index,))
        for number, _, column, descending, collation, _ in rows:
            text = "" if column else expressions[number]
            literal = text.startswith('"') and text.endswith('"') and lower(text[1:-1]) not in columns
            parts.append(IndexPart(column or "", bool(descending), collation, text, literal))
        yield Index(index, bool(unique), tuple(parts), where, constraint=origin == "u")


def _foreign_keys(connection: sqlite3.Connection, table: str) -> Iterator[ForeignKey]:
    rows = connection.execute("SELECT * FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq", (table,)).fetchall()
    for number in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == number]
        references = tuple(row[4] for row in mine if row[4] is not None)
        yield ForeignKey(tuple(row[3] for row in mine), mine[0][2], references, mine[0][6], mine[0][5])


def _with_references(table: Table, keys: Mapping[str, tuple[str, ...]]) -> Table:
    """A foreign key that names no columns means the other table's primary key."""
    foreign = tuple(
        key
        if key.references
        else ForeignKey(key.columns, key.table, keys.get(lower(key.table), ()), key.on_delete, key.on_update)
        for key in table.foreign_keys
    )
    return Table(**{**vars(table), "foreign_keys": foreign})


def tokens(sql: str, what: str) -> list[Token]:
    """The tokens of an SQL text. Raises DixisError that names what when it cannot be read."""
    try:
        return list(SQLite().tokenize(sql))
    except TokenError as error:
        raise DixisError(f"The SQL of {what} cannot be read: {error}.", safe="nothing was changed") from error


def is_word(token: Token, word: str) -> bool:
    """True for that keyword, and not for a quoted name or a text that looks like it."""
    return token.token_type not in (TokenType.IDENTIFIER, TokenType.STRING) and token.text.upper() == word


def closing_paren(found: Sequence[Token], start: int) -> int:
    """The position of the parenthesis that closes the one at start."""
    depth = 0
    for number in range(start, len(found)):
        if found[number].token_type == TokenType.L_PAREN:
            depth += 1
        elif found[number].token_type == TokenType.R_PAREN:
            depth -= 1
            if depth == 0:
                return number
    raise DixisError("A parenthesis in the source's schema is never closed.", safe="nothing was changed")


def split(found: Sequence[Token], start: int, end: int) -> list[tuple[int, int]]:
    """The stretches (first, last + 1) between the commas of a parenthesis that opens at start and closes at end."""
    parts = []
    begin = number = start + 1
    while number < end:
        if found[number].token_type == TokenType.L_PAREN:
            number = closing_paren(found, number)
        elif found[number].token_type == TokenType.COMMA:
            parts.append((begin, number))
            begin = number + 1
        number += 1
    return [*parts, (begin, end)]


class _TableText:
    """What only the text of a CREATE TABLE tells."""

    def __init__(self, sql: str, table: str) -> None:
        self._sql = sql
        self._tokens = tokens(sql, f"table {table}")
        self.generated: dict[str, str] = {}
        self.collations: dict[str, str] = {}
        self.autoincrement = False
        checks: list[str] = []
        start = next(n for n, token in enumerate(self._tokens) if token.token_type == TokenType.L_PAREN)
        for first, last in split(self._tokens, start, closing_paren(self._tokens, start)):
            head = self._tokens[first]
            quoted = head.token_type in (TokenType.IDENTIFIER, TokenType.STRING)
            column = "" if not quoted and head.text.upper() in TABLE_CONSTRAINTS else lower(head.text)
            checks += self._definition(first, last, column)
        self.checks = tuple(checks)

    def _definition(self, first: int, last: int, column: str) -> Iterator[str]:
        """Read one column or table constraint; answers the conditions of its CHECKs."""
        number = first + 1 if column else first
        while number < last:
            token = self._tokens[number]
            following = self._tokens[number + 1] if number + 1 < last else None
            if is_word(token, "AUTOINCREMENT"):
                self.autoincrement = True
            elif column and is_word(token, "COLLATE") and following:
                self.collations[column] = following.text.upper()
            if following and following.token_type == TokenType.L_PAREN:
                end = closing_paren(self._tokens, number + 1)
                if is_word(token, "CHECK"):
                    yield self._between(number + 1, end)
                elif column and is_word(token, "AS"):
                    self.generated[column] = self._between(number + 1, end)
                number = end
            number += 1

    def _between(self, start: int, end: int) -> str:
        return self._sql[self._tokens[start].end + 1 : self._tokens[end].start].strip()


# Every step reads the schema again; taking its texts apart is most of that, and each text says the same every time.
_table_text = lru_cache(TEXTS)(_TableText)


@lru_cache(TEXTS)
def _index_text(sql: str, index: str) -> tuple[list[str], str]:
    """The expressions of a CREATE INDEX, without direction and collation, and its condition."""
    found = tokens(sql, f"index {index}")
    start = next(n for n, token in enumerate(found) if token.token_type == TokenType.L_PAREN)
    end = closing_paren(found, start)
    expressions = []
    for first, last in split(found, start, end):
        stop = last
        if any(is_word(found[stop - 1], word) for word in ("ASC", "DESC")):
            stop -= 1
        if stop - first > 2 and is_word(found[stop - 2], "COLLATE"):
            stop -= 2
        expressions.append(sql[found[first].start : found[stop - 1].end + 1])
    condition = next((n for n in range(end + 1, len(found)) if is_word(found[n], "WHERE")), None)
    return expressions, "" if condition is None else sql[found[condition + 1].start :].rstrip("; \n")

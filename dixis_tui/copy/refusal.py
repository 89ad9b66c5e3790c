"""Finds the row the server would not take, by sending a chunk's rows again inside transactions that are taken back."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dixis_tui.model import DixisError
from dixis_tui.schemas import catalogue, rows, shape
from dixis_tui.schemas.catalogue import Table
from dixis_tui.schemas.rows import Field, Keys, Range
from dixis_tui.target import TargetConnection, TargetError, identifier, query

SHOWN = 60
# Groups of equal rows that are named.
PAIRS = 3
DUPLICATE = re.compile(r"Duplicate entry .* for key '(?:[^']*\.)?([^'.]+)'")
COLUMN = re.compile(r"(?:for column|Column|[Ff]ield) (?:`[^`]*`\.`[^`]*`\.)?[`']([^`']+)[`']")


class TransferError(DixisError):
    """Rows could not be stored exactly; their chunk was taken back."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what, safe="this chunk was taken back whole; finished chunks stay", next_step=next_step)


def shown(value: object) -> str:
    """A value for people: shortened, with what cannot be seen written out."""
    if isinstance(value, bytes):
        code = value[: SHOWN // 2].hex()
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return f"x'{code}'" + (f"… ({len(value)} bytes)" if len(value) > SHOWN // 2 else "")
    if not isinstance(value, str):
        return "NULL" if value is None else repr(value)
    short = value if len(value) <= SHOWN else value[:SHOWN]
    text = "".join(c if c.isprintable() and c != "'" else _escape(c) for c in short)
    return f"'{text}'" if short == value else f"'{text}…' ({len(value)} characters)"


def _escape(character: str) -> str:
    return "\\'" if character == "'" else character.encode("unicode_escape").decode()


class Run(Protocol):
    """Rows in the order in which they were sent, counted from 1."""

    def key(self, number: int) -> str:
        """The key of a row, as rows.key_text() writes it."""

    def first(self, number: int) -> Range | Keys:
        """So many rows from the first on."""

    def only(self, number: int) -> Range | Keys:
        """One row."""


@dataclass(frozen=True)
class RangeRun:
    """All rows of a range."""

    source: sqlite3.Connection
    table: Table
    span: Range

    def key(self, number: int) -> str:
        return rows.key_at(self.source, self.table, self.span, number) if number else self.span.after

    def first(self, number: int) -> Range:
        return Range(self.span.after, self.key(number))

    def only(self, number: int) -> Range:
        return Range(self.key(number - 1), self.key(number))


@dataclass(frozen=True)
class KeysRun:
    """Rows by their keys."""

    keys: Sequence[str]

    def key(self, number: int) -> str:
        return self.keys[number - 1]

    def first(self, number: int) -> Keys:
        return Keys(self.keys[:number])

    def only(self, number: int) -> Keys:
        return Keys(self.keys[number - 1 : number])


@dataclass
class Refusal:
    """The rows of one chunk that was taken back. send: sends some of them again; answers sent, stored, warnings."""

    source: sqlite3.Connection
    target: TargetConnection
    name: str
    table: Table
    fields: Sequence[Field]
    send: Callable[[Range | Keys], tuple[int, int, int]]

    def explain(self, run: Run, sent: int, stored: int, problem: str) -> TransferError:
        """The error that names the first row the server would not take, its column and value, and what to do."""
        what = f"{self.name}: {sent} rows sent, {stored} stored"
        number = self._first_bad(run, sent)
        if not number:
            return TransferError(
                f"{what}; sent again, all were taken. {problem}".rstrip(),
                "look for someone else who writes to this table, then run the step again",
            )
        key = run.key(number)
        words, other = self._words(run.first(number - 1) if number > 1 else None, run.only(number), key)
        what += f"; the server says: {words}; the row with {self._named(key)}"
        column = COLUMN.search(words)
        field = next((f for f in self.fields if column and f.target.name == column[1]), None)
        if field:
            what += f" has {field.target.name} = {shown(self._value(key, field))}, the target has {field.target.type}"
            mend = f"mend {self.name}.{field.source.name} of this row in the source, widen the target's column"
        else:
            mend = "mend this row in the source, or the target's column"
        if other:
            what += f" takes the place of the row with {other}"
            mend = "change one of the two rows in the source, or drop the key in the target"
        return TransferError(f"{what}.", f"{mend} or declare a conversion, then run the phase data again")

    def _first_bad(self, run: Run, sent: int) -> int:
        """The number of the row (from 1) with which the shortest run of rows that is not taken ends; 0 for none."""
        if not self._fails(run.first(sent)):
            return 0
        good, bad = 0, sent
        while bad - good > 1:
            middle = (good + bad) // 2
            if self._fails(run.first(middle)):
                bad = middle
            else:
                good = middle
        return bad

    def _fails(self, some: Range | Keys) -> bool:
        try:
            sent, stored, warnings = self.send(some)
            return warnings > 0 or stored != sent
        except TargetError as error:
            if 2000 <= error.code < 3000 or not error.code:
                raise
            return True
        finally:
            if self.target.open:
                self.target.rollback()

    def _words(self, good: Range | Keys | None, bad: Range | Keys, key: str) -> tuple[str, str]:
        """What the server says to the row, and the key of the one it collides with."""
        words = ""
        try:
            if good:
                self.send(good)
            try:
                _, _, warnings = self.send(bad)
            except TargetError as error:
                words = error.what
            else:
                words = (
                    "; ".join(str(row[2]) for row in query(self.target, "SHOW WARNINGS LIMIT 3")) if warnings else ""
                )
            return words or "nothing", self._collides(words, key)
        finally:
            if self.target.open:
                self.target.rollback()

    def _collides(self, words: str, key: str) -> str:
        found = DUPLICATE.search(words)
        if not found:
            return ""
        there = {name.lower(): indexes for name, indexes in shape.all_indexes(self.target).items()}
        index = next((i for i in there.get(self.name.lower(), ()) if i.name == found[1]), None)
        by_name = {field.target.name: field for field in self.fields}
        if index is None or any(column not in by_name for column in index.columns):
            return ""
        values = [self._value(key, by_name[column]) for column in index.columns]
        names = [field for field in self.fields if field.source.name in self.table.primary_key] or self.fields[:1]
        answer = query(
            self.target,
            f"SELECT {', '.join(identifier(field.target.name) for field in names)} FROM {identifier(self.name)}"
            f" WHERE {' AND '.join(f'{identifier(column)} = %s' for column in index.columns)} LIMIT 1",
            [value.decode(errors="replace") if isinstance(value, bytes) else value for value in values],
        )
        if not answer:
            return ""
        return ", ".join(f"{f.target.name} = {shown(v)}" for f, v in zip(names, answer[0], strict=True))

    def _value(self, key: str, field: Field) -> object:
        return self._values(key, [field.source.name])[0]

    def _named(self, key: str) -> str:
        """A key for people: the primary key where the table has one."""
        columns = self.table.primary_key or (self.table.rowid,)
        values = self._values(key, columns)
        return ", ".join(f"{column} = {shown(value)}" for column, value in zip(columns, values, strict=True))

    def _values(self, key: str, columns: Sequence[str]) -> tuple[object, ...]:
        keys = ", ".join(catalogue.name(column) for column in rows.key_columns(self.table))
        wanted = ", ".join(catalogue.name(column) for column in columns)
        found = self.source.execute(
            f"SELECT {wanted} FROM {catalogue.name(self.table.name)} WHERE ({keys}) = ({key})"
        ).fetchone()
        return tuple(found)


def twins(target: TargetConnection, table: str, clauses: Sequence[str], error: TargetError) -> DixisError:
    """The error for a unique key that cannot be built: names rows the target's collation takes for equal."""
    found = DUPLICATE.search(error.what)
    line = next((c for c in clauses if found and c.startswith(f"ADD UNIQUE KEY {identifier(found[1])} ")), "")
    columns = line[line.find("(") :].split("`")[1::2]
    if not columns:
        return error
    key = shape.definition(target, table).primary_key.split("`")[1::2] or columns
    keys = ", ', ', ".join(f"COALESCE({identifier(column)}, 'NULL')" for column in key)
    grouped = ", ".join(identifier(column) for column in columns)
    where = " AND ".join(f"{identifier(column)} IS NOT NULL" for column in columns)
    pairs = query(
        target,
        f"SELECT GROUP_CONCAT(CONCAT({keys}) SEPARATOR ' and '), {grouped} FROM {identifier(table)}"
        f" WHERE {where} GROUP BY {grouped} HAVING COUNT(*) > 1 LIMIT {PAIRS}",
    )
    told = "; ".join(f"{', '.join(key)} = {pair[0]} with {', '.join(map(shown, pair[1:]))}" for pair in pairs)
    return DixisError(
        f"{table}: the target takes rows for equal that {', '.join(columns)} must tell apart: {told}.",
        safe="the rows are all there; the indexes of this table are not, and are put back by this step",
        next_step="change one row of each in the source and run the phase data again, or drop the key in the target",
    )

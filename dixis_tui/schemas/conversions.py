"""Declared conversions: what the operator wants changed on the way, column by column, and nothing else.

A table with conversions is read through a temporary view of the snapshot that applies them and leaves out the rows to
be set aside; the copy then treats it like any other table.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

from dixis_tui.config import Config, Conversion, zone_of
from dixis_tui.schemas import catalogue, exact, expressions, json_values, rows
from dixis_tui.schemas.catalogue import ForeignKey, Table
from dixis_tui.schemas.contents import TableContents, keep_contents, load_contents, scan
from dixis_tui.schemas.expressions import lower
from dixis_tui.schemas.rows import Range
from dixis_tui.schemas.shape import ShapeColumn
from dixis_tui.target import TargetConnection, execute, identifier, query

QUARANTINE = "_dixis_quarantine"
QUARANTINE_TABLE = f"""CREATE TABLE IF NOT EXISTS {identifier(QUARANTINE)} (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  run_id VARCHAR(128) NOT NULL,
  snapshot CHAR(64) NOT NULL,
  table_name VARCHAR(64) NOT NULL,
  row_key LONGTEXT NOT NULL,
  column_name VARCHAR(64) NOT NULL,
  reason TEXT NOT NULL,
  row_json LONGTEXT NOT NULL,
  set_aside_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"""
KEY = "dixis_key"
# Rules that set rows aside; all others change values.
ASIDE = frozenset({"quarantine", "set-orphans-aside"})
DIGITS = 15
INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
TEXT_BYTES = {"tinytext": 8, "text": 16, "mediumtext": 24, "longtext": 32}
BLOB_BYTES = {"tinyblob": 8, "blob": 16, "mediumblob": 24, "longblob": 32}
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.(\d{1,6}))?")
ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.(\d{1,6}))?)?(?:Z|[+-]\d\d:?\d\d)?")
Value = int | float | str | bytes | None


@dataclass(frozen=True)
class Aside:
    """A row that does not fit. row: its values by column, as JSON; bytes that are no text in hexadecimal."""

    key: str
    column: str
    reason: str
    row: str


@dataclass(frozen=True)
class Converted:
    """How a table is read: through the view `read`, made by the statement `sql`. rules: as declared, with columns."""

    table: Table
    read: Table
    sql: str
    rules: tuple[tuple[Conversion, ShapeColumn], ...]

    def open(self, connection: sqlite3.Connection) -> None:
        """Make the view in a connection to the snapshot, which stays unable to write anything else."""
        for name, arguments, function in FUNCTIONS:
            connection.create_function(name, arguments, function, deterministic=True)
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA query_only = OFF")
        connection.execute(self.sql)
        connection.execute("PRAGMA query_only = ON")

    @property
    def sets_aside(self) -> bool:
        return any(rule.rule in ASIDE for rule, _ in self.rules)

    def contents(self, connection: sqlite3.Connection, folder: Path, snapshot: str) -> TableContents:
        """What the columns hold once converted; scanned once, the answer is kept in folder."""
        digest = hashlib.sha256(f"{self.sql}{self.read.columns}".encode()).hexdigest()[:16]
        kept = folder / f"contents-{snapshot}-{digest}.json"
        found = load_contents(kept)
        if found is None:
            found = {self.table.name: scan(connection, self.read)}
            keep_contents(kept, found)
        return found[self.table.name]

    def counted(self, connection: sqlite3.Connection) -> list[tuple[Conversion, int]]:
        """Each rule with the number of rows it changes or sets aside."""
        wanted = []
        for rule, column, before in self._stages():
            after = _sql(self.table, rule, column, before)
            wanted.append(f"{after} IS NOT NULL" if rule.rule in ASIDE else f"({after}) IS NOT ({before})")
        sums = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in wanted)
        found = connection.execute(f"SELECT {sums} FROM main.{catalogue.name(self.table.name)}").fetchone()
        return [(rule, count) for (rule, _), count in zip(self.rules, found, strict=True)]

    def _stages(self) -> Iterator[tuple[Conversion, ShapeColumn, str]]:
        """Rules with the expression of what their column is before them."""
        now: dict[str, str] = {}
        for rule, column in self.rules:
            mine = self.table.column(rule.column_name)
            assert mine is not None
            before = now.get(mine.name, catalogue.name(mine.name))
            yield rule, column, before
            if rule.rule not in ASIDE:
                now[mine.name] = expression(rule, column, before)

    def aside(self, connection: sqlite3.Connection, span: Range) -> list[Aside]:
        """The rows of a range that are set aside, each with the first reason."""
        reasons = [(c.name, _sql(self.table, r, c, b)) for r, c, b in self._stages() if r.rule in ASIDE]
        asked = ", ".join(f"{reason} AS r{number}" for number, (_, reason) in enumerate(reasons))
        columns = ", ".join(f"{catalogue.name(c.name)} AS c{n}" for n, c in enumerate(self.table.columns))
        found = connection.execute(
            f"SELECT * FROM (SELECT {rows.key_text(self.table)} AS k, {asked}, {columns}"
            f" FROM main.{catalogue.name(self.table.name)}{span.where(self.table)})"
            f" WHERE {' OR '.join(f'r{number} IS NOT NULL' for number in range(len(reasons)))}"
        )
        answer = []
        for row in found:
            told, values = row[1 : len(reasons) + 1], row[len(reasons) + 1 :]
            number = next(n for n, reason in enumerate(told) if reason is not None)
            held = {c.name: _json(value) for c, value in zip(self.table.columns, values, strict=True)}
            text = json.dumps(held, ensure_ascii=False)
            answer.append(Aside(row[0].decode(), reasons[number][0], told[number].decode(), text))
        return answer


def _json(value: Value) -> int | float | str | None:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"x'{value.hex()}'"


def declared(config: Config) -> dict[str, list[Conversion]]:
    """The conversions by table, in lower case, in the order of the file."""
    found: dict[str, list[Conversion]] = {}
    for conversion in config.data.conversions:
        found.setdefault(lower(conversion.table), []).append(conversion)
    return found


def problems(table: Table, wanted: Sequence[Conversion], targets: Mapping[str, ShapeColumn]) -> list[str]:
    """Why declared conversions cannot be done; targets: columns by name in lower case."""
    found = []
    for rule in wanted:
        column = table.column(rule.column_name)
        if column is None or lower(rule.column_name) not in targets:
            found.append(f"[[data.conversions]] names {rule.column}, which is not there on both sides")
        elif rule.rule == "set-orphans-aside" and _reference(table, rule) is None:
            found.append(f"[[data.conversions]] {rule.column} has no foreign key that rows could be orphans of")
        elif column.name in rows.key_columns(table) and rule.rule not in ASIDE:
            found.append(f"[[data.conversions]] {rule.column} is the key rows are walked by and cannot be converted")
    return found


def converted(table: Table, wanted: Sequence[Conversion], targets: Mapping[str, ShapeColumn]) -> Converted:
    """How to read a table with these conversions; problems() has found none."""
    view = f"dixis_converted_{table.name}"
    # Declared with the target's types, so that a scan asks what matters there.
    declared_as = {name: column.type for name, column in targets.items()}
    columns = tuple(replace(c, declared=declared_as.get(lower(c.name), c.declared)) for c in table.columns)
    read = replace(table, name=view, columns=columns, rowid=KEY if table.rowid else "")
    draft = Converted(table, read, "", tuple((rule, targets[lower(rule.column_name)]) for rule in wanted))
    now: dict[str, str] = {}
    refused = []
    for rule, column, before in draft._stages():
        after = _sql(table, rule, column, before)
        if rule.rule in ASIDE:
            refused.append(f"{after} IS NULL")
        else:
            now[lower(rule.column_name)] = after
    selected = [f"{catalogue.name(table.rowid)} AS {KEY}"] if table.rowid else []
    selected += [f"{now.get(lower(c.name), catalogue.name(c.name))} AS {catalogue.name(c.name)}" for c in table.columns]
    where = f" WHERE {' AND '.join(refused)}" if refused else ""
    sql = (
        f"CREATE TEMP VIEW IF NOT EXISTS {catalogue.name(view)} AS"
        f" SELECT {', '.join(selected)} FROM main.{catalogue.name(table.name)}{where}"
    )
    return replace(draft, sql=sql)


def set_aside(target: TargetConnection, run_id: str, snapshot: str) -> dict[str, int]:
    """Rows set aside by this run from a snapshot, by table."""
    if not query(target, "SHOW TABLES LIKE %s", (QUARANTINE.replace("_", "\\_"),)):
        return {}
    found = query(
        target,
        f"SELECT table_name, COUNT(*) FROM {identifier(QUARANTINE)} WHERE run_id = %s AND snapshot = %s"
        " GROUP BY table_name",
        (run_id, snapshot),
    )
    return {str(table): int(count) for table, count in found}


def keep_aside(target: TargetConnection, run_id: str, taking: str, table: str, aside: Aside) -> None:
    """Store a row that is set aside, in the connection's transaction; taking: of the snapshot it is of."""
    execute(
        target,
        f"INSERT INTO {identifier(QUARANTINE)} (run_id, snapshot, table_name, row_key, column_name, reason, row_json)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (run_id, taking, table, aside.key, aside.column, aside.reason, aside.row),
        show=f"{table}: setting rows aside",
    )


# The rules, as SQL and as functions of SQLite's. A function answers None for a value its rule does not speak of.


def _sql(table: Table, rule: Conversion, column: ShapeColumn, before: str) -> str:
    """expression(), and the reason why a row is an orphan, NULL when it is none."""
    key = _reference(table, rule) if rule.rule == "set-orphans-aside" else None
    if key is None:
        return expression(rule, column, before)
    mine = [f"{catalogue.name(table.name)}.{catalogue.name(one)}" for one in key.columns]
    theirs = [f"parent.{catalogue.name(one)}" for one in key.references]
    equal = " AND ".join(f"{a} = {b}" for a, b in zip(theirs, mine, strict=True))
    given = " AND ".join(f"{one} IS NOT NULL" for one in mine)
    reason = f"refers to no row of {key.table}".replace("'", "''")
    there = f"SELECT 1 FROM main.{catalogue.name(key.table)} AS parent WHERE {equal}"
    return f"CASE WHEN {given} AND NOT EXISTS ({there}) THEN '{reason}' END"


def _reference(table: Table, rule: Conversion) -> ForeignKey | None:
    """The foreign key that begins with a rule's column."""
    named = (key for key in table.foreign_keys if key.columns[0].lower() == rule.column_name.lower())
    return next((key for key in named if len(key.references) == len(key.columns)), None)


def expression(rule: Conversion, column: ShapeColumn, before: str) -> str:
    """The SQL of a value after a rule; for quarantine, of the reason why a value does not fit, NULL when it does."""
    value, kind, text = f"({before})", f"typeof({before})", f"CAST({before} AS BLOB)"
    if rule.rule == "empty-to-null":
        return f"CASE WHEN {kind} = 'text' AND {text} = x'' THEN NULL ELSE {value} END"
    if rule.rule == "iso-datetime":
        return f"CASE {kind} WHEN 'text' THEN ifnull(dixis_iso({text}, '{rule.zone}'), {value}) ELSE {value} END"
    if rule.rule == "epoch":
        return f"CASE {kind} WHEN 'integer' THEN ifnull(dixis_epoch({value}, '{rule.zone}'), {value}) ELSE {value} END"
    if rule.rule == "charset":
        return f"CASE {kind} WHEN 'text' THEN ifnull(dixis_charset({text}, '{rule.from_}'), {value}) ELSE {value} END"
    if rule.rule == "round":
        scale = rows.sizes(column.type)[1]
        return f"CASE {kind} WHEN 'real' THEN ifnull(dixis_round({value}, {scale}), {value}) ELSE {value} END"
    raw = f"CASE {kind} WHEN 'text' THEN {text} ELSE {value} END"
    full = column.type.replace("'", "''")
    return f"dixis_misfit({kind}, {raw}, '{column.kind}', '{full}', {int(column.nullable)})"


def _iso(code: bytes, zone: str) -> str | None:
    """A text like 2024-03-31T01:30:00Z as a time of the zone; one without an offset is taken as the zone's already."""
    text = code.decode(errors="replace")
    found = ISO.fullmatch(text)
    if not found or MOMENT.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _written(moment if moment.tzinfo is None else moment.astimezone(zone_of(zone)), len(found[1] or ""))


def _written(moment: datetime, digits: int) -> str:
    fraction = f".{moment.microsecond:06}"[: digits + 1] if digits else ""
    return moment.replace(microsecond=0, tzinfo=None).isoformat(" ") + fraction


def _epoch(seconds: int, zone: str) -> str | None:
    try:
        return _written(datetime.fromtimestamp(seconds, UTC).astimezone(zone_of(zone)), 0)
    except (OverflowError, ValueError, OSError):
        return None


def _charset(code: bytes, charset: str) -> str | None:
    try:
        code.decode()
        return None
    except UnicodeDecodeError:
        pass
    try:
        return code.decode(charset)
    except UnicodeDecodeError:
        return None


def _round(number: float, scale: int) -> float | int | None:
    """The nearest number of that scale, halves away from zero; None when a double cannot tell it exactly."""
    try:
        exact = Decimal(repr(number)).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    except InvalidOperation:
        return None
    if scale == 0:
        return int(exact) if -(1 << 63) <= exact < 1 << 63 else None
    return float(exact) if len(exact.as_tuple().digits) <= DIGITS else None


def misfit(held: str, value: Value, kind: str, full: str, nullable: int) -> str | None:
    """Why a value does not fit a column, None when it does."""
    if value is None:
        return None if nullable else "NULL, and the column takes none"
    text = ""
    if held == "blob" and kind in rows.TEXT_KINDS:
        assert isinstance(value, bytes)
        try:
            value.decode()
        except UnicodeDecodeError:
            return "a blob that is no text, in a column of texts"
    if held == "text":
        assert isinstance(value, bytes)
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return "the text is not valid UTF-8"
    if kind in rows.NUMBER_KINDS | {"float", "year"}:
        return f"a {held} in a column of numbers" if held in ("text", "blob") else _number_misfit(value, kind, full)
    if kind in rows.MOMENT_KINDS:
        return None if held == "text" and _is_moment(text, kind, full) else f"not a {kind} as {full} holds it"
    size = len(value) if isinstance(value, bytes) else len(str(value))
    if kind in ("char", "varchar") and (len(text) if held == "text" else size) > rows.sizes(full)[0]:
        return f"longer than {full}"
    if kind in ("binary", "varbinary") and size > rows.sizes(full)[0]:
        return f"longer than {full}"
    bits = TEXT_BYTES.get(kind) or BLOB_BYTES.get(kind)
    if bits and size >= 1 << bits:
        return f"longer than {full}"
    if kind == "json":
        return "not JSON" if held != "text" else json_values.loss(text.encode()) or None
    if kind in rows.BINARY_KINDS and held in ("integer", "real"):
        return f"a number in {full}"
    if kind == "char" and text.endswith(" "):
        return f"ends in a space, which {full} drops"
    if kind == "binary" and size < rows.sizes(full)[0]:
        return f"shorter than {full}, which fills it up"
    if kind == "enum" and (held != "text" or text not in _enum_values(full)):
        return f"not what {full} has"
    return None


@functools.cache
def _enum_values(full: str) -> frozenset[str]:
    return frozenset(expressions.enum_values(full))


def _number_misfit(value: Value, kind: str, full: str) -> str | None:
    assert isinstance(value, int | float)
    if isinstance(value, float) and not math.isfinite(value):
        return "no finite number"
    if kind in INTEGER_BITS:
        if isinstance(value, float):
            return f"a number with a fraction in {full}"
        bits = INTEGER_BITS[kind]
        low, high = (0, (1 << bits) - 1) if "unsigned" in full else (-(1 << bits - 1), (1 << bits - 1) - 1)
        return None if low <= value <= high else f"outside the range of {full}"
    if kind == "year":
        whole = isinstance(value, int) and rows.FIRST_YEAR <= value <= rows.LAST_YEAR
        return None if whole else "not a year"
    if kind == "double" and isinstance(value, int) and abs(value) > exact.DOUBLE_WHOLE:
        return f"more digits than {full} tells apart"
    if kind == "decimal":
        digits, scale = rows.sizes(full)
        sign = Decimal(repr(value)).normalize().as_tuple()
        assert isinstance(sign.exponent, int)
        if -sign.exponent > scale:
            return f"more digits after the point than {full}"
        return None if len(sign.digits) + sign.exponent <= digits - scale else f"outside the range of {full}"
    return None


def _is_moment(text: str, kind: str, full: str) -> bool:
    digits = rows.sizes(full)[0]
    try:
        if kind == "date":
            return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and bool(datetime.fromisoformat(text))
        if kind == "time":
            return exact.is_time(text.encode(), digits)
        found = MOMENT.fullmatch(text)
        if not found or len(found[1] or "") > digits:
            return False
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return kind != "timestamp" or 1970 < moment.year < 2038


# What the rules call by name.
FUNCTIONS = (
    ("dixis_iso", 2, _iso),
    ("dixis_round", 2, _round),
    ("dixis_epoch", 2, _epoch),
    ("dixis_charset", 2, _charset),
    ("dixis_misfit", 5, misfit),
)

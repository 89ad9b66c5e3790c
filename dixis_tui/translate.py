"""A SQLite schema and what its columns hold, turned into CREATE TABLE statements for MySQL or MariaDB.

Types follow the declared type and the values, so that every value is held exactly. Whatever cannot be held or is built
otherwise is a finding; nothing is left out without one.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Literal, get_args

from sqlglot import exp

from dixis_tui import expressions
from dixis_tui.catalogue import (
    Column,
    ColumnContents,
    ForeignKey,
    Index,
    IndexPart,
    SourceSchema,
    Table,
    TableContents,
)
from dixis_tui.model import DixisError
from dixis_tui.target import identifier, literal

Severity = Literal["error", "warning", "note"]

NAME_LIMIT = 64
KEY_BYTES = 3072
ROW_BYTES = 65_000
CHARACTER_BYTES = 4
PREFIX = 191
TEXT_LIMITS = (("TEXT", 0xFFFF), ("MEDIUMTEXT", 0xFFFFFF), ("LONGTEXT", 0xFFFFFFFF))
BLOB_LIMITS = (("BLOB", 0xFFFF), ("MEDIUMBLOB", 0xFFFFFF), ("LONGBLOB", 0xFFFFFFFF))
INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
ACTIONS = frozenset({"CASCADE", "SET NULL", "RESTRICT"})
PRIMARY = "PRIMARY"


@dataclass(frozen=True)
class Finding:
    """Something the operator must know. error: cannot be had as it is; warning: is built otherwise or left out; both
    need the operator's word. note: harmless.

    table, object: what it is about, object empty for the table itself; kind: a stable word for what is the matter;
    proposal: what the console does about it when it is accepted.
    """

    severity: Severity
    table: str
    object: str
    kind: str
    what: str
    proposal: str = ""

    @property
    def id(self) -> str:
        """Stable, to be named under [schema] accept."""
        return f"{self.table}.{self.object}:{self.kind}" if self.object else f"{self.table}:{self.kind}"

    @property
    def needs_word(self) -> bool:
        return self.severity != "note"

    def line(self) -> str:
        return f"{self.severity}: {self.id}: {self.what}" + (f"; proposed: {self.proposal}" if self.proposal else "")


@dataclass(frozen=True)
class Abilities:
    """What the target server can do. one_case: its table names do not tell upper from lower case."""

    mariadb: bool = False
    version: tuple[int, ...] = (8, 0, 30)
    one_case: bool = False

    @property
    def expression_keys(self) -> bool:
        return not self.mariadb and self.version >= (8, 0, 13)

    @property
    def descending(self) -> bool:
        return not self.mariadb or self.version >= (10, 8)

    @property
    def invisible(self) -> bool:
        return self.mariadb or self.version >= (8, 0, 23)

    @property
    def exact_collation(self) -> str:
        """The collation that keeps apart what SQLite keeps apart, trailing spaces included."""
        if self.mariadb:
            return "utf8mb4_nopad_bin"
        return "utf8mb4_0900_bin" if self.version >= (8, 0, 17) else "utf8mb4_bin"


@dataclass(frozen=True)
class Merged:
    """A unique key whose texts the target's collation would take for equal. columns: its text columns; examples: the
    first rows concerned, in words; groups: how many there are."""

    table: str
    index: str
    columns: tuple[str, ...]
    groups: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class TargetColumn:
    """type: as written in the DDL; default: its SQL, empty for none."""

    name: str
    type: str
    not_null: bool
    default: str = ""
    automatic: bool = False
    generated: str = ""
    collation: str = ""

    @property
    def base(self) -> str:
        """The type without its size."""
        return self.type.partition("(")[0].split(" ")[0]

    @property
    def size(self) -> int:
        return next(iter(_arguments(self.type)), 0)

    @property
    def long(self) -> bool:
        """True for a type that cannot be in a key as a whole."""
        return self.base.endswith(("TEXT", "BLOB"))

    @property
    def text(self) -> bool:
        return self.base in ("VARCHAR", "CHAR") or self.base.endswith("TEXT")

    @property
    def key_bytes(self) -> int:
        """Bytes the column takes in a key, at most."""
        if self.base in ("VARCHAR", "CHAR"):
            return self.size * CHARACTER_BYTES
        if self.base in ("VARBINARY", "BINARY"):
            return self.size
        if self.long:
            return PREFIX * (CHARACTER_BYTES if self.text else 1)
        return 30 if self.base == "DECIMAL" else 8

    @property
    def row_bytes(self) -> int:
        """Bytes the column takes of the 65,535 a row may have."""
        return 12 if self.long or self.base == "JSON" else self.key_bytes + 2


@dataclass(frozen=True)
class TargetTable:
    """One table: the parts of its CREATE TABLE, to be run with foreign_key_checks off. checks: conditions by name;
    foreign_keys: lines by name."""

    name: str
    columns: tuple[TargetColumn, ...]
    primary_key: tuple[str, ...]
    keys: tuple[str, ...]
    checks: Mapping[str, str]
    foreign_keys: Mapping[str, str]
    options: str

    def create(self, twin: str = "") -> str:
        """The CREATE TABLE statement. twin: a name for a copy without foreign keys, whose names are taken."""
        name = twin or self.name
        lines = [_column_line(column) for column in self.columns]
        if self.primary_key:
            lines.append(f"PRIMARY KEY ({_names(self.primary_key)})")
        lines += self.keys
        lines += (
            f"CONSTRAINT {identifier(f'{twin}_check_{number}' if twin else check)} CHECK ({condition})"
            for number, (check, condition) in enumerate(self.checks.items(), 1)
        )
        if not twin:
            lines += self.foreign_keys.values()
        return f"CREATE TABLE {identifier(name)} (\n  " + ",\n  ".join(lines) + f"\n) {self.options}"


@dataclass(frozen=True)
class Translation:
    """views: CREATE VIEW statements by name, in the order they must be made."""

    tables: tuple[TargetTable, ...]
    findings: tuple[Finding, ...] = ()
    views: Mapping[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def open(self, accepted: Collection[str]) -> tuple[Finding, ...]:
        """The findings that still need the operator's word; accepted holds ids and kinds."""
        return tuple(f for f in self.findings if f.needs_word and f.id not in accepted and f.kind not in accepted)


def translate(
    schema: SourceSchema,
    contents: Mapping[str, TableContents],
    *,
    server: Abilities,
    collation: str,
    types: Mapping[str, str] | None = None,
    merged: Iterable[Merged] = (),
) -> Translation:
    """The schema for a target; contents by table name; types: by `table.column`, instead of those the console chooses.

    Raises DixisError when types names a column that the source does not have.
    """
    return _Translator(schema, contents, server, collation, dict(types or {}), tuple(merged)).run()


def table_obstacle(table: Table) -> str:
    """Why the target cannot have a table of that name, empty when it can."""
    return _name_obstacle(table.name)


def _name_obstacle(name: str) -> str:
    if len(name) > NAME_LIMIT:
        return f"has a name of more than {NAME_LIMIT} characters"
    if name != name.rstrip(" ") or not name:
        return "has a name that ends in a space, which the server refuses"
    if any(ord(letter) > 0xFFFF or letter == "\0" for letter in name):
        return "has a name with a character that the server takes in no name"
    return ""


def _folded(name: str) -> str:
    """A name as the server compares names of columns and keys: without case and accents."""
    plain = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    return plain.casefold()


def _column_line(column: TargetColumn) -> str:
    parts = [identifier(column.name), column.type]
    if column.collation:
        parts.append(f"COLLATE {column.collation}")
    if column.generated:
        parts.append(column.generated)
    if column.not_null:
        parts.append("NOT NULL")
    elif not column.generated:
        parts.append("NULL")
    if column.default:
        parts.append(f"DEFAULT {column.default}")
    if column.automatic:
        parts.append("AUTO_INCREMENT")
    return " ".join(parts)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(identifier(column) for column in columns)


def shorten(name: str) -> str:
    """A name of at most 64 characters, still unlike others that begin alike."""
    if len(name) <= NAME_LIMIT:
        return name
    return name[: NAME_LIMIT - 9] + "_" + hashlib.sha256(name.encode()).hexdigest()[:8]


ColumnName = tuple[str, str]


@dataclass
class _Translator:
    schema: SourceSchema
    contents: Mapping[str, TableContents]
    server: Abilities
    collation: str
    types: dict[str, str]
    merged: tuple[Merged, ...]
    findings: list[Finding] = field(default_factory=list)
    constraints: set[str] = field(default_factory=set)

    def run(self) -> Translation:
        self._check_types()
        self._groups = _linked(self.schema)
        self._integers = _linked_integers(self.schema, self.contents, self._groups)
        self._overridden = {self._groups.of(_column_key(name)): kind for name, kind in self.types.items()}
        self._exact = {
            self._groups.of((one.table.lower(), column.lower())) for one in self.merged for column in one.columns
        }
        kept = self._kept_tables()
        self._columns = {table.name: self._all_columns(table) for table in kept}
        for table in [one for one in kept if not self._columns[one.name]]:
            what = "has no column that the target can have"
            self._find("error", table.name, "", "columns", what, "it is left out; the copy stops if it holds rows")
            del self._columns[table.name]
            kept.remove(table)
        for table in kept:
            self._fit_keys(table, self._columns[table.name])
            self._fit_row(table, self._columns[table.name])
        self._kept = {table.name: [i for i in table.indexes if self._keep(table, i)] for table in kept}
        tables = tuple(self._table(table) for table in kept)
        self._tell_merged()
        views = self._views({table.name for table in kept})
        self._tell_objects()
        worst_first = sorted(self.findings, key=lambda finding: get_args(Severity).index(finding.severity))
        return Translation(tables, tuple(worst_first), views)

    def _find(self, severity: Severity, table: str, thing: str, kind: str, what: str, proposal: str = "") -> None:
        self.findings.append(Finding(severity, table, thing, kind, what, proposal))

    def _check_types(self) -> None:
        for name in self.types:
            table, _, column = name.rpartition(".")
            there = self.schema.table(table)
            if there is None or there.column(column) is None:
                raise DixisError(
                    f"[types] names {name}, which the source does not have.",
                    safe="nothing was created",
                    next_step="mend [types] in the configuration; its keys are written table.column",
                )

    def _kept_tables(self) -> list[Table]:
        kept: dict[str, Table] = {}
        for table in self.schema.tables:
            obstacle = _name_obstacle(table.name)
            other = kept.get(table.name.lower() if self.server.one_case else table.name)
            if obstacle:
                self._find("error", table.name, "", "name", obstacle, "it is left out with its rows")
            elif other is not None:
                what = f"is the same name as {other.name} to this server"
                self._find("error", table.name, "", "name", what, "it is left out with its rows")
            else:
                kept[table.name.lower() if self.server.one_case else table.name] = table
        return list(kept.values())

    def _tell_merged(self) -> None:
        for one in self.merged:
            chosen = [name for name in one.columns if "COLLATE" in self._columns_type(one.table, name)]
            columns = ", ".join(name for name in one.columns if name not in chosen)
            proposal = f"{columns} and what refers to it with COLLATE {self.server.exact_collation}"
            if chosen:
                proposal = "the collation of [types] all the same; the copy stops at these rows if it merges them"
            self._find(
                "warning",
                one.table,
                one.index,
                "collation",
                f"{one.groups or 'perhaps some'} groups of rows are told apart by this unique key,"
                f" and equal to {self.collation}: {'; '.join(one.examples)}",
                proposal,
            )

    def _columns_type(self, table: str, column: str) -> str:
        made = self._columns.get(table, {}).get(column.lower())
        return made.type if made is not None else ""

    def _views(self, tables: set[str]) -> dict[str, str]:
        made: dict[str, str] = {}
        for name, sql in self.schema.views.items():
            statement = None if _name_obstacle(name) else expressions.view(sql, name)
            if statement is None:
                what = "is a view that may mean something else here and is not made"
                self._find("warning", name, "", "view", what, "left out; write it anew for the target if it is needed")
            else:
                made[name] = statement
                self._find("note", name, "", "view", f"is a view and is made as: {statement}")
        return made

    def _tell_objects(self) -> None:
        for trigger in self.schema.triggers:
            what = "is a trigger and is not made"
            self._find(
                "warning", trigger, "", "trigger", what, "left out; write it anew for the target if it is needed"
            )
        for name in self.schema.left_out:
            self._find("warning", name, "", "virtual", "is a virtual table or belongs to one", "it is left out")
        if self.schema.encoding != "UTF-8":
            what = f"its text is stored as {self.schema.encoding}"
            self._find("error", "(database)", "", "encoding", what, "copy it into a UTF-8 one first")

    # Columns

    def _all_columns(self, table: Table) -> dict[str, TargetColumn]:
        """The columns that can be had, by their name in lower case."""
        keyed = {name.lower() for name in table.primary_key}
        for index in table.indexes:
            keyed |= {column.lower() for column in index.columns if column}
            for part in index.parts:
                keyed |= (
                    set(expressions.columns_of(part.expression, _column_names(table))) if part.expression else set()
                )
        keyed |= {column.lower() for key in table.foreign_keys for column in key.columns}
        keyed |= {
            column.lower()
            for other in self.schema.tables
            for key in other.foreign_keys
            if key.table.lower() == table.name.lower()
            for column in key.references
        }
        had: list[Column] = []
        taken: dict[str, str] = {}
        for column in table.columns:
            obstacle = _name_obstacle(column.name)
            twin = taken.get(_folded(column.name))
            if not obstacle and twin is not None:
                obstacle = f"has the same name as {twin} to this server"
            if obstacle:
                proposal = "it is left out; the copy stops if it holds values, so rename it in the source"
                self._find("error", table.name, column.name, "name", f"column {column.name} {obstacle}", proposal)
                continue
            taken[_folded(column.name)] = column.name
            had.append(column)
        there = {column.name.lower() for column in had}
        return {column.name.lower(): self._column(table, column, column.name.lower() in keyed, there) for column in had}

    def _column(self, table: Table, column: Column, keyed: bool, there: Collection[str]) -> TargetColumn:
        holds = self.contents[table.name].columns[column.name]
        kind = self._type(table, column, holds, keyed)
        if column.generated:
            made = self._generated(table, column, kind, there)
            if made is not None:
                return made
        null_key = bool(column.key) and holds.nulls > 0
        # SQLite numbers such a column by itself, with AUTOINCREMENT or without.
        numbered = bool(table.rowid) and table.primary_key == (column.name,) and column.declared.lower() == "integer"
        automatic = numbered and "INT" in kind.upper()
        group = self._groups.of((table.name.lower(), column.name.lower()))
        made = TargetColumn(
            name=column.name,
            type=kind,
            not_null=column.not_null or (bool(column.key) and not null_key),
            automatic=automatic,
        )
        if made.text and group in self._exact and "COLLATE" not in kind:
            made = replace(made, collation=self.server.exact_collation)
        return made if automatic else replace(made, default=self._default(table, column, made))

    def _generated(self, table: Table, column: Column, kind: str, there: Collection[str]) -> TargetColumn | None:
        """The generated column, None where only an ordinary one can be had."""
        names = _column_names(table)
        expression = expressions.portable(column.generated, names)
        reads = expressions.columns_of(column.generated, names)
        why = ""
        if expression is None:
            why = "has no counterpart here"
        elif _numbered(table) in reads:
            why = "reads the numbered column"
        elif set(reads) - set(there):
            why = "reads a column that is left out"
        elif self._worded_otherwise(table, expressions.read_as_text(column.generated, names)):
            why = "reads a number or a moment as a text, which the target words in another way"
        else:
            summed, fraction = expressions.computes(column.generated, names)
            if fraction or self._families(table, summed) - {"integer"}:
                why = "computes with fractions, which the target rounds in another way"
        if why:
            what = f"generated column {column.name}: {column.generated} {why}"
            self._find("warning", table.name, column.name, "generated", what, "an ordinary column with today's values")
            return None
        where = "STORED" if column.stored else "VIRTUAL"
        not_null = column.not_null and not self.server.mariadb
        return TargetColumn(column.name, kind, not_null, generated=f"GENERATED ALWAYS AS ({expression}) {where}")

    def _worded_otherwise(self, table: Table, read_as_text: Collection[str]) -> bool:
        """True when one of these columns holds what the two sides write out as different texts: 10.5 and 10.50."""
        return bool(self._families(table, read_as_text) - {"text", "integer"})

    def _families(self, table: Table, wanted: Collection[str]) -> set[Family]:
        held = self.contents[table.name].columns
        return {_family(c.declared, held[c.name]) for c in table.columns if c.name.lower() in wanted}

    def _type(self, table: Table, column: Column, holds: ColumnContents, keyed: bool) -> str:
        group = self._groups.of((table.name.lower(), column.name.lower()))
        if group in self._overridden:
            kind = self._overridden[group]
            self._find("note", table.name, column.name, "types", f"{column.name} becomes {kind}, as [types] says")
            return kind
        family = _family(column.declared, holds)
        wrong = _wrong_types(family, holds)
        if wrong:
            self._find(
                "error",
                table.name,
                column.name,
                "values",
                f"{column.name} is declared {column.declared or 'without a type'} and holds {wrong}",
                "the declared type all the same; the copy stops before the first row until they are mended",
            )
        if family == "integer" and group in self._integers:
            return self._integers[group]
        match family:
            case "integer":
                return _integer(column.declared, holds)
            case "boolean":
                return "TINYINT(1)" if holds.low >= -128 and holds.high <= 127 else "BIGINT"
            case "decimal":
                return self._decimal(table, column, holds)
            case "double":
                return "DOUBLE"
            case "date" | "datetime" | "time":
                return self._moment(table, column, holds, family)
            case "json":
                return self._json(table, column, holds, keyed)
            case "blob" if keyed and holds.bytes <= KEY_BYTES:
                return f"VARBINARY({max(255, holds.bytes)})"
            case "blob":
                return _by_size(BLOB_LIMITS, holds.bytes)
            case _:
                return self._text(table, column, holds, keyed)

    def _decimal(self, table: Table, column: Column, holds: ColumnContents) -> str:
        arguments = _arguments(column.declared) or [10, 2]
        digits, scale = (*arguments, 0)[:2]
        whole = max(digits - scale, holds.digits)
        scale = max(scale, holds.scale)
        why = f"{holds.inexact} values are no decimals of 15 digits" if holds.inexact else ""
        if not why and (whole + scale > 65 or scale > 30):
            why = f"it would need {whole + scale} digits, {scale} of them behind the point"
        if why:
            self._find(
                "warning",
                table.name,
                column.name,
                "inexact",
                f"{column.name}: {why}",
                "DOUBLE, which holds them as they are; round them in the source, or by [types], to have a decimal",
            )
            return "DOUBLE"
        return f"DECIMAL({max(1, whole + scale)},{scale})"

    def _moment(self, table: Table, column: Column, holds: ColumnContents, family: str) -> str:
        fraction = f"({min(6, holds.fraction)})" if holds.fraction else ""
        if holds.fraction > 6:
            what = f"{column.name} holds fractions of a second of {holds.fraction} digits"
            self._find(
                "error", table.name, column.name, "fraction", what, f"DATETIME{fraction}; the copy stops at them"
            )
        if family == "time":
            return self._all(table, column, holds, holds.times, "TIME", "HH:MM:SS")
        if family == "date" and holds.datetimes:
            if holds.dates:
                what = f"{column.name} mixes {holds.dates} dates and {holds.datetimes} datetimes"
                proposal = f"DATETIME{fraction}; the copy stops at the dates"
                self._find("error", table.name, column.name, "values", what, proposal)
            else:
                what = f"{column.name} is declared date and holds datetimes"
                self._find("warning", table.name, column.name, "datetimes", what, f"DATETIME{fraction}")
            return self._all(table, column, holds, holds.dates + holds.datetimes, "DATETIME" + fraction, "dates")
        if family == "date":
            return self._all(table, column, holds, holds.dates, "DATE", "YYYY-MM-DD")
        return self._all(table, column, holds, holds.datetimes, "DATETIME" + fraction, "YYYY-MM-DD HH:MM:SS")

    def _all(self, table: Table, column: Column, holds: ColumnContents, fine: int, kind: str, form: str) -> str:
        """The type, and a finding when not all texts have the form it needs."""
        if holds.texts > fine:
            what = (
                f"{column.name} is declared {column.declared}, {holds.texts - fine} of its values are no valid {form}"
            )
            self._find(
                "error", table.name, column.name, "moments", what, f"{kind}; the copy stops at them until mended"
            )
        return kind

    def _json(self, table: Table, column: Column, holds: ColumnContents, keyed: bool) -> str:
        if keyed or holds.json < holds.texts:
            why = "is in a key" if keyed else f"holds {holds.texts - holds.json} values that are no JSON"
            kind = self._text(table, column, holds, keyed)
            self._find("warning", table.name, column.name, "json", f"{column.name} is declared JSON and {why}", kind)
            return kind
        if not self.server.mariadb:
            what = f"{column.name} is JSON, which the server writes anew: order of keys, numbers and doubled keys"
            self._find("warning", table.name, column.name, "json", what, "JSON; [types] can make it LONGTEXT")
        return "JSON"

    def _text(self, table: Table, column: Column, holds: ColumnContents, keyed: bool) -> str:
        arguments = _arguments(column.declared)
        length = max(holds.characters, holds.bytes if holds.nul else 0)
        sized = "char" in column.declared.lower()
        wanted = arguments[0] if arguments and 0 < arguments[0] <= ROW_BYTES // CHARACTER_BYTES else 255
        if sized and length <= wanted:
            return f"VARCHAR({wanted})"
        if keyed and length <= KEY_BYTES // CHARACTER_BYTES:
            size = max(255, length)
            if not sized:
                what = f"{column.name} is text in a key, it becomes VARCHAR({size})"
                self._find("note", table.name, column.name, "size", what)
            return f"VARCHAR({size})"
        kind = _by_size(TEXT_LIMITS, holds.bytes)
        if sized:
            what = f"{column.name} holds {length} characters, it becomes {kind}"
            self._find("note", table.name, column.name, "size", what)
        return kind

    def _fit_keys(self, table: Table, columns: dict[str, TargetColumn]) -> None:
        """Narrow columns whose size was a guess where a unique or primary key would be longer than 3072 bytes."""
        for key in [table.primary_key, *(index.columns for index in table.indexes if index.unique)]:
            parts = [columns[name.lower()] for name in key if name.lower() in columns]
            if sum(part.key_bytes for part in parts) <= KEY_BYTES or any(part.long for part in parts):
                continue
            fixed = sum(part.key_bytes for part in parts if part.base != "VARCHAR")
            texts = [part for part in parts if part.base == "VARCHAR"]
            size = (KEY_BYTES - fixed) // CHARACTER_BYTES // max(1, len(texts))
            if any(not self._can_be(table, part, size) for part in texts):
                continue
            for part in texts:
                if size < part.size:
                    what = f"{part.name} becomes VARCHAR({size}) so that its key fits"
                    self._find("note", table.name, part.name, "size", what)
                    columns[part.name.lower()] = replace(part, type=f"VARCHAR({size})")

    def _can_be(self, table: Table, part: TargetColumn, size: int) -> bool:
        """True when a text column's size was our guess and all its values fit into the smaller one."""
        source = table.column(part.name)
        holds = self.contents[table.name].columns[part.name]
        group = self._groups.of((table.name.lower(), part.name.lower()))
        guessed = source is not None and not _arguments(source.declared) and group not in self._overridden
        return guessed and size >= max(1, holds.characters, holds.bytes if holds.nul else 0)

    def _fit_row(self, table: Table, columns: dict[str, TargetColumn]) -> None:
        """Make TEXT of the widest columns outside keys where a row would be longer than the server's limit."""
        keyed = {name.lower() for name in table.primary_key}
        for index in table.indexes:
            keyed |= {name.lower() for name in index.columns}
            for part in index.parts:
                if part.expression:
                    keyed |= set(expressions.columns_of(part.expression, _column_names(table)))
        keyed |= {name.lower() for key in table.foreign_keys for name in key.columns}
        widest = sorted((c for c in columns.values() if c.base == "VARCHAR"), key=lambda c: -c.row_bytes)
        changed = []
        for column in widest:
            if sum(one.row_bytes for one in columns.values()) <= ROW_BYTES:
                break
            if column.name.lower() not in keyed:
                default = f"({column.default})" if column.default and not column.default.startswith("(") else ""
                columns[column.name.lower()] = replace(column, type="TEXT", default=default or column.default)
                changed.append(column.name)
        if changed:
            what = f"a row would be longer than the {ROW_BYTES} bytes the server takes"
            proposal = (
                f"{', '.join(changed[:5])}{' and others' if changed[5:] else ''} become TEXT ({len(changed)} in all)"
            )
            self._find("warning", table.name, "", "row-size", what, proposal)

    # Defaults, checks

    def _default(self, table: Table, column: Column, made: TargetColumn) -> str:
        if column.default is None:
            return ""
        tree = expressions.parsed(column.default, ())
        value = tree.unnest() if tree is not None else None
        if isinstance(value, exp.Null):
            return "" if made.not_null else "NULL"
        sql = self._default_value(value, made) if value is not None else ""
        if not sql:
            self._find(
                "warning",
                table.name,
                column.name,
                "default",
                f"the default {column.default} of {column.name} has no counterpart in {made.type}",
                "it is left out; let the application give the value",
            )
        return sql

    def _default_value(self, value: exp.Expr, made: TargetColumn) -> str:
        """A default as the target takes it, empty when it has none like it."""
        moment = made.base in ("DATETIME", "TIMESTAMP")
        if isinstance(value, exp.CurrentTimestamp | exp.CurrentDate | exp.CurrentTime):
            word = {"CurrentTimestamp": "TIMESTAMP", "CurrentDate": "DATE", "CurrentTime": "TIME"}[type(value).__name__]
            if word == "TIMESTAMP" and moment:
                return f"CURRENT_TIMESTAMP({made.size})" if made.size else "CURRENT_TIMESTAMP"
            fits = made.text or made.base == word
            return f"(CURRENT_{word}())" if fits else ""
        if clock := expressions.clock(value):
            fits = made.text or (moment and clock == "UTC_TIMESTAMP") or clock == f"UTC_{made.base}"
            return f"({clock}())" if fits else ""
        if isinstance(value, exp.HexString):
            # MariaDB would show the bytes of x'…' themselves in SHOW CREATE TABLE, which no client can read.
            return f"(UNHEX({literal(value.name)}))" if made.base.endswith(("BLOB", "BINARY")) else ""
        text = _constant(value)
        if text is not None:
            if not _fits(text, made):
                return ""
            sql = literal(text) if isinstance(value, exp.Literal) and value.is_string else text
            return f"({sql})" if made.long or made.base == "JSON" else sql
        computed = expressions.computed(value)
        return self._default_value(computed, made) if computed is not None else ""

    def _checks(self, table: Table, columns: Mapping[str, TargetColumn], kept: Sequence[ForeignKey]) -> dict[str, str]:
        """Conditions by name."""
        acting = {
            name.lower()
            for key in kept
            if {"CASCADE", "SET NULL"} & {key.on_delete, key.on_update}
            for name in key.columns
        }
        checks = {}
        for number, check in enumerate(table.checks, 1):
            names = _column_names(table)
            condition = expressions.portable(check, names)
            reads = expressions.columns_of(check, names)
            why = ""
            if condition is None:
                why = "has no counterpart"
            elif any(name not in columns for name in reads):
                why = "reads a column that is left out"
            elif _mixes(check, names, columns):
                why = "compares a column with a constant of another kind, which SQLite does otherwise"
            elif _numbered(table) in reads:
                why = "reads the numbered column, which the server refuses"
            elif acting & set(reads) and not self.server.mariadb:
                why = "reads a column that a foreign key changes, which the server refuses"
            if why or condition is None:
                what = f"CHECK ({check}) {why}"
                self._find("warning", table.name, f"check {number}", "check", what, "it is left out")
            else:
                checks[self._constraint(f"{table.name}_check_{number}")] = condition
        return checks

    def _constraint(self, name: str) -> str:
        """A name for a constraint that no other of the database has."""
        return _free(name, self.constraints)

    # Keys

    def _keep(self, table: Table, index: Index) -> bool:
        """Whether an index can be made here, as it is or otherwise; a finding says so when not as it is."""
        columns = self._columns[table.name]
        kind = "unique index" if index.unique else "index"
        names = _column_names(table)
        plain = [part for part in index.parts if part.column]
        reads = {part.column.lower() for part in plain}
        for part in index.parts:
            reads |= set(expressions.columns_of(part.expression, names)) if part.expression else set()
        what = why = ""
        otherwise = "it is left out"
        key = "index"
        if any(part.literal for part in index.parts):
            key, why = "literal", "is on a text that names no column"
        elif any(part.column and part.column.lower() not in columns for part in index.parts) or reads - set(columns):
            why = "needs a column that is left out"
        elif len(plain) < len(index.parts):
            key, why, otherwise = "expression", "is on an expression", self._by_expression(table, index)
        elif index.where and index.unique:
            key, why = "partial-unique", f"holds only WHERE {index.where}"
            otherwise = self._by_expression(table, index)
        elif index.where:
            self._find(
                "warning",
                table.name,
                index.name,
                "partial",
                f"index {index.name} is only over rows WHERE {index.where}",
                "one over all rows",
            )
            return True
        elif index.unique and (long := [p.column for p in plain if columns[p.column.lower()].long]):
            key, why = "key-length", f"is unique and {', '.join(long)} too long for a key"
        elif index.unique and sum(columns[p.column.lower()].key_bytes for p in plain) > KEY_BYTES:
            key, why = "key-length", f"would be longer than {KEY_BYTES} bytes"
        else:
            return True
        what = f"{kind} {index.name} {why}"
        self._find("warning", table.name, index.name, key, what, otherwise or "it is left out")
        return bool(otherwise) and otherwise != "it is left out"

    def _by_expression(self, table: Table, index: Index) -> str:
        """How an index on expressions or over some rows is built here, in words; empty when it cannot be."""
        expressions_found = self._key_expressions(table, index)
        if expressions_found is None:
            return ""
        if self.server.expression_keys:
            return f"one on ({', '.join(sql for sql, _ in expressions_found)})"
        return "generated columns that carry it: " + ", ".join(f"{kind} AS ({sql})" for sql, kind in expressions_found)

    def _key_expressions(self, table: Table, index: Index) -> list[tuple[str, str]] | None:
        """For each part its expression and type on the target; None when one has no counterpart."""
        columns = self._columns[table.name]
        names = _column_names(table)
        condition = expressions.portable(index.where, names) if index.where else ""
        if condition is None or any(name not in columns for name in expressions.columns_of(index.where or "1", names)):
            return None
        if any(_mixes(sql, names, columns) for sql in (index.where, *(p.expression for p in index.parts)) if sql):
            return None
        found = []
        for part in index.parts:
            source = part.expression or _sqlite_name(part.column)
            sql = expressions.portable(source, names)
            reads = [columns[name] for name in expressions.columns_of(source, names) if name in columns]
            kind = reads[0].type if part.column and reads else self._expression_type(source, names, reads)
            text = any(one.text for one in reads)
            if sql is None or not kind or any(one.long for one in reads) or any(one.automatic for one in reads):
                return None
            if condition:
                sql = f"CASE WHEN {condition} THEN {sql} END"
            collation = next((one.collation for one in reads if one.collation), "")
            if collation and text:
                kind += f" COLLATE {collation}"
            found.append((sql, kind))
        size = sum(TargetColumn("", kind, False).key_bytes for _, kind in found)
        return found if size <= KEY_BYTES else None

    def _expression_type(self, sql: str, names: Collection[str], reads: Sequence[TargetColumn]) -> str:
        texts = [one for one in reads if one.text]
        if expressions.makes_text(sql, names):
            return f"VARCHAR({min(768, max([sum(one.size for one in texts), 255]))})"
        if expressions.makes_whole_number(sql, names):
            return "BIGINT"
        kinds = {one.type for one in reads}
        return kinds.pop() if len(kinds) == 1 else ""

    def _table(self, table: Table) -> TargetTable:
        columns = self._columns[table.name]
        foreign = [key for key in table.foreign_keys if self._keep_foreign(table, key, columns)]
        primary = self._primary_key(table, columns)
        options = f"ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={self.collation}"
        if table.sequence is not None and any(column.automatic for column in columns.values()):
            options += f" AUTO_INCREMENT={table.sequence + 1}"
        keys, helpers = self._keys(table, self._kept[table.name], foreign, columns, primary)
        return TargetTable(
            name=table.name,
            columns=(*columns.values(), *helpers),
            primary_key=primary,
            keys=tuple(keys),
            checks=self._checks(table, columns, foreign),
            foreign_keys=dict(self._foreign(table, foreign)),
            options=options,
        )

    def _primary_key(self, table: Table, columns: Mapping[str, TargetColumn]) -> tuple[str, ...]:
        """The primary key; empty when there is none to be had."""
        parts = [columns.get(name.lower()) for name in table.primary_key]
        there = [part for part in parts if part is not None]
        held = self.contents[table.name].columns
        what, proposal = "", "the table is made without"
        if len(there) < len(parts):
            what = "the primary key needs a column that is left out"
        elif any(held[name].nulls for name in table.primary_key):
            empty = ", ".join(f"{name} in {held[name].nulls} rows" for name in table.primary_key if held[name].nulls)
            what, proposal = f"the primary key holds NULL: {empty}", "a unique key in its place"
        elif any(part.long or part.base == "JSON" for part in there):
            what = "the primary key has a text too long for a key"
        elif sum(part.key_bytes for part in there) > KEY_BYTES:
            what = f"the primary key would be longer than {KEY_BYTES} bytes"
        if what:
            self._find("warning", table.name, PRIMARY, "primary-key", what, proposal)
            return ()
        return table.primary_key

    def _keys(
        self,
        table: Table,
        indexes: Sequence[Index],
        foreign: Sequence[ForeignKey],
        columns: Mapping[str, TargetColumn],
        primary: tuple[str, ...],
    ) -> tuple[list[str], list[TargetColumn]]:
        """The KEY lines, and columns made to carry some of them: the source's own, then one for each foreign key that
        has none to lean on."""
        used: set[str] = {"primary"}
        covered = [tuple(column.lower() for column in primary)]
        lines: list[str] = []
        helpers: list[TargetColumn] = []
        there = [columns.get(name.lower()) for name in table.primary_key]
        had = [part for part in there if part is not None and not part.long and part.base != "JSON"]
        fits = len(had) == len(there) and sum(part.key_bytes for part in had) <= KEY_BYTES
        if not primary and table.primary_key and fits:
            name = self._free_name(table, "_".join((table.name, *table.primary_key, "unique")), used)
            lines.append(f"UNIQUE KEY {identifier(name)} ({_names(table.primary_key)})")
            covered.append(tuple(column.lower() for column in table.primary_key))
        for index in indexes:
            name = "_".join((table.name, *index.columns, "unique")) if index.constraint else index.name
            name = self._free_name(table, name, used)
            unique = "UNIQUE " if index.unique else ""
            if any(part.expression for part in index.parts) or (index.where and index.unique):
                parts, more = self._carried(table, index, name, columns)
                helpers += more
            else:
                parts = [self._part(table, index, part, columns) for part in index.parts]
                if not any("(" in part for part in parts):
                    covered.append(tuple(column.lower() for column in index.columns))
            lines.append(f"{unique}KEY {identifier(name)} ({', '.join(parts)})")
        for key in foreign:
            wanted = tuple(column.lower() for column in key.columns)
            if not any(have[: len(wanted)] == wanted for have in covered):
                covered.append(wanted)
                name = self._free_name(table, "_".join((table.name, *key.columns, "foreign")), used)
                lines.append(f"KEY {identifier(name)} ({_names(key.columns)})")
        return lines, helpers

    def _carried(
        self, table: Table, index: Index, name: str, columns: Mapping[str, TargetColumn]
    ) -> tuple[list[str], list[TargetColumn]]:
        """The parts of a key on expressions, and the generated columns that carry it where the server has no such."""
        found = self._key_expressions(table, index) or []
        parts: list[str] = []
        helpers: list[TargetColumn] = []
        taken = {_folded(column) for column in columns}
        for number, ((sql, kind), part) in enumerate(zip(found, index.parts, strict=True), 1):
            if part.column and not index.where:
                carried = identifier(columns[part.column.lower()].name)
            elif self.server.expression_keys:
                carried = f"({sql})"
            else:
                own = _free(f"{name}_{number}", taken)
                generated = f"GENERATED ALWAYS AS ({sql}) VIRTUAL" + (" INVISIBLE" if self.server.invisible else "")
                helpers.append(TargetColumn(own, kind, False, generated=generated))
                carried = identifier(own)
            parts.append(carried + self._direction(part))
        return parts, helpers

    def _direction(self, part: IndexPart) -> str:
        return " DESC" if part.descending and self.server.descending else ""

    def _free_name(self, table: Table, name: str, used: set[str]) -> str:
        free = _free(name, used)
        if free != name:
            self._find("note", table.name, name, "name", f"the key {name} is named {free} here")
        return free

    def _part(self, table: Table, index: Index, part: IndexPart, columns: Mapping[str, TargetColumn]) -> str:
        column = columns[part.column.lower()]
        sql = identifier(column.name)
        parts = [columns[one.column.lower()] for one in index.parts]
        over = sum(one.key_bytes for one in parts) > KEY_BYTES and not index.unique
        cut = [one for one in parts if one.text or one.long or one.base == "VARBINARY"]
        if column in cut and (column.long or over):
            bytes_each = (KEY_BYTES - sum(one.key_bytes for one in parts if one not in cut)) // len(cut)
            size = min(PREFIX, bytes_each // (CHARACTER_BYTES if column.text else 1))
            if column.long or column.size > size:
                what = f"index {index.name} covers the first {size} characters of {column.name}"
                self._find("note", table.name, index.name, "prefix", what)
                sql += f"({size})"
        if part.descending and not self.server.descending:
            self._find("note", table.name, index.name, "descending", f"{index.name} is ascending on this server")
        return sql + self._direction(part)

    def _keep_foreign(self, table: Table, key: ForeignKey, columns: Mapping[str, TargetColumn]) -> bool:
        what = f"the foreign key ({', '.join(key.columns)}) to {key.table}"
        thing = f"({','.join(key.columns)})"
        parent = next((other for other in self.schema.tables if other.name.lower() == key.table.lower()), None)
        theirs = self._columns.get(parent.name, {}) if parent is not None else {}
        wanted = tuple(column.lower() for column in key.references)
        unique: list[tuple[str, ...]] = []
        if parent is not None and theirs:
            unique = [parent.primary_key] + [
                index.columns
                for index in self._kept[parent.name]
                if index.unique and not index.where and "" not in index.columns
            ]
        why = ""
        if not theirs or len(wanted) != len(key.columns):
            why = "leads nowhere"
        elif not any(tuple(column.lower() for column in have) == wanted for have in unique):
            why = "leads to columns that are not unique"
        elif any(name.lower() not in columns for name in key.columns) or any(name not in theirs for name in wanted):
            why = "needs a column that is left out"
        elif any(columns[name.lower()].generated for name in key.columns):
            why = "is on a generated column"
        else:
            pairs = [(columns[m.lower()], theirs[t]) for m, t in zip(key.columns, wanted, strict=True)]
            unlike = [(mine, other) for mine, other in pairs if not _comparable(mine, other)]
            if unlike:
                mine, other = unlike[0]
                why = f"has {mine.name} {mine.type} and {other.name} {other.type} on its ends"
        if why:
            proposal = "it is left out"
            if "on its ends" in why:
                proposal += "; [types] can make the two ends equal"
            self._find("warning", table.name, thing, "foreign-key", f"{what} {why}", proposal)
            return False
        if "SET DEFAULT" in (key.on_delete, key.on_update):
            refuses = f"{what}: SET DEFAULT is not known to InnoDB"
            self._find("warning", table.name, thing, "foreign-action", refuses, "the key refuses instead")
        if "SET NULL" in (key.on_delete, key.on_update) and any(columns[c.lower()].not_null for c in key.columns):
            refuses = f"{what}: SET NULL on a NOT NULL column"
            self._find("warning", table.name, thing, "foreign-action", refuses, "the key refuses instead")
        return True

    def _foreign(self, table: Table, keys: Sequence[ForeignKey]) -> Iterator[tuple[str, str]]:
        """Name and line of each foreign key."""
        columns = self._columns[table.name]
        for key in keys:
            parent = self.schema.table(key.table)
            assert parent is not None
            references = [column.name for name in key.references if (column := parent.column(name))]
            not_null = any(columns[name.lower()].not_null for name in key.columns)
            actions = "".join(
                f" ON {event} {action}"
                for event, action in (("DELETE", key.on_delete), ("UPDATE", key.on_update))
                if action in ACTIONS and not (action == "SET NULL" and not_null)
            )
            name = self._constraint("_".join((table.name, *key.columns, "foreign")))
            yield (
                name,
                f"CONSTRAINT {identifier(name)} FOREIGN KEY ({_names(key.columns)})"
                f" REFERENCES {identifier(parent.name)} ({_names(references)}){actions}",
            )


def _free(name: str, used: set[str]) -> str:
    """The name, shortened and numbered as needed to be unlike all used ones, which it joins."""
    short = shorten(name.rstrip(" "))
    free, number = short, 2
    while _folded(free) in used:
        free, number = f"{short[: NAME_LIMIT - 4]}_{number}", number + 1
    used.add(_folded(free))
    return free


def _column_names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _mixes(sql: str, names: Collection[str], columns: Mapping[str, TargetColumn]) -> bool:
    """True when an expression sets a column beside a constant of another kind: each server has its own rules there."""
    for name, text, is_text in expressions.compared(sql, names):
        column = columns.get(name)
        if column is not None and (not is_text if column.text else not _fits(text, column)):
            return True
    return False


def _sqlite_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _numbered(table: Table) -> str:
    """The column SQLite numbers by itself, in lower case; empty when there is none."""
    if not table.rowid or len(table.primary_key) != 1:
        return ""
    column = table.column(table.primary_key[0])
    return column.name.lower() if column is not None and column.declared.lower() == "integer" else ""


def _comparable(mine: TargetColumn, other: TargetColumn) -> bool:
    """True when a foreign key may tie the two columns."""
    if mine.text and other.text and not mine.long and not other.long:
        return mine.collation == other.collation
    if mine.base in ("VARBINARY", "BINARY"):
        return mine.base == other.base
    return mine.type == other.type and not mine.long


def _constant(value: exp.Expr) -> str | None:
    """The text of a constant, None for anything else."""
    if isinstance(value, exp.Literal):
        return str(value.this)
    if isinstance(value, exp.Boolean):
        return "1" if value.this else "0"
    if isinstance(value, exp.Neg) and isinstance(value.this, exp.Literal) and not value.this.is_string:
        return f"-{value.this.this}"
    return None


def _fits(text: str, made: TargetColumn) -> bool:
    """True when the server takes a constant as the default of a column."""
    base = made.base
    try:
        if base.endswith("INT"):
            bits = INTEGERS.get(base.lower(), 32)
            low, high = (0, 1 << bits) if "UNSIGNED" in made.type else (-(1 << (bits - 1)), 1 << (bits - 1))
            return low <= int(text) < high
        if base == "DECIMAL":
            digits, scale = (*_arguments(made.type), 0, 0)[:2]
            number = Decimal(text)
            fine = number == round(number, scale)
            return fine and abs(number) < Decimal(10) ** (digits - scale)
        if base in ("DOUBLE", "FLOAT"):
            return abs(float(text)) < 1e308
        if base == "DATE":
            return datetime.date.fromisoformat(text).isoformat() == text
        if base in ("DATETIME", "TIMESTAMP"):
            return datetime.datetime.fromisoformat(text).isoformat(sep=" ") == text
        if base == "TIME":
            return datetime.time.fromisoformat(text).isoformat() == text
        if base in ("VARCHAR", "CHAR"):
            return len(text) <= made.size
        if base == "JSON":
            json.loads(text)
            return True
        return base.endswith(("TEXT", "BLOB", "BINARY"))
    except (ValueError, InvalidOperation, OverflowError):
        return False


def _arguments(declared: str) -> list[int]:
    """The numbers in the parenthesis of a declared type."""
    inside = declared.partition("(")[2].partition(")")[0]
    return [int(part) for part in inside.split(",") if part.strip().isdigit()]


def _by_size(limits: Sequence[tuple[str, int]], size: int) -> str:
    return next(kind for kind, limit in limits if size <= limit)


Family = Literal["integer", "boolean", "decimal", "double", "date", "datetime", "time", "json", "text", "blob"]


def _family(declared: str, holds: ColumnContents) -> Family:
    """What a declared type means, by SQLite's own rules where Laravel's names do not say more."""
    word = declared.lower()
    base = word.partition("(")[0].strip()
    if base in ("bool", "boolean") or word.replace(" ", "") == "tinyint(1)":
        return "boolean"
    if base in ("datetime", "timestamp"):
        return "datetime"
    if base == "date":
        return "date"
    if base == "time":
        return "time"
    if base in ("json", "jsonb"):
        return "json"
    if "int" in word:
        return "integer"
    if any(part in word for part in ("char", "clob", "text")):
        return "text"
    if "blob" in word or not word:
        return "blob" if holds.blobs or not holds.values else _by_contents(holds)
    if any(part in word for part in ("real", "floa", "doub")):
        return "double"
    return _by_contents(holds) if base not in ("numeric", "decimal") else "decimal"


def _by_contents(holds: ColumnContents) -> Family:
    if holds.reals:
        return "decimal"
    return "integer" if holds.integers and not holds.texts else "text"


def _wrong_types(family: Family, holds: ColumnContents) -> str:
    """What a column of that family holds and should not, in words; empty when all is well."""
    allowed = {
        "integer": {"integers"},
        "boolean": {"integers"},
        "decimal": {"integers", "reals"},
        "double": {"integers", "reals"},
        "text": {"texts"},
        "json": {"texts"},
        "blob": {"blobs"},
    }.get(family, {"texts"})
    counts = {"integers": holds.integers, "reals": holds.reals, "texts": holds.texts, "blobs": holds.blobs}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count and kind not in allowed)


def _integer(declared: str, holds: ColumnContents) -> str:
    """The declared integer type when every value fits, else BIGINT. Plain `integer`, which has no size, is BIGINT."""
    base = (declared.lower().partition("(")[0].split() or ["integer"])[0]
    unsigned = "unsigned" in declared.lower() and holds.low >= 0
    bits = INTEGERS.get(base, 64)
    fits = holds.high < 1 << bits if unsigned else -(1 << (bits - 1)) <= holds.low and holds.high < 1 << (bits - 1)
    kind = base.upper() if fits and base in INTEGERS else "BIGINT"
    return f"{kind} UNSIGNED" if unsigned else kind


class _Groups:
    """Columns that foreign keys tie together."""

    def __init__(self) -> None:
        self._leader: dict[ColumnName, ColumnName] = {}

    def of(self, column: ColumnName) -> ColumnName:
        """The column that stands for its group."""
        while (leader := self._leader.setdefault(column, column)) != column:
            column = leader
        return column

    def tie(self, one: ColumnName, other: ColumnName) -> None:
        self._leader[self.of(one)] = self.of(other)


def _column_key(name: str) -> ColumnName:
    table, _, column = name.rpartition(".")
    return table.lower(), column.lower()


def _linked(schema: SourceSchema) -> _Groups:
    groups = _Groups()
    for table in schema.tables:
        for key in table.foreign_keys:
            for mine, theirs in zip(key.columns, key.references, strict=False):
                groups.tie((table.name.lower(), mine.lower()), (key.table.lower(), theirs.lower()))
    return groups


def _linked_integers(
    schema: SourceSchema, contents: Mapping[str, TableContents], groups: _Groups
) -> dict[ColumnName, str]:
    """By group, one type for all integer columns that foreign keys tie together, and for single primary keys: BIGINT
    UNSIGNED as Laravel makes them, unless one holds a negative number."""
    linked: set[ColumnName] = set()
    negative: set[ColumnName] = set()
    for table in schema.tables:
        names = {column.lower() for key in table.foreign_keys for column in key.columns}
        names |= {table.primary_key[0].lower()} if len(table.primary_key) == 1 else set()
        linked |= {groups.of((table.name.lower(), name)) for name in names}
        for column in table.columns:
            if contents[table.name].columns[column.name].low < 0:
                negative.add(groups.of((table.name.lower(), column.name.lower())))
    return {group: "BIGINT" if group in negative else "BIGINT UNSIGNED" for group in linked}

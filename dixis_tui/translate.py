"""A SQLite schema and what its columns hold, turned into CREATE TABLE statements for MySQL or MariaDB.

Types follow the declared type and the values, so that every value is held exactly. Whatever cannot be held or is built
otherwise is a finding; nothing is left out without one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

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
from dixis_tui.target import identifier, literal

Severity = Literal["error", "warning", "note"]

NAME_LIMIT = 64
KEY_BYTES = 3072
CHARACTER_BYTES = 4
PREFIX = 191
TEXT_LIMITS = (("TEXT", 0xFFFF), ("MEDIUMTEXT", 0xFFFFFF), ("LONGTEXT", 0xFFFFFFFF))
BLOB_LIMITS = (("BLOB", 0xFFFF), ("MEDIUMBLOB", 0xFFFFFF), ("LONGBLOB", 0xFFFFFFFF))
INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
ACTIONS = frozenset({"CASCADE", "SET NULL", "RESTRICT"})


@dataclass(frozen=True)
class Finding:
    """Something the operator must know about a table: error stops the schema, warning and note do not."""

    severity: Severity
    table: str
    what: str
    proposal: str = ""

    def line(self) -> str:
        return f"{self.severity}: {self.table}: {self.what}" + (f"; {self.proposal}" if self.proposal else "")


@dataclass(frozen=True)
class TargetColumn:
    """type: as written in the DDL; default: its SQL, empty for none."""

    name: str
    type: str
    not_null: bool
    default: str = ""
    automatic: bool = False
    generated: str = ""

    @property
    def long(self) -> bool:
        """True for a type that cannot be in a key as a whole."""
        return self.type.endswith(("TEXT", "BLOB"))

    @property
    def key_bytes(self) -> int:
        """Bytes the column takes in a key, at most."""
        if self.type.startswith("VARCHAR"):
            return int(self.type[8:-1]) * CHARACTER_BYTES
        if self.type.startswith("VARBINARY"):
            return int(self.type[10:-1])
        return PREFIX * CHARACTER_BYTES if self.long else 8


@dataclass(frozen=True)
class TargetTable:
    """One table: the parts of its CREATE TABLE, to be run with foreign_key_checks off."""

    name: str
    columns: tuple[TargetColumn, ...]
    primary_key: tuple[str, ...]
    keys: tuple[str, ...]
    checks: tuple[str, ...]
    foreign_keys: tuple[str, ...]
    options: str

    def create(self, twin: str = "") -> str:
        """The CREATE TABLE statement. twin: a name for a copy without foreign keys, whose names are taken."""
        name = twin or self.name
        lines = [_column_line(column) for column in self.columns]
        if self.primary_key:
            lines.append(f"PRIMARY KEY ({_names(self.primary_key)})")
        lines += self.keys
        lines += (
            f"CONSTRAINT {identifier(shorten(f'{name}_check_{number}'))} CHECK ({check})"
            for number, check in enumerate(self.checks, 1)
        )
        if not twin:
            lines += self.foreign_keys
        return f"CREATE TABLE {identifier(name)} (\n  " + ",\n  ".join(lines) + f"\n) {self.options}"


@dataclass(frozen=True)
class Translation:
    tables: tuple[TargetTable, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")


def translate(
    schema: SourceSchema, contents: Mapping[str, TableContents], *, mariadb: bool, collation: str
) -> Translation:
    """The schema for a target of that flavour; contents by table name."""
    return _Translator(schema, contents, mariadb, collation).run()


def _column_line(column: TargetColumn) -> str:
    parts = [identifier(column.name), column.type]
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


@dataclass
class _Translator:
    schema: SourceSchema
    contents: Mapping[str, TableContents]
    mariadb: bool
    collation: str
    findings: list[Finding] = field(default_factory=list)

    def run(self) -> Translation:
        self._linked = _linked_integers(self.schema, self.contents)
        tables = tuple(self._table(table) for table in self.schema.tables)
        for view in self.schema.views:
            self._find("warning", view, "is a view and is not made", "create it by hand after the schema")
        for trigger in self.schema.triggers:
            self._find(
                "warning", trigger, "is a trigger and is not made", "write it anew for the target if it is needed"
            )
        for name in self.schema.left_out:
            self._find("warning", name, "is a virtual table or belongs to one, and is left out")
        if self.schema.encoding != "UTF-8":
            self._find(
                "error", "(database)", f"its text is stored as {self.schema.encoding}", "copy it into a UTF-8 one"
            )
        self._find(
            "note",
            "(database)",
            f"texts are compared by {self.collation}, which may take for equal what SQLite kept apart",
            "a unique key that two rows then share stops the load and names them",
        )
        worst_first = sorted(self.findings, key=lambda finding: get_args(Severity).index(finding.severity))
        return Translation(tables, tuple(worst_first))

    def _find(self, severity: Severity, table: str, what: str, proposal: str = "") -> None:
        self.findings.append(Finding(severity, table, what, proposal))

    def _table(self, table: Table) -> TargetTable:
        if len(table.name) > NAME_LIMIT:
            self._find("error", table.name, "has a name of more than 64 characters", "rename it in the source")
        keyed = {column.lower() for index in table.indexes for column in index.columns if column}
        keyed |= {column.lower() for column in table.primary_key}
        keyed |= {column.lower() for key in table.foreign_keys for column in key.columns}
        keyed |= {
            column.lower()
            for other in self.schema.tables
            for key in other.foreign_keys
            if key.table.lower() == table.name.lower()
            for column in key.references
        }
        columns = {
            column.name.lower(): self._column(table, column, column.name.lower() in keyed) for column in table.columns
        }
        self._fit_keys(table, columns)
        kept = [index for index in table.indexes if self._keep(table, index)]
        options = f"ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={self.collation}"
        if table.sequence is not None and any(column.automatic for column in columns.values()):
            options += f" AUTO_INCREMENT={table.sequence + 1}"
        foreign = [key for key in table.foreign_keys if self._keep_foreign(table, key, columns)]
        return TargetTable(
            name=table.name,
            columns=tuple(columns.values()),
            primary_key=table.primary_key,
            keys=tuple(self._keys(table, kept, foreign, columns)),
            checks=tuple(self._checks(table)),
            foreign_keys=tuple(self._foreign(table, foreign)),
            options=options,
        )

    # Columns

    def _column(self, table: Table, column: Column, keyed: bool) -> TargetColumn:
        holds = self.contents[table.name].columns[column.name]
        if len(column.name) > NAME_LIMIT:
            self._find("error", table.name, f"column {column.name} has a name of more than 64 characters", "rename it")
        kind = self._type(table, column, holds, keyed)
        if column.generated:
            return self._generated(table, column, kind)
        if column.key and holds.nulls:
            self._find("error", table.name, f"{column.name} is in the primary key and is NULL in {holds.nulls} rows")
        # SQLite numbers such a column by itself, with AUTOINCREMENT or without.
        automatic = bool(table.rowid) and table.primary_key == (column.name,) and column.declared.lower() == "integer"
        return TargetColumn(
            name=column.name,
            type=kind,
            not_null=column.not_null or bool(column.key),
            default="" if automatic else self._default(table, column, kind),
            automatic=automatic,
        )

    def _generated(self, table: Table, column: Column, kind: str) -> TargetColumn:
        expression = self._expression(column.generated)
        if expression is None:
            self._find(
                "error", table.name, f"generated column {column.name}: {column.generated} has no counterpart here"
            )
        where = "STORED" if column.stored else "VIRTUAL"
        not_null = column.not_null and not self.mariadb
        return TargetColumn(column.name, kind, not_null, generated=f"GENERATED ALWAYS AS ({expression}) {where}")

    def _type(self, table: Table, column: Column, holds: ColumnContents, keyed: bool) -> str:
        linked = self._linked.get((table.name.lower(), column.name.lower()))
        family = _family(column.declared, holds)
        wrong = _wrong_types(family, holds)
        if wrong:
            self._find(
                "error",
                table.name,
                f"{column.name} is declared {column.declared or 'without a type'} and holds {wrong}",
                "mend these values in the source",
            )
        if linked and family == "integer":
            return linked
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
            case "blob" if keyed and holds.bytes <= KEY_BYTES:
                return f"VARBINARY({max(255, holds.bytes)})"
            case "blob":
                return _by_size(BLOB_LIMITS, holds.bytes)
            case _:
                return self._text(table, column, holds, keyed)

    def _decimal(self, table: Table, column: Column, holds: ColumnContents) -> str:
        if holds.inexact:
            self._find(
                "warning",
                table.name,
                f"{column.name}: {holds.inexact} values are no decimals of 15 digits, it becomes DOUBLE",
                "round them in the source to have a decimal column",
            )
            return "DOUBLE"
        arguments = _arguments(column.declared) or [10, 2]
        digits, scale = (*arguments, 0)[:2]
        whole = max(digits - scale, holds.digits)
        scale = max(scale, holds.scale)
        return f"DECIMAL({whole + scale},{scale})"

    def _moment(self, table: Table, column: Column, holds: ColumnContents, family: str) -> str:
        fraction = f"({holds.fraction})" if holds.fraction else ""
        if holds.fraction > 6:
            self._find("error", table.name, f"{column.name} holds fractions of a second of {holds.fraction} digits")
        if family == "time":
            return self._all(table, column, holds, holds.times, "TIME", "HH:MM:SS")
        if family == "date" and holds.datetimes:
            if holds.dates:
                self._find(
                    "error", table.name, f"{column.name} mixes {holds.dates} dates and {holds.datetimes} datetimes"
                )
            else:
                self._find(
                    "warning", table.name, f"{column.name} is declared date and holds datetimes, it becomes DATETIME"
                )
            return self._all(table, column, holds, holds.dates + holds.datetimes, "DATETIME" + fraction, "dates")
        if family == "date":
            return self._all(table, column, holds, holds.dates, "DATE", "YYYY-MM-DD")
        return self._all(table, column, holds, holds.datetimes, "DATETIME" + fraction, "YYYY-MM-DD HH:MM:SS")

    def _all(self, table: Table, column: Column, holds: ColumnContents, fine: int, kind: str, form: str) -> str:
        """The type, and a finding when not all texts have the form it needs."""
        if holds.texts > fine:
            self._find(
                "error",
                table.name,
                f"{column.name} is declared {column.declared}, {holds.texts - fine} of its values are no valid {form}",
                "mend these values in the source",
            )
        return kind

    def _text(self, table: Table, column: Column, holds: ColumnContents, keyed: bool) -> str:
        arguments = _arguments(column.declared)
        length = max(holds.characters, holds.bytes if holds.nul else 0)
        sized = "char" in column.declared.lower()
        if sized and length <= (wanted := arguments[0] if arguments else 255):
            return f"VARCHAR({wanted})"
        if keyed and length <= KEY_BYTES // CHARACTER_BYTES:
            size = max(255, length)
            if not sized:
                self._find("note", table.name, f"{column.name} is text in a key, it becomes VARCHAR({size})")
            return f"VARCHAR({size})"
        kind = _by_size(TEXT_LIMITS, holds.bytes)
        if sized:
            self._find("note", table.name, f"{column.name} holds {length} characters, it becomes {kind}")
        return kind

    def _fit_keys(self, table: Table, columns: dict[str, TargetColumn]) -> None:
        """Narrow columns whose size was a guess where a unique or primary key would be longer than 3072 bytes."""
        for key in [table.primary_key, *(index.columns for index in table.indexes if index.unique)]:
            parts = [columns[name.lower()] for name in key if name]
            for part in parts:
                if part.long:
                    self._find("error", table.name, f"{part.name} is too long for the key it is in")
            if sum(part.key_bytes for part in parts) <= KEY_BYTES:
                continue
            fixed = sum(part.key_bytes for part in parts if not part.type.startswith("VARCHAR"))
            texts = [part for part in parts if part.type.startswith("VARCHAR")]
            size = (KEY_BYTES - fixed) // CHARACTER_BYTES // max(1, len(texts))
            for part in texts:
                holds = self.contents[table.name].columns[part.name]
                source = table.column(part.name)
                if size < max(1, holds.characters) or (source and _arguments(source.declared)):
                    self._find(
                        "error", table.name, f"the key ({', '.join(key)}) would be longer than {KEY_BYTES} bytes", ""
                    )
                    return
                if size < int(part.type[8:-1]):
                    self._find("note", table.name, f"{part.name} becomes VARCHAR({size}) so that its key fits")
                    columns[part.name.lower()] = replace(part, type=f"VARCHAR({size})")

    # Defaults, checks, expressions

    def _default(self, table: Table, column: Column, kind: str) -> str:
        if column.default is None:
            return ""
        try:
            value = sqlglot.parse_one(column.default, read="sqlite").unnest()
        except SqlglotError:
            value = exp.Anonymous(this="unknown")
        word = column.default.strip("() ").upper()
        sql = ""
        if isinstance(value, exp.Null):
            return "" if column.not_null else "NULL"
        if word in ("CURRENT_TIMESTAMP", "CURRENT_DATE"):
            if word == "CURRENT_TIMESTAMP" and kind.startswith("DATETIME"):
                return f"CURRENT_TIMESTAMP{kind[8:]}"
            sql = "(CURRENT_DATE)" if kind == "DATE" else ""
        elif isinstance(value, exp.Literal) and value.is_string:
            sql = literal(str(value.this))
        elif isinstance(value, exp.Column) and column.default.strip("() ").startswith('"'):
            sql = literal(value.name)
        elif isinstance(value, exp.Boolean):
            sql = "1" if value.this else "0"
        elif isinstance(value, exp.Literal | exp.Neg) and not list(value.find_all(exp.Column)):
            sql = value.sql("mysql")
        if not sql:
            self._find(
                "warning",
                table.name,
                f"the default {column.default} of {column.name} has no counterpart and is left out",
                "let the application give the value",
            )
            return ""
        return f"({sql})" if kind.endswith(("TEXT", "BLOB")) else sql

    def _checks(self, table: Table) -> Iterator[str]:
        for check in table.checks:
            expression = self._expression(check)
            if expression is None:
                self._find("warning", table.name, f"CHECK ({check}) has no counterpart and is left out")
            else:
                yield expression

    def _expression(self, sql: str) -> str | None:
        """The same condition for the target when it is made of comparisons and arithmetic only, else None."""
        try:
            tree = sqlglot.parse_one(sql, read="sqlite")
        except SqlglotError:
            return None
        for node in tree.walk():
            if isinstance(node, exp.Identifier):
                node.set("quoted", True)
            elif not isinstance(node, PORTABLE):
                return None
        return tree.sql("mysql", comments=False)

    # Keys

    def _keep(self, table: Table, index: Index) -> bool:
        """Whether an index can be made here; a finding says so when not."""
        kind = "unique index" if index.unique else "index"
        if any(part.literal for part in index.parts):
            self._find(
                "warning", table.name, f"{kind} {index.name} is on a text that names no column and is left out", ""
            )
            return False
        if any(not part.column for part in index.parts):
            self._find("warning", table.name, f"{kind} {index.name} is on an expression and is left out")
            return False
        if index.where and index.unique:
            self._find(
                "warning",
                table.name,
                f"unique index {index.name} holds only WHERE {index.where} and is left out",
                "a full one could refuse rows the source has",
            )
            return False
        if index.where:
            self._find("warning", table.name, f"index {index.name} WHERE {index.where} becomes one over all rows")
        return True

    def _keys(
        self, table: Table, indexes: Sequence[Index], foreign: Sequence[ForeignKey], columns: Mapping[str, TargetColumn]
    ) -> Iterator[str]:
        """The KEY lines: the source's own, then one for each foreign key that has none to lean on."""
        used: set[str] = {"primary"}
        covered = [tuple(column.lower() for column in table.primary_key)]
        for index in indexes:
            name = "_".join((table.name, *index.columns, "unique")) if index.constraint else index.name
            name = self._free_name(table, name, used)
            parts = [self._part(table, index, part, columns[part.column.lower()]) for part in index.parts]
            yield f"{'UNIQUE ' if index.unique else ''}KEY {identifier(name)} ({', '.join(parts)})"
            if not any("(" in part for part in parts):
                covered.append(tuple(column.lower() for column in index.columns))
        for key in foreign:
            wanted = tuple(column.lower() for column in key.columns)
            if not any(have[: len(wanted)] == wanted for have in covered):
                covered.append(wanted)
                name = self._free_name(table, "_".join((table.name, *key.columns, "foreign")), used)
                yield f"KEY {identifier(name)} ({_names(key.columns)})"

    def _free_name(self, table: Table, name: str, used: set[str]) -> str:
        short = shorten(name)
        if short != name:
            self._find("note", table.name, f"the name {name} is too long, it becomes {short}")
        number = 2
        free = short
        while free.lower() in used:
            free, number = f"{short[: NAME_LIMIT - 4]}_{number}", number + 1
        used.add(free.lower())
        return free

    def _part(self, table: Table, index: Index, part: IndexPart, column: TargetColumn) -> str:
        sql = identifier(column.name)
        over = len(index.columns) * column.key_bytes > KEY_BYTES and _is_text(column.type)
        if column.long or (over and not index.unique):
            size = min(PREFIX, KEY_BYTES // CHARACTER_BYTES // len(index.columns))
            self._find("note", table.name, f"index {index.name} covers the first {size} characters of {column.name}")
            sql += f"({size})"
        return sql + (" DESC" if part.descending else "")

    def _keep_foreign(self, table: Table, key: ForeignKey, columns: Mapping[str, TargetColumn]) -> bool:
        what = f"the foreign key ({', '.join(key.columns)}) to {key.table}"
        parent = self.schema.table(key.table)
        wanted = tuple(column.lower() for column in key.references)
        unique = [] if parent is None else [parent.primary_key, *(i.columns for i in parent.indexes if i.unique)]
        if parent is None or len(wanted) != len(key.columns):
            self._find("warning", table.name, f"{what} leads nowhere and is left out")
            return False
        if not any(tuple(column.lower() for column in have) == wanted for have in unique):
            self._find("warning", table.name, f"{what} leads to columns that are not unique and is left out")
            return False
        if "SET DEFAULT" in (key.on_delete, key.on_update):
            self._find("warning", table.name, f"{what}: SET DEFAULT is not known to InnoDB, it refuses instead")
        if "SET NULL" in (key.on_delete, key.on_update) and any(columns[c.lower()].not_null for c in key.columns):
            self._find(
                "warning", table.name, f"{what}: SET NULL on a NOT NULL column is refused, it refuses instead", ""
            )
        return True

    def _foreign(self, table: Table, keys: Sequence[ForeignKey]) -> Iterator[str]:
        for key in keys:
            parent = self.schema.table(key.table)
            assert parent is not None
            references = [column.name for name in key.references if (column := parent.column(name))]
            not_null = any(c.not_null for name in key.columns if (c := table.column(name)))
            actions = "".join(
                f" ON {event} {action}"
                for event, action in (("DELETE", key.on_delete), ("UPDATE", key.on_update))
                if action in ACTIONS and not (action == "SET NULL" and not_null)
            )
            name = shorten("_".join((table.name, *key.columns, "foreign")))
            yield (
                f"CONSTRAINT {identifier(name)} FOREIGN KEY ({_names(key.columns)})"
                f" REFERENCES {identifier(parent.name)} ({_names(references)}){actions}"
            )


PORTABLE = (
    exp.Identifier,
    exp.Column,
    exp.Literal,
    exp.Null,
    exp.Boolean,
    exp.In,
    exp.Tuple,
    exp.Paren,
    exp.And,
    exp.Or,
    exp.Not,
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Between,
    exp.Is,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Neg,
)


def _is_text(kind: str) -> bool:
    return kind.startswith("VARCHAR") or kind.endswith("TEXT")


def _arguments(declared: str) -> list[int]:
    """The numbers in the parenthesis of a declared type."""
    inside = declared.partition("(")[2].partition(")")[0]
    return [int(part) for part in inside.split(",") if part.strip().isdigit()]


def _by_size(limits: Sequence[tuple[str, int]], size: int) -> str:
    return next(kind for kind, limit in limits if size <= limit)


Family = Literal["integer", "boolean", "decimal", "double", "date", "datetime", "time", "text", "blob"]


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


def _linked_integers(schema: SourceSchema, contents: Mapping[str, TableContents]) -> dict[tuple[str, str], str]:
    """One type for all integer columns that foreign keys tie together, and for automatic keys: BIGINT UNSIGNED as
    Laravel makes them, unless one holds a negative number."""
    leader: dict[tuple[str, str], tuple[str, str]] = {}

    def find(column: tuple[str, str]) -> tuple[str, str]:
        while leader.setdefault(column, column) != column:
            column = leader[column]
        return column

    for table in schema.tables:
        if len(table.primary_key) == 1:
            find((table.name.lower(), table.primary_key[0].lower()))
        for key in table.foreign_keys:
            for mine, theirs in zip(key.columns, key.references, strict=False):
                leader[find((table.name.lower(), mine.lower()))] = find((key.table.lower(), theirs.lower()))
    lows = {
        (table.name.lower(), column.name.lower()): contents[table.name].columns[column.name].low
        for table in schema.tables
        for column in table.columns
    }
    negative = {find(column) for column in list(leader) if lows.get(column, 0) < 0}
    return {column: "BIGINT" if find(column) in negative else "BIGINT UNSIGNED" for column in list(leader)}

"""A table as it is made on the target, and the SQL that makes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from dixis_tui.schemas.expressions import sizes_of
from dixis_tui.schemas.names import Names
from dixis_tui.target import identifier
from dixis_tui.translate.findings import Finding

KEY_BYTES = 3072
CHARACTER_BYTES = 4
PREFIX = 191
PRIMARY = "PRIMARY"


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
        return next(iter(sizes_of(self.type)), 0)

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
            lines.append(f"PRIMARY KEY ({column_list(self.primary_key)})")
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
    """views: CREATE VIEW statements by name, in the order they must be made; names: what is called otherwise here."""

    tables: tuple[TargetTable, ...]
    findings: tuple[Finding, ...] = ()
    views: Mapping[str, str] = field(default_factory=dict)
    names: Names = field(default_factory=Names)

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def column(self, table: str, column: str) -> TargetColumn:
        """The target's column for one of the source."""
        own, name = self.names.table(table), self.names.column(table, column)
        return next(c for t in self.tables if t.name == own for c in t.columns if c.name == name)

    def open(self, accepted: Collection[str]) -> tuple[Finding, ...]:
        """The findings that still need the operator's word; accepted holds ids and kinds."""
        return tuple(f for f in self.findings if f.needs_word and f.id not in accepted and f.kind not in accepted)


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


def column_list(columns: Iterable[str]) -> str:
    return ", ".join(identifier(column) for column in columns)

"""What the parts of a translation share: what is translated, for which server, and what they have found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from dixis_tui.schemas.catalogue import Index, SourceSchema, Table
from dixis_tui.schemas.contents import TableContents
from dixis_tui.schemas.expressions import lower
from dixis_tui.schemas.names import free
from dixis_tui.translate.families import Family, family_of
from dixis_tui.translate.findings import Finding, Severity
from dixis_tui.translate.links import column_key, linked, linked_integers
from dixis_tui.translate.server import Abilities, Merged
from dixis_tui.translate.tables import TargetColumn


@dataclass
class Draft:
    """The common state of one translation.

    findings, constraints: grow as the parts do their work; constraints are folded names. groups: columns that
    foreign keys tie together; integers, overridden, exact: by group, the type of its integers, the type [types] gives
    it, and those that need a binary collation. columns, kept: by table, its columns by name in lower case, and the
    indexes it has here.
    """

    schema: SourceSchema
    contents: Mapping[str, TableContents]
    server: Abilities
    collation: str
    types: Mapping[str, str]
    merged: Sequence[Merged]
    findings: list[Finding] = field(default_factory=list)
    constraints: set[str] = field(default_factory=set)
    columns: dict[str, dict[str, TargetColumn]] = field(default_factory=dict)
    kept: dict[str, list[Index]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.groups = linked(self.schema)
        self.integers = linked_integers(self.schema, self.contents, self.groups)
        self.overridden = {self.groups.of(column_key(name)): kind for name, kind in self.types.items()}
        self.exact = {
            self.groups.of((lower(one.table), column.lower())) for one in self.merged for column in one.columns
        }

    def find(self, severity: Severity, table: str, thing: str, kind: str, what: str, proposal: str = "") -> None:
        self.findings.append(Finding(severity, table, thing, kind, what, proposal))

    def constraint(self, name: str) -> str:
        """A name for a constraint that no other of the database has."""
        return free(name, self.constraints)

    def families(self, table: Table, wanted: Collection[str]) -> set[Family]:
        """The families of a table's columns that are named in lower case."""
        held = self.contents[table.name].columns
        return {family_of(c.declared, held[c.name]) for c in table.columns if c.name.lower() in wanted}


def column_names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def numbered(table: Table) -> str:
    """The column SQLite numbers by itself, in lower case; empty when there is none."""
    if not table.rowid or len(table.primary_key) != 1:
        return ""
    column = table.column(table.primary_key[0])
    return column.name.lower() if column is not None and column.declared.lower() == "integer" else ""

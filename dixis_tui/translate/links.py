"""Columns that foreign keys tie together, which must have one type."""

from __future__ import annotations

from collections.abc import Mapping

from dixis_tui.schemas.catalogue import SourceSchema
from dixis_tui.schemas.contents import TableContents
from dixis_tui.schemas.expressions import lower

ColumnName = tuple[str, str]


class Groups:
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


def column_key(name: str) -> ColumnName:
    table, _, column = name.rpartition(".")
    return lower(table), column.lower()


def linked(schema: SourceSchema) -> Groups:
    groups = Groups()
    for table in schema.tables:
        for key in table.foreign_keys:
            for mine, theirs in zip(key.columns, key.references, strict=False):
                groups.tie((lower(table.name), mine.lower()), (lower(key.table), theirs.lower()))
    return groups


def linked_integers(
    schema: SourceSchema, contents: Mapping[str, TableContents], groups: Groups
) -> dict[ColumnName, str]:
    """By group, one type for all integer columns that foreign keys tie together, and for single primary keys: BIGINT
    UNSIGNED as Laravel makes them, unless one holds a negative number."""
    linked: set[ColumnName] = set()
    negative: set[ColumnName] = set()
    for table in schema.tables:
        names = {column.lower() for key in table.foreign_keys for column in key.columns}
        names |= {table.primary_key[0].lower()} if len(table.primary_key) == 1 else set()
        linked |= {groups.of((lower(table.name), name)) for name in names}
        for column in table.columns:
            if contents[table.name].columns[column.name].low < 0:
                negative.add(groups.of((lower(table.name), column.name.lower())))
    return {group: "BIGINT" if group in negative else "BIGINT UNSIGNED" for group in linked}

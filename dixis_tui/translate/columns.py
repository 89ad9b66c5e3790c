"""The columns of a table on the target."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from dixis_tui.schemas import expressions
from dixis_tui.schemas.catalogue import Column, Table
from dixis_tui.schemas.expressions import lower
from dixis_tui.translate.defaults import default_of
from dixis_tui.translate.draft import Draft, column_names, numbered
from dixis_tui.translate.tables import TargetColumn
from dixis_tui.translate.types import type_of


def all_columns(draft: Draft, table: Table) -> dict[str, TargetColumn]:
    """The columns, by their name in lower case."""
    keyed = {name.lower() for name in table.primary_key}
    for index in table.indexes:
        keyed |= {column.lower() for column in index.columns if column}
        for part in index.parts:
            keyed |= set(expressions.columns_of(part.expression, column_names(table))) if part.expression else set()
    keyed |= {column.lower() for key in table.foreign_keys for column in key.columns}
    keyed |= {
        column.lower()
        for other in draft.schema.tables
        for key in other.foreign_keys
        if lower(key.table) == lower(table.name)
        for column in key.references
    }
    return {
        column.name.lower(): _column(draft, table, column, column.name.lower() in keyed) for column in table.columns
    }


def _column(draft: Draft, table: Table, column: Column, keyed: bool) -> TargetColumn:
    holds = draft.contents[table.name].columns[column.name]
    kind = type_of(draft, table, column, holds, keyed)
    if column.generated:
        made = _generated(draft, table, column, kind)
        if made is not None:
            return made
    null_key = bool(column.key) and holds.nulls > 0
    # SQLite numbers such a column by itself, with AUTOINCREMENT or without.
    numbered = bool(table.rowid) and table.primary_key == (column.name,) and column.declared.lower() == "integer"
    automatic = numbered and "INT" in kind.upper()
    group = draft.groups.of((lower(table.name), column.name.lower()))
    made = TargetColumn(
        name=column.name,
        type=kind,
        not_null=column.not_null or (bool(column.key) and not null_key),
        automatic=automatic,
    )
    if made.text and group in draft.exact and "COLLATE" not in kind:
        made = replace(made, collation=draft.server.exact_collation)
    return made if automatic else replace(made, default=default_of(draft, table, column, made))


def _generated(draft: Draft, table: Table, column: Column, kind: str) -> TargetColumn | None:
    """The generated column, None where only an ordinary one can be had."""
    names = column_names(table)
    expression = expressions.portable(column.generated, names)
    reads = expressions.columns_of(column.generated, names)
    why = ""
    if expression is None:
        why = "has no counterpart here"
    elif numbered(table) in reads:
        why = "reads the numbered column"
    elif _worded_otherwise(draft, table, expressions.read_as_text(column.generated, names)):
        why = "reads a number or a moment as a text, which the target words in another way"
    else:
        summed, fraction = expressions.computes(column.generated, names)
        if fraction or draft.families(table, summed) - {"integer"}:
            why = "computes with fractions, which the target rounds in another way"
    if why:
        what = f"generated column {column.name}: {column.generated} {why}"
        draft.find("warning", table.name, column.name, "generated", what, "an ordinary column with today's values")
        return None
    where = "STORED" if column.stored else "VIRTUAL"
    not_null = column.not_null and not draft.server.mariadb
    return TargetColumn(column.name, kind, not_null, generated=f"GENERATED ALWAYS AS ({expression}) {where}")


def _worded_otherwise(draft: Draft, table: Table, read_as_text: Collection[str]) -> bool:
    """True when one of these columns holds what the two sides write out as different texts: 10.5 and 10.50."""
    return bool(draft.families(table, read_as_text) - {"text", "integer"})

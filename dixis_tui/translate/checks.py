"""CHECK conditions that mean the same on the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dixis_tui.schemas import expressions
from dixis_tui.schemas.catalogue import ForeignKey, Table
from dixis_tui.translate.constants import mixes
from dixis_tui.translate.draft import Draft, column_names, numbered
from dixis_tui.translate.tables import TargetColumn


def checks_of(
    draft: Draft, table: Table, columns: Mapping[str, TargetColumn], kept: Sequence[ForeignKey]
) -> dict[str, str]:
    """Conditions by name."""
    acting = {
        name.lower() for key in kept if {"CASCADE", "SET NULL"} & {key.on_delete, key.on_update} for name in key.columns
    }
    checks = {}
    for number, check in enumerate(table.checks, 1):
        names = column_names(table)
        condition = expressions.portable(check, names)
        reads = expressions.columns_of(check, names)
        why = ""
        if condition is None:
            why = "has no counterpart"
        elif any(name not in columns for name in reads):
            why = "reads a column that is left out"
        elif mixes(check, names, columns):
            why = "compares a column with a constant of another kind, which SQLite does otherwise"
        elif numbered(table) in reads:
            why = "reads the numbered column, which the server refuses"
        elif acting & set(reads) and not draft.server.mariadb:
            why = "reads a column that a foreign key changes, which the server refuses"
        if why or condition is None:
            what = f"CHECK ({check}) {why}"
            draft.find("warning", table.name, f"check {number}", "check", what, "it is left out")
        else:
            checks[draft.constraint(f"{table.name}_check_{number}")] = condition
    return checks

"""One translation, from a schema and what its columns hold to tables, views and findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from dixis_tui.catalogue import SourceSchema, Table, TableContents
from dixis_tui.model import DixisError
from dixis_tui.names import name_obstacle
from dixis_tui.translate.checks import checks_of
from dixis_tui.translate.columns import all_columns
from dixis_tui.translate.draft import Draft
from dixis_tui.translate.findings import Severity
from dixis_tui.translate.foreign import foreign_lines, keep_foreign
from dixis_tui.translate.keys import keep, keys_of, primary_key
from dixis_tui.translate.objects import tell_merged, tell_objects, views_of
from dixis_tui.translate.server import Abilities, Merged
from dixis_tui.translate.sizes import fit_keys, fit_row
from dixis_tui.translate.tables import TargetTable, Translation


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
    draft = Draft(schema, contents, server, collation, dict(types or {}), tuple(merged))
    _check_types(draft)
    kept = _kept_tables(draft)
    draft.columns = {table.name: all_columns(draft, table) for table in kept}
    for table in [one for one in kept if not draft.columns[one.name]]:
        what = "has no column that the target can have"
        draft.find("error", table.name, "", "columns", what, "it is left out; the copy stops if it holds rows")
        del draft.columns[table.name]
        kept.remove(table)
    for table in kept:
        fit_keys(draft, table, draft.columns[table.name])
        fit_row(draft, table, draft.columns[table.name])
    draft.kept = {table.name: [i for i in table.indexes if keep(draft, table, i)] for table in kept}
    tables = tuple(_table(draft, table) for table in kept)
    tell_merged(draft)
    views = views_of(draft, {table.name for table in kept})
    tell_objects(draft)
    worst_first = sorted(draft.findings, key=lambda finding: get_args(Severity).index(finding.severity))
    return Translation(tables, tuple(worst_first), views)


def _check_types(draft: Draft) -> None:
    for name in draft.types:
        table, _, column = name.rpartition(".")
        there = draft.schema.table(table)
        if there is None or there.column(column) is None:
            raise DixisError(
                f"[types] names {name}, which the source does not have.",
                safe="nothing was created",
                next_step="mend [types] in the configuration; its keys are written table.column",
            )


def _kept_tables(draft: Draft) -> list[Table]:
    kept: dict[str, Table] = {}
    for table in draft.schema.tables:
        obstacle = name_obstacle(table.name)
        other = kept.get(table.name.lower() if draft.server.one_case else table.name)
        if obstacle:
            draft.find("error", table.name, "", "name", obstacle, "it is left out with its rows")
        elif other is not None:
            what = f"is the same name as {other.name} to this server"
            draft.find("error", table.name, "", "name", what, "it is left out with its rows")
        else:
            kept[table.name.lower() if draft.server.one_case else table.name] = table
    return list(kept.values())


def _table(draft: Draft, table: Table) -> TargetTable:
    columns = draft.columns[table.name]
    foreign = [key for key in table.foreign_keys if keep_foreign(draft, table, key, columns)]
    primary = primary_key(draft, table, columns)
    options = f"ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={draft.collation}"
    if table.sequence is not None and any(column.automatic for column in columns.values()):
        options += f" AUTO_INCREMENT={table.sequence + 1}"
    keys, helpers = keys_of(draft, table, draft.kept[table.name], foreign, columns, primary)
    return TargetTable(
        name=table.name,
        columns=(*columns.values(), *helpers),
        primary_key=primary,
        keys=tuple(keys),
        checks=checks_of(draft, table, columns, foreign),
        foreign_keys=dict(foreign_lines(draft, table, foreign)),
        options=options,
    )

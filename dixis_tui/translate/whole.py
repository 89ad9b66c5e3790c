"""One translation, from a schema and what its columns hold to tables, views and findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import get_args

from dixis_tui.model import DixisError
from dixis_tui.schemas.catalogue import SourceSchema, Table
from dixis_tui.schemas.contents import TableContents
from dixis_tui.schemas.expressions import lower
from dixis_tui.schemas.names import Names, name_obstacle, target_names
from dixis_tui.translate.checks import checks_of
from dixis_tui.translate.columns import all_columns
from dixis_tui.translate.draft import Draft
from dixis_tui.translate.findings import Finding, Severity
from dixis_tui.translate.foreign import foreign_lines, keep_foreign
from dixis_tui.translate.keys import keep, keys_of, primary_key
from dixis_tui.translate.objects import tell_merged, tell_objects
from dixis_tui.translate.server import Abilities, Merged
from dixis_tui.translate.sizes import fit_keys, fit_row
from dixis_tui.translate.tables import TargetTable, Translation
from dixis_tui.translate.views import views_of


def translate(
    schema: SourceSchema,
    contents: Mapping[str, TableContents],
    *,
    server: Abilities,
    collation: str,
    types: Mapping[str, str] | None = None,
    merged: Iterable[Merged] = (),
    names: Mapping[str, str] | None = None,
) -> Translation:
    """The schema for a target; contents by table name; types, names: by `table.column` of the source, instead of those
    the console chooses.

    Raises DixisError when types or names speak of what the source does not have.
    """
    _check_types(schema, types or {})
    own = target_names(schema, names or {}, one_case=server.one_case)
    draft = _draft(schema, contents, server, collation, types or {}, merged, own)
    for table in draft.schema.tables:
        draft.columns[table.name] = all_columns(draft, table)
        fit_keys(draft, table, draft.columns[table.name])
        fit_row(draft, table, draft.columns[table.name])
    draft.kept = {table.name: [i for i in table.indexes if keep(draft, table, i)] for table in draft.schema.tables}
    tables = tuple(_table(draft, table) for table in draft.schema.tables)
    tell_merged(draft)
    views = views_of(draft, schema, own)
    tell_objects(draft)
    findings = [*_renames(schema, own, names or {}), *_by_source_names(draft.findings, schema, own)]
    worst_first = sorted(findings, key=lambda finding: get_args(Severity).index(finding.severity))
    return Translation(tables, tuple(worst_first), views, own)


def _draft(
    schema: SourceSchema,
    contents: Mapping[str, TableContents],
    server: Abilities,
    collation: str,
    types: Mapping[str, str],
    merged: Iterable[Merged],
    own: Names,
) -> Draft:
    """The draft, in which everything is called as on the target from the beginning."""

    def column_key(name: str) -> str:
        table, _, column = name.rpartition(".")
        return f"{own.table(table)}.{own.column(table, column)}"

    return Draft(
        replace(schema, tables=tuple(own.renamed(table) for table in schema.tables)),
        {
            own.table(name): replace(held, columns={own.column(name, c): one for c, one in held.columns.items()})
            for name, held in contents.items()
        },
        server,
        collation,
        {column_key(name): kind for name, kind in types.items()},
        [
            replace(m, table=own.table(m.table), columns=tuple(own.column(m.table, c) for c in m.columns))
            for m in merged
        ],
    )


def _renames(schema: SourceSchema, own: Names, chosen: Mapping[str, str]) -> Iterator[Finding]:
    """A finding for each name that is another one here; a note where the configuration chose it."""
    given = {lower(key) for key in chosen}
    proposal = "that name; the application must use it, too. [names] can choose another"
    for table in schema.tables:
        name = own.table(table.name)
        if name != table.name:
            why = name_obstacle(table.name) or "has a name that is another's to this server"
            severity: Severity = "note" if lower(table.name) in given else "warning"
            yield Finding(severity, table.name, "", "name", f"{why}; it is {name} here", proposal)
        for column in table.columns:
            name = own.column(table.name, column.name)
            if name != column.name:
                why = name_obstacle(column.name) or "has a name that is another's to this server"
                severity = "note" if lower(f"{table.name}.{column.name}") in given else "warning"
                what = f"column {column.name} {why}; it is {name} here"
                yield Finding(severity, table.name, column.name, "name", what, proposal)


def _by_source_names(findings: Iterable[Finding], schema: SourceSchema, own: Names) -> Iterator[Finding]:
    """Findings under the names the operator knows."""
    tables = {own.table(table.name): table for table in schema.tables}
    for finding in findings:
        table = tables.get(finding.table)
        if table is None:
            yield finding
        else:
            thing = own.source_column(table, finding.object) or finding.object
            yield replace(finding, table=table.name, object=thing)


def _check_types(schema: SourceSchema, types: Mapping[str, str]) -> None:
    for name in types:
        table, _, column = name.rpartition(".")
        there = schema.table(table)
        if there is None or there.column(column) is None:
            raise DixisError(
                f"[types] names {name}, which the source does not have.",
                safe="nothing was created",
                next_step="mend [types] in the configuration; its keys are written table.column",
            )


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

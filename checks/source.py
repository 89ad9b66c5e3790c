"""Checks of the source. All of them read the snapshot that the first one takes."""

from __future__ import annotations

import sqlite3

import humanize

from checks.registry import Answer, check, good, problem
from dixis_tui.context import Context
from dixis_tui.source import latest_snapshot, preflight_snapshot, reading


@check(
    "preflight.snapshot",
    "Source can be copied and is whole",
    why="Everything later reads consistent copies; a damaged source must be known before the window.",
    severity="fail",
    remedy="mend or restore the source: sqlite3 <file> 'PRAGMA integrity_check'",
)
def snapshot(ctx: Context) -> Answer:
    outcome = preflight_snapshot(ctx)
    if not outcome.status.settled:
        return problem(outcome.summary, *outcome.evidence, remedy=outcome.remedy)
    return good(outcome.summary, *outcome.evidence, facts=dict(outcome.facts))


@check(
    "preflight.source-size",
    "Size of the source",
    why="The window is planned by rows and bytes.",
    severity="warn",
    remedy="check that [source] path names the live database",
)
def size(ctx: Context) -> Answer:
    taken = latest_snapshot(ctx)
    with reading(taken) as connection:
        tables = [
            str(row[0])
            for row in connection.execute(
                "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
                " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
            )
        ]
        counts = {name: _count(connection, name) for name in tables}
    rows = sum(counts.values())
    summary = f"{len(tables)} tables, {rows:,} rows, {humanize.naturalsize(taken.size)}"
    largest = sorted(counts.items(), key=lambda item: -item[1])[:10]
    evidence = [f"{count:>12,}  {name}" for name, count in largest if count]
    if rows == 0:
        return problem(f"{summary}: there is nothing to migrate")
    return good(summary, *evidence, facts={"tables": len(tables), "rows": rows, "bytes": taken.size})


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = '"' + table.replace('"', '""') + '"'
    return int(connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0])


@check(
    "preflight.source-orphans",
    "Rows that refer to nothing",
    why="SQLite often never enforced its foreign keys; MySQL will not take such rows back once they are there.",
    severity="warn",
    remedy="mend or remove these rows in the shop, or decide with the database reviewer to carry them over",
)
def orphans(ctx: Context) -> Answer:
    lines, rows = [], 0
    with reading(latest_snapshot(ctx)) as connection:
        tables = connection.execute(
            "SELECT DISTINCT m.name FROM sqlite_schema m, pragma_foreign_key_list(m.name)"
        ).fetchall()
        for (table,) in sorted(tables):
            try:
                found = connection.execute(
                    'SELECT "parent", count(*), min("rowid") FROM pragma_foreign_key_check(?) GROUP BY 1 ORDER BY 1',
                    (table,),
                ).fetchall()
            except sqlite3.OperationalError as error:
                # The key itself is broken: it names a table or a column that is not there, or not unique.
                lines.append(f"{table}: cannot be checked: {error}")
                continue
            rows += sum(count for _, count, _ in found)
            lines += [f"{table} → {parent}: {count} rows, the first rowid {first}" for parent, count, first in found]
    if lines:
        return problem(f"{rows} rows refer to rows that are not there", *lines)
    return good(f"the foreign keys of {len(tables)} tables find their rows")

"""What is copied: a job for every table, its columns matched by name, and what would not arrive as it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dixis_tui.config import Conversion
from dixis_tui.context import Context
from dixis_tui.copy.copying import Job, reading_jobs
from dixis_tui.copy.segments import Compared, compared
from dixis_tui.phrase import counted
from dixis_tui.schemas import catalogue, conversions, exact, rows, shape
from dixis_tui.schemas.catalogue import Table
from dixis_tui.schemas.contents import TableContents
from dixis_tui.schemas.expressions import lower
from dixis_tui.schemas.names import Names, target_names
from dixis_tui.schemas.readings import copied_tables, names_on, read_source
from dixis_tui.schemas.rows import Field
from dixis_tui.source import Snapshot, latest_snapshot
from dixis_tui.target import ServerFacts, TargetConnection, server_facts


def jobs(ctx: Context, connection: TargetConnection) -> list[Job]:
    """One job for every table whose rows are copied; columns are matched by name, whatever their order."""
    return planned_jobs(ctx, shape.all_columns(connection), server_facts(connection))


def planned_jobs(ctx: Context, targets: Mapping[str, Sequence[shape.ShapeColumn]], facts: ServerFacts) -> list[Job]:
    """The jobs for these tables of a server, which need not be there yet."""
    found = _jobs(ctx, targets, facts, exactly=False)
    if any(job.problems for job in found):
        # It may be the rows of an earlier snapshot that do not fit: this one is asked itself.
        found = _jobs(ctx, targets, facts, exactly=True)
    return found


def _jobs(
    ctx: Context, targets: Mapping[str, Sequence[shape.ShapeColumn]], facts: ServerFacts, *, exactly: bool
) -> list[Job]:
    schema, contents = read_source(ctx, exactly=exactly)
    wanted = conversions.declared(ctx.config)
    snapshot = latest_snapshot(ctx)
    names = target_names(schema, ctx.config.names, one_case=facts.one_case)
    found = []
    for table in copied_tables(ctx.config, schema):
        columns = shape.named(targets, names.table(table.name)) or ()
        rules = wanted.get(lower(table.name), [])
        if rules and columns:
            job = _converted_job(snapshot, table, contents[table.name], columns, names, rules)
        else:
            job = _job(table, contents[table.name], columns, names)
        found.append(_with_packets(snapshot, _with_altered(snapshot, job), facts))
    return found


def _with_altered(snapshot: Snapshot, job: Job) -> Job:
    """The job, with a problem for each column whose values the target would alter without a word."""
    if not exact.asks(job.fields):
        return job
    with reading_jobs(snapshot.path, [job]) as source:
        kept = snapshot.path.with_name(f"exact-{snapshot.sha256}")
        altered = exact.altered(source, job.read, job.fields, kept, job.converted.sql if job.converted else "")
    return replace(job, problems=(*job.problems, *(f"{column}: {why}" for column, why in altered.items())))


def _converted_job(
    snapshot: Snapshot,
    table: Table,
    contents: TableContents,
    columns: Sequence[shape.ShapeColumn],
    names: Names,
    rules: Sequence[Conversion],
) -> Job:
    by_name = {lower(names.source_column(table, column.name)): column for column in columns}
    wrong = conversions.problems(table, rules, by_name)
    if wrong:
        return replace(_job(table, contents, columns, names), problems=tuple(wrong))
    converted = conversions.converted(table, rules, by_name)
    with reading_jobs(snapshot.path, [Job(table, "", 0, (), converted=converted)]) as source:
        job = _job(table, converted.contents(source, snapshot.path.parent, snapshot.sha256), columns, names)
    return replace(job, converted=converted)


def _with_packets(snapshot: Snapshot, job: Job, facts: ServerFacts) -> Job:
    """The job, with a problem for each value that is too large for one packet of the server's.

    By INSERT whole rows must fit; a value alone must fit in any case, or the application could not read it.
    """
    most = facts.max_allowed_packet
    if rows.width(job.fields) < most:
        return job
    with reading_jobs(snapshot.path, [job]) as source:
        return replace(job, problems=(*job.problems, *_too_large(source, job, facts)))


def _too_large(source: sqlite3.Connection, job: Job, facts: ServerFacts) -> list[str]:
    most = facts.max_allowed_packet
    problems = []
    for item in job.fields:
        if item.holds.bytes >= most:
            key = rows.largest(source, job.read, f"length(CAST({catalogue.name(item.source.name)} AS BLOB))")
            problems.append(f"{item.source.name} holds {item.holds.bytes} bytes in the row with {key}")
    if not problems and not facts.local_infile:
        size = f"length({rows.row_text(job.fields, load=False)})"
        head = len(rows.insert_statement(job.name, job.fields))
        key = rows.largest(source, job.read, size, above=most - head - 1)
        problems += [f"the row with {key}, written as an INSERT, is larger than a packet"] if key else []
    told = f"; the server's max_allowed_packet is {most} bytes: raise it"
    return [problem + told for problem in problems]


def _job(table: Table, contents: TableContents, columns: Sequence[shape.ShapeColumn], names: Names) -> Job:
    name = names.table(table.name)
    if not columns:
        return Job(table, name, contents.rows, (), ("the target has no such table",))
    there = {column.name.lower(): column for column in columns}
    fields, problems = [], []
    for column in table.columns:
        target = there.pop(names.column(table.name, column.name).lower(), None)
        holds = contents.columns[column.name]
        if target is None:
            if holds.values:
                problems.append(f"the target has no column {column.name}, which holds {counted(holds.values, 'value')}")
        elif not target.generated:
            fields.append(Field(column, holds, target))
    if contents.rows:
        problems += [f"{item.source.name}: {problem}" for item in fields if (problem := item.problem())]
        problems += [
            f"the target wants a value for {column.name}, which the source does not have"
            for column in there.values()
            if not (column.nullable or column.default or column.automatic or column.generated)
        ]
    return Job(table, name, contents.rows, tuple(fields), tuple(problems))


def unfit(job: Job) -> list[Field]:
    """The columns of a job whose values do not fit and for which no conversion is declared."""
    named = {problem.partition(": ")[0] for problem in job.problems}
    return [item for item in job.fields if item.source.name in named and not job.converted]


def compared_tables(ctx: Context, connection: TargetConnection, wanted: Sequence[Job]) -> list[Compared]:
    """How to compare each of these tables."""
    columns, indexes = shape.all_columns(connection), shape.all_indexes(connection)
    schema, contents = read_source(ctx, exactly=False)
    names = names_on(ctx, connection, schema)
    return [
        compared(
            job,
            shape.named(columns, job.name) or (),
            shape.named(indexes, job.name) or (),
            contents[job.table.name].columns,
            names,
        )
        for job in wanted
    ]

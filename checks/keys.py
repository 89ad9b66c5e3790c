"""Checks of keys and references: does every row keep its place and its parents?"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping

import humanize

from checks.data import VALUES
from checks.registry import Answer, check, finding, found
from checks.schema import accept, told_by_translation
from checks.shared import SCAN, planned
from dixis_tui.context import Context
from dixis_tui.copy import misfits
from dixis_tui.copy.copying import Job, reading_jobs
from dixis_tui.model import Finding
from dixis_tui.phrase import counted
from dixis_tui.schemas import catalogue, rows
from dixis_tui.schemas.catalogue import ForeignKey, SourceSchema, Table
from dixis_tui.schemas.readings import read_source
from dixis_tui.source import latest_snapshot, reading

# Keys written out in one statement.
LISTED = 500
# Clients of many kinds take no larger packet unless told otherwise.
USUAL_PACKET = 16 << 20


@check(
    "data.unique-collision",
    "Unique keys under the target's collation",
    why="The target's collation takes Ελιά, ΕΛΙΑ and ελια for one word, ß for ss, and a trailing space for nothing."
    " The server itself is asked about every unique key.",
    severity="warn",
    remedy="give the columns a collation that tells their values apart, or mend the rows",
    needs=VALUES,
)
def unique_collision(ctx: Context) -> Answer:
    keys = sum(index.unique for table in planned(ctx).schema.tables for index in table.indexes)
    return found(
        told_by_translation(ctx, {"collation"}), f"{keys} unique keys keep their rows apart on the server, too"
    )


@check(
    "data.null-key",
    "No NULL in primary keys",
    why="SQLite allows NULL in a primary key, more than once. No other database does.",
    severity="warn",
    remedy="give these rows a key in the source",
    needs=(SCAN,),
)
def null_key(ctx: Context) -> Answer:
    source_schema, contents = read_source(ctx)
    accepted = ctx.config.schema_section.accept
    findings = []
    with reading(latest_snapshot(ctx)) as source:
        source.text_factory = bytes
        for table in source_schema.tables:
            for column in table.primary_key:
                nulls = contents[table.name].columns[column].nulls
                if not nulls:
                    continue
                name = f"{table.name}.PRIMARY:primary-key"
                known = name in accepted or "primary-key" in accepted
                by_number = Table(table.name, table.columns, (), table.rowid)
                c = catalogue.name(column)
                findings.append(
                    finding(
                        f"{counted(nulls, 'row has', 'rows have')} no {column},"
                        " which is in the primary key; a unique key takes its place",
                        *accept(name),
                        severity="note" if known else "warn",
                        table=table.name,
                        column=column,
                        rows=nulls,
                        examples=misfits.examples(source, by_number, by_number, c, f"{c} IS NULL"),
                    )
                )
    return found(findings, f"no NULL in the primary keys of {counted(len(source_schema.tables), 'table')}")


@check(
    "data.orphans",
    "Rows that refer to nothing",
    why="SQLite often never enforced its foreign keys. MySQL will not take such rows back once they are there, and the"
    " proof refuses them.",
    severity="fail",
    remedy="mend or remove these rows, set them aside, or leave the key out with a signature",
    needs=VALUES,
)
def orphans(ctx: Context) -> Answer:
    plan = planned(ctx)
    # Rows that conversions set aside are parents to nobody.
    views = {job.name: job.read for job in plan.jobs}
    with reading_jobs(plan.snapshot.path, plan.jobs) as source:
        keys = [(table, key) for table in plan.schema.tables for key in table.foreign_keys]
        findings = [
            one
            for table, key in keys
            if _leads_somewhere(plan.schema, key)
            for one in _orphans(ctx, source, plan.schema, views, table, key)
        ]
    return found(findings, f"{len(keys)} foreign keys find their rows")


def key_name(table: str, columns: tuple[str, ...]) -> str:
    """A foreign key as the configuration names it."""
    return f"{table}.({', '.join(columns)})"


def _leads_somewhere(source_schema: SourceSchema, key: ForeignKey) -> bool:
    parent = source_schema.table(key.table)
    there = bool(key.references) and len(key.references) == len(key.columns)
    return parent is not None and there and all(parent.column(column) for column in key.references)


def _orphans(
    ctx: Context,
    source: sqlite3.Connection,
    source_schema: SourceSchema,
    views: Mapping[str, Table],
    table: Table,
    key: ForeignKey,
) -> Iterator[Finding]:
    parent = source_schema.table(key.table)
    assert parent is not None
    ctx.check_stop()
    read, parents = views.get(table.name, table), views.get(parent.name, parent)
    child = catalogue.name(read.name)
    mine = [f"{child}.{catalogue.name(column)}" for column in key.columns]
    theirs = [f"parent.{catalogue.name(column)}" for column in key.references]
    equal = " AND ".join(f"{a} = {b}" for a, b in zip(theirs, mine, strict=True))
    given = " AND ".join(f"{column} IS NOT NULL" for column in mine)
    where = f"{given} AND NOT EXISTS (SELECT 1 FROM {catalogue.name(parents.name)} AS parent WHERE {equal})"
    count = int(source.execute(f"SELECT count(*) FROM {child} WHERE {where}").fetchone()[0])
    if not count:
        return
    aside = _set_aside(source, table, key, parent, where, child) if parents is not parent else ""
    name = key_name(table.name, key.columns)
    left_out = ctx.config.schema_section.leave_out.get(name)
    signed = f"; the key is left out: {left_out}" if left_out else ""
    yield finding(
        f"{counted(count, 'row refers', 'rows refer')} to rows of {parent.name}"
        f" that {'are set aside' if aside else 'are not there'}{signed}",
        *([] if signed else _ways_out(table, key, aside or _lost(table, key, parent), aside == "", name)),
        severity="note" if signed else "fail",
        table=table.name,
        column=", ".join(key.columns),
        rows=count,
        examples=misfits.examples(source, table, read, " || ', ' || ".join(mine), where),
    )


def _set_aside(source: sqlite3.Connection, table: Table, key: ForeignKey, parent: Table, where: str, read: str) -> str:
    """The orphans by the values of their keys, where their parents are there and only set aside; empty otherwise."""
    lost = f"SELECT 1 FROM {catalogue.name(table.name)} WHERE {_lost(table, key, parent)}"
    if source.execute(f"SELECT EXISTS ({lost})").fetchone()[0]:
        return ""
    mine = [catalogue.name(column) for column in key.columns]
    told = " || ', ' || ".join(f"quote({read}.{column})" for column in mine)
    rows = source.execute(f"SELECT DISTINCT {told} FROM {read} WHERE {where} LIMIT {LISTED}")
    values = ", ".join(f"({bytes(row[0]).decode(errors='replace')})" for row in rows)
    return f"({', '.join(mine)}) IN (VALUES {values})"


def _lost(table: Table, key: ForeignKey, parent: Table) -> str:
    """The condition of a row whose parent is not in the source."""
    mine = [f"{catalogue.name(table.name)}.{catalogue.name(column)}" for column in key.columns]
    pairs = zip(key.references, mine, strict=True)
    equal = " AND ".join(f"parent.{catalogue.name(theirs)} = {column}" for theirs, column in pairs)
    given = " AND ".join(f"{column} IS NOT NULL" for column in mine)
    return f"{given} AND NOT EXISTS (SELECT 1 FROM {catalogue.name(parent.name)} AS parent WHERE {equal})"


def _ways_out(table: Table, key: ForeignKey, where: str, lost: bool, name: str) -> Iterator[str]:
    """Fix, set aside, or leave the key out with a signature. lost: the parents are nowhere, not even set aside."""
    first = catalogue.name(key.columns[0])
    column = table.column(key.columns[0])
    yield "-- in the source:"
    if column is not None and not column.not_null and not column.key:
        yield f"UPDATE {catalogue.name(table.name)} SET {first} = NULL WHERE {where};"
    else:
        yield f"DELETE FROM {catalogue.name(table.name)} WHERE {where};"
    if lost and "." not in table.name and "." not in key.columns[0]:
        yield "or"
        yield "[[data.conversions]]"
        yield f"column = {json.dumps(f'{table.name}.{key.columns[0]}', ensure_ascii=False)}"
        yield 'rule = "set-orphans-aside"'
    yield "or"
    yield "[schema.leave_out]"
    yield f'{json.dumps(name, ensure_ascii=False)} = "who decides it, and why"'


@check(
    "data.packet",
    "Values within max_allowed_packet",
    why="A value larger than a packet can neither be sent nor be read back by the application.",
    severity="fail",
    remedy="as an administrator: SET PERSIST max_allowed_packet = …; or set it in the parameter group",
    needs=VALUES,
)
def packet(ctx: Context) -> Answer:
    plan = planned(ctx)
    most = plan.facts.max_allowed_packet
    findings: list[Finding] = []
    for job in plan.jobs:
        if any("max_allowed_packet" in text for text in job.problems):
            findings += _over(ctx, job, most, plan.facts.mariadb)
        findings += [
            finding(
                f"values of up to {humanize.naturalsize(one.holds.bytes, binary=True)}: clients that take packets of"
                " 16 MiB, dumps among them, must be told to take more",
                severity="note",
                table=job.name,
                column=one.source.name,
            )
            for one in job.fields
            if USUAL_PACKET <= one.holds.bytes < most
        ]
    return found(findings, f"no value reaches {humanize.naturalsize(most, binary=True)}")


def _over(ctx: Context, job: Job, most: int, mariadb: bool) -> Iterator[Finding]:
    """What does not fit into a packet, with the size that would be enough."""
    wanted = 1 << max(rows.width(job.fields), most).bit_length()
    verb = "GLOBAL" if mariadb else "PERSIST"
    remedy = (
        f"SET {verb} max_allowed_packet = {min(wanted, 1 << 30)};",
        "-- on a managed server: the same number in its parameter group",
    )
    large = [one for one in job.fields if one.holds.bytes >= most]
    with reading_jobs(latest_snapshot(ctx).path, [job]) as source:
        for one in large:
            size = f"length(CAST({catalogue.name(one.source.name)} AS BLOB))"
            key = rows.largest(source, job.read, size)
            count = source.execute(
                f"SELECT count(*) FROM {catalogue.name(job.read.name)} WHERE {size} >= {most}"
            ).fetchone()[0]
            yield finding(
                f"{counted(count, 'value is', 'values are')} too large for a packet of {most} bytes",
                *remedy,
                table=job.name,
                column=one.source.name,
                rows=int(count),
                examples=[(key, f"{one.holds.bytes} bytes")],
            )
    if not large:
        told = next(text for text in job.problems if "max_allowed_packet" in text)
        yield finding(told, *remedy, table=job.name, rows=1)


@check(
    "data.ids",
    "Numbers 0 and below",
    why="A row with number 0 is numbered anew by tools that do not say otherwise. Laravel's keys are unsigned.",
    severity="note",
    remedy="nothing to mend: these numbers are carried exactly",
    needs=(SCAN,),
)
def ids(ctx: Context) -> Answer:
    source_schema, contents = read_source(ctx)
    findings = []
    with reading(latest_snapshot(ctx)) as source:
        source.text_factory = bytes
        for table in source_schema.tables:
            if len(table.primary_key) != 1:
                continue
            holds = contents[table.name].columns[table.primary_key[0]]
            if holds.integers and holds.low <= 0:
                c = catalogue.name(table.primary_key[0])
                count = source.execute(f"SELECT count(*) FROM {catalogue.name(table.name)} WHERE {c} <= 0").fetchone()[
                    0
                ]
                shown = misfits.examples(source, table, table, c, f"{c} <= 0")
                text = f"{counted(count, 'row')} with the number 0 or below"
                column = table.primary_key[0]
                findings.append(finding(text, table=table.name, column=column, rows=int(count), examples=shown))
            if table.sequence is not None and table.sequence > max(holds.high, 0):
                text = f"numbers up to {table.sequence} were given out, the highest row is {holds.high}: carried over"
                findings.append(finding(text, table=table.name, column=table.primary_key[0]))
    return found(findings, "every numbered key begins at 1")


@check(
    "data.no-key",
    "Every table has a key",
    why="Without a key a row cannot be named, compared or mended, and a tool that is run twice doubles the table.",
    severity="note",
    remedy="give the table a primary key by a migration",
    needs=VALUES,
)
def no_key(ctx: Context) -> Answer:
    plan = planned(ctx)
    required = plan.facts.variables.get("sql_require_primary_key", "OFF").upper() in ("ON", "1")
    findings = []
    for table in plan.schema.tables:
        unique = any(index.unique for index in table.indexes)
        if not table.primary_key and required:
            text = "has no primary key, and the server demands one (sql_require_primary_key)"
            remedy = "SET PERSIST sql_require_primary_key = OFF;"
            findings.append(finding(text, remedy, severity="fail", table=table.name))
        elif not table.primary_key and not unique:
            count = plan.contents[table.name].rows
            text = f"has no key: its {count} rows are copied all the same, equal ones as often as they are there"
            findings.append(finding(text, table=table.name, rows=count))
        elif len(table.primary_key) > 1 or not table.rowid:
            text = f"is keyed by {', '.join(table.primary_key)}: its rows are walked by that"
            findings.append(finding(text, table=table.name))
    return found(findings, f"{len(plan.schema.tables)} tables have a key of one number")

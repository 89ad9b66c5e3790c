"""Checks of the data: does every value have its place on the target?"""

from __future__ import annotations

from collections.abc import Iterator

import humanize

from checks.registry import Answer, check, finding, found, good, problem, skip
from checks.shared import PLANNED, SCAN, SCRATCH, SERVER, SOURCE, Planned, planned, scanned
from dixis_tui.context import Context
from dixis_tui.copy import misfits
from dixis_tui.copy.misfits import Misfit
from dixis_tui.model import Finding
from dixis_tui.phrase import counted
from dixis_tui.schemas import catalogue, proposals
from dixis_tui.source import latest_snapshot, preflight_snapshot

VALUES = (PLANNED,)
UNKNOWN = "the target's columns are not known before artisan has built them: run the Schema phase first"


@check(
    SOURCE,
    "Source can be copied and is whole",
    why="Everything later reads consistent copies. A damaged source must be known before the window.",
    severity="fail",
    remedy="mend or restore the source: sqlite3 <file> 'PRAGMA integrity_check'",
)
def snapshot(ctx: Context) -> Answer:
    outcome = preflight_snapshot(ctx)
    if not outcome.status.settled:
        return problem(outcome.summary, *outcome.evidence, remedy=outcome.remedy)
    return good(outcome.summary, *outcome.evidence, facts=dict(outcome.facts))


@check(
    SCAN,
    "What the columns really hold",
    why="SQLite keeps any value in any column. Types, lengths and forms are read from the rows, once for all checks.",
    severity="fail",
    remedy="check that [source] path names the live database",
    needs=(SOURCE,),
)
def scan(ctx: Context) -> Answer:
    source_schema, contents, _ = scanned(ctx)
    rows = sum(held.rows for held in contents.values())
    taken = latest_snapshot(ctx)
    summary = (
        f"{counted(len(source_schema.tables), 'table')}, {counted(rows, 'row')}, {humanize.naturalsize(taken.size)}"
    )
    largest = sorted(contents.items(), key=lambda item: -item[1].rows)[:10]
    evidence = [f"{held.rows:>12,}  {name}" for name, held in largest if held.rows]
    facts = {"tables": len(contents), "rows": rows, "bytes": taken.size}
    if rows == 0:
        return problem(f"{summary}: there is nothing to migrate", severity="warn")
    return good(summary, *evidence, facts=facts)


@check(
    PLANNED,
    "What the copy would do",
    why="The translation and the copy's own jobs are made once, for all checks that speak of them.",
    severity="fail",
    remedy="mend what the message names",
    needs=(SCAN, SERVER, SCRATCH),
)
def plan_of_copy(ctx: Context) -> Answer:
    plan = planned(ctx)
    if not plan.targets:
        return skip(UNKNOWN)
    columns = sum(len(job.fields) for job in plan.jobs)
    rows = sum(job.total for job in plan.jobs)
    return good(f"{counted(len(plan.jobs), 'table')}, {counted(columns, 'column')}, {counted(rows, 'row')}")


# One check for each way in which a value can do wrong: title, why it matters, what is said of the rows.
WAYS = {
    misfits.TYPE: (
        "Values of the declared type",
        "SQLite keeps a word in a column of numbers. The target refuses it, or lesser tools store 0.",
        "values of another type than {type} holds",
    ),
    misfits.RANGE: (
        "Numbers within range",
        "A phone number in an INT becomes 2147483647 where nobody looks. The target has no infinity at all.",
        "numbers outside the range of {type}",
    ),
    misfits.SCALE: (
        "Numbers with their decimals",
        "A number with more decimals than its column is rounded: 19.99 becomes 20 in a whole one.",
        "numbers with more decimals than {type} keeps",
    ),
    misfits.LENGTH: (
        "Texts within length",
        "A text longer than its column is refused in strict mode, and cut without a word otherwise.",
        "texts longer than {type}",
    ),
    misfits.NULL: (
        "No NULL where the target takes none",
        "The application's migrations may say NOT NULL where rows of old have nothing.",
        "rows without a value, and the column is NOT NULL",
    ),
    misfits.UTF8: (
        "Texts are valid UTF-8",
        "SQLite stores any bytes as text. The server refuses those that are not UTF-8.",
        "texts that are not valid UTF-8",
    ),
    misfits.JSON: (
        "JSON is valid",
        "A JSON column takes valid documents only. Serialised PHP and empty texts are none.",
        "texts that are not JSON",
    ),
    misfits.DATE: (
        "Dates that exist",
        "Strict mode refuses 0000-00-00, 30 February and the empty text. SQLite never looked.",
        "values that are no valid {type}",
    ),
    misfits.FORM: (
        "Moments in the server's form",
        "The server takes YYYY-MM-DD HH:MM:SS. With T, Z or an offset, or without a time, it refuses or guesses.",
        "moments in another form than {type} takes",
    ),
    misfits.DAY: (
        "No time of day in dates",
        "A DATE keeps no time: what is there would be cut off.",
        "dates with a time of day",
    ),
    misfits.FRACTION: (
        "Fractions of seconds",
        "A fraction finer than the column is rounded: 23:59:59.999 on 31 December becomes next year.",
        "moments with a finer fraction of a second than {type} keeps",
    ),
    misfits.TIMESTAMP: (
        "Moments within TIMESTAMP",
        "A TIMESTAMP begins in 1970 and ends in January 2038. Birthdays and far expiry dates lie outside.",
        "moments outside 1970 to 2038",
    ),
    misfits.GAP: (
        "No times that the clock skipped",
        "In a zone with summer time, the hour the clocks skip does not exist: a TIMESTAMP in it is refused.",
        "local times that {zone} skipped",
    ),
}


def _register(kind: str, title: str, why: str) -> None:
    @check(
        f"data.{kind}",
        title,
        why=why,
        severity="fail",
        remedy="mend these rows in the shop, or declare a conversion for the column",
        needs=VALUES,
    )
    def ask(ctx: Context) -> Answer:
        plan = planned(ctx)
        if not plan.targets:
            return skip(UNKNOWN)
        mine = [one for one in plan.misfits if one.kind == kind]
        return found((_misfit(ctx, one) for one in mine), f"all values of {counted(len(plan.jobs), 'table')} fit")


def _misfit(ctx: Context, one: Misfit) -> Finding:
    words = WAYS[one.kind][2].format(type=one.type.upper(), zone=ctx.config.target.time_zone)
    return finding(
        f"{one.rows} {words}",
        *_remedies(one),
        table=one.table,
        column=one.column,
        rows=one.rows,
        examples=one.examples,
    )


def _remedies(one: Misfit) -> Iterator[str]:
    table, column = catalogue.name(one.table), catalogue.name(one.column)
    if one.kind == misfits.GAP:
        yield f"-- in the source: UPDATE {table} SET {column} = datetime({column}, '+1 hour') WHERE …;"
        yield "or"
        yield "[target]"
        yield 'time_zone = "+00:00"'
        return
    lines = list(proposals.lines([one.proposal]))
    if lines:
        yield from lines
        yield "or"
    value = "NULL" if one.kind != misfits.NULL else "'…'"
    yield f"-- in the source: UPDATE {table} SET {column} = {value} WHERE …;"


for _kind, (_title, _why, _) in WAYS.items():
    _register(_kind, _title, _why)


@check(
    "data.refused",
    "Nothing else stands in the way of the copy",
    why="The copy refuses, before the first row, what it could not bring over exactly. The same is asked now.",
    severity="fail",
    remedy="mend the source or the target's columns",
    needs=VALUES,
)
def refused(ctx: Context) -> Answer:
    plan = planned(ctx)
    if not plan.targets:
        return skip(UNKNOWN)
    return found(_refused(plan), f"{counted(len(plan.jobs), 'table')} would be copied")


def _refused(plan: Planned) -> Iterator[Finding]:
    told = {(one.table, one.column) for one in plan.misfits}
    named = {(one.table, one.object) for one in (plan.translation.findings if plan.translation else ())}
    for job in plan.jobs:
        for text in job.problems:
            column = text.partition(":")[0]
            absent = text.removeprefix("the target has no column ").partition(", which holds")[0]
            if {(job.name, column), (job.name, absent)} & (told | named) or "max_allowed_packet" in text:
                continue
            yield finding(text, table=job.name, rows=job.total)


@check(
    "data.special",
    "Values that other tools lose",
    why="Emoji, control characters, NUL and doubles of 17 digits arrive as they are. They are named to be tried.",
    severity="note",
    remedy="nothing to mend: they are carried exactly",
    needs=(SCAN,),
)
def special(ctx: Context) -> Answer:
    source_schema, contents, told = scanned(ctx)
    notes = []
    for table in source_schema.tables:
        for column in table.columns:
            holds = contents[table.name].columns[column.name]
            seen = told.get(table.name, {}).get(column.name)
            words = [
                *(["signs of four bytes"] if seen and seen.four_bytes else []),
                *(["control characters or backslashes"] if seen and seen.controls else []),
                *(["documents kept as text, byte for byte"] if seen and seen.documents and _is_text(column) else []),
                *([f"{holds.nul} texts with NUL"] if holds.nul else []),
                *([f"{holds.inexact} doubles that need 17 digits"] if holds.inexact else []),
                *([f"{holds.blobs} blobs"] if holds.blobs else []),
            ]
            if words:
                notes.append(finding(f"holds {', '.join(words)}", table=table.name, column=column.name))
    return found(notes, "nothing that needs care")


def _is_text(column: catalogue.Column) -> bool:
    return "json" not in column.declared.lower()

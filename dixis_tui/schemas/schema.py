"""Phase 1, Schema: the database, the application's account, the tables, and the indexes the plan asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.hosts import laravel
from dixis_tui.model import DixisError, Kind, Outcome, Status, failed, passed, warned
from dixis_tui.phrase import counted
from dixis_tui.schemas import conversions, differences, indexes, proposals, provision, shape, structure
from dixis_tui.schemas.catalogue import Table
from dixis_tui.schemas.collisions import keep_merged, load_merged, merged_keys
from dixis_tui.schemas.differences import Difference
from dixis_tui.schemas.expressions import lower
from dixis_tui.schemas.readings import names_on, read_source
from dixis_tui.schemas.rows import Field
from dixis_tui.schemas.shape import Definition, ShapeColumn
from dixis_tui.source import latest_snapshot, reading
from dixis_tui.step import Step
from dixis_tui.target import (
    TargetConnection,
    TargetError,
    connected,
    execute,
    identifier,
    query,
    server_facts,
)
from dixis_tui.translate import Abilities, Finding, TargetTable, Translation, decimal_for, translate

# Findings about values, which a conversion can mend.
VALUE_KINDS = frozenset({"values", "moments", "fraction", "inexact", "datetimes", "charset"})
TWIN = "_dixis_twin"
LISTED = "findings-listed"


def steps(config: Config) -> tuple[Step, ...]:
    """The steps of the phase `schema`."""
    return (
        *(_findings_steps() if config.schema_section.mode == "native" else ()),
        *provision.steps(),
        *(_artisan_steps() if config.schema_section.mode == "artisan" else _native_steps()),
        *indexes.steps(),
    )


def _findings_steps() -> tuple[Step, ...]:
    return (
        Step(
            id="schema.findings",
            title="What the target cannot hold as it is",
            kind=Kind.CHECK,
            why="Nothing of the source's schema is dropped or built otherwise without the operator's word.",
            work=check_findings,
        ),
    )


def _native_steps() -> tuple[Step, ...]:
    return (
        Step(
            id="schema.tables",
            title="Create the tables",
            kind=Kind.ACTION,
            why="Every table, key and rule of the source is made anew, with types that hold every value exactly.",
            work=make_tables,
            preview=_tables_preview,
            undo="DROP TABLE each of them; the source still has everything",
        ),
    )


def _artisan_steps() -> tuple[Step, ...]:
    return (
        Step(
            id="schema.migrate",
            title="Run the application's migrations",
            kind=Kind.ACTION,
            why="The application's own migrations build the tables on the target.",
            work=laravel.migrate,
            preview=lambda ctx: [f"{ctx.config.app.php} artisan migrate --force   # on the target"],
            undo="php artisan migrate:rollback, or drop the tables; the source still has everything",
        ),
        Step(
            id="schema.migrations",
            title="Migrations all done",
            kind=Kind.CHECK,
            why="A migration that failed half-way leaves its table behind without a word.",
            work=laravel.migrate_status,
        ),
        Step(
            id="schema.differences",
            title="The two schemas side by side",
            kind=Kind.CHECK,
            why="What the application's tables cannot take is known before the first row, and what differs is told.",
            work=check_differences,
        ),
    )


def translated(ctx: Context, connection: TargetConnection) -> Translation:
    """The source's schema for the target the connection leads to, keys its collation would merge included."""
    target = ctx.config.target
    facts = server_facts(connection)
    server = Abilities(facts.mariadb, facts.version, facts.one_case)
    schema, contents = read_source(ctx)
    snapshot = latest_snapshot(ctx)
    answered = f"merged-{snapshot.sha256}-{target.collation}-{facts.version_text}.json"
    kept = snapshot.path.with_name(answered.replace("/", "_"))
    merged = load_merged(kept)
    if merged is None:
        with reading(snapshot) as source:
            merged = merged_keys(source, connection, target, schema, contents, ctx.check_stop)
        keep_merged(kept, merged)
    translation = translate(
        schema,
        contents,
        server=server,
        collation=target.collation,
        types=ctx.config.types,
        merged=merged,
        names=ctx.config.names,
    )
    left_out = _without_keys(translation, ctx.config.schema_section.leave_out)
    return replace(left_out, findings=tuple(_unless_converted(ctx.config, f) for f in left_out.findings))


def _without_keys(translation: Translation, leave_out: Mapping[str, str]) -> Translation:
    """The translation without the foreign keys that somebody has signed for, each told as a note."""
    tables, notes, open_ones = [], [], dict(leave_out)
    for table in translation.tables:
        kept = {}
        for name, line in table.foreign_keys.items():
            columns, _, _ = shape.foreign_key(line)
            key = f"{table.name}.({', '.join(columns)})"
            if key in leave_out:
                open_ones.pop(key, None)
                what = f"foreign key ({', '.join(columns)}) is left out: {leave_out[key]}"
                notes.append(Finding("note", table.name, f"({', '.join(columns)})", "foreign-key", what))
            else:
                kept[name] = line
        tables.append(replace(table, foreign_keys=kept))
    if open_ones:
        raise DixisError(
            f"[schema] leave_out names {', '.join(open_ones)}, which is no foreign key that would be made.",
            safe="nothing was created",
            next_step="take it out of the configuration; its keys are written table.(column)",
        )
    return replace(translation, tables=tuple(tables), findings=(*translation.findings, *notes))


def _unless_converted(config: Config, finding: Finding) -> Finding:
    """A finding about values that a declared conversion is there to mend is a note: the operator has given the word."""
    rules = _rules(config, finding.table, finding.object)
    if finding.kind not in VALUE_KINDS or not rules:
        return finding
    proposal = f"converted as declared: {', '.join(rules)}; what that leaves must fit"
    return replace(finding, severity="note", proposal=proposal)


def _unless_declared(config: Config, one: Difference) -> Difference:
    """A difference of values that a declared conversion is there to mend does not stop the copy."""
    rules = _rules(config, one.table, one.field.source.name) if one.field else []
    if not rules:
        return one
    what = f"{one.what}; converted as declared: {', '.join(rules)}; what that leaves must fit"
    return replace(one, what=what, blocks=False)


def _rules(config: Config, table: str, column: str) -> list[str]:
    """The rules declared for a column."""
    rules = conversions.declared(config).get(lower(table), ())
    return [rule.rule for rule in rules if lower(rule.column_name) == lower(column)]


@contextmanager
def _any_connection(ctx: Context) -> Iterator[TargetConnection]:
    """A connection that needs neither the database nor the application's account, where admin credentials are given."""
    target = ctx.config.target
    with connected(target, admin=target.admin is not None, database=None) as connection:
        yield connection


def check_findings(ctx: Context) -> Outcome:
    """List what the target cannot hold as it is; fails while one is there that the operator has not accepted."""
    with _any_connection(ctx) as connection:
        translation = translated(ctx, connection)
    lines = [finding.line() for finding in translation.findings]
    open_ones = translation.open(ctx.config.schema_section.accept)
    proposed = _proposed(ctx, translation, open_ones)
    # Kept so that a waiver counts for what was listed when it was given, and for nothing that turns up later.
    ctx.record(LISTED, {"ids": [finding.id for finding in translation.findings if finding.needs_word]})
    if open_ones:
        return failed(
            f"{len(open_ones)} things are not held as they are and wait for the operator's word",
            lines,
            [
                "mend them in the source or with [types]; or waive this step to accept all of them as proposed;",
                "or accept single ones, by id or kind, in the configuration:",
                "[schema] accept = [" + ", ".join(json.dumps(f.id, ensure_ascii=False) for f in open_ones) + "]",
                *proposed,
            ],
        )
    accepted = sum(finding.needs_word for finding in translation.findings)
    if accepted:
        return warned(f"{accepted} things are built otherwise, all accepted beforehand", lines)
    return passed("the target holds everything as it is", lines)


def _proposed(ctx: Context, translation: Translation, findings: Sequence[Finding]) -> list[str]:
    """What to copy into the configuration so that values that do not fit are converted, for each such column."""
    schema, contents = read_source(ctx)
    types: list[str] = []
    wanted: list[tuple[Table, Field]] = []
    for finding in findings:
        table = schema.table(finding.table)
        column = table.column(finding.object) if table and finding.kind in VALUE_KINDS else None
        if table is None or column is None:
            continue
        holds = contents[table.name].columns[column.name]
        made = translation.column(table.name, column.name)
        if made.generated:
            continue
        if finding.kind == "inexact":
            kind = decimal_for(column, holds)
            types.append(f'{json.dumps(f"{table.name}.{column.name}", ensure_ascii=False)} = "{kind}"')
            made = replace(made, type=kind)
        full = made.type.lower()
        shown = ShapeColumn(made.name, made.base.lower(), full, not made.not_null, bool(made.default), False, False)
        wanted.append((table, Field(column, holds, shown)))
    blocks = proposed_lines(ctx, wanted)
    return [*blocks, *(["[types]", *types] if types else [])]


def proposed_lines(ctx: Context, wanted: Sequence[tuple[Table, Field]]) -> list[str]:
    """Conversions for columns whose values do not fit, to be copied into the configuration."""
    path, zone = latest_snapshot(ctx).path, ctx.config.target.time_zone
    blocks: list[str] = []
    for table, field in wanted:
        ctx.check_stop()
        blocks += proposals.lines([proposals.proposed(path, table, field, zone)])
    return ["or have these values converted on their way; in the configuration:", *blocks] if blocks else []


def check_differences(ctx: Context) -> Outcome:
    """Compare the source with the tables artisan has built; fails where rows would not arrive as they are."""
    schema, contents = read_source(ctx)
    target = ctx.config.target
    snapshot = latest_snapshot(ctx)
    kept = snapshot.path.with_name(f"exact-{snapshot.sha256}")
    with connected(target) as connection, reading(snapshot) as source:
        names = names_on(ctx, connection, schema)
        found = differences.compare(source, connection, target, schema, contents, names, kept, ctx.check_stop)
        extra = differences.extra_tables(connection, schema, names)
        structure.record(ctx, connection, [n for n in shape.table_names(connection) if not n.startswith(structure.OWN)])
    found = [_unless_declared(ctx.config, one) for one in found]
    blocking = [one for one in found if one.blocks]
    evidence = [
        *(one.line() for one in [*blocking, *(one for one in found if not one.blocks)]),
        *(f"{name}: kept as artisan made it, on purpose" for name in sorted(differences.ARTISANS)),
        *([f"only on the target, left alone: {', '.join(extra)}"] if extra else []),
    ]
    if blocking:
        remedies = [f"{one.table}: {one.remedy}" for one in blocking if one.remedy]
        tables = {table.name: table for table in schema.tables}
        remedies += proposed_lines(ctx, [(tables[one.table], one.field) for one in blocking if one.field])
        return failed(f"{counted(len(blocking), 'difference')} would stop the copy", evidence, remedies)
    if found:
        return warned(f"{counted(len(found), 'difference')}, none of them stops the copy", evidence)
    return passed("the tables artisan built hold everything the source has", evidence)


def _accepted(ctx: Context) -> set[str]:
    """What the operator agreed to: in the configuration, and by waiving the list."""
    accepted = set(ctx.config.schema_section.accept)
    answer = ctx.outcomes.get("schema.findings")
    listed = ctx.recorded(LISTED)
    if answer is not None and answer.status is Status.WAIVED and listed:
        accepted |= set(listed[-1]["ids"])
    return accepted


def _tables_preview(ctx: Context) -> list[str]:
    with _any_connection(ctx) as connection:
        translation = translated(ctx, connection)
    lines = [f"-- {line}" for finding in translation.findings for line in finding.line().splitlines()]
    for table in translation.tables:
        lines += (table.create() + ";").splitlines()
    return lines + [f"{statement};" for statement in translation.views.values()]


def make_tables(ctx: Context) -> Outcome:
    """Create the tables that are not there. Equal ones are kept, empty leftovers rebuilt, others are a failure."""
    with connected(ctx.config.target) as connection:
        translation = translated(ctx, connection)
        findings = [finding.line() for finding in translation.findings]
        if waiting := translation.open(_accepted(ctx)):
            return failed(
                f"{len(waiting)} things wait for the operator's word; nothing was created",
                [finding.line() for finding in waiting],
                ["run schema.findings again, then accept or waive what it lists"],
            )
        # Foreign keys may then name tables that are still to come, in any order and in circles.
        execute(connection, "SET SESSION foreign_key_checks = 0")
        there = set(shape.table_names(connection)) - {TWIN}
        kept, leftovers, foreign = _compare(ctx, connection, translation.tables, there)
        if foreign:
            return failed(
                f"{counted(len(foreign), 'table')} with rows in it stood there before, built otherwise",
                [f"differs: {line}" for line in foreign],
                ["give [target] database another name, or drop these tables if they are not needed"],
            )
        for name in sorted(leftovers):
            execute(connection, f"DROP TABLE {identifier(name)}")
        for table in translation.tables:
            ctx.check_stop()
            if table.name not in kept:
                execute(connection, table.create())
        views, refused = _make_views(connection, translation.views)
        made_views = [name for name in translation.views if not any(f"view {name} could" in line for line in refused)]
        structure.record(ctx, connection, [table.name for table in translation.tables], made_views)
    made = len(translation.tables) - len(kept)
    others = sorted(name for name in there - {t.name for t in translation.tables} if not name.startswith(structure.OWN))
    evidence = [
        f"created {made}, already there {len(kept)}, rebuilt empty leftovers {len(leftovers)}",
        f"foreign keys {sum(len(table.foreign_keys) for table in translation.tables)}",
        f"indexes {sum(len(table.keys) for table in translation.tables)}",
        f"views {views}",
        *([f"not of the source, left alone: {', '.join(others)}"] if others else []),
        *refused,
        *findings,
    ]
    summary = f"{counted(len(translation.tables), 'table')}, {made} created"
    if refused or any(finding.needs_word for finding in translation.findings):
        return warned(summary, evidence, [f"{line}; write it anew by hand" for line in refused])
    return passed(summary, evidence)


def _make_views(connection: TargetConnection, views: Mapping[str, str]) -> tuple[int, list[str]]:
    """Create views, those that lean on others after them; answers how many, and which the server refused."""
    waiting = dict(views)
    words: dict[str, str] = {}
    while waiting:
        words = {}
        for name, statement in waiting.items():
            try:
                execute(connection, statement)
            except TargetError as error:
                words[name] = error.what
        if len(words) == len(waiting):
            break
        waiting = {name: views[name] for name in words}
    return len(views) - len(words), [f"view {name} could not be made: {why}" for name, why in words.items()]


def _compare(
    ctx: Context, connection: TargetConnection, tables: Sequence[TargetTable], there: set[str]
) -> tuple[set[str], set[str], list[str]]:
    """Tables that are there as wanted, empty ones that are not, and descriptions of others that hold rows."""
    kept: set[str] = set()
    leftovers: set[str] = set()
    foreign: list[str] = []
    for table in tables:
        if table.name not in there:
            continue
        ctx.check_stop()
        difference = _difference(connection, table)
        if not difference:
            kept.add(table.name)
        elif query(connection, f"SELECT 1 FROM {identifier(table.name)} LIMIT 1"):
            foreign.append(f"{table.name}: {difference}")
        else:
            leftovers.add(table.name)
    return kept, leftovers, foreign


def _difference(connection: TargetConnection, table: TargetTable) -> str:
    """In what an existing table differs from the wanted one, empty for equal. More indexes are no difference.

    The server itself is asked what it makes of our statement: a twin is created and compared.
    """
    execute(connection, f"DROP TABLE IF EXISTS {identifier(TWIN)}")
    execute(connection, table.create(TWIN))
    try:
        wanted, found = shape.definition(connection, TWIN), shape.definition(connection, table.name)
    finally:
        execute(connection, f"DROP TABLE IF EXISTS {identifier(TWIN)}")
    return _first_difference(wanted, found, set(table.foreign_keys))


def _first_difference(wanted: Definition, found: Definition, foreign_keys: set[str]) -> str:
    pairs = list(zip(wanted.columns, found.columns, strict=False))
    for mine, theirs in pairs:
        if mine != theirs:
            return f"{theirs} instead of {mine}"
    if len(wanted.columns) != len(found.columns):
        return f"{counted(len(found.columns), 'column')} instead of {len(wanted.columns)}"
    if wanted.charset != found.charset:
        return f"{found.charset} instead of {wanted.charset}"
    if wanted.primary_key != found.primary_key:
        return f"{found.primary_key or 'no primary key'} instead of {wanted.primary_key or 'none'}"
    missing = [line for name, line in wanted.keys.items() if found.keys.get(name) != line]
    missing += sorted(foreign_keys - set(found.foreign_keys))
    missing += sorted(wanted.checks - found.checks)
    return f"without {missing[0]}" if missing else ""

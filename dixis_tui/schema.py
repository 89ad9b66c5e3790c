"""Phase 1, Schema: the database, the application's account, the tables, and the indexes the plan asks for."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dixis_tui import conversions, differences, laravel, proposals, shape, since, structure
from dixis_tui.catalogue import SourceSchema, Table, read_schema
from dixis_tui.collisions import keep_merged, load_merged, merged_keys
from dixis_tui.config import Config, Index, Target
from dixis_tui.contents import TableContents, keep_contents, load_contents, scan_all
from dixis_tui.context import Context
from dixis_tui.differences import Difference
from dixis_tui.expressions import lower
from dixis_tui.model import DixisError, Kind, Outcome, Status, failed, passed, warned
from dixis_tui.names import Names, target_names
from dixis_tui.nearest import nearest
from dixis_tui.rows import Field
from dixis_tui.shape import Definition, ShapeColumn
from dixis_tui.source import Snapshot, latest_snapshot, located, open_readonly, reading
from dixis_tui.step import Step
from dixis_tui.target import (
    TargetConnection,
    TargetError,
    connect,
    connected,
    execute,
    identifier,
    literal,
    query,
    server_facts,
)
from dixis_tui.translate import PREFIX, Abilities, Finding, TargetTable, Translation, decimal_for, translate

# Findings about values, which a conversion can mend.
VALUE_KINDS = frozenset({"values", "moments", "fraction", "inexact", "datetimes", "charset"})
TWIN = "_dixis_twin"
# Tables of our own on the target begin like this; they are never taken for the shop's.
OWN = "_dixis_"
ACCESS_DENIED = 1045
LISTED = "findings-listed"
LONG_KINDS = frozenset({"tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob"})


def steps(config: Config) -> tuple[Step, ...]:
    """The steps of the phase `schema`."""
    first = (
        *(_findings_steps() if config.schema_section.mode == "native" else ()),
        Step(
            id="schema.database",
            title="Create the database",
            kind=Kind.ACTION,
            why="The shop's tables need a database that keeps every character and compares text as Laravel expects.",
            work=make_database,
            preview=lambda ctx: _database_sql(ctx.config.target),
            undo="DROP DATABASE, when nothing else lives in it",
        ),
        Step(
            id="schema.user",
            title="Create the application's account",
            kind=Kind.ACTION,
            why="The application signs in with rights on its own database and nothing else.",
            work=make_user,
            preview=_user_preview,
            undo="DROP USER, or take the rights back with REVOKE",
        ),
    )
    return (
        *first,
        *(_artisan_steps() if config.schema_section.mode == "artisan" else _native_steps()),
        *_index_steps(),
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


def _index_steps() -> tuple[Step, ...]:
    return (
        Step(
            id="schema.indexes",
            title="The plan's indexes",
            kind=Kind.ACTION,
            why="The plan wants these for the shop's frequent questions.",
            work=lambda ctx: make_indexes(ctx, ctx.config.schema_section.indexes, fulltext=False),
            preview=lambda ctx: _indexes_preview(ctx, ctx.config.schema_section.indexes, fulltext=False),
            undo="DROP INDEX each of them",
        ),
        Step(
            id="schema.fulltext",
            title="The plan's full-text keys",
            kind=Kind.ACTION,
            why="Search in Greek names and descriptions uses these.",
            work=lambda ctx: make_indexes(ctx, ctx.config.schema_section.fulltext, fulltext=True),
            preview=lambda ctx: _indexes_preview(ctx, ctx.config.schema_section.fulltext, fulltext=True),
            undo="DROP INDEX each of them",
        ),
    )


# Database and account


def _database_sql(target: Target) -> list[str]:
    return [
        f"CREATE DATABASE IF NOT EXISTS {identifier(target.database)}"
        f" CHARACTER SET {target.charset} COLLATE {target.collation}"
    ]


def make_database(ctx: Context) -> Outcome:
    """Create the database when it is not there and admin credentials are given; look at its character set."""
    target = ctx.config.target
    with connected(target, admin=target.admin is not None, database=None) as connection:
        found = _database_facts(connection, target)
        made = found is None and target.admin is not None
        if made:
            execute(connection, _database_sql(target)[0])
            found = _database_facts(connection, target)
    if found is None:
        return failed(
            f"There is no database {target.database} that {target.user} can see",
            remedy=[*_database_sql(target), "or give [target.admin] in the configuration"],
        )
    evidence = [f"{target.database}: {found[0]}, {found[1]}"]
    if found != (target.charset, target.collation):
        return warned(
            f"{target.database} was made with {found[0]} and {found[1]}",
            [*evidence, f"the tables are made with {target.charset} and {target.collation} all the same"],
            [f"ALTER DATABASE {identifier(target.database)} CHARACTER SET {target.charset} COLLATE {target.collation}"],
        )
    return passed(f"{target.database} {'created' if made else 'is there'}", evidence)


def _database_facts(connection: TargetConnection, target: Target) -> tuple[str, str] | None:
    rows = query(
        connection,
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
        " WHERE schema_name = %s",
        (target.database,),
    )
    return (str(rows[0][0]), str(rows[0][1])) if rows else None


def _account(target: Target) -> str:
    host = target.admin.client_host if target.admin else "%"
    return f"{literal(target.user)}@{literal(host)}"


def _user_sql(target: Target, *, exact_names: bool = False) -> list[str]:
    """The statements, with the password left out. exact_names: the server takes no wildcards in a grant's database."""
    account = _account(target)
    require = " REQUIRE SSL" if target.tls.mode == "verify" else " REQUIRE NONE"
    database = target.database
    if not exact_names:
        database = database.replace("_", "\\_").replace("%", "\\%")
    return [
        f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '…'{require}",
        f"GRANT ALL PRIVILEGES ON {identifier(database)}.* TO {account}",
    ]


def _user_preview(ctx: Context) -> list[str]:
    target = ctx.config.target
    if target.admin is None:
        return [f"-- nothing: no [target.admin]; only looks whether {target.user} can sign in"]
    return [*_user_sql(target), f"-- when the password does not fit: ALTER USER {_account(target)} IDENTIFIED BY '…'"]


def make_user(ctx: Context) -> Outcome:
    """Create the account and grant it its database, when admin credentials are given; then sign in with it."""
    target = ctx.config.target
    evidence: list[str] = []
    if target.admin is not None:
        with connected(target, admin=True, database=None) as connection:
            evidence = _create_user(connection, target)
    try:
        with connected(target) as connection:
            grants = [_without_hash(str(row[0])) for row in query(connection, "SHOW GRANTS")]
    except TargetError as error:
        return failed(error.what, [*evidence, error.safe], [error.next_step, *_user_sql(target)])
    return passed(f"{target.user} signs in to {target.database}", [*evidence, *grants])


def _create_user(connection: TargetConnection, target: Target) -> list[str]:
    account = _account(target)
    password = literal(target.password.resolve(f"password of {target.user}"))
    rows = query(connection, "SHOW VARIABLES LIKE 'partial_revokes'")
    create, grant = _user_sql(target, exact_names=bool(rows) and rows[0][1] == "ON")
    execute(connection, create.replace("'…'", password, 1), show=create)
    done = [create]
    try:
        connect(target, database=None).close()
    except TargetError as error:
        if error.code != ACCESS_DENIED:
            raise
        change = f"ALTER USER {account} IDENTIFIED BY '…'"
        execute(connection, change.replace("'…'", password, 1), show=change)
        done.append(change)
    execute(connection, grant)
    return [*done, grant]


def _without_hash(grant: str) -> str:
    """A line of SHOW GRANTS without the password's hash that MariaDB prints."""
    return grant.partition(" IDENTIFIED BY ")[0]


# Tables


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
        structure.record(ctx, connection, [n for n in shape.table_names(connection) if not n.startswith(OWN)])
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
        return failed(f"{len(blocking)} differences would stop the copy", evidence, remedies)
    if found:
        return warned(f"{len(found)} differences, none of them stops the copy", evidence)
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
                f"{len(foreign)} tables are there already, hold rows and are built otherwise",
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
    others = sorted(name for name in there - {t.name for t in translation.tables} if not name.startswith(OWN))
    evidence = [
        f"created {made}, already there {len(kept)}, rebuilt empty leftovers {len(leftovers)}",
        f"foreign keys {sum(len(table.foreign_keys) for table in translation.tables)}",
        f"indexes {sum(len(table.keys) for table in translation.tables)}",
        f"views {views}",
        *([f"not of the source, left alone: {', '.join(others)}"] if others else []),
        *refused,
        *findings,
    ]
    summary = f"{len(translation.tables)} tables, {made} created"
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
        return f"{len(found.columns)} columns instead of {len(wanted.columns)}"
    if wanted.charset != found.charset:
        return f"{found.charset} instead of {wanted.charset}"
    if wanted.primary_key != found.primary_key:
        return f"{found.primary_key or 'no primary key'} instead of {wanted.primary_key or 'none'}"
    missing = [line for name, line in wanted.keys.items() if found.keys.get(name) != line]
    missing += sorted(foreign_keys - set(found.foreign_keys))
    missing += sorted(wanted.checks - found.checks)
    return f"without {missing[0]}" if missing else ""


# The plan's indexes


def make_indexes(ctx: Context, wanted: Sequence[Index], *, fulltext: bool) -> Outcome:
    """Create each index unless an equal one is there under any name; tell what cannot be made."""
    done: list[str] = []
    trouble: list[str] = []
    remedies: list[str] = []
    made = False
    with connected(ctx.config.target) as connection:
        for index in wanted:
            ctx.check_stop()
            sql, word, remedy = _plan_index(connection, index, fulltext)
            if sql:
                execute(connection, sql)
                made = True
            if remedy and not index.waive:
                trouble.append(word)
                remedies.append(remedy)
            else:
                done.append(f"{word}; waived: {index.waive}" if remedy else word)
        if made:
            structure.renew(ctx, connection)
    if trouble:
        return warned(f"{len(done)} of {len(wanted)} done, {len(trouble)} cannot be made", [*trouble, *done], remedies)
    return passed(f"{len(done)} of {len(wanted)} done", done)


def _plan_index(connection: TargetConnection, index: Index, fulltext: bool) -> tuple[str, str, str]:
    """The SQL to run (empty when there is nothing to do), what to say about it, and the remedy when it cannot be."""
    key = "schema.fulltext" if fulltext else "schema.indexes"
    columns = {column.name: column for column in shape.all_columns(connection).get(index.table, ())}
    if not columns:
        near = difflib.get_close_matches(index.table, shape.table_names(connection), n=1)
        hint = f"; nearest is {near[0]}" if near else ""
        return "", f"{index.name}: there is no table {index.table}{hint}", f'[[{key}]] {index.name}: set waive = "why"'
    missing = [column for column in index.columns if column not in columns]
    if missing:
        near_by = {column: nearest(column, list(columns)) for column in missing}
        told = "; ".join(
            f"{column} is not there" + (f" (nearest: {', '.join(near)})" if near else "")
            for column, near in near_by.items()
        )
        mapped = ", ".join(f'"{(near_by.get(column) or [column])[0]}"' for column in index.columns)
        choice = f"columns = [{mapped}], or " if all(near_by.values()) else ""
        return "", f"{index.name} on {index.table}: {told}", f'[[{key}]] {index.name}: {choice}waive = "why"'
    for there in shape.all_indexes(connection).get(index.table, ()):
        if there.fulltext == fulltext and _equal(there.columns, index.columns, fulltext):
            return "", f"{index.name}: already there as {there.name}", ""
        if there.name.lower() == index.name.lower():
            told = f"{index.name} on {index.table}: the name is taken by an index on ({', '.join(there.columns)})"
            return "", told, f"[[{key}]] {index.name}: choose another name"
    sql = _index_sql(index, fulltext, {name for name, column in columns.items() if column.kind in LONG_KINDS})
    return sql, f"{index.name}: created", ""


def _equal(there: Sequence[str], wanted: Sequence[str], fulltext: bool) -> bool:
    return sorted(there) == sorted(wanted) if fulltext else tuple(there) == tuple(wanted)


def _index_sql(index: Index, fulltext: bool, long: set[str]) -> str:
    parts = ", ".join(
        identifier(column) + (f"({PREFIX})" if column in long and not fulltext else "") for column in index.columns
    )
    kind = "FULLTEXT INDEX" if fulltext else "INDEX"
    return f"CREATE {kind} {identifier(index.name)} ON {identifier(index.table)} ({parts})"


def _indexes_preview(ctx: Context, wanted: Sequence[Index], *, fulltext: bool) -> list[str]:
    if not wanted:
        return ["-- nothing: the configuration asks for none"]
    try:
        with connected(ctx.config.target) as connection:
            return [sql or f"-- {word}" for sql, word, _ in (_plan_index(connection, i, fulltext) for i in wanted)]
    except TargetError as error:
        return [f"-- before the database is there: {error.what}", *(_index_sql(i, fulltext, set()) for i in wanted)]


# What is copied


def read_source(ctx: Context, *, exactly: bool = True) -> tuple[SourceSchema, dict[str, TableContents]]:
    """The latest snapshot's schema and what its tables hold; a snapshot is scanned once and the answers kept by it.

    exactly: False where the answer may say more than the snapshot holds; it then follows from that of an earlier
    snapshot of this run, where there is one, and the rows that have changed since.
    """
    snapshot = latest_snapshot(ctx)
    exact, since_then = _kept(snapshot), _kept(snapshot, "-since")
    with reading(snapshot) as connection:
        schema = read_schema(connection)
    contents = load_contents(exact)
    if contents is None and not exactly:
        contents = load_contents(since_then)
        earlier = None if contents else _scanned_earlier(ctx, snapshot)
        if earlier is not None:
            before, known = earlier
            contents = since.contents(snapshot.path, schema, before.path, known, ctx.check_stop)
            keep_contents(since_then, contents)
    if contents is None:
        contents = scan_all(lambda: open_readonly(snapshot.path), schema.tables, ctx.check_stop)
        keep_contents(exact, contents)
    return schema, contents


def _kept(snapshot: Snapshot, suffix: str = "") -> Path:
    return snapshot.path.with_name(f"contents-{snapshot.sha256}{suffix}.json")


def _scanned_earlier(ctx: Context, latest: Snapshot) -> tuple[Snapshot, dict[str, TableContents]] | None:
    """Another snapshot of this run that has been scanned, the newest first, and what it holds."""
    facts = [outcome.facts.get("snapshot") for outcome in ctx.outcomes.values()]
    others = [located(ctx, Snapshot.model_validate(fact)) for fact in facts if fact]
    for one in sorted(others, key=lambda snapshot: snapshot.taken_at, reverse=True):
        if one.sha256 != latest.sha256 and one.path.is_file() and (known := load_contents(_kept(one))) is not None:
            return one, known
    return None


def names_on(ctx: Context, connection: TargetConnection, schema: SourceSchema) -> Names:
    """What the source's tables and columns are called on the target, in either mode."""
    return target_names(schema, ctx.config.names, one_case=server_facts(connection).one_case)


def copied_tables(config: Config, schema: SourceSchema) -> tuple[Table, ...]:
    """The tables whose rows are copied: all, but for artisan's own record of migrations in artisan mode."""
    kept_by_artisan = differences.ARTISANS if config.schema_section.mode == "artisan" else frozenset()
    return tuple(t for t in schema.tables if t.name not in kept_by_artisan)

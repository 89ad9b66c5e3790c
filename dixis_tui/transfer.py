"""Phase 2, Data: the rows, chunk by chunk, each with its checkpoint in the same transaction on the target.

A chunk is there exactly once whatever was killed: its rows and its line in `_dixis_chunks` are committed together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from dixis_tui import catalogue, conversions, exact, orphans, refusal, rows, shape, since, verify
from dixis_tui.catalogue import SourceSchema, Table
from dixis_tui.config import Config, Conversion, Group
from dixis_tui.contents import TableContents
from dixis_tui.context import Context
from dixis_tui.copying import CHUNKS, CHUNKS_TABLE, INSERT_BYTES, Job, Pool, reading_jobs
from dixis_tui.expressions import lower
from dixis_tui.journal import CONFIRMED, DROPPED, RESTORED, WENT_LIVE
from dixis_tui.model import DixisError, Kind, Outcome, Progress, Status, failed, passed
from dixis_tui.names import Names, target_names
from dixis_tui.phrase import counted
from dixis_tui.proof import PROVED, Compared, TableProof, compared
from dixis_tui.readings import copied_tables, names_on, read_source
from dixis_tui.resync import Resync, begun_resyncs
from dixis_tui.rows import Field
from dixis_tui.schema import proposed_lines
from dixis_tui.source import (
    Snapshot,
    latest_snapshot,
    located,
    mark,
    snapshot_now,
    snapshot_outcome,
    sound,
    source_host,
)
from dixis_tui.step import Step
from dixis_tui.target import (
    ServerFacts,
    TargetConnection,
    TargetError,
    connected,
    execute,
    identifier,
    query,
    server_facts,
)

# Tables with more rows than this are loaded without their secondary indexes, which are built afterwards.
LARGE = 50_000
# Bytes a session of MySQL may sort in while it builds indexes.
DDL_BUFFER = 64 << 20
# Rows of others are about to be replaced: data says how often the operator had typed the word for the step by then.
REPLACING = "rows-replaced"


def steps(config: Config) -> tuple[Step, ...]:
    """The steps of the phase `data`."""
    return (
        Step(
            id="data.snapshot",
            title="Definitive snapshot",
            kind=Kind.ACTION,
            why="All rows are read from one consistent copy of the source; it is also the backup to go back to.",
            work=take_definitive,
            preview=_snapshot_preview,
            undo="nothing to undo: the source is only read",
        ),
        Step(
            id="data.prepare",
            title="Make the target ready",
            kind=Kind.ACTION,
            why="Nothing may be copied over rows of others, and large tables load faster without their indexes.",
            work=prepare,
            preview=_prepare_preview,
            word=word_needed,
            undo="data.indexes puts back every index and foreign key that was dropped",
        ),
        *(_group_step(group) for group in config.data.groups),
        Step(
            id="data.rest",
            title="All other tables",
            kind=Kind.ACTION,
            why="Every table is copied, also those the plan does not name.",
            work=copy_rest,
            preview=lambda ctx: _copy_preview(ctx, None),
            undo="TRUNCATE these tables; the source still has every row",
        ),
        Step(
            id="data.indexes",
            title="Put back indexes and foreign keys",
            kind=Kind.ACTION,
            why="What was dropped for the load is built again, exactly as it was.",
            work=restore_indexes,
            preview=_restore_preview,
            undo="nothing to undo: this is how the tables were",
        ),
        Step(
            id="data.counts",
            title="Row counts",
            kind=Kind.CHECK,
            why="Every table must hold as many rows as the snapshot.",
            work=verify.check_counts,
        ),
    )


def _group_step(group: Group) -> Step:
    return Step(
        id=f"data.{group.name}",
        title=f"{group.title} (priority {group.priority})",
        kind=Kind.ACTION,
        why=f"The plan copies these first: {', '.join(group.tables[:4])}…",
        work=lambda ctx: copy_group(ctx, group),
        preview=lambda ctx: _copy_preview(ctx, group),
        undo="TRUNCATE these tables; the source still has every row",
    )


# The snapshot


def _next_name(ctx: Context) -> str:
    numbers = [int(p.stem[5:]) for p in (ctx.run_dir / "snapshots").glob("data-*.sqlite") if p.stem[5:].isdigit()]
    return f"data-{max(numbers, default=0) + 1}.sqlite"


def _snapshot_preview(ctx: Context) -> list[str]:
    path = ctx.run_dir / "snapshots" / _next_name(ctx)
    return [f"sqlite backup of {ctx.config.source.path} on {source_host(ctx).name} to {path}, mode 0600"]


def take_last(ctx: Context) -> Outcome:
    """Take a snapshot again where the source was written since the latest one; that one is kept otherwise."""
    latest = latest_snapshot(ctx)
    if mark(source_host(ctx), ctx.config.source.path) == latest.mark and sound(latest):
        return passed(
            "the source was not written since its snapshot, which is kept",
            [f"snapshot {latest.path.name}, taken {latest.taken_at}"],
            snapshot=latest.model_dump(mode="json"),
        )
    return take_definitive(ctx)


def take_definitive(ctx: Context) -> Outcome:
    """Take the snapshot all rows are copied from; earlier ones are kept."""
    return snapshot_outcome(ctx, snapshot_now(ctx, _next_name(ctx)))


# Jobs


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


def _unfit(job: Job) -> list[Field]:
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


# Preparation


@dataclass(frozen=True)
class State:
    """What a table of the target holds: rows there, rows our checkpoints of this and of older snapshots account for.

    begun: a re-sync of it has begun and not ended, so that they account for nothing; different: the latest comparison
    has found a difference."""

    there: int
    current: int
    older: int
    begun: bool = False
    different: bool = False

    @property
    def foreign(self) -> bool:
        """True when somebody else wrote rows (or took some away)."""
        return not self.begun and self.there not in (0, self.current + self.older)

    @property
    def resync(self) -> bool:
        """True when the table holds rows that this snapshot's load did not bring: it is compared, not loaded."""
        return self.begun or (self.there > 0 and (self.older > 0 or self.there != self.current or self.different))

    @property
    def reset(self) -> bool:
        """True when checkpoints speak of rows that are not there any more."""
        return not self.begun and self.there == 0 and self.current + self.older > 0


def _states(ctx: Context, connection: TargetConnection, wanted: Sequence[Job], snapshot: Snapshot) -> dict[str, State]:
    known: dict[str, dict[bool, int]] = {}
    begun: set[str] = set()
    if CHUNKS in shape.table_names(connection):
        begun = begun_resyncs(connection, ctx.run_id)
        for table, is_current, stored in query(
            connection,
            f"SELECT table_name, snapshot = %s, SUM(rows_stored) FROM {identifier(CHUNKS)} WHERE run_id = %s"
            " GROUP BY table_name, snapshot = %s",
            (snapshot.taking, ctx.run_id, snapshot.taking),
        ):
            known.setdefault(str(table), {})[bool(is_current)] = int(stored)
    different = _found_different(ctx)
    states = {}
    for job in wanted:
        ctx.check_stop()
        count = int(query(connection, f"SELECT COUNT(*) FROM {identifier(job.name)}")[0][0])
        mine = known.get(job.name, {})
        states[job.name] = State(
            count, mine.get(True, 0), mine.get(False, 0), job.name in begun, different=job.name in different
        )
    return states


def _large(job: Job) -> bool:
    return job.total > LARGE


def _droppable(definition: shape.Definition, parents: set[tuple[str, ...]]) -> list[str]:
    """The clauses of an ALTER TABLE that drop secondary indexes and foreign keys.

    Kept: an index an AUTO_INCREMENT column needs, and unique ones that other tables' foreign keys lean on.
    """
    automatic = [line.split("`")[1] for line in definition.columns if " AUTO_INCREMENT" in line]
    clauses = [f"DROP FOREIGN KEY {identifier(name)}" for name in definition.foreign_keys]
    for name, line in definition.keys.items():
        columns = tuple(part.lower() for part in line[line.index("(") :].split("`")[1::2])
        needed = not definition.primary_key and columns[:1] == tuple(automatic)
        if not needed and not any(columns[: len(parent)] == parent for parent in parents):
            clauses.append(f"DROP KEY {identifier(name)}")
    return clauses


def _drops(
    connection: TargetConnection, wanted: Sequence[Job], states: dict[str, State]
) -> Iterator[tuple[str, shape.Definition, list[str]]]:
    """Tables to be loaded without indexes: name, definition as it is, clauses that drop."""
    parents: dict[str, set[tuple[str, ...]]] = {}
    for key in orphans.foreign_keys(connection):
        parents.setdefault(key.parent.lower(), set()).add(tuple(column.lower() for column in key.references))
    for job in wanted:
        state = states[job.name]
        if _large(job) and not state.resync and state.there < job.total:
            definition = shape.definition(connection, job.name)
            clauses = _droppable(definition, parents.get(job.name.lower(), set()))
            if clauses:
                yield job.name, definition, clauses


def _prepare_preview(ctx: Context) -> list[str]:
    with connected(ctx.config.target) as connection:
        wanted = [job for job in jobs(ctx, connection) if job.fields]
        states = _states(ctx, connection, wanted, latest_snapshot(ctx))
        lines = [CHUNKS_TABLE + ";"]
        for name, state in states.items():
            if state.resync:
                lines.append(f"-- {name}: {_held(state)}")
        for name, _, clauses in _drops(connection, wanted, states):
            lines.append(f"ALTER TABLE {identifier(name)} {', '.join(clauses)};  -- put back by data.indexes")
    return lines


def prepare(ctx: Context) -> Outcome:
    """Refuse what cannot be copied exactly and rows of others; begin stale tables anew; drop large tables' indexes."""
    snapshot = latest_snapshot(ctx)
    if lived := _lived(ctx):
        return lived
    with connected(ctx.config.target) as connection:
        wanted = jobs(ctx, connection)
        problems = [f"{job.name}: {problem}" for job in wanted for problem in job.problems]
        if problems:
            return failed(
                f"{len(problems)} things would not arrive as they are; nothing was changed",
                problems,
                [
                    "mend the source or the target's columns, take a new snapshot, then run this step again",
                    *proposed_lines(ctx, [(job.table, item) for job in wanted for item in _unfit(job)]),
                ],
            )
        states = _states(ctx, connection, wanted, snapshot)
        foreign = {name: state for name, state in states.items() if state.foreign}
        refused = _unworded(ctx, "data.prepare", states) if foreign else None
        if refused:
            return refused
        execute(connection, CHUNKS_TABLE)
        if any(job.converted and job.converted.sets_aside for job in wanted):
            execute(connection, conversions.QUARANTINE_TABLE)
        execute(connection, "SET SESSION foreign_key_checks = 0")
        there = shape.table_names(connection)
        reset = [name for name, state in states.items() if state.reset]
        for name in reset:
            ctx.check_stop()
            ours = [CHUNKS, conversions.QUARANTINE] if conversions.QUARANTINE in there else [CHUNKS]
            for table in ours:
                execute(
                    connection,
                    f"DELETE FROM {identifier(table)} WHERE run_id = %s AND table_name = %s",
                    (ctx.run_id, name),
                )
            connection.commit()
        dropped = _drop_indexes(ctx, connection, wanted, states)
        way = "LOAD DATA from a stream" if server_facts(connection).local_infile else "multi-row INSERT"
    schema, _ = read_source(ctx, exactly=False)
    held = [name for name, state in states.items() if state.resync]
    evidence = [
        f"{counted(len(wanted), 'table')}, {counted(sum(job.total for job in wanted), 'row')}, by {way}",
        *(f"holds rows, is compared and re-synced: {name}" for name in held),
        *(f"begins anew: {name}" for name in reset),
        *dropped,
        *_left_out(ctx.config, schema),
    ]
    return passed(
        f"{counted(len(wanted), 'table')} ready, {len(held)} to re-sync, {len(dropped)} without indexes",
        evidence,
        resync=len(held),
        replaces=sorted(foreign),
        tables={job.name: job.total for job in wanted},
    )


def word_needed(ctx: Context) -> str:
    """The database's name where rows of others would be replaced, which the operator must then type; else empty."""
    database = ctx.config.target.database
    try:
        with connected(ctx.config.target) as connection:
            wanted = [job for job in jobs(ctx, connection) if job.fields]
            states = _states(ctx, connection, wanted, latest_snapshot(ctx))
    except DixisError:
        return ""  # there is no such database yet, or it cannot be asked: the step itself says so
    return database if any(state.foreign for state in states.values()) else ""


def _unworded(ctx: Context, step: str, states: Mapping[str, State]) -> Outcome | None:
    """The refusal to replace rows of others, unless the operator typed the name for this time; each typing counts once.

    None when it was typed.
    """
    database = ctx.config.target.database
    typed = sum(e["typed"] == database and step in e.get("steps", ()) for e in ctx.recorded(CONFIRMED))
    used = max((int(event["words"]) for event in ctx.recorded(REPLACING) if event["step"] == step), default=0)
    foreign = {name: state for name, state in states.items() if state.foreign}
    if typed > used:
        ctx.record(REPLACING, {"step": step, "words": typed, "tables": sorted(foreign)})
        return None
    phase = step.partition(".")[0]
    return failed(
        f"{counted(len(foreign), 'table does', 'tables do')} not hold the rows this run wrote; nothing was changed",
        _whose(foreign),
        [
            "they may be what somebody still needs: look at them, and take a dump first",
            'then use an empty database: [target] database = "…"',
            "or let the snapshot replace them where they differ, and type the database's name when asked:",
            f"dixis run --phase {phase} --database {database}",
        ],
    )


def _whose(foreign: Mapping[str, State]) -> list[str]:
    return [
        f"{name}: {counted(one.there, 'row')}, {one.current + one.older} of them ours" for name, one in foreign.items()
    ]


def _held(state: State) -> str:
    whose = "rows, not those this run wrote" if state.foreign else "rows of an older snapshot"
    return f"{state.there} {whose}; compared, and only what differs is deleted or inserted"


def _lived(ctx: Context) -> Outcome | None:
    """The refusal to write into a database the shop has run on; None where it has not."""
    database = ctx.config.target.database
    if not any(event["database"] == database for event in ctx.recorded(WENT_LIVE)):
        return None
    return failed(
        f"the shop has run on {database}: it may hold what customers wrote, and is not overwritten",
        [],
        [
            f'use another database: [target] database = "{database}_2"',
            "then have the Schema phase make it: dixis run --phase schema",
        ],
    )


def _left_out(config: Config, schema: SourceSchema) -> list[str]:
    lines = [f"left out: {name} is a virtual table or belongs to one" for name in schema.left_out]
    copied = {table.name for table in copied_tables(config, schema)}
    return lines + [f"left out: {t.name} is kept as artisan made it" for t in schema.tables if t.name not in copied]


def _drop_indexes(
    ctx: Context, connection: TargetConnection, wanted: Sequence[Job], states: dict[str, State]
) -> list[str]:
    told = []
    for name, definition, clauses in list(_drops(connection, wanted, states)):
        ctx.check_stop()
        # Written down before it is done, so that a killed run still knows what was there.
        ctx.record(
            DROPPED,
            {
                "round": len(ctx.recorded(RESTORED)),
                "table": name,
                "keys": dict(definition.keys),
                "foreign_keys": dict(definition.foreign_keys),
            },
        )
        execute(connection, f"ALTER TABLE {identifier(name)} {', '.join(clauses)}")
        told.append(f"{name}: {len(clauses)} indexes and foreign keys dropped for the load")
    return told


# Putting back


def _to_restore(ctx: Context, connection: TargetConnection) -> dict[str, list[str]]:
    """What was dropped since the last time all was put back and is not there now: ADD clauses by table."""
    now = len(ctx.recorded(RESTORED))
    wanted: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for event in ctx.recorded(DROPPED):
        if event["round"] == now:
            keys, foreign = wanted.setdefault(str(event["table"]), ({}, {}))
            keys.update(event["keys"])
            foreign.update(event["foreign_keys"])
    missing: dict[str, list[str]] = {}
    for table, (keys, foreign) in wanted.items():
        there = shape.definition(connection, table)
        clauses = [f"ADD {line}" for name, line in keys.items() if name not in there.keys]
        clauses += [f"ADD {line}" for name, line in foreign.items() if name not in there.foreign_keys]
        if clauses:
            missing[table] = clauses
    return missing


def _restore_preview(ctx: Context) -> list[str]:
    with connected(ctx.config.target) as connection:
        missing = _to_restore(ctx, connection)
    lines = [f"ALTER TABLE {identifier(table)} {', '.join(clauses)};" for table, clauses in missing.items()]
    return lines or ["-- nothing was dropped, nothing to put back"]


def restore_indexes(ctx: Context) -> Outcome:
    """Put back what data.prepare dropped, as it is written in the journal; on as many tables at once as streams."""
    with connected(ctx.config.target) as connection:
        missing = _to_restore(ctx, connection)
    with ThreadPoolExecutor(max(ctx.config.data.streams, ctx.pace.streams), thread_name_prefix="indexes") as executor:
        running = [executor.submit(_put_back, ctx, table, clauses) for table, clauses in missing.items()]
    for done in running:
        done.result()
    told = [f"{table}: {clause}" for table, clauses in missing.items() for clause in clauses]
    with connected(ctx.config.target) as connection:
        left = _to_restore(ctx, connection)
    if left:
        return failed("some indexes are still not there", [f"{t}: {c}" for t, clauses in left.items() for c in clauses])
    if any(event["round"] == len(ctx.recorded(RESTORED)) for event in ctx.recorded(DROPPED)):
        ctx.record(RESTORED, {"clauses": len(told)})
    return passed(f"{len(told)} indexes and foreign keys put back" if told else "nothing had been dropped", told)


def _put_back(ctx: Context, table: str, clauses: Sequence[str]) -> None:
    """Build all of a table's indexes in one statement, so that its rows are read once."""
    with ctx.pace.turn(ctx.check_stop), connected(ctx.config.target) as connection:
        # As in the source, where nothing was checked: orphans are found by the phase validation, not here.
        execute(connection, "SET SESSION foreign_key_checks = 0")
        # MariaDB has none of these. More threads that read than cores make more and shorter sorted runs to merge.
        if query(connection, "SHOW VARIABLES LIKE 'innodb_ddl_buffer_size'"):
            threads = ctx.config.data.streams
            execute(
                connection,
                f"SET SESSION innodb_ddl_buffer_size = {DDL_BUFFER}, innodb_ddl_threads = {threads},"
                f" innodb_parallel_read_threads = {threads}",
            )
        ctx.progress(Progress("data.indexes", table, 0, len(clauses), "keys"))
        try:
            execute(connection, f"ALTER TABLE {identifier(table)} {', '.join(clauses)}")
        except TargetError as error:
            raise refusal.twins(connection, table, clauses, error) from error
        ctx.progress(Progress("data.indexes", table, len(clauses), len(clauses), "keys", Status.PASS))


# Copying


def _selected(ctx: Context, wanted: Sequence[Job], group: Group | None) -> tuple[list[Job], list[str]]:
    """The jobs of a group, or those of no group, and the group's names that the source does not have."""
    by_name = {job.table.name: job for job in wanted}
    if group is not None:
        found = {name: shape.named(by_name, name) for name in group.tables}
        return [job for job in found.values() if job], [name for name, job in found.items() if job is None]
    grouped = [shape.named(by_name, name) for each in ctx.config.data.groups for name in each.tables]
    return [job for job in wanted if job not in grouped], []


def _copy_preview(ctx: Context, group: Group | None) -> list[str]:
    with connected(ctx.config.target) as connection:
        chosen, missing = _selected(ctx, jobs(ctx, connection), group)
        load = server_facts(connection).local_infile
    lines = [f"-- {job.name}: {counted(job.total, 'row')} in chunks of {ctx.config.data.chunk_rows}" for job in chosen]
    lines += [f"-- {rule.column}: {rule.rule}" for job in chosen if job.converted for rule, _ in job.converted.rules]
    lines += [f"-- not in the source: {name}" for name in missing]
    if chosen and chosen[0].fields:
        first = chosen[0]
        statement = (
            rows.load_statement(first.name, first.fields)
            if load
            else rows.insert_statement(first.name, first.fields).decode()
        )
        lines.append(f"{statement};  -- and so on")
    return lines or ["-- nothing: every table is in a group"]


def copy_group(ctx: Context, group: Group) -> Outcome:
    """Copy the tables of one of the plan's groups."""
    return _copy(ctx, f"data.{group.name}", group)


def copy_rest(ctx: Context) -> Outcome:
    """Copy the tables that are in no group."""
    return _copy(ctx, "data.rest", None)


def _copy(ctx: Context, step: str, group: Group | None) -> Outcome:
    with connected(ctx.config.target) as connection:
        chosen, missing = _selected(ctx, jobs(ctx, connection), group)
        states = _states(ctx, connection, [job for job in chosen if job.fields], latest_snapshot(ctx))
    agreed = ctx.fact("data.prepare", "replaces") or ()
    foreign = {name: state for name, state in states.items() if state.foreign and name not in agreed}
    if foreign:
        return failed(
            f"{counted(len(foreign), 'table does', 'tables do')} not hold the rows this run wrote; nothing was changed",
            _whose(foreign),
            ["somebody has written to them since data.prepare: run the phase data again, it asks about them"],
        )
    outcome = _bring(ctx, step, chosen, states)
    if not missing:
        return outcome
    return outcome.model_copy(update={"evidence": (*outcome.evidence, f"not in the source: {', '.join(missing)}")})


def resync_all(ctx: Context, step: str) -> Outcome:
    """Write whatever the latest snapshot has otherwise than the target: the way to take along what came later."""
    if lived := _lived(ctx):
        return lived
    with connected(ctx.config.target) as connection:
        wanted = jobs(ctx, connection)
        states = _states(ctx, connection, [job for job in wanted if job.fields], latest_snapshot(ctx))
    if any(state.foreign for state in states.values()):
        refused = _unworded(ctx, step, states)
        if refused:
            return refused
    return _bring(ctx, step, wanted, states)


def resync_preview(ctx: Context) -> list[str]:
    """What resync_all would look at."""
    with connected(ctx.config.target) as connection:
        wanted = [job for job in jobs(ctx, connection) if job.fields]
        states = _states(ctx, connection, wanted, latest_snapshot(ctx))
    held = [f"-- {name}: {_held(state)}" for name, state in states.items() if state.resync]
    return held or ["-- the tables hold the latest snapshot already"]


def _bring(ctx: Context, step: str, chosen: Sequence[Job], states: Mapping[str, State] | None = None) -> Outcome:
    """Load the tables that are empty or partly loaded, re-sync those that hold other rows. states: where known."""
    snapshot = latest_snapshot(ctx)
    with connected(ctx.config.target) as connection:
        facts = server_facts(connection)
        states = states or _states(ctx, connection, [job for job in chosen if job.fields], snapshot)
        comparisons = compared_tables(ctx, connection, chosen)
    problems = [f"{job.name}: {problem}" for job in chosen for problem in job.problems]
    if problems:
        return failed(
            "the target cannot hold this as it is; nothing was changed",
            problems,
            ["run the phase data from its beginning: data.prepare says what mends it"],
        )
    packet = min(INSERT_BYTES, facts.max_allowed_packet // 2)
    held = [table for table in comparisons if states[table.name].resync]
    names = {table.name for table in held}
    written = {}
    if held:
        with connected(ctx.config.target) as connection:
            earlier = _earlier_snapshots(ctx, connection, held, states)
        written = Resync(ctx, step, snapshot, load=facts.local_infile, packet=packet).run(held, earlier)
        _resynced(ctx, step, snapshot, held)
    pool = Pool(ctx, step, snapshot, load=facts.local_infile, packet=packet)
    stored = pool.run(sorted((job for job in chosen if job.name not in names), key=lambda job: -job.total))
    evidence = [f"{name}: {counted(count, 'row')}" for name, count in stored.items()]
    evidence += [f"{name}: re-synced, {what}" for name, what in written.items()]
    changed = _conversions_done(snapshot, chosen)
    evidence += [f"{c['column']}: {c['rule']}, {counted(int(c['rows']), 'row')}" for c in changed]
    total = sum(job.total for job in chosen)
    summary = f"{counted(len(chosen), 'table')}, {counted(total, 'row')}"
    if held:
        summary += f", {len(held)} of them re-synced by {counted(sum(each.total for each in written.values()), 'row')}"
    return passed(summary, evidence, rows=total, conversions=changed, tables={job.name: job.total for job in chosen})


def _earlier_snapshots(
    ctx: Context, connection: TargetConnection, held: Sequence[Compared], states: Mapping[str, State]
) -> dict[str, Path]:
    """By table, the earlier snapshot of this run whose rows the target holds, all of them and no others."""
    latest = latest_snapshot(ctx)
    facts = [outcome.facts.get("snapshot") for outcome in ctx.outcomes.values()]
    known = {one.taking: one.path for one in (located(ctx, Snapshot.model_validate(fact)) for fact in facts if fact)}
    takings: dict[str, set[str]] = {}
    for name, taking in query(
        connection, f"SELECT DISTINCT table_name, snapshot FROM {identifier(CHUNKS)} WHERE run_id = %s", (ctx.run_id,)
    ):
        takings.setdefault(str(name), set()).add(str(taking))
    strange = _found_different(ctx)
    found = {}
    for table in held:
        state, mine = states[table.name], takings.get(table.name, set())
        path = known.get(next(iter(mine))) if len(mine) == 1 else None
        whole = not (state.foreign or state.begun or state.current or table.name in strange or table.job.converted)
        # Rows are told by their numbers, which a table that is walked by its key has in that very column.
        numbered = table.keyed and table.job.table.numbered
        if path is None or not path.is_file() or path == latest.path or not whole or not numbered:
            continue
        name = table.job.table.name
        if name in since.same_columns(latest.path, path) and since.rows(path, name) == state.there:
            found[table.name] = path
    return found


def _found_different(ctx: Context) -> set[str]:
    """Tables in which the latest comparison of each has found a difference."""
    latest = {event["proof"]["table"]: event["proof"]["status"] for event in ctx.recorded(PROVED)}
    return {table for table, status in latest.items() if status != "equal"}


def _resynced(ctx: Context, step: str, snapshot: Snapshot, held: Sequence[Compared]) -> None:
    """Write down that what a comparison had found different is not so any more."""
    for table in held:
        if table.name in _found_different(ctx):
            count = table.job.total
            proof = TableProof(table=table.name, rows_source=count, rows_target=count, status="equal")
            data = {"step": step, "round": 0, "snapshot": snapshot.taking, "proof": proof.model_dump(mode="json")}
            ctx.record(PROVED, data)


def _conversions_done(snapshot: Snapshot, chosen: Sequence[Job]) -> list[dict[str, str | int]]:
    """Every declared conversion of these tables with the number of rows it changed or set aside."""
    found: list[dict[str, str | int]] = []
    for job in chosen:
        if job.converted:
            with reading_jobs(snapshot.path, [job]) as source:
                counted = job.converted.counted(source)
            found += [{"column": rule.column, "rule": rule.rule, "rows": count} for rule, count in counted]
    return found

"""Phase 2, Data: the rows, chunk by chunk, each with its checkpoint in the same transaction on the target.

A chunk is there exactly once whatever was killed: its rows and its line in `_dixis_chunks` are committed together.
"""

from __future__ import annotations

from collections.abc import Sequence

from dixis_tui.compare import verify
from dixis_tui.config import Config, Group
from dixis_tui.context import Context
from dixis_tui.copy import catchup, holdings, reindex
from dixis_tui.copy.copying import CHUNKS, CHUNKS_TABLE, Job
from dixis_tui.copy.copyplan import jobs, unfit
from dixis_tui.model import Kind, Outcome, failed, passed
from dixis_tui.phrase import counted
from dixis_tui.schemas import conversions, rows, shape
from dixis_tui.schemas.catalogue import SourceSchema
from dixis_tui.schemas.readings import copied_tables, read_source
from dixis_tui.schemas.schema import proposed_lines
from dixis_tui.source import latest_snapshot, mark, snapshot_now, snapshot_outcome, sound, source_host
from dixis_tui.step import Step
from dixis_tui.target import connected, execute, identifier, server_facts


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
            word=holdings.word_needed,
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
            work=reindex.restore,
            preview=reindex.restore_preview,
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


def _prepare_preview(ctx: Context) -> list[str]:
    with connected(ctx.config.target) as connection:
        wanted = [job for job in jobs(ctx, connection) if job.fields]
        states = holdings.look(ctx, connection, wanted, latest_snapshot(ctx))
        lines = [CHUNKS_TABLE + ";"]
        for name, state in states.items():
            if state.resync:
                lines.append(f"-- {name}: {holdings.held(state)}")
        lines += reindex.drop_preview(connection, wanted, states)
    return lines


def prepare(ctx: Context) -> Outcome:
    """Refuse what cannot be copied exactly and rows of others; begin stale tables anew; drop large tables' indexes."""
    snapshot = latest_snapshot(ctx)
    if lived := holdings.lived_on(ctx):
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
                    *proposed_lines(ctx, [(job.table, item) for job in wanted for item in unfit(job)]),
                ],
            )
        states = holdings.look(ctx, connection, wanted, snapshot)
        foreign = {name: state for name, state in states.items() if state.foreign}
        refused = holdings.unworded(ctx, "data.prepare", states) if foreign else None
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
        dropped = reindex.drop(ctx, connection, wanted, states)
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


def _left_out(config: Config, schema: SourceSchema) -> list[str]:
    lines = [f"left out: {name} is a virtual table or belongs to one" for name in schema.left_out]
    copied = {table.name for table in copied_tables(config, schema)}
    return lines + [f"left out: {t.name} is kept as artisan made it" for t in schema.tables if t.name not in copied]


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
        states = holdings.look(ctx, connection, [job for job in chosen if job.fields], latest_snapshot(ctx))
    agreed = ctx.fact("data.prepare", "replaces") or ()
    foreign = {name: state for name, state in states.items() if state.foreign and name not in agreed}
    if foreign:
        return failed(
            f"{counted(len(foreign), 'table does', 'tables do')} not hold the rows this run wrote; nothing was changed",
            holdings.whose(foreign),
            ["somebody has written to them since data.prepare: run the phase data again, it asks about them"],
        )
    outcome = catchup.bring(ctx, step, chosen, states)
    if not missing:
        return outcome
    return outcome.model_copy(update={"evidence": (*outcome.evidence, f"not in the source: {', '.join(missing)}")})

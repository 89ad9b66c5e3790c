"""Brings tables of the target to the latest snapshot: empty ones are loaded, those that hold rows re-synced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dixis_tui.compare.proof import PROVED, TableProof
from dixis_tui.compare.resync import Resync
from dixis_tui.context import Context
from dixis_tui.copy import holdings
from dixis_tui.copy.copying import CHUNKS, INSERT_BYTES, Job, Pool, reading_jobs
from dixis_tui.copy.copyplan import compared_tables, jobs
from dixis_tui.copy.segments import Compared
from dixis_tui.model import Outcome, failed, passed
from dixis_tui.phrase import counted
from dixis_tui.schemas import since
from dixis_tui.source import Snapshot, latest_snapshot, located
from dixis_tui.target import TargetConnection, connected, identifier, query, server_facts


def resync_all(ctx: Context, step: str) -> Outcome:
    """Write whatever the latest snapshot has otherwise than the target: the way to take along what came later."""
    if lived := holdings.lived_on(ctx):
        return lived
    with connected(ctx.config.target) as connection:
        wanted = jobs(ctx, connection)
        states = holdings.look(ctx, connection, [job for job in wanted if job.fields], latest_snapshot(ctx))
    if any(state.foreign for state in states.values()):
        refused = holdings.unworded(ctx, step, states)
        if refused:
            return refused
    return bring(ctx, step, wanted, states)


def resync_preview(ctx: Context) -> list[str]:
    """What resync_all would look at."""
    with connected(ctx.config.target) as connection:
        wanted = [job for job in jobs(ctx, connection) if job.fields]
        states = holdings.look(ctx, connection, wanted, latest_snapshot(ctx))
    held = [f"-- {name}: {holdings.held(state)}" for name, state in states.items() if state.resync]
    return held or ["-- the tables hold the latest snapshot already"]


def bring(
    ctx: Context, step: str, chosen: Sequence[Job], states: Mapping[str, holdings.State] | None = None
) -> Outcome:
    """Load the tables that are empty or partly loaded, re-sync those that hold other rows. states: where known."""
    snapshot = latest_snapshot(ctx)
    with connected(ctx.config.target) as connection:
        facts = server_facts(connection)
        states = states or holdings.look(ctx, connection, [job for job in chosen if job.fields], snapshot)
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
    ctx: Context, connection: TargetConnection, held: Sequence[Compared], states: Mapping[str, holdings.State]
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
    strange = holdings.found_different(ctx)
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


def _resynced(ctx: Context, step: str, snapshot: Snapshot, held: Sequence[Compared]) -> None:
    """Write down that what a comparison had found different is not so any more."""
    for table in held:
        if table.name in holdings.found_different(ctx):
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

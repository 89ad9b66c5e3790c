"""Large tables are loaded without their secondary indexes and foreign keys, which are built again afterwards.

The journal says what was dropped before it is, so that a killed run still knows what was there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from dixis_tui.context import Context
from dixis_tui.copy import refusal
from dixis_tui.copy.copying import Job
from dixis_tui.copy.holdings import State
from dixis_tui.model import Outcome, Progress, Status, failed, passed
from dixis_tui.record.journal import DROPPED, RESTORED
from dixis_tui.schemas import orphans, shape
from dixis_tui.target import TargetConnection, TargetError, connected, execute, identifier, query

# Tables with more rows than this are loaded without their secondary indexes, which are built afterwards.
LARGE = 50_000
# Bytes a session of MySQL may sort in while it builds indexes.
DDL_BUFFER = 64 << 20


def _to_drop(
    connection: TargetConnection, wanted: Sequence[Job], states: Mapping[str, State]
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


def _large(job: Job) -> bool:
    return job.total > LARGE


def drop_preview(connection: TargetConnection, wanted: Sequence[Job], states: Mapping[str, State]) -> list[str]:
    """The statements that drop() would send."""
    return [
        f"ALTER TABLE {identifier(name)} {', '.join(clauses)};  -- put back by data.indexes"
        for name, _, clauses in _to_drop(connection, wanted, states)
    ]


def drop(ctx: Context, connection: TargetConnection, wanted: Sequence[Job], states: Mapping[str, State]) -> list[str]:
    """Drop what large tables are loaded without; a line for each table."""
    told = []
    for name, definition, clauses in list(_to_drop(connection, wanted, states)):
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


def restore_preview(ctx: Context) -> list[str]:
    """The statements that restore() would send."""
    with connected(ctx.config.target) as connection:
        missing = _to_restore(ctx, connection)
    lines = [f"ALTER TABLE {identifier(table)} {', '.join(clauses)};" for table, clauses in missing.items()]
    return lines or ["-- nothing was dropped, nothing to put back"]


def restore(ctx: Context) -> Outcome:
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

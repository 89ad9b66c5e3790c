"""What the target's tables hold before they are written, and whose it is.

Rows of others are replaced on the operator's word alone, those of a shop that has run there not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dixis_tui.compare.proof import PROVED
from dixis_tui.compare.resync import begun_resyncs
from dixis_tui.context import Context
from dixis_tui.copy.copying import CHUNKS, Job
from dixis_tui.copy.copyplan import jobs
from dixis_tui.model import DixisError, Outcome, failed
from dixis_tui.phrase import counted
from dixis_tui.record.journal import CONFIRMED, WENT_LIVE
from dixis_tui.schemas import shape
from dixis_tui.source import Snapshot, latest_snapshot
from dixis_tui.target import TargetConnection, connected, identifier, query

# Rows of others are about to be replaced: data says how often the operator had typed the word for the step by then.
REPLACING = "rows-replaced"


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


def look(ctx: Context, connection: TargetConnection, wanted: Sequence[Job], snapshot: Snapshot) -> dict[str, State]:
    """What the table of each of these jobs holds now."""
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
    different = found_different(ctx)
    states = {}
    for job in wanted:
        ctx.check_stop()
        count = int(query(connection, f"SELECT COUNT(*) FROM {identifier(job.name)}")[0][0])
        mine = known.get(job.name, {})
        states[job.name] = State(
            count, mine.get(True, 0), mine.get(False, 0), job.name in begun, different=job.name in different
        )
    return states


def found_different(ctx: Context) -> set[str]:
    """Tables in which the latest comparison of each has found a difference."""
    latest = {event["proof"]["table"]: event["proof"]["status"] for event in ctx.recorded(PROVED)}
    return {table for table, status in latest.items() if status != "equal"}


def word_needed(ctx: Context) -> str:
    """The database's name where rows of others would be replaced, which the operator must then type; else empty."""
    database = ctx.config.target.database
    try:
        with connected(ctx.config.target) as connection:
            wanted = [job for job in jobs(ctx, connection) if job.fields]
            states = look(ctx, connection, wanted, latest_snapshot(ctx))
    except DixisError:
        return ""  # there is no such database yet, or it cannot be asked: the step itself says so
    return database if any(state.foreign for state in states.values()) else ""


def unworded(ctx: Context, step: str, states: Mapping[str, State]) -> Outcome | None:
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
        whose(foreign),
        [
            "they may be what somebody still needs: look at them, and take a dump first",
            'then use an empty database: [target] database = "…"',
            "or let the snapshot replace them where they differ, and type the database's name when asked:",
            f"dixis run --phase {phase} --database {database}",
        ],
    )


def whose(foreign: Mapping[str, State]) -> list[str]:
    """How many rows of each of these tables are ours, one line each."""
    return [
        f"{name}: {counted(one.there, 'row')}, {one.current + one.older} of them ours" for name, one in foreign.items()
    ]


def held(state: State) -> str:
    """What a table that is re-synced holds."""
    what = "rows, not those this run wrote" if state.foreign else "rows of an older snapshot"
    return f"{state.there} {what}; compared, and only what differs is deleted or inserted"


def lived_on(ctx: Context) -> Outcome | None:
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

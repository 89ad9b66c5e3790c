"""What many checks look at, looked at once: the source's schema and contents, and what the copy would do with them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dixis_tui import schema, shape, texts, transfer
from dixis_tui.catalogue import SourceSchema, TableContents
from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.copying import Job
from dixis_tui.misfits import Misfit, misfits, planned_columns
from dixis_tui.model import Progress, Status
from dixis_tui.shape import ShapeColumn
from dixis_tui.source import Snapshot, latest_snapshot, open_readonly
from dixis_tui.target import ServerFacts, TargetConnection, connected, query, server_facts
from dixis_tui.texts import Texts
from dixis_tui.translate import Translation

SOURCE, SCAN, SERVER, HOST, APPLICATION, SCRATCH = (
    "data.source",
    "data.scan",
    "infra.server",
    "env.host",
    "env.application",
    "schema.migrations-run",
)
SCAN_STEP = "preflight.data.scan"


@contextmanager
def server(ctx: Context) -> Iterator[TargetConnection]:
    """A connection that needs neither the database nor the application's account, where [target.admin] is given."""
    target = ctx.config.target
    with connected(target, admin=target.admin is not None, database=None) as connection:
        yield connection


@dataclass(frozen=True)
class Planned:
    """What the copy would do. translation: None in artisan mode; targets: the columns it would write to, by table,
    empty when they are not known yet."""

    snapshot: Snapshot
    schema: SourceSchema
    contents: Mapping[str, TableContents]
    texts: Mapping[str, Mapping[str, Texts]]
    facts: ServerFacts
    translation: Translation | None
    targets: Mapping[str, Sequence[ShapeColumn]]
    jobs: Sequence[Job]
    misfits: Sequence[Misfit]


def source_texts(ctx: Context) -> dict[str, dict[str, Texts]]:
    """What the texts of the latest snapshot are; asked once and kept beside it."""
    source_schema, contents = schema.read_source(ctx)
    snapshot = latest_snapshot(ctx)
    kept = snapshot.path.with_name(f"texts-{snapshot.sha256}.json")
    found = texts.load(kept)
    if found is None:

        def told(table: str, rows: int) -> None:
            ctx.progress(Progress(SCAN_STEP, table, rows, rows, "rows", Status.PASS))

        found = texts.scan_texts(
            lambda: open_readonly(snapshot.path),
            source_schema.tables,
            contents,
            lambda table: told(table.name, contents[table.name].rows),
            ctx.check_stop,
        )
        texts.keep(kept, found)
    return found


Key = tuple[str, ServerFacts, Mapping[str, Sequence[ShapeColumn]]]


class _Kept:
    """The last answer of planned(), good as long as snapshot, configuration, server and tables are what they were."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.config: Config | None = None
        self.key: Key | None = None
        self.answer: Planned | None = None


_kept = _Kept()


def planned(ctx: Context) -> Planned:
    """What the copy would do with the latest snapshot. Checks that ask at the same time wait for one answer."""
    with _kept.lock, server(ctx) as connection:
        snapshot, facts = latest_snapshot(ctx), server_facts(connection)
        there = {} if ctx.config.schema_section.mode == "native" else artisan_columns(ctx, connection)
        key = (snapshot.taking, facts, there)
        if _kept.answer is None or _kept.config is not ctx.config or _kept.key != key:
            _kept.answer = _plan(ctx, connection, snapshot, facts, there)
            _kept.config, _kept.key = ctx.config, key
        return _kept.answer


def artisan_columns(ctx: Context, connection: TargetConnection) -> dict[str, tuple[ShapeColumn, ...]]:
    """The columns that artisan has built on the target, or else in the scratch database a check tried them in."""
    database = ctx.config.target.database
    if query(connection, "SELECT 1 FROM information_schema.tables WHERE table_schema = %s LIMIT 1", (database,)):
        with connected(ctx.config.target, admin=ctx.config.target.admin is not None) as inside:
            return shape.all_columns(inside)
    tried = ctx.fact(f"preflight.{SCRATCH}", "columns") or {}
    return {table: tuple(ShapeColumn(*column) for column in columns) for table, columns in tried.items()}


def _plan(
    ctx: Context,
    connection: TargetConnection,
    snapshot: Snapshot,
    facts: ServerFacts,
    there: Mapping[str, Sequence[ShapeColumn]],
) -> Planned:
    source_schema, contents = schema.read_source(ctx)
    found = source_texts(ctx)
    translation = None
    targets = there
    if ctx.config.schema_section.mode == "native":
        translation = schema.translated(ctx, connection)
        targets = planned_columns(translation)
    jobs = transfer.planned_jobs(ctx, targets, facts) if targets else []
    invalid = {
        (table, column): one.invalid
        for table, columns in found.items()
        for column, one in columns.items()
        if one.invalid
    }
    wrong = misfits(snapshot, jobs, ctx.config.target.time_zone, invalid, ctx.check_stop)
    return Planned(snapshot, source_schema, contents, found, facts, translation, targets, jobs, wrong)

"""What many checks look at, looked at once: the source's schema and contents, and what the copy would do with them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.copy import copyplan
from dixis_tui.copy.copying import Job
from dixis_tui.copy.misfits import Misfit, misfits, planned_columns
from dixis_tui.model import Progress, Status
from dixis_tui.schemas import catalogue, schema, shape, texts
from dixis_tui.schemas.catalogue import SourceSchema, Table
from dixis_tui.schemas.contents import TableContents
from dixis_tui.schemas.readings import read_source
from dixis_tui.schemas.shape import ShapeColumn
from dixis_tui.schemas.texts import Texts
from dixis_tui.source import Snapshot, latest_snapshot, open_readonly
from dixis_tui.target import ServerFacts, TargetConnection, connected, query, server_facts
from dixis_tui.translate import Translation

SOURCE, SCAN, PLANNED, SERVER, HOST, APPLICATION, SCRATCH = (
    "data.source",
    "data.scan",
    "data.plan",
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


def scanned(ctx: Context) -> tuple[SourceSchema, dict[str, TableContents], dict[str, dict[str, Texts]]]:
    """The latest snapshot's schema, what its columns hold, and what their texts are; asked once and kept beside it.

    Columns declared as texts are read for the last question while the others are scanned; what turns out to hold texts
    all the same is read afterwards.
    """
    snapshot = latest_snapshot(ctx)
    kept = snapshot.path.with_name(f"texts-{snapshot.sha256}.json")
    found = texts.load(kept)
    if found is not None:
        return *read_source(ctx), found

    def opened() -> sqlite3.Connection:
        return open_readonly(snapshot.path)

    with ThreadPoolExecutor(1) as beside, closing(opened()) as connection:
        early = {table: _declared_texts(table) for table in catalogue.read_schema(connection).tables}
        answer = beside.submit(texts.scan_texts, opened, early, ctx.check_stop)
        source_schema, contents = read_source(ctx)
        late = {}
        for table in source_schema.tables:
            rows = contents[table.name].rows
            ctx.progress(Progress(SCAN_STEP, table.name, rows, rows, "rows", Status.PASS))
            late[table] = [name for name in _held_texts(table, contents[table.name]) if name not in early[table]]
        found = answer.result()
    for name, more in texts.scan_texts(opened, late, ctx.check_stop).items():
        found[name] |= more
    texts.keep(kept, found)
    return source_schema, contents, found


def _declared_texts(table: Table) -> list[str]:
    words = ("char", "text", "clob", "json")
    return [c.name for c in table.columns if not c.declared or any(word in c.declared.lower() for word in words)]


def _held_texts(table: Table, contents: TableContents) -> list[str]:
    """Columns with texts that are no moments, whatever they are declared as."""
    held = contents.columns
    return [c.name for c in table.columns if held[c.name].texts > held[c.name].dates + held[c.name].datetimes]


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
    source_schema, contents, found = scanned(ctx)
    translation = None
    targets = there
    if ctx.config.schema_section.mode == "native":
        translation = schema.translated(ctx, connection)
        targets = planned_columns(translation)
    jobs = copyplan.planned_jobs(ctx, targets, facts) if targets else []
    invalid = {
        (table, column): one.invalid
        for table, columns in found.items()
        for column, one in columns.items()
        if one.invalid
    }
    wrong = misfits(snapshot, jobs, ctx.config.target.time_zone, invalid, ctx.check_stop)
    return Planned(snapshot, source_schema, contents, found, facts, translation, targets, jobs, wrong)

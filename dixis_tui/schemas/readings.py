"""What is read of the source in every phase: the schema of the latest snapshot, and what its tables hold."""

from __future__ import annotations

from pathlib import Path

from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.schemas import differences, since
from dixis_tui.schemas.catalogue import SourceSchema, Table, read_schema
from dixis_tui.schemas.contents import TableContents, keep_contents, load_contents, scan_all
from dixis_tui.schemas.names import Names, target_names
from dixis_tui.source import Snapshot, latest_snapshot, located, open_readonly, reading
from dixis_tui.target import (
    TargetConnection,
    server_facts,
)


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

"""The emergency rollback: five steps, each visible and each safe to repeat, none of which needs MySQL or [target].

What it keeps: the SQLite database is only replaced when it is damaged or gone, and then what is there is set aside; the
target and the rows written to it after the cutover stay as they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from dixis_tui import envfile, laravel
from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.host import join
from dixis_tui.journal import SWITCHED
from dixis_tui.model import DixisError, Kind, Outcome, Phase, Step, failed, passed, warned
from dixis_tui.source import Snapshot, SourceError, open_readonly, snapshot_now, source_host
from dixis_tui.target import identifier


def phase(config: Config) -> Phase:
    """The rollback beside the plan."""
    return Phase(
        id="rollback",
        title="Rollback",
        steps=(
            Step(
                id="rollback.maintenance",
                title="Stop traffic: maintenance mode on",
                kind=Kind.ACTION,
                why="No order may be written while the database changes.",
                work=_maintenance,
                preview=lambda ctx: [laravel.shown(ctx, "down", "--retry=60")],
                undo="php artisan up",
            ),
            Step(
                id="rollback.database",
                title="SQLite database whole, or restored",
                kind=Kind.ACTION,
                why="The application goes back to the database it came from.",
                work=_database,
                preview=_database_preview,
                undo="a replaced file is kept beside it, with the time in its name",
            ),
            Step(
                id="rollback.environment",
                title=f"Put {config.app.env_file} back",
                kind=Kind.ACTION,
                why="The whole saved file is put back, not single keys.",
                work=_environment,
                preview=_environment_preview,
                undo="the replaced file is kept beside it, with the time in its name",
            ),
            Step(
                id="rollback.restart",
                title="Clear caches, restart workers",
                kind=Kind.ACTION,
                why="A cached configuration would keep the application on MySQL.",
                work=lambda ctx: passed("the application reads its old settings again", laravel.refresh_caches(ctx)),
                preview=lambda ctx: [laravel.shown(ctx, name) for name in laravel.cache_commands(ctx) if name],
                undo="nothing to undo: caches fill again by themselves",
            ),
            Step(
                id="rollback.verify",
                title="The application answers on SQLite, traffic returns",
                kind=Kind.ACTION,
                why="Traffic returns only to an application that was seen to work.",
                work=_verify,
                preview=lambda ctx: [
                    "ask the application which database it reads, and count",
                    laravel.shown(ctx, "up"),
                ],
                undo="php artisan down",
            ),
        ),
    )


def _maintenance(ctx: Context) -> Outcome:
    try:
        laravel.go_down(ctx)
    except laravel.ApplicationError as error:
        # An application that cannot even start serves nobody; the next steps are what mends it.
        return warned("the application does not start; going on, since it serves nobody", error.lines())
    return passed("the application is in maintenance mode")


def _database_preview(ctx: Context) -> list[str]:
    path = ctx.config.source.path
    return [
        f"check {path} on {source_host(ctx).name}: a whole database is kept as it is",
        "only a damaged or missing one is replaced by the newest snapshot, and the damaged file kept beside it",
    ]


def _database(ctx: Context) -> Outcome:
    path, host = ctx.config.source.path, source_host(ctx)
    try:
        live = snapshot_now(ctx, "rollback")
    except SourceError as error:
        return _restore(ctx, error)
    evidence = [f"{path} on {host.name}: integrity_check ok, {live.size} bytes"]
    if ctx.recorded(SWITCHED):
        evidence.append("rows written to MySQL after the cutover stay there and are not in SQLite: keep that database")
    return passed("the SQLite database is whole and was not touched", evidence, rows=_row_counts(ctx, live))


def _restore(ctx: Context, reason: SourceError) -> Outcome:
    path, host = ctx.config.source.path, source_host(ctx)
    snapshot = _newest_snapshot(ctx)
    kept = []
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for suffix in ("", "-wal", "-shm", "-journal"):
        if host.stat(path + suffix) is not None:
            host.run(["mv", "-fT", "--", path + suffix, f"{path}{suffix}.damaged-{stamp}"]).check(
                "Setting a file aside"
            )
            kept.append(f"kept: {path}{suffix}.damaged-{stamp}")
    if not kept:
        host.store(snapshot.path, path, mode=0o660)
    else:
        host.copy(f"{path}.damaged-{stamp}", path)  # for its mode and owner
        host.store(snapshot.path, path)
    restored = snapshot_now(ctx, "rollback")
    return warned(
        f"the SQLite database was restored from the snapshot of {snapshot.taken_at}",
        [reason.what, *kept, f"restored: sha256 {snapshot.sha256}"],
        [
            "rows written to SQLite after that snapshot are in the damaged file only; keep it",
            f"check that the web server may write {path}",
        ],
        rows=_row_counts(ctx, restored),
    )


def _newest_snapshot(ctx: Context) -> Snapshot:
    """The last snapshot this run took for its data, else for its preflight; earlier rollbacks do not hide it."""
    finished = [event["outcome"]["facts"].get("snapshot") for event in ctx.recorded("step-finished")]
    snapshots = [Snapshot.model_validate(facts) for facts in finished if facts]
    if not snapshots:
        raise DixisError(
            "The SQLite database is damaged or gone, and this run has taken no snapshot of it.",
            safe="nothing was replaced",
            next_step=f"put a backup in its place by hand: {ctx.config.source.path}",
        )
    return max(snapshots, key=lambda snapshot: (snapshot.path.name.startswith("data"), snapshot.taken_at))


def _row_counts(ctx: Context, snapshot: Snapshot) -> dict[str, int | None]:
    counts: dict[str, int | None] = {}
    with closing(open_readonly(snapshot.path)) as connection:
        for table in ctx.config.validation.probe_tables:
            try:
                counts[table] = connection.execute(f"SELECT count(*) FROM {identifier(table)}").fetchone()[0]
            except sqlite3.OperationalError:
                counts[table] = None
    return counts


def _saved(ctx: Context) -> Mapping[str, Any] | None:
    saved = ctx.recorded(SWITCHED)
    return saved[-1] if saved else None


def _environment_preview(ctx: Context) -> list[str]:
    saved = _saved(ctx)
    path = laravel.env_path(ctx)
    if saved is None:
        return [f"{path} was not switched by this run: check that it leads to SQLite"]
    return [f"put {saved['path']} back as {path}, keeping what is there now beside it"]


def _environment(ctx: Context) -> Outcome:
    path = laravel.env_path(ctx)
    saved = _saved(ctx)
    ctx.app_host.remove(join(ctx.config.app.root, laravel.TRIAL_ENV))
    evidence: list[str] = []
    if saved is not None:
        evidence = _put_back(ctx, path, saved)
    connection = envfile.values(laravel.read_env(ctx)).get("DB_CONNECTION", "")
    if connection != "sqlite":
        return failed(
            f"{path} says DB_CONNECTION={connection or '(nothing)'}",
            evidence,
            [f"set DB_CONNECTION=sqlite and DB_DATABASE={ctx.config.source.path} in {path}, then run this step again"],
        )
    return passed(f"{ctx.config.app.env_file} leads to SQLite", evidence or ["it had not been switched"])


def _put_back(ctx: Context, path: str, saved: Mapping[str, Any]) -> list[str]:
    host = ctx.app_host
    old = host.read(saved["path"]).decode("utf-8")
    if laravel.digest(old) != saved["sha256"]:
        raise DixisError(
            f"{saved['path']} on {host.name} is not the file that was saved before the cutover.",
            safe=f"{path} was not touched",
            next_step="find out who changed it; put the right one there, then run this step again",
        )
    if laravel.digest(laravel.read_env(ctx)) == saved["sha256"]:
        return ["it already is the saved file, byte for byte"]
    kept = f"{path}.mysql-{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}"
    host.copy(path, kept)
    host.write(path, old.encode())
    return [f"put back: {saved['path']}", f"kept: {kept}"]


def _verify(ctx: Context) -> Outcome:
    answer = laravel.ask(ctx)
    expected = ctx.fact("rollback.database", "rows")
    if answer.driver != "sqlite":
        return failed(
            f"the application is still on {answer.driver} {answer.database}; it stays in maintenance mode",
            answer.lines(),
            ["run rollback.restart again; a shell variable or a cached configuration may override .env"],
        )
    if expected is not None and answer.rows != expected:
        return failed(
            "the application counts other rows than the database holds; it stays in maintenance mode",
            [*answer.lines(), f"database: {expected}"],
            ["check DB_DATABASE in .env: it may name another file than [source] path"],
        )
    laravel.go_up(ctx)
    ctx.record("window-closed", {})
    return passed("the application answers on SQLite, traffic is back", answer.lines())

"""The emergency rollback: five steps, each visible and each safe to repeat, none of which needs MySQL or [target].

What it keeps: the SQLite database is only replaced when it is damaged or gone, and then what is there is set aside; the
target and the rows written to it after the cutover stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dixis_tui import backup, laravel
from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.host import HostError, join
from dixis_tui.journal import SWITCHED
from dixis_tui.model import DixisError, Kind, Outcome, failed, passed, warned
from dixis_tui.source import DamagedError, Snapshot, SourceError, examine, located, sound, source_host
from dixis_tui.step import Phase, Step


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
                work=lambda ctx: laravel.refresh_caches(ctx).outcome("the application reads its old settings again"),
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
    except (laravel.ApplicationError, HostError) as error:
        # The link to the host is asked first: without it nothing can be done, but an application that does not start
        # serves nobody, and the next steps are what mends it.
        ctx.app_host.run(["true"], timeout=30).check("Reaching the host")
        return warned("the application does not start; going on, since it serves nobody", error.lines())
    return passed("the application is in maintenance mode")


def _database_preview(ctx: Context) -> list[str]:
    path = ctx.config.source.path
    return [
        f"check {path} on {source_host(ctx).name}, where it lies: a whole database is kept as it is",
        "only one that is proved to be damaged, or gone, is replaced by the newest snapshot, and kept beside it",
    ]


def _database(ctx: Context) -> Outcome:
    path, host = ctx.config.source.path, source_host(ctx)
    try:
        rows = examine(host, path, ctx.config.validation.probe_tables, php=ctx.config.app.php)
    except DamagedError as error:
        return _restore(ctx, error)
    except SourceError as error:
        return warned(
            "the SQLite database could not be examined; it was not touched",
            [error.what],
            ["the last step asks the application what it reads from it", error.next_step],
        )
    evidence = [f"{path} on {host.name}: integrity_check ok"]
    if ctx.recorded(SWITCHED):
        evidence.append("rows written to MySQL after the cutover stay there and are not in SQLite: keep that database")
    return passed("the SQLite database is whole and was not touched", evidence, rows=rows)


def _restore(ctx: Context, reason: SourceError) -> Outcome:
    path, host = ctx.config.source.path, source_host(ctx)
    snapshot = _newest_snapshot(ctx)
    kept = []
    existed = host.stat(path) is not None
    now = backup.stamp()
    for suffix in ("", "-wal", "-shm", "-journal"):
        if host.stat(path + suffix) is not None:
            host.run(["mv", "-fT", "--", path + suffix, f"{path}{suffix}.damaged-{now}"]).check("Setting a file aside")
            kept.append(f"kept: {path}{suffix}.damaged-{now}")
    host.store(snapshot.path, path, mode=0o660)
    # Its mode and owner are those of the file it replaces, else the owner of its folder.
    like = f"{path}.damaged-{now}" if existed else path.rpartition("/")[0]
    host.run(["chown", f"--reference={like}", "--", path])
    if existed:
        host.run(["chmod", f"--reference={like}", "--", path]).check("Setting the mode of the restored database")
    rows = examine(host, path, ctx.config.validation.probe_tables, php=ctx.config.app.php)
    return warned(
        f"the SQLite database was restored from the snapshot of {snapshot.taken_at}",
        [reason.what, *kept, f"restored: sha256 {snapshot.sha256}"],
        [
            "rows written to SQLite after that snapshot are in the damaged file only; keep it",
            f"check that the web server may write {path}",
        ],
        rows=rows,
    )


def _newest_snapshot(ctx: Context) -> Snapshot:
    """The last sound snapshot this run took for its data, else for its preflight; earlier rollbacks do not hide it."""
    finished = [event["outcome"]["facts"].get("snapshot") for event in ctx.recorded("step-finished")]
    snapshots = [located(ctx, Snapshot.model_validate(facts)) for facts in finished if facts]
    for snapshot in sorted(snapshots, key=lambda s: (s.path.name.startswith("data"), s.taken_at), reverse=True):
        if sound(snapshot):
            return snapshot
    raise DixisError(
        "The SQLite database is damaged or gone, and this run has no sound snapshot of it.",
        safe="nothing was replaced",
        next_step=f"put a backup in its place by hand: {ctx.config.source.path}",
    )


def _saved(ctx: Context) -> Mapping[str, Any] | None:
    """What was recorded when the application was switched, this time; None when it was not."""
    path = laravel.saved_env_path(ctx)
    return next((event for event in ctx.recorded(SWITCHED) if event["path"] == path), None)


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
    if saved is not None:
        return passed(f"{ctx.config.app.env_file} is the one from before the cutover", _put_back(ctx, path, saved))
    return passed(f"{ctx.config.app.env_file} was never switched by this run, and was left as it is")


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
    kept = f"{path}.mysql-{backup.stamp()}"
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
            [
                f"see DB_CONNECTION in {laravel.env_path(ctx)}, and shell variables that override it",
                "then run rollback.restart and this step again",
            ],
        )
    if expected is not None and answer.rows != dict(expected):
        return failed(
            "the application counts other rows than the database holds; it stays in maintenance mode",
            [*answer.lines(), f"database: {expected}"],
            ["check DB_DATABASE in .env: it may name another file than [source] path"],
        )
    laravel.go_up(ctx)
    ctx.record("window-closed", {})
    return passed("the application answers on SQLite, traffic is back", answer.lines())

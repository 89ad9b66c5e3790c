"""The emergency rollback: five steps, each visible and each safe to repeat, none of which needs MySQL or [target].

What it keeps: the SQLite database is replaced only when it is damaged or gone, or by a checked copy of itself with the
rows that were written to the target after the cutover; what was there is set aside. The target stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.hosts import backup, dbfile, envfile, fleet, laravel
from dixis_tui.hosts.host import Host, HostError, join
from dixis_tui.model import DixisError, Kind, Outcome, StoppedError, failed, passed, warned
from dixis_tui.record.journal import KEPT
from dixis_tui.source import (
    DamagedError,
    Snapshot,
    SourceError,
    examine,
    located,
    sound,
    source_host,
)
from dixis_tui.step import Phase, Step
from dixis_tui.switch import cutover, owed

WORKERS_SECONDS = 15.0


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
                preview=lambda ctx: fleet.lines(
                    ctx,
                    lambda host: [
                        laravel.shown(host, "down"),
                        laravel.shown(host, laravel.RESTART),
                        *(f"{host.app_host.name}: {text}" for text in ctx.config.app.stop_workers),
                    ],
                ),
                undo="php artisan up",
            ),
            Step(
                id="rollback.database",
                title="SQLite database whole, with what came since",
                kind=Kind.ACTION,
                why="The application goes back to the database it came from; what MySQL took since comes along.",
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
                work=lambda ctx: cutover.refresh(ctx, "the application reads its old settings again"),
                preview=cutover.caches_preview,
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
                    *fleet.lines(
                        ctx,
                        lambda host: [
                            laravel.shown(host, "up"),
                            *(f"{host.app_host.name}: {text}" for text in ctx.config.app.start_workers),
                        ],
                    ),
                ],
                undo="php artisan down",
            ),
        ),
    )


def _maintenance(ctx: Context) -> Outcome:
    told = fleet.each(ctx, _closed)
    stopped = fleet.each(ctx, _stopped)
    problems = fleet.named(ctx, [[*one[1], *workers.problems] for one, workers in zip(told, stopped, strict=True)])
    evidence = fleet.named(ctx, [[one[0], *workers.done] for one, workers in zip(told, stopped, strict=True)])
    if problems:
        return warned(
            "no request is served any more; not everything went as usual",
            [*evidence, *problems],
            ["going on: the next steps mend the application; see that no worker runs"],
        )
    return passed("the application is in maintenance mode", evidence)


def _stopped(ctx: Context) -> laravel.Refreshed:
    """End the workers on a host: one that goes on would write to the database that is left."""
    # Through a cache on a server that does not answer nobody hears it, and nobody waits for that.
    ending = laravel.restart_workers(ctx, min(ctx.config.app.timeout, WORKERS_SECONDS))
    stopped = laravel.run_commands(ctx, ctx.config.app.stop_workers)
    return laravel.Refreshed((*ending.done, *stopped.done), (*ending.problems, *stopped.problems))


def _closed(ctx: Context) -> tuple[str, list[str]]:
    """Close the shop on a host: by artisan, else by Laravel's own flag file. What was done, and what did not work."""
    try:
        laravel.go_down(ctx)
    except StoppedError:
        raise
    except (laravel.ApplicationError, HostError) as error:
        # The link to the host is asked first: without it nothing can be done.
        ctx.app_host.run(["true"], timeout=30).check("Reaching the host")
        forced = laravel.force_down(ctx)
        try:
            serves = not laravel.ask(ctx, tables=()).down
        except (laravel.ApplicationError, HostError):
            return forced, ["the application does not start; going on, since it serves nobody", *error.lines()]
        if serves:
            raise
        return forced, error.lines()
    return "maintenance mode is on", []


def _database_preview(ctx: Context) -> list[str]:
    path = ctx.config.source.path
    return [
        f"check {path} on {source_host(ctx).name}, where it lies: a whole database is kept as it is",
        "only one that is proved to be damaged, or gone, is replaced by the newest snapshot, and kept beside it",
        *(
            f"bring home the rows written to {one['database']} since {one['at']}: into a copy, which is checked and"
            " compared before it takes the database's place"
            for one in reversed(owed.lives(ctx))
        ),
    ]


def _writable_again(ctx: Context) -> list[str]:
    """Give the database back the mode it had before the cutover made it read-only; what was done."""
    path, host = ctx.config.source.path, source_host(ctx)
    kept = [event for event in ctx.recorded(KEPT) if event["path"] == path]
    try:
        facts = host.stat(path) if kept else None
    except HostError:
        return []  # it is told where the database is examined
    if facts is None or facts.mode & 0o222:
        return []
    mode = f"{int(kept[-1]['mode']):o}"
    host.run(["chmod", mode, "--", path]).check(f"Making {path} writable again")
    return [f"writable again: {path}, mode {mode}"]


def _database(ctx: Context) -> Outcome:
    path, host = ctx.config.source.path, source_host(ctx)
    owed.set_back(ctx)
    writable = _writable_again(ctx)
    outcome = _whole_database(ctx, path, host)
    return outcome.model_copy(update={"evidence": (*outcome.evidence, *writable)})


def _whole_database(ctx: Context, path: str, host: Host) -> Outcome:
    try:
        rows = examine(host, path, ctx.config.validation.probe_tables, php=ctx.config.app.php)
        outcome = passed("the SQLite database is whole", [f"{path} on {host.name}: integrity_check ok"], rows=rows)
    except DamagedError as error:
        outcome = _restore(ctx, error)
    except (SourceError, HostError) as error:
        # Without the link to the host nothing can be done; else the application is asked in the end.
        host.run(["true"], timeout=30).check("Reaching the host")
        outcome = warned(
            "the SQLite database could not be examined; it was not touched",
            [error.what],
            ["the last step asks the application what it reads from it", *filter(None, [error.next_step])],
        )
    return owed.bring_home(ctx, outcome)


def _restore(ctx: Context, reason: SourceError) -> Outcome:
    path, host = ctx.config.source.path, source_host(ctx)
    snapshot = _newest_snapshot(ctx)
    kept = dbfile.replace(ctx, snapshot.path, dbfile.suffix(ctx, "damaged"))
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


def _environment_preview(ctx: Context) -> list[str]:
    def shown(host: Context) -> list[str]:
        path, saved = laravel.env_path(host), laravel.saved(host)
        if saved is None:
            return [f"{host.app_host.name}: {path} was not switched by this run: it is left as it is"]
        return [f"{host.app_host.name}: put {saved['path']} back as {path}, keeping what is there now beside it"]

    return fleet.lines(ctx, shown)


def _environment(ctx: Context) -> Outcome:
    def put_back(host: Context) -> list[str]:
        host.app_host.remove(join(host.config.app.root, laravel.TRIAL_ENV))
        saved = laravel.saved(host)
        return [] if saved is None else _put_back(host, laravel.env_path(host), saved)

    told = fleet.each(ctx, put_back)
    if any(told):
        return passed(f"{ctx.config.app.env_file} is the one from before the cutover", fleet.named(ctx, told))
    return passed(f"{ctx.config.app.env_file} was never switched by this run, and was left as it is")


def _put_back(ctx: Context, path: str, saved: Mapping[str, Any]) -> list[str]:
    """Put the saved file back, byte for byte. One that is gone does not matter where the settings lead back already."""
    host = ctx.app_host
    there = host.stat(path)
    now = host.read(path) if there else b""
    if _digest(now) == saved["sha256"]:
        return ["it already is the saved file, byte for byte"]
    old = host.read(saved["path"]) if host.stat(saved["path"]) else b""
    if _digest(old) != saved["sha256"]:
        word = "changed since" if old else "gone"
        driver = envfile.values(now.decode("utf-8", "replace")).get("DB_CONNECTION")
        if there and driver not in cutover.DRIVERS:
            return [f"the saved copy, {saved['path']}, is {word}; {path} does not lead to MySQL and was left as it is"]
        raise DixisError(
            f"The copy that was saved before the cutover, {saved['path']} on {host.name}, is {word}.",
            safe=f"{path} was not touched",
            next_step=f"put that file there, or the settings of SQLite into {path}; then run the rollback again",
        )
    if there is None:
        host.copy(saved["path"], path)
        return [f"put back: {saved['path']}; there was none"]
    kept = f"{path}.mysql-{backup.stamp()}"
    host.copy(path, kept)
    host.write(path, old)
    return [f"put back: {saved['path']}", f"kept: {kept}"]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _verify(ctx: Context) -> Outcome:
    late = owed.bring_home(ctx, passed("")) if owed.written_late(ctx) else passed("")
    answers = fleet.each(ctx, laravel.ask)
    told = [*late.evidence, *fleet.named(ctx, [answer.lines() for answer in answers])]
    expected = late.facts.get("rows", ctx.fact("rollback.database", "rows"))
    for answer in answers:
        if answer.driver != "sqlite":
            return failed(
                f"the application is still on {answer.driver} {answer.database}; it stays in maintenance mode",
                told,
                [
                    f"see DB_CONNECTION in {laravel.env_path(ctx)}, and shell variables that override it",
                    "then run rollback.restart and this step again",
                ],
            )
        if expected is not None and answer.rows != dict(expected):
            return failed(
                "the application counts other rows than the database holds; it stays in maintenance mode",
                [*told, f"database: {expected}"],
                ["check DB_DATABASE in .env: it may name another file than [source] path"],
            )
    problems = fleet.named(ctx, fleet.each(ctx, _opened))
    ctx.record("window-closed", {})
    started = fleet.each(ctx, lambda host: laravel.run_commands(host, ctx.config.app.start_workers))
    problems += fleet.named(ctx, [one.problems for one in started])
    told += fleet.named(ctx, [one.done for one in started])
    remedy = [*late.remedy]
    if problems:
        told += problems
        remedy.append("see that the workers run, and mend artisan before the next try")
    if owed.written_late(ctx, surely=True):
        told.append("MySQL was written even after its rows had come home")
        remedy.append("find who writes there and end them: workers, scheduled tasks; then: dixis rollback --recover")
    good = "the application answers on SQLite, traffic is back"
    return warned(good, told, remedy) if remedy else passed(good, told)


def _opened(ctx: Context) -> list[str]:
    """Let traffic in on a host: by artisan, else by taking the flag file away; what did not go as usual."""
    try:
        laravel.go_up(ctx)
    except (laravel.ApplicationError, HostError) as error:
        ctx.app_host.run(["true"], timeout=30).check("Reaching the host")
        laravel.force_up(ctx)
        return [error.what, "the flag file was removed instead"]
    return []

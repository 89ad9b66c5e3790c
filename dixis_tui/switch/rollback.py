"""The emergency rollback: five steps, each visible and each safe to repeat, none of which needs MySQL or [target].

What it keeps: the SQLite database is replaced only when it is damaged or gone, or by a checked copy of itself with the
rows that were written to the target after the cutover; what was there is set aside. The target stays as it is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.hosts import backup, dbfile, envfile, fleet, laravel
from dixis_tui.hosts.host import Host, HostError, join
from dixis_tui.model import DixisError, Kind, Outcome, Status, StoppedError, failed, passed, warned
from dixis_tui.record.journal import CAME_HOME, KEPT, PLACING, WENT_LIVE, WRITTEN_LATE
from dixis_tui.source import (
    DamagedError,
    Snapshot,
    SourceError,
    digest,
    examine,
    located,
    mark,
    real_path,
    snapshot_now,
    sound,
    source_host,
)
from dixis_tui.step import Phase, Step
from dixis_tui.switch import cutover, homecoming

# The byte of a database file that is 2 where it keeps a write-ahead log.
WAL_FLAG = 18
WORKERS_SECONDS = 15.0
# How often a copy is made anew because somebody has written to the database meanwhile.
ATTEMPTS = 3
# What is left to do by a person, by words of what was told.
OPEN_ENDS = {
    "changed on both sides": "decide about the rows that both sides have changed, and write them by hand",
    "MySQL since;": "keep that MySQL database; where a migration changed it, its row has come home too: delete that"
    " from the table migrations, then php artisan migrate",
    "to refer to": "see what those rows should refer to; on MySQL they refer to nothing, either",
    "NOT given its owner": "give the database its owner, or the web server cannot write it",
}


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
    owed = _owed(ctx)
    return [
        f"check {path} on {source_host(ctx).name}, where it lies: a whole database is kept as it is",
        "only one that is proved to be damaged, or gone, is replaced by the newest snapshot, and kept beside it",
        *(
            f"bring home the rows written to {one['database']} since {one['at']}: into a copy, which is checked and"
            " compared before it takes the database's place"
            for one in reversed(owed)
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
    _set_back(ctx)
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
    return _with_rows_home(ctx, outcome)


def _owed(ctx: Context) -> list[Mapping[str, Any]]:
    """The last time the shop went live on each database whose rows have not come home yet, oldest first; where only
    those are missing that were written after the others had come home, the snapshot is the one of that moment.

    A database the shop has run on is never written by a later cutover, so each holds the rows of one time only.
    """
    lives = {event["database"]: event for event in ctx.recorded(WENT_LIVE) if "snapshot" in event}
    homes = {event["database"]: event for event in ctx.recorded(CAME_HOME)}
    late = {event["database"]: event for event in ctx.recorded(WRITTEN_LATE)}
    came, went_on = (Counter(event["database"] for event in ctx.recorded(kind)) for kind in (CAME_HOME, WRITTEN_LATE))
    return [
        {**life, "snapshot": homes[name]["snapshot"], "at": late[name]["at"]} if came[name] else life
        for name, life in lives.items()
        if came[name] <= went_on[name]
    ]


def _written_late(ctx: Context, *, surely: bool = False) -> bool:
    """Whether somebody has gone on writing to the database whose rows came home in this rollback: a request or a job
    that was not over yet, or a shop that was opened there once more. It is written down, so that these rows are owed.
    surely: not where it may only be so, because the last write was in the very second in which the rows came home.
    """
    home = next(iter(ctx.recorded(CAME_HOME)[-1:]), {})
    if (
        home.get("rollback") != _number(ctx)
        or "last" not in home
        or home["database"] in {life["database"] for life in _owed(ctx)}
    ):
        return False
    try:
        last, _ = homecoming.last_written(_as_it_was(ctx, home).config.target)
    except Exception as error:  # the way back does not hang on it, whatever it is
        ctx.say(f"whether {home['database']} was written since its rows came home is not known: {error}")
        return False
    if last == home["last"] and (surely or home["settled"]):
        return False
    at = datetime.now(UTC).isoformat(timespec="seconds")
    ctx.record(WRITTEN_LATE, {"database": home["database"], "at": at})
    return True


def _number(ctx: Context) -> int:
    """Which rollback of the run this is, from 0."""
    return len(ctx.recorded("rolled-back"))


def _begun(ctx: Context) -> Mapping[str, Any] | None:
    """What was recorded when rows were about to take the database's place, and have not come home since; else None."""
    owed, came = {event["database"] for event in _owed(ctx)}, len(ctx.recorded(CAME_HOME))
    placed = next(iter(ctx.recorded(PLACING)[-1:]), None)
    return placed if placed and placed["database"] in owed and placed.get("came", came) == came else None


def owes(ctx: Context) -> str:
    """Since when rows wait on the target to be brought home; empty for none."""
    owed = _owed(ctx)
    return str(owed[-1]["at"]) if owed else ""


def _with_rows_home(ctx: Context, outcome: Outcome) -> Outcome:
    """The outcome, with the rows written to the target brought home where it answers, and told where it does not."""
    _written_late(ctx)
    owed = _owed(ctx)
    if not owed:
        told = (*outcome.evidence, "the shop was not open on MySQL: there is nothing to bring home")
        return outcome.model_copy(update={"evidence": told})
    # The latest first: SQLite is still as that cutover found it, so that its rows come home exactly.
    for life in reversed(owed):
        outcome = _with_rows_of(ctx, life, outcome)
    return outcome


def _with_rows_of(ctx: Context, life: Mapping[str, Any], outcome: Outcome) -> Outcome:
    """The outcome, with what became of the rows written that time."""
    try:
        home = _bring_home(_as_it_was(ctx, life), life)
    except StoppedError:
        raise
    except Exception as error:  # the way back does not hang on it, whatever it is
        told = error.lines() if isinstance(error, DixisError) else [f"{type(error).__name__}: {error}"]
        lost = f"rows written to MySQL since {life['at']} were not brought home, and stay there"
        return warned(
            lost if outcome.status is not Status.WARN else f"{outcome.summary}; {lost}",
            [*outcome.evidence, *told],
            [
                *outcome.remedy,
                f"keep that MySQL database, {life['database']}, as it is; nothing in it is changed",
                "once it answers: dixis rollback --recover brings them home",
            ],
            **outcome.facts,
        )
    ctx.record(CAME_HOME, {**home, "server": life.get("server"), "rollback": _number(ctx)})
    evidence = home["told"]
    remedy = [way for word, way in OPEN_ENDS.items() if any(word in line for line in evidence)]
    status = Status.WARN if remedy else outcome.status
    return outcome.model_copy(
        update={
            "status": status,
            "summary": f"{outcome.summary}; {evidence[0]}",
            "evidence": (*outcome.evidence, *evidence),
            "remedy": (*outcome.remedy, *remedy),
            "facts": {**outcome.facts, **_counted(ctx)},
        }
    )


def _counted(ctx: Context) -> dict[str, Any]:
    """The facts of a database that has changed; none where it cannot be asked just now."""
    try:
        rows = examine(
            source_host(ctx), ctx.config.source.path, ctx.config.validation.probe_tables, php=ctx.config.app.php
        )
    except (SourceError, HostError) as error:
        ctx.say(error.what)
        return {"rows": None}
    return {"rows": rows}


def _as_it_was(ctx: Context, life: Mapping[str, Any]) -> Context:
    """The context with the database the shop was live on, whichever one the configuration names by now.

    Compared with another one, every row would count as deleted. Raises DixisError for another server.
    """
    target = ctx.config.target
    now, then = f"{target.host}:{target.port}", life.get("server")
    if then not in (None, now):
        raise DixisError(
            f"The shop was live on the server {then}, and [target] names {now}.",
            safe="the SQLite database was not touched",
            next_step=f"have [target] host and port lead to {then} again, then: dixis rollback --recover",
        )
    section = target.model_copy(update={"database": life["database"]})
    return replace(ctx, config=ctx.config.model_copy(update={"target_section": section}))


def _bring_home(ctx: Context, life: Mapping[str, Any]) -> dict[str, Any]:
    """Bring home what the target has otherwise than the snapshot of that time; what there is to write down about it,
    "told" in lines for people, and "snapshot" for the next time."""
    snapshot = located(ctx, Snapshot.model_validate(life["snapshot"]))
    if not sound(snapshot):
        raise DixisError(
            f"The snapshot the shop went live with, {snapshot.path}, is gone or changed.",
            safe="the SQLite database was not touched",
            next_step="put that file back, then: dixis rollback --recover",
        )
    path, host = ctx.config.source.path, source_host(ctx)
    placed = _begun(ctx)
    if (
        placed
        and placed["database"] == life["database"]
        and placed["sha256"] in host.run(["sha256sum", "--", path]).stdout
    ):
        return {**placed, "told": [*placed["told"], "it was there already: an earlier try was cut off just then"]}
    for _ in range(ATTEMPTS - 1):
        with suppress(dbfile.WrittenError):
            return _brought_home(ctx, life, snapshot)
        ctx.say("the SQLite database was written while rows were brought home; once more")
    return _brought_home(ctx, life, snapshot)


def _brought_home(ctx: Context, life: Mapping[str, Any], snapshot: Snapshot) -> dict[str, Any]:
    """One try. Raises WrittenError where somebody has written to the database meanwhile, which is not touched then."""
    path, host = ctx.config.source.path, source_host(ctx)
    last, settled = homecoming.last_written(ctx.config.target)
    live = snapshot_now(ctx, f"home-{backup.stamp()}-{len(ctx.recorded(CAME_HOME))}.sqlite")
    try:
        brought = homecoming.bring(ctx, "rollback.database", snapshot, live)
        if brought.total and mark(host, path) != live.mark:
            raise dbfile.WrittenError(path)
    except BaseException:
        live.path.unlink(missing_ok=True)
        raise
    evidence = list(homecoming.told(brought))
    if brought.conflicts:
        kept = ctx.run_dir / f"conflicts-{backup.stamp()}.jsonl"
        homecoming.keep_conflicts(kept, brought.conflicts)
        evidence.append(f"those rows are as SQLite has them; both sides are kept in {kept}, one a line")
    home = {"database": life["database"], "last": last, "settled": settled, "told": evidence}
    home["snapshot"] = life["snapshot"]
    if not brought.total:
        return home
    if host.read(path, WAL_FLAG, 1) == b"\2":
        homecoming.log_ahead(live.path)
    sha256 = digest(live.path, ctx.stop)
    if not brought.conflicts:
        home["snapshot"] = live.model_copy(update={"sha256": sha256}).model_dump(mode="json")
    suffix = dbfile.suffix(ctx, "before-home")
    ctx.record(PLACING, {**home, "sha256": sha256, "suffix": suffix, "came": len(ctx.recorded(CAME_HOME))})
    try:
        set_aside = dbfile.replace(ctx, live.path, suffix, live.mark)
    except dbfile.WrittenError:
        live.path.unlink()
        raise
    if not brought.conflicts:
        home["snapshot"]["mark"] = mark(host, path).model_dump(mode="json")
    return {**home, "told": [*evidence, *set_aside, f"{path} on {host.name} is the checked copy with these rows"]}


def _set_back(ctx: Context) -> None:
    """Where an earlier try was cut off with the database set aside and nothing in its place, put it back."""
    host = source_host(ctx)
    begun = _begun(ctx)
    if begun is None:
        return
    try:
        facts = host.stat(ctx.config.source.path)
    except HostError:
        return  # what cannot be looked at is there
    # Whoever opened it in that moment has made an empty one.
    if facts is None or not facts.size:
        dbfile.put_back(host, real_path(host, ctx.config.source.path), begun["suffix"])


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
    late = _with_rows_home(ctx, passed("")) if _written_late(ctx) else passed("")
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
    if _written_late(ctx, surely=True):
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

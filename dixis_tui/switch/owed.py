"""Rows that were written to the target after the cutover, and are owed to SQLite until the rollback brings them home.

Each database the shop was live on is owed once, and again where somebody has gone on writing to it. The way back does
not hang on it: what cannot be fetched now is told, and fetched later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dixis_tui.context import Context
from dixis_tui.hosts import backup, dbfile
from dixis_tui.hosts.host import HostError
from dixis_tui.model import DixisError, Outcome, Status, StoppedError, warned
from dixis_tui.record.journal import CAME_HOME, PLACING, WENT_LIVE, WRITTEN_LATE
from dixis_tui.source import (
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
from dixis_tui.switch import homecoming

# The byte of a database file that is 2 where it keeps a write-ahead log.
WAL_FLAG = 18
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


def lives(ctx: Context) -> list[Mapping[str, Any]]:
    """The last time the shop went live on each database whose rows have not come home yet, oldest first; where only
    those are missing that were written after the others had come home, the snapshot is the one of that moment.

    A database the shop has run on is never written by a later cutover, so each holds the rows of one time only.
    """
    went = {event["database"]: event for event in ctx.recorded(WENT_LIVE) if "snapshot" in event}
    homes = {event["database"]: event for event in ctx.recorded(CAME_HOME)}
    late = {event["database"]: event for event in ctx.recorded(WRITTEN_LATE)}
    came, went_on = (Counter(event["database"] for event in ctx.recorded(kind)) for kind in (CAME_HOME, WRITTEN_LATE))
    return [
        {**life, "snapshot": homes[name]["snapshot"], "at": late[name]["at"]} if came[name] else life
        for name, life in went.items()
        if came[name] <= went_on[name]
    ]


def written_late(ctx: Context, *, surely: bool = False) -> bool:
    """Whether somebody has gone on writing to the database whose rows came home in this rollback: a request or a job
    that was not over yet, or a shop that was opened there once more. It is written down, so that these rows are owed.
    surely: not where it may only be so, because the last write was in the very second in which the rows came home.
    """
    home = next(iter(ctx.recorded(CAME_HOME)[-1:]), {})
    if (
        home.get("rollback") != _number(ctx)
        or "last" not in home
        or home["database"] in {life["database"] for life in lives(ctx)}
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
    owed, came = {event["database"] for event in lives(ctx)}, len(ctx.recorded(CAME_HOME))
    placed = next(iter(ctx.recorded(PLACING)[-1:]), None)
    return placed if placed and placed["database"] in owed and placed.get("came", came) == came else None


def since(ctx: Context) -> str:
    """Since when rows wait on the target to be brought home; empty for none."""
    owed = lives(ctx)
    return str(owed[-1]["at"]) if owed else ""


def bring_home(ctx: Context, outcome: Outcome) -> Outcome:
    """The outcome, with the rows written to the target brought home where it answers, and told where it does not."""
    written_late(ctx)
    owed = lives(ctx)
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


def set_back(ctx: Context) -> None:
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

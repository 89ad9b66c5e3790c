"""The Watch phase: readings of what the week after the migration is judged by, and what people sign on its days."""

from __future__ import annotations

import statistics
import time

import humanize

from dixis_tui.backups import manifest
from dixis_tui.backups.judge import judge
from dixis_tui.backups.work import clock
from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.model import Kind, Outcome, Status, passed, warned
from dixis_tui.monitoring import sampler
from dixis_tui.monitoring.samplestore import Lease, Store
from dixis_tui.phrase import counted
from dixis_tui.step import Step
from dixis_tui.target import TargetConnection, connected, execute, query

PROBES = 20


def steps(config: Config) -> tuple[Step, ...]:
    """The checklist of one reading, which can be taken as often as wanted, and the sign-offs of the seven days."""
    return (
        Step(
            "watch.connection",
            "Connection and response time",
            Kind.CHECK,
            "The plan's bound on every answer.",
            _response,
        ),
        Step("watch.slow-queries", "Slow queries", Kind.CHECK, "A missing index shows here first.", _slow_queries),
        Step("watch.size", "Size of the database", Kind.CHECK, "Growth is judged against this reading.", _size),
        Step(
            "watch.backup", "Last backup", Kind.CHECK, "A backup that was not made is not missed until it is.", _backup
        ),
        Step(
            "watch.triggers",
            "No trigger of the rollback stands",
            Kind.CHECK,
            "What lasts is no spike: these are the plan's reasons to go back.",
            _triggers,
        ),
        *afterwards(config),
    )


def afterwards(config: Config) -> tuple[Step, ...]:
    """What a person signs on the days after the night, day by day."""
    return tuple(
        Step(f"watch.day-{day}.{item.name}", f"Day {day}: {item.title}", Kind.SIGNOFF, item.why, day=day)
        for day in range(1, 8)
        for item in config.watch.week
        if day in item.days
    )


def _triggers(ctx: Context) -> Outcome:
    """Take a sample where nobody else does, and say how the rules stand."""
    lease = Lease(ctx.run_dir)
    store = Store(ctx.run_dir)
    try:
        if lease.acquire():
            one = sampler.Sampler(ctx.config, store)
            try:
                one.take()
            finally:
                one.close()
        standings = sampler.standings(ctx.config, store)
    finally:
        lease.release()
        store.close()
    stand = [one for one in standings if one.stands]
    evidence = [
        f"{one.rule.says()}: {'not measured' if one.value is None else f'{one.value:.4g}'}, {one.state}"
        for one in standings
    ]
    grave = [one for one in stand if one.rule.rollback]
    facts = {"standing": [one.rule.id for one in grave]}
    if grave:
        remedy = ["look for the cause; if it cannot be mended soon: dixis rollback"]
        return warned(f"{len(grave)} stand: " + "; ".join(one.rule.says() for one in grave), evidence, remedy, **facts)
    if stand:
        remedy = ["look at what is named; the numbers: dixis monitor"]
        return warned("no reason to go back, but " + "; ".join(one.rule.says() for one in stand), evidence, remedy)
    measured = sum(one.value is not None for one in standings)
    return passed(f"{measured} of {len(standings)} rules were measured, none stands", evidence, **facts)


def _variable(connection: TargetConnection, what: str, name: str) -> str:
    rows = query(connection, f"SHOW GLOBAL {what} LIKE %s", (name,))
    return str(rows[0][1]) if rows else ""


def _response(ctx: Context) -> Outcome:
    watch = ctx.config.watch
    times = []
    with connected(ctx.config.target) as connection:
        for _ in range(PROBES):
            begun = time.perf_counter()
            query(connection, "SELECT 1")
            times.append((time.perf_counter() - begun) * 1000)
        used = int(_variable(connection, "STATUS", "Threads_connected"))
        most = int(_variable(connection, "VARIABLES", "max_connections"))
    p95 = statistics.quantiles(times, n=20)[-1]
    share = 100 * used / most
    evidence = [
        f"SELECT 1, {PROBES} times: median {statistics.median(times):.2f} ms, 95 % within {p95:.2f} ms",
        f"connections: {used} of {most} ({share:.0f} %)",
    ]
    facts = {"p95_ms": p95, "connections": used, "max_connections": most}
    if p95 > watch.response_ms:
        remedy = ["look at the server's load and at the way there"]
        return warned(f"95 % within {p95:.0f} ms, wanted {watch.response_ms:.0f} ms", evidence, remedy, **facts)
    if share > watch.connections_percent:
        remedy = ["raise max_connections, or look for clients that keep connections open"]
        return warned(f"{share:.0f} % of the connections are in use", evidence, remedy, **facts)
    return passed(f"95 % within {p95:.2f} ms, {used} of {most} connections", evidence, **facts)


def _slow_queries(ctx: Context) -> Outcome:
    wanted = ctx.config.watch.slow_query_seconds
    with connected(ctx.config.target) as connection:
        count = int(_variable(connection, "STATUS", "Slow_queries"))
        log = _variable(connection, "VARIABLES", "slow_query_log")
        seconds = float(_variable(connection, "VARIABLES", "long_query_time"))
    evidence = [
        f"slow_query_log = {log}, long_query_time = {seconds:g} s",
        f"Slow_queries = {count} since the server started",
    ]
    if log != "ON" or seconds > wanted:
        return warned(
            "slow queries are not logged as the plan wants",
            evidence,
            ["as an administrator: SET PERSIST slow_query_log = ON;", f"SET PERSIST long_query_time = {wanted:g};"],
            slow_queries=count,
        )
    return passed(f"{count} slow queries since the server started", evidence, slow_queries=count)


def _size(ctx: Context) -> Outcome:
    with connected(ctx.config.target) as connection:
        # MySQL answers from figures up to a day old unless told otherwise; MariaDB has no such setting.
        if _variable(connection, "VARIABLES", "information_schema_stats_expiry"):
            execute(connection, "SET SESSION information_schema_stats_expiry = 0")
        rows = query(
            connection,
            "SELECT table_name, data_length + index_length FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY 2 DESC, 1",
        )
    total = sum(int(size or 0) for _, size in rows)
    largest = [f"{humanize.naturalsize(int(size or 0)):>10}  {name}" for name, size in rows[:10]]
    return passed(f"{humanize.naturalsize(total)} in {counted(len(rows), 'table')}", largest, bytes=total)


def _backup(ctx: Context) -> Outcome:
    settings = ctx.config.backup
    found = judge(manifest.look(settings.directory), "target", clock(), settings.max_age_hours)
    if found.status is Status.PASS:
        return passed(found.summary, found.lines)
    # Without any the shop goes on: a reading of Watch warns, `dixis health` fails.
    return warned(found.summary, found.lines, found.remedy)

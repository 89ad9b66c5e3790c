"""Is the database well? Small questions with bounds, for cron, Nagios and Prometheus; nothing is changed."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import humanize
import pymysql
from pydantic import BaseModel, ConfigDict
from pymysql.cursors import DictCursor

from dixis_tui.backups import manifest, restore, scratch
from dixis_tui.backups.judge import judge
from dixis_tui.backups.work import clock, with_account
from dixis_tui.config import Config
from dixis_tui.model import DixisError, Status
from dixis_tui.phrase import counted
from dixis_tui.schemas import orphans
from dixis_tui.target import TargetConnection, TargetError, connect, execute, identifier, literal, query

PROBES = 5
# The server ended a question that took too long: MySQL's word, MariaDB's, and both servers' for a killed one.
TOO_LONG = (3024, 1969, 1317)
SYNTAX, DENIED = 1064, (1227, 1044, 1142)
OWN, TRIAL = r"\_dixis\_%", r"dixis\_try\_%"
LARGEST = {"tinyint": 2**7, "smallint": 2**15, "mediumint": 2**23, "int": 2**31, "bigint": 2**63}
# From here on the last numbers go within days, not months.
NUMBERS_FAIL_PERCENT = 95.0
SHOWN = 10


class Reading(BaseModel):
    """One question and its answer. metrics: numbers by name, seconds, bytes or shares of one."""

    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    status: Status
    summary: str
    details: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    metrics: Mapping[str, float] = {}


@dataclass
class Patient:
    """What is looked at: the configuration, a connection, the clock, and how long tables may still be looked at."""

    config: Config
    connection: TargetConnection
    now: datetime
    opened_in: float = 0.0
    sizes: dict[str, int] = field(default_factory=dict)

    def small(self, table: str) -> bool:
        return self.sizes.get(table, 0) <= self.config.health.table_mib << 20

    def order(self, items: Sequence[Any]) -> list[Any]:
        """The items in another order each minute: what a budget leaves out comes first some other time."""
        mixed = list(items)
        random.Random(int(self.now.timestamp() // 60)).shuffle(mixed)
        return mixed


def examine(config: Config, now: Callable[[], datetime] = clock) -> list[Reading]:
    """All readings. What cannot be asked is a failed reading, not an error."""
    found: list[Reading] = []
    target = with_account(config.target, config.health.account)
    begun = time.perf_counter()
    try:
        connection = connect(target)
        patient = Patient(config, connection, now(), time.perf_counter() - begun)
        _bound(patient)
    except DixisError as error:
        found.append(
            Reading(
                id="connection",
                title=TITLES["connection"],
                status=Status.FAIL,
                summary=error.what,
                remedy=tuple(filter(None, [error.next_step])),
            )
        )
        found += [_skipped(name, "not asked: there is no connection") for name in ASKED if name != "connection"]
    else:
        try:
            found += [_asked(name, partial(question, patient)) for name, question in ASKED.items()]
        finally:
            connection.close()
    return found + [_asked(name, partial(question, config, now())) for name, question in HERE.items()]


def _bound(patient: Patient) -> None:
    """No question of this session takes longer than all of them may."""
    connection, limit = patient.connection, patient.config.health.timeout
    connection.wait_at_most(limit)
    _limit(connection, limit)
    if connection.flavour == "MySQL":
        # Figures of sizes and next numbers as they are, not as they were yesterday.
        execute(connection, "SET SESSION information_schema_stats_expiry = 0")


def _asked(name: str, question: Callable[[], Reading]) -> Reading:
    try:
        return question()
    except (DixisError, pymysql.MySQLError, OSError) as error:
        words = error.what if isinstance(error, DixisError) else str(error)
        return Reading(id=name, title=TITLES[name], status=Status.FAIL, summary=f"could not ask: {words}")


def _skipped(name: str, why: str) -> Reading:
    return Reading(id=name, title=TITLES[name], status=Status.SKIP, summary=why)


def _reading(name: str, status: Status, summary: str, details: Sequence[str] = (), **rest: Any) -> Reading:
    return Reading(id=name, title=TITLES[name], status=status, summary=summary, details=tuple(details), **rest)


def _connection(patient: Patient) -> Reading:
    times = []
    for _ in range(PROBES):
        begun = time.perf_counter()
        query(patient.connection, "SELECT 1")
        times.append(time.perf_counter() - begun)
    middle = statistics.median(times)
    most = patient.config.watch.response_ms / 1000
    return _reading(
        "connection",
        Status.WARN if middle > most else Status.PASS,
        f"connected in {patient.opened_in * 1000:.0f} ms, SELECT 1 in {middle * 1000:.2f} ms",
        metrics={"connect_seconds": patient.opened_in, "query_seconds": middle},
    )


def _sessions(patient: Patient) -> Reading:
    rows = query(patient.connection, "SHOW GLOBAL STATUS LIKE 'Threads_connected'")
    used = int(rows[0][1])
    most = int(query(patient.connection, "SELECT @@GLOBAL.max_connections")[0][0])
    share = used / most
    limit = patient.config.watch.connections_percent
    return _reading(
        "sessions",
        Status.WARN if share * 100 > limit else Status.PASS,
        f"{used} of {most} connections in use ({share:.0%})",
        metrics={"connections": used, "connections_share": share},
    )


def _tables(patient: Patient) -> Reading:
    """CHECK TABLE of small tables, as many as half the budget takes."""
    connection = patient.connection
    rows = query(
        connection,
        "SELECT table_name, COALESCE(data_length, 0) + COALESCE(index_length, 0) FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'",
    )
    patient.sizes = {str(name): int(size) for name, size in rows}
    small = [name for name in patient.sizes if patient.small(name)]
    ends = time.monotonic() + patient.config.health.budget / 2
    looked, wrong = 0, []
    for name in patient.order(small):
        if time.monotonic() > ends:
            break
        looked += 1
        for _, _, kind, text in query(connection, f"CHECK TABLE {identifier(name)} QUICK"):
            if str(kind).lower() != "note" and str(text) not in ("OK", "Table is already up to date"):
                wrong.append(f"{name}: {kind}: {text}")
    so_far = f"{looked} of {len(patient.sizes)} tables checked"
    metrics = {"tables": len(patient.sizes), "tables_checked": looked, "tables_damaged": len(wrong)}
    if wrong:
        remedy = ("see the server's error log", f"restore: {_latest(patient)}")
        return _reading("tables", Status.FAIL, f"damaged: {wrong[0]}", wrong[:SHOWN], metrics=metrics, remedy=remedy)
    large = len(patient.sizes) - len(small)
    return _reading(
        "tables", Status.PASS, so_far + (f", {large} are too large" if large else "") + ", all well", metrics=metrics
    )


def _latest(patient: Patient) -> str:
    kept = manifest.look(patient.config.backup.directory).last_good("target")
    return f"dixis backup restore {kept.path.name}" if kept else "there is no good backup"


def _references(patient: Patient) -> Reading:
    """Rows that point to nothing, along as many foreign keys as half the budget takes."""
    keys = orphans.foreign_keys(patient.connection)
    ends = time.monotonic() + patient.config.health.budget / 2
    looked, wrong = 0, []
    for key in patient.order(keys):
        left = ends - time.monotonic()
        if left <= 0:
            break
        if not (patient.small(key.table) and patient.small(key.parent)):
            continue
        try:
            _limit(patient.connection, left)
            found = orphans.orphans(patient.connection, key)
        except TargetError as error:
            if error.code not in TOO_LONG:
                raise
            continue
        looked += 1
        if found.rows:
            wrong.append(f"{key}: {counted(found.rows, 'row refers', 'rows refer')} to nothing")
    _limit(patient.connection, patient.config.health.timeout)
    metrics = {"foreign_keys": len(keys), "foreign_keys_checked": looked, "foreign_keys_broken": len(wrong)}
    if wrong:
        return _reading("references", Status.FAIL, wrong[0], wrong[:SHOWN], metrics=metrics)
    return _reading(
        "references", Status.PASS, f"{looked} of {len(keys)} foreign keys followed, all well", metrics=metrics
    )


def _limit(connection: TargetConnection, seconds: float) -> None:
    if connection.flavour == "MariaDB":
        execute(connection, f"SET SESSION max_statement_time = {seconds:.3f}")
    else:
        execute(connection, f"SET SESSION max_execution_time = {max(1, int(seconds * 1000))}")


def _numbers(patient: Patient) -> Reading:
    """How much of their range the automatic numbers have used."""
    rows = query(
        patient.connection,
        "SELECT t.table_name, c.column_name, c.data_type, c.column_type, t.auto_increment"
        " FROM information_schema.tables t JOIN information_schema.columns c"
        " ON c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.extra LIKE '%%auto_increment%%'"
        " WHERE t.table_schema = DATABASE() AND t.auto_increment IS NOT NULL",
        (),
    )
    used = []
    for table, column, kind, full, following in rows:
        most = LARGEST.get(str(kind).lower())
        if most is not None:
            most = most * 2 - 1 if "unsigned" in str(full).lower() else most - 1
            used.append((100 * (int(following) - 1) / most, f"{table}.{column} ({full})"))
    share, name = max(used, default=(0.0, ""))
    limit = patient.config.health.numbers_warn_percent
    over = [f"{one}: {percent:.0f} % used" for percent, one in sorted(used, reverse=True) if percent >= limit]
    metrics = {"numbers_used_share": share / 100}
    if over:
        status = Status.FAIL if share >= NUMBERS_FAIL_PERCENT else Status.WARN
        remedy = (f"make {name} a BIGINT UNSIGNED before its numbers run out",)
        return _reading("numbers", status, over[0], over[:SHOWN], metrics=metrics, remedy=remedy)
    return _reading(
        "numbers", Status.PASS, f"{len(used)} tables give numbers, at most {share:.1f} % used", metrics=metrics
    )


def _leftovers(patient: Patient) -> Reading:
    """What migrations, trials and verifications leave behind when they are killed, or when they are long over."""
    connection = patient.connection
    if restore.undone(connection):
        remedy = (f"finish it: {_latest(patient)}",)
        return _reading("leftovers", Status.FAIL, "a restore did not come to its end: data is missing", remedy=remedy)
    rows = query(
        connection,
        "SELECT table_name, TIMESTAMPDIFF(DAY, create_time, NOW()) FROM information_schema.tables"
        f" WHERE table_schema = DATABASE() AND table_name LIKE {literal(OWN)}",
    )
    days = patient.config.health.leftover_days
    tables = [(str(name), int(age)) for name, age in rows if age is not None and int(age) >= days]
    old = [f"table {name}, {age} days old" for name, age in tables]
    undo = [f"once nobody rolls back any more: DROP TABLE {identifier(name)};" for name, _ in tables]
    databases = scratch.leftovers(connection)
    databases += [
        str(row[0])
        for row in query(
            connection,
            f"SELECT table_schema FROM information_schema.tables WHERE table_schema LIKE {literal(TRIAL)}"
            " GROUP BY table_schema HAVING MIN(create_time) < NOW() - INTERVAL 1 HOUR",
        )
    ]
    old += [f"database {name}" for name in databases]
    undo += [f"DROP DATABASE {identifier(name)};" for name in databases]
    metrics = {"leftovers": len(old)}
    if old:
        return _reading(
            "leftovers", Status.WARN, f"left behind: {', '.join(old[:3])}", old, remedy=tuple(undo), metrics=metrics
        )
    young = f"; {counted(len(rows), 'table')} of the migration kept for now" if rows else ""
    return _reading("leftovers", Status.PASS, f"nothing left behind{young}", metrics=metrics)


def _certificate(patient: Patient) -> Reading:
    ends = patient.connection.certificate_ends
    if ends is None:
        return _skipped("certificate", "the connection is not encrypted")
    days = (ends - patient.now).total_seconds() / 86400
    health = patient.config.health
    status = (
        Status.FAIL
        if days < health.certificate_fail_days
        else Status.WARN
        if days < health.certificate_warn_days
        else Status.PASS
    )
    return _reading(
        "certificate",
        status,
        f"the server's certificate ends on {ends:%Y-%m-%d}, in {days:.0f} days",
        remedy=()
        if status is Status.PASS
        else ("renew the server's certificate, then: ALTER INSTANCE RELOAD TLS; or FLUSH SSL;",),
        metrics={"certificate_days": days},
    )


def _replication(patient: Patient) -> Reading:
    """The server as somebody's replica, where it is one."""
    try:
        rows = _replica_rows(patient.connection)
    except pymysql.MySQLError as error:
        if error.args and error.args[0] in DENIED:
            return _skipped("replication", "not asked: the account may not (REPLICATION CLIENT, or SLAVE MONITOR)")
        raise
    if not rows:
        return _skipped("replication", "the server is nobody's replica")
    wrong, lags = [], []
    for row in rows:
        running = [
            row.get("Replica_IO_Running", row.get("Slave_IO_Running")),
            row.get("Replica_SQL_Running", row.get("Slave_SQL_Running")),
        ]
        lag = row.get("Seconds_Behind_Source", row.get("Seconds_Behind_Master"))
        if running != ["Yes", "Yes"]:
            words = row.get("Last_Error") or row.get("Last_SQL_Error") or row.get("Last_IO_Error") or "no error told"
            wrong.append(f"stopped (receiving: {running[0]}, applying: {running[1]}): {words}")
        elif lag is not None:
            lags.append(float(lag))
    behind = max(lags, default=0.0)
    metrics = {"replica_lag_seconds": behind}
    if wrong:
        return _reading("replication", Status.FAIL, wrong[0], wrong, metrics=metrics)
    status = Status.WARN if behind > patient.config.health.replica_lag_seconds else Status.PASS
    return _reading("replication", status, f"replicating, {behind:.0f} s behind", metrics=metrics)


def _replica_rows(connection: TargetConnection) -> list[dict[str, Any]]:
    with connection.cursor(DictCursor) as cursor:
        try:
            cursor.execute("SHOW REPLICA STATUS")
        except pymysql.MySQLError as error:
            if not error.args or error.args[0] != SYNTAX:
                raise
            cursor.execute("SHOW SLAVE STATUS")  # before MySQL 8.0.22
        return [dict(row) for row in cursor.fetchall()]


def _backup(config: Config, now: datetime) -> Reading:
    settings = config.backup
    found = judge(manifest.look(settings.directory), "target", now, settings.max_age_hours)
    metrics = {} if found.age is None else {"backup_age_seconds": found.age.total_seconds()}
    if found.newest is not None:
        metrics["backup_bytes"] = found.newest.manifest.size
    return _reading("backup", found.status, found.summary, found.lines, remedy=found.remedy, metrics=metrics)


def _disk(config: Config, _: datetime) -> Reading:
    """Room where the run and the backups are kept."""
    told, shares = [], []
    for directory in dict.fromkeys((config.backup.directory, config.run.directory)):
        there = next(path for path in (directory, *directory.parents) if path.exists())
        facts = os.statvfs(there)
        free, total = facts.f_bavail * facts.f_frsize, max(facts.f_blocks * facts.f_frsize, 1)
        shares.append(free / total)
        told.append(
            f"{directory}: {humanize.naturalsize(free)} free of {humanize.naturalsize(total)} ({free / total:.0%})"
        )
    least = min(shares)
    health = config.health
    status = (
        Status.FAIL
        if least * 100 < health.disk_fail_percent
        else Status.WARN
        if least * 100 < health.disk_warn_percent
        else Status.PASS
    )
    remedy = () if status is Status.PASS else ("make room there; dixis backup prune shows what may go",)
    return _reading("disk", status, told[shares.index(least)], told, remedy=remedy, metrics={"disk_free_share": least})


TITLES = {
    "connection": "Connection and answer time",
    "sessions": "Connections in use",
    "tables": "Tables are whole",
    "references": "Rows refer to rows",
    "numbers": "Automatic numbers have room",
    "leftovers": "Nothing is left behind",
    "certificate": "The server's certificate",
    "replication": "Replication",
    "backup": "A backup of the day that restores",
    "disk": "Room on this machine's disk",
}
# Sizes of tables are asked with the tables, and used along the foreign keys.
ASKED: Mapping[str, Callable[[Patient], Reading]] = {
    "connection": _connection,
    "sessions": _sessions,
    "tables": _tables,
    "references": _references,
    "numbers": _numbers,
    "leftovers": _leftovers,
    "certificate": _certificate,
    "replication": _replication,
}
HERE: Mapping[str, Callable[[Config, datetime], Reading]] = {"backup": _backup, "disk": _disk}


class Health(BaseModel):
    """All readings of one moment. status: the worst; seconds: how long it took."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    status: Status
    seconds: float
    readings: tuple[Reading, ...]

    @property
    def code(self) -> int:
        """0 well, 1 warnings, 2 failures: of the command, and Nagios's own."""
        return {Status.WARN: 1, Status.FAIL: 2}.get(self.status, 0)

    @property
    def metrics(self) -> dict[str, float]:
        return {name: value for reading in self.readings for name, value in reading.metrics.items()}


def health(readings: Sequence[Reading], seconds: float) -> Health:
    """The readings and what they amount to."""
    statuses = {reading.status for reading in readings}
    worst = next((status for status in (Status.FAIL, Status.WARN) if status in statuses), Status.PASS)
    return Health(at=datetime.now(UTC), status=worst, seconds=round(seconds, 3), readings=tuple(readings))


def lines(found: Health, *, quiet: bool = False) -> Iterator[str]:
    """For a person; quiet leaves out what is well."""
    for reading in found.readings:
        if quiet and reading.status in (Status.PASS, Status.SKIP):
            continue
        yield f"{reading.status.glyph} {reading.status:<5}{reading.id:<13}{reading.summary}"
        if reading.status in (Status.WARN, Status.FAIL):
            yield from (f"      {line}" for line in reading.details if line != reading.summary)
            yield from (f"      do: {line}" for line in reading.remedy)


def nagios(found: Health) -> Iterator[str]:
    """One line with performance data, then a line a reading that is not well."""
    word = {0: "OK", 1: "WARNING", 2: "CRITICAL"}[found.code]
    bad = [reading for reading in found.readings if reading.status in (Status.WARN, Status.FAIL)]
    asked = sum(reading.status is not Status.SKIP for reading in found.readings)
    text = "; ".join(f"{reading.id}: {reading.summary}" for reading in bad) or f"{asked} questions, all well"
    numbers = " ".join(f"{name}={value:.6g}" for name, value in {"seconds": found.seconds, **found.metrics}.items())
    yield f"DIXIS {word} - {text.replace('|', '/')} | {numbers}"
    for reading in bad:
        yield f"{reading.id}: {'; '.join(reading.remedy) or reading.summary}".replace("|", "/")


def prometheus(found: Health) -> Iterator[str]:
    """The text format that the node exporter's textfile collector reads."""
    yield "# HELP dixis_health_status How a question was answered: 0 well, 1 warning, 2 failure."
    yield "# TYPE dixis_health_status gauge"
    for reading in found.readings:
        if reading.status is not Status.SKIP:
            level = {Status.WARN: 1, Status.FAIL: 2}.get(reading.status, 0)
            yield f'dixis_health_status{{question="{reading.id}"}} {level}'
    numbers: dict[str, float] = {
        "health_seconds": found.seconds,
        "health_timestamp_seconds": found.at.timestamp(),
        **found.metrics,
    }
    for name, value in numbers.items():
        yield f"# TYPE dixis_{name} gauge"
        yield f"dixis_{name} {value:.17g}"

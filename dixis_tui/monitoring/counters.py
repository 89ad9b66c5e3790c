"""What the watch asks a server, in as few questions as can be; what may not be asked is left out and told.

MySQL and MariaDB keep different things, and an account may see more or less of them. A server is first asked for all;
what it refuses is asked no more, and stands in `missing` with the reason.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlglot
from pymysql.constants import ER
from sqlglot import TokenType
from sqlglot.errors import SqlglotError

from dixis_tui import config
from dixis_tui.monitoring.samples import Reading, Source
from dixis_tui.target import Row, TargetError, connect, execute, identifier, literal, query

STATUS = {
    "Uptime": "uptime",
    "Threads_connected": "connections",
    "Threads_running": "running",
    "Slow_queries": "slow",
    "Questions": "statements",
    "Innodb_buffer_pool_reads": "pool_reads",
    "Innodb_buffer_pool_read_requests": "pool_requests",
    "Innodb_row_lock_waits": "lock_waits",
    "Innodb_row_lock_time": "lock_wait_ms",
    "Innodb_row_lock_current_waits": "waiting",
    "Innodb_deadlocks": "deadlocks",
    "Connection_errors_max_connections": "refused",
}
GAUGES = ("connections", "running", "waiting", "max_connections")
# What a statement time of the server's last bucket counts as, in milliseconds; the bucket itself has no end.
ENDLESS = 1e7
# What a new connection costs the server, in questions: the driver's two, three that state the session and read it
# back, two of ours.
CONNECTING = 7
SHOWN, TEXT = 10, 500
BACK_FROM_LOG = 1 << 20

REFUSALS = (
    ER.DBACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    ER.NO_SUCH_TABLE,
    ER.UNKNOWN_TABLE,
    ER.BAD_FIELD_ERROR,
)

PRIVILEGE = "GRANT SELECT ON performance_schema.* and GRANT PROCESS ON *.* to the account of [watch.account]"


@dataclass(frozen=True)
class Slow:
    """A statement that took longer than it should. text: an example of it without its values, or its digest."""

    digest: str
    text: str
    worst_ms: float


@dataclass(frozen=True)
class Part:
    """One SELECT of (kind, name, value, extra) texts, put together with others into one question.

    needs: what cannot be told where the account may not ask it; empty for what every account may.
    """

    name: str
    sql: str
    needs: str = ""

    @property
    def place(self) -> str:
        """The table it reads."""
        return self.sql.partition(" FROM ")[2].partition(" ")[0].rpartition(".")[2]


def account(target: config.Target, watch: config.Watch) -> tuple[config.Target, str]:
    """Who asks: [watch.account], or [target.admin] where nobody must be prompted, or the application's own account."""
    if watch.account is not None:
        update = {"user": watch.account.user, "password": watch.account.password}
        return target.model_copy(update=update), "[watch.account]"
    admin = target.admin
    if admin is not None and (not admin.password.prompt or admin.password.known):
        return target.model_copy(update={"user": admin.user, "password": admin.password}), "[target.admin]"
    return target, "the application's own account"


class Server:
    """One connection to the server that is watched, and what can be asked over it. asked: questions so far."""

    def __init__(self, target: config.Target, watch: config.Watch, refused: Mapping[str, str]) -> None:
        """Connects. refused: parts that this account was not let see lately. Raises TargetError, ConfigError."""
        asks, self.who = account(target, watch)
        self.asked = CONNECTING
        self.missing: dict[str, str] = {}
        self._watch = watch
        self._database = target.database
        self._local = target.host in ("127.0.0.1", "::1", "localhost")
        self._connection = connect(asks)
        try:
            self._connection.wait_at_most(target.connect_timeout)
            self._set_up(refused)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    @property
    def mariadb(self) -> bool:
        return self._connection.flavour == "MariaDB"

    def _set_up(self, refused: Mapping[str, str]) -> None:
        # Without autocommit the first read would open a transaction that holds back the server's purge for a week.
        fresh = "" if self.mariadb else ", information_schema_stats_expiry = 0"
        execute(self._connection, f"SET SESSION autocommit = 1{fresh}")
        tables = ", ".join(literal(name) for name in self._watch.probe_tables) or "''"
        plugin = "PLUGIN_NAME = 'QUERY_RESPONSE_TIME' AND PLUGIN_STATUS = 'ACTIVE'"
        facts = query(
            self._connection,
            "SELECT @@performance_schema, @@log_error, @@datadir, @@long_query_time, @@max_connections,"
            f" (SELECT COUNT(*) FROM information_schema.PLUGINS WHERE {plugin}),"
            " (SELECT JSON_ARRAYAGG(JSON_ARRAY(TABLE_NAME, COLUMN_NAME)) FROM information_schema.STATISTICS"
            "  WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = 'PRIMARY' AND SEQ_IN_INDEX = 1"
            f"  AND TABLE_NAME IN ({tables}))",
        )[0]
        schema, self._log, self._data, long_query_time, self.max_connections, plugins, keyed = facts
        self.data_folder = str(self._data) if self._local and Path(str(self._data)).is_dir() else ""
        self._schema_on = bool(int(schema))
        keys = dict(json.loads(keyed)) if keyed else {}
        found = next((name for name in self._watch.probe_tables if name in keys), None)
        self.probe_sql = "SELECT 1"
        if found is None:
            self.missing["probe"] = (
                "none of [watch] probe_tables is there with a primary key; SELECT 1 is timed instead"
            )
        else:
            table, key = identifier(found), identifier(keys[found])
            self.probe_sql = f"SELECT 1 FROM {table} WHERE {key} = (SELECT MIN({key}) FROM {table}) LIMIT 1"
        if self.mariadb:
            self.sources: list[Source] = ["query_response_time"] if int(plugins) else []
            self.sources += ["digests"] if self._schema_on else []
        else:
            self.sources = ["histogram"] if self._schema_on else []
        self.sources.append("probe")
        if float(long_query_time) > self._watch.slow_query_seconds and self.sources[0] != "histogram":
            self.missing["slow"] = (
                f"the server counts as slow what takes over long_query_time = {float(long_query_time):g} s:"
                f" SET GLOBAL long_query_time = {self._watch.slow_query_seconds:g}"
            )
        if not self._schema_on:
            self.missing["schema"] = "performance_schema is OFF: no failed statements and no slow ones by text"
        self._refused: set[str] = {"statements", "digests"} if not self._schema_on else set()
        if self.mariadb:
            self._refused.add("deadlocks")  # a status variable there
        for name, why in refused.items():
            if why.startswith(self.who):
                self._leave_out(name, why)

    @property
    def source(self) -> Source:
        return self.sources[0]

    def _parts(self, elapsed: float) -> list[Part]:
        names = ", ".join(literal(name) for name in STATUS)
        place = "information_schema.GLOBAL_STATUS" if self.mariadb else "performance_schema.global_status"
        schema = "performance_schema.events_statements_"
        parts = [
            Part(
                "status",
                f"SELECT 'status', CAST(VARIABLE_NAME AS CHAR), CAST(VARIABLE_VALUE AS CHAR), '' FROM {place}"
                f" WHERE VARIABLE_NAME IN ({names})",
            ),
            Part("limit", "SELECT 'status', 'max_connections', CAST(@@GLOBAL.max_connections AS CHAR), ''"),
            Part(
                "statements",
                "SELECT 'statements', '', CAST(SUM(COUNT_STAR) AS CHAR), CAST(SUM(SUM_ERRORS) AS CHAR)"
                f" FROM {schema}summary_global_by_event_name",
                "failed statements",
            ),
            Part(
                "deadlocks",
                "SELECT 'status', 'Innodb_deadlocks', CAST(`COUNT` AS CHAR), ''"
                " FROM information_schema.INNODB_METRICS WHERE NAME = 'lock_deadlocks'",
                "deadlocks",
            ),
        ]
        times = {
            "histogram": "SELECT 'times', CAST(BUCKET_TIMER_HIGH / 1e9 AS CHAR), CAST(COUNT_BUCKET AS CHAR), '0'"
            f" FROM {schema}histogram_global WHERE COUNT_BUCKET > 0",
            "query_response_time": "SELECT 'times', CAST(TIME AS CHAR), CAST(`COUNT` AS CHAR), '0'"
            " FROM information_schema.QUERY_RESPONSE_TIME WHERE `COUNT` > 0",
            "digests": "SELECT 'times', CAST(DIGEST AS CHAR), CAST(COUNT_STAR AS CHAR),"
            f" CAST(SUM_TIMER_WAIT / 1e9 AS CHAR) FROM {schema}summary_by_digest WHERE SCHEMA_NAME = DATABASE()"
            f" AND DIGEST IS NOT NULL AND LAST_SEEN >= NOW() - INTERVAL {int(elapsed) + 2} SECOND",
        }
        if self.source != "probe":
            parts.append(Part("times", times[self.source], "the server's own response times"))
        return [part for part in parts if part.name not in self._refused]

    def read(self, before: Reading | None) -> Reading:
        """Every counter, in one question. Raises TargetError when the server does not answer."""
        elapsed = time.time() - before.wall if before else 86400.0
        while True:
            parts = self._parts(elapsed)
            try:
                rows = self._ask(" UNION ALL ".join(part.sql for part in parts))
            except TargetError as error:
                if error.code not in REFUSALS or not self._refuses(parts, error):
                    raise
                continue
            found = self._reading(rows, before)
            if found.source == "query_response_time" and not found.times:
                self.missing["times"] = "query_response_time_stats is OFF: SET GLOBAL query_response_time_stats = ON"
                self.sources.pop(0)
                continue
            return found

    def _refuses(self, parts: Sequence[Part], error: TargetError) -> bool:
        """Ask no more for what the server refused; False where it is not clear what that is."""
        named = [part for part in parts if part.needs and part.place.lower() in error.what.lower()]
        if error.code == ER.SPECIFIC_ACCESS_DENIED_ERROR:
            named = [part for part in parts if part.name == "deadlocks"]
        if named and "performance_schema" in named[0].sql:
            # One grant opens all of its tables; to be refused by each costs the server a question each time.
            named = [part for part in parts if part.needs and "performance_schema" in part.sql]
        for part in named:
            self._leave_out(part.name, f"{self.who} may not see {part.needs}: {PRIVILEGE}")
        return bool(named)

    def _leave_out(self, name: str, why: str) -> None:
        self.missing[name] = why
        self._refused.add(name)
        if name == "times" and self.source != "probe":
            self.sources.pop(0)

    def _ask(self, sql: str) -> list[Row]:
        self.asked += 1
        return query(self._connection, sql)

    def _reading(self, rows: Sequence[Row], before: Reading | None) -> Reading:
        counts: dict[str, float] = {}
        gauges: dict[str, float] = {}
        times: dict[str, tuple[float, float]] = {}
        known = {name.lower(): ours for name, ours in STATUS.items()} | {"max_connections": "max_connections"}
        for kind, name, value, extra in rows:
            if kind == "times":
                key = str(name) if self.source == "digests" else f"{self._edge(str(name)):.6g}"
                count, total = times.get(key, (0.0, 0.0))
                times[key] = (count + float(value), total + float(extra))
            elif kind == "statements":
                if value is not None:
                    counts["statements"], counts["statement_errors"] = float(value), float(extra)
            else:
                ours = known[str(name).lower()]
                if ours == "statements" and "statements" in counts:
                    continue
                (gauges if ours in GAUGES else counts)[ours] = float(value)
        uptime = counts.pop("uptime")
        if self.source == "digests" and before is not None and before.source == "digests" and before.uptime <= uptime:
            times = {**before.times, **times}
        return Reading(time.time(), uptime, counts, gauges, times, self.source, wall=time.time())

    def _edge(self, name: str) -> float:
        """The upper edge of a bucket, in milliseconds."""
        if self.source == "histogram":
            return min(float(name), ENDLESS)
        try:
            return min(float(name.strip()) * 1000, ENDLESS)
        except ValueError:  # the plugin's last line says TOO LONG
            return ENDLESS

    def probe(self) -> float:
        """Milliseconds until a small read of a real table is answered."""
        begun = time.perf_counter()
        self._ask(self.probe_sql)
        return (time.perf_counter() - begun) * 1000

    def size(self) -> float:
        """Bytes of the database's tables and indexes."""
        rows = self._ask(
            "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
        )
        return float(rows[0][0] or 0)

    def slow_statements(
        self, known: Mapping[str, Sequence[float]] | None
    ) -> tuple[list[Slow], dict[str, list[float]] | None]:
        """Statements that took longer than ever since the last time, and what to know of them the next time.

        known: that of the last time. Without it nothing can be told, since the server's figures go back to its start.
        None instead of it: the server does not say.
        """
        if "digests" in self._refused:
            return [], None
        sample = "''" if self.mariadb else "LEFT(QUERY_SAMPLE_TEXT, 4000)"
        limit = self._watch.slow_query_seconds * 1e12
        try:
            rows = self._ask(
                f"SELECT DIGEST, DIGEST_TEXT, {sample}, COUNT_STAR, MAX_TIMER_WAIT / 1e9"
                " FROM performance_schema.events_statements_summary_by_digest"
                f" WHERE SCHEMA_NAME = DATABASE() AND DIGEST IS NOT NULL AND MAX_TIMER_WAIT > {limit:.0f}"
                f" ORDER BY LAST_SEEN DESC LIMIT {SHOWN * 5}"
            )
        except TargetError as error:
            if error.code not in REFUSALS:
                raise
            self._leave_out("digests", f"{self.who} may not see slow statements: {PRIVILEGE}")
            return [], None
        now = {str(digest): [float(calls), float(worst)] for digest, _, _, calls, worst in rows}
        found = []
        for digest, text, example, calls, worst in rows:
            old = (known or {}).get(str(digest), (0.0, 0.0))
            if known is not None and (float(worst) > old[1] or float(calls) < old[0]):
                told = redacted(str(example or "")) or str(text)
                found.append(Slow(str(digest), " ".join(told.split())[:TEXT], float(worst)))
        return found[:SHOWN], now

    def log_errors(self, mark: Mapping[str, Any] | None) -> tuple[list[tuple[str, str]], dict[str, Any] | None]:
        """Errors in the server's log behind a mark, as (when, what), and the new mark; the mark alone without one.

        None as mark: the log cannot be read from here; `missing` says why.
        """
        if self.mariadb:
            return self._log_file(mark)
        if "log" in self._refused:
            return [], None
        since = str((mark or {}).get("logged", ""))
        where = f"PRIO = 'Error' AND LOGGED > {literal(since)}" if since else "FALSE"
        try:
            rows = self._ask(
                "SELECT CAST(LOGGED AS CHAR), CAST(CONCAT(ERROR_CODE, ' ', DATA) AS CHAR)"
                f" FROM performance_schema.error_log WHERE {where} UNION ALL"
                " SELECT CAST('mark' AS CHAR), CAST(MAX(LOGGED) AS CHAR) FROM performance_schema.error_log"
            )
        except TargetError as error:
            if error.code not in REFUSALS:
                raise
            self._leave_out("log", f"{self.who} may not see the server's error log: {PRIVILEGE}")
            return [], None
        errors = [(str(at), str(text)[:TEXT]) for at, text in rows if at != "mark"]
        newest = next((text for at, text in rows if at == "mark"), None)
        return errors, {"logged": str(newest or since)}

    def _log_file(self, mark: Mapping[str, Any] | None) -> tuple[list[tuple[str, str]], dict[str, Any] | None]:
        name = str(self._log or "")
        if name in ("", "stderr"):
            self.missing["log"] = "the server writes its errors to its standard error: look there, or in journalctl"
            return [], None
        path = Path(str(self._data)) / name
        path = path if path.suffix else path.with_name(path.name + ".err")
        try:
            if not self._local:
                raise OSError(0, "it is on the server's machine")
            with path.open("rb") as file:
                size = file.seek(0, 2)
                if mark is None or int(mark["offset"]) > size:
                    return [], {"offset": size}
                file.seek(max(int(mark["offset"]), size - BACK_FROM_LOG))
                # A line still being written is left for the next time.
                whole, newline, _ = file.read().rpartition(b"\n")
        except OSError as error:
            self.missing["log"] = f"the server's error log {path} cannot be read from here: {error.strerror}"
            return [], None
        begin = max(int(mark["offset"]), size - BACK_FROM_LOG)
        errors = [
            (line[:19].strip(), line[19:].strip()[:TEXT])
            for line in whole.decode("utf-8", "replace").splitlines()
            if "[ERROR]" in line
        ]
        return errors, {"offset": begin + len(whole) + len(newline)}


def redacted(sql: str) -> str:
    """A statement without its values: names and shape only. Empty for one that cannot be read, such as a cut one."""
    try:
        tokens = sqlglot.tokenize(sql, dialect="mysql")
    except SqlglotError:
        return ""
    values = (TokenType.STRING, TokenType.NUMBER, TokenType.HEX_STRING, TokenType.BIT_STRING, TokenType.NATIONAL_STRING)
    shown: list[str] = []
    for token in tokens:
        if token.token_type in values:
            shown.append("?")
        elif token.token_type is TokenType.IDENTIFIER:
            shown.append(identifier(token.text) if sql[token.start] == "`" else "?")
        else:
            shown.append(token.text)
    return " ".join(shown).replace(" . ", ".").replace(" ,", ",").replace("( ", "(").replace(" )", ")")

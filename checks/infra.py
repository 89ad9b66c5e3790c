"""Checks of the target server and of where backups are kept. They sign in as [target.admin] where it is given, because
the application's own account may not exist yet."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

import humanize

from checks.env import settings
from checks.registry import Answer, check, finding, found, good, problem, skip
from checks.shared import HOST, SCAN, SERVER, SOURCE, server
from dixis_tui.backups import manifest, tools
from dixis_tui.backups.judge import judge
from dixis_tui.context import Context
from dixis_tui.hosts import assets, backup
from dixis_tui.model import DixisError, Finding
from dixis_tui.server import connections, tuning, variables
from dixis_tui.server.connections import Bound
from dixis_tui.source import latest_snapshot
from dixis_tui.target import TargetConnection, query, server_facts

NEEDS = {"CREATE", "ALTER", "INDEX", "REFERENCES", "SELECT", "INSERT", "UPDATE", "DELETE", "DROP"}
ADMIN_NEEDS = NEEDS | {"CREATE USER"}
CLOCK_SECONDS = 2.0
# What InnoDB needs for a byte of the source: the rows, their indexes, pages that are not full.
ROOM_FACTOR = 3
RESERVE = 100 << 20
DAYS = 7


@check(
    SERVER,
    "The server answers and lets us in",
    why="Address, firewall, account, encryption and certificate are proved in one go.",
    severity="fail",
    remedy="check [target] in the configuration",
)
def reachable(ctx: Context) -> Answer:
    target = ctx.config.target
    with server(ctx) as connection:
        account = query(connection, "SELECT CURRENT_USER()")[0][0]
        facts = server_facts(connection)
    return good(f"{target.host}:{target.port} as {account}", f"{facts.flavour} {facts.version_text}")


@check(
    "infra.version",
    "Version of the server",
    why="Older servers lack what an exact copy needs.",
    severity="fail",
    remedy="use MySQL 8.0 or newer, or MariaDB 10.6 or newer",
    needs=(SERVER,),
)
def version(ctx: Context) -> Answer:
    with server(ctx) as connection:
        facts = server_facts(connection)
    text = f"{facts.flavour} {facts.version_text}"
    return good(text) if facts.supported else problem(f"{text} is too old")


@check(
    "infra.tls",
    "Connection is encrypted and the server proved",
    why="Passwords, addresses and orders travel over this connection.",
    severity="fail",
    remedy='set [target.tls] mode = "verify" and ca to the certificate authority of the server',
    needs=(SERVER,),
)
def encrypted(ctx: Context) -> Answer:
    settings = ctx.config.target.tls
    with server(ctx) as connection:
        cipher = server_facts(connection).tls
    if settings.mode == "off":
        here = _is_here(ctx.config.target.host) and ctx.config.run.environment == "rehearsal"
        return problem(
            f"[target.tls] is off{'; the server is on this machine' if here else ''}", severity="warn" if here else None
        )
    if not cipher:
        return problem("the connection is not encrypted")
    return good(
        f"{cipher}, certificate and name verified", f"certificate authority: {settings.ca or 'the system store'}"
    )


@check(
    "infra.writable",
    "The server takes writes",
    why="A replica or a server that was set read-only takes the connection and refuses the first row.",
    severity="fail",
    remedy="name the primary server under [target] host, or: SET GLOBAL read_only = OFF;",
    needs=(SERVER,),
)
def writable(ctx: Context) -> Answer:
    with server(ctx) as connection:
        facts = server_facts(connection)
        session = query(connection, "SHOW VARIABLES WHERE Variable_name IN ('transaction_read_only', 'tx_read_only')")
    on = [
        name
        for name in ("read_only", "super_read_only")
        if facts.variables.get(name, "OFF").upper() not in ("OFF", "0", "")
    ]
    on += [str(name) for name, value in session if str(value).upper() in ("ON", "1")]
    if on:
        return problem(f"{' and '.join(on)} is on", remedy=[f"SET GLOBAL {name} = OFF;" for name in reversed(on)])
    return good("read_only is off")


@check(
    "infra.database",
    "Character set and collation",
    why="Greek text and every other sign need utf8mb4. The collation decides which keys are equal.",
    severity="fail",
    remedy="choose a utf8mb4 collation the server has: SHOW COLLATION WHERE Charset = 'utf8mb4'",
    needs=(SERVER,),
)
def charset(ctx: Context) -> Answer:
    target = ctx.config.target
    with server(ctx) as connection:
        known = query(connection, "SHOW COLLATION WHERE Charset = %s", (target.charset,))
        database = query(
            connection,
            "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
            " WHERE schema_name = %s",
            (target.database,),
        )
    if target.collation not in {row[0] for row in known}:
        return problem(f"the server has no collation {target.collation} for {target.charset}")
    if not database and target.admin is None:
        return problem(
            f"there is no database {target.database} that {target.user} can see",
            remedy=(
                f"CREATE DATABASE `{target.database}` CHARACTER SET {target.charset} COLLATE {target.collation};",
                "or",
                "[target.admin]",
                'user = "…"',
                "password = { prompt = true }",
            ),
        )
    if not database:
        return good(f"{target.collation} is there; the database will be created with it")
    if tuple(database[0]) != (target.charset, target.collation):
        return problem(
            f"{target.database} is {database[0][0]}, {database[0][1]}, wanted {target.charset}, {target.collation}",
            remedy=(
                "-- changes the default for new tables only",
                f"ALTER DATABASE `{target.database}` CHARACTER SET {target.charset} COLLATE {target.collation};",
            ),
        )
    return good(f"{target.database}: {target.charset}, {target.collation}")


@check(
    "infra.privileges",
    "Privileges on the server",
    why="A missing privilege stops the migration in the middle of the window; one too many is a door left open.",
    severity="fail",
    remedy="have the server's administrator grant them",
    needs=(SERVER,),
)
def privileges(ctx: Context) -> Answer:
    target = ctx.config.target
    needs = NEEDS if target.admin is None else ADMIN_NEEDS
    account = target.user if target.admin is None else target.admin.user
    with server(ctx) as connection:
        user, _, host = str(query(connection, "SELECT CURRENT_USER()")[0][0]).rpartition("@")
        grantee = f"'{user}'@'{host}'"
        held, grantable = _held(connection, grantee, target.database)
        missing = sorted(needs - held)
        if target.admin is not None and not grantable:
            missing.append("GRANT OPTION")
        too_many = _too_many(connection, target.user, target.database)
    findings = []
    if missing:
        grant = (f"GRANT ALL PRIVILEGES ON `{target.database}`.* TO {grantee};",) if target.admin is None else ()
        findings.append(finding(f"{account} lacks {', '.join(missing)}", *grant))
    for who, what in too_many:
        text = f"{who} holds more than its own database needs: {what}"
        findings.append(finding(text, f"REVOKE {what} FROM {who};", severity="warn"))
    return found(findings, f"{account} holds what is needed", ", ".join(sorted(needs)))


def _held(connection: TargetConnection, grantee: str, database: str) -> tuple[set[str], bool]:
    """The privileges an account holds on a database, and whether it may grant them."""
    rows = query(
        connection,
        "SELECT privilege_type, is_grantable FROM information_schema.user_privileges WHERE grantee = %s"
        " UNION ALL SELECT privilege_type, is_grantable FROM information_schema.schema_privileges"
        " WHERE grantee = %s AND %s LIKE table_schema",
        (grantee, grantee, database),
    )
    return {str(row[0]).upper() for row in rows}, "YES" in {row[1] for row in rows}


def _too_many(connection: TargetConnection, user: str, database: str) -> list[tuple[str, str]]:
    """What the application's account holds beyond its own database: (account, privileges as REVOKE names them)."""
    mine = "'" + user.replace("'", "''") + "'@%"
    everywhere = query(
        connection,
        "SELECT grantee, GROUP_CONCAT(privilege_type ORDER BY 1 SEPARATOR ', ') FROM information_schema.user_privileges"
        " WHERE grantee LIKE %s AND privilege_type <> 'USAGE' GROUP BY grantee",
        (mine,),
    )
    elsewhere = query(
        connection,
        "SELECT grantee, table_schema FROM information_schema.schema_privileges"
        " WHERE grantee LIKE %s AND NOT %s LIKE table_schema GROUP BY grantee, table_schema",
        (mine, database),
    )
    told = [(str(who), f"{what} ON *.*") for who, what in everywhere]
    return told + [(str(who), f"ALL PRIVILEGES ON `{other}`.*") for who, other in elsewhere]


@check(
    "infra.sql-mode",
    "sql_mode of the server",
    why="Without strict mode the server cuts and rounds what does not fit. The console states its own mode, the"
    " application's other clients may not.",
    severity="warn",
    remedy="SET PERSIST sql_mode = CONCAT(@@GLOBAL.sql_mode, ',STRICT_TRANS_TABLES');",
    needs=(SERVER,),
)
def sql_mode(ctx: Context) -> Answer:
    with server(ctx) as connection:
        mode = str(query(connection, "SELECT @@GLOBAL.sql_mode")[0][0])
    modes = set(mode.upper().split(","))
    if not modes & {"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"}:
        return problem("the server is not strict for clients that do not ask for it", f"sql_mode = {mode}")
    odd = sorted(modes & {"ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "PIPES_AS_CONCAT", "PAD_CHAR_TO_FULL_LENGTH"})
    if odd:
        text = f"{', '.join(odd)} changes what statements of the application mean"
        return problem(
            text, f"sql_mode = {mode}", remedy=("take it out of sql_mode, or state the mode in the application",)
        )
    return good("strict", f"sql_mode = {mode}")


@check(
    "infra.time-zones",
    "The configured time zone",
    why="A named zone needs the server's zone tables, which are empty on a fresh server.",
    severity="fail",
    remedy='mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql mysql, or [target] time_zone = "+00:00"',
    needs=(SERVER,),
)
def time_zones(ctx: Context) -> Answer:
    zone = ctx.config.target.time_zone
    with server(ctx) as connection:
        known = query(connection, "SELECT CONVERT_TZ('2024-07-01 12:00:00', '+00:00', 'Europe/Athens')")[0][0]
        own = query(connection, "SELECT CONVERT_TZ('2024-07-01 12:00:00', '+00:00', %s)", (zone,))[0][0]
    if own is None:
        return problem(f"the server does not know the zone {zone}")
    tables = "the zone tables are filled" if known is not None else "the zone tables are empty; no named zone is needed"
    return good(f"{zone}; {tables}")


@check(
    "infra.local-infile",
    "LOAD DATA LOCAL is allowed",
    why="The fast way into the server. Without it rows travel in INSERTs: slower, as exact.",
    severity="warn",
    remedy="as an administrator: SET GLOBAL local_infile = ON; or set it in the parameter group",
    needs=(SERVER,),
)
def local_infile(ctx: Context) -> Answer:
    with server(ctx) as connection:
        allowed = server_facts(connection).local_infile
    if not allowed:
        return problem("local_infile is off: the copy will use INSERTs")
    return good("local_infile is on")


@check(
    "infra.room",
    "Room on the server",
    why="Rows, indexes, redo log and sorting take about three times the source. A full disk stops the server for all.",
    severity="fail",
    remedy="make room on the server's data disk",
    needs=(SERVER, SOURCE),
)
def room(ctx: Context) -> Answer:
    with server(ctx) as connection:
        rows = query(
            connection,
            "SHOW VARIABLES WHERE Variable_name IN ('datadir', 'innodb_redo_log_capacity', 'innodb_log_file_size',"
            " 'innodb_log_files_in_group')",
        )
    variables = {str(name): str(value) for name, value in rows}
    redo = int(variables.get("innodb_redo_log_capacity") or variables.get("innodb_log_file_size") or 0)
    needed = ROOM_FACTOR * latest_snapshot(ctx).size + redo + RESERVE
    wanted = humanize.naturalsize(needed)
    folder = Path(variables.get("datadir", ""))
    if not (_is_here(ctx.config.target.host) and folder.is_dir()):
        text = f"the server does not tell its free space; about {wanted} are wanted: look at its disk"
        return problem(text, severity="note")
    free = ctx.local.free_space(str(folder))
    text = f"{humanize.naturalsize(free)} free, {wanted} wanted"
    return good(text) if free >= needed else problem(text)


def _is_here(host: str) -> bool:
    """True for a name or address of this machine's loopback."""
    try:
        return all(ipaddress.ip_address(str(one[4][0])).is_loopback for one in socket.getaddrinfo(host, None))
    except (OSError, ValueError):
        return False


@check(
    "infra.clock",
    "Clocks agree",
    why="Rows written by triggers and defaults carry the server's time; logs are read side by side.",
    severity="warn",
    remedy="let both machines follow a time server: timedatectl set-ntp true",
    needs=(SERVER,),
)
def clock(ctx: Context) -> Answer:
    with server(ctx) as connection:
        before = datetime.now(UTC).replace(tzinfo=None)
        there = query(connection, "SELECT UTC_TIMESTAMP(6)")[0][0]
        after = datetime.now(UTC).replace(tzinfo=None)
    apart = max((before - there).total_seconds(), (there - after).total_seconds(), 0.0)
    if apart > CLOCK_SECONDS:
        return problem(f"the server's clock is {apart:.1f} s away from this machine's")
    return good(f"{apart:.1f} s apart")


@check(
    "infra.connections",
    "Connections enough",
    why="Laravel has no pool: every PHP process and every worker holds a connection. More of them than the server takes"
    " turn customers away at the first busy hour.",
    severity="warn",
    remedy="more max_connections (and [tuning.variables]), or fewer pm.max_children",
    needs=(SERVER, HOST),
)
def connections_enough(ctx: Context) -> Answer:
    with server(ctx) as connection:
        bound = connections.bound(ctx, connection, _of_each_process(ctx))
        verb = variables.set_verb(server_facts(connection))
    return found(_too_few(ctx, bound, verb), bound.lines()[-1], *bound.lines())


def _of_each_process(ctx: Context) -> int:
    """Connections that a PHP process may open: two where the application reads and writes on hosts of their own."""
    try:
        return 2 if "read" in settings(ctx).mysql_keys else 1
    except DixisError:
        return 1


def _too_few(ctx: Context, bound: Bound, verb: str) -> Iterator[Finding]:
    """What is wrong with these numbers. verb: the word behind SET that this server keeps a value by."""
    limit = ctx.config.watch.connections_percent
    if bound.wanted is None:
        unknown = "; ".join(one.line() for one in bound.hosts if one.children is None)
        text = f"how many connections the application may open is not known: {unknown}"
        yield finding(text, "[connections]", "children = 20   # PHP processes of a web host at most", severity="note")
    elif bound.wanted > bound.most:
        enough = ceil(bound.wanted * 100 / limit)
        yield finding(
            f"{bound.wanted} connections may be wanted, the server takes {bound.most}",
            f"SET {verb} max_connections = {enough};",
            "or",
            f"pm.max_children = {_children(bound)}   # in each pool's file, then restart PHP-FPM",
        )
    elif 100 * bound.wanted > limit * bound.most:
        text = f"{bound.wanted} connections may be wanted, more than {limit:g} % of the server's {bound.most}"
        yield finding(text, severity="note")
    if bound.per_account and bound.application is not None and bound.application > bound.per_account:
        text = f"the application may want {bound.application} connections, its account gets {bound.per_account}"
        yield finding(text, f"ALTER USER '{ctx.config.target.user}'@'…' WITH MAX_USER_CONNECTIONS 0;")
    if bound.use > limit:
        text = f"at the peak {bound.peak} of {bound.most} connections were in use, more than {limit:g} %"
        yield finding(text, f"SET {verb} max_connections = {ceil(bound.peak * 100 / limit)};")


def _children(bound: Bound) -> int:
    """How many processes each pool may have, so that all fit."""
    pools = max(1, sum(len(one.pools) or 1 for one in bound.hosts))
    workers = sum(one.workers for one in bound.hosts)
    return max(1, ((bound.most - bound.beside) // bound.each - workers) // pools)


@check(
    "infra.tuning",
    "The server is set as [tuning] wants it",
    why="A server with its defaults reads from disk what would fit into memory, and logs no slow query in the week that"
    " is watched.",
    severity="note",
    remedy="dixis tune apply",
    needs=(SERVER,),
)
def tuned(ctx: Context) -> Answer:
    told = tuning.show(ctx)
    findings = [
        finding(
            f"{one.text()[0]}{f'; {one.why}' if one.why else ''}",
            *(["dixis tune apply"] if one.statement else filter(None, (*one.lines, one.file))),
            severity="warn" if one.verdict in ("too large", "unknown") else "note",
        )
        for one in told.readings
        if one.verdict != "as wanted"
    ]
    return found(findings, f"{told.server}, {tuning.place(told)}", *told.slow_log.lines())


@check(
    "infra.monitoring",
    "The server measures itself",
    why="The week after is judged by response times and slow queries, which performance_schema keeps.",
    severity="note",
    remedy="performance_schema = ON in the server's configuration, or in the parameter group; needs a restart",
    needs=(SERVER,),
)
def monitoring(ctx: Context) -> Answer:
    with server(ctx) as connection:
        rows = query(
            connection, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('performance_schema', 'slow_query_log')"
        )
    values = {str(name): str(value).upper() for name, value in rows}
    if values.get("performance_schema") not in ("ON", "1"):
        return problem("performance_schema is off: no percentiles of response times")
    return good("performance_schema is on", *(f"{name} = {value}" for name, value in values.items()))


@check(
    "infra.backup-room",
    "A week of backups",
    why="No step that changes anything runs without a place for its backup; the plan keeps daily ones for a week.",
    severity="warn",
    remedy="make room, or name another disk under [backup] directory",
    needs=(SCAN,),
)
def backup_room(ctx: Context) -> Answer:
    directory = ctx.config.backup.directory
    backup.prepare(directory)
    files = assets.files_below(ctx.config.assets.source) if ctx.config.assets else []
    needed = DAYS * latest_snapshot(ctx).size + _sizes(files)
    free = ctx.local.free_space(str(directory))
    text = f"{humanize.naturalsize(free)} free in {directory}, {humanize.naturalsize(needed)} wanted for {DAYS} days"
    evidence = judge(manifest.look(directory), None, datetime.now(UTC), ctx.config.backup.max_age_hours).summary
    return good(text, evidence) if free >= needed else problem(text, evidence)


@check(
    "infra.backup-tools",
    "The server's own dump program",
    why="Backups of the target are made by its server's dump program; an older one leaves out what it does not know.",
    severity="warn",
    remedy="install the client programs of the server's own version, or name their folder in [backup] tools",
    needs=(SERVER,),
)
def backup_tools(ctx: Context) -> Answer:
    with server(ctx) as connection:
        facts = server_facts(connection)
    try:
        programs = tools.find(ctx.config.backup, facts)
    except tools.ToolError as error:
        return problem(error.what, remedy=[error.next_step])
    return good(f"{programs.dump} for {facts.flavour} {facts.version_text}", programs.dump.path, programs.client.path)


def _sizes(files: Sequence[Path]) -> int:
    return sum(path.lstat().st_size for path in files)


@check(
    "infra.cluster",
    "Nothing of the server forbids the tables",
    why="A cluster may demand keys, forbid large transactions, or name tables without case.",
    severity="warn",
    remedy="look at the variable that is named in the server's manual",
    needs=(SERVER,),
)
def cluster(ctx: Context) -> Answer:
    with server(ctx) as connection:
        rows = query(
            connection,
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('wsrep_on', 'group_replication_group_name',"
            " 'lower_case_table_names', 'innodb_strict_mode')",
        )
    values = {str(name): str(value) for name, value in rows}
    if values.get("wsrep_on", "OFF").upper() == "ON":
        return problem("a Galera cluster: every table needs a key there, and large transactions are refused")
    if values.get("group_replication_group_name"):
        return problem("group replication: every table needs a key there")
    if not rows:
        return skip("the server tells nothing of itself")
    return good("a server of its own", *(f"{name} = {value}" for name, value in values.items()))

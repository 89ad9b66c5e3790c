"""Checks of the target server. With [target.admin] they ask as that account, because the other may not exist yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from checks.registry import Answer, check, good, problem
from dixis_tui.context import Context
from dixis_tui.target import TargetConnection, connected, query, server_facts

ADMIN_NEEDS = {"CREATE", "ALTER", "INDEX", "REFERENCES", "SELECT", "INSERT", "UPDATE", "DELETE", "DROP", "CREATE USER"}
APP_NEEDS = ADMIN_NEEDS - {"CREATE USER"}


@contextmanager
def _server(ctx: Context) -> Iterator[TargetConnection]:
    with connected(ctx.config.target, admin=ctx.config.target.admin is not None, database=None) as connection:
        yield connection


@check(
    "preflight.target-reachable",
    "MySQL answers and lets us in",
    why="Address, firewall, account and certificate are proved in one go.",
    severity="fail",
    remedy="check [target] in the configuration",
)
def reachable(ctx: Context) -> Answer:
    target = ctx.config.target
    with _server(ctx) as connection:
        account = query(connection, "SELECT CURRENT_USER()")[0][0]
    return good(f"{target.host}:{target.port} as {account}")


@check(
    "preflight.target-version",
    "Version of the server",
    why="Older servers lack what an exact copy needs.",
    severity="fail",
    remedy="use MySQL 8.0 or newer, or MariaDB 10.6 or newer",
)
def version(ctx: Context) -> Answer:
    with _server(ctx) as connection:
        facts = server_facts(connection)
    text = f"{facts.flavour} {facts.version_text}"
    return good(text) if facts.supported else problem(f"{text} is too old")


@check(
    "preflight.target-tls",
    "Connection is encrypted and the server proved",
    why="Passwords, addresses and orders travel over this connection.",
    severity="fail",
    remedy='set [target.tls] mode = "verify" and ca to the certificate authority of the server',
)
def tls(ctx: Context) -> Answer:
    settings = ctx.config.target.tls
    with _server(ctx) as connection:
        cipher = server_facts(connection).tls
    if not cipher:
        return problem("the connection is not encrypted")
    if settings.mode != "verify":
        return problem(f"encrypted ({cipher}), but the server's certificate is not checked")
    return good(
        f"{cipher}, certificate and name verified", f"certificate authority: {settings.ca or 'the system store'}"
    )


@check(
    "preflight.target-charset",
    "Character set and collation",
    why="Greek text and every other sign need utf8mb4; the collation decides which keys are equal.",
    severity="fail",
    remedy="choose a utf8mb4 collation the server has: SHOW COLLATION WHERE Charset = 'utf8mb4'",
)
def charset(ctx: Context) -> Answer:
    target = ctx.config.target
    with _server(ctx) as connection:
        known = query(connection, "SHOW COLLATION WHERE Charset = %s", (target.charset,))
        database = query(
            connection,
            "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
            " WHERE schema_name = %s",
            (target.database,),
        )
    if target.collation not in {row[0] for row in known}:
        return problem(f"the server has no collation {target.collation} for {target.charset}")
    if not database:
        return good(f"{target.collation} is there; the database will be created with it")
    if tuple(database[0]) != (target.charset, target.collation):
        return problem(
            f"{target.database} is {database[0][0]}, {database[0][1]}, wanted {target.charset}, {target.collation}",
            remedy=(
                f"ALTER DATABASE `{target.database}` CHARACTER SET {target.charset} COLLATE {target.collation};",
                "this changes the default for new tables only",
            ),
        )
    return good(f"{target.database}: {target.charset}, {target.collation}")


@check(
    "preflight.target-privileges",
    "Privileges on the server",
    why="A missing privilege would stop the migration in the middle of the window.",
    severity="fail",
    remedy="have the server's administrator grant them",
)
def privileges(ctx: Context) -> Answer:
    target = ctx.config.target
    needs = APP_NEEDS if target.admin is None else ADMIN_NEEDS
    with _server(ctx) as connection:
        user, _, host = str(query(connection, "SELECT CURRENT_USER()")[0][0]).rpartition("@")
        grantee = f"'{user}'@'{host}'"
        rows = query(
            connection,
            "SELECT privilege_type, is_grantable FROM information_schema.user_privileges WHERE grantee = %s"
            " UNION ALL SELECT privilege_type, is_grantable FROM information_schema.schema_privileges"
            " WHERE grantee = %s AND %s LIKE table_schema",
            (grantee, grantee, target.database),
        )
    held = {str(row[0]).upper() for row in rows}
    missing = sorted(needs - held)
    account = target.user if target.admin is None else target.admin.user
    if target.admin is not None and "YES" not in {row[1] for row in rows}:
        missing.append("GRANT OPTION")
    if missing:
        return problem(
            f"{account} lacks {', '.join(missing)}",
            remedy=(f"GRANT ALL PRIVILEGES ON `{target.database}`.* TO {grantee};",) if target.admin is None else (),
        )
    return good(f"{account} holds what is needed", ", ".join(sorted(needs)))


@check(
    "preflight.target-local-infile",
    "LOAD DATA LOCAL is allowed",
    why="The fast way into the server; without it rows travel in INSERTs: slower, as exact.",
    severity="warn",
    remedy="as an administrator: SET GLOBAL local_infile = ON; or set it in the parameter group",
)
def local_infile(ctx: Context) -> Answer:
    with _server(ctx) as connection:
        allowed = server_facts(connection).local_infile
    if not allowed:
        return problem("local_infile is off: the copy will use INSERTs")
    return good("local_infile is on")

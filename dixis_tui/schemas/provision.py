"""The database on the target, and the application's account there."""

from __future__ import annotations

from dixis_tui.config import Target
from dixis_tui.context import Context
from dixis_tui.model import Kind, Outcome, failed, passed, warned
from dixis_tui.step import Step
from dixis_tui.target import (
    TargetConnection,
    TargetError,
    connect,
    connected,
    execute,
    identifier,
    literal,
    query,
)

ACCESS_DENIED = 1045


def steps() -> tuple[Step, ...]:
    """The steps that make both, where they are not there."""
    return (
        Step(
            id="schema.database",
            title="Create the database",
            kind=Kind.ACTION,
            why="The shop's tables need a database that keeps every character and compares text as Laravel expects.",
            work=make_database,
            preview=lambda ctx: _database_sql(ctx.config.target),
            undo="DROP DATABASE, when nothing else lives in it",
        ),
        Step(
            id="schema.user",
            title="Create the application's account",
            kind=Kind.ACTION,
            why="The application signs in with rights on its own database and nothing else.",
            work=make_user,
            preview=_user_preview,
            undo="DROP USER, or take the rights back with REVOKE",
        ),
    )


def _database_sql(target: Target) -> list[str]:
    return [
        f"CREATE DATABASE IF NOT EXISTS {identifier(target.database)}"
        f" CHARACTER SET {target.charset} COLLATE {target.collation}"
    ]


def make_database(ctx: Context) -> Outcome:
    """Create the database when it is not there and admin credentials are given; look at its character set."""
    target = ctx.config.target
    with connected(target, admin=target.admin is not None, database=None) as connection:
        found = _database_facts(connection, target)
        made = found is None and target.admin is not None
        if made:
            execute(connection, _database_sql(target)[0])
            found = _database_facts(connection, target)
    if found is None:
        return failed(
            f"There is no database {target.database} that {target.user} can see",
            remedy=[*_database_sql(target), "or give [target.admin] in the configuration"],
        )
    evidence = [f"{target.database}: {found[0]}, {found[1]}"]
    if found != (target.charset, target.collation):
        return warned(
            f"{target.database} was made with {found[0]} and {found[1]}",
            [*evidence, f"the tables are made with {target.charset} and {target.collation} all the same"],
            [f"ALTER DATABASE {identifier(target.database)} CHARACTER SET {target.charset} COLLATE {target.collation}"],
        )
    return passed(f"{target.database} {'created' if made else 'is there'}", evidence)


def _database_facts(connection: TargetConnection, target: Target) -> tuple[str, str] | None:
    rows = query(
        connection,
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
        " WHERE schema_name = %s",
        (target.database,),
    )
    return (str(rows[0][0]), str(rows[0][1])) if rows else None


def _account(target: Target) -> str:
    host = target.admin.client_host if target.admin else "%"
    return f"{literal(target.user)}@{literal(host)}"


def _user_sql(target: Target, *, exact_names: bool = False) -> list[str]:
    """The statements, with the password left out. exact_names: the server takes no wildcards in a grant's database."""
    account = _account(target)
    require = " REQUIRE SSL" if target.tls.mode == "verify" else " REQUIRE NONE"
    database = target.database
    if not exact_names:
        database = database.replace("_", "\\_").replace("%", "\\%")
    return [
        f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '…'{require}",
        f"GRANT ALL PRIVILEGES ON {identifier(database)}.* TO {account}",
    ]


def _user_preview(ctx: Context) -> list[str]:
    target = ctx.config.target
    if target.admin is None:
        return [f"-- nothing: no [target.admin]; only looks whether {target.user} can sign in"]
    return [*_user_sql(target), f"-- when the password does not fit: ALTER USER {_account(target)} IDENTIFIED BY '…'"]


def make_user(ctx: Context) -> Outcome:
    """Create the account and grant it its database, when admin credentials are given; then sign in with it."""
    target = ctx.config.target
    evidence: list[str] = []
    if target.admin is not None:
        with connected(target, admin=True, database=None) as connection:
            evidence = _create_user(connection, target)
    try:
        with connected(target) as connection:
            grants = [_without_hash(str(row[0])) for row in query(connection, "SHOW GRANTS")]
    except TargetError as error:
        return failed(error.what, [*evidence, error.safe], [error.next_step, *_user_sql(target)])
    return passed(f"{target.user} signs in to {target.database}", [*evidence, *grants])


def _create_user(connection: TargetConnection, target: Target) -> list[str]:
    account = _account(target)
    password = literal(target.password.resolve(f"password of {target.user}"))
    rows = query(connection, "SHOW VARIABLES LIKE 'partial_revokes'")
    create, grant = _user_sql(target, exact_names=bool(rows) and rows[0][1] == "ON")
    execute(connection, create.replace("'…'", password, 1), show=create)
    done = [create]
    try:
        connect(target, database=None).close()
    except TargetError as error:
        if error.code != ACCESS_DENIED:
            raise
        change = f"ALTER USER {account} IDENTIFIED BY '…'"
        execute(connection, change.replace("'…'", password, 1), show=change)
        done.append(change)
    execute(connection, grant)
    return [*done, grant]


def _without_hash(grant: str) -> str:
    """A line of SHOW GRANTS without the password's hash that MariaDB prints."""
    return grant.partition(" IDENTIFIED BY ")[0]


# Tables

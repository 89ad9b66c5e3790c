"""Puts a backup of the target back, over what is there: only where the shop does not run, and after a fresh backup."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dixis_tui.backups import make, scratch
from dixis_tui.backups.manifest import Kept
from dixis_tui.backups.work import Work
from dixis_tui.config import Target
from dixis_tui.hosts import backup, envfile
from dixis_tui.hosts.host import HostError, join
from dixis_tui.model import FAILED, DixisError
from dixis_tui.phrase import counted
from dixis_tui.target import TargetConnection, connected, execute, identifier, query

# Stands in a database from the first statement of a restore to its last: what has it is not whole.
UNDONE = "_dixis_restoring"
DOWN = "storage/framework/down"
SCHEMES = ("mysql", "mariadb")


class RestoreError(DixisError):
    """A backup was not put back, or not to its end."""

    exit_code = FAILED


@dataclass(frozen=True)
class Restored:
    """What a restore did. before: the backup of what was there, None where there was nothing."""

    database: str
    restored: Kept
    before: Kept | None


def obstacles(work: Work, database: str) -> list[str]:
    """Why a database is not to be replaced now: the shop runs there, or it could not be asked whether it does."""
    found = []
    host, app = work.app_host, work.config.app
    try:
        values = envfile.values(host.read(join(app.root, app.env_file)).decode("utf-8", "replace"))
        if _leads_to(values, database) and host.stat(join(app.root, DOWN)) is None:
            found.append(f"the application on {host.name} works on {database} and is open")
    except HostError as error:
        found.append(f"it is not known whether the application works on {database}: {error.what}")
    with connected(work.target(), database=None) as connection:
        rows = query(
            connection,
            "SELECT user, COUNT(*) FROM information_schema.processlist WHERE db = %s AND id <> CONNECTION_ID()"
            " GROUP BY user",
            (database,),
        )
    found += [f"{counted(count, 'connection')} of {user} open there" for user, count in rows]
    return found


def _leads_to(values: dict[str, str], database: str) -> bool:
    url = values.get("DB_URL") or values.get("DATABASE_URL") or ""
    if url.startswith(SCHEMES):
        return url.partition("?")[0].endswith(f"/{database}")
    return values.get("DB_CONNECTION") in SCHEMES and values.get("DB_DATABASE") == database


def into_target(work: Work, kept: Kept, database: str) -> Restored:
    """Replace a database by a backup. The folder must be one's own (manifest.alone).

    Raises RestoreError when what was restored is not what was backed up, and whatever the ways there raise; the message
    names the fresh backup that leads back.
    """
    if wrong := scratch.intact(kept):
        raise RestoreError(f"{kept.path.name} cannot be restored: {wrong[0]}.", safe="nothing was changed")
    if kept.manifest.kind != "target":
        raise RestoreError(
            f"{kept.path.name} is a copy of the source.",
            safe="nothing was changed",
            next_step="give the new file it shall become: --into PATH",
        )
    into = work.target().model_copy(update={"database": database})
    before = _before(work, into)
    back = f"dixis backup restore {before.path.name} --into {database}" if before else "run the same command again"
    with connected(into, database=None) as connection:
        execute(connection, f"DROP DATABASE IF EXISTS {identifier(database)}")
    try:
        _make_anew(into, kept)
        work.say(f"restoring {kept.path.name} into {database}")
        scratch.load(work, kept, into)
        with connected(into) as connection:
            execute(connection, f"DROP TABLE {identifier(UNDONE)}")
        work.say("comparing")
        if told := scratch.compare(work, kept.manifest, into):
            raise RestoreError(f"{database} is not what {kept.path.name} holds: {'; '.join(told[:5])}.")
    except DixisError as error:
        error.safe = f"{database} is NOT whole now" + (f"; what was there before is in {before.path}" if before else "")
        error.next_step = f"keep the shop closed; {error.next_step or 'see why'}; then: {back}"
        raise
    return Restored(database, kept, before)


def _before(work: Work, into: Target) -> Kept | None:
    """A fresh backup of what is about to be replaced; None where there is nothing."""
    with connected(into, database=None) as connection:
        tables = query(
            connection, "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (into.database,)
        )
    if not tables or UNDONE in {str(row[0]) for row in tables}:
        return None  # nothing, or the half of an earlier restore
    work.say(f"keeping a backup of {into.database} first")
    return make.target(work, into)


def _make_anew(into: Target, kept: Kept) -> None:
    """An empty database but for the mark of a restore that is not done."""
    with connected(into, database=None) as connection:
        execute(connection, scratch.create_statement(into.database, kept.manifest))
        execute(connection, f"CREATE TABLE {identifier(into.database)}.{identifier(UNDONE)} (since TIMESTAMP)")


def undone(connection: TargetConnection) -> bool:
    """True when a restore into the connection's database did not come to its end."""
    return bool(
        query(
            connection,
            "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
            (UNDONE,),
        )
    )


def into_file(work: Work, kept: Kept, path: Path) -> None:
    """Unpack a copy of the source into a new file; one that is there is never replaced."""
    if wrong := scratch.intact(kept):
        raise RestoreError(f"{kept.path.name} cannot be restored: {wrong[0]}.", safe="nothing was changed")
    if path.exists():
        raise RestoreError(
            f"{path} is there already.", safe="it was left as it is", next_step="name a file that is not there yet"
        )
    work.say(f"unpacking {kept.path.name}")
    try:
        scratch.unpack_to(kept, path)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise backup.BackupError(f"{path} could not be written: {error.strerror}.") from error

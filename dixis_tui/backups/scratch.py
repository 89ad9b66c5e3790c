"""Restores a backup into a database of its own and compares: only what was restored once is known to restore."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from dixis_tui.backups import make, streams, sums, tools
from dixis_tui.backups.manifest import SUMS, UNPACKED, Kept, Manifest, Verified, settle_folder, write
from dixis_tui.backups.work import Work
from dixis_tui.config import Target
from dixis_tui.hosts import backup
from dixis_tui.model import FAILED
from dixis_tui.source import open_readonly
from dixis_tui.target import TargetConnection, TargetError, connected, execute, identifier, literal, query, server_facts

PREFIX = "dixis_scratch_"
# The same for LIKE and GRANT, to which a bare underscore is any character.
PATTERN = r"dixis\_scratch\_%"
SHOWN = 20


class ScratchError(TargetError):
    """A database to restore into could not be made."""

    exit_code = FAILED


def leftovers(connection: TargetConnection) -> list[str]:
    """Databases that a killed verification has left: nobody holds the lock of their name."""
    names = [str(row[0]) for row in query(connection, f"SHOW DATABASES LIKE {literal(PATTERN)}")]
    return [name for name in names if query(connection, f"SELECT IS_FREE_LOCK({literal(name)})")[0][0] == 1]


@contextmanager
def database(work: Work, manifest: Manifest) -> Iterator[tuple[TargetConnection, Target]]:
    """An empty database of its own on the target's server, and the target with its name; dropped when the block ends.

    What earlier, killed verifications have left is named and dropped first.
    """
    where = work.target()
    name = PREFIX + secrets.token_hex(4)
    with connected(where, database=None) as connection:
        for left in leftovers(connection):
            work.say(f"dropping {left}, which a verification that was killed has left behind")
            execute(connection, f"DROP DATABASE {identifier(left)}")
        # The lock goes with the connection: as long as it is held, the database is in use.
        query(connection, f"SELECT GET_LOCK({literal(name)}, 0)")
        try:
            execute(connection, create_statement(name, manifest))
        except TargetError as error:
            raise ScratchError(
                f"{where.user} may not make a database to restore into: {error.what}",
                safe="the backup is as it was, and not verified",
                next_step=f"as an administrator: GRANT ALL PRIVILEGES ON `{PATTERN}`.* TO that account, and name it in"
                " [backup.account]; or give [target.admin]",
                code=error.code,
            ) from error
        try:
            yield connection, where.model_copy(update={"database": name})
        finally:
            with connected(where, database=None) as last:
                execute(last, f"DROP DATABASE IF EXISTS {identifier(name)}")


def create_statement(name: str, manifest: Manifest) -> str:
    """The statement that makes a database as the one that was backed up was."""
    text = f"CREATE DATABASE {identifier(name)}"
    if manifest.charset:
        text += f" CHARACTER SET {manifest.charset} COLLATE {manifest.collation}"
    return text


def load(work: Work, kept: Kept, into: Target) -> streams.Packed:
    """Read a backup of the target into a database. Raises ToolError, DumpError."""
    with connected(into, database=None) as connection:
        facts = server_facts(connection)
    programs = tools.find(work.config.backup, facts)
    with tools.option_file(work.directory, into, facts.flavour) as options:
        argv = tools.restore_arguments(programs.client, options, into.database)
        with closing(streams.unpack(kept.path)) as dump:
            return streams.restore(argv, dump, work.stop)


def compare(work: Work, manifest: Manifest, restored: Target) -> list[str]:
    """What a restored database does not have as the backup's manifest says, a line each."""
    with make.snapshot(restored) as connection:
        facts = server_facts(connection)
        found = sums.contents(connection, manifest.null, work.config.backup.hash_rows, work.check_stop)
        objects = sums.objects(connection)
    same_server = manifest.server == f"{facts.flavour} {facts.version_text}"
    told = sums.differences(manifest.tables, found, with_sums=manifest.sums == SUMS, with_definitions=same_server)
    for kind, names in manifest.objects.items():
        told += [f"{kind[:-1]} {name}: is not there" for name in names if name not in objects.get(kind, ())]
    return told


def intact(kept: Kept) -> list[str]:
    """What is wrong with a backup's file itself."""
    if kept.problem:
        return [kept.problem]
    if backup.file_digest(kept.path) != kept.manifest.sha256:
        return [f"{kept.path.name} is not the file its manifest describes: another SHA-256"]
    return []


def verify(work: Work, kept: Kept) -> Kept:
    """Restore a backup where nobody reads it, compare, and write the answer into its manifest.

    Raises ToolError, TargetError, ScratchError where it could not be tried.
    """
    clock = time.monotonic()
    told = intact(kept)
    if not told:
        told = _restored_source(work, kept) if kept.manifest.kind == "source" else _restored_target(work, kept)
    answer = Verified(
        at=work.now(), equal=not told, differences=tuple(told[:SHOWN]), seconds=round(time.monotonic() - clock, 3)
    )
    return write(work.directory, kept.manifest.model_copy(update={"verified": answer}))


def _restored_target(work: Work, kept: Kept) -> list[str]:
    with database(work, kept.manifest) as (_, into):
        work.say(f"restoring {kept.path.name} into {into.database}")
        try:
            packed = load(work, kept, into)
        except streams.DumpError as error:
            return [error.what]
        if packed.sha256 != kept.manifest.content_sha256:
            return ["what was unpacked is not what was dumped: another SHA-256"]
        work.say("comparing")
        return compare(work, kept.manifest, into)


def _restored_source(work: Work, kept: Kept) -> list[str]:
    with tempfile.TemporaryDirectory(prefix=UNPACKED, dir=work.directory) as folder:
        path = Path(folder) / "source.sqlite"
        try:
            unpack_to(kept, path)
        except streams.DumpError as error:
            return [error.what]
        with closing(open_readonly(path)) as connection:
            words = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(10)")]
        if words != ["ok"]:
            return words
        return sums.differences(kept.manifest.tables, make.source_tables(path), with_sums=False, with_definitions=False)


def unpack_to(kept: Kept, path: Path) -> None:
    """Unpack a backup into a new file (mode 0600), checked by its SHA-256. Raises DumpError."""
    path.touch(mode=0o600, exist_ok=False)
    with path.open("wb") as file:
        with closing(streams.unpack(kept.path)) as content:
            for block in content:
                file.write(block)
        file.flush()
    if backup.file_digest(path) != kept.manifest.content_sha256:
        path.unlink()
        raise streams.DumpError(
            f"What {kept.path.name} holds is not what was copied: another SHA-256.",
            safe="nothing was restored from it",
            next_step="use an older one: dixis backup list",
        )
    settle_folder(path.parent)

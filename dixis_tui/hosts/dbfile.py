"""Puts a file in the SQLite database's place; what was there is kept beside it, and comes back where that fails."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

from dixis_tui.context import Context
from dixis_tui.hosts import backup
from dixis_tui.hosts.host import Host
from dixis_tui.model import DixisError
from dixis_tui.source import Mark, mark, real_path, source_host

# The files of a database; the first one is moved first and put back last, so that it is there only with the others.
PARTS = ("", "-wal", "-shm", "-journal")
# Ends the name of a file that is about to take the database's place.
FRESH = ".new"


class WrittenError(DixisError):
    """The database was written while a copy of it was made that was to take its place."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} was written while a copy was made that was to take its place, each time that was tried.",
            safe="it was not replaced, so what was written is there",
            next_step="find who writes although the shop is closed: workers, scheduled tasks; dixis rollback --recover",
        )


def replace(ctx: Context, file: Path, suffix: str, then: Mark | None = None) -> list[str]:
    """Put a file in the database's place with the mode and owner it had; what was there is kept beside it.

    The file lies beside the database, whole and with its owner, before anything is moved: without room for it, say, the
    database is not touched. then: of the database that the file was made from. Raises WrittenError where that was
    written since.
    """
    host = source_host(ctx)
    path = real_path(host, ctx.config.source.path)
    fresh = f"{path}.{suffix}{FRESH}"
    facts = host.stat(path)
    # Its mode and owner are those of the file it replaces, else the owner of its folder.
    like = path if facts and not facts.is_dir else path.rpartition("/")[0]
    told = []
    try:
        host.store(file, fresh, mode=0o660)
        host.run(["chown", f"--reference={like}", "--", fresh])
        there, wanted = host.stat(fresh), host.stat(like)
        if there and wanted and (there.uid, there.gid) != (wanted.uid, wanted.gid):
            after = like if like != path else f"{path}.{suffix}"
            owned = shlex.join(["chown", f"--reference={after}", "--", path])
            told.append(f"NOT given its owner: as root on {host.name}, run: {owned}")
        if like == path:
            host.run(["chmod", f"--reference={like}", "--", fresh]).check("Setting the mode of the restored database")
        if then is not None and mark(host, path) != then:
            raise WrittenError(path)
    except DixisError:
        host.remove(fresh)
        raise
    try:
        kept = _set_aside(host, path, suffix)
        host.run(["mv", "-fT", "--", fresh, path]).check("Putting the database in its place")
    except DixisError:
        put_back(host, path, suffix)
        raise
    return [*(f"kept: {one}" for one in kept), *told]


def suffix(ctx: Context, why: str) -> str:
    """An end for the name of a file that is set aside, which no other one has."""
    host, base = source_host(ctx), f"{why}-{backup.stamp()}"
    path = real_path(host, ctx.config.source.path)
    names = (f"{base}-{number}" if number else base for number in itertools.count())
    return next(name for name in names if host.stat(f"{path}.{name}") is None)


def put_back(host: Host, path: str, suffix: str) -> None:
    """Move the files of the database that were set aside back to their place."""
    for part in reversed(PARTS):
        kept = f"{path}{part}.{suffix}"
        if host.stat(kept) is not None:
            host.run(["mv", "-fT", "--", kept, path + part]).check("Putting back a file that was set aside")
    host.remove(f"{path}.{suffix}{FRESH}")


def _set_aside(host: Host, path: str, suffix: str) -> list[str]:
    """Move the files of the database aside; their new names."""
    kept = []
    for part in PARTS:
        if host.stat(path + part) is not None:
            kept.append(f"{path}{part}.{suffix}")
            host.run(["mv", "-fT", "--", path + part, kept[-1]]).check("Setting a file aside")
    return kept

"""Makes backups: the target by its server's dump program, the source by SQLite's backup. File first, manifest last."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from dixis_tui.backups import streams, sums, tools
from dixis_tui.backups.manifest import UNPACKED, Kept, Manifest, TableRecord, look, new_name, write
from dixis_tui.backups.work import Work
from dixis_tui.config import Target
from dixis_tui.hosts import backup
from dixis_tui.schemas import catalogue
from dixis_tui.source import mark, open_readonly, take_snapshot
from dixis_tui.target import TargetConnection, connect, connected, execute, query, server_facts


@contextmanager
def snapshot(target: Target) -> Iterator[TargetConnection]:
    """A connection whose reads all see the target as it is now."""
    with connected(target) as connection:
        _begin(connection)
        yield connection


def _begin(connection: TargetConnection) -> None:
    execute(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")


def target(work: Work, where: Target | None = None) -> Kept:
    """Dump the target, or another database. The folder must be one's own (manifest.alone).

    The dump's transaction begins between two of ours: what both of these see, the dump holds. Raises ToolError,
    TargetError, DumpError, BackupError for a full disk; nothing that looks like a backup is left then.
    """
    settings, where = work.config.backup, where or work.target(making=True)
    made_at, clock = work.now(), time.monotonic()
    null = secrets.token_hex(16)
    name = new_name(work.directory, settings.name, f".sql{streams.ENDINGS[settings.compress]}", made_at)
    later: list[TargetConnection] = []

    def begun() -> None:
        later.append(connect(where))
        _begin(later[0])

    try:
        with snapshot(where) as before, backup.new_file(work.directory, name) as path:
            facts = server_facts(before)
            programs = tools.find(settings, facts)
            charset, collation = query(before, "SELECT @@character_set_database, @@collation_database")[0]
            work.say(f"dumping {where.database} with {programs.dump}")
            with tools.option_file(work.directory, where, facts.flavour) as options:
                argv = tools.dump_arguments(programs.dump, options, where.database)
                with closing(streams.dumped(argv, begun, work.stop)) as dump:
                    packed = streams.pack(dump, path, settings.compress)
            if not later:
                begun()  # a database without any table
            work.say("counting and summing what was dumped")
            counted = sums.contents(before, null, settings.hash_rows, work.check_stop)
            again = sums.contents(later[0], null, settings.hash_rows, work.check_stop)
            manifest = Manifest(
                kind="target",
                file=name,
                sha256=backup.file_digest(path),
                size=path.stat().st_size,
                content_sha256=packed.sha256,
                content_size=packed.size,
                made_at=made_at,
                seconds=round(time.monotonic() - clock, 3),
                host=f"{where.host}:{where.port}",
                of=where.database,
                server=f"{facts.flavour} {facts.version_text}",
                tool=str(programs.dump),
                charset=str(charset),
                collation=str(collation),
                null=null,
                tables=sums.settled(counted, again),
                objects=sums.objects(later[0]),
            )
    finally:
        for connection in later:
            connection.close()
    return write(work.directory, manifest)


def unchanged_source(work: Work) -> Kept | None:
    """The newest good backup of the source, where nobody has written to the source since it was made."""
    kept = look(work.directory).newest_good("source")
    if kept is None or kept.manifest.of != work.config.source.path:
        return None
    now = mark(work.source_host, work.config.source.path)
    return kept if kept.manifest.mark == now.model_dump(mode="json") else None


def source(work: Work) -> Kept:
    """Copy the source, consistently, where it lies. Raises SourceError, BackupError for a full disk."""
    settings, path_there = work.config.backup, work.config.source.path
    made_at, clock = work.now(), time.monotonic()
    name = new_name(work.directory, f"{settings.name}_source", f".sqlite{streams.ENDINGS[settings.compress]}", made_at)
    work.say(f"copying {path_there} on {work.source_host.name}")
    with tempfile.TemporaryDirectory(prefix=UNPACKED, dir=work.directory) as folder:
        taken = take_snapshot(
            work.source_host,
            path_there,
            Path(folder) / "source.sqlite",
            php=work.config.app.php,
            say=work.say,
            stop=work.stop,
        )
        with backup.new_file(work.directory, name) as path:
            packed = streams.pack(blocks(taken.path), path, settings.compress)
            manifest = Manifest(
                kind="source",
                file=name,
                sha256=backup.file_digest(path),
                size=path.stat().st_size,
                content_sha256=packed.sha256,
                content_size=packed.size,
                made_at=made_at,
                seconds=round(time.monotonic() - clock, 3),
                host=work.source_host.name,
                of=path_there,
                server="SQLite",
                tables=source_tables(taken.path),
                mark=taken.mark.model_dump(mode="json"),
            )
    return write(work.directory, manifest)


def blocks(path: Path) -> Iterator[bytes]:
    """A file in blocks."""
    with path.open("rb") as file:
        while block := file.read(streams.BLOCK):
            yield block


def source_tables(path: Path) -> dict[str, TableRecord]:
    """The rows of each table of a SQLite file."""
    with closing(open_readonly(path)) as connection:
        return {
            table.name: TableRecord(
                rows=connection.execute(f"SELECT count(*) FROM {catalogue.name(table.name)}").fetchone()[0]
            )
            for table in catalogue.read_schema(connection).tables
        }

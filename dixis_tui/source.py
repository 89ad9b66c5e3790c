"""The source: a live SQLite database, read only through snapshots and never written.

A snapshot is a consistent copy made by SQLite's own backup. A mark tells whether the live file was written since.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from dixis_tui.context import Context
from dixis_tui.hosts.host import QUICK, Host
from dixis_tui.model import DixisError, Outcome, StoppedError, failed, passed
from dixis_tui.phrase import counted

MAGIC = b"SQLite format 3\0"
WAL_HEADER = 32
WAL_FRAME_HEADER = 24
ATTEMPTS = 3
REPAIR = "repair it first (sqlite3's .recover writes what can be read into a new file)"
# Seconds to wait for a lock on the source: in the window, and when only asked.
PATIENCE, QUICK_PATIENCE = 30.0, 3.0
# The check that takes the snapshot the other checks read.
PREFLIGHT_SNAPSHOT = "preflight.data.source"
BACKUP_PAGES = 1024


class SourceError(DixisError):
    """The source cannot be read, or its copy cannot be trusted."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what, safe="the source was only read, nothing was changed", next_step=next_step)


class DamagedError(SourceError):
    """The database is proved to be missing, no SQLite database, or not whole; not merely hard to read now."""


class Mark(BaseModel):
    """What tells whether the database file was written: two equal marks mean that nothing was committed in between.

    size: bytes; header: bytes 24..27, 28..31 and 92..99 of the file, counters that a commit in rollback-journal mode
    raises; wal_size, wal_salts, wal_tail: length, salts and last frame header of the write-ahead log, hexadecimal.
    """

    model_config = ConfigDict(frozen=True)

    size: int
    header: str
    wal_size: int = 0
    wal_salts: str = ""
    wal_tail: str = ""


class Snapshot(BaseModel):
    """A consistent copy of the source on this machine. size: bytes; taken_at: ISO time, UTC; mark: of the live file."""

    model_config = ConfigDict(frozen=True)

    path: Path
    sha256: str
    size: int
    taken_at: str
    mark: Mark

    @property
    def taking(self) -> str:
        """64 hexadecimal digits that name this taking: the same bytes taken again are another one, loaded anew."""
        return hashlib.sha256(f"{self.path.name} {self.sha256}".encode()).hexdigest()


def mark(host: Host, path: str) -> Mark:
    """The mark of a live database. Raises SourceError when there is none or it is no SQLite database."""
    facts = host.stat(path)
    if facts is None or facts.is_dir:
        raise DamagedError(
            f"There is no database file {path} on {host.name}.", "check [source] path in the configuration"
        )
    header = host.read(path, 0, 100)
    if header[:16] != MAGIC:
        raise DamagedError(
            f"{path} on {host.name} is not a SQLite database.", "check [source] path in the configuration"
        )
    fields = {"size": facts.size, "header": (header[24:32] + header[92:100]).hex()}
    log = real_path(host, path) + "-wal"
    log_facts = host.stat(log)
    if log_facts is None or log_facts.size < WAL_HEADER:
        return Mark.model_validate(fields)
    start = host.read(log, 0, WAL_HEADER)
    return Mark.model_validate(
        {
            **fields,
            "wal_size": log_facts.size,
            "wal_salts": start[16:24].hex(),
            "wal_tail": _wal_tail(host, log, log_facts.size, start).hex(),
        }
    )


def real_path(host: Host, path: str) -> str:
    """Where a database really lies: SQLite keeps its write-ahead log and journal there, not beside a link to it."""
    return host.real_path(path)


def _wal_tail(host: Host, log: str, size: int, start: bytes) -> bytes:
    """The header of the last frame that belongs to the log's present salts.

    The log is written again from its beginning after a checkpoint, over frames with older salts, so the last frame in
    the file need not be the newest. Frames with the present salts come first: bisect for where they end.
    """
    page_size = struct.unpack(">I", start[8:12])[0]
    frame = WAL_FRAME_HEADER + page_size
    first, last = 0, (size - WAL_HEADER) // frame
    tail = b""
    while first < last:
        middle = (first + last) // 2
        header = host.read(log, WAL_HEADER + middle * frame, WAL_FRAME_HEADER)
        if header[8:16] == start[16:24]:
            tail, first = header, middle + 1
        else:
            last = middle
    return tail


def take_snapshot(
    host: Host,
    source_path: str,
    destination: Path,
    *,
    php: str,
    say: Callable[[str], None],
    stop: threading.Event,
    patience: float = PATIENCE,
) -> Snapshot:
    """Copy the source consistently to destination (mode 0600), checked and hashed; it appears whole or not at all.

    The mark is of the moment before the copy. Where the shop is open and writes all the time, the source's present mark
    is another one then, and the source counts as written since: the copy is consistent, and never taken for the last.
    Over SSH the host's php makes the copy. patience: seconds to wait for somebody who has locked the source. Raises
    SourceError when the source is damaged or cannot be copied,
    StoppedError when stop is set.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}")
    try:
        for left in reversed(range(ATTEMPTS)):
            if stop.is_set():
                raise StoppedError
            before = mark(host, source_path)
            temporary.unlink(missing_ok=True)
            if host.is_local:
                _copy_local(source_path, temporary, stop, patience, between=left > 0)
            else:
                _copy_remote(host, source_path, temporary, php, stop, patience)
            if mark(host, source_path) == before:
                break
            then = "trying again" if left else "going on with it"
            say(f"The source was written while its snapshot was taken; {then}.")
        _check(temporary)
        sha256 = digest(temporary, stop)
        temporary.replace(destination)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
    return Snapshot(
        path=destination,
        sha256=sha256,
        size=destination.stat().st_size,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        mark=before,
    )


def _copy_local(source_path: str, temporary: Path, stop: threading.Event, patience: float, *, between: bool) -> None:
    """between: let writers in between pages, and begin again when one came; otherwise they wait until all is read."""
    moved_at = time.monotonic()

    def between_pages(status: int, _remaining: int, _total: int) -> None:
        nonlocal moved_at
        if stop.is_set():
            raise StoppedError
        if status not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            moved_at = time.monotonic()
        elif time.monotonic() - moved_at > patience:
            raise _locked(source_path, patience)

    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{Path(source_path).resolve().as_uri()}?mode=ro", uri=True, timeout=0.5)) as live,
            closing(sqlite3.connect(temporary)) as copy,
        ):
            live.backup(copy, pages=BACKUP_PAGES if between else -1, progress=between_pages, sleep=0.05)
            # A copy that keeps no write-ahead log can be read from a read-only place.
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (CORRUPT, NOT_A_DATABASE):
            raise DamagedError(f"{source_path} is damaged: {error}.", REPAIR) from error
        raise _unreadable(source_path, str(error)) from error


# Prints nothing when all went well; the paths come on standard input, so that no shell or argument list holds them.
PHP_BACKUP = """
[$from, $to, $patience] = json_decode(stream_get_contents(STDIN));
$live = new SQLite3($from, SQLITE3_OPEN_READONLY);
$live->enableExceptions(true);
$live->busyTimeout($patience);
$copy = new SQLite3($to, SQLITE3_OPEN_READWRITE);
$copy->enableExceptions(true);
if (!$live->backup($copy)) { fwrite(STDERR, $live->lastErrorMsg()); exit(1); }
$copy->query('PRAGMA journal_mode=DELETE')->fetchArray();
$copy->close();
"""


def _copy_remote(
    host: Host, source_path: str, temporary: Path, php: str, stop: threading.Event, patience: float
) -> None:
    """Let the host's PHP make the copy into a private temporary file there, and fetch it."""
    made = host.run(["mktemp", "--tmpdir", "dixis-snapshot.XXXXXXXX"], timeout=QUICK).check(
        f"Making a temporary file on {host.name}"
    )
    remote = made.stdout.strip()
    try:
        paths = json.dumps([source_path, remote, int(patience * 1000)]).encode()
        done = host.run([php, "-d", "display_errors=stderr", "-r", PHP_BACKUP], data=paths, stop=stop, timeout=3600)
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip()
            if "locked" in words or "busy" in words:
                raise _locked(f"{source_path} on {host.name}", patience)
            raise _unreadable(f"{source_path} on {host.name}", words)
        host.fetch(remote, temporary)
        temporary.chmod(0o600)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            host.remove(remote + suffix)


def _locked(path: str, patience: float) -> SourceError:
    return SourceError(
        f"{path} is locked: somebody has kept it for {patience:g} seconds.",
        f"find who holds it (fuser -v {path}), or wait until they have ended, then try again",
    )


def _unreadable(path: str, words: str) -> SourceError:
    return SourceError(f"{path} cannot be copied: {words}.", f"run PRAGMA integrity_check on {path}")


def _check(path: Path) -> None:
    """Raise SourceError unless SQLite finds the copy whole."""
    try:
        with closing(open_readonly(path)) as connection:
            words = [row[0] for row in connection.execute("PRAGMA integrity_check(10)")]
    except sqlite3.Error as error:
        words = [str(error)]
    if words != ["ok"]:
        raise DamagedError(
            "The database is damaged: " + "; ".join(words[:3]),
            REPAIR,
        )


def digest(path: Path, stop: threading.Event) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises StoppedError when stop is set."""
    summed = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if stop.is_set():
                raise StoppedError
            summed.update(block)
        os.fsync(file.fileno())
    return summed.hexdigest()


def open_readonly(path: Path) -> sqlite3.Connection:
    """A connection to a snapshot that cannot write it."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


@contextmanager
def reading(snapshot: Snapshot) -> Iterator[sqlite3.Connection]:
    """A read-only connection to a snapshot, closed at the end. Raises SourceError when the file is gone."""
    if not snapshot.path.is_file():
        raise SourceError(f"The snapshot {snapshot.path} is not there any more.", "take a new one: run preflight again")
    with closing(open_readonly(snapshot.path)) as connection:
        yield connection


# Asks in place and copies nothing: it must work with a full disk and with a writer at work.
PHP_EXAMINE = """
[$path, $tables] = json_decode(stream_get_contents(STDIN));
$live = new SQLite3($path, SQLITE3_OPEN_READONLY);
$live->busyTimeout(30000);
$words = [];
$answer = @$live->query('PRAGMA integrity_check(10)');
while ($answer && $row = @$answer->fetchArray(SQLITE3_NUM)) { $words[] = $row[0]; }
$code = $live->lastErrorCode();
$rows = [];
foreach ($tables as $name) {
    $quoted = '"' . str_replace('"', '""', $name) . '"';
    $rows[$name] = @$live->querySingle('SELECT count(*) FROM ' . $quoted);
    if ($rows[$name] === false) { $rows[$name] = null; }
}
echo json_encode(['words' => $words, 'code' => $code, 'rows' => (object) $rows]);
"""
CORRUPT, NOT_A_DATABASE = 11, 26


def examine(host: Host, path: str, tables: Sequence[str], *, php: str) -> dict[str, int | None]:
    """Check a live database where it lies, and count the rows of tables (None for one that is not there).

    Raises DamagedError when it is proved to be damaged, SourceError when it could not be asked.
    """
    mark(host, path)  # says so when there is no file, or no SQLite database in it
    if host.is_local:
        return _examine_local(path, tables)
    done = host.run([php, "-d", "display_errors=stderr", "-r", PHP_EXAMINE], data=json.dumps([path, tables]).encode())
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        words = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise SourceError(
            f"{path} on {host.name} could not be examined: {words}.", f"see whether {php} reads it"
        ) from error
    _judge(path, [str(word) for word in answer["words"]], int(answer["code"]))
    return dict(answer["rows"])


def _examine_local(path: str, tables: Sequence[str]) -> dict[str, int | None]:
    rows: dict[str, int | None] = {}
    try:
        with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as live:
            words = [str(row[0]) for row in live.execute("PRAGMA integrity_check(10)")]
            _judge(path, words, 0)
            for table in tables:
                quoted = '"' + table.replace('"', '""') + '"'
                there = live.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
                rows[table] = int(live.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0]) if there else None
    except sqlite3.Error as error:
        _judge(path, [str(error)], getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return rows


def _judge(path: str, words: Sequence[str], code: int) -> None:
    if list(words) == ["ok"]:
        return
    said = "; ".join(words[:3]) or f"SQLite error {code}"
    # integrity_check answers with findings and no error code, or not at all because the file cannot be read as one
    if code in (CORRUPT, NOT_A_DATABASE) or (words and code in (0, 100, 101)):
        raise DamagedError(f"{path} is damaged: {said}.", "restore it from a snapshot or a backup")
    raise SourceError(f"{path} could not be examined: {said}.", "see who locks it, and whether its folder can be read")


def source_host(ctx: Context) -> Host:
    """The machine the live database is on."""
    return ctx.local if ctx.config.source.location == "local" else ctx.app_host


def snapshot_now(ctx: Context, name: str, patience: float = PATIENCE) -> Snapshot:
    """Take a snapshot of the configured source into the run's folder. patience: seconds to wait for a lock."""
    destination = ctx.run_dir / "snapshots" / name
    app = ctx.config.app
    return take_snapshot(
        source_host(ctx),
        ctx.config.source.path,
        destination,
        php=app.php,
        say=ctx.say,
        stop=ctx.stop,
        patience=patience,
    )


def latest_snapshot(ctx: Context) -> Snapshot:
    """The last one of the cutover, else the definitive one, else preflight's. Raises SourceError when there is none."""
    for step in ("cutover.snapshot", "data.snapshot", PREFLIGHT_SNAPSHOT):
        facts = ctx.fact(step, "snapshot")
        if facts is not None:
            return located(ctx, Snapshot.model_validate(facts))
    raise SourceError("No snapshot of the source has been taken yet.", "run the phase preflight first")


def located(ctx: Context, snapshot: Snapshot) -> Snapshot:
    """The snapshot at its place in the run's folder, which may have been moved since it was taken."""
    return snapshot.model_copy(update={"path": ctx.run_dir / "snapshots" / snapshot.path.name})


def sound(snapshot: Snapshot) -> bool:
    """True when the snapshot's file is there and still the one that was taken."""
    return snapshot.path.is_file() and digest(snapshot.path, threading.Event()) == snapshot.sha256


def snapshot_outcome(ctx: Context, snapshot: Snapshot) -> Outcome:
    """What there is to say about a fresh snapshot; its facts carry it under "snapshot"."""
    with reading(snapshot) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    tables = [name for name in names if not name.startswith("sqlite_")]
    return passed(
        f"{counted(len(tables), 'table')}, {snapshot.size:,} bytes, integrity ok",
        [
            f"source   {ctx.config.source.path} on {source_host(ctx).name}",
            f"snapshot {snapshot.path}",
            f"sha256   {snapshot.sha256}",
            f"taken    {snapshot.taken_at}",
            "PRAGMA integrity_check: ok",
        ],
        snapshot=snapshot.model_dump(mode="json"),
        tables=len(tables),
    )


def preflight_snapshot(ctx: Context) -> Outcome:
    """Preflight's own check: the source can be copied and is whole."""
    try:
        snapshot = snapshot_now(ctx, "preflight.sqlite", patience=QUICK_PATIENCE)
    except SourceError as error:
        return failed(error.what, [error.safe], [error.next_step])
    return snapshot_outcome(ctx, snapshot)

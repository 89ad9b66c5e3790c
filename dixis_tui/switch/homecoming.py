"""Brings home what was written to the target after the cutover: the proof's comparison, run backwards.

What differs between the cutover's snapshot and the target is what the shop did on MySQL since. It is written into a
copy of the SQLite database, the copy is checked and compared with the target, and only then takes the database's
place. Rows that were changed on both sides since are not decided here: they are kept in a file, and told.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dixis_tui.compare import normalise
from dixis_tui.compare.drilldown import WHOLE_ROWS, Sides
from dixis_tui.compare.normalise import Form
from dixis_tui.compare.proof import Comparison
from dixis_tui.compare.sides import SEGMENT_ROWS, target_snapshot
from dixis_tui.config import Target, zone_of
from dixis_tui.context import Context
from dixis_tui.copy import copyplan
from dixis_tui.copy.copying import reading_jobs
from dixis_tui.copy.segments import Compared, Unlike, Values, batches
from dixis_tui.model import DixisError, Outcome, Progress, Status
from dixis_tui.phrase import counted
from dixis_tui.schemas import catalogue, structure
from dixis_tui.schemas.rows import BINARY_KINDS, INTEGER_KINDS, MOMENT_KINDS, key_columns
from dixis_tui.source import Snapshot, digest
from dixis_tui.switch import belonging
from dixis_tui.target import TargetConnection, connected, execute, identifier, query

# SQLite has one text for both passings of an hour that comes twice, so none is marked: as in a zone without such hours.
NO_HOUR_TWICE = "UTC"
Value = int | float | str | bytes | None


@dataclass
class Brought:
    """Rows written into the copy, and those that were not because both sides had changed them.

    grown: tables and columns that only the target has by now, or has no more. astray: of the conflicts, those whose row
    belongs to one that SQLite has otherwise, or not at all. orphans: rows that refer to nothing, in words.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    grown: list[str] = field(default_factory=list)
    astray: int = 0
    orphans: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.inserted + self.updated + self.deleted

    def __str__(self) -> str:
        return f"{self.inserted} inserted, {self.updated} updated, {self.deleted} deleted"


class HomecomingError(DixisError):
    """The rows could not be brought home; the database was not touched."""

    def __init__(self, what: str) -> None:
        super().__init__(
            what,
            safe="the SQLite database was not touched, and MySQL holds every row",
            next_step="keep that MySQL database; try again with: dixis rollback --recover",
        )


def as_of(ctx: Context, snapshot: Snapshot) -> Context:
    """A context in which that snapshot is the latest one."""
    outcome = Outcome(status=Status.PASS, summary="", facts={"snapshot": snapshot.model_dump(mode="json")})
    return replace(ctx, outcomes={"cutover.snapshot": outcome})


def bring(ctx: Context, step: str, snapshot: Snapshot, live: Snapshot) -> Brought:
    """Write what the target has otherwise than the cutover's snapshot into `live`, a copy of the database as it is now.

    Raises HomecomingError when the copy cannot be written, is not whole or not equal to the target afterwards,
    DixisError when the target does not answer.
    """
    try:
        return _bring(ctx, step, snapshot, live)
    except (sqlite3.Error, OSError) as error:
        raise HomecomingError(f"The copy {live.path} cannot be made: {error}.") from error


def _bring(ctx: Context, step: str, snapshot: Snapshot, live: Snapshot) -> Brought:
    tables = _tables(as_of(ctx, snapshot))
    brought = Brought()
    # Where nobody wrote to the database since the snapshot, no row can have been changed on both sides.
    sure = live.sha256 == snapshot.sha256 or live.mark == snapshot.mark
    # All that is read of the target is of one moment, the proof too: somebody may still be writing there.
    with closing(sqlite3.connect(live.path)) as copy, target_snapshot(ctx.config.target) as view:
        copy.text_factory = bytes
        copy.execute("ATTACH ? AS before", (str(snapshot.path),))
        known = [table.job.table for table in tables]
        orphans = belonging.orphans(copy, known)
        copy.execute("BEGIN")
        triggers = _without_triggers(copy)
        brought.grown = structure.grown(ctx, view)
        with (
            reading_jobs(snapshot.path, [table.job for table in tables]) as source,
            ThreadPoolExecutor(1, thread_name_prefix="target") as thread,
        ):
            normalise.prepare(source)
            waiting = []
            for number, table in enumerate(tables, 1):
                ctx.check_stop()
                sides = Sides(source, view, thread, table, NO_HOUR_TWICE, SEGMENT_ROWS)
                waiting.append(_Table(ctx, sides, source, copy, brought, sure=sure))
                waiting[-1].compare()
                if table.job.table.autoincrement:
                    _carry_number(copy, view, table.job.table.name, table.name)
                if sure:
                    waiting.pop().write()
                ctx.progress(Progress(step, "tables compared", number, len(tables), "tables", note=str(brought)))
            if not sure:
                _write_what_belongs(copy, waiting)
        if not sure:
            for name, key, row in belonging.put_back(copy, known):
                where = ", ".join(str(_plain(value)) for value in key)
                brought.conflicts.append({"table": name, "key": where, "sqlite": _shown(row), "mysql": None})
                brought.deleted -= 1
        for sql in triggers:
            copy.execute(sql.decode())
        copy.commit()
        _check(copy)
        brought.orphans = _orphans(belonging.orphans(copy, known), orphans)
        if sure:
            _prove(ctx, live, view)
    return brought


def _write_what_belongs(copy: sqlite3.Connection, tables: Sequence[_Table]) -> None:
    """Write what was found, when all of it is known: before, nobody can say whose rows another one has taken."""
    for number, place in list(belonging.astray(copy, [table.arrivals for table in tables])):
        tables[number].leave(place)
    for table in tables:
        table.write()


def log_ahead(path: Path) -> None:
    """Let a database keep a write-ahead log, which no snapshot does."""
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA journal_mode = WAL").fetchall()


def last_written(target: Target) -> tuple[str, bool]:
    """When any table of the target was written last, by its clock, or "never"; and whether that is long enough ago for
    one more write to look otherwise."""
    with connected(target) as connection:
        if connection.flavour == "MySQL":
            execute(connection, "SET SESSION information_schema_stats_expiry = 0")
        last, settled = query(
            connection,
            "SELECT COALESCE(MAX(update_time), 'never'), COALESCE(MAX(update_time) < NOW() - INTERVAL 1 SECOND, 1)"
            " FROM information_schema.tables WHERE table_schema = DATABASE()",
        )[0]
    return str(last), bool(settled)


def _tables(ctx: Context) -> list[Compared]:
    """The tables to compare; columns whose values each side computes for itself are left out, and what would hinder a
    copy the other way is no matter here.

    Raises HomecomingError where most of them are empty or gone: after a server was set up anew, say, every row would
    count as deleted by the shop.
    """
    with connected(ctx.config.target) as connection:
        known = copyplan.jobs(ctx, connection)
        held = [job for job in known if job.total]
        some = "SELECT 1 FROM {} LIMIT 1"
        lost = [job for job in held if not (job.fields and query(connection, some.format(identifier(job.name))))]
        if len(lost) * 2 > len(held):
            raise HomecomingError(
                f"{len(lost)} of {counted(len(held), 'table')} that held rows when the shop went live hold none now:"
                f" {ctx.config.target.database} is not the database it was."
            )
        jobs = [replace(job, problems=()) for job in known if job.fields]
        tables = copyplan.compared_tables(ctx, connection, jobs)
    return [replace(t, fields=tuple(f for f in t.fields if not f.source.generated)) for t in tables]


def _carry_number(copy: sqlite3.Connection, target: TargetConnection, name: str, there: str) -> None:
    """Let SQLite give out no number that the target has given out since."""
    last = structure.next_number(target, there) - 1
    copy.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, name))
    if last and not copy.execute("SELECT changes()").fetchone()[0]:
        copy.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))


def _without_triggers(copy: sqlite3.Connection) -> list[bytes]:
    """Take the triggers away for the time of writing: they have run on the target already."""
    found = copy.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid").fetchall()
    for name, _ in found:
        copy.execute(f"DROP TRIGGER {catalogue.name(name.decode())}")
    return [sql for _, sql in found]


def _check(copy: sqlite3.Connection) -> None:
    words = [row[0].decode() for row in copy.execute("PRAGMA integrity_check(10)")]
    if words != ["ok"]:
        raise HomecomingError(f"The copy with the rows from MySQL is not whole: {'; '.join(words[:3])}.")


def _orphans(now: Sequence[belonging.Orphan], before: Sequence[belonging.Orphan]) -> list[str]:
    """Rows that came home and refer to nothing, as they do on MySQL, where nothing held them to it, either."""
    pairs = Counter((one.table, one.parent) for one in now)
    pairs.subtract((one.table, one.parent) for one in before)
    return [
        f"{table}: {counted(count, 'row', 'rows')} from MySQL with nothing in {parent} to refer to"
        for (table, parent), count in pairs.items()
        if count > 0
    ]


def _prove(ctx: Context, live: Snapshot, view: TargetConnection) -> None:
    """Compare the copy with the target, as it was when the view began."""
    home = live.model_copy(update={"sha256": digest(live.path, ctx.stop)})
    comparison = Comparison(home, ctx.config.target, lambda *_: ctx.check_stop(), time_zone=NO_HOUR_TWICE)
    for proof in comparison.run(_tables(as_of(ctx, home)), view):
        if proof.status != "equal":
            places = f"{counted(proof.differences_total, 'difference')}"
            raise HomecomingError(f"{proof.table}: the copy is not what MySQL holds: {proof.message or places}.")


class _Table:
    """One table on its way home. sure: the database was not written since the snapshot."""

    def __init__(
        self,
        ctx: Context,
        sides: Sides,
        source: sqlite3.Connection,
        copy: sqlite3.Connection,
        brought: Brought,
        *,
        sure: bool,
    ) -> None:
        self._ctx = ctx
        self._sides = sides
        self._source = source
        self._copy = copy
        self._brought = brought
        self._sure = sure
        self._table = sides.table.job.table
        self._name = f"main.{catalogue.name(self._table.name)}"
        self._columns = [catalogue.name(column.name) for column in self._table.columns if not column.generated]
        self._key = catalogue.name(sides.table.column)
        self._gone: list[str] = []
        self.arrivals = belonging.Arrivals(self._table, sides.table.column)
        self._rules = {rule.column.lower(): rule for rule in ctx.config.data.conversions}

    def compare(self) -> None:
        """Find what the target has otherwise."""
        changed, fresh = self.arrivals.changed, self.arrivals.fresh
        for unlike in self._sides.unlike(lambda _: self._ctx.check_stop()):
            if self._sides.table.keyed:
                changed.update(self._changed(unlike))
                self._gone += [f"{self._key} = {key}" for key in unlike.only_source if self._unwritten(key, None)]
                fresh.update(enumerate(self._fresh(unlike), len(fresh)))
            else:
                some_changed, some_gone, some_fresh = self._by_hash(unlike)
                changed.update(some_changed)
                self._gone += some_gone
                fresh.update(enumerate(some_fresh, len(fresh)))

    def leave(self, place: int | str) -> None:
        """Leave a row where it is, because SQLite has what it belongs to otherwise, or no more."""
        if isinstance(place, int):
            row = self.arrivals.fresh.pop(place)
            self._conflict(str(row[self._sides.table.column]), None, _shown(row))
        else:
            key = place.rpartition(" = ")[2]
            row = self.arrivals.changed.pop(place)
            self._conflict(key, _shown(self._row(self._copy, int(key))), _shown(row))
        self._brought.astray += 1

    def write(self) -> None:
        """Write the table's differences into the copy: all that goes first, so that no row meets a unique value of one
        that is about to go."""
        changed, fresh = self.arrivals.changed, [*self.arrivals.fresh.values()]
        try:
            self._write(changed, self._gone, fresh)
        except (sqlite3.IntegrityError, OverflowError) as error:
            raise HomecomingError(f"{self._sides.table.name}: SQLite refuses a row from MySQL: {error}.") from error
        self._brought.updated += len(changed)
        self._brought.deleted += len(self._gone)
        self._brought.inserted += len(fresh)

    def _write(
        self, changed: Mapping[str, Mapping[str, Value]], gone: Sequence[str], fresh: Sequence[Mapping[str, Value]]
    ) -> None:
        copy, columns = self._copy, ", ".join(self._columns)
        if changed:
            # Rows that changed are set aside in the copy itself: their other columns keep the very form they have.
            copy.execute(f"CREATE TEMP TABLE dixis_home AS SELECT {columns} FROM {self._name} WHERE 0")
            for condition, values in changed.items():
                copy.execute(f"INSERT INTO dixis_home SELECT {columns} FROM {self._name} WHERE {condition}")
                sets = ", ".join(f"{catalogue.name(name)} = ?" for name in values)
                copy.execute(f"UPDATE dixis_home SET {sets} WHERE rowid = last_insert_rowid()", list(values.values()))
                copy.execute(f"DELETE FROM {self._name} WHERE {condition}")
        for condition in gone:
            copy.execute(f"DELETE FROM {self._name} WHERE {condition}")
        if changed:
            copy.execute(f"INSERT INTO {self._name} ({columns}) SELECT {columns} FROM dixis_home")
            copy.execute("DROP TABLE temp.dixis_home")
        for row in fresh:
            names = ", ".join(catalogue.name(name) for name in row)
            marks = ", ".join("?" * len(row))
            copy.execute(f"INSERT INTO {self._name} ({names}) VALUES ({marks})", list(row.values()))

    # Tables with a key of one whole number

    def _changed(self, unlike: Unlike) -> dict[str, dict[str, Value]]:
        found = {}
        for keys in batches(unlike.changed, WHOLE_ROWS):
            mine = self._sides.source.whole_by_key(keys)
            theirs = self._sides.ask(self._sides.target.whole_by_key, keys)
            for key in keys:
                changes = self._changes(mine[key], theirs[key])
                if changes and self._unwritten(key, theirs[key]):
                    found[f"{self._key} = {key}"] = changes
        return found

    def _fresh(self, unlike: Unlike) -> Iterator[dict[str, Value]]:
        for keys in batches(unlike.only_target, WHOLE_ROWS):
            theirs = self._sides.ask(self._sides.target.whole_by_key, keys)
            yield from (self._values(theirs[key]) for key in keys if self._unwritten(key, theirs[key]))

    def _unwritten(self, key: int, theirs: Values | None) -> bool:
        """True when SQLite has the row as the snapshot has it; else it is home already, or a conflict, and is left."""
        if self._sure:
            return True
        now = self._row(self._copy, key)
        if now == self._row(self._source, key):
            return True
        wanted = None if theirs is None else self._values(theirs)
        if not _alike(now, wanted):
            self._conflict(str(key), _shown(now), _shown(wanted))
            if self._row(self._source, key) is None:
                self.arrivals.taken.add(key)
        return False

    def _row(self, connection: sqlite3.Connection, key: int) -> dict[str, Value] | None:
        chosen = ", ".join(self._columns)
        found = connection.execute(f"SELECT {chosen} FROM {self._name} WHERE {self._key} = {key}")
        names = [item[0] for item in found.description]
        row = found.fetchone()
        return None if row is None else dict(zip(names, row, strict=True))

    # Other tables

    def _by_hash(self, unlike: Unlike) -> tuple[dict[str, dict[str, Value]], list[str], list[dict[str, Value]]]:
        """Rows are told by their place in the snapshot, which holds only where the database was not written since."""
        theirs: list[Values] = []
        left = unlike.target.copy()
        for hashes in batches(sorted(unlike.target), WHOLE_ROWS):
            for digits, values in self._sides.ask(self._sides.target.whole_by_hash, unlike.span, hashes):
                if left[digits] > 0:
                    left[digits] -= 1
                    theirs.append(values)
        if not self._sure:
            for address, _ in unlike.source:
                self._conflict(address, {}, None)
            for values in theirs:
                self._conflict("", None, _shown(self._values(values)))
            return {}, [], []
        keys = ", ".join(catalogue.name(column) for column in key_columns(self._table))
        changed: dict[str, dict[str, Value]] = {}
        fresh = []
        mine = self._by_primary_key(unlike)
        gone = {address: f"({keys}) = ({address})" for address, _ in unlike.source}
        for values in theirs:
            address, before = mine.pop(self._primary_key(values), ("", ()))
            if address:
                changed[gone.pop(address)] = self._changes(before, values)
            else:
                fresh.append(self._values(values))
        return {where: changes for where, changes in changed.items() if changes}, list(gone.values()), fresh

    def _by_primary_key(self, unlike: Unlike) -> dict[Values, tuple[str, Values]]:
        """Address and values of the rows that differ in the snapshot; empty for a table without a key
        on both sides."""
        key = self._table.primary_key
        if not key or not {*key} <= {form.name for form in self._sides.forms}:
            return {}
        found = {}
        for some in batches([address for address, _ in unlike.source], WHOLE_ROWS):
            for address, values in self._sides.source.whole_by_address(some).items():
                found[self._primary_key(values)] = (address, values)
        return found

    def _primary_key(self, values: Values) -> Values:
        pairs = zip(self._sides.forms, values, strict=True)
        return tuple(value for form, value in pairs if form.name in self._table.primary_key)

    def _conflict(self, key: str, sqlite: Mapping[str, Any] | None, mysql: Mapping[str, Any] | None) -> None:
        self._brought.conflicts.append({"table": self._table.name, "key": key, "sqlite": sqlite, "mysql": mysql})

    # Values

    def _changes(self, mine: Values, theirs: Values) -> dict[str, Value]:
        """The columns that are not the same."""
        pairs = zip(self._sides.forms, mine, theirs, strict=True)
        changed = [(form, other) for form, one, other in pairs if not normalise.equal(form, one, other)]
        return {form.name: self._value(form, other) for form, other in changed}

    def _values(self, theirs: Values) -> dict[str, Value]:
        pairs = zip(self._sides.forms, theirs, strict=True)
        return {form.name: self._value(form, value) for form, value in pairs}

    def _value(self, form: Form, value: bytes | None) -> Value:
        """A value of the target as the application would have given it to SQLite."""
        kind = form.field.target.kind
        if value is None or kind in BINARY_KINDS:
            return value
        if kind in INTEGER_KINDS or kind == "year":
            return int(value)
        if kind in ("double", "float"):
            return float(value)
        text = value.decode()
        if kind == "decimal":
            whole, _, fraction = text.partition(".")
            return float(text) if fraction.strip("0") else int(whole)
        return self._moment(form, text) if kind in MOMENT_KINDS else text

    def _moment(self, form: Form, text: str) -> Value:
        short = text.rstrip("0").rstrip(".") if "." in text else text
        rule = self._rules.get(f"{self._table.name}.{form.name}".lower())
        if rule is not None and rule.rule == "epoch":
            return int(datetime.fromisoformat(short).replace(tzinfo=zone_of(rule.zone)).timestamp())
        return short


def _alike(now: Mapping[str, Value] | None, wanted: Mapping[str, Value] | None) -> bool:
    """True when SQLite has the row as the target has it."""
    if now is None or wanted is None:
        return now is None and wanted is None
    return all(now.get(name) == (value.encode() if isinstance(value, str) else value) for name, value in wanted.items())


def _shown(row: Mapping[str, Value] | None) -> dict[str, Any] | None:
    """A row as JSON; bytes that are no text in hexadecimal."""
    return None if row is None else {name: _plain(value) for name, value in row.items()}


def _plain(value: Value) -> int | float | str | None:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"x'{value.hex()}'"


def keep_conflicts(path: Path, conflicts: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that both sides have changed to a private file, one a line as JSON."""
    path.touch(mode=0o600)
    with path.open("a", encoding="utf-8") as file:
        for one in conflicts:
            file.write(json.dumps(one, ensure_ascii=False) + "\n")


def told(brought: Brought) -> Iterator[str]:
    """What was brought home, in lines for people."""
    yield f"brought home from MySQL: {brought}"
    tables: dict[str, int] = {}
    for one in brought.conflicts:
        tables[one["table"]] = tables.get(one["table"], 0) + 1
    yield from (
        f"{table}: {counted(count, 'row was', 'rows were')} changed on both sides" for table, count in tables.items()
    )
    if brought.astray:
        belong = counted(brought.astray, "row of these belongs", "rows of these belong")
        yield f"{belong} to a row that SQLite has given to somebody else since, or has no more"
    yield from (*brought.orphans, *brought.grown)

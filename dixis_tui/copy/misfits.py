"""Values that would not fit their column on the target: which rows, why, and what mends them.

The copy's own jobs are asked, with the columns that are there or will be, so that what is told here is what the copy
would refuse. Only columns whose contents leave a doubt are read again, once each.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dixis_tui.config import zone_of
from dixis_tui.copy.copying import Job, reading_jobs
from dixis_tui.schemas import catalogue, conversions, exact, proposals, rows
from dixis_tui.schemas.catalogue import Table
from dixis_tui.schemas.differences import narrower
from dixis_tui.schemas.proposals import Proposal
from dixis_tui.schemas.rows import Field
from dixis_tui.schemas.shape import ShapeColumn
from dixis_tui.source import Snapshot
from dixis_tui.translate import TargetColumn, Translation

SHOWN = 3
LONGEST = 60
# What a value is doing wrong.
NULL, UTF8, TYPE, RANGE, SCALE, LENGTH, JSON = "null", "utf8", "type", "range", "scale", "length", "json"
FORM, DATE, DAY, FRACTION, TIMESTAMP, GAP = (
    "moment-form",
    "date-validity",
    "time-of-day",
    "fraction",
    "timestamp-range",
    "dst-gap",
)
KINDS = (NULL, UTF8, TYPE, RANGE, SCALE, LENGTH, JSON, FORM, DATE, DAY, FRACTION, TIMESTAMP, GAP)
REASONS = {
    "NULL, and the column takes none": NULL,
    "the text is not valid UTF-8": UTF8,
    "no finite number": RANGE,
    "a number with a fraction": SCALE,
    "outside the range": RANGE,
    "more digits after the point": SCALE,
    "longer than": LENGTH,
    "not JSON": JSON,
    "not a year": RANGE,
}
ALIASES = {
    "integer": "int",
    "bool": "tinyint",
    "boolean": "tinyint",
    "numeric": "decimal",
    "dec": "decimal",
    "fixed": "decimal",
    "real": "double",
}
A_DAY = re.compile(r"\d{4}-\d\d-\d\d")
A_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")
FIRST_YEAR, LAST_YEAR = 1970, 2038


@dataclass(frozen=True)
class Misfit:
    """Values of one column that do wrong in the same way. type: of the column on the target; examples: key and value;
    proposal: what mends all of them."""

    kind: str
    table: str
    column: str
    type: str
    rows: int
    examples: tuple[tuple[str, str], ...]
    proposal: Proposal


def planned_columns(translation: Translation) -> dict[str, tuple[ShapeColumn, ...]]:
    """The columns of tables that are still to be made, as the server would tell them."""
    return {table.name: tuple(map(_planned, table.columns)) for table in translation.tables}


def _planned(column: TargetColumn) -> ShapeColumn:
    words = column.type.lower()
    base = words.partition("(")[0].split()[0]
    kind = ALIASES.get(base, base)
    full = kind + words[len(base) :]
    if kind == "decimal" and "(" not in full:
        full = "decimal(10,0)"
    return ShapeColumn(
        column.name, kind, full, not column.not_null, bool(column.default), column.automatic, bool(column.generated)
    )


def misfits(
    snapshot: Snapshot,
    jobs: Sequence[Job],
    zone: str,
    invalid: Mapping[tuple[str, str], int],
    check_stop: Callable[[], None],
) -> list[Misfit]:
    """What does not fit, column by column. zone: of the target's sessions; invalid: columns with texts that are not
    UTF-8, by table and column."""
    found: list[Misfit] = []
    for job in jobs:
        doubtful = [field for field in job.fields if _doubtful(field, job, zone, invalid)]
        if not doubtful:
            continue
        check_stop()
        with reading_jobs(snapshot.path, [job]) as source:
            _open(source, zone)
            for field in doubtful:
                found += _look(source, job, field, zone)
    return found


def _doubtful(field: Field, job: Job, zone: str, invalid: Mapping[tuple[str, str], int]) -> bool:
    """Whether a column's contents leave any doubt that all of them fit."""
    holds, target = field.holds, field.target
    if not holds.values:
        return bool(holds.nulls) and not target.nullable and not target.automatic
    if (job.name, field.source.name) in invalid:
        return True
    infinite = holds.reals and (holds.high >= int(sys.float_info.max) or holds.low <= -int(sys.float_info.max))
    return bool(
        field.problem()
        or narrower(target, holds)
        or exact.asks([field])
        or infinite
        or (holds.nulls and not target.nullable and not target.automatic)
        or (target.kind == "json" and holds.json < holds.values)
        or (target.kind in ("date", "time") and holds.texts > (holds.dates if target.kind == "date" else holds.times))
        or (target.kind == "decimal" and holds.reals and holds.scale > _scale(target))
        or target.kind == "timestamp"
    )


def _scale(target: ShapeColumn) -> int:
    numbers = re.findall(r"\d+", target.type.partition("(")[2])
    return int(numbers[1]) if len(numbers) > 1 else 0


def _open(source: sqlite3.Connection, zone: str) -> None:
    gaps = clock_gaps(zone)

    def wrong(held: str, value: conversions.Value, kind: str, full: str, nullable: int) -> str | None:
        return wrong_how(held, value, kind, full, bool(nullable), gaps)

    source.create_function("dixis_wrong", 5, wrong, deterministic=True)
    proposals.prepare(source)


def wrong_how(
    held: str,
    value: conversions.Value,
    kind: str,
    full: str,
    nullable: bool,
    gaps: Sequence[tuple[str, str]] = (),
) -> str | None:
    """What a value is doing wrong in a column, one of KINDS; None when it fits. Texts come as bytes."""
    reason = conversions.misfit(held, value, kind, full, int(nullable))
    if reason is None:
        if kind == "timestamp" and isinstance(value, bytes):
            text = value.decode()
            return GAP if any(first <= text < last for first, last in gaps) else None
        return None
    if kind in rows.INTEGER_KINDS and isinstance(value, float) and value.is_integer():
        return RANGE  # only a number that no integer holds is kept as a real there
    if held == "blob":
        return TYPE
    for words, wrong in REASONS.items():
        if reason.startswith(words):
            return wrong
    if kind not in rows.MOMENT_KINDS:
        return TYPE
    return _moment_wrong(value, kind) if held == "text" and isinstance(value, bytes) else TYPE


def _moment_wrong(value: bytes, kind: str) -> str:
    text = value.decode()
    if conversions.ISO.fullmatch(text) and "T" in text:
        return FORM
    shaped = A_MOMENT.fullmatch(text)
    try:
        if shaped:
            datetime.fromisoformat(text[:19])
        elif A_DAY.fullmatch(text):
            datetime.fromisoformat(text)
            return FORM
        else:
            return DATE
    except ValueError:
        return DATE
    if kind == "date":
        return DAY
    if shaped[1] and len(shaped[1]) > 1:
        fine = conversions.misfit("text", text[:19].encode(), kind, kind, 1) is None
        return FRACTION if fine else TIMESTAMP
    return TIMESTAMP if kind == "timestamp" else FORM


def clock_gaps(zone: str) -> list[tuple[str, str]]:
    """The local times that a zone's clocks have skipped in the years of a TIMESTAMP: from, until."""
    where = zone_of(zone)
    if not isinstance(where, ZoneInfo):
        return []
    gaps = []
    moment = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    before = moment.astimezone(where).utcoffset() or timedelta()
    while moment.year < LAST_YEAR:
        following = moment + timedelta(days=7)
        after = following.astimezone(where).utcoffset() or timedelta()
        if after > before:
            first = _change(moment, following, where)
            skipped = [(first + offset).replace(tzinfo=None).isoformat(" ") for offset in (before, after)]
            gaps.append((skipped[0], skipped[1]))
        moment, before = following, after
    return gaps


def _change(first: datetime, last: datetime, where: ZoneInfo) -> datetime:
    """The second between two moments at which a zone changes its offset."""
    offset = first.astimezone(where).utcoffset()
    while last - first > timedelta(seconds=1):
        middle = first + timedelta(seconds=int((last - first).total_seconds()) // 2)
        if middle.astimezone(where).utcoffset() == offset:
            first = middle
        else:
            last = middle
    return last


def _look(source: sqlite3.Connection, job: Job, field: Field, zone: str) -> Iterator[Misfit]:
    """The misfits of one column."""
    table, c = job.read, catalogue.name(field.source.name)
    wrong = _wrong(field, c)
    kinds = f"SELECT {wrong} AS w FROM {catalogue.name(table.name)}"
    counts = source.execute(f"SELECT w, count(*) FROM ({kinds}) WHERE w IS NOT NULL GROUP BY w").fetchall()
    counted = {bytes(kind).decode(): int(count) for kind, count in counts}
    if not counted:
        return
    # A time that the zone's clocks skipped is a sound moment to every conversion: it can only be moved.
    mended = counted.keys() - {GAP}
    none = Proposal(f"{job.name}.{field.source.name}")
    proposal = proposals.propose(source, job.table, job.name, table, field, zone) if mended else none
    for kind in KINDS:
        if kind in counted:
            shown = tuple(examples(source, job.table, table, c, f"{wrong} = '{kind}'"))
            mends = none if kind == GAP else proposal
            yield Misfit(kind, job.name, field.source.name, field.target.type, counted[kind], shown, mends)


def _wrong(field: Field, value: str) -> str:
    full = field.target.type.replace("'", "''")
    nullable = int(field.target.nullable or field.target.automatic)
    raw = f"CASE typeof({value}) WHEN 'text' THEN CAST({value} AS BLOB) ELSE {value} END"
    return f"dixis_wrong(typeof({value}), {raw}, '{field.target.kind}', '{full}', {nullable})"


def examples(
    source: sqlite3.Connection, table: Table, read: Table, value: str, condition: str, shown: int = SHOWN
) -> Iterator[tuple[str, str]]:
    """The first rows that meet a condition, each as its key and a value in words. read: the table, or a view of it."""
    keys = table.primary_key or ((read.rowid,) if read.rowid else ())
    columns = ", ".join([value, *(catalogue.name(key) for key in keys)])
    for row in source.execute(f"SELECT {columns} FROM {catalogue.name(read.name)} WHERE {condition} LIMIT {shown}"):
        names = [table.rowid if key == read.rowid else key for key in keys]
        yield ", ".join(f"{key} = {said(part)}" for key, part in zip(names, row[1:], strict=True)), said(row[0])


def said(value: object) -> str:
    """A value of SQLite's in words, short."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        try:
            return shorten(repr(value.decode()))
        except UnicodeDecodeError:
            return shorten(f"x'{value.hex()}'")
    return shorten(repr(value))


def shorten(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

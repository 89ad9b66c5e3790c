"""Values that would not fit their column on the target: which rows, why, and what mends them.

The copy's own jobs are asked, with the columns that are there or will be, so that what is told here is what the copy
would refuse. Only columns whose contents leave a doubt are read again, once each.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dixis_tui import catalogue, conversions, exact, rows
from dixis_tui.catalogue import Table
from dixis_tui.config import Conversion, zone_of
from dixis_tui.copying import Job, reading_jobs
from dixis_tui.differences import narrower
from dixis_tui.rows import Field
from dixis_tui.shape import ShapeColumn
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
# Charsets a text that is not UTF-8 may be in, the likeliest for a Greek shop first.
CHARSETS = ("iso-8859-7", "cp1253", "cp1252", "latin-1")
FIRST_YEAR, LAST_YEAR = 1970, 2038


@dataclass(frozen=True)
class Misfit:
    """Values of one column that do wrong in the same way. type: of the column on the target; examples: key and value;
    rules: conversions that mend all of them, in the order they apply; types: another type that the rules need."""

    kind: str
    table: str
    column: str
    type: str
    rows: int
    examples: tuple[tuple[str, str], ...]
    rules: tuple[Conversion, ...]
    types: str = ""

    def remedy(self) -> Iterator[str]:
        """Lines for the configuration."""
        name = json.dumps(f"{self.table}.{self.column}", ensure_ascii=False)
        if self.types:
            yield "[types]"
            yield f'{name} = "{self.types}"'
        for rule in self.rules:
            yield "[[data.conversions]]"
            yield f"column = {name}"
            yield f'rule = "{rule.rule}"'
            if rule.from_:
                yield f'from = "{rule.from_}"'
            if rule.rule in ("iso-datetime", "epoch"):
                yield f'zone = "{rule.zone}"'


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
    for name, arguments, function in conversions.FUNCTIONS:
        source.create_function(name, arguments, function, deterministic=True)


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
    convertible = sum(count for kind, count in counted.items() if kind != GAP)
    rules, types = _mend(source, job, field, zone, convertible) if convertible else ((), "")
    for kind in KINDS:
        if kind in counted:
            shown = tuple(examples(source, job.table, table, c, f"{wrong} = '{kind}'"))
            mends = (rules, types) if kind != GAP else ((), "")
            yield Misfit(kind, job.name, field.source.name, field.target.type, counted[kind], shown, *mends)


def _wrong(field: Field, value: str) -> str:
    full = field.target.type.replace("'", "''")
    nullable = int(field.target.nullable or field.target.automatic)
    raw = f"CASE typeof({value}) WHEN 'text' THEN CAST({value} AS BLOB) ELSE {value} END"
    return f"dixis_wrong(typeof({value}), {raw}, '{field.target.kind}', '{full}', {nullable})"


def _mend(
    source: sqlite3.Connection, job: Job, field: Field, zone: str, wrong: int
) -> tuple[tuple[Conversion, ...], str]:
    """The conversions after which nothing is wrong with a column, the gentlest first, and the type they need.

    None for a name that cannot be written in the configuration.
    """
    column = f"{job.name}.{field.source.name}"
    if column.count(".") > 1:
        return (), ""
    target, types = field.target, ""
    table = catalogue.name(job.read.name)
    c = catalogue.name(field.source.name)
    keyed = field.source.name in rows.key_columns(job.table)
    if target.kind == "datetime" and (digits := _iso_digits(source, table, c)) > _sizes(target):
        types = f"DATETIME({digits})"
        target = ShapeColumn(target.name, target.kind, types.lower(), target.nullable, False, False, False)
    aside = Conversion(column=column, rule="quarantine")
    now, left = c, wrong
    rules: list[Conversion] = []
    for rule in () if keyed else tuple(_candidates(source, table, c, target, column, zone)):
        after = conversions.expression(rule, target, now)
        misfit = conversions.expression(aside, target, after)
        still = int(source.execute(f"SELECT count({misfit}) FROM {table}").fetchone()[0])
        if still < left:
            rules.append(rule)
            now, left = after, still
    if left:
        rules.append(aside)
    iso = any(rule.rule == "iso-datetime" for rule in rules)
    return tuple(rules), types if iso else ""


def _sizes(target: ShapeColumn) -> int:
    return int((re.findall(r"\((\d+)\)", target.type) or ["0"])[0])


def _iso_digits(source: sqlite3.Connection, table: str, c: str) -> int:
    """Most digits of a second that ISO moments have, at most six."""
    most = 0
    for (text,) in source.execute(f"SELECT {c} FROM {table} WHERE typeof({c}) = 'text' AND {c} GLOB '*T*.[0-9]*'"):
        found = conversions.ISO.fullmatch(text.decode(errors="replace"))
        most = max(most, len(found[1] or "") if found else 0)
    return most


def _candidates(
    source: sqlite3.Connection, table: str, c: str, target: ShapeColumn, column: str, zone: str
) -> Iterator[Conversion]:
    if target.nullable:
        yield Conversion(column=column, rule="empty-to-null")
    if target.kind in ("datetime", "timestamp"):
        yield Conversion(column=column, rule="iso-datetime", zone=zone)
        yield Conversion(column=column, rule="epoch", zone=zone)
    if target.kind in rows.TEXT_KINDS and (charset := _charset(source, table, c)):
        yield Conversion.model_validate({"column": column, "rule": "charset", "from": charset})
    if target.kind == "decimal" or target.kind in rows.INTEGER_KINDS:
        yield Conversion(column=column, rule="round")


def _charset(source: sqlite3.Connection, table: str, c: str) -> str:
    """The first charset in which every text of a column that is not UTF-8 can be read, empty when none is needed."""
    broken = [
        text
        for (text,) in source.execute(f"SELECT CAST({c} AS BLOB) FROM {table} WHERE typeof({c}) = 'text'")
        if not _is_utf8(text)
    ]
    return next((one for one in CHARSETS if all(_reads(text, one) for text in broken)), "") if broken else ""


def _is_utf8(code: bytes) -> bool:
    return _reads(code, "utf-8")


def _reads(code: bytes, charset: str) -> bool:
    try:
        code.decode(charset)
    except UnicodeDecodeError:
        return False
    return True


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

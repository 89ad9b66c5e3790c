"""Values that a column of the target would alter without a word: the snapshot is asked for them before the first row.

Only questions that the scan of the source has not answered are asked, and those of a table in one pass.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dixis_tui.phrase import counted
from dixis_tui.schemas import catalogue, expressions, json_values
from dixis_tui.schemas.catalogue import Table
from dixis_tui.schemas.contents import is_date, is_datetime
from dixis_tui.schemas.rows import Field

# Whole numbers up to here are the same as doubles, whatever they are; a FLOAT is read back with six digits.
DOUBLE_WHOLE, FLOAT_WHOLE = 1 << 53, 10**6 - 1
UUID = "-".join("[0-9a-f]" * length for length in (8, 4, 4, 4, 12))
TIME = re.compile(rb"-?(\d\d|[1-9]\d\d):[0-5]\d:[0-5]\d(?:\.(\d{1,6}))?")
LONGEST_TIME = 838
# Characters of strange values that are shown.
SHOWN = 80


def asks(fields: Sequence[Field]) -> bool:
    """True when the snapshot must be asked about one of the columns."""
    return any(True for field in fields for _ in _questions(field))


def altered(
    source: sqlite3.Connection, table: Table, fields: Sequence[Field], kept: Path, view: str = ""
) -> dict[str, str]:
    """By column of the source, why the target's would not hold its values as they are.

    table: as it is read; view: the SQL of the view it is, where conversions are declared; kept: a file beside the
    snapshot, without its ending, by which the answers are remembered.
    """
    asked = [(field, sql, why) for field in fields for sql, why in _questions(field)]
    if not asked:
        return {}
    sql = f"SELECT {', '.join(question for _, question, _ in asked)} FROM {catalogue.name(table.name)}"
    digest = hashlib.sha256(f"{view}{sql}".encode()).hexdigest()[:16]
    path = kept.with_name(f"{kept.name}-{digest}.json")
    if path.is_file():
        answers = json.loads(path.read_text(encoding="utf-8"))
    else:
        json_values.open_in(source)
        source.create_function("dixis_time", 2, is_time, deterministic=True)
        row = source.execute(sql).fetchone()
        answers = [answer.decode() if isinstance(answer, bytes) else answer for answer in row]
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(json.dumps(answers), encoding="utf-8")
        temporary.replace(path)
    found: dict[str, str] = {}
    for (field, _, why), answer in zip(asked, answers, strict=True):
        if answer:
            said = f"{counted(answer, 'value')}: {why}" if isinstance(answer, int) else f"{answer} {why}".strip()
            found.setdefault(field.source.name, said)
    return found


def _questions(field: Field) -> Iterator[tuple[str, str]]:
    """Aggregates that count the values a column would alter (or say so in words), and what is the matter with them."""
    kind, full, holds = field.target.kind, field.target.type, field.holds
    c = catalogue.name(field.source.name)
    code = f"CAST({c} AS BLOB)"

    def count(condition: str) -> str:
        return f"count(*) FILTER (WHERE {condition})"

    size = next(iter(expressions.sizes_of(full)), 0)
    text = f"typeof({c}) = 'text'"
    if kind in ("double", "float") and holds.integers:
        most = DOUBLE_WHOLE if kind == "double" else FLOAT_WHOLE
        if holds.low < -most or holds.high > most:
            beyond = f"typeof({c}) = 'integer' AND {c} NOT BETWEEN {-most} AND {most}"
            yield count(beyond), f"more digits than a {full} tells apart; make it BIGINT or DECIMAL"
    if kind == "double" and holds.reals:
        yield from _infinite(field, count)
    if not holds.texts and not holds.blobs:
        return
    if kind == "char":
        yield count(f"substr({code}, -1) = x'20'"), f"a space at the end, which {full} drops; make it VARCHAR"
    elif kind == "binary":
        yield (
            count(f"length({code}) < {size}"),
            f"shorter than {full}, which fills them up; make it VARBINARY",
        )
    elif kind == "enum":
        values = ", ".join(f"x'{value.encode().hex()}'" for value in expressions.enum_values(full))
        strange = f"group_concat(DISTINCT quote({c})) FILTER (WHERE {text} AND {code} NOT IN ({values}))"
        yield f"substr({strange}, 1, {SHOWN})", f"is not what {full} has"
    elif kind == "uuid":
        yield count(f"{text} AND {c} NOT GLOB '{UUID}'"), "not in the form of a uuid, small and with hyphens"
    elif kind == "json":
        yield f"dixis_json({code})", ""
    elif kind == "date" and holds.dates < holds.texts and not holds.datetimes:
        yield count(f"{text} AND ({is_date(c)}) IS NOT TRUE"), "not of the form YYYY-MM-DD"
    elif kind in ("datetime", "timestamp") and holds.datetimes < holds.texts:
        fine = is_datetime(c)
        yield count(f"{text} AND ({fine}) IS NOT TRUE"), "not of the form YYYY-MM-DD HH:MM:SS"
        yield (
            count(f"{text} AND ({fine}) AND length({c}) > {20 + size if size else 19}"),
            f"fractions of a second that would be rounded in {full}",
        )
    elif kind == "time":
        yield (
            count(f"{text} AND NOT dixis_time({code}, {size})"),
            f"not of the form HH:MM:SS as {full} has it",
        )


def _infinite(field: Field, count: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    if max(abs(field.holds.low), abs(field.holds.high)) >= int(sys.float_info.max):
        c = catalogue.name(field.source.name)
        yield count(f"{c} IN (9e999, -9e999)"), "infinite, which no column holds"


def is_time(code: bytes, digits: int) -> bool:
    """True for a time as the server writes it itself, with no more digits of a second than that."""
    found = TIME.fullmatch(code)
    if not found or code == b"-00:00:00":
        return False
    return int(found[1]) <= LONGEST_TIME and len(found[2] or b"") <= digits

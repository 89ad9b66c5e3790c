"""What the columns of a SQLite database really hold: counted in one pass, whatever their types say."""

from __future__ import annotations

import json
import math
import queue
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dixis_tui.schemas import json_values
from dixis_tui.schemas.catalogue import Column, Table, name

COLUMNS_A_QUERY = 50
# Tables read at the same time.
SCANS = 2
# Texts that are decoded at once.
BATCH = 500


@dataclass(frozen=True)
class ColumnContents:
    """What a column holds. Counts of values by SQLite's types; texts' length in characters and bytes.

    low, high: range of its numbers, rounded outward to whole ones. digits, scale: of numbers that are not declared
    integers, written out, before and after the point. inexact: reals that 15 digits do not tell apart from their
    neighbours, or so large or small that they are written with an exponent. nul: texts with a NUL character.
    plain: texts known to have none of the control characters 1D, 1E and 1F, by which the copy tells values apart.
    dates, datetimes, times: texts that are valid ones in MySQL's form, asked for in columns declared as such or without
    a clear type; fraction: most digits of a second. json: texts that are valid JSON; 0 or all of them in a column of
    texts only, whose declared type is text or json; lossy: of a column declared json, those that MySQL's JSON does not
    keep. broken: texts that are not valid UTF-8.
    """

    nulls: int = 0
    integers: int = 0
    reals: int = 0
    texts: int = 0
    blobs: int = 0
    low: int = 0
    high: int = 0
    characters: int = 0
    bytes: int = 0
    nul: int = 0
    plain: int = 0
    digits: int = 0
    scale: int = 0
    inexact: int = 0
    dates: int = 0
    datetimes: int = 0
    times: int = 0
    fraction: int = 0
    json: int = 0
    lossy: int = 0
    broken: int = 0

    @property
    def values(self) -> int:
        return self.integers + self.reals + self.texts + self.blobs


@dataclass(frozen=True)
class TableContents:
    rows: int
    columns: Mapping[str, ColumnContents]


def scan(connection: sqlite3.Connection, table: Table) -> TableContents:
    """What the columns of a table hold.

    One pass asks cheaply whether each column holds what its declared type lets expect (see _Glance); only columns that
    do not are asked for everything, value by value. The connection gives texts as bytes from now on: the smallest value
    of a column of numbers may be a text, and one that is not UTF-8.
    """
    connection.text_factory = bytes
    rows = 0
    contents: dict[str, ColumnContents] = {}
    closer: list[Column] = []
    for columns in _groups(table.columns):
        glances = [_Glance(table, column) for column in columns]
        sql = ", ".join(["count(*)", *(question for glance in glances for question in glance.questions)])
        rows, *answers = connection.execute(f"SELECT {sql} FROM {name(table.name)}").fetchone()
        for glance in glances:
            count = len(glance.questions)
            found = glance.conclude(connection, rows, answers[:count])
            answers = answers[count:]
            if found is None:
                closer.append(glance.column)
            else:
                contents[glance.column.name] = found
    for columns in _groups(closer):
        contents |= look_closely(connection, table, columns)
    for column in table.columns:
        contents[column.name] = _with_values_asked(connection, table, column, contents[column.name])
    return TableContents(rows, {column.name: contents[column.name] for column in table.columns})


def _with_values_asked(
    connection: sqlite3.Connection, table: Table, column: Column, holds: ColumnContents
) -> ColumnContents:
    """The contents with what must be asked value by value outside of SQL; few columns need it."""
    if holds.plain < holds.texts:
        plain, broken = _strange(connection, table, column, holds)
        holds = replace(holds, plain=holds.plain + plain, broken=broken)
    if _declared_json(column.declared) and 0 < holds.json == holds.texts and not holds.broken:
        code = f"CAST({name(column.name)} AS BLOB)"
        values = connection.execute(f"SELECT {code} FROM {name(table.name)} WHERE {code} IS NOT NULL")
        holds = replace(holds, lossy=sum(bool(json_values.loss(value)) for (value,) in values))
    return holds


def _strange(connection: sqlite3.Connection, table: Table, column: Column, holds: ColumnContents) -> tuple[int, int]:
    """Of the texts that are not plain ASCII, how many have no separator, and how many are not valid UTF-8."""
    c = name(column.name)
    after_nul = f" OR instr(CAST({c} AS BLOB), x'00')" if holds.nul else ""
    found = connection.execute(
        f"SELECT CAST({c} AS BLOB), {c} GLOB '{_STRANGE}' FROM {name(table.name)}"
        f" WHERE typeof({c}) = 'text' AND ({c} GLOB '{_STRANGE}'{after_nul})"
    )
    plain = broken = 0
    while some := found.fetchmany(BATCH):
        # A line feed is in no other character, so that halves of two texts never make a whole one.
        joined = b"\n".join(value for value, _ in some)
        if any(mark in joined for mark in _SEPARATORS):
            plain += sum(bool(strange) and not any(mark in value for mark in _SEPARATORS) for value, strange in some)
        else:
            plain += sum(strange for _, strange in some)
        if not is_utf8(joined):
            broken += sum(not is_utf8(value) for value, _ in some)
    return plain, broken


def is_utf8(value: bytes) -> bool:
    """True for bytes that are valid UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def scan_all(
    connect: Callable[[], sqlite3.Connection], tables: Sequence[Table], check_stop: Callable[[], None]
) -> dict[str, TableContents]:
    """scan() of all tables, two at a time, each on a connection of its own (SQLite works without Python's lock).

    check_stop is called before each table and raises to end it.
    """
    waiting: queue.SimpleQueue[Table] = queue.SimpleQueue()
    for table in tables:
        waiting.put(table)
    found: dict[str, TableContents] = {}

    def work() -> None:
        with closing(connect()) as connection:
            while True:
                check_stop()
                try:
                    table = waiting.get_nowait()
                except queue.Empty:
                    return
                found[table.name] = scan(connection, table)

    with ThreadPoolExecutor(SCANS) as pool:
        for done in [pool.submit(work) for _ in range(SCANS)]:
            done.result()
    return {table.name: found[table.name] for table in tables}


def _groups(columns: Sequence[Column]) -> Iterator[Sequence[Column]]:
    for start in range(0, len(columns), COLUMNS_A_QUERY):
        yield columns[start : start + COLUMNS_A_QUERY]


def keep_contents(path: Path, contents: Mapping[str, TableContents]) -> None:
    """Write what a snapshot holds to a file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps({table: asdict(held) for table, held in contents.items()}), encoding="utf-8")
    temporary.replace(path)


def load_contents(path: Path) -> dict[str, TableContents] | None:
    """What keep_contents() wrote, None when there is no such file."""
    if not path.is_file():
        return None
    return {
        table: TableContents(
            held["rows"], {column: ColumnContents(**facts) for column, facts in held["columns"].items()}
        )
        for table, held in json.loads(path.read_text(encoding="utf-8")).items()
    }


_TYPES = ("integers", "reals", "texts", "blobs")
_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_TIME = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
# Texts with a separator, or with other signs than ASCII; SQLite looks no further than a NUL.
_STRANGE = "*[^\x01-\x1c\x20-\x7f]*"
_SEPARATORS = (b"\x1d", b"\x1e", b"\x1f")
# Doubles up to here tell apart all decimals with two places.
EXACT_CENTS = 10**13
# A modifier makes SQLite count a date out, so that 30 February does not come back as it was.
_COUNTED = "'+0 days'"


class _Glance:
    """A few cheap questions about a column, and what follows when the answers are those its declared type suggests.

    Numbers are cents first: c = k / 100.0 for a whole number k is an exact test for at most two decimals, and needs no
    text. A moment that SQLite writes back as it stands is a valid one. Everything else is for look_closely().
    """

    def __init__(self, table: Table, column: Column) -> None:
        self._table = table
        self.column = column
        c = self._c = name(column.name)
        declared = column.declared.lower()
        self._numbered = table.numbered and table.primary_key == (column.name,)
        ask_if = {
            "moment": f"datetime({c}, {_COUNTED}) = {c} AND length({c}) = 19",
            "day": f"date({c}, {_COUNTED}) = {c} AND length({c}) = 10",
            "cents": f"{c} = CAST({c} * 100.0 + ({c} > 0) - 0.5 AS INTEGER) / 100.0",
        }
        self._kind = _glance_kind(declared)
        self.questions: tuple[str, ...] = ()
        if self._numbered:
            return
        present = "count(*)" if column.not_null else f"count({c})"
        integers = f"count(*) FILTER (WHERE typeof({c}) = 'integer')"
        match self._kind:
            case "integer":
                self.questions = (present, integers, f"min({c})", f"max({c})")
            case "cents":
                fine = f"count(*) FILTER (WHERE {ask_if['cents']})"
                self.questions = (present, integers, f"min({c})", f"max({c})", fine)
            case "moment" | "day":
                self.questions = (present, f"count(*) FILTER (WHERE {ask_if[self._kind]})")
            case "text":
                octets = f"CAST({c} AS BLOB)"
                self.questions = (
                    present,
                    f"count(*) FILTER (WHERE typeof({c}) = 'text')",
                    f"max(length({c}))",
                    f"max(length({octets}))",
                    f"count(*) FILTER (WHERE instr({octets}, x'00'))",
                    f"count(*) FILTER (WHERE {c} NOT GLOB '{_STRANGE}')",
                )

    def conclude(self, connection: sqlite3.Connection, rows: int, answers: Sequence[Any]) -> ColumnContents | None:
        """The contents, None when the column must be looked at more closely."""
        if self._numbered:
            low, high = (self._one(connection, f"SELECT {end}({self._c})") or 0 for end in ("min", "max"))
            return ColumnContents(integers=rows, low=low, high=high)
        if not answers:
            return None
        present = answers[0]
        empty = ColumnContents(nulls=rows - present)
        if present == 0:
            return empty
        match self._kind:
            case "integer" if answers[1] == present:
                return replace(empty, integers=present, low=answers[2], high=answers[3])
            case "cents" if answers[4] == present and -EXACT_CENTS <= answers[2] <= answers[3] <= EXACT_CENTS:
                return self._cents(connection, empty, present, answers[1], answers[2], answers[3])
            case "moment" if answers[1] == present:
                return replace(empty, texts=present, characters=19, bytes=19, plain=present, datetimes=present)
            case "day" if answers[1] == present:
                return replace(empty, texts=present, characters=10, bytes=10, plain=present, dates=present)
            case "text" if answers[1] == present:
                return self._texts(connection, empty, present, *answers[2:])
        return None

    def _cents(
        self, connection: sqlite3.Connection, empty: ColumnContents, present: int, integers: int, low: Any, high: Any
    ) -> ColumnContents:
        digits = len(str(int(max(abs(low), abs(high)))))
        scale = 0
        if integers < present:
            tenths = f"CAST({self._c} * 10.0 + ({self._c} > 0) - 0.5 AS INTEGER) / 10.0"
            scale = 2 if self._any(connection, f"{self._c} <> {tenths}") else 0
            if not scale and self._any(connection, f"{self._c} <> CAST({self._c} AS INTEGER)"):
                scale = 1
        return replace(
            empty,
            integers=integers,
            reals=present - integers,
            low=math.floor(low),
            high=math.ceil(high),
            digits=digits,
            scale=scale,
        )

    def _texts(
        self,
        connection: sqlite3.Connection,
        empty: ColumnContents,
        present: int,
        characters: int,
        size: int,
        nul: int,
        plain: int,
    ) -> ColumnContents:
        json_texts = 0
        if _may_be_json(self.column.declared) and not self._any(
            connection, f"{self._c} IS NOT NULL AND NOT json_valid({self._c})"
        ):
            json_texts = present
        return replace(empty, texts=present, characters=characters, bytes=size, nul=nul, plain=plain, json=json_texts)

    def _any(self, connection: sqlite3.Connection, condition: str) -> bool:
        """True as soon as one row is found that meets the condition."""
        sql = f"SELECT EXISTS (SELECT 1 FROM {name(self._table.name)} WHERE {condition})"
        return bool(connection.execute(sql).fetchone()[0])

    def _one(self, connection: sqlite3.Connection, select: str) -> Any:
        return connection.execute(f"{select} FROM {name(self._table.name)}").fetchone()[0]


def _glance_kind(declared: str) -> Literal["integer", "cents", "moment", "day", "text", ""]:
    base = declared.partition("(")[0].strip()
    if base in ("datetime", "timestamp"):
        return "moment"
    if base == "date":
        return "day"
    if "int" in declared:
        return "integer"
    if any(word in declared for word in ("char", "clob", "text", "json")):
        return "text"
    if base in ("numeric", "decimal") or any(word in declared for word in ("real", "floa", "doub")):
        return "cents"
    return ""


def _declared_json(declared: str) -> bool:
    return declared.lower().partition("(")[0].strip() in ("json", "jsonb")


def _may_be_json(declared: str) -> bool:
    return any(word in declared.lower() for word in ("text", "clob", "json"))


def look_closely(connection: sqlite3.Connection, table: Table, columns: Sequence[Column]) -> dict[str, ColumnContents]:
    """What columns hold, every fact asked of every value."""
    wanted = [_questions(column) for column in columns]
    sql = ", ".join(question for questions in wanted for question in questions.values())
    rows, *row = connection.execute(f"SELECT count(*), {sql} FROM {name(table.name)}").fetchone()
    answers = iter(row)
    contents = {}
    for column, questions in zip(columns, wanted, strict=True):
        facts = {fact: next(answers) or 0 for fact in questions}
        facts["low"], facts["high"] = _whole(facts["low"], math.floor), _whole(facts["high"], math.ceil)
        contents[column.name] = ColumnContents(**{**facts, "nulls": rows - sum(facts[kind] for kind in _TYPES)})
    return contents


def is_date(c: str) -> str:
    """The condition that a text is a valid date, written as MySQL writes it."""
    return f"{c} GLOB '{_DATE}' AND date({c}, {_COUNTED}) = {c}"


def is_datetime(c: str) -> str:
    """The condition that a text is a valid date and time, written as MySQL writes them, with any fraction."""
    rest = f"substr({c}, 20)"
    fine = f"({rest} = '' OR ({rest} GLOB '.[0-9]*' AND {rest} NOT GLOB '.*[^0-9]*'))"
    whole = f"datetime(substr({c}, 1, 19), {_COUNTED}) = substr({c}, 1, 19)"
    return f"{c} GLOB '{_DATE} {_TIME}*' AND {whole} AND {fine}"


def _whole(value: float, rounded: Callable[[float], int]) -> int:
    """The value as a whole number; an infinity as one that no type holds."""
    return rounded(min(max(value, -sys.float_info.max), sys.float_info.max))


def _questions(column: Column) -> dict[str, str]:
    """One aggregate for each fact."""
    c = name(column.name)
    text = f"typeof({c}) = 'text'"
    real = f"typeof({c}) = 'real'"
    number = f"typeof({c}) IN ('integer', 'real')"
    written = f"CAST({c} AS TEXT)"
    plain = f"{real} AND instr({written}, 'e') = 0 AND CAST({written} AS REAL) = {c}"
    fraction = f"CASE WHEN {written} GLOB '*.0' THEN 0 ELSE length({written}) - instr({written}, '.') END"
    questions = {
        "integers": f"count(*) FILTER (WHERE typeof({c}) = 'integer')",
        "reals": f"count(*) FILTER (WHERE {real})",
        "texts": f"count(*) FILTER (WHERE {text})",
        "blobs": f"count(*) FILTER (WHERE typeof({c}) = 'blob')",
        "low": f"min(CASE WHEN {number} THEN {c} END)",
        "high": f"max(CASE WHEN {number} THEN {c} END)",
        "characters": f"max(CASE WHEN {text} THEN length({c}) END)",
        "bytes": f"max(CASE WHEN typeof({c}) IN ('text', 'blob') THEN length(CAST({c} AS BLOB)) END)",
        "nul": f"count(*) FILTER (WHERE {text} AND instr(CAST({c} AS BLOB), x'00'))",
        "plain": f"count(*) FILTER (WHERE {text} AND {c} NOT GLOB '{_STRANGE}')",
        "digits": f"max(CASE WHEN {plain} THEN instr(ltrim({written}, '-'), '.') - 1"
        f" WHEN typeof({c}) = 'integer' THEN length(ltrim({written}, '-')) END)",
        "scale": f"max(CASE WHEN {plain} THEN {fraction} END)",
        "inexact": f"count(*) FILTER (WHERE {real} AND NOT ({plain}))",
        "dates": f"count(*) FILTER (WHERE {text} AND {is_date(c)})",
        "datetimes": f"count(*) FILTER (WHERE {text} AND {is_datetime(c)})",
        "times": f"count(*) FILTER (WHERE {text} AND {c} GLOB '{_TIME}' AND time({c}) = {c})",
        "fraction": f"max(CASE WHEN {text} AND {c} GLOB '{_DATE} {_TIME}.*' THEN length({c}) - 20 END)",
    }
    if _may_be_json(column.declared):
        questions["json"] = f"count(*) FILTER (WHERE {text} AND json_valid({c}))"
    return questions

"""Conversions to propose for a column whose values do not fit: each is tried on the snapshot, and named with its rows.

Nothing is converted by itself: what is written here is for the operator to look at and to copy into the configuration.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from dixis_tui.config import Conversion, zone_of
from dixis_tui.schemas import catalogue, conversions, rows
from dixis_tui.schemas.catalogue import Table
from dixis_tui.schemas.contents import is_utf8
from dixis_tui.schemas.rows import Field
from dixis_tui.schemas.shape import ShapeColumn
from dixis_tui.source import open_readonly

# Charsets a text that is not UTF-8 may be in, the likeliest for a Greek shop first; the last takes any byte.
CHARSETS = ("iso-8859-7", "windows-1253", "iso-8859-1")
CLOCKS = frozenset({"datetime", "timestamp"})


@dataclass(frozen=True)
class Proposal:
    """What mends a column. rules: conversions in the order they apply, each with the rows it mends or sets aside; type:
    another type that they need, empty for the column's own."""

    column: str
    rules: tuple[tuple[Conversion, int], ...] = ()
    type: str = ""


def proposed(snapshot: Path, table: Table, field: Field, zone: str) -> Proposal:
    """propose() for a column of a snapshot whose type is settled."""
    with closing(open_readonly(snapshot)) as source:
        rows.prepare(source)
        prepare(source)
        return propose(source, table, table.name, table, field, zone, retype=False)


def prepare(source: sqlite3.Connection) -> None:
    """Make a connection ready for propose()."""
    for name, arguments, function in conversions.FUNCTIONS:
        source.create_function(name, arguments, function, deterministic=True)


def propose(
    source: sqlite3.Connection, table: Table, name: str, read: Table, field: Field, zone: str, *, retype: bool = True
) -> Proposal:
    """The conversions after which every value of a column fits, the gentlest first; the last one sets aside what no
    other mends. Empty for a name that cannot be written in the configuration.

    name: of the table in the configuration; read: the table, or a view of it; zone: the one the application runs in;
    retype: whether the column may become wider.
    """
    column = f"{name}.{field.source.name}"
    if column.count(".") > 1:
        return Proposal(column)
    place, now, target, type_ = catalogue.name(read.name), catalogue.name(field.source.name), field.target, ""
    if (
        retype
        and target.kind == "datetime"
        and (digits := _iso_digits(source, place, now)) > rows.sizes(target.type)[0]
    ):
        type_ = f"DATETIME({digits})"
        target = replace(target, type=type_.lower())
    aside = Conversion(column=column, rule="quarantine")

    def unfit(value: str) -> int:
        reason = conversions.expression(aside, target, value)
        return int(source.execute(f"SELECT count({reason}) FROM {place}").fetchone()[0])

    left = unfit(now)
    rules: list[tuple[Conversion, int]] = []
    # Rows are walked by their key; where that is wrong, they can only be set aside.
    keyed = field.source.name in rows.key_columns(table)
    for rule in () if keyed else _candidates(source, place, now, target, column, zone):
        after = conversions.expression(rule, target, now)
        still = unfit(after)
        if still < left:
            rules.append((rule, left - still))
            now, left = after, still
    if left:
        rules.append((aside, left))
    iso = any(rule.rule == "iso-datetime" for rule, _ in rules)
    return Proposal(column, tuple(rules), type_ if iso else "")


def lines(proposals: Iterable[Proposal]) -> Iterator[str]:
    """The proposals as they stand in the configuration, each rule with the rows it is about in a comment."""
    for proposal in proposals:
        name = json.dumps(proposal.column, ensure_ascii=False)
        if proposal.type:
            yield "[types]"
            yield f'{name} = "{proposal.type}"'
        for rule, count in proposal.rules:
            yield f"[[data.conversions]]               # {count} {'row' if count == 1 else 'rows'}"
            yield f"column = {name}"
            yield f'rule = "{rule.rule}"'
            if rule.rule in ("iso-datetime", "epoch"):
                yield f'zone = "{rule.zone}"                # the zone the application runs in'
            if rule.rule == "charset":
                yield f'from = "{rule.from_}"            # a guess: look at these texts first'


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
    if target.kind in CLOCKS:
        zone = zone if _is_zone(zone) else "+00:00"
        yield Conversion(column=column, rule="iso-datetime", zone=zone)
        yield Conversion(column=column, rule="epoch", zone=zone)
    if target.kind in rows.TEXT_KINDS and (charset := _charset(source, table, c)):
        yield Conversion.model_validate({"column": column, "rule": "charset", "from": charset})
    if target.kind == "decimal" or target.kind in rows.INTEGER_KINDS:
        yield Conversion(column=column, rule="round")


def _is_zone(zone: str) -> bool:
    try:
        zone_of(zone)
    except ValueError:
        return False
    return True


def _charset(source: sqlite3.Connection, table: str, c: str) -> str:
    """The first charset in which every text of a column that is not UTF-8 reads well, empty when none is needed."""
    texts = source.execute(f"SELECT CAST({c} AS BLOB) FROM {table} WHERE typeof({c}) = 'text'")
    broken = [text for (text,) in texts if not is_utf8(text)]
    if not broken:
        return ""
    return next((one for one in CHARSETS if all(_readable(text, one) for text in broken)), CHARSETS[-1])


def _readable(value: bytes, charset: str) -> bool:
    try:
        text = value.decode(charset)
    except UnicodeDecodeError:
        return False
    return not any("\x80" <= letter <= "\x9f" for letter in text)

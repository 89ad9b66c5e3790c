"""Conversions to propose for a column whose values do not fit: each is tried on the snapshot, and named with its rows.

Nothing is converted by itself: what is written here is for the operator to look at and to copy into the configuration.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dixis_tui import catalogue, conversions, rows
from dixis_tui.catalogue import Table
from dixis_tui.config import Conversion, zone_of
from dixis_tui.expressions import lower
from dixis_tui.rows import Field
from dixis_tui.source import open_readonly

# Charsets that texts of a Greek shop may be in, the strictest first; the last takes any byte.
CHARSETS = ("iso-8859-7", "windows-1253", "iso-8859-1")
# Texts looked at to choose a charset.
SAMPLE = 200
CLOCKS = frozenset({"datetime", "timestamp"})


@dataclass(frozen=True)
class Proposal:
    """A rule, and how many rows it would change or set aside."""

    conversion: Conversion
    rows: int


def propose(snapshot: Path, table: Table, field: Field, zone: str) -> list[Proposal]:
    """The rules after which every value of a column fits its target, as far as they change any row; the last one sets
    aside what no other mends. zone: the one the application runs in."""
    rules = [*_rules(snapshot, table, field, zone), _rule(table, field, "quarantine")]
    with closing(open_readonly(snapshot)) as source:
        rows.prepare(source)
        tried = conversions.converted(table, rules, {lower(field.source.name): field.target})
        tried.open(source)
        return [Proposal(rule, count) for rule, count in tried.counted(source) if count]


def lines(proposed: Iterable[Proposal]) -> list[str]:
    """The proposals as they stand in the configuration, each with a comment that says how many rows it is about."""
    found: list[str] = []
    for one in proposed:
        rule = one.conversion
        found += [
            f"[[data.conversions]]               # {one.rows} rows",
            f"column = {json.dumps(rule.column, ensure_ascii=False)}",
            f'rule = "{rule.rule}"',
        ]
        if rule.rule in ("iso-datetime", "epoch"):
            found.append(f'zone = "{rule.zone}"                # the zone the application runs in')
        if rule.rule == "charset":
            found.append(f'from = "{rule.from_}"            # a guess: look at these texts first')
    return found


def _rules(snapshot: Path, table: Table, field: Field, zone: str) -> Iterator[Conversion]:
    kind, holds = field.target.kind, field.holds
    if field.source.name in rows.key_columns(table):
        return  # rows are walked by it; they can only be set aside
    if kind in rows.MOMENT_KINDS | rows.NUMBER_KINDS and field.target.nullable:
        yield _rule(table, field, "empty-to-null")
    if kind in CLOCKS:
        yield _rule(table, field, "iso-datetime", zone)
        yield _rule(table, field, "epoch", zone)
    if kind == "decimal" and holds.reals:
        yield _rule(table, field, "round")
    if kind in rows.TEXT_KINDS and holds.broken:
        yield _rule(table, field, "charset", charset=_charset(snapshot, table, field))


def _rule(table: Table, field: Field, rule: str, zone: str = "+00:00", charset: str = "") -> Conversion:
    try:
        zone_of(zone)
    except ValueError:
        zone = "+00:00"
    values = {"column": f"{table.name}.{field.source.name}", "rule": rule, "zone": zone, "from": charset}
    return Conversion.model_validate(values)


def _charset(snapshot: Path, table: Table, field: Field) -> str:
    """The first charset in which the column's broken texts have no control characters."""
    c = catalogue.name(field.source.name)
    with closing(open_readonly(snapshot)) as source:
        found = source.execute(f"SELECT CAST({c} AS BLOB) FROM {catalogue.name(table.name)} WHERE typeof({c}) = 'text'")
        broken = []
        for (value,) in found:
            if not catalogue.is_utf8(value):
                broken.append(value)
                if len(broken) == SAMPLE:
                    break
    return next((one for one in CHARSETS if all(_readable(value, one) for value in broken)), CHARSETS[-1])


def _readable(value: bytes, charset: str) -> bool:
    try:
        text = value.decode(charset)
    except UnicodeDecodeError:
        return False
    return not any("\x80" <= letter <= "\x9f" for letter in text)

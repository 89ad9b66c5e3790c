"""Rows that belong to others, while two databases that went apart are brought together.

An order's lines must not end under somebody else's order that has got the same number.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dixis_tui.schemas import catalogue
from dixis_tui.schemas.catalogue import ForeignKey, Table
from dixis_tui.schemas.expressions import lower

Row = Mapping[str, Any]
# What a row refers to: a table, columns of it, and their values.
Link = tuple[str, tuple[str, ...], tuple[Any, ...]]


@dataclass
class Arrivals:
    """What one table gets from the other database: new rows by any number, and the new values of changed ones by their
    condition. taken: values of column, its key, under which there is another row here than the other database means."""

    table: Table
    column: str
    fresh: dict[int, Row] = field(default_factory=dict)
    changed: dict[str, Row] = field(default_factory=dict)
    taken: set[Any] = field(default_factory=set)

    def rows(self) -> Iterator[tuple[int | str, Row]]:
        yield from self.fresh.items()
        yield from self.changed.items()


def astray(copy: sqlite3.Connection, arrivals: Sequence[Arrivals]) -> Iterator[tuple[int, int | str]]:
    """Which rows refer to a row that is another one in `copy`, or not there at all, or astray itself: the number of
    the table's arrivals, and the row's place in them. Each link is looked up once, however many rows have it."""
    tables = {lower(one.table.name): one for one in arrivals}
    referring: dict[Link, list[tuple[int, int | str]]] = {}
    for number, one in enumerate(arrivals):
        keys = [known for foreign in one.table.foreign_keys if (known := _known(one.table, foreign, tables))]
        for place, row in one.rows():
            for columns, table, references in keys:
                values = tuple(row.get(column) for column in columns)
                if None not in values:  # else it refers to nothing, or what it refers to is as it was
                    referring.setdefault((table, references, values), []).append((number, place))
    named: dict[str, set[tuple[str, ...]]] = {}
    for table, references, _ in referring:
        named.setdefault(table, set()).add(references)

    def links_to(one: Arrivals, row: Row) -> Iterator[Link]:
        table = lower(one.table.name)
        for references in named.get(table, ()):
            yield table, references, tuple(row.get(column) for column in references)

    arriving = Counter(link for one in arrivals for row in one.fresh.values() for link in links_to(one, row))
    waiting = [link for link in referring if (not arriving[link] and not _there(copy, link)) or _taken(tables, link)]
    gone: set[tuple[int, int | str]] = set()
    while waiting:
        for number, place in referring[waiting.pop()]:
            if (number, place) in gone:
                continue
            gone.add((number, place))
            yield number, place
            for link in links_to(arrivals[number], arrivals[number].fresh[place]) if isinstance(place, int) else ():
                arriving[link] -= 1
                if link in referring and not arriving[link] and not _there(copy, link):
                    waiting.append(link)


def _known(
    table: Table, foreign: ForeignKey, tables: Mapping[str, Arrivals]
) -> tuple[tuple[str, ...], str, tuple[str, ...]] | None:
    """A foreign key's columns, table and columns there as these are written; None where one of them is not there."""
    other = tables.get(lower(foreign.table))
    mine = [column.name for name in foreign.columns if (column := table.column(name))]
    theirs = [column.name for name in foreign.references if other and (column := other.table.column(name))]
    whole = other is not None and len(mine) == len(theirs) == len(foreign.columns)
    return (tuple(mine), lower(foreign.table), tuple(theirs)) if whole else None


def _taken(tables: Mapping[str, Arrivals], link: Link) -> bool:
    table, references, values = link
    return references == (tables[table].column,) and values[0] in tables[table].taken


def _there(copy: sqlite3.Connection, link: Link) -> bool:
    table, references, values = link
    where = " AND ".join(f"{catalogue.name(column)} = ?" for column in references)
    return copy.execute(f"SELECT 1 FROM main.{catalogue.name(table)} WHERE {where}", values).fetchone() is not None


class Orphan(NamedTuple):
    """A row that refers to nothing. rowid: None where the table has none; key: the number of the foreign key."""

    table: str
    rowid: int | None
    parent: str
    key: int


def orphans(copy: sqlite3.Connection, tables: Sequence[Table]) -> list[Orphan]:
    """The rows of a copy that refer to nothing.

    A table with a key that SQLite cannot follow, because nothing makes what it leads to unique, is left out.
    """
    found = []
    for table in tables:
        try:
            rows = copy.execute(f"PRAGMA main.foreign_key_check({catalogue.name(table.name)})").fetchall()
        except sqlite3.OperationalError:
            continue
        found += [Orphan(child.decode(), rowid, parent.decode(), key) for child, rowid, parent, key in rows]
    return found


def put_back(copy: sqlite3.Connection, tables: Sequence[Table]) -> Iterator[tuple[str, Sequence[Any], Row]]:
    """Put rows back that others refer to, from the database attached as `before`; table, key and row of each."""
    known = {lower(table.name): table for table in tables}
    found = True
    while found:
        found = False
        for child, rowid, parent, number in orphans(copy, tables):
            table, referring = known.get(lower(parent)), known.get(lower(child))
            if table is None or referring is None or not referring.rowid or rowid is None:
                continue
            where = _referred(copy, table, referring, number)
            name, columns = catalogue.name(table.name), _columns(table)
            row = copy.execute(f"SELECT {columns} FROM before.{name} WHERE {where}", (rowid,))
            names, values = [item[0] for item in row.description], row.fetchone()
            if values is None or copy.execute(f"SELECT 1 FROM main.{name} WHERE {where}", (rowid,)).fetchone():
                continue
            lost = f"SELECT {columns} FROM before.{name} WHERE {where}"
            copy.execute(f"INSERT INTO main.{name} ({columns}) {lost}", (rowid,))
            found = True
            whole = dict(zip(names, values, strict=True))
            yield table.name, [whole[column] for column in table.primary_key], whole


def _referred(copy: sqlite3.Connection, table: Table, referring: Table, number: int) -> str:
    """The condition of the row that a row of the referring table, by its number, refers to by that foreign key."""
    sql = "SELECT [from], [to] FROM pragma_foreign_key_list(?, 'main') WHERE id = ? ORDER BY seq"
    pairs = copy.execute(sql, (referring.name, number)).fetchall()
    to = [name.decode() for _, name in pairs if name is not None] or list(table.primary_key)
    named, whose = (", ".join(map(catalogue.name, some)) for some in (to, [name.decode() for name, _ in pairs]))
    child = f"main.{catalogue.name(referring.name)}"
    return f"({named}) = (SELECT {whose} FROM {child} WHERE {child}.{catalogue.name(referring.rowid)} = ?)"


def _columns(table: Table) -> str:
    return ", ".join(catalogue.name(column.name) for column in table.columns if not column.generated)

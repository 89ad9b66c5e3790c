"""Rows that belong to others, while two databases that went apart are brought together.

An order's lines must not end under somebody else's order that has got the same number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dixis_tui import catalogue
from dixis_tui.catalogue import ForeignKey, Table
from dixis_tui.expressions import lower

T = TypeVar("T")
Row = Mapping[str, Any]


def parents_first(items: Sequence[T], table_of: Callable[[T], Table]) -> list[T]:
    """Tables in an order in which one that others refer to stands before them, as far as there is one."""
    waiting = {lower(table_of(item).name): item for item in items}
    ordered: list[T] = []
    while waiting:
        free = [
            name
            for name, item in waiting.items()
            if not {lower(key.table) for key in table_of(item).foreign_keys} & (waiting.keys() - {name})
        ]
        ordered += [waiting.pop(name) for name in free or [next(iter(waiting))]]
    return ordered


@dataclass
class Others:
    """What the rows of one table must know of the others, which lie in `copy`.

    done: tables whose rows are there by now; taken: of each, the keys under which there is another row than the one
    that the other database means.
    """

    copy: sqlite3.Connection
    done: set[str] = field(default_factory=set)
    taken: dict[str, set[object]] = field(default_factory=dict)

    def astray(self, table: Table, row: Row, beside: Sequence[Row]) -> bool:
        """Whether a row of the other database refers to a row that is another one here, or not here at all.

        row: the columns that are new; beside: new rows of the same table.
        """
        values = {lower(name): value for name, value in row.items()}
        for foreign in table.foreign_keys:
            wanted = [values.get(lower(column)) for column in foreign.columns]
            parent, own = lower(foreign.table), lower(foreign.table) == lower(table.name)
            if None in wanted:
                continue  # it refers to nothing, or what it refers to is as it was
            if len(wanted) == 1 and wanted[0] in self.taken.get(parent, ()):
                return True
            if own and any([one.get(name) for name in foreign.references] == wanted for one in beside):
                continue
            if (own or parent in self.done) and not self._there(foreign, wanted):
                return True
        return False

    def _there(self, foreign: ForeignKey, wanted: Sequence[object]) -> bool:
        where = " AND ".join(f"{catalogue.name(column)} = ?" for column in foreign.references)
        sql = f"SELECT 1 FROM main.{catalogue.name(foreign.table)} WHERE {where}"
        return self.copy.execute(sql, list(wanted)).fetchone() is not None


def put_back(copy: sqlite3.Connection, tables: Sequence[Table]) -> Iterator[tuple[str, Sequence[Any], Row]]:
    """Put rows back that others refer to, from the database attached as `before`; table, key and row of each."""
    known = {lower(table.name): table for table in tables}
    found = True
    while found:
        found = False
        for child, rowid, parent, number in copy.execute("PRAGMA main.foreign_key_check").fetchall():
            table, referring = known.get(lower(parent.decode())), known.get(lower(child.decode()))
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

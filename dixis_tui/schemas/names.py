"""What tables and columns are called on the target: as in the source, but for names that the server does not take, or
takes for one that is there already."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from dixis_tui.model import DixisError
from dixis_tui.schemas import expressions
from dixis_tui.schemas.catalogue import Index, SourceSchema, Table
from dixis_tui.schemas.expressions import lower

NAME_LIMIT = 64


@dataclass(frozen=True)
class Names:
    """The mapping from the source's names to the target's; by names as SQLite compares them, only those that change."""

    tables: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def table(self, table: str) -> str:
        """The name of a table on the target."""
        return self.tables.get(lower(table), table)

    def column(self, table: str, column: str) -> str:
        """The name of a column on the target; table: its name in the source."""
        return self.columns.get((lower(table), lower(column)), column)

    def source_column(self, table: Table, column: str) -> str:
        """The source's name of a column of the target, whatever its case; empty when the source has none like it."""
        mine = (one.name for one in table.columns if self.column(table.name, one.name).lower() == column.lower())
        return next(mine, "")

    def renamed(self, table: Table) -> Table:
        """A table as it is called on the target, with its columns, keys and the expressions that read them."""

        def own(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(self.column(table.name, name) for name in names)

        changes = {c.name: now for c in table.columns if (now := self.column(table.name, c.name)) != c.name}
        known = [column.name for column in table.columns]

        def read(sql: str) -> str:
            return expressions.renamed(sql, known, changes) if changes and sql else sql

        return replace(
            table,
            name=self.table(table.name),
            columns=tuple(
                replace(c, name=now, generated=read(c.generated))
                for c, now in zip(table.columns, own(known), strict=True)
            ),
            primary_key=own(table.primary_key),
            indexes=tuple(_renamed_index(index, own, read) for index in table.indexes),
            foreign_keys=tuple(
                replace(
                    key,
                    columns=own(key.columns),
                    table=self.table(key.table),
                    references=tuple(self.column(key.table, name) for name in key.references),
                )
                for key in table.foreign_keys
            ),
            checks=tuple(read(check) for check in table.checks),
        )


def _renamed_index(index: Index, own: Callable[[Iterable[str]], tuple[str, ...]], read: Callable[[str], str]) -> Index:
    parts = (replace(p, column=own([p.column])[0], expression=read(p.expression)) for p in index.parts)
    return replace(index, parts=tuple(parts), where=read(index.where))


def target_names(schema: SourceSchema, chosen: Mapping[str, str], *, one_case: bool) -> Names:
    """The names on the target, always the same for the same source. chosen: those of [names], by `table` or
    `table.column`; one_case: the server does not tell upper from lower case in names of tables.

    Raises DixisError when a chosen name is for nothing that is there, is one the server does not take, or is given
    twice.
    """
    by_table, by_column = _chosen(schema, chosen)
    listed = [table.name for table in schema.tables]
    tables = dict(_free_names(listed, by_table, str.lower if one_case else str, schema.views))
    columns = {
        (lower(table.name), column): name
        for table in schema.tables
        for column, name in _free_names([c.name for c in table.columns], by_column.get(lower(table.name), {}), folded)
    }
    return Names(tables, columns)


def _chosen(schema: SourceSchema, chosen: Mapping[str, str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """[names] by table, and by table and column."""
    tables: dict[str, str] = {}
    columns: dict[str, dict[str, str]] = {}
    for key, name in chosen.items():
        whole = next((table for table in schema.tables if lower(table.name) == lower(key)), None)
        parent, _, column = key.rpartition(".")
        owner = next((table for table in schema.tables if lower(table.name) == lower(parent)), None)
        why = name_obstacle(name)
        if whole is not None:
            given = tables
            given[lower(whole.name)] = name
        elif owner is not None and owner.column(column) is not None:
            given = columns.setdefault(lower(owner.name), {})
            given[lower(column)] = name
        else:
            given = {}
            why = "is given to what the source does not have"
        if len({folded(one) for one in given.values()}) < len(given):
            why = "is given twice"
        if why:
            raise DixisError(
                f"[names] {key}: {name!r} {why}.",
                safe="nothing was created",
                next_step='mend [names] in the configuration: "table" or "table.column" = "its name on the target"',
            )
    return tables, columns


def _free_names(
    names: Iterable[str], chosen: Mapping[str, str], same: Callable[[str], str], others: Iterable[str] = ()
) -> Iterator[tuple[str, str]]:
    """Those of the names that change, each with its new one. same: what two names have in common that the server takes
    for one; others: names that are taken, too."""
    taken = {same(name) for name in [*chosen.values(), *others]}
    waiting = []
    for name in names:
        if lower(name) in chosen:
            yield lower(name), chosen[lower(name)]
        elif name_obstacle(name) or same(name) in taken:
            waiting.append(name)
        else:
            taken.add(same(name))
    for name in waiting:
        yield lower(name), free(name, taken, same)


def name_obstacle(name: str) -> str:
    """Why the target takes no such name, empty when it does."""
    if len(name) > NAME_LIMIT:
        return f"has a name of more than {NAME_LIMIT} characters"
    if name != name.rstrip(" ") or not name:
        return "has a name that ends in a space, which the server refuses"
    if any(ord(letter) > 0xFFFF or letter == "\0" for letter in name):
        return "has a name with a character that the server takes in no name"
    return ""


def folded(name: str) -> str:
    """A name as the server compares names of columns and keys: without case and accents."""
    plain = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    return plain.replace("ß", "s").casefold()


def shorten(name: str) -> str:
    """A name of at most 64 characters, still unlike others that begin alike."""
    if len(name) <= NAME_LIMIT:
        return name
    return name[: NAME_LIMIT - 9].rstrip(" ") + "_" + hashlib.sha256(name.encode()).hexdigest()[:8]


def free(name: str, used: set[str], same: Callable[[str], str] = folded) -> str:
    """The name, made one the server takes and numbered as needed to be unlike all used ones, which it joins."""
    fine = "".join("_" if ord(letter) > 0xFFFF or letter == "\0" else letter for letter in name)
    short = shorten(fine.rstrip(" ") or "_")
    own, number = short, 2
    while same(own) in used:
        own, number = f"{short[: NAME_LIMIT - 4]}_{number}", number + 1
    used.add(same(own))
    return own

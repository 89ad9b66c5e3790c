"""The source's schema beside one that the application's migrations have built on the target."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dixis_tui.config import Target
from dixis_tui.phrase import counted
from dixis_tui.schemas import catalogue, exact, expressions, shape
from dixis_tui.schemas.catalogue import Index, IndexPart, SourceSchema, Table
from dixis_tui.schemas.collisions import merged_keys
from dixis_tui.schemas.contents import ColumnContents, TableContents
from dixis_tui.schemas.names import Names
from dixis_tui.schemas.rows import BINARY_KINDS, INTEGER_KINDS, Field
from dixis_tui.schemas.shape import ShapeColumn, ShapeIndex
from dixis_tui.target import TargetConnection, query

# Tables that artisan keeps for itself; the rows it wrote on the target are the right ones.
ARTISANS = frozenset({"migrations"})
CHANGE = "change the column by a migration, or mend these rows"
BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
TEXT_BYTES = {"tinytext": 0xFF, "text": 0xFFFF, "mediumtext": 0xFFFFFF, "longtext": 0xFFFFFFFF}
BLOB_BYTES = {"tinyblob": 0xFF, "blob": 0xFFFF, "mediumblob": 0xFFFFFF, "longblob": 0xFFFFFFFF}


@dataclass(frozen=True)
class Difference:
    """blocks: rows would not arrive as they are; remedy: what mends it; field: the column whose values do not fit."""

    table: str
    what: str
    remedy: str = ""
    blocks: bool = False
    field: Field | None = None

    def line(self) -> str:
        return f"{'error' if self.blocks else 'warning'}: {self.table}: {self.what}"


def compare(
    source: sqlite3.Connection,
    target: TargetConnection,
    settings: Target,
    schema: SourceSchema,
    contents: Mapping[str, TableContents],
    names: Names,
    kept: Path,
    check_stop: Callable[[], None],
) -> list[Difference]:
    """Everything in which the two schemas differ and that matters to rows, keys or foreign keys. names: what is called
    otherwise on the target; kept: where answers of the snapshot are remembered, see exact.altered()."""
    there = shape.all_columns(target)
    indexes = shape.all_indexes(target)
    by_name = {name.lower(): name for name in there}
    found: list[Difference] = []
    for table in schema.tables:
        check_stop()
        own = names.table(table.name)
        name = own if own in there else by_name.get(own.lower())
        rows = contents[table.name].rows
        if table.name in ARTISANS:
            continue
        if name is None:
            what = f"is not there; the source has {counted(rows, 'row')} of it"
            remedy = f"add a migration that creates {own}, or say under [names] what it is called"
            found.append(Difference(table.name, what, remedy, blocks=rows > 0))
            continue
        found += _columns(source, table, contents[table.name], there[name], names, kept)
        found += _keys(source, table, names, indexes.get(name, ()))
        found += _foreign_keys(names.renamed(table), shape.definition(target, name).foreign_keys)
    found += _merged(source, target, settings, schema, contents, indexes, names, check_stop)
    return found


def extra_tables(target: TargetConnection, schema: SourceSchema, names: Names) -> list[str]:
    """Tables that only the target has, our own left out."""
    mine = {names.table(table.name).lower() for table in schema.tables}
    return [name for name in shape.table_names(target) if name.lower() not in mine and not name.startswith("_dixis_")]


def _columns(
    source: sqlite3.Connection,
    table: Table,
    contents: TableContents,
    columns: Sequence[ShapeColumn],
    names: Names,
    kept: Path,
) -> Iterator[Difference]:
    there = {column.name.lower(): column for column in columns}
    both = [
        Field(column, contents.columns[column.name], mine)
        for column in table.columns
        if (mine := there.get(names.column(table.name, column.name).lower())) and not mine.generated
    ]
    altered = exact.altered(source, table, both, kept)
    for column in table.columns:
        own = names.column(table.name, column.name)
        mine = there.pop(own.lower(), None)
        holds = contents.columns[column.name]
        if mine is None:
            what = f"{column.name} is not there; the source has {counted(holds.values, 'value')} in it"
            yield Difference(table.name, what, f"add {names.table(table.name)}.{own} by a migration", holds.values > 0)
        elif not mine.generated:
            field = Field(column, holds, mine)
            if problem := _problem(field, altered):
                yield Difference(table.name, f"{column.name}: {problem}", CHANGE, blocks=True, field=field)
            if holds.nulls and not mine.nullable and not mine.automatic:
                what = f"{column.name} is NOT NULL and the source has {counted(holds.nulls, 'row')} without a value"
                yield Difference(table.name, what, "make it nullable by a migration, or fill it", blocks=True)
    for extra in there.values():
        if extra.nullable or extra.default or extra.automatic or extra.generated:
            yield Difference(table.name, f"{extra.name} is only on the target; its default fills it")
        else:
            what = f"{extra.name} is only on the target, NOT NULL and without a default"
            yield Difference(table.name, what, "give it a default by a migration", blocks=contents.rows > 0)


def _problem(field: Field, altered: Mapping[str, str]) -> str:
    return field.problem() or altered.get(field.source.name, "") or narrower(field.target, field.holds)


def narrower(column: ShapeColumn, holds: ColumnContents) -> str:
    """Why values would not fit into a column of the target, empty when they do."""
    sizes = expressions.sizes_of(column.type)
    size = sizes[0] if sizes else 0
    if column.kind in INTEGER_KINDS and holds.integers:
        bits = BITS[column.kind]
        unsigned = "unsigned" in column.type
        low, high = (0, (1 << bits) - 1) if unsigned else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        if not low <= holds.low <= holds.high <= high:
            return f"values from {holds.low} to {holds.high} do not fit into {column.type}"
    if column.kind == "decimal" and len(sizes) == 2:
        whole = max(holds.digits, len(str(max(abs(holds.low), abs(holds.high)))) if holds.integers else 0)
        if holds.inexact:
            what = counted(holds.inexact, "value is no decimal", "values are no decimals")
            return f"{what} of 15 digits and would be rounded in {column.type}"
        if holds.scale > sizes[1]:
            return f"values with {holds.scale} decimals would be rounded in {column.type}"
        if whole > max(1, sizes[0] - sizes[1]):
            return f"values of {whole} digits before the point do not fit into {column.type}"
    if column.kind in ("char", "varchar") and holds.characters > size:
        return f"texts of up to {holds.characters} characters do not fit into {column.type}"
    if column.kind in ("binary", "varbinary") and holds.bytes > size:
        return f"values of up to {holds.bytes} bytes do not fit into {column.type}"
    limit = TEXT_BYTES.get(column.kind) or BLOB_BYTES.get(column.kind)
    if limit is not None and holds.bytes > limit:
        return f"values of up to {holds.bytes} bytes do not fit into {column.type}"
    if holds.blobs and column.kind not in BINARY_KINDS:
        return f"{holds.blobs} blobs do not fit into {column.type}"
    return ""


def _plain(index: Index) -> tuple[str, ...]:
    """An index's columns in lower case, with "" for an expression; a partial one equals no other."""
    return ("",) if index.where else tuple(column.lower() for column in index.columns)


def _keys(
    source: sqlite3.Connection, there: Table, names: Names, indexes: Sequence[ShapeIndex]
) -> Iterator[Difference]:
    """there: the table of the source."""
    table = names.renamed(there)
    primary = next((tuple(c.lower() for c in i.columns) for i in indexes if i.name == "PRIMARY"), ())
    wanted_primary = tuple(column.lower() for column in table.primary_key)
    if primary != wanted_primary:
        what = f"primary key ({', '.join(primary)}) where the source has ({', '.join(wanted_primary)})"
        yield Difference(table.name, what)
    unique = {tuple(column.lower() for column in i.columns): i.name for i in indexes if i.unique}
    plain = [tuple(column.lower() for column in i.columns) for i in indexes]
    for index in table.indexes:
        have = _plain(index)
        if "" in have:
            if index.name.lower() not in {other.name.lower() for other in indexes}:
                yield Difference(table.name, f"index {index.name}, on an expression or some rows only, is not there")
        elif index.unique and have not in unique:
            yield Difference(table.name, f"unique index {index.name} ({', '.join(index.columns)}) is not there")
        elif not index.unique and not any(other[: len(have)] == have for other in plain):
            yield Difference(table.name, f"index {index.name} ({', '.join(index.columns)}) is not there")
    mine = {_plain(index) for index in table.indexes if index.unique} | {wanted_primary}
    for key, name in unique.items():
        columns = [names.source_column(there, column) for column in key]
        if key in mine or not all(columns):
            continue
        doubles = _doubles(source, there, columns)
        what = f"unique index {name} ({', '.join(key)}) is only on the target"
        if doubles:
            what += f", and the source has {doubles} groups of rows that share such a key"
        yield Difference(table.name, what, "drop it by a migration, or mend these rows", blocks=doubles > 0)


def _doubles(source: sqlite3.Connection, table: Table, key: Sequence[str]) -> int:
    columns = [catalogue.name(column) for column in key]
    there = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    grouped = (
        f"SELECT 1 FROM {catalogue.name(table.name)} WHERE {there} GROUP BY {', '.join(columns)} HAVING count(*) > 1"
    )
    return int(source.execute(f"SELECT count(*) FROM ({grouped})").fetchone()[0])


def _foreign_keys(table: Table, definitions: Mapping[str, str]) -> Iterator[Difference]:
    there = {}
    for name, line in definitions.items():
        columns, parent, references = shape.foreign_key(line)
        there[tuple(c.lower() for c in columns), parent.lower(), tuple(c.lower() for c in references)] = name
    for key in table.foreign_keys:
        wanted = (
            tuple(column.lower() for column in key.columns),
            key.table.lower(),
            tuple(column.lower() for column in key.references),
        )
        if there.pop(wanted, None) is None:
            yield Difference(table.name, f"foreign key ({', '.join(key.columns)}) to {key.table} is not there")
    for mine, theirs, _ in there:
        what = f"foreign key ({', '.join(mine)}) to {theirs} is only on the target, orphans are found after the load"
        yield Difference(table.name, what)


def _merged(
    source: sqlite3.Connection,
    target: TargetConnection,
    settings: Target,
    schema: SourceSchema,
    contents: Mapping[str, TableContents],
    indexes: Mapping[str, Sequence[ShapeIndex]],
    names: Names,
    check_stop: Callable[[], None],
) -> Iterator[Difference]:
    """The target's own unique keys, asked with its columns' own collations."""
    theirs = {
        (str(table).lower(), str(column).lower()): str(collation)
        for table, column, collation in query(
            target,
            "SELECT table_name, column_name, collation_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND collation_name IS NOT NULL",
        )
    }
    collations: dict[tuple[str, str], str] = {}
    tables = []
    for table in schema.tables:
        if table.name in ARTISANS:
            continue
        own = names.table(table.name)
        mine = {column.name: names.column(table.name, column.name).lower() for column in table.columns}
        for column, name in mine.items():
            if collation := theirs.get((own.lower(), name)):
                collations[table.name.lower(), column.lower()] = collation
        unique = tuple(
            Index(index.name, True, tuple(IndexPart(names.source_column(table, column)) for column in index.columns))
            for index in shape.named(indexes, own) or ()
            if index.unique and all(names.source_column(table, column) for column in index.columns)
        )
        tables.append(replace(table, primary_key=(), indexes=unique))
    asked = replace(schema, tables=tuple(tables))
    for one in merged_keys(source, target, settings, asked, contents, check_stop, collations):
        what = (
            f"unique key {one.index}: {one.groups} groups of rows are equal to its collation: {'; '.join(one.examples)}"
        )
        remedy = f"give {', '.join(one.columns)} a collation that ends in _bin by a migration, or mend these rows"
        yield Difference(one.table, what, remedy, blocks=True)

"""Everything of the target's tables but their rows: is it as it was built, and do numbers go on where they should?

What the Schema phase built is written in the journal, as the server itself tells it; what is there now is held against
that, and the marks of AUTO_INCREMENT and the rows of views against the snapshot.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from dixis_tui.context import Context
from dixis_tui.phrase import counted
from dixis_tui.record.journal import DROPPED, RESTORED
from dixis_tui.schemas import catalogue, shape
from dixis_tui.schemas.catalogue import SourceSchema, Table
from dixis_tui.schemas.names import Names, target_names
from dixis_tui.target import TargetConnection, TargetError, identifier, query, server_facts

# The tables and views the Schema phase has built, with their definitions.
BUILT = "schema-built"
# Tables of our own on the target begin like this; they are never taken for the shop's.
OWN = "_dixis_"


class Unbuilt(BaseModel):
    """Something of a table that is not as it should be. object: a column, key, or the like; wanted, found: its
    definition, empty where there is none."""

    model_config = ConfigDict(frozen=True)

    table: str
    object: str
    wanted: str
    found: str

    def line(self) -> str:
        return f"{self.table}, {self.object}: {self.found or 'is not there'}, wanted {self.wanted}"


def record(ctx: Context, connection: TargetConnection, tables: Iterable[str], views: Iterable[str] = ()) -> None:
    """Write into the journal how these tables are built now."""
    built = {name: _facts(shape.definition(connection, name)) for name in tables}
    ctx.record(BUILT, {"database": ctx.config.target.database, "tables": built, "views": sorted(views)})


def renew(ctx: Context, connection: TargetConnection) -> None:
    """Write down anew what is recorded, behind a new index: the server then drops a lesser one of a foreign key.

    Not while indexes are out for a load: what is there then is not how the tables were built.
    """
    if any(event["round"] == len(ctx.recorded(RESTORED)) for event in ctx.recorded(DROPPED)):
        return
    built = [event for event in ctx.recorded(BUILT) if event["database"] == ctx.config.target.database]
    if built:
        record(ctx, connection, built[-1]["tables"], built[-1]["views"])


def compare(ctx: Context, source: sqlite3.Connection, target: TargetConnection) -> list[Unbuilt] | None:
    """What is not as it was built; None when the journal does not say how that was."""
    built = [event for event in ctx.recorded(BUILT) if event["database"] == ctx.config.target.database]
    if not built:
        return None
    there = set(shape.table_names(target))
    found: list[Unbuilt] = []
    for name, wanted in built[-1]["tables"].items():
        ctx.check_stop()
        if name in there:
            found += _differing(name, wanted, _facts(shape.definition(target, name)))
        else:
            found.append(Unbuilt(table=name, object="table", wanted="the table", found=""))
    schema = catalogue.read_schema(source)
    names = target_names(schema, ctx.config.names, one_case=server_facts(target).one_case)
    found += _marks(source, target, schema, names, there)
    found += _views(source, target, built[-1]["views"])
    return found


def grown(ctx: Context, target: TargetConnection) -> list[str]:
    """Tables and columns that were made or taken away since the Schema phase, in words; empty where it is not known."""
    built = [event for event in ctx.recorded(BUILT) if event["database"] == ctx.config.target.database]
    if not built:
        return []
    before: Mapping[str, Mapping[str, Any]] = built[-1]["tables"]
    there = {name for name in shape.table_names(target) if not name.startswith(OWN)}
    told = []
    for name in sorted(there - before.keys()):
        rows = int(query(target, f"SELECT COUNT(*) FROM {identifier(name)}")[0][0])
        told.append(f"table {name} was made on MySQL since; its {counted(rows, 'row stays', 'rows stay')} there")
    told += [f"table {name} is gone from MySQL since; SQLite keeps the rows it had" for name in before.keys() - there]
    columns = {table: {column.name for column in found} for table, found in shape.all_columns(target).items()}
    for name in sorted(before.keys() & there):
        ours = before[name]["columns"].keys()
        told += [f"column {name}.{c} was made on MySQL since; its values stay there" for c in columns[name] - ours]
        told += [f"column {name}.{c} is gone from MySQL since; SQLite keeps its values" for c in ours - columns[name]]
    return told


def _facts(definition: shape.Definition) -> dict[str, Any]:
    """A definition as JSON: everything by its name."""
    return {
        "columns": {line.split("`")[1]: line for line in definition.columns},
        "primary key": {"": definition.primary_key},
        "keys": dict(definition.keys),
        "foreign keys": dict(definition.foreign_keys),
        "checks": {text: text for text in sorted(definition.checks)},
        "character set": {"": definition.charset},
    }


def _differing(table: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Unbuilt]:
    """Indexes, columns and checks that were added since are no difference."""
    for kind, things in wanted.items():
        for name, definition in things.items():
            now = found[kind].get(name, "")
            if now != definition:
                yield Unbuilt(table=table, object=f"{kind} {name}".strip(), wanted=definition, found=now)


def _marks(
    source: sqlite3.Connection, target: TargetConnection, schema: SourceSchema, names: Names, there: set[str]
) -> Iterator[Unbuilt]:
    """Tables whose next number is one the source has given out already."""
    by_name = {name: name for name in there}
    automatic = {
        table: next((column.name for column in columns if column.automatic), "")
        for table, columns in shape.all_columns(target).items()
    }
    for table in schema.tables:
        name = shape.named(by_name, names.table(table.name))
        if table.sequence is None or name is None or not automatic.get(name):
            continue
        wanted = max(table.sequence, _highest(source, table)) + 1
        found = next_number(target, name)
        if found < wanted:
            yield Unbuilt(table=name, object="next number", wanted=f"{wanted} or more", found=str(found))


def _highest(source: sqlite3.Connection, table: Table) -> int:
    key = catalogue.name(table.primary_key[0])
    return int(source.execute(f"SELECT max({key}) FROM {catalogue.name(table.name)}").fetchone()[0] or 0)


def next_number(target: TargetConnection, table: str) -> int:
    """The number the server gives next: as SHOW CREATE TABLE says; it leaves out the first one of an empty table."""
    last = str(query(target, f"SHOW CREATE TABLE {identifier(table)}")[0][1]).splitlines()[-1]
    words = [word for word in last.split() if word.startswith("AUTO_INCREMENT=")]
    return int(words[0].partition("=")[2]) if words else 1


def _views(source: sqlite3.Connection, target: TargetConnection, views: Iterable[str]) -> Iterator[Unbuilt]:
    """Views that are gone, that no longer work, or that have other rows than the source's."""
    for view in views:
        mine = int(source.execute(f"SELECT count(*) FROM {catalogue.name(view)}").fetchone()[0])
        try:
            theirs = str(query(target, f"SELECT COUNT(*) FROM {identifier(view)}")[0][0])
        except TargetError as error:
            theirs = error.what
        if theirs != str(mine):
            yield Unbuilt(table=view, object="view", wanted=f"{counted(mine, 'row')}", found=theirs)

"""What a database holds, as counts and sums that are the same before a dump and after it was restored."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping

from dixis_tui.backups.manifest import TableRecord
from dixis_tui.compare import normalise
from dixis_tui.compare.normalise import Form
from dixis_tui.phrase import counted
from dixis_tui.schemas import rows, shape
from dixis_tui.schemas.catalogue import Column
from dixis_tui.schemas.contents import ColumnContents
from dixis_tui.schemas.rows import Field
from dixis_tui.schemas.shape import ShapeColumn
from dixis_tui.target import Flavour, TargetConnection, identifier, query

KNOWN = rows.NUMBER_KINDS | rows.TEXT_KINDS | rows.BINARY_KINDS | rows.MOMENT_KINDS | {"year"}
# What a text column could hold at most, so that its values are hashed one by one.
ANY = ColumnContents(texts=1, bytes=normalise.LONG + 1, nulls=1)
OBJECTS = {
    "views": "SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE()",
    "triggers": "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
    "routines": "SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()",
    "events": "SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE()",
}


def contents(
    connection: TargetConnection, null: str, hash_rows: int, between: Callable[[], None], only: Iterable[str] = ()
) -> dict[str, TableRecord]:
    """Counts, sums and definitions of the tables (or only of some), as this connection sees them.

    null: stands for NULL; hash_rows: of larger tables only the rows are counted. between is called between tables.
    """
    columns = shape.all_columns(connection)
    found = {}
    for table in shape.table_names(connection):
        if only and table not in only:
            continue
        between()
        count = int(query(connection, f"SELECT COUNT(*) FROM {identifier(table)}")[0][0])
        wanted = forms(columns.get(table, ()), connection.flavour)
        total = _sum(connection, table, wanted, null) if count <= hash_rows and wanted else None
        found[table] = TableRecord(rows=count, sum=total, definition=definition(connection, table))
    return found


def _sum(connection: TargetConnection, table: str, wanted: tuple[Form, ...], null: str) -> str:
    digits = f"LEFT(SHA2({normalise.target_row(wanted, null)}, 256), 16)"
    bits = f"CAST(IFNULL(CONV({digits}, 16, 10), 0) AS UNSIGNED)"
    return str(query(connection, f"SELECT COALESCE(SUM({bits}), 0) FROM {identifier(table)}")[0][0])


def forms(columns: Iterable[ShapeColumn], flavour: Flavour) -> tuple[Form, ...]:
    """How the values of these columns are written: as the proof writes them, where it knows the type."""
    return tuple(_form(column, flavour) for column in columns)


def _form(column: ShapeColumn, flavour: Flavour) -> Form:
    field = Field(Column(column.name, column.kind), ANY, column)
    if column.kind in KNOWN:
        return normalise.forms([field], "+00:00", flavour)[0]
    name = identifier(column.name)
    # A dump writes a FLOAT with the digits it is shown with, and no more.
    written = f"CONCAT({name})" if column.kind == "float" else f"HEX({name})"
    return Form(field, "NULL", written, "NULL", written)


def definition(connection: TargetConnection, table: str) -> str:
    """A hash of how a table is built, without the number it gives next, and without what only its history tells: MySQL
    names the character set beside a collation where it was named when the table was made."""
    text = str(query(connection, f"SHOW CREATE TABLE {identifier(table)}")[0][1])
    text = re.sub(r" AUTO_INCREMENT=\d+(?=[^\n]*$)", "", text)
    text = re.sub(r" CHARACTER SET \w+(?= COLLATE)", "", text)
    return hashlib.sha256(text.encode()).hexdigest()


def objects(connection: TargetConnection) -> dict[str, tuple[str, ...]]:
    """Names of what a database holds besides tables."""
    return {kind: tuple(sorted(str(row[0]) for row in query(connection, sql))) for kind, sql in OBJECTS.items()}


def settled(before: Mapping[str, TableRecord], after: Mapping[str, TableRecord]) -> dict[str, TableRecord]:
    """What a dump holds that began between two looks: where both agree, that; else only that somebody was writing."""
    found = {}
    for table, mine in before.items():
        theirs = after.get(table)
        if theirs is None:
            continue
        same = (mine.rows, mine.sum) == (theirs.rows, theirs.sum)
        found[table] = mine if same else mine.model_copy(update={"sum": None, "rows_after": theirs.rows})
    return found


def differences(
    wanted: Mapping[str, TableRecord], found: Mapping[str, TableRecord], *, with_sums: bool, with_definitions: bool
) -> list[str]:
    """What is not the same, a line each."""
    told = [f"{table}: is not there" for table in wanted if table not in found]
    told += [f"{table}: is there, and was not" for table in found if table not in wanted]
    for table, mine in wanted.items():
        theirs = found.get(table)
        if theirs is None:
            continue
        low, high = sorted((mine.rows, mine.rows if mine.rows_after is None else mine.rows_after))
        if not low <= theirs.rows <= high:
            told.append(
                f"{table}: {counted(theirs.rows, 'row')}, wanted {mine.rows if low == high else f'{low} to {high}'}"
            )
        elif with_sums and None not in (mine.sum, theirs.sum) and mine.sum != theirs.sum:
            told.append(f"{table}: {counted(theirs.rows, 'row')}, but not with the same values")
        if with_definitions and mine.definition != theirs.definition:
            told.append(f"{table}: is built in another way")
    return told

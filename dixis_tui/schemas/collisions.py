"""Unique keys that SQLite keeps apart and the target's collation would merge; the server itself is asked."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from dixis_tui.config import Target
from dixis_tui.schemas import catalogue
from dixis_tui.schemas.catalogue import Index, IndexPart, SourceSchema, Table
from dixis_tui.schemas.contents import TableContents
from dixis_tui.target import TargetConnection, query, server_facts
from dixis_tui.translate import PRIMARY, Merged

BIN = "utf8mb4_bin"
SHOWN = 3
LONGEST = 60
# Longer texts cannot be in a unique key.
CHARACTERS = 768


def merged_keys(
    source: sqlite3.Connection,
    target: TargetConnection,
    settings: Target,
    schema: SourceSchema,
    contents: Mapping[str, TableContents],
    check_stop: Callable[[], None],
    collations: Mapping[tuple[str, str], str] | None = None,
) -> list[Merged]:
    """The unique keys two rows of the source would share under the target's collation.

    collations: of single columns, by (table, column) in lower case, where they differ from the settings'.

    Keys whose values are all plain ASCII are compared in SQLite first, where no more than upper and lower case and
    trailing spaces can make two of them equal; only those with other signs, or with such pairs, travel to the server.
    """
    limit = server_facts(target).max_allowed_packet // 2
    found = []
    for table in schema.tables:
        for index in _unique_keys(table):
            check_stop()
            texts = [part for part in index.parts if _holds_texts(table, part, contents[table.name])]
            if not texts or not _may_merge(source, table, index):
                continue
            rows = _values(source, table, index)
            if one := ask(target, settings.collation, collations or {}, table, index, texts, rows, limit):
                found.append(one)
    return found


def keep_merged(path: Path, merged: Sequence[Merged]) -> None:
    """Write the answer for a snapshot, a collation and a server to a file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps([asdict(one) for one in merged]), encoding="utf-8")
    temporary.replace(path)


def load_merged(path: Path) -> list[Merged] | None:
    """What keep_merged() wrote, None when there is no such file."""
    if not path.is_file():
        return None
    return [
        Merged(one["table"], one["index"], tuple(one["columns"]), one["groups"], tuple(one["examples"]))
        for one in json.loads(path.read_text(encoding="utf-8"))
    ]


def _unique_keys(table: Table) -> Iterator[Index]:
    if table.primary_key:
        yield Index(PRIMARY, True, tuple(IndexPart(column) for column in table.primary_key))
    yield from (index for index in table.indexes if index.unique and not any(part.literal for part in index.parts))


def _holds_texts(table: Table, part: IndexPart, contents: TableContents) -> bool:
    column = table.column(part.column) if part.column else None
    return column is None or contents.columns[column.name].texts > 0


def _sql(part: IndexPart) -> str:
    return catalogue.name(part.column) if part.column else part.expression


def _where(index: Index) -> str:
    there = [f"{_sql(part)} IS NOT NULL" for part in index.parts]
    return " AND ".join([*there, *([f"({index.where})"] if index.where else [])])


def _may_merge(source: sqlite3.Connection, table: Table, index: Index) -> bool:
    """False when it is certain that no collation takes two of the values for equal."""
    name = catalogue.name(table.name)
    parts = [_sql(part) for part in index.parts]
    asked = ("{0} GLOB '*[^ -~]*'", "{0} <> upper({0})", "{0} <> lower({0})", "{0} <> rtrim({0})")
    flags = ", ".join(f"max({' OR '.join(question.format(part) for part in parts)})" for question in asked)
    strange, lower, upper, padded = source.execute(f"SELECT {flags} FROM {name} WHERE {_where(index)}").fetchone()
    if strange or not (padded or (lower and upper)):
        return bool(strange)
    folded = ", ".join(f"rtrim(lower({_sql(part)}))" for part in index.parts)
    pairs = f"SELECT 1 FROM {name} WHERE {_where(index)} GROUP BY {folded} HAVING count(*) > 1"
    return bool(source.execute(f"SELECT EXISTS ({pairs})").fetchone()[0])


def _values(source: sqlite3.Connection, table: Table, index: Index) -> list[list[str]]:
    """The key's values as texts; those that are not UTF-8 or too long for a key are other checks' business."""
    columns = ", ".join(f"CAST({_sql(part)} AS BLOB)" for part in index.parts)
    rows = []
    for row in source.execute(f"SELECT {columns} FROM {catalogue.name(table.name)} WHERE {_where(index)}"):
        try:
            values = [bytes(value).decode("utf-8") for value in row]
        except UnicodeDecodeError:
            continue
        if all(len(value) <= CHARACTERS for value in values):
            rows.append(values)
    return rows


def ask(
    target: TargetConnection,
    usual: str,
    collations: Mapping[tuple[str, str], str],
    table: Table,
    index: Index,
    texts: Sequence[IndexPart],
    rows: Sequence[Sequence[str]],
    limit: int,
) -> Merged | None:
    """Let the server group the values by its own collation."""
    columns = tuple(part.column for part in texts if part.column)
    document = json.dumps(rows, ensure_ascii=False)
    if len(document.encode()) > limit:
        rows = _alike(rows)
        document = json.dumps(rows, ensure_ascii=False)
    if len(document.encode()) > limit:
        told = "too many values to ask the server beforehand; the load names the rows if there are any"
        return Merged(table.name, index.name, columns, 0, (told,))
    parts = ", ".join(
        f"c{number} VARCHAR({CHARACTERS}) CHARACTER SET utf8mb4 PATH '$[{number}]'"
        for number in range(len(index.parts))
    )
    collated = ", ".join(
        f"c{number} COLLATE "
        + (collations.get((table.name.lower(), part.column.lower()), usual) if part in texts else BIN)
        for number, part in enumerate(index.parts)
    )
    groups = query(
        target,
        f"SELECT GROUP_CONCAT(n ORDER BY n) FROM JSON_TABLE(%s, '$[*]' COLUMNS (n FOR ORDINALITY, {parts})) AS k"
        f" GROUP BY {collated} HAVING COUNT(*) > 1 ORDER BY MIN(n)",
        (document,),
    )
    if not groups:
        return None
    examples = []
    for (numbers,) in groups[:SHOWN]:
        same = [rows[int(number) - 1] for number in str(numbers).split(",")[:SHOWN]]
        examples.append(" = ".join(repr(", ".join(values)[:LONGEST]) for values in same))
    return Merged(table.name, index.name, columns, len(groups), tuple(examples))


def _alike(rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Of more values than one question can hold, those that are alike once case, accents, spaces and signs are gone."""
    groups: dict[tuple[str, ...], list[Sequence[str]]] = {}
    for row in rows:
        groups.setdefault(tuple(map(_bare, row)), []).append(row)
    return [row for group in groups.values() if len(group) > 1 for row in group]


def _bare(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if c.isalnum())

"""What the tables of the target look like, as the server itself tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from dixis_tui.target import TargetConnection, identifier, query

Named = TypeVar("Named")


def named(there: Mapping[str, Named], name: str) -> Named | None:
    """What stands under a name: that very name, else the only one that differs from it by case alone."""
    if name in there:
        return there[name]
    alike = [found for other, found in there.items() if other.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


@dataclass(frozen=True)
class Definition:
    """The lines of a SHOW CREATE TABLE. Each can follow ADD in an ALTER TABLE, so it puts back exactly what was there.

    keys, foreign_keys: by name, without the primary key; checks: without their names; charset: of the table, with its
    collation where that is not the usual one.
    """

    columns: tuple[str, ...]
    primary_key: str
    keys: Mapping[str, str]
    foreign_keys: Mapping[str, str]
    checks: frozenset[str]
    charset: str


@dataclass(frozen=True)
class ShapeColumn:
    """kind: the type without its size (`decimal`); type: with it; generated: its values are computed; charset: of
    texts, empty for other columns."""

    name: str
    kind: str
    type: str
    nullable: bool
    default: bool
    automatic: bool
    generated: bool
    charset: str = ""


@dataclass(frozen=True)
class ShapeIndex:
    """columns: an expression or a prefix stands as an empty name, so that it equals no plain column."""

    name: str
    unique: bool
    fulltext: bool
    columns: tuple[str, ...]


def table_names(connection: TargetConnection) -> list[str]:
    """The base tables of the connection's database."""
    return [
        str(row[0])
        for row in query(
            connection,
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name",
        )
    ]


def definition(connection: TargetConnection, table: str) -> Definition:
    """The definition of one table."""
    text = str(query(connection, f"SHOW CREATE TABLE {identifier(table)}")[0][1])
    columns, keys, foreign, checks = [], {}, {}, set()
    primary = ""
    charset = " ".join(word for word in text.splitlines()[-1].split() if word.startswith(("CHARSET=", "COLLATE=")))
    for line in (raw.strip().removesuffix(",") for raw in text.splitlines()[1:-1]):
        if line.startswith("`"):
            columns.append(line)
        elif line.startswith("PRIMARY KEY"):
            primary = line
        elif line.startswith("CONSTRAINT `"):
            name, rest = _quoted(line.removeprefix("CONSTRAINT "))
            if rest.startswith("FOREIGN KEY"):
                foreign[name] = line
            else:
                checks.add(rest)
        else:
            name, _ = _quoted(line[line.index("`") :])
            keys[name] = line
    return Definition(tuple(columns), primary, keys, foreign, frozenset(checks), charset)


def _quoted(text: str) -> tuple[str, str]:
    """The name in backquotes a text begins with, and what follows."""
    end = 1
    while text[end] != "`" or text[end + 1 : end + 2] == "`":
        end += 2 if text[end] == "`" else 1
    return text[1:end].replace("``", "`"), text[end + 1 :].strip()


def foreign_key(line: str) -> tuple[list[str], str, list[str]]:
    """The columns, the other table and its columns of a foreign key's line."""
    names: list[list[str]] = [[]]
    rest = line
    while "`" in rest:
        between, _, _ = rest.partition("`")
        name, rest = _quoted(rest[len(between) :])
        if "," not in between or "(" in between or ")" in between:
            names.append([])
        names[-1].append(name)
    _, _, columns, (parent,), references = names[:5]
    return columns, parent, references


def all_columns(connection: TargetConnection) -> dict[str, tuple[ShapeColumn, ...]]:
    """The columns of every table of the database, in order, by table."""
    found: dict[str, list[ShapeColumn]] = {}
    rows = query(
        connection,
        "SELECT table_name, column_name, data_type, column_type, is_nullable, column_default, extra,"
        " character_set_name"
        " FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position",
    )
    for table, name, kind, full, nullable, default, extra, charset in rows:
        # "DEFAULT_GENERATED" is a default that is an expression, not a generated column.
        generated = "GENERATED" in str(extra).upper().replace("DEFAULT_GENERATED", "")
        found.setdefault(str(table), []).append(
            ShapeColumn(
                str(name),
                str(kind).lower(),
                str(full).lower(),
                nullable == "YES",
                default is not None,
                "auto_increment" in str(extra).lower(),
                generated,
                str(charset or ""),
            )
        )
    return {table: tuple(columns) for table, columns in found.items()}


def all_indexes(connection: TargetConnection) -> dict[str, tuple[ShapeIndex, ...]]:
    """The indexes of every table of the database, by table."""
    found: dict[str, dict[str, ShapeIndex]] = {}
    rows = query(
        connection,
        "SELECT table_name, index_name, non_unique, index_type, column_name, sub_part"
        " FROM information_schema.statistics WHERE table_schema = DATABASE()"
        " ORDER BY table_name, index_name, seq_in_index",
    )
    for table, name, non_unique, kind, column, part in rows:
        indexes = found.setdefault(str(table), {})
        before = indexes[name].columns if name in indexes else ()
        plain = "" if column is None or part is not None else str(column)
        indexes[str(name)] = ShapeIndex(str(name), not int(non_unique), kind == "FULLTEXT", (*before, plain))
    return {table: tuple(indexes.values()) for table, indexes in found.items()}

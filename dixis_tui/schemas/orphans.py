"""Foreign keys of the target, and rows whose parent is not there."""

from __future__ import annotations

from dataclasses import dataclass

from dixis_tui.target import Row, TargetConnection, identifier, query


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of the target."""

    name: str
    table: str
    columns: tuple[str, ...]
    parent: str
    references: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.table} ({', '.join(self.columns)}) to {self.parent} ({', '.join(self.references)})"


@dataclass(frozen=True)
class Orphans:
    """Rows whose parent is not there; examples: values of the foreign key's columns."""

    key: ForeignKey
    rows: int
    examples: tuple[Row, ...]


def foreign_keys(target: TargetConnection) -> list[ForeignKey]:
    """Every foreign key of the target's database."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in query(
        target,
        "SELECT constraint_name, table_name, column_name, referenced_table_name, referenced_column_name"
        " FROM information_schema.key_column_usage"
        " WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL"
        " ORDER BY table_name, constraint_name, ordinal_position",
    ):
        found.setdefault((str(row[1]), str(row[0])), []).append(row)
    return [
        ForeignKey(name, table, tuple(str(r[2]) for r in part), str(part[0][3]), tuple(str(r[4]) for r in part))
        for (table, name), part in found.items()
    ]


def orphans(target: TargetConnection, key: ForeignKey) -> Orphans:
    """Rows that point to a parent that is not there."""
    pairs = list(zip(key.columns, key.references, strict=True))
    joined = " AND ".join(f"c.{identifier(mine)} = p.{identifier(theirs)}" for mine, theirs in pairs)
    given = " AND ".join(f"c.{identifier(mine)} IS NOT NULL" for mine, _ in pairs)
    where = (
        f"FROM {identifier(key.table)} c LEFT JOIN {identifier(key.parent)} p ON {joined}"
        f" WHERE {given} AND p.{identifier(key.references[0])} IS NULL"
    )
    count = int(query(target, f"SELECT COUNT(*) {where}")[0][0])
    columns = ", ".join(f"c.{identifier(column)}" for column in key.columns)
    examples = query(target, f"SELECT DISTINCT {columns} {where} LIMIT 3") if count else []
    return Orphans(key, count, tuple(examples))

"""Foreign keys that the target can have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dixis_tui.schemas.catalogue import ForeignKey, Table
from dixis_tui.target import identifier
from dixis_tui.translate.draft import Draft
from dixis_tui.translate.tables import TargetColumn, column_list

ACTIONS = frozenset({"CASCADE", "SET NULL", "RESTRICT"})


def keep_foreign(draft: Draft, table: Table, key: ForeignKey, columns: Mapping[str, TargetColumn]) -> bool:
    """Whether a foreign key can be made here; a finding says why not, or what it does otherwise."""
    what = f"the foreign key ({', '.join(key.columns)}) to {key.table}"
    thing = f"({','.join(key.columns)})"
    parent = draft.schema.table(key.table)
    theirs = draft.columns.get(parent.name, {}) if parent is not None else {}
    wanted = tuple(column.lower() for column in key.references)
    unique: list[tuple[str, ...]] = []
    if parent is not None and theirs:
        unique = [parent.primary_key] + [
            index.columns
            for index in draft.kept[parent.name]
            if index.unique and not index.where and "" not in index.columns
        ]
    why = ""
    if not theirs or len(wanted) != len(key.columns):
        why = "leads nowhere"
    elif not any(tuple(column.lower() for column in have) == wanted for have in unique):
        why = "leads to columns that are not unique"
    elif any(name.lower() not in columns for name in key.columns) or any(name not in theirs for name in wanted):
        why = "needs a column that is left out"
    elif any(columns[name.lower()].generated for name in key.columns):
        why = "is on a generated column"
    else:
        pairs = [(columns[m.lower()], theirs[t]) for m, t in zip(key.columns, wanted, strict=True)]
        unlike = [(mine, other) for mine, other in pairs if not _comparable(mine, other)]
        if unlike:
            mine, other = unlike[0]
            why = f"has {mine.name} {mine.type} and {other.name} {other.type} on its ends"
    if why:
        proposal = "it is left out"
        if "on its ends" in why:
            proposal += "; [types] can make the two ends equal"
        draft.find("warning", table.name, thing, "foreign-key", f"{what} {why}", proposal)
        return False
    if "SET DEFAULT" in (key.on_delete, key.on_update):
        refuses = f"{what}: SET DEFAULT is not known to InnoDB"
        draft.find("warning", table.name, thing, "foreign-action", refuses, "the key refuses instead")
    if "SET NULL" in (key.on_delete, key.on_update) and any(columns[c.lower()].not_null for c in key.columns):
        refuses = f"{what}: SET NULL on a NOT NULL column"
        draft.find("warning", table.name, thing, "foreign-action", refuses, "the key refuses instead")
    return True


def foreign_lines(draft: Draft, table: Table, keys: Sequence[ForeignKey]) -> Iterator[tuple[str, str]]:
    """Name and line of each foreign key."""
    columns = draft.columns[table.name]
    for key in keys:
        parent = draft.schema.table(key.table)
        assert parent is not None
        references = [column.name for name in key.references if (column := parent.column(name))]
        not_null = any(columns[name.lower()].not_null for name in key.columns)
        actions = "".join(
            f" ON {event} {action}"
            for event, action in (("DELETE", key.on_delete), ("UPDATE", key.on_update))
            if action in ACTIONS and not (action == "SET NULL" and not_null)
        )
        name = draft.constraint("_".join((table.name, *key.columns, "foreign")))
        yield (
            name,
            f"CONSTRAINT {identifier(name)} FOREIGN KEY ({column_list(key.columns)})"
            f" REFERENCES {identifier(parent.name)} ({column_list(references)}){actions}",
        )


def _comparable(mine: TargetColumn, other: TargetColumn) -> bool:
    """True when a foreign key may tie the two columns."""
    if mine.text and other.text and not mine.long and not other.long:
        return mine.collation == other.collation
    if mine.base in ("VARBINARY", "BINARY"):
        return mine.base == other.base
    return mine.type == other.type and not mine.long

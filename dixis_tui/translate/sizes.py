"""Columns made to fit into keys and rows."""

from __future__ import annotations

from dataclasses import replace

from dixis_tui.schemas import expressions
from dixis_tui.schemas.catalogue import Table
from dixis_tui.schemas.expressions import lower, sizes_of
from dixis_tui.translate.draft import Draft, column_names
from dixis_tui.translate.tables import CHARACTER_BYTES, KEY_BYTES, TargetColumn

ROW_BYTES = 65_000


def fit_keys(draft: Draft, table: Table, columns: dict[str, TargetColumn]) -> None:
    """Narrow columns whose size was a guess where a unique or primary key would be longer than 3072 bytes."""
    for key in [table.primary_key, *(index.columns for index in table.indexes if index.unique)]:
        parts = [columns[name.lower()] for name in key if name.lower() in columns]
        if sum(part.key_bytes for part in parts) <= KEY_BYTES or any(part.long for part in parts):
            continue
        fixed = sum(part.key_bytes for part in parts if part.base != "VARCHAR")
        texts = [part for part in parts if part.base == "VARCHAR"]
        size = (KEY_BYTES - fixed) // CHARACTER_BYTES // max(1, len(texts))
        if any(not _can_be(draft, table, part, size) for part in texts):
            continue
        for part in texts:
            if size < part.size:
                what = f"{part.name} becomes VARCHAR({size}) so that its key fits"
                draft.find("note", table.name, part.name, "size", what)
                columns[part.name.lower()] = replace(part, type=f"VARCHAR({size})")


def _can_be(draft: Draft, table: Table, part: TargetColumn, size: int) -> bool:
    """True when a text column's size was our guess and all its values fit into the smaller one."""
    source = table.column(part.name)
    holds = draft.contents[table.name].columns[part.name]
    group = draft.groups.of((lower(table.name), part.name.lower()))
    guessed = source is not None and not sizes_of(source.declared) and group not in draft.overridden
    return guessed and size >= max(1, holds.characters, holds.bytes if holds.nul else 0)


def fit_row(draft: Draft, table: Table, columns: dict[str, TargetColumn]) -> None:
    """Make TEXT of the widest columns outside keys where a row would be longer than the server's limit."""
    keyed = {name.lower() for name in table.primary_key}
    for index in table.indexes:
        keyed |= {name.lower() for name in index.columns}
        for part in index.parts:
            if part.expression:
                keyed |= set(expressions.columns_of(part.expression, column_names(table)))
    keyed |= {name.lower() for key in table.foreign_keys for name in key.columns}
    widest = sorted((c for c in columns.values() if c.base == "VARCHAR"), key=lambda c: -c.row_bytes)
    changed = []
    for column in widest:
        if sum(one.row_bytes for one in columns.values()) <= ROW_BYTES:
            break
        if column.name.lower() not in keyed:
            default = f"({column.default})" if column.default and not column.default.startswith("(") else ""
            columns[column.name.lower()] = replace(column, type="TEXT", default=default or column.default)
            changed.append(column.name)
    if changed:
        what = f"a row would be longer than the {ROW_BYTES} bytes the server takes"
        proposal = f"{', '.join(changed[:5])}{' and others' if changed[5:] else ''} become TEXT ({len(changed)} in all)"
        draft.find("warning", table.name, "", "row-size", what, proposal)

"""Primary, unique and plain keys, on columns and on expressions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dixis_tui.schemas import catalogue, expressions
from dixis_tui.schemas.catalogue import ForeignKey, Index, IndexPart, Table
from dixis_tui.schemas.names import folded, free
from dixis_tui.target import identifier
from dixis_tui.translate.constants import mixes
from dixis_tui.translate.draft import Draft, column_names
from dixis_tui.translate.tables import CHARACTER_BYTES, KEY_BYTES, PREFIX, PRIMARY, TargetColumn, column_list


def keep(draft: Draft, table: Table, index: Index) -> bool:
    """Whether an index can be made here, as it is or otherwise; a finding says so when not as it is."""
    columns = draft.columns[table.name]
    kind = "unique index" if index.unique else "index"
    names = column_names(table)
    plain = [part for part in index.parts if part.column]
    reads = {part.column.lower() for part in plain}
    for part in index.parts:
        reads |= set(expressions.columns_of(part.expression, names)) if part.expression else set()
    what = why = ""
    otherwise = "it is left out"
    key = "index"
    if any(part.literal for part in index.parts):
        key, why = "literal", "is on a text that names no column"
    elif any(part.column and part.column.lower() not in columns for part in index.parts) or reads - set(columns):
        why = "needs a column that is left out"
    elif len(plain) < len(index.parts):
        key, why, otherwise = "expression", "is on an expression", _by_expression(draft, table, index)
    elif index.where and index.unique:
        key, why = "partial-unique", f"holds only WHERE {index.where}"
        otherwise = _by_expression(draft, table, index)
    elif index.where:
        draft.find(
            "warning",
            table.name,
            index.name,
            "partial",
            f"index {index.name} is only over rows WHERE {index.where}",
            "one over all rows",
        )
        return True
    elif index.unique and (long := [p.column for p in plain if columns[p.column.lower()].long]):
        key, why = "key-length", f"is unique and {', '.join(long)} too long for a key"
    elif index.unique and sum(columns[p.column.lower()].key_bytes for p in plain) > KEY_BYTES:
        key, why = "key-length", f"would be longer than {KEY_BYTES} bytes"
    else:
        return True
    what = f"{kind} {index.name} {why}"
    draft.find("warning", table.name, index.name, key, what, otherwise or "it is left out")
    return bool(otherwise) and otherwise != "it is left out"


def _by_expression(draft: Draft, table: Table, index: Index) -> str:
    """How an index on expressions or over some rows is built here, in words; empty when it cannot be."""
    expressions_found = _key_expressions(draft, table, index)
    if expressions_found is None:
        return ""
    if draft.server.expression_keys:
        return f"one on ({', '.join(sql for sql, _ in expressions_found)})"
    return "generated columns that carry it: " + ", ".join(f"{kind} AS ({sql})" for sql, kind in expressions_found)


def _key_expressions(draft: Draft, table: Table, index: Index) -> list[tuple[str, str]] | None:
    """For each part its expression and type on the target; None when one has no counterpart."""
    columns = draft.columns[table.name]
    names = column_names(table)
    condition = expressions.portable(index.where, names) if index.where else ""
    if condition is None or any(name not in columns for name in expressions.columns_of(index.where or "1", names)):
        return None
    if any(mixes(sql, names, columns) for sql in (index.where, *(p.expression for p in index.parts)) if sql):
        return None
    found = []
    for part in index.parts:
        source = part.expression or catalogue.name(part.column)
        sql = expressions.portable(source, names)
        reads = [columns[name] for name in expressions.columns_of(source, names) if name in columns]
        kind = reads[0].type if part.column and reads else _expression_type(draft, source, names, reads)
        text = any(one.text for one in reads)
        if sql is None or not kind or any(one.long for one in reads) or any(one.automatic for one in reads):
            return None
        if condition:
            sql = f"CASE WHEN {condition} THEN {sql} END"
        collation = next((one.collation for one in reads if one.collation), "")
        if collation and text:
            kind += f" COLLATE {collation}"
        found.append((sql, kind))
    size = sum(TargetColumn("", kind, False).key_bytes for _, kind in found)
    return found if size <= KEY_BYTES else None


def _expression_type(draft: Draft, sql: str, names: Collection[str], reads: Sequence[TargetColumn]) -> str:
    texts = [one for one in reads if one.text]
    if expressions.makes_text(sql, names):
        return f"VARCHAR({min(768, max([sum(one.size for one in texts), 255]))})"
    if expressions.makes_whole_number(sql, names):
        return "BIGINT"
    kinds = {one.type for one in reads}
    return kinds.pop() if len(kinds) == 1 else ""


def primary_key(draft: Draft, table: Table, columns: Mapping[str, TargetColumn]) -> tuple[str, ...]:
    """The primary key; empty when there is none to be had."""
    parts = [columns.get(name.lower()) for name in table.primary_key]
    there = [part for part in parts if part is not None]
    held = draft.contents[table.name].columns
    what, proposal = "", "the table is made without"
    if len(there) < len(parts):
        what = "the primary key needs a column that is left out"
    elif any(held[name].nulls for name in table.primary_key):
        empty = ", ".join(f"{name} in {held[name].nulls} rows" for name in table.primary_key if held[name].nulls)
        what, proposal = f"the primary key holds NULL: {empty}", "a unique key in its place"
    elif any(part.long or part.base == "JSON" for part in there):
        what = "the primary key has a text too long for a key"
    elif sum(part.key_bytes for part in there) > KEY_BYTES:
        what = f"the primary key would be longer than {KEY_BYTES} bytes"
    if what:
        draft.find("warning", table.name, PRIMARY, "primary-key", what, proposal)
        return ()
    return table.primary_key


def keys_of(
    draft: Draft,
    table: Table,
    indexes: Sequence[Index],
    foreign: Sequence[ForeignKey],
    columns: Mapping[str, TargetColumn],
    primary: tuple[str, ...],
) -> tuple[list[str], list[TargetColumn]]:
    """The KEY lines, and columns made to carry some of them: the source's own, then one for each foreign key that
    has none to lean on."""
    used: set[str] = {"primary"}
    covered = [tuple(column.lower() for column in primary)]
    lines: list[str] = []
    helpers: list[TargetColumn] = []
    there = [columns.get(name.lower()) for name in table.primary_key]
    had = [part for part in there if part is not None and not part.long and part.base != "JSON"]
    fits = len(had) == len(there) and sum(part.key_bytes for part in had) <= KEY_BYTES
    if not primary and table.primary_key and fits:
        name = _free_name(draft, table, "_".join((table.name, *table.primary_key, "unique")), used)
        lines.append(f"UNIQUE KEY {identifier(name)} ({column_list(table.primary_key)})")
        covered.append(tuple(column.lower() for column in table.primary_key))
    for index in indexes:
        name = "_".join((table.name, *index.columns, "unique")) if index.constraint else index.name
        name = _free_name(draft, table, name, used)
        unique = "UNIQUE " if index.unique else ""
        if any(part.expression for part in index.parts) or (index.where and index.unique):
            parts, more = _carried(draft, table, index, name, columns)
            helpers += more
        else:
            parts = [_part(draft, table, index, part, columns) for part in index.parts]
            if not any("(" in part for part in parts):
                covered.append(tuple(column.lower() for column in index.columns))
        lines.append(f"{unique}KEY {identifier(name)} ({', '.join(parts)})")
    for key in foreign:
        wanted = tuple(column.lower() for column in key.columns)
        if not any(have[: len(wanted)] == wanted for have in covered):
            covered.append(wanted)
            name = _free_name(draft, table, "_".join((table.name, *key.columns, "foreign")), used)
            lines.append(f"KEY {identifier(name)} ({column_list(key.columns)})")
    return lines, helpers


def _carried(
    draft: Draft, table: Table, index: Index, name: str, columns: Mapping[str, TargetColumn]
) -> tuple[list[str], list[TargetColumn]]:
    """The parts of a key on expressions, and the generated columns that carry it where the server has no such."""
    found = _key_expressions(draft, table, index) or []
    parts: list[str] = []
    helpers: list[TargetColumn] = []
    taken = {folded(column) for column in columns}
    for number, ((sql, kind), part) in enumerate(zip(found, index.parts, strict=True), 1):
        if part.column and not index.where:
            carried = identifier(columns[part.column.lower()].name)
        elif draft.server.expression_keys:
            carried = f"({sql})"
        else:
            own = free(f"{name}_{number}", taken)
            generated = f"GENERATED ALWAYS AS ({sql}) VIRTUAL" + (" INVISIBLE" if draft.server.invisible else "")
            helpers.append(TargetColumn(own, kind, False, generated=generated))
            carried = identifier(own)
        parts.append(carried + _direction(draft, part))
    return parts, helpers


def _direction(draft: Draft, part: IndexPart) -> str:
    return " DESC" if part.descending and draft.server.descending else ""


def _free_name(draft: Draft, table: Table, name: str, used: set[str]) -> str:
    own = free(name, used)
    if own != name:
        draft.find("note", table.name, name, "name", f"the key {name} is named {own} here")
    return own


def _part(draft: Draft, table: Table, index: Index, part: IndexPart, columns: Mapping[str, TargetColumn]) -> str:
    column = columns[part.column.lower()]
    sql = identifier(column.name)
    parts = [columns[one.column.lower()] for one in index.parts]
    over = sum(one.key_bytes for one in parts) > KEY_BYTES and not index.unique
    cut = [one for one in parts if one.text or one.long or one.base == "VARBINARY"]
    if column in cut and (column.long or over):
        bytes_each = (KEY_BYTES - sum(one.key_bytes for one in parts if one not in cut)) // len(cut)
        size = min(PREFIX, bytes_each // (CHARACTER_BYTES if column.text else 1))
        if column.long or column.size > size:
            what = f"index {index.name} covers the first {size} characters of {column.name}"
            draft.find("note", table.name, index.name, "prefix", what)
            sql += f"({size})"
    if part.descending and not draft.server.descending:
        draft.find("note", table.name, index.name, "descending", f"{index.name} is ascending on this server")
    return sql + _direction(draft, part)

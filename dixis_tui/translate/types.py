"""The target's type for a column, by its declared type and by what it holds."""

from __future__ import annotations

from collections.abc import Sequence

from dixis_tui.phrase import counted
from dixis_tui.schemas.catalogue import Column, Table
from dixis_tui.schemas.contents import ColumnContents
from dixis_tui.schemas.expressions import lower, sizes_of
from dixis_tui.translate.draft import Draft
from dixis_tui.translate.families import family_of, integer_type, wrong_types
from dixis_tui.translate.sizes import ROW_BYTES
from dixis_tui.translate.tables import CHARACTER_BYTES, KEY_BYTES

TEXT_LIMITS = (("TEXT", 0xFFFF), ("MEDIUMTEXT", 0xFFFFFF), ("LONGTEXT", 0xFFFFFFFF))
BLOB_LIMITS = (("BLOB", 0xFFFF), ("MEDIUMBLOB", 0xFFFFFF), ("LONGBLOB", 0xFFFFFFFF))


def type_of(draft: Draft, table: Table, column: Column, holds: ColumnContents, keyed: bool) -> str:
    group = draft.groups.of((lower(table.name), column.name.lower()))
    if group in draft.overridden:
        kind = draft.overridden[group]
        draft.find("note", table.name, column.name, "types", f"{column.name} becomes {kind}, as [types] says")
        return kind
    family = family_of(column.declared, holds)
    wrong = wrong_types(family, holds)
    if wrong:
        draft.find(
            "error",
            table.name,
            column.name,
            "values",
            f"{column.name} is declared {column.declared or 'without a type'} and holds {wrong}",
            "the declared type all the same; the copy stops before the first row until they are mended",
        )
    if holds.broken:
        what = f"{column.name} holds {holds.broken} texts that are not valid UTF-8"
        proposal = "the copy stops before the first row until they are mended"
        draft.find("error", table.name, column.name, "charset", what, proposal)
    if family == "integer" and group in draft.integers:
        return draft.integers[group]
    match family:
        case "integer":
            return integer_type(column.declared, holds)
        case "boolean":
            return "TINYINT(1)" if holds.low >= -128 and holds.high <= 127 else "BIGINT"
        case "decimal":
            return _decimal(draft, table, column, holds)
        case "double":
            return "DOUBLE"
        case "date" | "datetime" | "time":
            return _moment(draft, table, column, holds, family)
        case "json":
            return _json(draft, table, column, holds, keyed)
        case "blob" if keyed and holds.bytes <= KEY_BYTES:
            return f"VARBINARY({max(255, holds.bytes)})"
        case "blob":
            return _by_size(BLOB_LIMITS, holds.bytes)
        case _:
            return _text(draft, table, column, holds, keyed)


def _decimal(draft: Draft, table: Table, column: Column, holds: ColumnContents) -> str:
    arguments = sizes_of(column.declared) or [10, 2]
    digits, scale = (*arguments, 0)[:2]
    whole = max(digits - scale, holds.digits)
    scale = max(scale, holds.scale)
    why = (
        f"{counted(holds.inexact, 'value is no decimal', 'values are no decimals')} of 15 digits"
        if holds.inexact
        else ""
    )
    if not why and (whole + scale > 65 or scale > 30):
        why = f"it would need {whole + scale} digits, {scale} of them behind the point"
    if why:
        draft.find(
            "warning",
            table.name,
            column.name,
            "inexact",
            f"{column.name}: {why}",
            "DOUBLE, which holds them as they are; round them in the source, or by [types], to have a decimal",
        )
        return "DOUBLE"
    return f"DECIMAL({max(1, whole + scale)},{scale})"


def decimal_for(column: Column, holds: ColumnContents) -> str:
    """The decimal a column was meant to be, wide enough for its values once they are rounded."""
    digits, scale = (*(sizes_of(column.declared) or [10, 2]), 0)[:2]
    whole = max(digits - scale, len(str(max(abs(holds.low), abs(holds.high)))))
    return f"DECIMAL({min(65, whole + scale)},{scale})"


def _moment(draft: Draft, table: Table, column: Column, holds: ColumnContents, family: str) -> str:
    fraction = f"({min(6, holds.fraction)})" if holds.fraction else ""
    if holds.fraction > 6:
        what = f"{column.name} holds fractions of a second of {holds.fraction} digits"
        draft.find("error", table.name, column.name, "fraction", what, f"DATETIME{fraction}; the copy stops at them")
    if family == "time":
        return _all(draft, table, column, holds, holds.times, "TIME", "HH:MM:SS")
    if family == "date" and holds.datetimes:
        if holds.dates:
            what = f"{column.name} mixes {holds.dates} dates and {holds.datetimes} datetimes"
            proposal = f"DATETIME{fraction}; the copy stops at the dates"
            draft.find("error", table.name, column.name, "values", what, proposal)
        else:
            what = f"{column.name} is declared date and holds datetimes"
            draft.find("warning", table.name, column.name, "datetimes", what, f"DATETIME{fraction}")
        return _all(draft, table, column, holds, holds.dates + holds.datetimes, "DATETIME" + fraction, "dates")
    if family == "date":
        return _all(draft, table, column, holds, holds.dates, "DATE", "YYYY-MM-DD")
    return _all(draft, table, column, holds, holds.datetimes, "DATETIME" + fraction, "YYYY-MM-DD HH:MM:SS")


def _all(draft: Draft, table: Table, column: Column, holds: ColumnContents, fine: int, kind: str, form: str) -> str:
    """The type, and a finding when not all texts have the form it needs."""
    if holds.texts > fine:
        what = f"{column.name} is declared {column.declared}, {holds.texts - fine} of its values are no valid {form}"
        draft.find("error", table.name, column.name, "moments", what, f"{kind}; the copy stops at them until mended")
    return kind


def _json(draft: Draft, table: Table, column: Column, holds: ColumnContents, keyed: bool) -> str:
    if keyed or holds.json < holds.texts:
        why = (
            "is in a key"
            if keyed
            else f"holds {counted(holds.texts - holds.json, 'value that is', 'values that are')} no JSON"
        )
        kind = _text(draft, table, column, holds, keyed)
        draft.find("warning", table.name, column.name, "json", f"{column.name} is declared JSON and {why}", kind)
        return kind
    if holds.lossy and not draft.server.mariadb:
        kind = _text(draft, table, column, holds, keyed)
        what = f"{column.name} is declared JSON, and {holds.lossy} of its values are not kept by MySQL's JSON"
        what += " (a key twice, a number of too many digits)"
        draft.find("note", table.name, column.name, "json-text", what, kind)
        return kind
    if not draft.server.mariadb:
        what = f"{column.name} is JSON, which the server writes anew: the order of keys, the spelling of numbers"
        draft.find("warning", table.name, column.name, "json", what, "JSON; [types] can make it LONGTEXT")
    return "JSON"


def _text(draft: Draft, table: Table, column: Column, holds: ColumnContents, keyed: bool) -> str:
    arguments = sizes_of(column.declared)
    length = max(holds.characters, holds.bytes if holds.nul else 0)
    sized = "char" in column.declared.lower()
    wanted = arguments[0] if arguments and 0 < arguments[0] <= ROW_BYTES // CHARACTER_BYTES else 255
    if sized and length <= wanted:
        return f"VARCHAR({wanted})"
    if keyed and length <= KEY_BYTES // CHARACTER_BYTES:
        size = max(255, length)
        if not sized:
            what = f"{column.name} is text in a key, it becomes VARCHAR({size})"
            draft.find("note", table.name, column.name, "size", what)
        return f"VARCHAR({size})"
    kind = _by_size(TEXT_LIMITS, holds.bytes)
    if sized:
        what = f"{column.name} holds {length} characters, it becomes {kind}"
        draft.find("note", table.name, column.name, "size", what)
    return kind


def _by_size(limits: Sequence[tuple[str, int]], size: int) -> str:
    return next(kind for kind, limit in limits if size <= limit)

"""What a declared type means, and which values belong to it."""

from __future__ import annotations

from typing import Literal

from dixis_tui.schemas.contents import ColumnContents

INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
Family = Literal["integer", "boolean", "decimal", "double", "date", "datetime", "time", "json", "text", "blob"]


def family_of(declared: str, holds: ColumnContents) -> Family:
    """What a declared type means, by SQLite's own rules where Laravel's names do not say more."""
    word = declared.lower()
    base = word.partition("(")[0].strip()
    if base in ("bool", "boolean") or word.replace(" ", "") == "tinyint(1)":
        return "boolean"
    if base in ("datetime", "timestamp"):
        return "datetime"
    if base == "date":
        return "date"
    if base == "time":
        return "time"
    if base in ("json", "jsonb"):
        return "json"
    if "int" in word:
        return "integer"
    if any(part in word for part in ("char", "clob", "text")):
        return "text"
    if "blob" in word or not word:
        return "blob" if holds.blobs or not holds.values else _by_contents(holds)
    if any(part in word for part in ("real", "floa", "doub")):
        return "double"
    return _by_contents(holds) if base not in ("numeric", "decimal") else "decimal"


def _by_contents(holds: ColumnContents) -> Family:
    if holds.reals:
        return "decimal"
    return "integer" if holds.integers and not holds.texts else "text"


def wrong_types(family: Family, holds: ColumnContents) -> str:
    """What a column of that family holds and should not, in words; empty when all is well."""
    allowed = {
        "integer": {"integers"},
        "boolean": {"integers"},
        "decimal": {"integers", "reals"},
        "double": {"integers", "reals"},
        "text": {"texts"},
        "json": {"texts"},
        "blob": {"blobs"},
    }.get(family, {"texts"})
    counts = {"integers": holds.integers, "reals": holds.reals, "texts": holds.texts, "blobs": holds.blobs}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count and kind not in allowed)


def integer_type(declared: str, holds: ColumnContents) -> str:
    """The declared integer type when every value fits, else BIGINT. Plain `integer`, which has no size, is BIGINT."""
    base = (declared.lower().partition("(")[0].split() or ["integer"])[0]
    unsigned = "unsigned" in declared.lower() and holds.low >= 0
    bits = INTEGERS.get(base, 64)
    fits = holds.high < 1 << bits if unsigned else -(1 << (bits - 1)) <= holds.low and holds.high < 1 << (bits - 1)
    kind = base.upper() if fits and base in INTEGERS else "BIGINT"
    return f"{kind} UNSIGNED" if unsigned else kind

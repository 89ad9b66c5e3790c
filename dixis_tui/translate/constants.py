"""Constants beside columns: whether the server takes them as SQLite does."""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation

from sqlglot import exp

from dixis_tui.schemas import expressions
from dixis_tui.schemas.expressions import sizes_of
from dixis_tui.translate.families import INTEGERS
from dixis_tui.translate.tables import TargetColumn


def mixes(sql: str, names: Collection[str], columns: Mapping[str, TargetColumn]) -> bool:
    """True when an expression sets a column beside a constant of another kind: each server has its own rules there."""
    for name, text, is_text in expressions.compared(sql, names):
        column = columns.get(name)
        if column is not None and (not is_text if column.text else not fits(text, column)):
            return True
    return False


def constant(value: exp.Expr) -> str | None:
    """The text of a constant, None for anything else."""
    if isinstance(value, exp.Literal):
        return str(value.this)
    if isinstance(value, exp.Boolean):
        return "1" if value.this else "0"
    if isinstance(value, exp.Neg) and isinstance(value.this, exp.Literal) and not value.this.is_string:
        return f"-{value.this.this}"
    return None


def fits(text: str, made: TargetColumn) -> bool:
    """True when the server takes a constant as the default of a column."""
    base = made.base
    try:
        if base.endswith("INT"):
            bits = INTEGERS.get(base.lower(), 32)
            low, high = (0, 1 << bits) if "UNSIGNED" in made.type else (-(1 << (bits - 1)), 1 << (bits - 1))
            return low <= int(text) < high
        if base == "DECIMAL":
            digits, scale = (*sizes_of(made.type), 0, 0)[:2]
            number = Decimal(text)
            fine = number == round(number, scale)
            return fine and abs(number) < Decimal(10) ** (digits - scale)
        if base in ("DOUBLE", "FLOAT"):
            return abs(float(text)) < 1e308
        if base == "DATE":
            return datetime.date.fromisoformat(text).isoformat() == text
        if base in ("DATETIME", "TIMESTAMP"):
            return datetime.datetime.fromisoformat(text).isoformat(sep=" ") == text
        if base == "TIME":
            return datetime.time.fromisoformat(text).isoformat() == text
        if base in ("VARCHAR", "CHAR"):
            return len(text) <= made.size
        if base == "JSON":
            json.loads(text)
            return True
        return base.endswith(("TEXT", "BLOB", "BINARY"))
    except (ValueError, InvalidOperation, OverflowError):
        return False

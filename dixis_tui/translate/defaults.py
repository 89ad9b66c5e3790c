"""Defaults as the target takes them."""

from __future__ import annotations

from sqlglot import exp

from dixis_tui.schemas import expressions
from dixis_tui.schemas.catalogue import Column, Table
from dixis_tui.target import literal
from dixis_tui.translate.constants import constant, fits
from dixis_tui.translate.draft import Draft
from dixis_tui.translate.tables import TargetColumn


def default_of(draft: Draft, table: Table, column: Column, made: TargetColumn) -> str:
    """The SQL of a column's default, empty when there is none to be had; a finding says so."""
    if column.default is None:
        return ""
    tree = expressions.parsed(column.default, ())
    value = tree.unnest() if tree is not None else None
    if isinstance(value, exp.Null):
        return "" if made.not_null else "NULL"
    sql = _default_value(value, made) if value is not None else ""
    if not sql:
        draft.find(
            "warning",
            table.name,
            column.name,
            "default",
            f"the default {column.default} of {column.name} has no counterpart in {made.type}",
            "it is left out; let the application give the value",
        )
    return sql


def _default_value(value: exp.Expr, made: TargetColumn) -> str:
    """A default as the target takes it, empty when it has none like it."""
    moment = made.base in ("DATETIME", "TIMESTAMP")
    if isinstance(value, exp.CurrentTimestamp | exp.CurrentDate | exp.CurrentTime):
        word = {"CurrentTimestamp": "TIMESTAMP", "CurrentDate": "DATE", "CurrentTime": "TIME"}[type(value).__name__]
        if word == "TIMESTAMP" and moment:
            return f"CURRENT_TIMESTAMP({made.size})" if made.size else "CURRENT_TIMESTAMP"
        takes = made.text or made.base == word
        return f"(CURRENT_{word}())" if takes else ""
    if clock := expressions.clock(value):
        takes = made.text or (moment and clock == "UTC_TIMESTAMP") or clock == f"UTC_{made.base}"
        return f"({clock}())" if takes else ""
    if isinstance(value, exp.HexString):
        # MariaDB would show the bytes of x'…' themselves in SHOW CREATE TABLE, which no client can read.
        return f"(UNHEX({literal(value.name)}))" if made.base.endswith(("BLOB", "BINARY")) else ""
    text = constant(value)
    if text is not None:
        if not fits(text, made):
            return ""
        sql = literal(text) if isinstance(value, exp.Literal) and value.is_string else text
        return f"({sql})" if made.long or made.base == "JSON" else sql
    computed = expressions.computed(value)
    return _default_value(computed, made) if computed is not None else ""

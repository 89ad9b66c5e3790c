"""Views whose rows mean the same on the target."""

from __future__ import annotations

from collections.abc import Collection

from dixis_tui.schemas import expressions
from dixis_tui.schemas.catalogue import SourceSchema, Table
from dixis_tui.schemas.expressions import ViewUses, lower
from dixis_tui.schemas.names import Names, name_obstacle
from dixis_tui.translate.constants import fits
from dixis_tui.translate.draft import Draft

UNKNOWN = "unknown"


def views_of(draft: Draft, schema: SourceSchema, own: Names) -> dict[str, str]:
    """CREATE VIEW statements by name. schema: with the names of the source, in which views are written."""
    made: dict[str, str] = {}
    for name, sql in schema.views.items():
        statement = None if name_obstacle(name) else expressions.view(sql, name)
        uses = expressions.view_uses(sql)
        why = _why_not(draft, uses, own) if statement and uses else "may mean something else here"
        if statement is None or uses is None or why:
            what = f"is a view that {why} and is not made"
            draft.find("warning", name, "", "view", what, "left out; write it anew for the target if it is needed")
            continue
        made[name] = statement
        otherwise = []
        if _families(draft, uses, uses.matched) & {"text", UNKNOWN}:
            otherwise.append("compares, groups or orders texts, which the server does by its collation")
        if uses.fractions or _families(draft, uses, uses.computed) - {"integer", "boolean"}:
            otherwise.append("computes with fractions, which SQLite does with doubles and the server with decimals")
        if otherwise:
            draft.find("warning", name, "", "view", f"is a view that {' and '.join(otherwise)}", statement)
        else:
            draft.find("note", name, "", "view", f"is a view and is made as: {statement}")
    return made


def _why_not(draft: Draft, uses: ViewUses, own: Names) -> str:
    renamed = {table for table in uses.tables if own.table(table) != table}
    renamed |= {column for (table, column) in own.columns if table in uses.tables and column in uses.columns}
    if renamed:
        return f"reads {', '.join(sorted(renamed))}, which has another name here"
    if _families(draft, uses, uses.as_text) - {"text", "integer"}:
        return "reads a number or a moment as a text, which the target words in another way"
    for column, text, is_text in uses.constants:
        for made in (draft.columns[table.name].get(column) for table in _tables(draft, uses)):
            if made is not None and (not is_text if made.text else not fits(text, made)):
                return "compares a column with a constant of another kind, which SQLite does otherwise"
    return ""


def _tables(draft: Draft, uses: ViewUses) -> list[Table]:
    return [table for table in draft.schema.tables if lower(table.name) in uses.tables]


def _families(draft: Draft, uses: ViewUses, columns: Collection[str]) -> set[str]:
    """The families of columns a view reads; unknown for what it computes itself."""
    found: set[str] = set()
    for name in columns:
        mine = {family for table in _tables(draft, uses) for family in draft.families(table, {name.lower()})}
        found |= mine or {UNKNOWN}
    return found

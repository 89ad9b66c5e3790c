"""The indexes the operators' plan asks for: made where their columns are, with the nearest names told where not."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from dixis_tui.config import Index
from dixis_tui.context import Context
from dixis_tui.model import Kind, Outcome, passed, warned
from dixis_tui.schemas import shape, structure
from dixis_tui.schemas.nearest import nearest
from dixis_tui.step import Step
from dixis_tui.target import (
    TargetConnection,
    TargetError,
    connected,
    execute,
    identifier,
)
from dixis_tui.translate import PREFIX

LONG_KINDS = frozenset({"tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob"})


def steps() -> tuple[Step, ...]:
    """The steps that make them."""
    return (
        Step(
            id="schema.indexes",
            title="The plan's indexes",
            kind=Kind.ACTION,
            why="The plan wants these for the shop's frequent questions.",
            work=lambda ctx: make_indexes(ctx, ctx.config.schema_section.indexes, fulltext=False),
            preview=lambda ctx: _indexes_preview(ctx, ctx.config.schema_section.indexes, fulltext=False),
            undo="DROP INDEX each of them",
        ),
        Step(
            id="schema.fulltext",
            title="The plan's full-text keys",
            kind=Kind.ACTION,
            why="Search in Greek names and descriptions uses these.",
            work=lambda ctx: make_indexes(ctx, ctx.config.schema_section.fulltext, fulltext=True),
            preview=lambda ctx: _indexes_preview(ctx, ctx.config.schema_section.fulltext, fulltext=True),
            undo="DROP INDEX each of them",
        ),
    )


def make_indexes(ctx: Context, wanted: Sequence[Index], *, fulltext: bool) -> Outcome:
    """Create each index unless an equal one is there under any name; tell what cannot be made."""
    done: list[str] = []
    trouble: list[str] = []
    remedies: list[str] = []
    made = False
    with connected(ctx.config.target) as connection:
        for index in wanted:
            ctx.check_stop()
            sql, word, remedy = _plan_index(connection, index, fulltext)
            if sql:
                execute(connection, sql)
                made = True
            if remedy and not index.waive:
                trouble.append(word)
                remedies.append(remedy)
            else:
                done.append(f"{word}; waived: {index.waive}" if remedy else word)
        if made:
            structure.renew(ctx, connection)
    if trouble:
        return warned(f"{len(done)} of {len(wanted)} done, {len(trouble)} cannot be made", [*trouble, *done], remedies)
    return passed(f"{len(done)} of {len(wanted)} done", done)


def _plan_index(connection: TargetConnection, index: Index, fulltext: bool) -> tuple[str, str, str]:
    """The SQL to run (empty when there is nothing to do), what to say about it, and the remedy when it cannot be."""
    key = "schema.fulltext" if fulltext else "schema.indexes"
    columns = {column.name: column for column in shape.all_columns(connection).get(index.table, ())}
    if not columns:
        near = difflib.get_close_matches(index.table, shape.table_names(connection), n=1)
        hint = f"; nearest is {near[0]}" if near else ""
        return "", f"{index.name}: there is no table {index.table}{hint}", f'[[{key}]] {index.name}: set waive = "why"'
    missing = [column for column in index.columns if column not in columns]
    if missing:
        near_by = {column: nearest(column, list(columns)) for column in missing}
        told = "; ".join(
            f"{column} is not there" + (f" (nearest: {', '.join(near)})" if near else "")
            for column, near in near_by.items()
        )
        mapped = ", ".join(f'"{(near_by.get(column) or [column])[0]}"' for column in index.columns)
        choice = f"columns = [{mapped}], or " if all(near_by.values()) else ""
        return "", f"{index.name} on {index.table}: {told}", f'[[{key}]] {index.name}: {choice}waive = "why"'
    for there in shape.all_indexes(connection).get(index.table, ()):
        if there.fulltext == fulltext and _equal(there.columns, index.columns, fulltext):
            return "", f"{index.name}: already there as {there.name}", ""
        if there.name.lower() == index.name.lower():
            told = f"{index.name} on {index.table}: the name is taken by an index on ({', '.join(there.columns)})"
            return "", told, f"[[{key}]] {index.name}: choose another name"
    sql = _index_sql(index, fulltext, {name for name, column in columns.items() if column.kind in LONG_KINDS})
    return sql, f"{index.name}: created", ""


def _equal(there: Sequence[str], wanted: Sequence[str], fulltext: bool) -> bool:
    return sorted(there) == sorted(wanted) if fulltext else tuple(there) == tuple(wanted)


def _index_sql(index: Index, fulltext: bool, long: set[str]) -> str:
    parts = ", ".join(
        identifier(column) + (f"({PREFIX})" if column in long and not fulltext else "") for column in index.columns
    )
    kind = "FULLTEXT INDEX" if fulltext else "INDEX"
    return f"CREATE {kind} {identifier(index.name)} ON {identifier(index.table)} ({parts})"


def _indexes_preview(ctx: Context, wanted: Sequence[Index], *, fulltext: bool) -> list[str]:
    if not wanted:
        return ["-- nothing: the configuration asks for none"]
    try:
        with connected(ctx.config.target) as connection:
            return [sql or f"-- {word}" for sql, word, _ in (_plan_index(connection, i, fulltext) for i in wanted)]
    except TargetError as error:
        return [f"-- before the database is there: {error.what}", *(_index_sql(i, fulltext, set()) for i in wanted)]

"""Writes the demo shop's schema as Laravel migrations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from dixis_tui.sandbox.shop_schema import LATE_KEYS_MIGRATION, TABLES, Column, Foreign, Index, Table, migration_names

_FILE = """<?php

use Illuminate\\Database\\Migrations\\Migration;
use Illuminate\\Database\\Schema\\Blueprint;
use Illuminate\\Support\\Facades\\Schema;

return new class extends Migration
{
    public function up()
    {
%(up)s
    }

    public function down()
    {
%(down)s
    }
};
"""


def write_migrations(directory: Path) -> int:
    """Write the migration files for Laravel 8.83 or later to `directory`; returns their number."""
    directory.mkdir(parents=True, exist_ok=True)
    names = migration_names()
    late = _late_keys()
    for name in names:
        tables = [table for table in TABLES if table.migration == name]
        text = _late_migration(late) if name == LATE_KEYS_MIGRATION else _table_migration(tables, late)
        (directory / f"{name}.php").write_text(text, encoding="utf-8")
    return len(names)


def _late_keys() -> list[tuple[Table, Column, Foreign]]:
    """The foreign keys whose target is made after their own table."""
    made: set[str] = set()
    late: list[tuple[Table, Column, Foreign]] = []
    for table in TABLES:
        made.add(table.name)
        late += [
            (table, column, column.foreign)
            for column in table.columns
            if column.foreign and column.foreign.table not in made
        ]
    return late


def _table_migration(tables: Iterable[Table], late: Iterable[tuple[Table, Column, Foreign]]) -> str:
    later = {(table.name, column.name) for table, column, _ in late}
    up: list[str] = []
    down: list[str] = []
    for table in tables:
        up += [f"Schema::create('{table.name}', function (Blueprint $table) {{"]
        up += [f"    {line}" for line in _table_lines(table, later)]
        up += ["});"]
        down.insert(0, f"Schema::dropIfExists('{table.name}');")
    return _FILE % {"up": _indented(up), "down": _indented(down)}


def _table_lines(table: Table, later: set[tuple[str, str]]) -> Iterator[str]:
    for column in table.columns:
        yield _column(column)
    for index in table.indexes:
        yield _index(index)
    for column in table.columns:
        if column.foreign and (table.name, column.name) not in later:
            yield _foreign(column.name, column.foreign)


def _late_migration(late: Iterable[tuple[Table, Column, Foreign]]) -> str:
    up: list[str] = []
    down: list[str] = []
    for table, column, foreign in late:
        opening = f"Schema::table('{table.name}', function (Blueprint $table) {{"
        up += [opening, f"    {_foreign(column.name, foreign)}", "});"]
        down += [opening, f"    $table->dropForeign({_array((column.name,))});", "});"]
    return _FILE % {"up": _indented(up), "down": _indented(down)}


def _column(column: Column) -> str:
    if column.type == "id":
        return f"$table->id('{column.name}');"
    text = f"$table->{column.type}('{column.name}'"
    if column.type == "enum":
        text += f", {_array(column.arguments)}"
    elif column.arguments:
        text += f", {', '.join(column.arguments)}"
    text += ")"
    if column.nullable:
        text += "->nullable()"
    if column.current:
        text += "->useCurrent()"
    if column.default is not None:
        text += f"->default('{column.default}')"
    return f"{text};"


def _index(index: Index) -> str:
    return f"$table->{index.kind}({_array(index.columns)}, '{index.name}');"


def _foreign(column: str, foreign: Foreign) -> str:
    return f"$table->foreign('{column}')->references('id')->on('{foreign.table}')->onDelete('{foreign.on_delete}');"


def _array(words: Iterable[str]) -> str:
    quoted = ", ".join(f"'{word}'" for word in words)
    return f"[{quoted}]"


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"        {line}" for line in lines)

"""What was done to the target's tables after the shop went live there: rows of these cannot come home to SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dixis_tui import config, shape
from dixis_tui.target import connected, identifier, query

Layout = Mapping[str, Sequence[str]]
# Stands in every line that tells of rows or values left behind.
LEFT_THERE = "cannot come home"


def layout(target: config.Target) -> dict[str, list[str]]:
    """The columns of every table of the target's database; the console's own tables and computed columns left out."""
    with connected(target) as connection:
        return {
            table: [column.name for column in columns if not column.generated]
            for table, columns in shape.all_columns(connection).items()
            if not table.startswith("_dixis")
        }


def told(target: config.Target, before: Layout) -> Iterator[str]:
    """What is otherwise than it was, in lines for people, with the commands that fetch what stays there."""
    now = layout(target)
    dump = f"mysqldump -h {target.host} -P {target.port} -u {target.user} -p {target.database}"
    for table in sorted(now.keys() - before.keys()):
        with connected(target) as connection:
            rows = int(query(connection, f"SELECT COUNT(*) FROM {identifier(table)}")[0][0])
        yield (
            f"{table}: made on MySQL since, SQLite has no such table: its {rows} rows {LEFT_THERE};"
            f" fetch them: {dump} {table} > {table}.sql"
        )
    for table in sorted(before.keys() - now.keys()):
        yield f"{table}: removed on MySQL since; SQLite has it as it was at the cutover"
    for table in sorted(now.keys() & before.keys()):
        for column in (name for name in now[table] if name not in before[table]):
            yield (
                f"{table}.{column}: added on MySQL since, SQLite has no such column: its values {LEFT_THERE};"
                f" fetch them: SELECT * FROM {identifier(table)} WHERE {identifier(column)} IS NOT NULL"
            )
        for column in (name for name in before[table] if name not in now[table]):
            yield f"{table}.{column}: removed on MySQL since; SQLite keeps the values from before, new rows have none"

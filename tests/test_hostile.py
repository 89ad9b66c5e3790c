"""A shop with trouble of every kind: told before anything is made; with the remedies applied every value arrives."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from dixis_tui import config as configuration
from dixis_tui import shape
from dixis_tui.catalogue import name as quoted
from dixis_tui.sandbox import Kind, World
from dixis_tui.target import TargetConnection, connected, execute, identifier, query
from tests.conftest import KINDS
from tests.test_migration import dixis, statuses

# The operator's word for what the target cannot hold, and the changes of values that are wanted.
REMEDIES = """
[schema]
accept = [
    "name", "inexact", "datetimes", "generated", "default", "row-size", "expression", "literal", "partial-unique",
    "partial", "primary-key", "foreign-key", "check", "collation", "trigger", "virtual", "key-size",
]

[types]
"hard_iso_moments.moment" = "DATETIME(6)"

[data]
conversions = [
    { column = "hard_invalid_utf8.body", rule = "charset", from = "iso-8859-7" },
    { column = "hard_infinities.value", rule = "quarantine" },
    { column = "hard_mixed_integers.quantity", rule = "quarantine" },
    { column = "hard_mixed_untyped.value", rule = "quarantine" },
    { column = "hard_booleans.flag", rule = "quarantine" },
    { column = "hard_big_integers.value", rule = "quarantine" },
    { column = "hard_empty_values.number", rule = "empty-to-null" },
    { column = "hard_empty_values.amount", rule = "empty-to-null" },
    { column = "hard_empty_values.moment", rule = "empty-to-null" },
    { column = "hard_far_moments.moment", rule = "quarantine" },
    { column = "hard_iso_moments.moment", rule = "iso-datetime", zone = "Europe/Athens" },
    { column = "hard_fraction_moments.moment", rule = "quarantine" },
    { column = "hard_zero_moments.moment", rule = "quarantine" },
    { column = "hard_zero_moments.day", rule = "quarantine" },
    { column = "hard_epoch_moments.moment", rule = "epoch", zone = "Europe/Athens" },
    { column = "hard_epoch_moments.moment", rule = "quarantine" },
    { column = "hard_short_moments.moment", rule = "quarantine" },
    { column = "hard_short_moments.day", rule = "quarantine" },
]
"""
# What has to be mended in the shop itself: names the target takes for one, and rows that refer to nothing.
MENDS = (
    "DROP INDEX hard_literal_indexes_region",
    'ALTER TABLE hard_case_columns RENAME COLUMN "τιμή" TO "τιμή_2"',
    'ALTER TABLE hard_case_columns RENAME COLUMN "τιμη" TO "τιμή_3"',
    """ALTER TABLE "hard `name` with ""quotes"" 'and' spaces" RENAME COLUMN "last " TO "last" """,
    "DELETE FROM favorites WHERE id = 9001",
)
LEFT_OUT = "warehouse_temperature_readings_of_the_cold_rooms_in_the_northern_regions"
MOMENTS = ("date", "datetime", "time", "timestamp")

Canonical = tuple[object, ...]


def canonical(value: object, kind: str) -> object:
    """A value in one form for both sides, nothing rounded or trimmed but the zeros of a fraction of a second."""
    if value is None:
        return None
    if isinstance(value, str):
        value = value.encode()
    if kind in MOMENTS:
        assert isinstance(value, bytes)
        return value.rstrip(b"0").rstrip(b".") if b"." in value else value
    if isinstance(value, bytes):
        return value
    if kind.endswith(("text", "char")):
        return str(value).encode()
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value))
    return format(number.normalize(), "f")


def rows_of_source(source: sqlite3.Connection, table: str, columns: dict[str, str]) -> Counter[Canonical]:
    chosen = ", ".join(quoted(column) for column in columns)
    rows = source.execute(f"SELECT {chosen} FROM {quoted(table)}")
    return Counter(tuple(canonical(v, k) for v, k in zip(row, columns.values(), strict=True)) for row in rows)


def rows_of_target(target: TargetConnection, table: str, columns: dict[str, str]) -> Counter[Canonical]:
    chosen = ", ".join(
        f"CAST({identifier(c)} AS CHAR)" if kind in MOMENTS else identifier(c) for c, kind in columns.items()
    )
    rows = query(target, f"SELECT {chosen} FROM {identifier(table)}")
    return Counter(tuple(canonical(v, k) for v, k in zip(row, columns.values(), strict=True)) for row in rows)


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_remedies_applied_every_value_arrives(kind: Kind, make_world: Callable[..., World]) -> None:
    world = make_world(server=kind, hostile=True)
    dixis(world, "preflight", code=1)
    told = dixis(world, "run", "--phase", "schema", "--yes", code=1).stdout
    assert "wait for the operator's word" in told
    with connected(configuration.load(world.config).target, admin=True, database=None) as server:
        assert query(server, "SHOW DATABASES LIKE 'dixis%'") == []

    world.config.write_text(world.config.read_text(encoding="utf-8") + REMEDIES, encoding="utf-8")
    with closing(sqlite3.connect(world.source)) as shop:
        for statement in MENDS:
            shop.execute(statement)
        shop.commit()
    with connected(configuration.load(world.config).target, admin=True, database=None) as server:
        execute(server, "SET GLOBAL max_allowed_packet = 67108864")  # for a text of 17 million bytes
    dixis(world, "preflight")
    for phase in ("schema", "data"):
        dixis(world, "run", "--phase", phase, "--yes")
    assert statuses(world)["data.counts"] == "pass"
    compare(world)


def compare(world: World, *accepted: str) -> None:
    """accepted: columns whose values were agreed to arrive in another form."""
    settings = configuration.load(world.config)
    converted = {rule.column for rule in settings.data.conversions} | set(accepted)
    set_aside = {rule.table for rule in settings.data.conversions if rule.rule == "quarantine"}
    compared = 0
    source_uri = f"{Path(world.source).as_uri()}?mode=ro"
    with closing(sqlite3.connect(source_uri, uri=True)) as source, connected(settings.target) as target:
        source.text_factory = bytes
        shapes = shape.all_columns(target)
        for (raw,) in source.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'"
        ).fetchall():
            table = raw.decode()
            if table == LEFT_OUT:
                continue
            there = shape.named(shapes, table)
            assert there, table
            have = {bytes(row[1]).decode() for row in source.execute(f"PRAGMA table_xinfo({quoted(table)})")}
            columns = {c.name: c.kind for c in there if c.name in have and f"{table}.{c.name}" not in converted}
            assert columns, table
            mine, theirs = rows_of_source(source, table, columns), rows_of_target(target, table, columns)
            # Rows set aside are missing on the target, and nothing else is missing or there too much.
            assert theirs - mine == Counter(), table
            aside = query(target, "SELECT COUNT(*) FROM _dixis_quarantine WHERE table_name = %s", (table,))[0][0]
            assert (mine - theirs).total() == int(aside), table
            assert aside == 0 or table in set_aside
            compared += 1
    assert compared > 140

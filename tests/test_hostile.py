"""A shop with trouble of every kind: told before anything is made; with the remedies applied every value arrives."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from dixis_tui import config as configuration
from dixis_tui.sandbox import Kind, World
from dixis_tui.schemas import shape
from dixis_tui.schemas.catalogue import name as quoted
from dixis_tui.schemas.catalogue import read_schema
from dixis_tui.schemas.names import target_names
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
# What has to be mended in the shop itself: an index on nothing, and rows that refer to nothing.
MENDS = ("DROP INDEX hard_literal_indexes_region", "DELETE FROM favorites WHERE id = 9001")
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


def rows_of_source(source: sqlite3.Connection, table: str, columns: Mapping[str, str]) -> Counter[Canonical]:
    chosen = ", ".join(quoted(column) for column in columns)
    rows = source.execute(f"SELECT {chosen} FROM {quoted(table)}")
    return Counter(tuple(canonical(v, k) for v, k in zip(row, columns.values(), strict=True)) for row in rows)


def rows_of_target(target: TargetConnection, table: str, columns: Mapping[str, str]) -> Counter[Canonical]:
    chosen = ", ".join(
        f"CAST({identifier(c)} AS CHAR)" if kind in MOMENTS else identifier(c) for c, kind in columns.items()
    )
    rows = query(target, f"SELECT {chosen} FROM {identifier(table)}")
    return Counter(tuple(canonical(v, k) for v, k in zip(row, columns.values(), strict=True)) for row in rows)


# The other server is migrated with the remedies that Preflight proposes, in test_checks_hostile.
@pytest.mark.parametrize("kind", KINDS[:1])
def test_with_remedies_of_ones_own_every_value_arrives(kind: Kind, make_world: Callable[..., World]) -> None:
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
    # The proof says the same as this comparison by hand.
    report = json.loads(dixis(world, "verify", "--json").stdout)
    assert report["equal"]
    assert len(report["tables"]) > 140


def compare(world: World, *accepted: str) -> None:
    """accepted: columns whose values were agreed to arrive in another form."""
    settings = configuration.load(world.config)
    converted = {rule.column for rule in settings.data.conversions} | set(accepted)
    set_aside = {rule.table for rule in settings.data.conversions if rule.rule == "quarantine"}
    compared = 0
    source_uri = f"{Path(world.source).as_uri()}?mode=ro"
    with closing(sqlite3.connect(source_uri, uri=True)) as source, connected(settings.target) as target:
        shop = read_schema(source)
        names = target_names(shop, {}, one_case=False)
        source.text_factory = bytes
        shapes = shape.all_columns(target)
        for shop_table in shop.tables:
            table = shop_table.name
            there = shape.named(shapes, names.table(table))
            assert there, table
            kinds = {column.name: column.kind for column in there}
            wanted = [c.name for c in shop_table.columns if f"{table}.{c.name}" not in converted]
            theirs_by_mine = {column: names.column(table, column) for column in wanted}
            assert wanted, table
            mine = rows_of_source(source, table, {c: kinds[own] for c, own in theirs_by_mine.items()})
            theirs = rows_of_target(target, names.table(table), {own: kinds[own] for own in theirs_by_mine.values()})
            # Rows set aside are missing on the target, and nothing else is missing or there too much.
            assert theirs - mine == Counter(), table
            aside = query(
                target, "SELECT COUNT(*) FROM _dixis_quarantine WHERE table_name = %s", (names.table(table),)
            )[0][0]
            assert (mine - theirs).total() == int(aside), table
            assert aside == 0 or table in set_aside
            compared += 1
    assert compared > 140

"""A shop with trouble of every kind: preflight names each; with its own remedies applied it is green, and was right."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from dixis_tui import config as configuration
from dixis_tui.sandbox import Kind, World
from dixis_tui.sandbox.hostile import TROUBLES
from dixis_tui.target import connected, execute
from tests.conftest import KINDS
from tests.test_hostile import compare
from tests.test_migration import change_config, dixis, statuses

# What arrives as it is and has nothing to be told as long as no narrower column is there: decimals as text, an enum
# nobody declares, a local time in a DATETIME.
QUIET = {"numeric-text", "enum-outside", "dst-gap"}
# The tables behind a virtual one, which belong to its trouble.
BELONG = {"hard_search": "virtual-table"}


def preflight(world: World, code: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(dixis(world, "preflight", "--json", code=code).stdout)
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_every_trouble_is_named_and_its_remedies_make_it_green_and_right(
    kind: Kind, make_world: Callable[..., World]
) -> None:
    world = make_world(server=kind, hostile=True)
    told = preflight(world, 1)

    named = {one["table"] for one in told["findings"]}
    assert {trouble.id for trouble in TROUBLES if trouble.table not in named} == QUIET
    planted = {trouble.table for trouble in TROUBLES}
    loud = {one["table"] for one in told["findings"] if one["status"] not in ("note", "skip")}
    assert {table for table in loud - planted if not table.startswith(tuple(BELONG))} == set()
    rows = [one for one in told["findings"] if one["check"].startswith("data.") and one["status"] == "fail"]
    assert all(one["rows"] and one["examples"] and one["remedy"] for one in rows)

    apply_remedies(world)
    told = preflight(world, 0)
    assert told["summary"]["status"] == "pass", told

    for phase in ("schema", "data"):
        dixis(world, "run", "--phase", phase, "--yes")
    assert statuses(world)["data.counts"] == "pass"
    compare(world, "hard_mixed_untyped.value")  # numbers among texts and bytes arrive as their text
    assert json.loads(dixis(world, "verify", "--json").stdout)["equal"]  # and the proof says the same


def apply_remedies(world: World) -> None:
    """What `dixis preflight --remedies` prints, done as it says."""
    put = json.loads(dixis(world, "preflight", "--json", "--remedies", code=1).stdout)
    with closing(sqlite3.connect(world.source)) as shop:
        for statement in put["source"]:
            shop.execute(statement)
        shop.commit()
    with world.config.open("a", encoding="utf-8") as file:
        file.write("\n" + put["config"] + "\n")
    with connected(configuration.load(world.config).target, admin=True, database=None) as server:
        for line in put["other"]:
            if line.startswith("SET "):
                execute(server, line)


def test_the_plans_own_mistakes_are_found_with_the_right_names(make_world: Callable[..., World]) -> None:
    world = make_world()
    text = world.config.read_text(encoding="utf-8")
    world.config.write_text(text.partition("\n[plan]")[0], encoding="utf-8")  # the plan as the operators hold it
    change_config(world, "[backup]", '[vat]\ntax = "total_tax"\n\n[backup]')
    told = preflight(world, 0)
    found = {(one["check"], one["message"]) for one in told["findings"] if one["status"] == "warn"}

    def says(check: str, *words: str) -> bool:
        return any(name == check and all(word in text for word in words) for name, text in found)

    assert says("plan.tuning", "innodb_buffer_pool_size = '1G'", "error 1232")
    assert says("plan.tuning", "query_cache_size", "error 1193", "removed in MySQL 8.0")
    assert says("plan.indexes", "idx_shipping_zones_greece", "error 1072")
    assert says("plan.sql", "total_tax", "nearest: tax_amount")
    assert says("plan.sql", "FLUSH PRIVILEGES", "1227")
    assert says("plan.columns", "total_tax", "nearest: tax_amount")
    assert says("plan.artisan", "down --message", "--render, --retry, --refresh, --secret")
    assert says("plan.artisan", "db:export", "no such command")
    assert says("plan.artisan", "migrate --force --env=production", "silently means .env")
    assert says("plan.shell", "chmod -R 755", "executable")
    assert says("plan.shell", "sed -i", "nothing in .env matches DB_CONNECTION=mysql now", "whether or not")
    assert says("plan.shell", "cp database", "write-ahead log")
    notes = [one["message"] for one in told["findings"] if one["status"] == "note"]
    assert any("idx_products_producer_active: there already" in text for text in notes)

    put = json.loads(dixis(world, "preflight", "--json", "--remedies").stdout)
    tables = world.config.read_text(encoding="utf-8").replace('[vat]\ntax = "total_tax"\n', "")
    world.config.write_text(tables + "\n" + put["config"] + "\n", encoding="utf-8")
    again = preflight(world, 0)
    assert [one for one in again["findings"] if one["status"] == "warn"] == []

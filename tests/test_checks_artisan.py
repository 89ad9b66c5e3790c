"""Where artisan builds the tables: its migrations are tried beforehand, and rows are held against what they make."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from dixis_tui import config as configuration
from dixis_tui.sandbox import Kind, World
from dixis_tui.target import connected, query
from tests.conftest import KINDS
from tests.test_migration import change_config, dixis

ONLY_SQLITE = """<?php
use Illuminate\\Database\\Migrations\\Migration;
use Illuminate\\Support\\Facades\\DB;
return new class extends Migration {
    public function up() { DB::statement('CREATE TABLE marks AS SELECT group_concat(1, 2) FROM pragma_table_list'); }
};
"""


def findings(world: World, code: int) -> dict[str, list[dict[str, Any]]]:
    told = json.loads(dixis(world, "preflight", "--json", "--only", "data", "schema", code=code).stdout)
    found: dict[str, list[dict[str, Any]]] = {}
    for one in told["findings"]:
        if one["status"] not in ("note", "skip"):
            found.setdefault(one["check"], []).append(one)
    return found


def nothing_is_left(world: World) -> None:
    with connected(configuration.load(world.config).target, admin=True, database=None) as server:
        assert query(server, "SHOW DATABASES LIKE 'dixis\\_try%'") == []
        assert query(server, "SELECT user FROM mysql.user WHERE user LIKE 'dixis\\_try%'") == []
    assert not (world.app_root / ".env.dixis").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_migrations_are_tried_and_rows_held_against_their_tables(kind: Kind, make_world: Callable[..., World]) -> None:
    world = make_world(server=kind)
    change_config(world, "\n[plan]\n", '\n[schema]\nmode = "artisan"\n\n[plan]\n')
    assert findings(world, 0) == {}
    nothing_is_left(world)

    with closing(sqlite3.connect(world.source)) as shop:
        shop.execute("UPDATE products SET name = printf('%.300c', 'x') WHERE id = 7")
        shop.execute("UPDATE orders SET created_at = '1969-12-31 23:00:00' WHERE id = (SELECT min(id) FROM orders)")
        shop.commit()
    found = findings(world, 1)
    (long,) = found["data.length"]
    assert (long["table"], long["column"], long["rows"], long["examples"][0]["key"]) == (
        "products",
        "name",
        1,
        "id = 7",
    )
    (early,) = found["data.timestamp-range"]
    assert (early["table"], early["column"], early["rows"]) == ("orders", "created_at", 1)
    assert any("products" in one["table"] for one in found["schema.differences"])

    (world.app_root / "database/migrations/2099_01_01_000000_only_sqlite.php").write_text(ONLY_SQLITE, encoding="utf-8")
    found = findings(world, 1)
    (failed,) = found["schema.migrations-run"]
    assert "SQLSTATE" in failed["message"]
    (waiting,) = found["schema.pending"]
    assert "1 migrations have not run" in waiting["message"]
    nothing_is_left(world)

"""The demo shop: 83 tables as Laravel leaves them, the same rows every time, and trouble where it is asked for."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pymysql
import pytest

from dixis_tui.model import DixisError
from dixis_tui.sandbox import RunningServer
from dixis_tui.sandbox.app import make_app
from dixis_tui.sandbox.hostile import TROUBLES, Trouble
from dixis_tui.sandbox.images import asset_paths, write_images
from dixis_tui.sandbox.migrations import write_migrations
from dixis_tui.sandbox.shop import build_shop
from dixis_tui.sandbox.shop_schema import TABLES, Table, read_description

TABLE_NAMES = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name"


@pytest.fixture(scope="module")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    build_shop(path)
    return path


@pytest.fixture
def shop(shop_file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(shop_file)) as connection:
        yield connection


@pytest.fixture(scope="module")
def hostile_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "shop.sqlite"
    build_shop(path, hostile=True)
    return path


def one(connection: sqlite3.Connection, sql: str) -> object:
    return connection.execute(sql).fetchone()[0]


def columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in connection.execute("select name from pragma_table_info(?)", (table,))}


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


# What the plan speaks of


def test_the_shop_has_83_tables_65_products_9_users_and_5_producers(shop: sqlite3.Connection) -> None:
    assert len(shop.execute(TABLE_NAMES).fetchall()) == 83
    counts = {name: one(shop, f'select count(*) from "{name}"') for (name,) in shop.execute(TABLE_NAMES).fetchall()}
    assert (counts["products"], counts["users"], counts["producers"], counts["orders"]) == (65, 9, 5, 480)
    assert [name for name, count in counts.items() if count == 0] == []


def test_build_shop_says_what_it_built(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    facts = build_shop(path)
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute(TABLE_NAMES)]
        rows = sum(connection.execute(f'select count(*) from "{name}"').fetchone()[0] for name in names)
    assert (facts.tables, facts.rows, facts.bytes) == (83, rows, path.stat().st_size)


def test_the_columns_the_plans_indexes_ask_for(shop: sqlite3.Connection) -> None:
    products, producers = columns(shop, "products"), columns(shop, "producers")
    assert {"category_id", "is_featured", "producer_id", "is_active", "name", "description"} <= products
    assert "category" not in products
    assert {"business_name", "description", "cover_image"} <= producers
    assert {"user_id", "created_at", "tax_amount"} <= columns(shop, "orders")
    assert "total_tax" not in columns(shop, "orders")
    assert not {"country", "region"} & columns(shop, "shipping_zones")
    indexed = shop.execute("select name from pragma_index_info('idx_products_producer_active')").fetchall()
    assert indexed == [("producer_id",), ("is_active",)]


def test_foreign_keys_form_cycles_and_a_table_references_itself(shop: sqlite3.Connection) -> None:
    def targets(table: str) -> set[tuple[str, str]]:
        return set(shop.execute('select "from", "table" from pragma_foreign_key_list(?)', (table,)).fetchall())

    assert ("tenant_id", "tenants") in targets("users")
    assert ("owner_id", "users") in targets("tenants")
    assert ("quote_id", "quotes") in targets("orders")
    assert ("converted_to_order_id", "orders") in targets("quotes")
    assert ("parent_id", "categories") in targets("categories")
    assert one(
        shop, "select count(*) from orders o join quotes q on o.quote_id = q.id and q.converted_to_order_id = o.id"
    )


# How Laravel writes it


def sql_of(connection: sqlite3.Connection, table: str) -> str:
    return str(one(connection, f"select sql from sqlite_master where name = '{table}'"))


def test_a_plain_table_has_laravels_words(shop: sqlite3.Connection) -> None:
    sql = sql_of(shop, "tenants")
    assert '"id" integer primary key autoincrement not null' in sql
    assert "\"status\" varchar check (\"status\" in ('active', 'suspended', 'trial')) not null default 'trial'" in sql
    assert 'foreign key("owner_id") references "users"("id") on delete set null' in sql


def test_a_rebuilt_table_lost_its_enums_and_has_bracketed_defaults(shop: sqlite3.Connection) -> None:
    sql = sql_of(shop, "orders")
    assert "\"status\" varchar not null default ('pending')" in sql
    assert 'references users("id") on delete cascade on update no action' in sql
    assert "check" not in sql
    assert "\"order_type\" varchar not null default 'b2c'" in sql


def test_a_table_rebuilt_by_doctrine_has_its_types(shop: sqlite3.Connection) -> None:
    sql = sql_of(shop, "contact_messages")
    assert 'message CLOB NOT NULL COLLATE "BINARY"' in sql
    assert "accept_terms BOOLEAN DEFAULT '0' NOT NULL" in sql


def test_varchar_and_composite_primary_keys(shop: sqlite3.Connection) -> None:
    assert 'primary key ("key")' in sql_of(shop, "cache")
    assert 'primary key ("role_id", "model_id", "model_type")' in sql_of(shop, "model_has_roles")


def test_a_description_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        read_description("[file]\nusers\n    id, string name nonsense\n")


# What the rows hold


def test_the_clean_shop_is_sound(shop: sqlite3.Connection) -> None:
    assert shop.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert shop.execute("pragma foreign_key_check").fetchall() == []


def test_vat_of_every_order_is_its_base_times_the_rate_within_a_cent(shop: sqlite3.Connection) -> None:
    apart = """
        select count(*) from orders o join (
            select order_id, sum(round(tax_amount * 100)) as tax, sum(round(total * 100)) as net,
                   sum(round(total * 100) * vat_rate / 100) as exact
            from order_items group by order_id
        ) i on i.order_id = o.id
        where round(o.tax_amount * 100) <> i.tax or round(o.subtotal * 100) <> i.net or abs(i.tax - i.exact) > 1
           or abs(o.subtotal + o.tax_amount + o.shipping_cost - o.discount_amount - o.total_amount) > 0.001
    """
    assert one(shop, apart) == 0
    assert one(shop, "select count(distinct order_id) from order_items") == 480
    lines_apart = "select count(*) from order_items where abs(tax_amount - total * vat_rate / 100.0) > 0.005001"
    assert one(shop, lines_apart) == 0
    rates = shop.execute("select distinct vat_rate from order_items order by 1").fetchall()
    assert rates == [(13,), (24,)]


def test_an_invoice_repeats_its_orders_amounts(shop: sqlite3.Connection) -> None:
    joined = "invoices i join orders o on o.id = i.order_id"
    assert one(shop, f"select count(*) from {joined}") == one(shop, "select count(*) from invoices")
    assert one(shop, f"select count(*) from {joined} where i.tax_amount <> o.tax_amount") == 0


def test_money_mixes_integers_and_reals(shop: sqlite3.Connection) -> None:
    kinds = {kind for (kind,) in shop.execute("select distinct typeof(price) from products")}
    assert kinds == {"integer", "real"}


def test_the_cache_holds_a_value_no_text_column_takes(shop: sqlite3.Connection) -> None:
    sizes = [size for (size,) in shop.execute("select length(cast(value as blob)) from cache order by 1 desc")]
    assert sizes[0] > 175_000
    assert sizes[1] > 65_535


def test_json_columns_hold_json_with_greek_letters_and_with_escapes(shop: sqlite3.Connection) -> None:
    for table in TABLES:
        for column in table.columns:
            if column.type == "json":
                name = f'"{column.name}"'
                wrong = f'select count(*) from "{table.name}" where {name} is not null and not json_valid({name})'
                assert one(shop, wrong) == 0, (table.name, column.name)
    assert one(shop, "select count(*) from products where attributes like '%\\u03%'")
    assert one(shop, "select count(*) from products where attributes like '%γυάλινο%'")


def folded(text: str) -> str:
    """Text as a collation that ignores case, accents and trailing space compares it."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).rstrip()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))
def test_no_unique_key_collides_when_case_and_accents_are_ignored(shop: sqlite3.Connection, table: Table) -> None:
    for index in table.indexes:
        if index.kind != "index":
            names = ", ".join(f'"{name}"' for name in index.columns)
            keys = [
                tuple(folded(str(value)) for value in row)
                for row in shop.execute(f'select {names} from "{table.name}"')
            ]
            kept = [key for key in keys if "none" not in key]
            assert len(set(kept)) == len(kept), index.name


# Seed and scale


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        build_shop(tmp_path / name, seed=seed)
    assert dump(tmp_path / "a") == dump(tmp_path / "b")
    assert dump(tmp_path / "a") != dump(tmp_path / "c")


def test_scale_multiplies_orders_and_their_children_and_nothing_else(tmp_path: Path, shop: sqlite3.Connection) -> None:
    build_shop(tmp_path / "large", scale=4)
    with closing(sqlite3.connect(tmp_path / "large")) as large:
        for table in ("orders", "payments"):
            assert one(large, f"select count(*) from {table}") == 4 * 480
        for table in ("order_items", "invoices", "invoice_items", "shipping_tracking_events"):
            small = one(shop, f"select count(*) from {table}")
            many = one(large, f"select count(*) from {table}")
            assert isinstance(small, int)
            assert isinstance(many, int)
            assert 3 * small < many < 5 * small, table
        assert one(large, "select count(*) from products") == 65
        assert large.execute("pragma foreign_key_check").fetchall() == []


def test_an_existing_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine.sqlite"
    path.write_bytes(b"mine")
    with pytest.raises(DixisError, match=r"mine\.sqlite exists"):
        build_shop(path)
    assert path.read_bytes() == b"mine"


# Pictures


def test_every_path_the_rows_refer_to_has_a_picture(shop_file: Path, shop: sqlite3.Connection, tmp_path: Path) -> None:
    written = write_images(shop_file, tmp_path)
    assert written == len([path for path in tmp_path.rglob("*") if path.is_file()])
    for table, column in (
        ("products", "main_image"),
        ("product_images", "path"),
        ("producers", "logo"),
        ("producers", "cover_image"),
        ("categories", "image"),
        ("users", "avatar"),
    ):
        for (path,) in shop.execute(f'select "{column}" from "{table}" where "{column}" is not null'):
            assert (tmp_path / path).stat().st_size > 200, path
    names = [path.name for path in tmp_path.rglob("*.png")]
    assert any(" " in name and not name.isascii() for name in names)


def test_pictures_are_what_their_names_say_and_the_same_every_time(shop_file: Path, tmp_path: Path) -> None:
    write_images(shop_file, tmp_path / "a")
    write_images(shop_file, tmp_path / "b")
    suffixes = set()
    for path in asset_paths(shop_file):
        content = (tmp_path / "a" / path).read_bytes()
        assert content == (tmp_path / "b" / path).read_bytes()
        suffix = Path(path).suffix
        suffixes.add(suffix)
        if suffix == ".png":
            assert content.startswith(b"\x89PNG\r\n\x1a\n")
            assert png_is_whole(content)
        elif suffix == ".jpg":
            assert content.startswith(b"\xff\xd8\xff\xe0")
            assert content.endswith(b"\xff\xd9")
        else:
            assert content.startswith(b"<svg ")
    assert suffixes == {".png", ".jpg", ".svg"}


def png_is_whole(content: bytes) -> bool:
    """Its pixels fill the width and height it declares."""
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    size = int.from_bytes(content[33:37], "big")
    return len(zlib.decompress(content[41 : 41 + size])) == height * (1 + 3 * width)


def test_paths_that_lead_elsewhere_get_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table products (main_image varchar)")
        values = [("../out.png",), ("/etc/x.png",), ("https://example.com/x.png",), (None,), ("kept.png",)]
        connection.executemany("insert into products values (?)", values)
        connection.commit()
    assert asset_paths(path) == ["kept.png"]


# Trouble


def test_the_hostile_shop_keeps_the_83_tables_and_adds_its_own(hostile_file: Path) -> None:
    with closing(sqlite3.connect(hostile_file)) as connection:
        names = {name for (name,) in connection.execute(TABLE_NAMES)}
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert {table.name for table in TABLES} < names
    assert len({trouble.id for trouble in TROUBLES}) == len(TROUBLES) > 60


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: str(trouble.id))
def test_each_trouble_is_there(hostile_file: Path, trouble: Trouble) -> None:
    with closing(sqlite3.connect(hostile_file)) as connection:
        if trouble.module and not one(
            connection, f"select count(*) from pragma_module_list where name = '{trouble.module}'"
        ):
            # An extension that a system builds into SQLite or does not; nothing of ours.
            pytest.skip(f"this SQLite has no {trouble.module}, so build_shop leaves this trouble out")
        found = connection.execute(trouble.evidence).fetchone()
        assert found is not None
        assert found[0]
        assert one(connection, f"select count(*) from sqlite_master where name = {quoted(trouble.table)}") == 1


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# The same schema on a real server, by a real artisan


def migrate(app: Path, server: RunningServer, database: str) -> str:
    """Run the application's migrations on the server as its admin; returns what artisan printed."""
    settings = {
        "APP_ENV": "production",
        "DB_CONNECTION": "mysql",
        "DB_HOST": "127.0.0.1",
        "DB_PORT": server.port,
        "DB_DATABASE": database,
        "DB_USERNAME": server.admin_user,
        "DB_PASSWORD": server.admin_password,
        "MYSQL_ATTR_SSL_CA": server.ca_file,
    }
    (app / ".env").write_text("".join(f'{key}="{value}"\n' for key, value in settings.items()), encoding="utf-8")
    done = subprocess.run(
        ["php", "artisan", "migrate", "--force", "--no-ansi"],
        cwd=app,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def comparable(value: object) -> object:
    """A value as either database gives it, in one form."""
    if isinstance(value, (int, float, Decimal)):
        return Decimal(str(value)).normalize()
    return None if value is None else str(value)


def test_migrations_build_the_same_schema_and_take_every_row_exactly(
    server: RunningServer, database: str, shop_file: Path, shop: sqlite3.Connection, tmp_path: Path
) -> None:
    app = make_app(tmp_path / "app")
    write_migrations(app.migrations)
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    migrate(app.root, server, database)

    with server.connect(database=database) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        assert sorted(name for (name,) in cursor.fetchall()) == [name for (name,) in shop.execute(TABLE_NAMES)]
        cursor.execute("SELECT migration FROM migrations ORDER BY id")
        assert list(cursor.fetchall()) == shop.execute("select migration from migrations order by id").fetchall()
        assert mysql_indexes(cursor, database) >= {
            (table.name, index.name) for table in TABLES for index in table.indexes if index.kind != "primary"
        }
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema = %s", (database,)
        )
        keys = sum(1 for table in TABLES for column in table.columns if column.foreign)
        assert cursor.fetchall() == ((keys,),)

        cursor.execute("SET SESSION sql_mode = 'TRADITIONAL,NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0")
        cursor.execute("DELETE FROM migrations")
        for table in TABLES:
            copy_and_compare(shop, cursor, table)


def mysql_indexes(cursor: pymysql.cursors.Cursor, database: str) -> set[tuple[str, str]]:
    cursor.execute(
        "SELECT DISTINCT table_name, index_name FROM information_schema.statistics WHERE table_schema = %s", (database,)
    )
    return {(str(table), str(index)) for table, index in cursor.fetchall()}


def copy_and_compare(shop: sqlite3.Connection, cursor: pymysql.cursors.Cursor, table: Table) -> None:
    names = [column.name for column in table.columns]
    listed = ", ".join(f"`{name}`" for name in names)
    rows = shop.execute(f"select {listed} from `{table.name}`").fetchall()
    cursor.executemany(f"INSERT INTO `{table.name}` ({listed}) VALUES ({', '.join(['%s'] * len(names))})", rows)
    cursor.execute("SHOW WARNINGS")
    assert cursor.fetchall() == (), table.name
    cursor.execute(f"SELECT {listed} FROM `{table.name}`")
    documents = [column.type == "json" for column in table.columns]
    expected = sorted(repr(in_one_form(row, documents)) for row in rows)
    assert sorted(repr(in_one_form(row, documents)) for row in cursor.fetchall()) == expected, table.name


def in_one_form(row: tuple[object, ...], documents: list[bool]) -> list[object]:
    return [
        json.dumps(json.loads(str(value)), sort_keys=True) if document and value is not None else comparable(value)
        for value, document in zip(row, documents, strict=True)
    ]

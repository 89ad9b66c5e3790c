"""The tables of the target: types that hold every value, every key of the source, and nothing left out in silence."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dixis_tui import schema, shape
from dixis_tui.catalogue import read_schema, scan
from dixis_tui.model import Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.target import TargetError, connected, execute, query
from dixis_tui.translate import Translation, translate
from tests.data_path import make_driver

NASTY = (
    'CREATE TABLE "tenants" ("id" integer primary key autoincrement not null, "owner_id" integer not null,'
    " \"plan\" varchar check (\"plan\" in ('basic', 'it''s \"premium\"')) not null default ('basic'),"
    ' foreign key("owner_id") references "users"("id") on delete cascade)',
    'CREATE TABLE "users" ("id" integer primary key autoincrement not null, "email" varchar not null,'
    ' "tenant_id" integer, "role" varchar not null default (\'consumer\'), "balance" numeric not null default \'0\','
    ' "is_active" tinyint(1) not null default (\'1\'), "about" text default \'nothing; yet\', "born" date,'
    ' "seen" datetime default CURRENT_TIMESTAMP, "ratio" float, "referred_by" integer,'
    ' foreign key("tenant_id") references tenants("id") on delete set null on update no action,'
    ' foreign key("referred_by") references users)',
    'CREATE UNIQUE INDEX "users_email_unique" on "users" ("email")',
    'CREATE INDEX "users_seen_index" on "users" ("seen" DESC, "role")',
    'CREATE INDEX "users_about_index" on "users" ("about")',
    'CREATE INDEX "users_lower_index" on "users" (lower("email"))',
    'CREATE UNIQUE INDEX "users_active_unique" on "users" ("role") WHERE is_active = 5',
    'CREATE INDEX "users_literal_index" on "users" ("no such column")',
    'CREATE TABLE "order" ("group" varchar, "key" integer, "rank" integer not null, "sum" integer'
    ' generated always as ("key" + 1) stored, constraint "named" unique ("group", "rank"), primary key ("key", "rank"))'
    " without rowid",
    'CREATE TABLE "πελάτες" ("όνομα" varchar(20) not null, "τιμή" numeric)',
    "CREATE VIEW active_users AS SELECT * FROM users",
    "CREATE TRIGGER stamp AFTER INSERT ON users BEGIN SELECT 1; END",
    "INSERT INTO \"πελάτες\" VALUES ('Γιώργος', 12345678901.125), ('Μαρία', 3)",
    "INSERT INTO users (id, email, balance, born) VALUES (7, 'a@example.org', 19.99, '2001-02-28')",
    "UPDATE sqlite_sequence SET seq = 41 WHERE name = 'users'",
)


def translated(statements: tuple[str, ...], *, mariadb: bool = False) -> Translation:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in statements:
            connection.execute(statement)
        found = read_schema(connection)
        contents = {table.name: scan(connection, table) for table in found.tables}
    return translate(found, contents, mariadb=mariadb, collation="utf8mb4_unicode_ci")


def column_type(translation: Translation, table: str, column: str) -> str:
    found = next(t for t in translation.tables if t.name == table)
    return next(c.type for c in found.columns if c.name == column)


def test_a_nasty_schema_is_built_whole(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, NASTY)
    outcomes = driver.make_tables()
    assert [outcome.status for outcome in outcomes] == [Status.PASS, Status.PASS, Status.WARN, Status.PASS, Status.PASS]
    told = "\n".join(outcomes[2].evidence)
    for part in (
        "users_lower_index is on an expression",
        "users_active_unique holds only WHERE is_active = 5",
        "users_literal_index is on a text that names no column",
        "active_users: is a view",
        "stamp: is a trigger",
    ):
        assert part in told
    with closing(driver.target()) as target:
        assert set(shape.table_names(target)) == {"tenants", "users", "order", "πελάτες"}
        users = {column.name: column.type for column in shape.all_columns(target)["users"]}
        assert users["id"].startswith("bigint")
        assert users["id"].endswith("unsigned")
        assert users["tenant_id"] == users["id"]
        assert users["balance"] == "decimal(10,2)"
        assert users["is_active"] == "tinyint(1)"
        assert (users["born"], users["seen"], users["ratio"]) == ("date", "datetime", "double")
        prices = {column.name: column.type for column in shape.all_columns(target)["πελάτες"]}
        assert prices == {"όνομα": "varchar(20)", "τιμή": "decimal(14,3)"}
        keys = {index.name: index for index in shape.all_indexes(target)["users"]}
        assert keys["users_email_unique"].unique
        assert keys["users_seen_index"].columns == ("seen", "role")
        assert "users_about_index" in keys
        foreign = shape.definition(target, "users").foreign_keys
        assert "ON DELETE SET NULL" in foreign["users_tenant_id_foreign"]
        assert "REFERENCES `users` (`id`)" in foreign["users_referred_by_foreign"]
        assert "ON DELETE CASCADE" in shape.definition(target, "tenants").foreign_keys["tenants_owner_id_foreign"]
        assert {index.columns for index in shape.all_indexes(target)["order"] if index.unique} == {
            ("key", "rank"),
            ("group", "rank"),
        }
        execute(target, "SET SESSION foreign_key_checks = 0")
        execute(target, "INSERT INTO users (email) VALUES ('b@example.org')")
        row = query(target, "SELECT id, role, balance, is_active, about FROM users")[0]
        assert (row[0], row[1], float(row[2]), row[3], row[4]) == (42, "consumer", 0.0, 1, "nothing; yet")
        execute(target, "INSERT INTO tenants (owner_id, plan) VALUES (1, 'it''s \"premium\"')")
        with pytest.raises(TargetError):
            execute(target, "INSERT INTO tenants (owner_id, plan) VALUES (1, 'gold')")


def test_building_again_keeps_what_is_there(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, NASTY)
    driver.make_tables()
    with closing(driver.target()) as target:
        execute(target, "CREATE INDEX one_more ON users (born)")
        execute(target, "INSERT INTO `πελάτες` VALUES ('Νίκος', 1)")
        target.commit()
    again = schema.make_tables(driver.ctx)
    assert again.evidence[0] == "created 0, already there 4, rebuilt empty leftovers 0"
    with closing(driver.target()) as target:
        assert query(target, "SELECT COUNT(*) FROM `πελάτες`") == [(1,)]
        assert "one_more" in shape.definition(target, "users").keys


def test_an_empty_leftover_is_rebuilt_and_a_table_of_others_is_not_touched(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = make_driver(server, database, tmp_path, NASTY)
    driver.snapshot()
    driver.run(schema.steps(driver.config)[:2])
    with closing(driver.target()) as target:
        execute(target, "CREATE TABLE `users` (id INT) CHARACTER SET latin1")
        execute(target, "CREATE TABLE `order` (id INT)")
        execute(target, "INSERT INTO `order` VALUES (1)")
        target.commit()
    refused = schema.make_tables(driver.ctx)
    assert refused.status is Status.FAIL
    assert [line.split(":")[1] for line in refused.evidence] == [" order"]
    with closing(driver.target()) as target:
        assert set(shape.table_names(target)) == {"users", "order"}
        execute(target, "DELETE FROM `order`")
        target.commit()
    assert schema.make_tables(driver.ctx).evidence[0] == "created 4, already there 0, rebuilt empty leftovers 2"


def test_the_account_gets_its_password_and_its_database_only(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = make_driver(server, database, tmp_path, NASTY)
    admin = driver.config.target.model_copy(update={"database": "mysql"})
    with connected(admin, admin=True) as connection:
        execute(connection, f"CREATE USER '{database}_app'@'%%' IDENTIFIED BY 'an-older-Passw0rd'".replace("%%", "%"))
    steps = schema.steps(driver.config)[:2]
    shown = "\n".join(line for step in steps if step.preview for line in step.preview(driver.ctx))
    outcomes = driver.run(steps)
    said = shown + "".join(outcome.model_dump_json() for outcome in outcomes)
    assert server.app_password not in said
    assert any("ALTER USER" in line for line in outcomes[1].evidence)
    neighbour = database.replace("_", "x")
    with connected(admin, admin=True) as connection:
        execute(connection, f"CREATE DATABASE `{neighbour}`")
    try:
        with pytest.raises(TargetError, match="may not use"), connected(driver.config.target, database=neighbour):
            pass
    finally:
        with connected(admin, admin=True) as connection:
            execute(connection, f"DROP DATABASE `{neighbour}`")
            execute(connection, f"DROP USER '{database}_app'@'%'")


def test_the_plans_indexes_are_made_once_and_missing_columns_named(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    statements = (
        "CREATE TABLE products (id INTEGER PRIMARY KEY, name VARCHAR, description TEXT, category_id INTEGER,"
        " is_featured TINYINT(1), is_active TINYINT(1))",
        "CREATE INDEX by_another_name ON products (is_active, is_featured)",
    )
    wanted = {
        "indexes": [
            {"name": "idx_category", "table": "products", "columns": ["category", "is_featured"]},
            {"name": "idx_active", "table": "products", "columns": ["is_active", "is_featured"]},
            {"name": "idx_text", "table": "products", "columns": ["description"]},
            {"name": "idx_gone", "table": "product", "columns": ["id"], "waive": "not used any more"},
        ],
        "fulltext": [{"name": "ft", "table": "products", "columns": ["name", "description"]}],
    }
    driver = make_driver(server, database, tmp_path, statements, schema=wanted)
    for _ in range(2):
        outcomes = driver.make_tables()
        assert outcomes[-2].status is Status.WARN
        assert outcomes[-2].evidence[0] == ("idx_category on products: category is not there (nearest: category_id)")
        assert outcomes[-2].remedy[0] == (
            '[[schema.indexes]] idx_category: columns = ["category_id", "is_featured"], or waive = "why"'
        )
        assert "idx_active: already there as by_another_name" in outcomes[-2].evidence
        assert any("waived: not used any more" in line for line in outcomes[-2].evidence)
        assert outcomes[-1].status is Status.PASS
    with closing(driver.target()) as target:
        indexes = {index.name: index for index in shape.all_indexes(target)["products"]}
        assert indexes["ft"].fulltext
        assert "idx_text" in indexes
        assert "idx_active" not in indexes


@pytest.mark.parametrize(
    ("declared", "values", "expected"),
    [
        ("numeric", "(1.5), (NULL)", "DECIMAL(10,2)"),
        ("numeric", "(123456789.1234)", "DECIMAL(13,4)"),
        ("numeric", "(0.1 + 0.2)", "DOUBLE"),
        ("decimal(8, 3)", "(1)", "DECIMAL(8,3)"),
        ("varchar", "('short')", "VARCHAR(255)"),
        ("varchar", "(hex(zeroblob(200)))", "TEXT"),
        ("varchar(40)", "(hex(zeroblob(25)))", "TEXT"),
        ("text", "(hex(zeroblob(40000)))", "MEDIUMTEXT"),
        ("integer", "(-5)", "BIGINT"),
        ("smallint", "(40000)", "BIGINT"),
        ("int unsigned", "(4000000000)", "INT UNSIGNED"),
        ("tinyint(1)", "(1)", "TINYINT(1)"),
        ("datetime", "('2024-01-01 10:00:00.250')", "DATETIME(3)"),
        ("date", "('2024-01-01 00:00:00')", "DATETIME"),
        ("date", "('2024-01-01')", "DATE"),
        ("time", "('10:00:00')", "TIME"),
        ("blob", "(zeroblob(70000))", "MEDIUMBLOB"),
        ("", "('text in a column without a type')", "TEXT"),
        ("", "(1)", "BIGINT"),
    ],
)
def test_types_follow_the_declaration_and_the_values(declared: str, values: str, expected: str) -> None:
    translation = translated((f"CREATE TABLE t (c {declared})", f"INSERT INTO t VALUES {values}"))
    assert column_type(translation, "t", "c") == expected
    assert not translation.errors


@pytest.mark.parametrize(
    ("declared", "values", "words"),
    [
        ("integer", "('abc')", "holds 1 texts"),
        ("integer", "(1.5)", "holds 1 reals"),
        ("numeric", "('')", "holds 1 texts"),
        ("text", "(x'00')", "holds 1 blobs"),
        ("datetime", "(1700000000)", "holds 1 integers"),
        ("datetime", "('2024-01-01T10:00:00Z')", "1 of its values are no valid"),
        ("datetime", "('0000-00-00 00:00:00')", "1 of its values are no valid"),
        ("date", "('2024-02-30')", "1 of its values are no valid"),
        ("date", "('2024-02-01'), ('2024-02-01 10:00:00')", "mixes 1 dates and 1 datetimes"),
        ("datetime", "('2024-01-01 10:00:00.1234567')", "fractions of a second of 7 digits"),
    ],
)
def test_what_cannot_be_held_is_an_error(declared: str, values: str, words: str) -> None:
    translation = translated((f"CREATE TABLE t (c {declared})", f"INSERT INTO t VALUES {values}"))
    assert [words in error.what for error in translation.errors] == [True]


def test_foreign_keys_have_equal_types_on_both_ends() -> None:
    statements = (
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b_id INT REFERENCES b (id))",
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a_id BIGINT REFERENCES a (id))",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES c)",
        "INSERT INTO c VALUES (-1, -1)",
    )
    translation = translated(statements)
    for table, column in (("a", "id"), ("a", "b_id"), ("b", "id"), ("b", "a_id")):
        assert column_type(translation, table, column) == "BIGINT UNSIGNED"
    assert column_type(translation, "c", "id") == column_type(translation, "c", "parent") == "BIGINT"


def test_names_too_long_and_foreign_keys_to_nowhere_are_told() -> None:
    long = "i" * 70
    translation = translated(
        (
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b_id INTEGER REFERENCES gone (id), c VARCHAR)",
            f"CREATE INDEX {long} ON a (c)",
        )
    )
    told = [finding.what for finding in translation.findings]
    assert any(long in what and "too long" in what for what in told)
    assert any("leads nowhere" in what for what in told)
    assert translation.tables[0].foreign_keys == ()

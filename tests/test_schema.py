"""The tables of the target: types that hold every value, every key of the source, and nothing left out in silence."""

from __future__ import annotations

import functools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dixis_tui.model import DixisError, Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.sandbox.shop import build_shop
from dixis_tui.schemas import collisions, schema, shape
from dixis_tui.schemas.catalogue import read_schema
from dixis_tui.schemas.contents import scan
from dixis_tui.schemas.expressions import column_type as column_type_of
from dixis_tui.schemas.readings import read_source
from dixis_tui.target import TargetError, connected, execute, query
from dixis_tui.translate import Abilities, Translation, translate
from tests.data_path import Driver, make_config, make_driver

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
    server = Abilities(mariadb, (10, 6) if mariadb else (8, 0, 30))
    return translate(found, contents, server=server, collation="utf8mb4_unicode_ci")


def column_type(translation: Translation, table: str, column: str) -> str:
    found = next(t for t in translation.tables if t.name == table)
    return next(c.type for c in found.columns if c.name == column)


def test_a_nasty_schema_is_built_whole(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, NASTY)
    outcomes = driver.make_tables()
    assert [outcome.status for outcome in outcomes] == [
        Status.WAIVED,
        *(Status.PASS, Status.PASS),
        Status.WARN,
        *(Status.PASS, Status.PASS),
    ]
    told = "\n".join(outcomes[3].evidence)
    for part in (
        "users_lower_index is on an expression; proposed: ",
        "users_active_unique holds only WHERE is_active = 5; proposed: ",
        "users_literal_index is on a text that names no column; proposed: it is left out",
        "active_users:view: is a view and is made",
        "stamp:trigger: is a trigger",
    ):
        assert part in told
    with closing(driver.target()) as target:
        assert set(shape.table_names(target)) == {"tenants", "users", "order", "πελάτες"}
        views = query(target, "SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE()")
        assert views == [("active_users",)]
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
        assert keys["users_active_unique"].unique
        assert "users_lower_index" in keys
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
    assert again.status is Status.WARN, again.evidence
    assert again.evidence[0] == "created 0, already there 4, rebuilt empty leftovers 0"
    with closing(driver.target()) as target:
        assert query(target, "SELECT COUNT(*) FROM `πελάτες`") == [(1,)]
        assert "one_more" in shape.definition(target, "users").keys


def test_an_empty_leftover_is_rebuilt_and_a_table_of_others_is_not_touched(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = make_driver(server, database, tmp_path, NASTY)
    driver.snapshot()
    driver.run(schema.steps(driver.config)[:3])
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
    steps = schema.steps(driver.config)[1:3]
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
    assert any(f"the key {long} is named" in what for what in told)
    assert any("leads nowhere" in what for what in told)
    assert not translation.tables[0].foreign_keys


def ids(translation: Translation) -> list[str]:
    return [finding.id for finding in translation.findings]


def create(translation: Translation, table: str = "t") -> str:
    return next(one for one in translation.tables if one.name == table).create()


def test_nothing_is_made_before_the_operators_word(server: RunningServer, database: str, tmp_path: Path) -> None:
    statements = (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, code VARCHAR, gone DATETIME)",
        "CREATE UNIQUE INDEX one_active ON t (code) WHERE gone IS NULL",
        "CREATE TRIGGER stamp AFTER INSERT ON t BEGIN SELECT 1; END",
        "INSERT INTO t (code, gone) VALUES ('a', '2024-01-01 10:00:00'), ('a', NULL)",
    )
    driver = make_driver(server, database, tmp_path, statements, schema={"indexes": [], "fulltext": [], "accept": []})
    driver.waives = False
    asked = driver.make_tables()
    assert [outcome.status for outcome in asked] == [Status.FAIL]
    assert '"t.one_active:partial-unique"' in asked[0].remedy[-1]
    assert '"stamp:trigger"' in asked[0].remedy[-1]
    driver.run(schema.steps(driver.config)[1:3])
    assert schema.make_tables(driver.ctx).status is Status.FAIL
    with closing(driver.target()) as target:
        assert shape.table_names(target) == []
    accepting = driver.config.schema_section.model_copy(update={"accept": ("t.one_active:partial-unique", "trigger")})
    driver.config = driver.config.model_copy(update={"schema_section": accepting})
    accepted = driver.make_tables()
    assert [outcome.status for outcome in accepted[:4]] == [Status.WARN, Status.PASS, Status.PASS, Status.WARN]
    assert any("one_active" in line for line in accepted[3].evidence)
    with closing(driver.target()) as target:
        execute(target, "INSERT INTO t (code, gone) VALUES ('a', '2024-01-01'), ('a', '2024-01-01'), ('a', NULL)")
        with pytest.raises(TargetError, match="Duplicate"):
            execute(target, "INSERT INTO t (code, gone) VALUES ('a', NULL)")


def test_a_waiver_counts_for_what_was_listed_only(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, NASTY)
    driver.snapshot()
    driver.run(schema.steps(driver.config)[:3])
    with closing(sqlite3.connect(driver.config.source.path)) as connection:
        connection.execute("CREATE TRIGGER later AFTER DELETE ON users BEGIN SELECT 1; END")
    driver.snapshot()
    refused = schema.make_tables(driver.ctx)
    assert refused.status is Status.FAIL
    assert [line.split(":")[1].strip() for line in refused.evidence] == ["later"]


def test_keys_the_collation_would_merge_are_named_and_kept_apart(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    statements = (
        "CREATE TABLE words (word VARCHAR NOT NULL, lang VARCHAR NOT NULL, UNIQUE (word, lang))",
        "CREATE TABLE codes (code VARCHAR PRIMARY KEY)",
        "CREATE TABLE uses (code VARCHAR REFERENCES codes (code), email VARCHAR UNIQUE)",
        "INSERT INTO words VALUES ('Ελιά', 'el'), ('ελια', 'el'), ('ελιά', 'en'), ('key', 'en'), ('key ', 'en')",
        "INSERT INTO codes VALUES ('a'), ('A')",
        "INSERT INTO uses VALUES ('a', 'x@example.org'), ('A', 'y@example.org')",
    )
    driver = make_driver(server, database, tmp_path, statements)
    outcomes = driver.make_tables()
    told = [line for line in outcomes[3].evidence if ":collation:" in line]
    assert len(told) == 2
    assert any("'Ελιά, el' = 'ελια, el'" in line and "2 groups" in line for line in told)
    with closing(driver.target()) as target:
        execute(target, "INSERT INTO words VALUES ('Ελιά', 'el'), ('ελια', 'el'), ('key', 'en'), ('key ', 'en')")
        execute(target, "INSERT INTO codes VALUES ('a'), ('A')")
        execute(target, "INSERT INTO uses (code) VALUES ('A')")
        assert "uses_code_foreign" in shape.definition(target, "uses").foreign_keys


def test_more_keys_than_one_question_holds_are_narrowed_down_first(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    statements = (
        "CREATE TABLE words (id INTEGER PRIMARY KEY, word VARCHAR UNIQUE)",
        "INSERT INTO words (word) VALUES ('Ελιά'), ('Μέλι'), ('ΕΛΙΑ'), ('Strauß'), ('Strauss')",
    )
    driver = make_driver(server, database, tmp_path, statements)
    driver.snapshot()
    driver.run(schema.steps(driver.config)[:3])
    source, _ = read_source(driver.ctx)
    table = source.tables[0]
    with closing(driver.target()) as target:
        rows = [["Ελιά"], ["Μέλι"], ["ΕΛΙΑ"], ["Strauß"], ["Strauss"]]
        index = table.indexes[0]
        ask = functools.partial(collisions.ask, target, "utf8mb4_unicode_ci", {}, table, index, index.parts, rows)
        whole, narrowed, none = ask(1 << 20), ask(60), ask(10)
    assert whole == narrowed
    assert whole is not None
    assert whole.groups == 2
    assert none is not None
    assert none.groups == 0


def test_types_of_the_configuration_come_first(server: RunningServer, database: str, tmp_path: Path) -> None:
    statements = (
        "CREATE TABLE a (id INTEGER PRIMARY KEY, price NUMERIC, data TEXT)",
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER REFERENCES a (id))",
        """INSERT INTO a VALUES (1, 2.5, '{"a": 1}')""",
    )
    types = {"a.price": "decimal(12, 4)", "a.id": "INT UNSIGNED", "a.data": "JSON"}
    driver = make_driver(server, database, tmp_path, statements, types=types)
    assert driver.make_tables()[0].status is Status.PASS
    with closing(driver.target()) as target:
        columns = {(t, c.name): c.type for t, found in shape.all_columns(target).items() for c in found}
    assert columns["a", "price"] == "decimal(12,4)"
    assert columns["a", "id"] == columns["b", "a_id"]
    assert columns["a", "id"].startswith("int")
    assert columns["a", "data"] in ("json", "longtext")


@pytest.mark.parametrize("text", ["FOO(1)", "INT DEFAULT 3", "INT, d INT", ""])
def test_a_type_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="type"):
        column_type_of(text)


def test_a_type_for_a_column_that_is_not_there_is_refused(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, NASTY, types={"users.gone": "INT"})
    with pytest.raises(DixisError, match=r"users\.gone"):
        driver.make_tables()


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("a VARCHAR DEFAULT 'it''s'", "DEFAULT 'it''s'"),
        ('a VARCHAR DEFAULT "quoted"', "DEFAULT 'quoted'"),
        ("a INTEGER DEFAULT (-5)", "DEFAULT -5"),
        ("a NUMERIC DEFAULT '1.50'", "DEFAULT '1.50'"),
        ("a DATETIME DEFAULT CURRENT_TIMESTAMP", "DEFAULT CURRENT_TIMESTAMP"),
        ("a DATE DEFAULT CURRENT_DATE", "DEFAULT (CURRENT_DATE())"),
        ("a DATETIME DEFAULT (datetime('now'))", "DEFAULT (UTC_TIMESTAMP())"),
        ("a TEXT DEFAULT 'x'", "DEFAULT ('x')"),
        ("a INTEGER DEFAULT (1 + 2 * 3)", "DEFAULT 7"),
        ("a BOOLEAN DEFAULT TRUE", "DEFAULT 1"),
        ("a BLOB DEFAULT x'00ff'", "DEFAULT (UNHEX('00ff'))"),
    ],
)
def test_defaults_are_kept(column: str, expected: str) -> None:
    translation = translated((f"CREATE TABLE t ({column})",))
    assert expected in create(translation)
    assert not translation.open(())


@pytest.mark.parametrize(
    "column", ["a INTEGER DEFAULT 'abc'", "a DATE DEFAULT ''", "a INTEGER DEFAULT (random())", "a NUMERIC DEFAULT 'x'"]
)
def test_a_default_the_target_has_not_is_a_finding(column: str) -> None:
    translation = translated((f"CREATE TABLE t ({column})",))
    assert ids(translation) == ["t.a:default"]
    assert "DEFAULT '" not in create(translation)


def test_what_each_server_can_do_is_used() -> None:
    statements = (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR, b INTEGER, c AS (b + 1) STORED, CHECK (length(a) > 2))",
        "CREATE INDEX i ON t (lower(a), b DESC)",
    )
    mysql, mariadb = create(translated(statements)), create(translated(statements, mariadb=True))
    assert "KEY `i` ((LOWER(`a`)), `b` DESC)" in mysql
    assert "`i_1` VARCHAR(255) GENERATED ALWAYS AS (LOWER(`a`)) VIRTUAL INVISIBLE" in mariadb
    assert "KEY `i` (`i_1`, `b`)" in mariadb
    for sql in (mysql, mariadb):
        assert "GENERATED ALWAYS AS (`b` + 1) STORED" in sql
        assert "CHECK (CHAR_LENGTH(`a`) > 2)" in sql


def test_a_hostile_shop_is_built_as_far_as_it_can_be(server: RunningServer, database: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.sqlite"
    build_shop(path, hostile=True)
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    driver = Driver(make_config(server, database, path, run_dir), run_dir)
    outcomes = driver.make_tables()
    assert outcomes[3].status is Status.WARN, outcomes[3]
    with closing(sqlite3.connect(path)) as connection:
        source = read_schema(connection)
    with closing(driver.target()) as target:
        made = set(shape.table_names(target))
        assert len(made) == len(source.tables)
        keys = {key for indexes in shape.all_indexes(target).values() for key in (i.name for i in indexes)}
    told = "\n".join(outcomes[3].evidence)
    renamed = [table.name for table in source.tables if table.name not in made]
    assert [len(name) > 64 for name in renamed] == [True]
    indexes = [index.name for table in source.tables for index in table.indexes if not index.constraint]
    for name in (*renamed, *indexes):
        assert name in keys or name in told
    again = schema.make_tables(driver.ctx)
    assert again.evidence[0] == f"created 0, already there {len(source.tables)}, rebuilt empty leftovers 0"


def test_differences_to_a_schema_artisan_has_built_are_told(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    statements = (
        "CREATE TABLE migrations (id INTEGER PRIMARY KEY, migration VARCHAR)",
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR, price NUMERIC, age INTEGER, gone VARCHAR,"
        " team_id INTEGER REFERENCES teams (id), status VARCHAR)",
        "CREATE TABLE teams (id INTEGER PRIMARY KEY)",
        "CREATE TABLE absent (id INTEGER PRIMARY KEY)",
        "CREATE UNIQUE INDEX users_age_unique ON users (age)",
        "INSERT INTO users VALUES (1, 'Μαρία', 1.125, 300, 'x', NULL, 'new'), (2, 'ΜΑΡΙΑ', 2, 5, NULL, NULL, 'old')",
        "INSERT INTO absent VALUES (1)",
    )
    driver = make_driver(server, database, tmp_path, statements, schema={"mode": "artisan"})
    driver.snapshot()
    driver.run(schema.steps(driver.config)[:2])
    with closing(driver.target()) as target:
        execute(target, "CREATE TABLE migrations (id INT PRIMARY KEY)")
        execute(target, "CREATE TABLE teams (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY)")
        execute(
            target,
            "CREATE TABLE users (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(3), price DECIMAL(8,2),"
            " age TINYINT, team_id BIGINT UNSIGNED, role VARCHAR(9) NOT NULL, status ENUM('new', 'it''s'),"
            " UNIQUE name_unique (name))",
        )
        execute(target, "ALTER TABLE users MODIFY name VARCHAR(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    outcome = schema.check_differences(driver.ctx)
    assert outcome.status is Status.FAIL
    told = "\n".join(outcome.evidence)
    for words in (
        "error: absent: is not there; the source has 1 row of it",
        "error: users: name: texts of up to 5 characters do not fit into varchar(3)",
        "error: users: price: values with 3 decimals would be rounded in decimal(8,2)",
        "error: users: age: values from 5 to 300 do not fit into tinyint",
        "error: users: gone is not there; the source has 1 value in it",
        "error: users: role is only on the target, NOT NULL and without a default",
        "error: users: unique key name_unique: 1 groups of rows are equal to its collation: 'Μαρία' = 'ΜΑΡΙΑ'",
        "error: users: status: 'old' is not what enum('new','it''s') has",
        "warning: users: unique index users_age_unique (age) is not there",
        "warning: users: foreign key (team_id) to teams is not there",
        "migrations: kept as artisan made it, on purpose",
    ):
        assert words in told, told


def test_an_artisan_schema_like_the_source_has_no_differences(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = make_driver(server, database, tmp_path, NASTY)
    driver.make_tables()
    outcome = schema.check_differences(driver.ctx)
    assert outcome.status is Status.WARN
    assert not [line for line in outcome.evidence if line.startswith("error")], outcome.evidence


@pytest.mark.parametrize(
    ("select", "severity", "word"),
    [
        ("SELECT id, total FROM t WHERE id > 3", "note", "is made as"),
        ("SELECT status, count(*) FROM t GROUP BY status", "warning", "by its collation"),
        ("SELECT id FROM t WHERE status = 'paid'", "warning", "by its collation"),
        ("SELECT sum(total) FROM t", "warning", "computes with fractions"),
        ("SELECT total || ' EUR' FROM t", "warning", "as a text"),
        ("SELECT length(seen) FROM t", "warning", "as a text"),
        ("SELECT id FROM t WHERE status > 5", "warning", "constant of another kind"),
    ],
)
def test_views_that_may_show_something_else_need_the_word(select: str, severity: str, word: str) -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, total NUMERIC, status VARCHAR, seen DATETIME)"
    translation = translated((table, f"CREATE VIEW v AS {select}", "INSERT INTO t VALUES (1, 10.5, 'paid', NULL)"))
    (finding,) = [one for one in translation.findings if one.kind == "view"]
    assert finding.severity == severity
    assert word in finding.what
    assert ("v" in translation.views) == (word not in ("as a text", "constant of another kind"))

"""What stops the cutover, what it takes along, and what a rollback brings back, on whole sandboxes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime

import checks
from dixis_tui import config as configuration
from dixis_tui import plan, sandbox
from dixis_tui.hosts import envfile
from dixis_tui.model import Status
from dixis_tui.runner import Runner
from dixis_tui.sandbox import World
from dixis_tui.switch import cutover
from dixis_tui.target import connected, execute, query
from tests.test_migration import artisan, change_config, dixis, source_counts


def test_data_copied_again_before_the_shop_went_live_replaces_every_row(world: World) -> None:
    for phase in ("preflight", "schema", "data"):
        dixis(world, "run", "--phase", phase, "--yes")
    with connected(configuration.load(world.config).target) as connection:
        execute(connection, "UPDATE users SET name = 'changed by a test on the target' WHERE id = 1")
        connection.commit()
    dixis(world, "run", "--phase", "data", "--yes")
    with closing(sqlite3.connect(world.source)) as shop:
        name = shop.execute("SELECT name FROM users WHERE id = 1").fetchone()[0]
    with connected(configuration.load(world.config).target) as connection:
        assert query(connection, "SELECT name FROM users WHERE id = 1")[0][0] == name


def test_what_customers_wrote_on_mysql_comes_home_even_behind_the_steps_of_the_card_by_hand(world: World) -> None:
    dixis(world, "run", "--until", "cutover", "--yes")
    # by the application itself, over its own connection
    script = (
        "require $argv[1]; $app = require 'bootstrap/app.php';"
        "$app->make(Illuminate\\Contracts\\Console\\Kernel::class)->bootstrap();"
        "Illuminate\\Support\\Facades\\DB::table('orders')->where('id', 1)->update(['notes' => 'γραμμένο στη MySQL']);"
        "echo Illuminate\\Support\\Facades\\DB::table('settings')"
        "->insertGetId(['key' => 'since', 'value' => 'new', 'created_at' => now(), 'updated_at' => now()]);"
    )
    autoload = configuration.load(world.config).app.autoload
    wrote = subprocess.run(
        ["php", "-r", script, "--", autoload],
        cwd=world.app_root,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    card = dixis(world, "card").stdout
    by_hand = card.partition("The console cannot: by hand")[2].partition("4  Keep")[0]
    commands = "\n".join(line for line in by_hand.splitlines() if line.startswith("    ") and "snapshots:" not in line)
    typed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], capture_output=True, text=True, check=False, timeout=120
    )
    assert typed.returncode == 0, typed.stderr
    assert "\nok\n" in typed.stdout
    assert json.loads(dixis(world, "status", "--json").stdout)["on_target"]  # the record does not know yet
    said = dixis(world, "rollback", "--yes").stdout
    assert "brought home from MySQL: 1 inserted, 1 updated, 0 deleted" in said
    with closing(sqlite3.connect(world.source)) as shop:
        assert shop.execute("SELECT notes FROM orders WHERE id = 1").fetchone()[0] == "γραμμένο στη MySQL"
        assert shop.execute("SELECT value FROM settings WHERE id = ?", (wrote.stdout,)).fetchone()[0] == "new"
    assert "DB_CONNECTION=sqlite" in (world.app_root / ".env").read_text(encoding="utf-8")
    assert "nothing was changed" in dixis(world, "rollback", "--recover", "--yes").stdout


def test_rollback_needs_neither_mysql_nor_a_sound_target(make_world: Callable[..., World]) -> None:
    world = make_world()
    before = (world.app_root / ".env").read_bytes()
    dixis(world, "run", "--until", "cutover", "--yes")
    server = next(process for process in sandbox.status(world.directory).processes if process.name == "server")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    change_config(world, 'database = "dixis_production"', "database = 7")
    dixis(world, "preflight", code=2)
    dixis(world, "rollback", "--yes")
    assert (world.app_root / ".env").read_bytes() == before
    assert "Yes" in artisan(world, "migrate:status")  # its own connection answers: MySQL is not there any more


def test_rollback_reads_a_file_that_is_no_toml_any_more(make_world: Callable[..., World]) -> None:
    world = make_world()
    before = (world.app_root / ".env").read_bytes()
    dixis(world, "run", "--until", "cutover", "--yes")
    change_config(world, 'host = "127.0.0.1"', "host = 127.0.0.1")
    dixis(world, "preflight", code=2)
    dixis(world, "rollback", "--yes")
    assert (world.app_root / ".env").read_bytes() == before


def test_rollback_keeps_a_database_that_is_only_busy(make_world: Callable[..., World]) -> None:
    world = make_world()
    dixis(world, "run", "--until", "cutover", "--yes")
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        with closing(sqlite3.connect(world.source, timeout=60)) as shop:
            while not stop.wait(0.01):
                shop.execute("UPDATE orders SET notes = ? WHERE id = 1", (f"late {written + 1}",))
                shop.commit()
                written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        said = dixis(world, "rollback", "--yes").stdout
    finally:
        stop.set()
        writer.join()
    assert re.search("the SQLite database is whole|it was not touched", said)
    assert list(world.source.parent.glob("*.damaged-*")) == []
    with closing(sqlite3.connect(world.source)) as shop:
        assert shop.execute("SELECT notes FROM orders WHERE id = 1").fetchone()[0] == f"late {written}"


def test_rollback_goes_on_where_the_application_does_not_even_start(make_world: Callable[..., World]) -> None:
    world = make_world()
    env = world.app_root / ".env"
    before = env.read_bytes()
    dixis(world, "run", "--until", "cutover", "--yes")
    env.write_text(env.read_text(encoding="utf-8") + "\nBROKEN=foo bar baz\n", encoding="utf-8")
    said = dixis(world, "rollback", "--yes", "--verbose").stdout
    # what the reader of .env does not understand it quotes
    assert "at [•••]" in said
    assert "foo bar baz" not in said + dixis(world, "report", "--json").stdout + dixis(world, "log").stdout
    assert "the application does not start" in said
    assert env.read_bytes() == before


def test_an_env_without_a_connection_comes_back_as_it_was(make_world: Callable[..., World]) -> None:
    world = make_world()
    env = world.app_root / ".env"
    database = world.app_root / "config/database.php"
    database.write_text(
        re.sub(r"env\('DB_CONNECTION', *'[a-z]*'\)", "env('DB_CONNECTION', 'sqlite')", database.read_text()),
    )
    env.write_text(env.read_text(encoding="utf-8").replace("DB_CONNECTION=sqlite\n", ""), encoding="utf-8")
    before = env.read_bytes()
    dixis(world, "run", "--until", "cutover", "--yes")
    assert b"DB_CONNECTION=mysql" in env.read_bytes()
    dixis(world, "rollback", "--yes")
    assert env.read_bytes() == before
    dixis(world, "rollback", "--yes")  # with nothing switched: a short maintenance, and open again
    assert not (world.app_root / "storage/framework/down").exists()


def test_a_rollback_that_was_cut_off_stands_in_the_way_until_it_is_finished(world: World) -> None:
    dixis(world, "run", "--until", "cutover", "--yes")
    with subprocess.Popen(
        [sys.executable, "-m", "dixis_tui.cli", "--config", str(world.config), "rollback", "--yes"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "rollback.environment" in line:
                os.killpg(process.pid, signal.SIGKILL)
    assert "finish it: dixis rollback" in dixis(world, "run", "--yes", code=1).stderr
    dixis(world, "rollback", "--yes")
    told = json.loads(dixis(world, "status", "--json").stdout)
    assert (told["on_target"], told["next"]) == (False, "preflight.env.secrets")


def test_nothing_is_switched_once_the_source_was_written_or_the_shop_opened(world: World) -> None:
    for phase in ("preflight", "schema", "data", "assets", "validation"):
        dixis(world, "run", "--phase", phase, "--yes")
    settings = configuration.load(world.config)
    with Runner(plan.build(settings, checks.preflight()), settings) as runner:
        for name in ("flag", "workers", "maintenance", "drain", "snapshot", "resync", "unchanged", "proof"):
            step = f"cutover.{name}"
            assert asyncio.run(runner.run_step(step)).status is Status.PASS
        artisan(world, "up")
        refused = asyncio.run(runner.run_step("cutover.environment"))
        assert (refused.status, "not in maintenance" in refused.summary) == (Status.FAIL, True)
        artisan(world, "down")
        with closing(sqlite3.connect(world.source)) as shop:
            shop.execute("UPDATE orders SET notes = 'late' WHERE id = 1")
            shop.commit()
        refused = asyncio.run(runner.run_step("cutover.environment"))
        assert (refused.status, "written after" in refused.summary) == (Status.FAIL, True)
    assert "DB_CONNECTION=sqlite" in (world.app_root / ".env").read_text(encoding="utf-8")


def test_who_would_close_the_shop_outside_the_announced_window_is_told() -> None:
    run = configuration.Run.model_validate({"environment": "rehearsal", "window_opens": "2026-01-10T02:00:00+02:00"})
    told = [
        cutover._outside_the_window(run, datetime.fromisoformat(f"2026-01-10T{at}:00+00:00"))
        for at in ("00:00", "01:59", "02:10")
    ]
    assert told == [[], [], ["PAST THE WINDOW: it ended 10 minutes ago"]]
    before = cutover._outside_the_window(run, datetime.fromisoformat("2026-01-09T22:00:00+00:00"))
    assert before == ["BEFORE THE WINDOW: it was announced to open in 2 hours"]


def test_settings_that_lead_to_the_target_are_known_whatever_the_password() -> None:
    wanted = {"DB_CONNECTION": "mysql", "DB_DATABASE": "shop", "DB_URL": "", "DB_PASSWORD": "it's $1"}
    before = "DB_CONNECTION=sqlite\nDB_URL=sqlite:///x\nDB_DATABASE=shop\n"
    assert not cutover._leads_there(before, wanted)
    assert cutover._leads_there(envfile.changed(before, wanted), wanted)


def test_rows_lost_on_the_target_stop_the_cutover(world: World) -> None:
    for phase in ("preflight", "schema", "data", "assets", "validation"):
        dixis(world, "run", "--phase", phase, "--yes")
    with connected(configuration.load(world.config).target) as connection:
        query(connection, "DELETE FROM order_items WHERE id = 1")
        connection.commit()
    said = dixis(world, "run", "--yes", code=1).stdout
    assert re.search(r"✗ fail +cutover\.resync", said)
    assert "--database dixis_production" in said
    # Whoever types the name has them put back, and only them.
    said = dixis(world, "run", "--yes", "--database", "dixis_production").stdout
    assert "order_items: re-synced, 1 inserted, 0 updated, 0 deleted" in dixis(world, "report").stdout
    assert re.search(r"✓ pass +cutover\.proof", said)


def test_a_damaged_source_is_restored_and_the_damaged_file_kept(make_world: Callable[..., World]) -> None:
    world = make_world()
    counts = source_counts(world.source)
    dixis(world, "run", "--until", "cutover", "--yes")
    damaged = b"\0" * 5000
    world.source.write_bytes(damaged)
    said = dixis(world, "rollback", "--yes").stdout
    assert "restored from the snapshot" in said
    assert source_counts(world.source) == counts
    kept = list(world.source.parent.glob("database.sqlite.damaged-*"))
    assert [path.read_bytes() for path in kept] == [damaged]


def test_what_the_open_shop_wrote_since_the_early_copy_is_taken_along(world: World) -> None:
    for phase in ("preflight", "schema", "data", "assets", "validation"):
        dixis(world, "run", "--phase", phase, "--yes")
    assert re.search(r"downtime +of the rows", dixis(world, "status").stdout)
    with closing(sqlite3.connect(world.source)) as shop:
        shop.execute("UPDATE orders SET notes = 'written late' WHERE id = 1")
        shop.execute("DELETE FROM order_items WHERE id = 2")
        shop.commit()
    said = dixis(world, "run", "--until", "cutover", "--yes").stdout
    assert re.search(r"cutover\.resync .*re-synced by \d+ rows", said)
    with connected(configuration.load(world.config).target) as connection:
        assert query(connection, "SELECT notes FROM orders WHERE id = 1")[0][0] == "written late"
        assert query(connection, "SELECT COUNT(*) FROM order_items WHERE id = 2")[0][0] == 0


def test_a_write_after_the_last_snapshot_stops_the_cutover_until_it_is_taken_along(world: World) -> None:
    for phase in ("preflight", "schema", "data", "assets", "validation"):
        dixis(world, "run", "--phase", phase, "--yes")
    settings = configuration.load(world.config)
    with Runner(plan.build(settings, checks.preflight()), settings) as runner:
        for name in ("flag", "workers", "maintenance", "drain", "snapshot", "resync"):
            assert asyncio.run(runner.run_step(f"cutover.{name}")).status is Status.PASS
    with closing(sqlite3.connect(world.source)) as shop:
        shop.execute("UPDATE orders SET notes = 'a worker nobody stopped' WHERE id = 1")
        shop.commit()
    said = dixis(world, "run", "--yes", code=1).stdout
    assert "the source was written after its snapshot" in said
    assert "dixis run --from cutover.snapshot" in said
    assert "DB_CONNECTION=sqlite" in (world.app_root / ".env").read_text(encoding="utf-8")
    dixis(world, "run", "--from", "cutover.snapshot", "--yes")
    with connected(configuration.load(world.config).target) as connection:
        assert query(connection, "SELECT notes FROM orders WHERE id = 1")[0][0] == "a worker nobody stopped"

"""The whole migration, as an operator runs it: the real command, real servers, a real application."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest

from dixis_tui import config as configuration
from dixis_tui import sandbox
from dixis_tui.sandbox import Kind, World
from dixis_tui.sandbox.shop import build_shop
from dixis_tui.target import connected, query
from tests.conftest import KINDS

Dixis = subprocess.CompletedProcess[str]


def dixis(world: World, *arguments: str, code: int = 0, **options: Any) -> Dixis:
    """Run the command line on a sandbox and expect this exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "dixis_tui.cli", "--config", str(world.config), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=300,
        **options,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def statuses(world: World) -> dict[str, str]:
    told = json.loads(dixis(world, "status", "--json").stdout)
    return {step["id"]: step["status"] for phase in told["phases"] for step in phase["steps"]}


def change_config(world: World, old: str, new: str) -> None:
    text = world.config.read_text(encoding="utf-8")
    assert old in text
    world.config.write_text(text.replace(old, new), encoding="utf-8")


def source_counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for name in names
            if not name.startswith("sqlite_")
        }


def target_counts(world: World) -> dict[str, int]:
    with connected(configuration.load(world.config).target) as connection:
        names = [str(row[0]) for row in query(connection, "SHOW TABLES")]
        return {
            name: int(query(connection, f"SELECT COUNT(*) FROM `{name}`")[0][0])
            for name in names
            if not name.startswith("_dixis")
        }


def artisan(world: World, *arguments: str) -> str:
    done = subprocess.run(
        ["php", "artisan", *arguments], cwd=world.app_root, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Dixis]]:
    """A sandbox whose shop has been taken to MySQL, and what the command said."""
    kind: Kind = request.param
    directory = tmp_path_factory.mktemp("migrated") / kind
    try:
        world = sandbox.up(directory, server=kind)
        yield world, dixis(world, "run", "--yes")
    finally:
        sandbox.down(directory)


def test_the_shop_moves_whole(migrated: tuple[World, Dixis]) -> None:
    world, said = migrated
    counts = source_counts(world.source)
    assert len(counts) == 83
    assert target_counts(world) == counts
    assert f"{sum(counts.values()):,}" in said.stdout
    assert "the shop  runs on MySQL" in said.stdout
    assert statuses(world)["cutover.open"] == "pass"


def test_preflight_finds_nothing_above_a_note_in_a_clean_shop(migrated: tuple[World, Dixis]) -> None:
    told = json.loads(dixis(migrated[0], "status", "--json").stdout)
    checks_of = next(phase for phase in told["phases"] if phase["id"] == "preflight")["steps"]
    assert {step["status"] for step in checks_of} <= {"pass", "skip"}
    assert len(checks_of) > 80


def test_the_application_runs_on_mysql_and_serves(migrated: tuple[World, Dixis]) -> None:
    world, _ = migrated
    env = (world.app_root / ".env").read_text(encoding="utf-8")
    assert "DB_CONNECTION=mysql" in env
    assert (world.app_root / ".env").stat().st_mode & 0o777 == 0o640
    assert not (world.app_root / "storage/framework/down").exists()
    assert "Yes" in artisan(world, "migrate:status")


def test_both_sides_are_backed_up_and_restore_to_equal_and_all_is_well(migrated: tuple[World, Dixis]) -> None:
    world, said = migrated
    assert ".sql.gz was made, and restored to equal" in said.stdout
    told = json.loads(dixis(world, "backup", "create", "--verify", "--json").stdout)
    kept = {one["kind"]: one for one in told["made"]}
    assert {kind: one["state"] for kind, one in kept.items()} == {"target": "verified", "source": "verified"}
    counts = source_counts(world.source)
    assert (kept["source"]["tables"], kept["source"]["rows"]) == (len(counts), sum(counts.values()))
    assert kept["target"]["tables"] > len(counts)  # and the copy's own
    assert dixis(world, "health", "--quiet").stdout == ""
    again = dixis(world, "run", "--phase", "watch", "--yes").stdout
    assert "nothing: the newest good backup of the target is" in again


def test_the_applications_own_session_is_encrypted_and_the_server_is_set_as_wanted(
    migrated: tuple[World, Dixis],
) -> None:
    world, _ = migrated
    told = json.loads(dixis(world, "report", "--json").stdout)
    steps = {step["id"]: step for phase in told["phases"] for step in phase["steps"]}
    for name in ("validation.session", "watch.session"):
        assert steps[name]["summary"].startswith("encrypted, and the server proved: TLSv1."), steps[name]
    assert steps["watch.tuning"]["status"] == "pass"
    assert steps["preflight.infra.tuning"]["status"] == "pass"


def test_every_image_is_there_with_its_mode(migrated: tuple[World, Dixis]) -> None:
    world, _ = migrated
    here = {path.relative_to(world.assets): path.read_bytes() for path in world.assets.rglob("*") if path.is_file()}
    folder = world.app_root / "storage/app/public"
    assert here
    assert {name: (folder / name).read_bytes() for name in here} == here
    assert {(folder / name).stat().st_mode & 0o777 for name in here} == {0o644}


def test_no_password_is_written_anywhere_but_where_it_belongs(migrated: tuple[World, Dixis]) -> None:
    world, said = migrated
    for secret in (path.read_text().strip() for path in world.secrets.glob("*.txt")):
        assert secret not in said.stdout + said.stderr
        for path in (world.directory / "run").rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    assert not (world.app_root / ".env.dixis").exists()


def test_a_run_that_is_done_has_nothing_to_do(migrated: tuple[World, Dixis]) -> None:
    world, _ = migrated
    said = dixis(world, "run", "--yes").stdout
    assert said.count("already done") == 7


def test_data_cannot_be_copied_again_over_the_live_target(migrated: tuple[World, Dixis]) -> None:
    world, _ = migrated
    said = dixis(world, "run", "--phase", "data", "--yes", code=1)
    assert "roll back first" in said.stderr


def test_the_report_has_every_step_and_signature(migrated: tuple[World, Dixis], tmp_path: Path) -> None:
    world, _ = migrated
    dixis(world, "report", "--output", str(tmp_path / "report.md"))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "signed as lead by Ελένη" in text
    assert "nobody looked" in text
    told = {step: status for step, status in statuses(world).items() if not step.startswith("rollback.")}
    days = {step for step in told if step.startswith("watch.day-")}
    assert {told[step] for step in days} == {"pending"}  # they have not come yet, and nobody can have signed
    assert all(step in text for step in told if step not in days)


def test_rollback_brings_the_application_back_with_the_same_rows(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = make_world()
    before = (world.app_root / ".env").read_bytes()
    counts = source_counts(world.source)
    dixis(world, "run", "--until", "cutover", "--yes")
    dixis(world, "rollback", "--yes")
    assert (world.app_root / ".env").read_bytes() == before
    assert source_counts(world.source) == counts
    assert not (world.app_root / "storage/framework/down").exists()
    assert statuses(world)["rollback.verify"] == "pass"
    told = json.loads(dixis(world, "status", "--json").stdout)
    assert (told["on_target"], told["rollbacks"], told["next"]) == (False, 1, "preflight.env.secrets")
    # What the shop may have written there is not overwritten; another database is taken instead.
    said = dixis(world, "run", "--yes", code=1).stdout
    assert "may hold what customers wrote" in said
    change_config(world, 'database = "dixis_production"', 'database = "dixis_production_2"')
    dixis(world, "run", "--phase", "schema", "--yes")
    dixis(world, "run", "--until", "cutover", "--yes")
    assert target_counts(world) == counts


def test_killed_in_the_middle_of_the_data_it_finishes_exactly(make_world: Callable[..., World], tmp_path: Path) -> None:
    source = tmp_path / "shop.sqlite"
    build_shop(source, scale=20)
    world = make_world(source=source)
    world.config.write_text(world.config.read_text(encoding="utf-8") + "\n[data]\nchunk_rows = 200\n", encoding="utf-8")
    counts = source_counts(world.source)
    dixis(world, "run", "--phase", "preflight", "--yes")
    dixis(world, "run", "--phase", "schema", "--yes")
    killed = 0
    for share in (0.1, 0.4, 0.8):
        killed += run_and_kill(world, stored=int(share * sum(counts.values())))
    assert killed, "no run was killed in the middle: the table of the test is too small for this machine"
    dixis(world, "run", "--phase", "data", "--yes")
    assert target_counts(world) == counts
    with connected(configuration.load(world.config).target) as connection:
        twice = query(connection, "SELECT id FROM order_items GROUP BY id HAVING COUNT(*) > 1")
    assert twice == []


def test_the_first_interrupt_finishes_the_chunks_in_flight(make_world: Callable[..., World], tmp_path: Path) -> None:
    source = tmp_path / "shop.sqlite"
    build_shop(source, scale=20)
    world = make_world(source=source)
    world.config.write_text(world.config.read_text(encoding="utf-8") + "\n[data]\nchunk_rows = 200\n", encoding="utf-8")
    counts = source_counts(world.source)
    dixis(world, "run", "--phase", "preflight", "--yes")
    dixis(world, "run", "--phase", "schema", "--yes")
    with start_data(world) as process:
        wait_for_rows(world, process, sum(counts.values()) // 10)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "SIGINT: stopping at the next safe point; once more stops at once" in said
    assert "everything finished so far is kept" in said
    assert "interrupted" in statuses(world).values()
    with connected(configuration.load(world.config).target) as connection:
        sums = "SELECT table_name, SUM(rows_stored) FROM _dixis_chunks GROUP BY table_name"
        stored = {str(table): int(rows) for table, rows in query(connection, sums)}
    there = {table: count for table, count in target_counts(world).items() if count}
    assert 0 < sum(there.values()) < sum(counts.values())
    assert there == {table: rows for table, rows in stored.items() if rows}
    dixis(world, "run", "--phase", "data", "--yes")
    assert target_counts(world) == counts


def test_the_second_interrupt_ends_it_at_once(world: World) -> None:
    counts = source_counts(world.source)
    dixis(world, "run", "--phase", "preflight", "--yes")
    dixis(world, "run", "--phase", "schema", "--yes")
    server = next(process for process in sandbox.status(world.directory).processes if process.name == "server")
    assert server.pid is not None
    with start_data(world) as process:
        assert process.stdout is not None
        guard = threading.Timer(120, process.kill)  # a wait that would never end becomes a failure
        guard.start()
        try:
            assert any("data.snapshot" in line for line in process.stdout)
            os.kill(server.pid, signal.SIGSTOP)  # it answers nothing more: no safe point is reached
            process.send_signal(signal.SIGINT)
            assert any("SIGINT: stopping" in line for line in process.stdout)
            process.send_signal(signal.SIGINT)
            process.wait()
        finally:
            guard.cancel()
            os.kill(server.pid, signal.SIGCONT)
    assert process.returncode == -signal.SIGINT
    dixis(world, "run", "--phase", "data", "--yes")
    assert target_counts(world) == counts


def start_data(world: World) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dixis_tui.cli", "--config", str(world.config), "run", "--phase", "data", "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_rows(world: World, process: subprocess.Popen[str], stored: int) -> None:
    """Return once so many rows are there, or the process has ended."""
    target = configuration.load(world.config).target
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with connected(target) as connection:
                rows = query(connection, "SELECT COALESCE(SUM(rows_stored), 0) FROM _dixis_chunks")
        except Exception:  # the table is made by the run itself
            continue
        if int(rows[0][0]) >= stored:
            return


def run_and_kill(world: World, *, stored: int) -> bool:
    """Run the Data phase and kill -9 it once this many rows are there; False when it ended before."""
    with start_data(world) as process:
        wait_for_rows(world, process, stored)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return process.returncode == -signal.SIGKILL


def test_one_console_drives_a_run(world: World) -> None:
    dixis(world, "run", "--phase", "preflight", "--yes")
    from dixis_tui.record.journal import Lock

    lock = Lock(world.directory / "run")
    lock.acquire("Nikos")
    try:
        said = dixis(world, "run", "--yes", code=4)
        assert "Another console drives this run: Nikos" in said.stderr
        assert json.loads(dixis(world, "status", "--json").stdout)["driven"] is True
    finally:
        lock.release()


def test_a_check_that_cannot_be_asked_is_error_and_exit_code_3(world: World) -> None:
    server = next(process for process in sandbox.status(world.directory).processes if process.name == "server")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    said = dixis(world, "preflight", code=3).stdout
    assert re.search(r"\? error +preflight\.infra\.server", said)
    assert re.search(r"✓ pass +preflight\.env\.artisan", said)
    said = dixis(world, "run", "--yes", code=3).stdout
    assert "schema.database" not in said


def test_production_wants_the_name_typed_and_signs_for_nobody(world: World) -> None:
    change_config(world, '"rehearsal"', '"production"')
    assert "must be typed" in dixis(world, "run", "--yes", code=2).stderr
    assert "must be typed" in dixis(world, "run", "--yes", "--database", "dixis", code=2).stderr
    said = dixis(world, "run", "--yes", "--database", "dixis_production", code=1).stdout
    assert "validation.test-1" in said
    assert "sign as operator" in said
    signers = ["operator=Άννα", "lead=Ελένη", "database review=Νίκος", "technical approval=Μαρία"]
    signed = [word for pair in signers for word in ("--sign", pair)]
    dixis(world, "run", "--yes", "--database", "dixis_production", *signed)
    assert statuses(world)["cutover.gate"] == "pass"


def test_without_yes_and_without_a_terminal_nothing_is_changed(world: World) -> None:
    said = dixis(world, "run", code=2)
    assert "add --yes" in said.stderr
    with pytest.raises(pymysql.err.OperationalError), sandbox_admin(world) as connection:
        connection.select_db("dixis_production")


def sandbox_admin(world: World) -> pymysql.Connection[Any]:
    target = configuration.load(world.config).target
    assert target.admin is not None
    password = target.admin.password.resolve("admin")
    ca = str(target.tls.ca)
    return pymysql.connect(
        host=target.host, port=target.port, user=target.admin.user, password=password, ssl_ca=ca, ssl_verify_cert=True
    )


def test_dry_run_shows_and_does_not(world: World) -> None:
    dixis(world, "preflight")
    said = dixis(world, "run", "--dry-run").stdout
    assert "CREATE DATABASE IF NOT EXISTS `dixis_production`" in said
    assert "IDENTIFIED BY '…'" in said
    assert set(statuses(world).values()) == {"pass", "pending", "skip"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--phase", "nonsense", "--yes"], "There is no phase named 'nonsense'"),
        (["run", "--until", "data", "--phase", "data"], "--until goes with the whole plan"),
        (["run", "--sign", "lead"], "is not ROLE=NAME"),
        (["fly"], "No such command"),
    ],
)
def test_wrong_usage_is_exit_code_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    config = tmp_path / "dixis.toml"
    shutil.copy(Path(__file__).parent.parent / "config.example.toml", config)
    done = subprocess.run(
        [sys.executable, "-m", "dixis_tui.cli", "--config", str(config), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_artisan_builds_the_schema_where_it_is_asked_to(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.config.write_text(
        world.config.read_text(encoding="utf-8") + '\n[schema]\nmode = "artisan"\n', encoding="utf-8"
    )
    dixis(world, "run", "--until", "cutover", "--yes")
    counts = source_counts(world.source)
    assert target_counts(world) == counts
    with connected(configuration.load(world.config).target) as connection:
        created = query(connection, "SHOW CREATE TABLE orders")[0][1]
    assert "decimal(10,2)" in created
    assert statuses(world)["schema.migrations"] == "pass"


def test_a_file_that_differs_only_in_its_bytes_is_sent_and_the_old_one_kept(world: World) -> None:
    for phase in ("preflight", "schema", "data", "assets"):
        dixis(world, "run", "--phase", phase, "--yes")
    image = next(path for path in (world.app_root / "storage/app/public").rglob("*") if path.is_file())
    content = bytearray(image.read_bytes())
    content[-1] ^= 1
    facts = image.stat()
    image.write_bytes(content)
    os.utime(image, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    dixis(world, "run", "--phase", "assets", "--yes")
    here = world.assets / image.relative_to(world.app_root / "storage/app/public")
    assert image.read_bytes() == here.read_bytes() != bytes(content)
    kept = list((world.app_root / "storage/dixis-replaced").rglob(image.name))
    assert [path.read_bytes() for path in kept] == [bytes(content)]

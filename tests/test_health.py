"""Every question of `dixis health` in its good and its bad states, on real servers."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dixis_tui.backups import make, manifest, restore, scratch
from dixis_tui.commands.health import LOCK
from dixis_tui.config import Account, Secret
from dixis_tui.model import Status
from dixis_tui.record.journal import Lock
from dixis_tui.sandbox import RunningServer
from dixis_tui.sandbox.processes import free_port
from dixis_tui.server import health
from dixis_tui.server.health import Reading
from tests.shop_on_target import Shop, dixis, make_shop

PASS, WARN, FAIL, SKIP = Status.PASS, Status.WARN, Status.FAIL, Status.SKIP


@pytest.fixture
def shop(server: RunningServer, database: str, tmp_path: Path) -> Shop:
    return make_shop(server, database, tmp_path)


def readings(shop: Shop, ahead: timedelta = timedelta()) -> dict[str, Reading]:
    """All readings, as they would be so much later."""
    return {reading.id: reading for reading in health.examine(shop.config, lambda: datetime.now(UTC) + ahead)}


def answer(shop: Shop, question: str, ahead: timedelta = timedelta()) -> Reading:
    return readings(shop, ahead)[question]


def settings(shop: Shop, **values: Any) -> None:
    """Change [health]."""
    shop.config = shop.config.model_copy(update={"health": shop.config.health.model_copy(update=values)})


def backed_up(shop: Shop) -> manifest.Kept:
    with manifest.alone(shop.backups):
        return scratch.verify(shop.work, make.target(shop.work))


def test_a_database_that_is_well_says_so_in_every_form(shop: Shop) -> None:
    backed_up(shop)
    told = json.loads(dixis(shop, "health", "--json").stdout)
    assert {reading["id"]: reading["status"] for reading in told["readings"]} == {
        "connection": "pass",
        "sessions": "pass",
        "tables": "pass",
        "references": "pass",
        "numbers": "pass",
        "leftovers": "pass",
        "certificate": "pass",
        "replication": "skip",
        "backup": "pass",
        "disk": "pass",
    }
    assert told["status"] == "pass"
    assert dixis(shop, "health", "--quiet").stdout == ""
    first, *rest = dixis(shop, "health", "--nagios").stdout.splitlines()
    assert first.startswith("DIXIS OK - 9 questions, all well | seconds=")
    assert " backup_age_seconds=" in first
    assert rest == []
    samples = dict(
        line.rsplit(" ", 1) for line in dixis(shop, "health", "--prometheus").stdout.splitlines() if line[0] != "#"
    )
    assert samples['dixis_health_status{question="backup"}'] == "0"
    assert float(samples["dixis_certificate_days"]) > 80
    assert float(samples["dixis_tables_checked"]) == 3


def test_a_server_that_is_not_there_is_a_failure_and_the_rest_is_still_asked(shop: Shop) -> None:
    target = shop.config.target.model_copy(update={"port": free_port()})
    shop.config = shop.config.model_copy(update={"target_section": target})
    found = readings(shop)
    assert (found["connection"].status, "does not answer" in found["connection"].summary) == (FAIL, True)
    assert {found[name].status for name in ("sessions", "tables", "references", "certificate")} == {SKIP}
    assert (found["backup"].status, found["disk"].status) == (FAIL, PASS)
    first, second, *_ = dixis(shop, "health", "--nagios", code=2).stdout.splitlines()
    assert first.startswith("DIXIS CRITICAL - connection: ")
    assert second.startswith("connection: check address")


def test_connections_and_answers_beyond_the_bounds_of_watch_warn(shop: Shop) -> None:
    watch = shop.config.watch.model_copy(update={"connections_percent": 0.1, "response_ms": 0.0001})
    shop.config = shop.config.model_copy(update={"watch": watch})
    found = readings(shop)
    assert (found["sessions"].status, found["connection"].status) == (WARN, WARN)
    assert "connections=" in dixis(shop, "health", "--nagios", code=2).stdout


def test_a_damaged_table_is_a_failure(shop: Shop) -> None:
    shop.sql("CREATE TABLE old (id INT) ENGINE=MyISAM", "INSERT INTO old VALUES (1), (2)")
    assert answer(shop, "tables").status is PASS
    shop.sql("FLUSH TABLES old", as_app=False)
    os.truncate(shop.server.directory / "data" / shop.database / "old.MYD", 1)
    found = answer(shop, "tables")
    assert (found.status, found.summary.startswith("damaged: old: ")) == (FAIL, True)
    assert found.metrics["tables_damaged"] >= 1


def test_what_a_budget_or_a_size_leaves_out_is_told_and_comes_another_minute(shop: Shop) -> None:
    settings(shop, budget=1e-9)
    found = readings(shop)
    assert [found[name].status for name in ("tables", "references")] == [PASS, PASS]
    assert found["tables"].summary == "0 of 3 tables checked, all well"
    assert found["references"].summary == "0 of 1 foreign keys followed, all well"
    settings(shop, budget=5.0, table_mib=0)
    assert "3 are too large" in answer(shop, "tables").summary
    patient = health.Patient(shop.config, None, datetime.now(UTC))  # type: ignore[arg-type]
    later = health.Patient(shop.config, None, datetime.now(UTC) + timedelta(minutes=1))  # type: ignore[arg-type]
    assert patient.order(range(50)) != later.order(range(50))


def test_rows_that_refer_to_nothing_are_a_failure(shop: Shop) -> None:
    shop.sql("SET foreign_key_checks = 0", "INSERT INTO products (producer_id, name) VALUES (4711, 'orphan')")
    found = answer(shop, "references")
    assert (found.status, "products (producer_id) to producers (id): 1 row refers" in found.summary) == (FAIL, True)


@pytest.mark.parametrize(("number", "status"), [(60, PASS), (110, WARN), (126, FAIL)])
def test_numbers_that_run_out_are_told_before(shop: Shop, number: int, status: Status) -> None:
    shop.sql("CREATE TABLE few (id TINYINT AUTO_INCREMENT PRIMARY KEY)", f"INSERT INTO few VALUES ({number})")
    found = answer(shop, "numbers")
    assert found.status is status
    assert (status is PASS) or "few.id (tinyint" in found.summary


def test_what_is_left_behind_is_named_with_how_to_remove_it(shop: Shop) -> None:
    shop.sql("CREATE TABLE _dixis_chunks (n INT)")
    assert "1 table of the migration kept for now" in answer(shop, "leftovers").summary
    settings(shop, leftover_days=0)
    found = answer(shop, "leftovers")
    assert (found.status, "_dixis_chunks" in found.summary) == (WARN, True)
    shop.sql("DROP TABLE _dixis_chunks", f"CREATE DATABASE {scratch.PREFIX}{shop.database}", as_app=False)
    try:
        settings(shop, account=Account(user=shop.server.admin_user, password=Secret(clear=shop.server.admin_password)))
        found = answer(shop, "leftovers")
        assert (found.status, found.remedy) == (WARN, (f"DROP DATABASE `{scratch.PREFIX}{shop.database}`;",))
    finally:
        shop.sql(f"DROP DATABASE {scratch.PREFIX}{shop.database}", as_app=False)
    shop.sql(f"CREATE TABLE {restore.UNDONE} (n INT)")
    assert answer(shop, "leftovers").status is FAIL


def test_a_certificate_that_ends_soon_is_told(shop: Shop) -> None:
    found = [answer(shop, "certificate", timedelta(days=days)).status for days in (0, 75, 85, 95)]
    assert found == [PASS, WARN, FAIL, FAIL]


def test_a_replica_that_stands_still_is_a_failure(shop: Shop) -> None:
    settings(shop, account=Account(user=shop.server.admin_user, password=Secret(clear=shop.server.admin_password)))
    assert answer(shop, "replication").summary == "the server is nobody's replica"
    begin, end = {
        "mysql": ("CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=1", "RESET REPLICA ALL"),
        "mariadb": ("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='x'", "RESET SLAVE ALL"),
    }[shop.server.binary.kind]
    shop.sql(begin, as_app=False)
    try:
        found = answer(shop, "replication")
        assert (found.status, found.summary.startswith("stopped (receiving: No, applying: No)")) == (FAIL, True)
    finally:
        shop.sql(end, as_app=False)
    settings(shop, account=None)
    assert "not asked" in answer(shop, "replication").summary


def test_the_backup_of_the_day_must_be_there_and_restored(shop: Shop) -> None:
    assert answer(shop, "backup").summary == "there is no good backup of the target"
    with manifest.alone(shop.backups):
        kept = make.target(shop.work)
    assert (answer(shop, "backup").status, answer(shop, "backup").remedy) == (
        WARN,
        (f"dixis backup verify {kept.path.name}",),
    )
    with manifest.alone(shop.backups):
        scratch.verify(shop.work, kept)
    found = [answer(shop, "backup", timedelta(hours=hours)).status for hours in (0, 25, 49)]
    assert found == [PASS, WARN, FAIL]
    kept.path.write_bytes(kept.path.read_bytes()[:-1])
    assert answer(shop, "backup").status is FAIL


@pytest.fixture
def small_disk(shop: Shop) -> Iterator[Path]:
    """The folder of the backups on a file system of its own, of 1 MiB."""
    shop.backups.mkdir()
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(shop.backups)], check=True)
    yield shop.backups
    if os.geteuid() == 0:
        subprocess.run(["umount", str(shop.backups)], check=True)


def test_a_disk_that_fills_warns_and_a_full_one_fails(shop: Shop, small_disk: Path) -> None:
    assert answer(shop, "disk").status is PASS
    if os.geteuid() == 0:
        filler = small_disk / "filler"
        filler.write_bytes(b"x" * (950 << 10))
        assert answer(shop, "disk").status is WARN
        filler.write_bytes(b"x" * (1020 << 10))
        assert answer(shop, "disk").status is FAIL
    else:  # only root makes file systems: the bounds are moved instead of the disk
        settings(shop, disk_warn_percent=99.999)
        assert answer(shop, "disk").status is WARN
        settings(shop, disk_fail_percent=99.999)
        assert answer(shop, "disk").status is FAIL


# From cron, every minute


def test_neither_health_nor_backups_need_the_runs_lock(shop: Shop) -> None:
    lock = Lock(shop.config.run.directory)
    lock.acquire("somebody else")
    try:
        dixis(shop, "backup", "create", "--what", "target", "--verify")
        dixis(shop, "health")
    finally:
        lock.release()


def test_one_asks_at_a_time_and_the_next_one_does_not_wait(shop: Shop) -> None:
    directory = shop.config.run.directory
    directory.mkdir()
    with (directory / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "the one before still asks" in dixis(shop, "health", "--quiet", code=1).stdout
        assert dixis(shop, "health", "--nagios", code=1).stdout.startswith("DIXIS WARNING - health: ")


def test_it_ends_in_its_time_when_the_server_says_nothing(shop: Shop) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        target = shop.config.target.model_copy(update={"port": deaf.getsockname()[1]})
        shop.config = shop.config.model_copy(update={"target_section": target})
        shop.more = "[health]\ntimeout = 2\n"
        assert "it did not end in 2 s" in dixis(shop, "health", code=2).stdout

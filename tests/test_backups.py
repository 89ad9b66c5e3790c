"""Backups on real servers: what is made restores to equal, and what went wrong half-way is never taken for one."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dixis_tui import sandbox
from dixis_tui.backups import make, manifest, prune, restore, schedule, scratch, tools
from dixis_tui.backups.judge import judge
from dixis_tui.backups.manifest import Kept
from dixis_tui.backups.streams import DumpError
from dixis_tui.config import Account, Schedule, Secret
from dixis_tui.hosts.backup import BackupError
from dixis_tui.model import Status, StoppedError
from dixis_tui.sandbox import RunningServer
from dixis_tui.target import TargetError
from tests.conftest import FOUND, KINDS
from tests.shop_on_target import PASSWORD, Shop, dixis, make_shop, written

NIGHT = datetime(2026, 11, 25, 2, 0, 5, tzinfo=UTC)
# Cannot be compressed, and more than any buffer between a server and a disk holds.
MUCH = (
    "CREATE TABLE much (id INT AUTO_INCREMENT PRIMARY KEY, v MEDIUMBLOB)",
    "INSERT INTO much (v) SELECT RANDOM_BYTES(1024) FROM information_schema.columns LIMIT 500",
    "INSERT INTO much (v) SELECT CONCAT(v, v, v, v, v, v, v, v, v, v) FROM much",
)


@pytest.fixture
def shop(server: RunningServer, database: str, tmp_path: Path) -> Shop:
    return make_shop(server, database, tmp_path)


def made(shop: Shop) -> Kept:
    with manifest.alone(shop.backups):
        return make.target(shop.work)


def verified(shop: Shop, kept: Kept) -> Kept:
    with manifest.alone(shop.backups):
        return scratch.verify(shop.work, kept)


def left(shop: Shop) -> list[str]:
    """What is in the folder of backups but for its lock."""
    return sorted(path.name for path in shop.backups.iterdir() if path.name != manifest.LOCK)


def databases(shop: Shop) -> list[str]:
    return [row[0] for row in shop.sql(f"SHOW DATABASES LIKE '{scratch.PATTERN}'", as_app=False)]


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_a_backup_has_everything_and_restores_to_equal(shop: Shop, compress: str) -> None:
    shop.configure(compress=compress)
    shop.now = lambda: NIGHT
    kept = made(shop)
    ending = {"gzip": "gz", "zstd": "zst"}[compress]
    assert left(shop) == [f"dixis_20261125.sql.{ending}", f"dixis_20261125.sql.{ending}.json"]
    assert [path.stat().st_mode & 0o777 for path in shop.backups.glob("dixis*")] == [0o600, 0o600]
    assert (kept.state, kept.manifest.sha256) == ("whole", hashlib.sha256(kept.path.read_bytes()).hexdigest())
    assert {name: table.rows for name, table in kept.manifest.tables.items()} == {
        "log": 2,
        "producers": 2,
        "products": 2,
    }
    assert all(table.sum and table.rows_after is None for table in kept.manifest.tables.values())
    assert kept.manifest.objects == {
        "views": ("a_view",),
        "triggers": ("a_trigger",),
        "routines": ("a_function", "a_procedure"),
        "events": ("an_event",),
    }
    again = verified(shop, kept)
    assert again.manifest.verified is not None
    assert again.manifest.verified.differences == ()
    assert (again.state, databases(shop)) == ("verified", [])
    text = b"".join(path.read_bytes() for path in shop.backups.iterdir())
    assert PASSWORD.encode() not in text


def test_the_days_second_backup_leaves_the_first(shop: Shop) -> None:
    shop.now = lambda: NIGHT
    first = made(shop)
    content = first.path.read_bytes()
    assert made(shop).path.name == "dixis_20261125_020005.sql.gz"
    assert made(shop).path.name == "dixis_20261125_020005_2.sql.gz"
    assert first.path.read_bytes() == content
    shop.now = lambda: NIGHT + timedelta(days=1)
    assert made(shop).path.name == "dixis_20261126.sql.gz"
    assert [kept.good for kept in manifest.look(shop.backups).kept] == [True] * 4


def test_rows_written_while_the_dump_begins_are_no_difference_and_no_promise(shop: Shop) -> None:
    shop.hear = lambda text: shop.sql("INSERT INTO log VALUES ('now')").clear() if text.startswith("dumping") else None
    kept = made(shop)
    log, products = kept.manifest.tables["log"], kept.manifest.tables["products"]
    assert (log.rows, log.rows_after, log.sum) == (2, 3, None)
    assert (products.rows_after, products.sum is None) == (None, False)
    shop.hear = lambda _: None
    assert verified(shop, kept).state == "verified"


def rewritten(kept: Kept, old: bytes, new: bytes) -> Kept:
    """A backup whose content was changed, and whose manifest was made to agree."""
    content = gzip.decompress(kept.path.read_bytes())
    assert old in content, content.decode("utf-8", "replace")
    content = content.replace(old, new)
    kept.path.write_bytes(gzip.compress(content))
    data = kept.path.read_bytes()
    sums = {"content_sha256": hashlib.sha256(content).hexdigest(), "sha256": hashlib.sha256(data).hexdigest()}
    return manifest.write(kept.path.parent, kept.manifest.model_copy(update={**sums, "size": len(data)}))


def test_what_does_not_restore_to_equal_is_told_and_no_good_backup(shop: Shop) -> None:
    kept = made(shop)
    good = kept.path.read_bytes()
    for old, new, said in (
        (b"5.99", b"5.98", "products: 2 rows, but not with the same values"),
        (b"KEY `name` (`name`)", b"KEY `other` (`name`)", "products: is built in another way"),
        (b"('null');", b"('null'),('more');", "log: 3 rows, wanted 2"),
        (b"VIEW `a_view` AS select", b"VIEW `b_view` AS select", "view a_view: is not there"),
        (b"INSERT INTO `producers`", b"INSERT INTO `nowhere`", "did not take the dump"),
    ):
        kept.path.write_bytes(good)
        failed = verified(shop, rewritten(kept, old, new))
        assert failed.manifest.verified is not None
        assert said in "; ".join(failed.manifest.verified.differences)
        assert (failed.state, failed.good) == ("failed", False)
    kept.path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    failed = verified(shop, manifest.write(shop.backups, kept.manifest))
    assert "another SHA-256" in str(failed.manifest.verified)
    kept.path.write_bytes(good[:-100])
    assert manifest.look(shop.backups).kept[0].state == "broken"
    assert manifest.look(shop.backups).newest_good() is None


def test_databases_of_killed_verifications_are_named_and_dropped_but_not_those_in_use(shop: Shop) -> None:
    kept = made(shop)
    dead, alive = f"{scratch.PREFIX}dead", f"{scratch.PREFIX}alive"
    with shop.server.connect() as other, other.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {dead}")
        cursor.execute(f"CREATE DATABASE {alive}")
        cursor.execute(f"SELECT GET_LOCK('{alive}', 0)")
        assert verified(shop, kept).state == "verified"
        assert any(dead in line for line in shop.said)
        assert databases(shop) == [alive]
        cursor.execute(f"DROP DATABASE {alive}")


def test_an_account_that_may_not_make_a_database_says_what_it_lacks(shop: Shop) -> None:
    kept = made(shop)
    target = shop.config.target
    shop.configure(account=Account(user=target.user, password=target.password))
    with pytest.raises(scratch.ScratchError) as raised:
        verified(shop, kept)
    assert "GRANT ALL PRIVILEGES ON `dixis\\_scratch\\_%`.*" in raised.value.next_step
    assert manifest.look(shop.backups).kept[0].state == "whole"


def test_routines_of_others_are_not_left_out_in_silence(shop: Shop) -> None:
    shop.sql("CREATE PROCEDURE of_admin() SELECT 1", as_app=False)
    with pytest.raises(DumpError) as raised:
        made(shop)
    assert "of_admin" in raised.value.what
    assert "[backup.account]" in raised.value.next_step
    assert left(shop) == []
    admin = Account(user=shop.server.admin_user, password=Secret(clear=shop.server.admin_password))
    shop.configure(account=admin)
    assert verified(shop, made(shop)).state == "verified"


# What goes wrong half-way


def test_a_dump_that_is_killed_is_no_backup(shop: Shop) -> None:
    shop.configure(tools=shop.tools('"$REAL" "$@" | head -c 3000\nkill -KILL $$'))
    with pytest.raises(DumpError) as raised:
        made(shop)
    assert "SIGKILL" in raised.value.what
    assert left(shop) == []


def test_a_dump_that_ends_early_without_an_error_is_no_backup(shop: Shop) -> None:
    shop.configure(tools=shop.tools('"$REAL" "$@" | head -c 3000\nexit 0'))
    with pytest.raises(DumpError) as raised:
        made(shop)
    assert "without saying that it is done" in raised.value.what
    assert left(shop) == []


def test_dixis_killed_while_it_dumps_leaves_nothing_that_counts(shop: Shop) -> None:
    shop.configure(tools=shop.tools('"$REAL" "$@" | head -c 3000\nkill -KILL $PPID\nexit 1'))
    killed = subprocess.run(
        [sys.executable, "-m", "dixis_tui.cli", "--config", str(written(shop)), "backup", "create", "--what", "target"],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert any(name.endswith(".part") for name in left(shop))
    assert any(name.startswith(manifest.CREDENTIALS) for name in left(shop))
    assert json.loads(dixis(shop, "backup", "list", "--json").stdout)["backups"] == []
    shop.configure(tools=shop.tools('exec "$REAL" "$@"'))
    kept = made(shop)
    assert left(shop) == [kept.path.name, f"{kept.path.name}.json"]


def test_a_backup_that_is_stopped_leaves_nothing(shop: Shop) -> None:
    work = shop.work
    work.stop.set()
    with manifest.alone(shop.backups), pytest.raises(StoppedError):
        make.target(work)
    assert left(shop) == []


@pytest.fixture
def small_disk(shop: Shop) -> Iterator[None]:
    """The folder of the backups on a file system of its own, of 256 KiB."""
    shop.backups.mkdir()
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(shop.backups)], check=True)
    yield
    if os.geteuid() == 0:
        subprocess.run(["umount", str(shop.backups)], check=True)


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_a_full_disk_leaves_nothing_that_counts(shop: Shop, small_disk: None, compress: str) -> None:
    shop.configure(compress=compress)
    first = made(shop)
    shop.sql(*MUCH)
    if os.geteuid() != 0:
        shop.backups.chmod(0o500)  # only root makes file systems; a folder nobody may write refuses as well
    with pytest.raises(BackupError) as raised:
        made(shop)
    shop.backups.chmod(0o700)
    assert os.geteuid() != 0 or "No space left" in raised.value.what
    assert left(shop) == [first.path.name, f"{first.path.name}.json"]
    assert manifest.look(shop.backups).newest_good() == first


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_goes_while_it_is_dumped_or_restored_leaves_no_backup(kind: sandbox.Kind, tmp_path: Path) -> None:
    server = sandbox.start_server(FOUND[kind], tmp_path / "server")
    try:
        shop = make_shop(server, "going", tmp_path)
        shop.sql(*MUCH)
        kept = made(shop)
        own = shop.config.backup.tools
        shop.configure(tools=shop.tools(f'"$REAL" "$@" | (head -c 100000; kill -KILL {server.pid}; cat)'))
        with pytest.raises((DumpError, TargetError)):  # whoever notices first: the dump program, or our own connection
            made(shop)
        assert left(shop) == [kept.path.name, f"{kept.path.name}.json"]
        server.restart()
        shop.configure(tools=own)
        shop.hear = lambda text: server.kill() if text.startswith("restoring") else None
        with pytest.raises(TargetError):
            verified(shop, kept)
        server.restart()
        assert manifest.look(shop.backups).kept[0].state == "whole"  # not restored, and not said to be bad
        shop.hear = lambda _: None
        shop.said.clear()
        assert verified(shop, kept).state == "verified"
        assert any("left behind" in line for line in shop.said)
    finally:
        server.kill()


# The server's own programs


def fake(folder: Path, name: str, version: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho '{version}'\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def test_no_program_of_this_server_or_an_old_one_is_told_with_what_to_install(shop: Shop, tmp_path: Path) -> None:
    folder = tmp_path / "others"
    folder.mkdir()
    shop.configure(tools=folder)
    mysql = shop.server.binary.kind == "mysql"
    own, other = ("MySQL", "MariaDB") if mysql else ("MariaDB", "MySQL")
    said = dixis(shop, "backup", "create", "--what", "target", "--json", code=1)
    assert f"of {own} in {folder}" in json.loads(said.stdout)["errors"][0]["what"]
    assert f"apt-get install {own.lower()}-client" in json.loads(said.stdout)["errors"][0]["next"]
    asked = dixis(shop, "preflight", "--only", "infra.backup-tools", "--json").stdout
    (one,) = json.loads(asked)["findings"]
    assert (one["status"], f"of {own} in {folder}" in one["message"]) == ("warn", True)
    ours, theirs = "mysqldump  Ver 9.9.9 for Linux", "mysqldump  Ver 10.19 Distrib 11.9.9-MariaDB"
    fake(folder, "mysqldump", theirs if mysql else ours)
    with pytest.raises(tools.ToolError) as raised:
        made(shop)
    assert f"is {other}'s" in raised.value.what
    fake(folder, "mysqldump", "mysqldump  Ver 8.0.1 for Linux" if mysql else "Ver 10.19 Distrib 10.3.1-MariaDB")
    with pytest.raises(tools.ToolError) as raised:
        made(shop)
    assert "older than the server" in raised.value.what
    assert left(shop) == []


# Restoring


def test_a_restore_puts_back_what_was_and_keeps_what_it_replaces(shop: Shop) -> None:
    kept = made(shop)
    shop.sql("DELETE FROM products", "CREATE TABLE since (n INT)", "INSERT INTO since VALUES (1)")
    refused = dixis(shop, "backup", "restore", kept.path.name, code=1)
    assert "was not typed" in refused.stderr
    refused = dixis(shop, "backup", "restore", kept.path.name, "--database", "other", code=1)
    assert "is not the name" in refused.stderr
    done = dixis(shop, "backup", "restore", kept.path.name, "--database", shop.database, "--json")
    told = json.loads(done.stdout)
    assert [row[0] for row in shop.sql("SELECT COUNT(*) FROM products")] == [2]
    assert shop.sql("SHOW TABLES LIKE 'since'") == []
    with manifest.alone(shop.backups):
        assert scratch.compare(shop.work, kept.manifest, shop.work.target()) == []
        before = manifest.find(shop.backups, told["before"])
        restore.into_target(shop.work, before, f"{shop.database}_2")
    assert shop.sql("SELECT n FROM since", as_app=False, database=f"{shop.database}_2") == [(1,)]
    shop.sql(f"DROP DATABASE {shop.database}_2", as_app=False)


def test_a_database_the_shop_works_on_is_not_replaced_without_the_word(shop: Shop) -> None:
    kept = made(shop)
    env = Path(shop.config.app.root) / ".env"
    assert restore.obstacles(shop.work, shop.database) == []
    env.write_text(f"DB_CONNECTION=mysql\nDB_DATABASE={shop.database}\n", encoding="utf-8")
    assert "and is open" in restore.obstacles(shop.work, shop.database)[0]
    assert restore.obstacles(shop.work, "another") == []
    refused = dixis(shop, "backup", "restore", kept.path.name, "--database", shop.database, code=1)
    assert "--while-shop-runs" in refused.stderr
    flag = Path(shop.config.app.root) / restore.DOWN
    flag.parent.mkdir(parents=True)
    flag.touch()
    assert restore.obstacles(shop.work, shop.database) == []
    with shop.connect():
        assert restore.obstacles(shop.work, shop.database) == [f"1 connection of {shop.config.target.user} open there"]
    env.unlink()
    assert "it is not known" in restore.obstacles(shop.work, shop.database)[0]
    word = ("--database", shop.database, "--while-shop-runs")
    assert "although it is not known" in dixis(shop, "backup", "restore", "latest", *word).stderr


def test_a_restore_that_does_not_come_to_its_end_is_marked_and_says_how_to_go_back(shop: Shop) -> None:
    kept = rewritten(made(shop), b"INSERT INTO `producers`", b"INSERT INTO `nowhere`")
    with manifest.alone(shop.backups), pytest.raises(DumpError) as raised:
        restore.into_target(shop.work, kept, shop.database)
    before = manifest.look(shop.backups).kept[-1]
    assert f"{shop.database} is NOT whole now" in raised.value.safe
    assert f"dixis backup restore {before.path.name}" in raised.value.next_step
    assert shop.sql("SHOW TABLES LIKE '\\_dixis%'")
    with manifest.alone(shop.backups):
        done = restore.into_target(shop.work, before, shop.database)
    assert done.before is None  # the half of a restore is not kept
    assert shop.sql("SHOW TABLES LIKE '\\_dixis%'") == []
    assert shop.sql("SELECT COUNT(*) FROM products") == [(2,)]


# The source, and the command line


@pytest.fixture(scope="module")
def one(start_once: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop for what does not depend on the server."""
    server: RunningServer = start_once(KINDS[-1])  # type: ignore[operator]
    yield make_shop(server, "backups_one", tmp_path_factory.mktemp("one"))
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE backups_one")


@pytest.fixture
def again(one: Shop) -> Shop:
    """The same without any backup."""
    shutil.rmtree(one.backups, ignore_errors=True)
    one.now = type(one).now
    return one


def test_the_source_is_copied_where_it_was_written_since(again: Shop, tmp_path: Path) -> None:
    first = json.loads(dixis(again, "backup", "create", "--verify", "--json").stdout)
    assert [(kept["kind"], kept["state"]) for kept in first["made"]] == [("target", "verified"), ("source", "verified")]
    second = json.loads(dixis(again, "backup", "create", "--json").stdout)
    assert [kept["kind"] for kept in second["made"]] == ["target"]
    assert "was not written since" in second["notes"][0]
    with closing(sqlite3.connect(again.config.source.path)) as source:
        source.execute("INSERT INTO users VALUES (NULL)")
        source.commit()
    third = json.loads(dixis(again, "backup", "create", "--what", "source", "--json").stdout)
    name = third["made"][0]["name"]
    assert (third["made"][0]["rows"], name.startswith("dixis_source_")) == (first["made"][1]["rows"] + 1, True)
    assert "never written" in dixis(again, "backup", "restore", name, code=1).stderr
    into = tmp_path / "restored.sqlite"
    dixis(again, "backup", "restore", name, "--into", str(into))
    with closing(sqlite3.connect(into)) as restored:
        assert restored.execute("SELECT count(*) FROM users").fetchone()[0] == third["made"][0]["rows"]
    assert "is there already" in dixis(again, "backup", "restore", name, "--into", str(into), code=1).stderr


def test_one_command_at_a_time_works_on_the_backups(again: Shop) -> None:
    again.backups.mkdir()
    with (again.backups / manifest.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        dixis(again, "backup", "create", code=4)
        assert json.loads(dixis(again, "backup", "list", "--json").stdout) == {"backups": [], "strays": []}
    (again.backups / "dixis_20261125.sql.gz").write_bytes(b"half")
    assert "has no whole manifest" in dixis(again, "backup", "list").stdout
    assert "has no manifest" in dixis(again, "backup", "verify", "dixis_20261125.sql.gz", code=1).stderr


# Pruning


def aged(shop: Shop, *days: int) -> list[Kept]:
    """Backups made so many days after the first night."""
    kept = []
    for day in days:
        moment = NIGHT + timedelta(days=day)
        shop.now = lambda moment=moment: moment  # type: ignore[misc]
        kept.append(made(shop))
    return kept


def test_pruning_keeps_the_retention_days_and_never_the_last_good_one(again: Shop) -> None:
    first, second, third = aged(again, 0, 20, 40)
    folder = manifest.look(again.backups)

    def removed(day: float) -> list[str]:
        planned = prune.plan(manifest.look(again.backups), NIGHT + timedelta(days=day), 30)
        assert len(planned.remove) + len(planned.keep) == 3
        return [kept.path.name for kept, _ in planned.remove]

    assert removed(29.9) == []
    assert removed(30.1) == [first.path.name]
    assert removed(50.1) == [first.path.name, second.path.name]
    # A clock that is years ahead, or behind, takes nothing that would be missed.
    assert removed(4000) == [first.path.name, second.path.name]
    assert removed(-4000) == []
    # The last one does not restore: the one before is the last good one.
    manifest.write(again.backups, third.manifest.model_copy(update={"verified": _answer(equal=False)}))
    assert removed(4000) == [first.path.name, third.path.name]
    # One that was restored counts more than a newer one that was not tried.
    manifest.write(again.backups, first.manifest.model_copy(update={"verified": _answer(equal=True)}))
    assert removed(4000) == [second.path.name, third.path.name]
    assert manifest.look(again.backups).last_good("target") is not None
    assert folder.strays == ()


def _answer(*, equal: bool) -> manifest.Verified:
    return manifest.Verified(at=NIGHT, equal=equal, differences=() if equal else ("log: is not there",))


def test_pruning_shows_first_and_removes_only_when_told(again: Shop) -> None:
    first, second = aged(again, -100, 0)
    stray = again.backups / "dixis_20250101.sql.gz"
    stray.write_bytes(b"half")
    os.utime(stray, (1, 1))
    shown = dixis(again, "backup", "prune")
    assert f"remove  {first.path.name}" in shown.stdout
    assert f"remove  {stray.name}  no backup" in shown.stdout
    assert "nothing was removed" in shown.stdout
    assert json.loads(dixis(again, "backup", "prune", "--dry-run", "--yes", "--json").stdout)["would_remove"] == [
        first.path.name,
        stray.name,
    ]
    assert first.path.exists()
    told = json.loads(dixis(again, "backup", "prune", "--yes", "--json").stdout)
    assert told["removed"] == [first.path.name, stray.name]
    assert left(again) == [second.path.name, f"{second.path.name}.json"]


def test_what_counts_as_a_good_backup(again: Shop) -> None:
    def answer(hours: float) -> Status:
        return judge(manifest.look(again.backups), "target", NIGHT + timedelta(hours=hours), 24).status

    assert answer(0) is Status.FAIL
    (kept,) = aged(again, 0)
    assert answer(1) is Status.WARN
    manifest.write(again.backups, kept.manifest.model_copy(update={"verified": _answer(equal=True)}))
    assert [answer(hours) for hours in (1, 23, 25, 49)] == [Status.PASS, Status.PASS, Status.WARN, Status.FAIL]
    (newer,) = aged(again, 1)
    manifest.write(again.backups, newer.manifest.model_copy(update={"verified": _answer(equal=False)}))
    assert [answer(hours) for hours in (25, 49)] == [Status.WARN, Status.FAIL]


# The schedule

CRONTABS = Path("/var/spool/cron/crontabs")


def test_the_schedule_is_one_marked_line_of_a_crontab_and_no_other_is_touched(again: Shop) -> None:
    config = written(again)
    dixis_at = f"{sys.executable} -m dixis_tui.cli --config {config} backup schedule"
    script = f"""
set -e
printf 'MAILTO=shop\\n# dixis-backup of old\\n5 4 * * * true %% x\\n' | crontab -
! {dixis_at} show >/dev/null
{dixis_at} install >/dev/null
{dixis_at} install >/dev/null
{dixis_at} show --json
echo ---
crontab -l
echo ---
{dixis_at} remove >/dev/null
{dixis_at} remove
crontab -l
"""
    if os.geteuid() == 0:  # a spool of its own, which nobody else sees
        command = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs tmpfs {CRONTABS}; {script}"]
    else:
        command = ["sh", "-c", f"PATH={_spool(again.folder)}:$PATH; {script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    shown, table, removed = done.stdout.split("---\n")
    told = json.loads(shown)
    others = ["MAILTO=shop", "# dixis-backup of old", "5 4 * * * true % x"]
    assert told["as_wanted"]
    assert table.splitlines() == [*others, *told["lines"]]
    (line,) = told["lines"]
    assert line.startswith("0 2 * * * ")
    assert line.endswith("backup create --verify --prune --quiet # dixis-backup dixis")
    assert removed.splitlines() == ["nothing of ours on this machine", *others]


def _spool(folder: Path) -> Path:
    """A folder with a crontab program for one who is not root: it keeps its table in a file."""
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    program = place / "crontab"
    program.write_text(f'#!/bin/sh\nif [ "$1" = -l ]; then cat {folder}/tab; else cat >{folder}/tab; fi\n')
    program.chmod(0o755)
    return place


def test_a_schedule_that_would_have_no_password_at_night_is_refused(again: Shop) -> None:
    secret = Secret(env="SHOP_PASSWORD")
    config = again.config
    target = config.target.model_copy(update={"password": secret})
    alone = Shop(again.server, config.model_copy(update={"target_section": target}), again.folder)
    with pytest.raises(schedule.ScheduleError) as raised:
        schedule.command(alone.work, Path("dixis.toml"))
    assert "SHOP_PASSWORD" in raised.value.what
    alone.configure(schedule=Schedule(command="/opt/dixis backup create"))
    assert schedule.command(alone.work, Path("dixis.toml")) == "/opt/dixis backup create"


@pytest.mark.parametrize(
    ("times", "calendar"),
    [
        ("0 2 * * *", "*-*-* 2:0:00"),
        ("*/15 1-3,5 * * *", "*-*-* 1..3,5:0/15:00"),
        ("30 4 1,15 */2 *", "*-1/2-1,15 4:30:00"),
        ("0 2 * * 1-5", "Mon,Tue,Wed,Thu,Fri *-*-* 2:0:00"),
        ("0 2 * * 7", "Sun *-*-* 2:0:00"),
    ],
)
def test_a_crontabs_times_as_a_timer_has_them(times: str, calendar: str) -> None:
    assert schedule.on_calendar(Schedule(times=times).times) == calendar


def test_times_that_no_clock_shows_are_refused() -> None:
    for times in ("0 2 * *", "60 2 * * *", "0 2 0 * *", "0 5-2 * * *", "0 2 * * mon", "0 2 * * *\n* * * * * evil"):
        with pytest.raises(ValueError, match=r"five fields|is no number"):
            Schedule(times=times)
    with pytest.raises(schedule.ScheduleError):
        schedule.on_calendar("0 2 1 * 1")

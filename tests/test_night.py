"""The night goes wrong: the console killed after every step, servers and artisan failing; each time a clear end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import checks
from dixis_tui import config as configuration
from dixis_tui import plan, sandbox
from dixis_tui.model import Outcome, Status
from dixis_tui.openrun import Listener
from dixis_tui.record.journal import Event
from dixis_tui.runner import Runner
from dixis_tui.sandbox import World
from dixis_tui.sandbox.processes import free_port, wait_until
from dixis_tui.switch import cutover, rollback
from dixis_tui.target import connected, execute, query
from tests.conftest import KINDS
from tests.test_migration import artisan, dixis, statuses

BEFORE = ("preflight", "schema", "data", "assets", "validation")


class Night:
    """One sandbox whose shop stands before the cutover, and is put there again before each test."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.env = world.app_root / ".env"
        for phase in BEFORE:
            dixis(world, "run", "--phase", phase, "--yes")
        self.sqlite_env = self.env.read_bytes()
        self.run = world.directory / "run"
        self.kept = world.directory.parent / "run-before"
        shutil.copytree(self.run, self.kept)
        self.artisan = (world.app_root / "artisan").read_bytes()

    def again(self) -> None:
        """The application on SQLite and open, and a journal that stands before the cutover."""
        shutil.rmtree(self.run)
        shutil.copytree(self.kept, self.run)
        self.env.write_bytes(self.sqlite_env)
        (self.world.app_root / "artisan").write_bytes(self.artisan)
        for left in self.world.app_root.glob(".env.before-mysql-*"):
            left.unlink()
        for name in ("down", "maintenance.php"):
            (self.world.app_root / "storage/framework" / name).unlink(missing_ok=True)
        (self.world.app_root / "bootstrap/cache/config.php").unlink(missing_ok=True)
        self.world.source.chmod(0o644)

    @property
    def closed(self) -> bool:
        return (self.world.app_root / "storage/framework/down").exists()

    @property
    def on_mysql(self) -> bool:
        return b"DB_CONNECTION=mysql" in self.env.read_bytes()

    def runner(self) -> Runner:
        settings = configuration.load(self.world.config)
        return Runner(plan.build(settings, checks.preflight()), settings)

    def go(self, last: str, listener: Listener = lambda _: None, **app: object) -> Outcome:
        """Run the steps of the cutover up to this one, which the listener hears of; its outcome."""
        settings = configuration.load(self.world.config)
        settings = settings.model_copy(update={"app": settings.app.model_copy(update=app)})
        with Runner(plan.build(settings, checks.preflight()), settings) as runner:
            for step in runner.plan.phase("cutover").steps:
                if step.id == last:
                    runner.listen(listener)
                if not runner.state.step(step.id).status.settled:
                    outcome = asyncio.run(runner.run_step(step.id))
                    if step.id == last:
                        return outcome
                    assert outcome.status.settled, outcome
        raise AssertionError(f"{last} was not reached")

    def note_on_mysql(self, text: str | None) -> None:
        with connected(configuration.load(self.world.config).target) as connection:
            execute(connection, "UPDATE orders SET notes = %s WHERE id = 1", [text])
            connection.commit()

    def artisan_is(self, php: str) -> None:
        (self.world.app_root / "artisan").write_text(f"<?php {php}", encoding="utf-8")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    directory = tmp_path_factory.mktemp("night") / "sandbox"
    try:
        yield Night(sandbox.up(directory, server=KINDS[-1]))
    finally:
        sandbox.down(directory)


@pytest.fixture
def night(shared: Night) -> Night:
    shared.again()
    return shared


def killed_after(world: World, step: str, *arguments: str) -> None:
    """Run the command, and kill -9 it when this step has ended."""
    with subprocess.Popen(
        [sys.executable, "-m", "dixis_tui.cli", "--config", str(world.config), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            # the line of a step that has ended: glyph, status, id
            if line.split()[2:3] == [step]:
                os.killpg(process.pid, signal.SIGKILL)
                break
        else:
            raise AssertionError(f"{step} never ended")
        process.communicate()
    assert process.returncode == -signal.SIGKILL


CUTOVER = [step.id for step in cutover.steps(configuration.Config.model_construct(app=configuration.App(root="/")))]
ROLLBACK = [
    step.id for step in rollback.phase(configuration.Config.model_construct(app=configuration.App(root="/"))).steps
]


def test_killed_after_every_step_of_the_cutover_it_goes_on_to_its_end(night: Night) -> None:
    for step in CUTOVER:
        if statuses(night.world)[step] == "pass":
            continue  # it takes no time, and had ended before the kill behind the one before it
        killed_after(night.world, step, "run", "--until", "cutover", "--yes")
        assert night.closed == (
            CUTOVER.index("cutover.maintenance") <= CUTOVER.index(step) < CUTOVER.index("cutover.open")
        )
        assert night.on_mysql == (CUTOVER.index(step) >= CUTOVER.index("cutover.environment"))
    dixis(night.world, "run", "--until", "cutover", "--yes")
    told = statuses(night.world)
    assert {told[step] for step in CUTOVER} == {"pass"}
    assert night.world.source.stat().st_mode & 0o222 == 0
    assert "Yes" in artisan(night.world, "migrate:status")


@pytest.mark.parametrize("step", ["cutover.maintenance", "cutover.environment", "cutover.open", "cutover.keep"])
def test_killed_within_the_cutover_the_rollback_leads_back(night: Night, step: str) -> None:
    killed_after(night.world, step, "run", "--until", "cutover", "--yes")
    dixis(night.world, "rollback", "--yes")
    assert (night.closed, night.on_mysql, night.env.read_bytes()) == (False, False, night.sqlite_env)
    with closing(sqlite3.connect(night.world.source)) as shop:
        shop.execute("UPDATE orders SET notes = notes WHERE id = 1")
        shop.rollback()
    assert night.world.source.stat().st_mode & 0o777 == 0o644


def test_killed_after_every_step_of_the_rollback_it_comes_to_its_end(night: Night) -> None:
    dixis(night.world, "run", "--until", "cutover", "--yes")
    for step in ROLLBACK[:-1]:
        killed_after(night.world, step, "rollback", "--yes")
        assert night.closed
    with closing(sqlite3.connect(night.world.source)) as shop:
        before = shop.execute("SELECT notes FROM orders WHERE id = 1").fetchone()[0]
    late = ["a job that was not over yet"]

    def heard(notice: object) -> None:
        if isinstance(notice, Event) and notice.data.get("step") == "rollback.verify" and late:
            night.note_on_mysql(late.pop())

    with night.runner() as runner:
        runner.listen(heard)
        assert asyncio.run(runner.rollback()) is Status.PASS
        told = runner.state.step("rollback.verify").outcome
        assert told is not None
        assert "brought home from MySQL: 0 inserted, 1 updated, 0 deleted" in told.evidence
    with closing(sqlite3.connect(night.world.source)) as shop:
        assert shop.execute("SELECT notes FROM orders WHERE id = 1").fetchone() == ("a job that was not over yet",)
        shop.execute("UPDATE orders SET notes = ? WHERE id = 1", (before,))
        shop.commit()
    night.note_on_mysql(before)
    killed_after(night.world, ROLLBACK[-1], "rollback", "--yes")
    assert (night.closed, night.env.read_bytes()) == (False, night.sqlite_env)
    assert "Yes" in artisan(night.world, "migrate:status")


def test_artisan_that_exits_1_leaves_the_shop_open_or_closed_but_never_between(night: Night) -> None:
    night.artisan_is("fwrite(STDERR, 'no such luck'); exit(1);")
    said = dixis(night.world, "run", "--yes", code=1).stdout
    assert "php artisan down" in said
    assert (night.closed, night.on_mysql) == (False, False)
    (night.world.app_root / "artisan").write_bytes(night.artisan)
    night.go("cutover.environment")
    night.artisan_is("fwrite(STDERR, 'no such luck'); exit(1);")
    assert night.go("cutover.caches").status is Status.WARN
    assert (night.closed, night.on_mysql) == (True, True)
    # the rollback does without artisan
    said = dixis(night.world, "rollback", "--yes").stdout
    assert "the flag file was removed instead" in said
    assert (night.closed, night.env.read_bytes()) == (False, night.sqlite_env)


def test_artisan_that_hangs_is_ended_in_time(night: Night) -> None:
    night.go("cutover.workers")
    night.artisan_is("sleep(600);")
    outcome = night.go("cutover.maintenance", timeout=1.0)
    assert (outcome.status, "did not finish in 1 s" in outcome.summary) == (Status.FAIL, True)
    assert (night.closed, night.on_mysql) == (False, False)
    (night.world.app_root / "artisan").write_bytes(night.artisan)
    night.go("cutover.environment")
    night.artisan_is("sleep(600);")
    outcome = night.go("cutover.caches", timeout=1.0)
    assert outcome.status is Status.WARN
    assert sum("did not finish in 1 s" in line for line in outcome.evidence) == 3
    assert (night.closed, night.on_mysql) == (True, True)


@contextmanager
def worker(world: World) -> Iterator[subprocess.Popen[bytes]]:
    """A queue worker of the application that has begun to look for jobs on MySQL."""
    settings = configuration.load(world.config)

    def connections() -> int:
        with connected(settings.target) as connection:
            return len(query(connection, "SHOW PROCESSLIST"))

    before = connections()
    command = ["php", "artisan", "queue:work", "database", "--queue=of-nobody", "--sleep=1"]
    with subprocess.Popen(command, cwd=world.app_root, stdout=subprocess.DEVNULL) as process:
        try:
            assert wait_until(lambda: connections() > before, 30)
            yield process
        finally:
            process.kill()


@contextmanager
def deaf(world: World, port: int) -> Iterator[None]:
    """Nobody listens where the configuration says: what a server that was stopped looks like from here."""
    text = world.config.read_text(encoding="utf-8")
    world.config.write_text(text.replace(f"port = {port}\n", f"port = {free_port()}\n"), encoding="utf-8")
    try:
        yield
    finally:
        world.config.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("server", "step"), [("mysql", "cutover.resync"), ("sshd", "cutover.environment")])
def test_a_server_that_was_stopped_stops_the_cutover_with_the_shop_closed(night: Night, server: str, step: str) -> None:
    before = CUTOVER[CUTOVER.index(step) - 1]
    assert night.go(before).status.settled
    with deaf(night.world, night.world.server_port if server == "mysql" else night.world.ssh_port):
        outcome = night.go(step)
    assert outcome.status is Status.FAIL
    assert outcome.remedy
    assert (night.closed, night.on_mysql) == (True, False)
    dixis(night.world, "run", "--until", "cutover", "--yes")
    assert (night.closed, night.on_mysql) == (False, True)


@pytest.fixture
def full_disk(night: Night, tmp_path: Path) -> Iterator[Path]:
    """The application's .env on a file system of its own that has no room left."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    else:
        disk.chmod(0o500)  # only root makes file systems; a folder nobody may write refuses as well
    yield disk
    night.env.unlink(missing_ok=True)
    night.env.write_bytes(night.sqlite_env)
    night.env.chmod(0o640)
    if os.geteuid() == 0:
        subprocess.run(["umount", str(disk)], check=True)
    disk.chmod(0o700)


def test_a_full_disk_of_the_host_leaves_env_as_it_was_and_the_shop_closed(night: Night, full_disk: Path) -> None:
    night.go("cutover.proof")
    full_disk.chmod(0o700)
    shutil.move(night.env, full_disk / ".env")
    night.env.symlink_to(full_disk / ".env")
    with contextlib.suppress(OSError), (full_disk / "filler").open("wb", buffering=0) as filler:
        while os.geteuid() == 0:
            filler.write(b"x" * 4096)
    if os.geteuid() == 0:
        os.truncate(full_disk / "filler", (full_disk / "filler").stat().st_size - 4096)  # room for the copy alone
    full_disk.chmod(0o500)
    outcome = night.go("cutover.environment")
    assert outcome.status is Status.FAIL
    assert os.geteuid() != 0 or ("Cannot write" in outcome.summary and "no room" in outcome.summary)
    assert (night.closed, night.on_mysql) == (True, False)
    (full_disk / "filler").unlink()
    full_disk.chmod(0o700)
    dixis(night.world, "rollback", "--yes")
    assert (night.closed, night.env.is_symlink(), night.env.read_bytes()) == (False, True, night.sqlite_env)


def test_a_read_only_env_is_switched_and_keeps_its_mode(night: Night) -> None:
    night.env.chmod(0o440)
    dixis(night.world, "run", "--until", "cutover", "--yes")
    assert (night.env.stat().st_mode & 0o777, night.on_mysql) == (0o440, True)
    dixis(night.world, "rollback", "--yes")
    assert (night.env.stat().st_mode & 0o777, night.env.read_bytes()) == (0o440, night.sqlite_env)
    night.env.chmod(0o640)

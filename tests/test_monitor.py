"""The watch on real servers: what it measures and costs, how load and restarts are told, and the week after."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest
from click.testing import CliRunner
from pymysql.cursors import Cursor

from dixis_tui import plan, sandbox
from dixis_tui.cli import cli
from dixis_tui.model import NotNowError, Status
from dixis_tui.monitoring import week
from dixis_tui.monitoring.monitor import afterwards
from dixis_tui.monitoring.sampler import BUDGET, Sampler, Taken
from dixis_tui.monitoring.samples import METRICS, Sample, coarse
from dixis_tui.monitoring.samplestore import DAY, Lease, Store
from dixis_tui.record import signing
from dixis_tui.record.journal import SWITCHED
from dixis_tui.runner import Runner
from dixis_tui.sandbox import Kind, RunningServer
from dixis_tui.sandbox.processes import wait_until
from tests.conftest import FOUND, KINDS
from tests.data_path import make_config

NOON = 1_700_000_000.0


@dataclass
class Clock:
    now: float = NOON

    def __call__(self) -> float:
        return self.now


class Watched:
    """A database of a server, a sampler with a clock of the test, and a client that makes load."""

    def __init__(self, server: RunningServer, database: str, run_dir: Path, **watch: Any) -> None:
        self.server = server
        self.clock = Clock()
        account = f"'{database}_app'@'127.0.0.1'"
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{database}`")
            cursor.execute(f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{server.app_password}'")
            cursor.execute(f"GRANT ALL PRIVILEGES ON `{database}`.* TO {account}")
            cursor.execute(f"CREATE TABLE IF NOT EXISTS `{database}`.users (id INT PRIMARY KEY, name TEXT)")
            cursor.execute(f"REPLACE INTO `{database}`.users VALUES (1, 'Eleni'), (2, 'Nikos')")
        self.config = make_config(server, database, run_dir / "shop.sqlite", run_dir, watch=watch)
        self.store = Store(run_dir)
        self.sampler = Sampler(self.config, self.store, clock=self.clock)
        self.client = server.connect(database=database)

    def take(self, later: float = 0.0) -> Taken:
        self.clock.now += later
        return self.sampler.take()

    def as_application(self) -> None:
        """From now on the application's own account asks."""
        target = self.config.target.model_copy(update={"admin": None})
        self.config = self.config.model_copy(update={"target_section": target})
        self.sampler = Sampler(self.config, self.store, clock=self.clock)

    def ask(self, sql: str, times: int = 1) -> None:
        with self.client.cursor() as cursor:
            for _ in range(times):
                cursor.execute(sql)
                cursor.fetchall()

    def uptime(self) -> float:
        reading = self.sampler.take() and self.store.reading()
        return reading.uptime if reading else 0.0

    def questions(self) -> int:
        """What the server has been asked by everybody else."""
        with self.client.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
            self._own = getattr(self, "_own", 0) + 1
            row = cursor.fetchone()
            assert row is not None
            return int(row[1]) - self._own

    def close(self) -> None:
        self.sampler.close()
        self.store.close()
        if self.client.open:
            self.client.close()


@pytest.fixture
def watched(server: RunningServer, database: str, tmp_path: Path) -> Iterator[Watched]:
    one = Watched(server, database, tmp_path / "run", minutes=5, connections_percent=3.0)
    yield one
    one.close()
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP USER IF EXISTS '{database}_app'@'127.0.0.1'")


def deadlock(database: Watched) -> None:
    """Two transactions that wait for each other; the server ends one."""
    name = database.config.target.database
    refused: list[Exception] = []

    def change(cursor: Cursor, key: int) -> None:
        try:
            cursor.execute("UPDATE users SET name = CONCAT(name, '.') WHERE id = %s", (key,))
        except pymysql.OperationalError as error:
            refused.append(error)

    one, two = (database.server.connect(database=name, autocommit=False) for _ in range(2))
    with one, two, one.cursor() as first, two.cursor() as second:
        change(first, 1)
        change(second, 2)
        other = threading.Thread(target=change, args=(first, 2))
        other.start()
        change(second, 1)
        two.rollback()
        other.join()
        one.rollback()
    assert [error.args[0] for error in refused] == [1213]


def test_the_server_is_asked_at_most_ten_questions_a_minute(watched: Watched) -> None:
    """All of it: connecting, samples every 15 seconds, and what is asked more seldom."""
    before = watched.questions()
    per_minute, taken = [], 0
    for _ in range(12):
        for _ in range(60):
            if watched.sampler.due():
                watched.take()
                taken += 1
            watched.clock.now += 1
        now = watched.questions()
        per_minute.append(now - before)
        before = now
    assert max(per_minute) <= BUDGET
    assert taken >= 12 * 4 - 8
    asked = watched.store.noted("asked")
    assert set(asked) == {"digests", "log", "size"}
    assert min(asked.values()) >= NOON + 60  # again and again, not at the start alone


def test_an_account_that_sees_little_costs_no_more_and_says_what_is_missing(watched: Watched) -> None:
    watched.as_application()
    before = watched.questions()
    taken = watched.take()
    assert watched.questions() - before <= BUDGET
    watched.take(60)
    assert watched.sampler.due() is False
    taken = watched.take(60)
    measured = watched.store.noted("measured")
    assert taken.sample.source == "probe"
    assert measured["by"] == "our own probe only; the server tells no times"
    assert "the application's own account may not see the server's own response times" in measured["missing"]["times"]
    assert "GRANT SELECT ON performance_schema.*" in measured["missing"]["statements"]
    assert "FROM `users` WHERE `id` = " in measured["probe"]
    assert taken.sample.values["p95_ms"] >= taken.sample.values["probe_ms"] / 2
    assert METRICS["connections_percent"].of(taken.sample) is not None
    states = {one.rule.metric: one.state for one in taken.standings}
    assert states["errors_percent"] == "not measured"
    # A new connection does not try again what was refused a moment ago.
    watched.sampler.close()
    before = watched.questions()
    watched.take(60)
    assert watched.questions() - before <= BUDGET
    assert "times" in watched.store.noted("measured")["missing"]


def test_load_past_the_limits_is_told_while_it_lasts_and_recorded_when_it_is_over(watched: Watched) -> None:
    mysql = watched.server.binary.kind == "mysql"
    watched.ask("SELECT SLEEP(0.3)", 3)  # before the first sample: nothing of it may be told later
    watched.take()
    watched.ask("SELECT name FROM users WHERE id = 1", 50)
    calm = watched.take(60).sample
    assert calm.values["p95_ms"] < 100
    assert calm.values["slow"] == calm.values["deadlocks"] == calm.values["statement_errors"] == 0
    assert calm.source == ("histogram" if mysql else "digests")

    with closing(watched.server.connect()), closing(watched.server.connect()), closing(watched.server.connect()):
        closing_ones = [watched.server.connect() for _ in range(3)]
        watched.ask("SELECT SLEEP(0.12), name FROM users WHERE id = 1", 10)
        watched.ask("SELECT SLEEP(2.1), 'eleni@example.org' FROM users WHERE id = 1")
        for _ in range(5):
            deadlock(watched)
        for _ in range(3):
            with pytest.raises(pymysql.ProgrammingError):
                watched.ask("SELECT nothing FROM nowhere")
        loaded = watched.take(240)
        for one in closing_ones:
            one.close()
    values = loaded.sample.values
    assert values["deadlocks"] == 5
    assert values["statement_errors"] >= 8
    assert values["lock_waits"] >= 5
    over = {one.rule.metric for one in loaded.standings if one.state == "over"}
    assert {"connections_percent", "errors_percent", "deadlocks_per_minute"} <= over
    assert loaded.began == ()  # four minutes are not five
    if mysql:  # single statements: averages by digest hide the slow ones among the fast
        assert values["p95_ms"] > 100
        assert values["slow"] == 1

    # It goes on, and has lasted.
    with closing(watched.server.connect()), closing(watched.server.connect()), closing(watched.server.connect()):
        closing_ones = [watched.server.connect() for _ in range(3)]
        watched.ask("SELECT SLEEP(0.12), name FROM users WHERE id = 1", 10)
        standing = watched.take(60)
        for one in closing_ones:
            one.close()
    assert "connections_percent" in {one.rule.metric for one in standing.began}
    if mysql:
        assert "p95_ms" in {one.rule.metric for one in standing.began}
    slow = watched.store.statements()
    assert [one["text"] for one in slow if "eleni" in one["text"]] == []
    assert any("SLEEP" in one["text"].upper() and one["worst_ms"] > 2000 for one in slow)

    # It is over; the trigger falls once it has been well for two minutes.
    watched.ask("SELECT name FROM users WHERE id = 1", 500)
    eased = {one.rule.metric: one.state for one in watched.take(60).standings}
    assert eased["connections_percent"] == "easing"
    watched.ask("SELECT name FROM users WHERE id = 1", 500)
    calm_again = watched.take(120)
    assert "connections_percent" in {rule.metric for rule, _ in calm_again.ended}
    recorded = {one.rule: one for one in watched.store.crossings()}
    crossing = recorded["connections_percent over 3"]
    assert (crossing.begun, crossing.stood) == (NOON + 60, NOON + 360)
    assert crossing.ended == NOON + 360
    assert crossing.worst > 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_ends_comes_back_and_logs_errors(kind: Kind, tmp_path: Path) -> None:
    """Its counters begin anew, no number is negative, and the time without an answer is told."""
    log = [] if kind == "mysql" else ["--log-error=own.err"]
    server = sandbox.start_server(FOUND[kind], tmp_path / "server", options=["--performance-schema=OFF", *log])
    watched = Watched(server, "shop", tmp_path / "run", minutes=0, clear_minutes=0)
    watched.sampler.clock = time.time
    try:
        watched.ask("SELECT name FROM users WHERE id = 1", 100)
        watched.sampler.take()
        assert "performance_schema is OFF" in watched.store.noted("measured")["missing"]["schema"]
        assert watched.sampler.take().sample.source == "probe"
        assert wait_until(lambda: watched.uptime() > 2, 20)  # ages are told in whole seconds
        watched.client.close()
        server.kill()
        gone = watched.sampler.take()
        assert (gone.sample.answered, bool(gone.sample.error)) == (False, True)
        assert [one.rule.says() for one in gone.began] == ["no answer: consider rollback"]
        server.restart()
        back = watched.sampler.take()
        assert back.sample.answered
        assert back.sample.restarted
        assert min(back.sample.values.values()) >= 0
        assert [rule.metric for rule, _ in back.ended] == ["down"]
        assert not watched.sampler.take().sample.restarted
        if kind == "mariadb":
            watched.client = server.connect(database="shop")
            file = server.directory / "data" / "own.err"
            logged = Watched(server, "shop", tmp_path / "run-2")
            logged.take()
            logged.take(120)  # where the log stands
            watched.ask("SET GLOBAL event_scheduler = ON")
            watched.ask("CREATE EVENT fails ON SCHEDULE AT NOW() DO INSERT INTO not_there VALUES (1)")
            assert wait_until(lambda: "[ERROR] Event Scheduler" in file.read_text(encoding="utf-8"), 20)
            assert logged.take(120).sample.values["log_errors"] >= 1
            assert any("Event Scheduler" in text for _, text in logged.store.errors())
            logged.close()
    finally:
        watched.close()
        server.kill()


def test_errors_in_mysqls_log_are_told(start_once: Callable[[Kind], RunningServer], tmp_path: Path) -> None:
    watched = Watched(start_once("mysql"), "logged", tmp_path / "run")
    try:
        watched.take()
        watched.take(120)  # where the log stands
        watched.ask("CREATE EVENT fails ON SCHEDULE AT NOW() DO INSERT INTO not_there VALUES (1)")

        def logged() -> bool:
            with watched.client.cursor() as cursor:
                return bool(cursor.execute("SELECT 1 FROM performance_schema.error_log WHERE DATA LIKE '%not_there%'"))

        assert wait_until(logged, 20)
        assert watched.take(120).sample.values["log_errors"] >= 1
        assert any("not_there" in text for _, text in watched.store.errors())
    finally:
        watched.ask("DROP DATABASE logged")
        watched.close()


# The command


def written(watched: Watched, path: Path) -> Path:
    """The configuration as a file."""
    target = watched.config.target
    path.write_text(
        f"""
[run]
environment = "rehearsal"
directory = "{watched.config.run.directory}"
[source]
path = "shop.sqlite"
[target]
host = "127.0.0.1"
port = {target.port}
database = "{target.database}"
user = "{target.user}"
password = "{watched.server.app_password}"
tls = {{ ca = "{target.tls.ca}" }}
admin = {{ user = "{watched.server.admin_user}", password = "{watched.server.admin_password}" }}
[app]
root = "/srv"
[watch]
minutes = 0
connections_percent = 0.1
""",
        encoding="utf-8",
    )
    return path


def test_the_command_tells_a_line_a_sample_and_its_exit_code_whether_a_trigger_stands(
    watched: Watched, tmp_path: Path
) -> None:
    path = written(watched, tmp_path / "dixis.toml")
    run = CliRunner()
    arguments = ["--config", str(path), "monitor", "--once"]
    lease = Lease(watched.config.run.directory)
    assert lease.acquire()
    other = run.invoke(cli, arguments)
    assert other.exit_code == 3  # nobody has sampled yet, and this one may not
    lease.release()
    first = run.invoke(cli, arguments)
    assert "asked by [target.admin]" in first.output
    assert "STANDS: connections over 0.1 %: consider rollback" in first.output
    assert first.exit_code == 1
    found = run.invoke(cli, [*arguments, "--json"])
    told = json.loads(found.output)
    assert told["metrics"]["p95_ms"] > 0
    assert told["seconds"] > 0
    standing = [one["metric"] for one in told["triggers"] if one["state"] == "stands"]
    assert "connections_percent" in standing
    lasting = run.invoke(cli, ["--config", str(path), "monitor", "--for", "1s", "--interval", "20"])
    assert lasting.output.count("p95") >= 1
    refused = run.invoke(cli, ["--config", str(path), "monitor", "--interval", "5s"])
    assert (refused.exit_code, "at most 10 questions a minute" in refused.output) == (2, True)
    text = path.read_text(encoding="utf-8").replace("connections_percent = 0.1", "connections_percent = 80.0")
    path.write_text(text.replace(f"port = {watched.server.port}", "port = 1"), encoding="utf-8")
    silent = run.invoke(cli, arguments)
    assert "NO ANSWER" in silent.output
    assert silent.exit_code == 1  # no answer is a trigger, too, when no time is granted


# The week after


def opened_run(tmp_path: Path) -> Runner:
    """A run whose shop has opened on the target today."""
    server = RunningServer.__new__(RunningServer)
    server.port, server.app_password, server.admin_user, server.admin_password = 1, "a", "b", "c"
    server.ca_file = tmp_path / "ca.pem"
    config = make_config(server, "shop", tmp_path / "shop.sqlite", tmp_path / "run")
    runner = Runner(plan.build(config, ()), config)
    for phase in runner.plan.phases:
        for step in phase.steps:
            if not step.day:
                outcome = {"status": "pass", "summary": f"{step.id} is well"}
                runner.record("step-finished", {"step": step.id, "outcome": outcome})
        if phase.id == "validation":
            runner.record("window-opened")
    runner.record(SWITCHED)
    runner.record("window-closed")
    return runner


def on_day(runner: Runner, number: int) -> Runner:
    first = runner.state.day(0)
    assert first is not None
    runner.today = lambda: first + timedelta(days=number)
    return runner


def test_days_are_signed_when_they_have_come_and_missed_ones_are_named(tmp_path: Path) -> None:
    runner = opened_run(tmp_path)
    steps = afterwards(runner.config)
    assert {step.day for step in steps} == set(range(1, 8))
    assert [step.id for step in steps if step.id.endswith(".backup")] == [f"watch.day-{n}.backup" for n in range(1, 8)]
    on_day(runner, 0)
    assert runner.order.next_step() is None
    assert runner.order.settled(runner.plan.phase("watch"))
    with pytest.raises(NotNowError, match=r"cannot be signed: day 1 is "):
        signing.sign(runner, "watch.day-1.backup", role="operator", name="Eleni", note="")
    on_day(runner, 1)
    following = runner.order.next_step()
    assert following is not None
    assert following.id == "watch.day-1.backup"
    signing.sign(runner, "watch.day-1.backup", role="operator", name="Eleni", note="restored aside")
    with pytest.raises(NotNowError, match="day 2 is "):
        signing.sign(runner, "watch.day-2.backup", role="operator", name="Eleni", note="")
    on_day(runner, 3)
    missed = [step.id for step in runner.order.missed()]
    day_2 = [f"watch.day-2.{name}" for name in ("backup", "performance", "feedback")]
    assert missed == ["watch.day-1.performance", *day_2]
    runner.reset(runner.plan.phase("watch"))
    assert runner.state.step("watch.day-1.backup").status is Status.PASS  # nobody can go back to that day
    assert runner.state.step("watch.size").status is Status.PENDING
    runner.close()


def test_the_week_is_summed_up_with_its_gaps(tmp_path: Path) -> None:
    runner = opened_run(tmp_path)
    store = Store(runner.run_dir)
    closed = runner.state.window_closed_at
    assert closed is not None
    begun = datetime.fromisoformat(closed).timestamp()
    fill(store, begun, begun + 2 * DAY, without=(begun + 10 * 3600, begun + 14 * 3600))
    on_day(runner, 2)
    signing.sign(runner, "watch.day-2.backup", role="operator", name="Nikos", note="")
    built = week.build(runner, store, now=begun + 2 * DAY)
    verdicts = {one.title: one.verdict for one in built.criteria}
    assert verdicts["data integrity"] == verdicts["downtime"] == verdicts["response time"] == "met"
    assert verdicts["zero data loss"] == verdicts["tests pass"] == "met"
    assert verdicts["Greek VAT"] == verdicts["Payments are taken"] == "met"
    (gap,) = built.gaps
    assert (gap.ended - gap.begun).total_seconds() == pytest.approx(4 * 3600, abs=900)
    covered = [day.covered for day in built.days]
    assert covered[1] is not None
    assert covered[7] is None
    assert built.bytes_a_day == pytest.approx(24e6, rel=0.01)
    text = "\n".join(week.markdown(built))
    assert "**missed** Day 1: The backup of the day was verified: nobody signed on" in text
    assert "Day 2: The backup of the day was verified: signed by Nikos" in text
    assert "**to come** Day 7: Documentation was brought up to date" in text
    assert text.count("No samples: ") == 1
    store.close()
    runner.close()


def fill(store: Store, begin: float, end: float, *, without: tuple[float, float]) -> None:
    """Samples of a quarter of an hour each, of a database that grows by a megabyte an hour."""
    at = begin + 900
    while at <= end:
        if not without[0] < at <= without[1]:
            values = {"database_bytes": 1e9 + (at - begin) / 3600 * 1e6, "p95_ms": 20.0, "slow": 0.0}
            times = coarse([(20.0, 97.0), (400.0, 3.0)])
            store.add(Sample(at, 900, source="histogram", values=values, histogram=times))
        at += 900

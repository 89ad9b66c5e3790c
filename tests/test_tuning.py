"""The server's variables: what the plan wants, what becomes of it on each server, and back again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from checks.registry import REGISTRY
from dixis_tui import config
from dixis_tui.cli import cli
from dixis_tui.config import ConfigError
from dixis_tui.model import DixisError, Outcome, Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.sandbox.processes import wait_until
from dixis_tui.sandbox.sshd import start_sshd, stop_sshd
from dixis_tui.server import connections, slowlog, tuning, variables
from dixis_tui.server.machine import memory
from dixis_tui.target import connected
from tests.data_path import Driver, make_config

GIB = 1 << 30
NAMES = (*config.Tuning().variables, "query_cache_type", "log_output", "wait_timeout")


def values(server: RunningServer) -> dict[str, str]:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL VARIABLES")
        return {name: value for name, value in cursor.fetchall() if name in NAMES}


def persisted(server: RunningServer) -> dict[str, str]:
    if server.binary.kind == "mariadb":
        return {}
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT variable_name, variable_value FROM performance_schema.persisted_variables")
        return dict(cursor.fetchall())


@pytest.fixture(autouse=True)
def untouched(server: RunningServer) -> Iterator[None]:
    """The server, which others use too, is left as it was found."""
    before = values(server), persisted(server)
    yield
    assert (values(server), persisted(server)) == before


def driver(server: RunningServer, folder: Path, wanted: dict[str, Any] | None = None, **target: Any) -> Driver:
    run_dir = folder / "run"
    run_dir.mkdir(exist_ok=True)
    sections = {} if wanted is None else {"tuning": {"variables": wanted}}
    made = make_config(server, "mysql", folder / "no.sqlite", run_dir, **sections)
    return Driver(made.model_copy(update={"target_section": made.target.model_copy(update=target)}), run_dir)


def verdicts(found: tuning.ServerTuning) -> dict[str, str]:
    return {one.name: one.verdict for one in found.readings}


def test_every_variable_of_the_plan_is_judged_set_and_put_back(server: RunningServer, tmp_path: Path) -> None:
    mysql = server.binary.kind == "mysql"
    ctx = driver(server, tmp_path).ctx
    before = values(server)
    found = tuning.show(ctx)
    assert verdicts(found) == {
        "innodb_buffer_pool_size": "differs",
        "query_cache_size": "removed" if mysql else "no use",
        "max_connections": "differs",
        "innodb_file_per_table": "as wanted",
        "slow_query_log": "differs",
        "long_query_time": "differs",
    }
    told = {one.name: one for one in found.readings}
    assert "error 1232: SET takes whole bytes" in told["innodb_buffer_pool_size"].why
    assert "of memory there" in told["innodb_buffer_pool_size"].why
    assert ("cached by the application" in told["query_cache_size"].why) is mysql
    assert ("query_cache_type is OFF" in told["query_cache_size"].why) is not mysql
    assert told["query_cache_size"].well
    assert told["max_connections"].file == ("" if mysql else "max_connections = 200")

    changes = tuning.apply(ctx)
    assert {one.name: one.done for one in changes} == dict.fromkeys(
        ("innodb_buffer_pool_size", "max_connections", "slow_query_log", "long_query_time"), True
    )
    after = values(server)
    assert after["innodb_buffer_pool_size"] == str(GIB)
    assert (after["max_connections"], after["slow_query_log"]) == ("200", "ON")
    assert float(after["long_query_time"]) == 2
    if mysql:
        assert persisted(server)["innodb_buffer_pool_size"] == str(GIB)
        assert tuning.show(ctx).well
        assert tuning.outcome(ctx).status is Status.PASS
        assert tuning.apply(ctx) == []
    else:
        again = tuning.show(ctx)
        assert verdicts(again)["max_connections"] == "until restart"
        assert tuning.kept_by_file(again)[1:] == [
            "[mysqld]",
            "innodb_buffer_pool_size = 1073741824",
            "max_connections = 200",
            "slow_query_log = ON",
            "long_query_time = 2",
        ]
        assert all("until the next start" in one.told for one in changes)
        outcome = tuning.outcome(ctx)
        assert (outcome.status, outcome.remedy) == (Status.WARN, ("dixis tune show says what to do",))

    assert {one.name: one.done for one in tuning.undo(ctx)} == {one.name: True for one in changes}
    assert values(server) == before
    assert tuning.undo(ctx) == []


def test_values_kept_before_are_kept_again_and_a_second_apply_forgets_nothing(
    server: RunningServer, tmp_path: Path
) -> None:
    mysql = server.binary.kind == "mysql"
    before, kept = values(server), persisted(server)
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SET {'PERSIST' if mysql else 'GLOBAL'} max_connections = 170")
    try:
        tuning.apply(driver(server, tmp_path, {"max_connections": 180}).ctx)
        ctx = driver(server, tmp_path, {"max_connections": 190}).ctx
        assert [one.after for one in tuning.apply(ctx)] == ["190"]
        assert [(one.after, one.done) for one in tuning.undo(ctx)] == [("170", True)]
        assert persisted(server) == kept | ({"max_connections": "170"} if mysql else {})
    finally:
        with server.connect() as connection, connection.cursor() as cursor:
            if mysql:
                cursor.execute("RESET PERSIST max_connections")
            cursor.execute(f"SET GLOBAL max_connections = {before['max_connections']}")


def test_what_somebody_else_has_set_since_is_left_alone(server: RunningServer, tmp_path: Path) -> None:
    before = values(server)
    ctx = driver(server, tmp_path, {"max_connections": 180}).ctx
    tuning.apply(ctx)
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL max_connections = 222")
    (left,) = tuning.undo(ctx)
    assert (left.done, left.after) == (False, "222")
    assert "somebody has set it to 222 since" in left.told
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SET GLOBAL max_connections = {before['max_connections']}")
    assert [one.done for one in tuning.undo(ctx)] == [True]
    tuning.apply(ctx)
    with pytest.raises(DixisError, match="were set on"):
        tuning.undo(driver(server, tmp_path, host="localhost").ctx)
    assert [one.done for one in tuning.undo(ctx)] == [True]


def test_what_cannot_be_set_says_why(server: RunningServer, tmp_path: Path) -> None:
    mysql = server.binary.kind == "mysql"
    before = values(server)
    wanted = {"innodb_buffer_pool_size": "900T", "nosuch": 1, "back_log": 90, "max_connections": 180}
    ctx = driver(server, tmp_path, wanted).ctx
    found = tuning.show(ctx)
    assert verdicts(found) == {
        "innodb_buffer_pool_size": "too large",
        "nosuch": "unknown",
        "back_log": "restart",
        "max_connections": "differs",
    }
    assert found.memory == memory(ctx.local)
    changes = {one.name: one for one in tuning.apply(ctx)}
    assert set(changes) == ({"back_log", "max_connections"} if mysql else {"max_connections"})
    if mysql:
        assert "restart the server" in changes["back_log"].told
        assert persisted(server)["back_log"] == "90"
        waits = next(one for one in tuning.show(ctx).readings if one.name == "back_log")
        assert (waits.verdict, waits.statement) == ("restart", "")
        assert "restart the server" in waits.why
    else:
        restart = next(one for one in found.readings if one.verdict == "restart")
        assert restart.file == "back_log = 90"
    assert all(one.done for one in tuning.undo(ctx))
    assert values(server) == before

    application = Driver(ctx.config.model_copy(update={"target_section": _as_anybody(server, ctx.config)}), tmp_path)
    found = tuning.show(application.ctx)
    assert verdicts(found)["max_connections"] == "privilege"
    assert "error 1227" in found.readings[-1].why
    assert tuning.apply(application.ctx) == []


def _as_anybody(server: RunningServer, settings: config.Config) -> config.Target:
    """The target with an account that may do nothing, and no administrator."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP USER IF EXISTS 'anybody'@'127.0.0.1'")
        cursor.execute(f"CREATE USER 'anybody'@'127.0.0.1' IDENTIFIED BY '{server.app_password}'")
    return settings.target.model_copy(update={"user": "anybody", "admin": None})


def test_the_servers_machine_is_reached_over_ssh_where_it_is_another(server: RunningServer, tmp_path: Path) -> None:
    sshd = start_sshd(tmp_path / "sshd")
    try:
        ssh = {
            "address": "127.0.0.1",
            "port": sshd.port,
            "user": sshd.user,
            "key": str(sshd.key),
            "known_hosts": str(sshd.known_hosts),
        }
        wanted = {"innodb_buffer_pool_size": "900T", "slow_query_log": True}
        run_dir = tmp_path / "run"
        run_dir.mkdir()
        sections = {"tuning": {"variables": wanted, "ssh": ssh}}
        ctx = Driver(make_config(server, "mysql", tmp_path / "no.sqlite", run_dir, **sections), run_dir).ctx
        tuning.apply(ctx)
        found = tuning.show(ctx)
        tuning.undo(ctx)
    finally:
        stop_sshd(sshd.pid)
    assert found.machine == f"{sshd.user}@127.0.0.1:{sshd.port}"
    assert found.memory == memory(ctx.local)
    assert verdicts(found)["innodb_buffer_pool_size"] == "too large"
    assert found.slow_log.told == ""  # its file was read there


def test_where_no_machine_is_reached_the_memory_is_not_known(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is real; only the name it gives itself is another's."""
    real = variables.all_variables
    monkeypatch.setattr(variables, "all_variables", lambda one: real(one) | {"hostname": "db-7"})
    found = tuning.show(driver(server, tmp_path, {"innodb_buffer_pool_size": "900T"}).ctx)
    assert (found.machine, found.memory, verdicts(found)) == ("", None, {"innodb_buffer_pool_size": "differs"})
    assert "how much memory the server has is not known" in found.readings[0].why
    assert "its memory is not known" in tuning.place(found)


def test_mariadbs_query_cache_is_set_where_it_is_wanted_as_a_whole(server: RunningServer, tmp_path: Path) -> None:
    wanted = {"query_cache_type": "ON", "query_cache_size": "8M"}
    ctx = driver(server, tmp_path, wanted).ctx
    if server.binary.kind == "mysql":
        assert set(verdicts(tuning.show(ctx)).values()) == {"removed"}
        assert tuning.apply(ctx) == []
        return
    assert [one.done for one in tuning.apply(ctx)] == [True, True]
    assert values(server)["query_cache_size"] == str(8 << 20)
    assert [one.done for one in tuning.undo(ctx)] == [True, True]


def test_the_slow_query_log_says_where_it_is_and_what_is_in_it(server: RunningServer, tmp_path: Path) -> None:
    ctx = driver(server, tmp_path, {"slow_query_log": True, "long_query_time": 0.1}).ctx
    assert tuning.show(ctx).slow_log.lines() == ["the slow query log is off"]
    tuning.apply(ctx)
    try:
        _slowly(server)

        def read() -> slowlog.SlowLog:
            return tuning.show(ctx).slow_log

        def told() -> bool:
            return any(one.sql == "SELECT SLEEP(…), '…' AS customer" and one.seconds >= 0.15 for one in read().last)

        assert wait_until(told, 10)
        log = read()
        assert "Παπαδάκη" in Path(log.path).read_text(encoding="utf-8")
        assert f"in {log.path}" in log.lines()[0]
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL log_output = 'TABLE'")
            try:
                _slowly(server)
                assert wait_until(told, 10)
                assert "mysql.slow_log" in read().lines()[0]
                cursor.execute("SET GLOBAL log_output = 'NONE'")
                assert "goes nowhere" in read().lines()[0]
            finally:
                cursor.execute("SET GLOBAL log_output = 'FILE'")
    finally:
        tuning.undo(ctx)


def _slowly(server: RunningServer) -> None:
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT SLEEP(0.15), 'Παπαδάκη' AS customer")


@pytest.mark.parametrize(
    ("said", "address", "name", "line"),
    [
        (
            {"basedir": "/rdsdbbin/mysql-8.0.40.R1/", "datadir": "/rdsdbdata/db/"},
            "db",
            "Amazon RDS",
            "ApplyMethod=immed",
        ),
        (
            {"aurora_version": "3.08.0", "datadir": "/rdsdbdata/db/"},
            "db",
            "Amazon Aurora",
            "db-cluster-parameter-group",
        ),
        ({}, "dixis.abc.eu-central-1.rds.amazonaws.com", "Amazon RDS", "modify-db-parameter-group"),
        ({"version": "8.0.37-google"}, "10.0.0.3", "Google Cloud SQL", "--database-flags=max_connections=200"),
        ({}, "dixis.mysql.database.azure.com", "Azure Database for MySQL", "--name max_connections --value 200"),
        ({"basedir": "/usr/", "datadir": "/var/lib/mysql/", "version_comment": "(Debian)"}, "db", "", ""),
    ],
)
def test_a_providers_server_is_known_by_its_traces(said: dict[str, str], address: str, name: str, line: str) -> None:
    found = variables.managed(said, address)
    assert (found.name if found else "") == name
    if found:
        assert line in found.line("max_connections", "200", fixed=False)


def test_on_a_providers_server_its_own_command_is_shown(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is real; only what it says of its folders is another's."""
    real = variables.all_variables
    monkeypatch.setattr(variables, "all_variables", lambda one: real(one) | {"datadir": "/rdsdbdata/db/"})
    found = tuning.show(driver(server, tmp_path, {"max_connections": 180}).ctx)
    assert (found.managed, verdicts(found)) == ("Amazon RDS", {"max_connections": "managed"})
    assert found.readings[0].statement == ""
    assert "ParameterValue=180" in found.readings[0].lines[0]


def tune(settings: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(settings), "tune", *arguments])


def test_in_production_the_databases_name_is_typed(server: RunningServer, tmp_path: Path) -> None:
    for name, secret in (("app", server.app_password), ("admin", server.admin_password)):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(secret)
    settings = tmp_path / "dixis.toml"
    settings.write_text(
        f"""
[run]
environment = "production"
[source]
path = "shop.sqlite"
[target]
host = "127.0.0.1"
port = {server.port}
database = "dixis_production"
user = "dixis_user"
password = {{ file = "app" }}
tls = {{ ca = "{server.ca_file}" }}
admin = {{ user = "{server.admin_user}", password = {{ file = "admin" }} }}
[app]
root = "/nowhere"
[tuning.variables]
max_connections = 180
""",
        encoding="utf-8",
    )
    shown = tune(settings, "show")
    assert shown.exit_code == 1
    assert "max_connections = 151, wanted 180: differs" in shown.output
    wrong: list[tuple[str, ...]] = [(), ("--database", "other")]
    for typed in wrong:
        with pytest.raises(ConfigError, match="'dixis_production' must be typed"):
            raise tune(settings, "apply", "--yes", *typed).exception or AssertionError
    assert values(server)["max_connections"] == "151"
    named = ("--database", "dixis_production")
    set_ = tune(settings, "apply", "--yes", *named, "--json")
    told = json.loads(set_.output)
    assert [(one["name"], one["after"], one["done"]) for one in told["changes"]] == [("max_connections", "180", True)]
    assert (set_.exit_code, told["left"]) == (0, [])
    with pytest.raises(ConfigError, match="no terminal to ask on"):
        raise tune(settings, "undo", *named).exception or AssertionError
    assert "as it was" in tune(settings, "undo", "--yes", *named).output
    assert "nothing was set by this run" in tune(settings, "undo").output


def test_the_plan_has_its_check(server: RunningServer, tmp_path: Path) -> None:
    ctx = driver(server, tmp_path, {"max_connections": 180}).ctx
    step = tuning.step()
    assert step.work is not None
    outcome = step.work(ctx)
    assert (outcome.status, outcome.remedy) == (Status.WARN, ("dixis tune apply",))
    assert "max_connections" in outcome.summary


def test_an_error_of_the_server_is_told_and_the_others_are_set(server: RunningServer, tmp_path: Path) -> None:
    """A value that the server does not take."""
    before = values(server)
    ctx = driver(server, tmp_path, {"log_output": "NOWHERE", "max_connections": 180}).ctx
    refused, done = tuning.apply(ctx)
    assert (refused.done, done.done) == (False, True)
    assert "error 1231" in refused.told
    tuning.undo(ctx)
    assert values(server) == before


WWW = """\
; Start a new pool named 'www'.
[www]
user = www-data
listen = /run/php/php8.2-fpm.sock
pm = dynamic
pm.max_children = 40
env[PATH] = /usr/local/bin:/usr/bin
php_admin_value[memory_limit] = 128M
"""
PRINTED = """\
[25-Nov-2026 13:00:00] NOTICE: [global]
[25-Nov-2026 13:00:00] NOTICE: \tpid = /run/php/php8.2-fpm.pid
[25-Nov-2026 13:00:00] NOTICE:
[25-Nov-2026 13:00:00] NOTICE: [www]
[25-Nov-2026 13:00:00] NOTICE: \tpm = dynamic
[25-Nov-2026 13:00:00] NOTICE: \tpm.max_children = 40
[25-Nov-2026 13:00:00] NOTICE: \tenv[PATH] = /usr/local/bin:/usr/bin
[25-Nov-2026 13:00:00] NOTICE: configuration file /etc/php/8.2/fpm/php-fpm.conf test is successful
"""


def bounded(server: RunningServer, folder: Path, **settings: Any) -> tuple[connections.Bound, Outcome]:
    run_dir = folder / "run"
    run_dir.mkdir(exist_ok=True)
    made = make_config(server, "mysql", folder / "no.sqlite", run_dir, connections=settings)
    ctx = Driver(made, run_dir).ctx
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("FLUSH STATUS")  # the peak of others does not count here
    with connected(made.target, admin=True, database=None) as asked:
        return connections.bound(ctx, asked), REGISTRY["infra.connections"].outcome(ctx)


def test_what_bounds_connections_is_read_from_the_pools_of_php(server: RunningServer, tmp_path: Path) -> None:
    pools = tmp_path / "php" / "8.2"
    pools.mkdir(parents=True)
    (pools / "www.conf").write_text(WWW)
    (pools / "admin.conf").write_text("[admin]\npm = static\n  pm.max_children = 100\n")
    (pools / "off.conf.disabled").write_text(WWW)
    patterns = [str(tmp_path / "php/*/*.conf"), "/nowhere/it's/*.conf"]
    found, outcome = bounded(server, tmp_path, fpm_pools=patterns, queue_workers=8)
    assert [(one.name, one.children) for one in found.hosts[0].pools] == [("admin", 100), ("www", 40)]
    assert (found.application, found.wanted, found.most) == (148, 148 + 2 + connections.BESIDE, 151)
    assert outcome.status is Status.WARN
    assert outcome.summary == "160 connections may be wanted, the server takes 151"
    assert f"SET {'PERSIST' if server.binary.kind == 'mysql' else 'GLOBAL'} max_connections = 200;" in outcome.remedy
    assert any(line.startswith("pm.max_children = 65") for line in outcome.remedy)

    (pools / "admin.conf").unlink()
    found, outcome = bounded(server, tmp_path, fpm_pools=patterns, queue_workers=0)
    assert (outcome.status, found.wanted) == (Status.PASS, 52)
    assert outcome.summary.startswith("max_connections 151, ")


def test_where_no_pool_is_found_the_bound_is_not_guessed(server: RunningServer, tmp_path: Path) -> None:
    found, outcome = bounded(server, tmp_path, fpm_pools=[str(tmp_path / "*.conf")])
    assert (found.wanted, outcome.status) == (None, Status.PASS)
    assert "not known" in outcome.findings[0].message
    assert outcome.findings[0].remedy[0] == "[connections]"
    (tmp_path / "printed").write_text(PRINTED)
    found, _ = bounded(server, tmp_path, fpm_test=f"cat {tmp_path / 'printed'} >&2", queue_workers=0)
    assert found.application == 40
    found, _ = bounded(server, tmp_path, fpm_test="echo '[www]'; exit 78")
    assert (found.application, found.hosts[0].told) == (None, "echo '[www]'; exit 78 ended with exit code 78")
    found, outcome = bounded(server, tmp_path, children=120, queue_workers=1)
    assert (found.application, outcome.status) == (121, Status.PASS)
    assert "more than 80 %" in outcome.findings[0].message


def test_workers_that_run_are_counted(server: RunningServer, tmp_path: Path) -> None:
    with subprocess.Popen(["bash", "-c", "exec -a 'php artisan queue:work' sleep 60"]) as worker:
        try:
            assert wait_until(lambda: bounded(server, tmp_path, children=1)[0].hosts[0].workers > 0, 10)
            assert (bounded(server, tmp_path, children=1)[0].application or 0) > 1
        finally:
            worker.terminate()


def test_a_peak_near_the_limit_and_a_limit_of_the_account_are_told(server: RunningServer, tmp_path: Path) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP USER IF EXISTS 'mysql_app'@'127.0.0.1'")
        cursor.execute("CREATE USER 'mysql_app'@'127.0.0.1' WITH MAX_USER_CONNECTIONS 3")
        cursor.execute("SET GLOBAL max_connections = 10")
        others = [server.connect() for _ in range(7)]
    try:
        found, outcome = bounded(server, tmp_path, children=1, queue_workers=4)
    finally:
        for other in others:
            other.close()
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL max_connections = 151")
            cursor.execute("DROP USER 'mysql_app'@'127.0.0.1'")
    messages = [one.message for one in outcome.findings]
    assert found.per_account == 3
    assert "the application may want 5 connections, its account gets 3" in messages
    assert f"{5 + 2 + connections.BESIDE} connections may be wanted, the server takes 10" in messages
    assert any("of 10 connections were in use, more than 80 %" in message for message in messages)

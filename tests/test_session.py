"""The application's own sessions: what PHP is told of TLS, the cipher the server sees, and the cache that answers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.registry import REGISTRY
from dixis_tui.hosts import envfile
from dixis_tui.model import Outcome, Status
from dixis_tui.sandbox import RunningServer, processes
from dixis_tui.sandbox.app import AUTOLOAD, LaravelApp, make_app
from dixis_tui.server import session
from tests.data_path import Driver, make_config

PLANS_KEYS = {
    "DB_SSL_MODE": "require",
    "DB_SSL_CERT": "/path/to/client-cert.pem",
    "DB_SSL_KEY": "/path/to/client-key.pem",
    "DB_SSL_CA": "/path/to/ca-cert.pem",
}
PLANS_CACHE = (
    "'default' => env('CACHE_DRIVER', 'redis'),\n    'database' => ['query_cache' => true, 'cache_time' => 3600],"
)
STORE = "'redis' => ['driver' => 'redis', 'connection' => 'cache', 'lock_connection' => 'default'],"
PROVIDER = "Illuminate\\Redis\\RedisServiceProvider::class,"


@pytest.fixture
def app(tmp_path: Path) -> LaravelApp:
    return make_app(tmp_path / "app")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def set_env(app: LaravelApp, **values: str) -> None:
    env = app.root / ".env"
    env.write_text(envfile.changed(env.read_text(encoding="utf-8"), values), encoding="utf-8")


def driver(server: RunningServer, app: LaravelApp, folder: Path, **section: object) -> Driver:
    run_dir = folder / "run"
    run_dir.mkdir(exist_ok=True)
    settings = {"root": str(app.root), "autoload": str(AUTOLOAD), **section}
    return Driver(make_config(server, "mysql", app.database, run_dir, app=settings), run_dir)


def ask(check: str, made: Driver) -> Outcome:
    return REGISTRY[check].outcome(made.ctx)


@pytest.fixture
def one_server(start_once, request: pytest.FixtureRequest) -> RunningServer:  # type: ignore[no-untyped-def]
    """Any server: these tests ask the application alone."""
    from tests.conftest import KINDS

    server: RunningServer = start_once(KINDS[0])
    return server


def test_the_plans_tls_keys_are_mapped_to_what_the_application_reads(
    one_server: RunningServer, app: LaravelApp, tmp_path: Path
) -> None:
    made = driver(one_server, app, tmp_path)
    assert ask("env.tls", made).status is Status.SKIP
    set_env(app, **PLANS_KEYS)
    told = ask("env.tls", made)
    messages = {one.message: one.remedy for one in told.findings}
    assert told.status is Status.WARN
    authority = messages["DB_SSL_CA is set, and the application reads MYSQL_ATTR_SSL_CA"]
    assert authority == ("[app.database_env]", 'MYSQL_ATTR_SSL_CA = "/path/to/ca-cert.pem"')
    key = messages["DB_SSL_KEY is set, and config/database.php hands it to nothing"]
    assert "    PDO::MYSQL_ATTR_SSL_KEY => env('MYSQL_ATTR_SSL_KEY')," in key
    assert any(message.startswith("DB_SSL_MODE=require is read by nothing") for message in messages)

    # What the remedies say is done: the keys reach PHP, and the files are missed on the host.
    change(
        app.root / "config/database.php",
        "PDO::MYSQL_ATTR_SSL_CA => env('MYSQL_ATTR_SSL_CA'),",
        "\n".join(line for line in session.PHP_LINES if "PDO::" in line),
    )
    mapped = {f"MYSQL_ATTR_SSL_{name}": PLANS_KEYS[f"DB_SSL_{name}"] for name in ("CA", "CERT", "KEY")}
    made = driver(one_server, app, tmp_path, database_env=mapped)
    told = ask("env.tls", made)
    assert {one.message for one in told.findings} == {
        f"{path} ({name}) is not there on the host, or the application may not read it"
        for name, path in (
            ("CA", "/path/to/ca-cert.pem"),
            ("CERT", "/path/to/client-cert.pem"),
            ("KEY", "/path/to/client-key.pem"),
        )
    }
    real = {"MYSQL_ATTR_SSL_CA": str(one_server.ca_file)}
    (app.root / ".env").write_text("APP_ENV=production\n")
    told = ask("env.tls", driver(one_server, app, tmp_path, database_env=real))
    assert (told.status, told.evidence) == (Status.PASS, (f"CA: {one_server.ca_file}",))


def test_the_plans_options_that_do_nothing_or_harm_are_told(
    one_server: RunningServer, app: LaravelApp, tmp_path: Path
) -> None:
    change(
        app.root / "config/database.php",
        "'options' => array_filter([",
        "'pool' => ['min_connections' => 5, 'max_connections' => 20],\n            'options' => ([\n"
        "                PDO::MYSQL_ATTR_USE_BUFFERED_QUERY => false,",
    )
    told = [one.message for one in ask("env.mysql", driver(one_server, app, tmp_path)).findings]
    assert any("a query inside of a loop over cursor() is error 2014" in message for message in told)
    assert any("pool is read by no version of Laravel" in message for message in told)


def test_the_server_tells_the_cipher_of_the_applications_own_session(
    server: RunningServer, app: LaravelApp, tmp_path: Path
) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS session_test")
        cursor.execute("DROP USER IF EXISTS 'session_test'@'127.0.0.1'")
        cursor.execute(f"CREATE USER 'session_test'@'127.0.0.1' IDENTIFIED BY '{server.app_password}'")
        cursor.execute("GRANT ALL ON session_test.* TO 'session_test'@'127.0.0.1'")
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    settings = {"root": str(app.root), "autoload": str(AUTOLOAD)}

    def made(**keys: str) -> Driver:
        base = make_config(server, "session_test", app.database, run_dir, app={**settings, "database_env": keys})
        target = base.target.model_copy(update={"user": "session_test"})
        return Driver(base.model_copy(update={"target_section": target}), run_dir)

    trial = session.trial()
    assert trial.work is not None
    told = trial.work(made(MYSQL_ATTR_SSL_CA=str(server.ca_file)).ctx)
    assert told.status is Status.PASS, told
    assert told.summary.startswith("encrypted, and the server proved: TLSv1.")
    assert told.evidence[0].startswith("session_test@127.0.0.1: TLSv1.")
    assert not (app.root / ".env.dixis").exists()

    refused = trial.work(made().ctx)  # the server wants TLS, and without the authority PHP does not speak it
    assert refused.status is Status.FAIL
    assert "cannot open a session" in refused.summary
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL require_secure_transport = OFF")
        try:
            open_ = trial.work(made().ctx)
        finally:
            cursor.execute("SET GLOBAL require_secure_transport = ON")
    assert (open_.status, open_.summary) == (Status.FAIL, "the application's session with MySQL is not encrypted")
    change(
        app.root / "config/database.php",
        "PDO::MYSQL_ATTR_SSL_CA => env('MYSQL_ATTR_SSL_CA'),",
        "PDO::MYSQL_ATTR_SSL_CA => env('MYSQL_ATTR_SSL_CA'), PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => false,\n"
        "            ], fn ($value) => $value !== null), 'left' => array_filter([",
    )
    blind = trial.work(made(MYSQL_ATTR_SSL_CA=str(server.ca_file)).ctx)
    assert (blind.status, blind.summary) == (
        Status.WARN,
        "the session is encrypted, and PHP does not check whose server it is",
    )


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[int]:
    """The port of a real Redis on this machine, with a password."""
    program = shutil.which("redis-server")
    assert program, "redis-server is not installed; run scripts/setup"
    port = processes.free_port()
    settings = tmp_path / "redis.conf"
    settings.write_text(f'bind 127.0.0.1\nport {port}\nsave ""\nrequirepass geheim\ndir {tmp_path}\n')
    with subprocess.Popen([program, str(settings)], stdout=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.terminate()


def with_redis(app: LaravelApp, port: int, password: str = "geheim") -> None:
    """The application as the plan wants it: its cache in Redis."""
    change(app.root / "config/cache.php", "'default' => env('CACHE_DRIVER', 'file'),", PLANS_CACHE)
    set_env(app, CACHE_DRIVER="redis")
    change(app.root / "config/cache.php", "'array' =>", f"{STORE}\n        'array' =>")
    place = f"['host' => '127.0.0.1', 'port' => {port}, 'password' => '{password}', 'database' => 0]"
    change(
        app.root / "config/database.php",
        "'migrations' => 'migrations',",
        f"'migrations' => 'migrations',\n    'redis' => ['client' => env('REDIS_CLIENT', 'phpredis'),"
        f" 'default' => {place}, 'cache' => {place}],",
    )
    change(app.root / "config/app.php", "'providers' => [", f"'providers' => [\n        {PROVIDER}")


def test_a_redis_that_answers(one_server: RunningServer, app: LaravelApp, tmp_path: Path, redis: int) -> None:
    plain = ask("env.cache", driver(one_server, app, tmp_path))
    assert (plain.status, plain.summary) == (Status.PASS, "file, driver file")
    with_redis(app, redis)
    made = driver(one_server, app, tmp_path)
    assert processes.wait_until(lambda: ask("env.cache", made).status is Status.PASS, 10)
    told = ask("env.cache", made)
    where = f"Redis at 127.0.0.1:{redis} answers"
    assert told.summary.startswith(f"redis, driver redis; {where} (phpredis, connection cache); {where}")
    assert [one.message for one in told.findings] == [
        "cache.database.query_cache is read by no version of Laravel, and MySQL has no query cache since 8.0"
    ]


def test_why_a_redis_does_not_answer(one_server: RunningServer, app: LaravelApp, tmp_path: Path) -> None:
    def says(made: Driver) -> tuple[str, tuple[str, ...]]:
        told = ask("env.cache", made)
        assert told.status is Status.WARN
        return told.findings[0].message, told.findings[0].remedy

    set_env(app, CACHE_DRIVER="memory")
    assert (
        "the default store of the cache, memory, is not in config/cache.php"
        in says(driver(one_server, app, tmp_path))[0]
    )
    port = processes.free_port()
    with_redis(app, port)
    message, _ = says(driver(one_server, app, tmp_path))
    assert f"Redis at 127.0.0.1:{port} does not answer: Connection refused" in message
    assert "geheim" not in ask("env.cache", driver(one_server, app, tmp_path)).model_dump_json()

    set_env(app, REDIS_CLIENT="predis")
    message, remedy = says(driver(one_server, app, tmp_path))
    assert "the client is predis, which is not installed" in message
    assert "composer require predis/predis" in remedy

    set_env(app, REDIS_CLIENT="phpredis")
    php = tmp_path / "php-without-redis"
    settings = tmp_path / "conf.d"
    settings.mkdir()
    scanned = subprocess.run(["php", "--ini"], capture_output=True, text=True, check=True).stdout
    for word in scanned.replace(",", " ").split():
        if word.endswith(".ini") and "conf.d" in word and "redis" not in word:
            shutil.copy(word, settings)
    php.write_text(f'#!/bin/sh\nPHP_INI_SCAN_DIR={settings} exec php "$@"\n')
    php.chmod(0o755)
    message, remedy = says(driver(one_server, app, tmp_path, php=str(php)))
    assert "the client is phpredis, and PHP has no extension redis" in message
    assert remedy[0].startswith("apt-get install php-redis")

    change(app.root / "config/app.php", PROVIDER, "")
    assert "is not among the providers" in says(driver(one_server, app, tmp_path))[0]

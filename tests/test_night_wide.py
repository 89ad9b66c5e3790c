"""The night with several web hosts, with a server that freezes, and the shop looked at from outside."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dixis_tui import sandbox
from dixis_tui.config import Smoke, Url
from dixis_tui.hosts import smoke
from dixis_tui.model import Progress, Status
from dixis_tui.sandbox import World, processes
from dixis_tui.sandbox.app import make_app
from dixis_tui.sandbox.sshd import start_sshd, stop_sshd
from tests.conftest import KINDS, frozen
from tests.test_migration import artisan, change_config, dixis
from tests.test_night import Night, worker


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    directory = tmp_path_factory.mktemp("wide") / "sandbox"
    try:
        yield Night(sandbox.up(directory, server=KINDS[0]))
    finally:
        sandbox.down(directory)


@pytest.fixture
def night(shared: Night) -> Iterator[Night]:
    """Before the cutover; what a test writes into the configuration is taken out again."""
    shared.again()
    text = shared.world.config.read_text(encoding="utf-8")
    yield shared
    shared.world.config.write_text(text, encoding="utf-8")


# Several web hosts


@pytest.fixture
def second(night: Night, tmp_path: Path) -> Iterator[Path]:
    """Another web host: an sshd of its own, with the application in a folder of its own, on the same database."""
    app = make_app(tmp_path / "www2" / "dixis")
    first = night.env.read_text(encoding="utf-8")
    (app.root / ".env").write_text(f"# the second host\n{first}", encoding="utf-8")
    sshd = start_sshd(tmp_path / "sshd2")
    ssh = f'address = "127.0.0.1", port = {sshd.port}, user = "{sshd.user}"'
    ssh += f', key = "{sshd.key}", known_hosts = "{sshd.known_hosts}"'
    with night.world.config.open("a", encoding="utf-8") as file:
        file.write(f'\n[[hosts]]\nroot = "{app.root}"\nssh = {{ {ssh} }}\n')
    try:
        yield app.root
    finally:
        stop_sshd(sshd.pid)


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """A file that nobody may replace, root included where the file system can say so."""
    if os.geteuid() == 0:
        subprocess.run(["chattr", "+i", str(path)], check=True)
    else:
        path.parent.chmod(0o500)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", str(path)], check=True)
        else:
            path.parent.chmod(0o755)


def closed(root: Path) -> bool:
    return (root / "storage/framework/down").exists()


def on_mysql(root: Path) -> bool:
    return b"DB_CONNECTION=mysql" in (root / ".env").read_bytes()


def test_two_hosts_go_over_together_or_not_at_all_and_come_back_together(night: Night, second: Path) -> None:
    both = (night.world.app_root, second)
    before = [(root / ".env").read_bytes() for root in both]
    dixis(night.world, "run", "--phase", "assets", "--yes")
    here = {path.relative_to(night.world.assets) for path in night.world.assets.rglob("*") if path.is_file()}
    assert here
    assert all((second / "storage/app/public" / name).is_file() for name in here)

    assert night.go("cutover.proof").status.settled
    assert [closed(root) for root in both] == [True, True]
    with unwritable(second / ".env"):
        outcome = night.go("cutover.environment")
    assert outcome.status is Status.FAIL
    assert "Cannot write" in outcome.summary
    assert any("taken back on" in line and str(night.world.ssh_port) in line for line in outcome.evidence)
    assert [(root / ".env").read_bytes() for root in both] == before

    assert night.go("cutover.trials").status is Status.PASS
    assert [on_mysql(root) for root in both] == [True, True]
    text = (second / "artisan").read_text(encoding="utf-8")
    # it opens the shop, and fails behind that
    refuse = "@unlink('storage/framework/down'); fwrite(STDERR, 'no such luck'); exit(1);"
    refusing = text.replace("<?php", f"<?php if ($argv[1] === 'up') {{ {refuse} }}", 1)
    (second / "artisan").write_text(refusing, encoding="utf-8")
    said = dixis(night.world, "run", "--yes", code=1).stdout
    assert "Not every web host could be opened" in said
    assert "closed again" in said
    assert [closed(root) for root in both] == [True, True]
    (second / "artisan").write_text(text, encoding="utf-8")
    dixis(night.world, "run", "--until", "cutover", "--yes")
    assert [(closed(root), on_mysql(root)) for root in both] == [(False, True), (False, True)]

    dixis(night.world, "rollback", "--yes")
    assert [(root / ".env").read_bytes() for root in both] == before
    assert [closed(root) for root in both] == [False, False]


def test_each_host_lets_the_trials_through_by_its_own_flag(night: Night, second: Path) -> None:
    flags = [root / "storage/framework/down" for root in (night.world.app_root, second)]
    flags[0].touch()  # by hand, as it is done in a hurry
    subprocess.run(["php", "artisan", "down"], cwd=second, check=True, capture_output=True)
    before = [flag.read_bytes() for flag in flags]
    with night.runner() as runner:
        ctx = runner._context("cutover.trials")
        with smoke.passing(ctx) as cookie:
            secrets = [json.loads(flag.read_bytes())["secret"] for flag in flags]
            assert secrets[0] == secrets[1]
            url = f"http://127.0.0.1:{night.world.web_port}/health"
            assert smoke._visit(Url(url=url, text='"answers":true'), cookie, ctx.config.smoke) == ""
    assert [flag.read_bytes() for flag in flags] == before


# A server that freezes


def pid_of(world: World, name: str) -> int:
    pid = next(process.pid for process in sandbox.status(world.directory).processes if process.name == name)
    assert pid is not None
    return pid


def impatient(world: World) -> None:
    change_config(world, "[target.tls]", "connect_timeout = 1\nanswer_timeout = 1\n\n[target.tls]")


def test_a_server_that_freezes_in_the_middle_of_a_step_ends_it_in_seconds(night: Night) -> None:
    impatient(night.world)
    assert night.go("cutover.unchanged").status.settled
    server, heard = pid_of(night.world, "server"), threading.Event()
    with contextlib.ExitStack() as ice:

        def freeze(notice: object) -> None:
            if isinstance(notice, Progress) and not heard.is_set():
                heard.set()
                ice.enter_context(frozen(server))

        outcome = night.go("cutover.proof", listener=freeze)
        assert outcome.status in (Status.FAIL, Status.ERROR), outcome
        assert outcome.remedy
        assert (night.closed, night.on_mysql) == (True, False)
        # the way back needs no MySQL
        dixis(night.world, "rollback", "--yes")
        assert (night.closed, night.env.read_bytes()) == (False, night.sqlite_env)


def test_the_rollback_ends_well_while_the_server_is_frozen_and_fetches_the_rows_later(night: Night) -> None:
    impatient(night.world)
    dixis(night.world, "run", "--until", "cutover", "--yes")
    artisan(night.world, "migrate:status")
    with frozen(pid_of(night.world, "server")):
        said = dixis(night.world, "rollback", "--yes").stdout
        assert "were not brought home, and stay there" in said
        assert (night.closed, night.env.read_bytes()) == (False, night.sqlite_env)
    said = dixis(night.world, "rollback", "--recover", "--yes").stdout
    assert "brought home from MySQL" in said


# A shop that is looked at from outside


class Misbehaving(http.server.BaseHTTPRequestHandler):
    """Answers 500 with a stack trace in place of the shop."""

    def do_GET(self) -> None:
        self.send_response(500)
        self.end_headers()
        self.wfile.write(b"Whoops")

    def log_message(self, *_: object) -> None:
        pass


def test_addresses_commands_and_questions_that_go_wrong_are_each_told(night: Night) -> None:
    assert night.go("cutover.migrations").status.settled
    world = night.world
    shop = f"http://127.0.0.1:{world.web_port}"
    flag = world.app_root / "storage/framework/down"
    before = flag.read_bytes()
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving) as broken,
    ):
        threading.Thread(target=broken.serve_forever, daemon=True).start()
        dead = processes.free_port()
        settings = Smoke.model_validate(
            {
                "timeout": 5,
                "artisan": ["migrate:status", "no:such-command"],
                "urls": [
                    {"url": f"{shop}/health", "text": '"database":"mysql"'},
                    {"url": f"{shop}/nowhere", "status": 404},
                    {"url": f"{shop}/nowhere"},
                    {"url": f"{shop}/orders/count", "text": "no such text"},
                    {"url": f"http://127.0.0.1:{broken.server_port}/"},
                    {"url": f"http://127.0.0.1:{mute.getsockname()[1]}/"},
                    {"url": f"http://127.0.0.1:{dead}/"},
                ],
                "queries": [
                    {"title": "one", "sql": "SELECT 1", "answer": "1"},
                    {"title": "orders", "sql": "SELECT COUNT(*) FROM orders", "answer": "-1"},
                    {"title": "broken", "sql": "SELECT no_column FROM orders", "answer": "1"},
                ],
            }
        )
        with night.runner() as runner:
            ctx = runner._context("cutover.trials")
            with smoke.passing(ctx):
                assert http_status(f"{shop}/health") == 503  # everybody else stays outside
            outcome = smoke.check(replace(ctx, config=ctx.config.model_copy(update={"smoke": settings})))
        broken.shutdown()
    assert outcome.status is Status.FAIL
    assert outcome.summary.startswith("8 of 12 trials went wrong")
    told = "\n".join(outcome.evidence)
    for words in (
        "artisan no:such-command: exit code 1",
        "/nowhere: status 404, not 200",
        "/nowhere: status 404, as it should be",
        "/orders/count: its answer does not hold 'no such text'",
        "/: status 500, not 200",
        "/: no answer: timed out",
        "Connection refused",
        "orders: 480, not -1",
        "broken: ",
    ):
        assert words in told, words
    assert (flag.read_bytes(), night.closed) == (before, True)


def http_status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


# What is configured around the switch


def test_what_would_lift_maintenance_mode_stops_the_cutover_before_it_begins(night: Night) -> None:
    settings = night.world.app_root / "config/app.php"
    text = settings.read_text(encoding="utf-8")
    kept_in_cache = "'maintenance' => ['driver' => 'cache', 'store' => 'database'],"
    settings.write_text(text.replace("return [", f"return [ {kept_in_cache}", 1), encoding="utf-8")
    try:
        outcome = night.go("cutover.flag")
        assert outcome.status is Status.FAIL
        assert "the switch would lift maintenance mode" in outcome.summary
        said = dixis(night.world, "run", "--yes", code=1).stdout
        assert "cutover.workers" not in said
        assert (night.closed, night.on_mysql) == (False, False)
    finally:
        settings.write_text(text, encoding="utf-8")


class Onlooker(threading.Thread):
    """Looks for secrets in what every process of this machine shows of itself: command line and environment."""

    def __init__(self, secrets: list[bytes]) -> None:
        super().__init__(daemon=True)
        self._secrets = secrets
        self._enough = threading.Event()
        self.looks = 0
        self.seen: set[str] = set()

    def run(self) -> None:
        own = str(os.getpid())
        while not self._enough.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        shown = (process / name).read_bytes()
                        self.looks += process.name != own
                        if any(secret in shown for secret in self._secrets):
                            self.seen.add(shown.decode("utf-8", "replace"))

    def __enter__(self) -> Onlooker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()


def test_workers_caches_and_options_are_kept_as_configured_and_no_process_shows_a_secret(night: Night) -> None:
    world = night.world
    orders = world.directory / "workers"
    planted = "planted-secret-5f2c"
    night.env.write_bytes(night.sqlite_env.replace(b"STRIPE_SECRET=", f"STRIPE_SECRET={planted}".encode()))
    env = night.env.read_bytes()
    change_config(
        world,
        "[app.database_env]",
        f"""stop_workers = ["echo stop >> {orders}"]
start_workers = ["echo start >> {orders}"]
down = {{ retry = "30", message = "back soon" }}

[app.database_env]
PLANTED_PASSWORD = "{planted}"
""",
    )
    artisan(world, "config:cache")
    routes = world.app_root / "bootstrap/cache/routes-v7.php"
    views = world.app_root / "storage/framework/views/compiled.php"
    as_found = "<?php /* as it was found */ require base_path('routes/web.php');\n"
    for kept in (routes, views):
        kept.write_text(as_found, encoding="utf-8")
    cached = world.app_root / "bootstrap/cache/config.php"
    passwords = [path.read_bytes().strip() for path in world.secrets.glob("*.txt")]
    with Onlooker([planted.encode(), *passwords]) as onlooker:
        said = dixis(world, "run", "--phase", "cutover", "--yes").stdout
        assert "left out: --message" in said
        assert "this Laravel does not know down --message: left out" in dixis(world, "report").stdout
        assert orders.read_text() == "stop\nstart\n"
        assert "'default' => 'mysql'" in cached.read_text(encoding="utf-8")
        with worker(world) as process:
            dixis(world, "rollback", "--yes")
            # one that goes on would serve customers from the database that was left
            assert process.wait(timeout=30) == 0
    assert orders.read_text() == "stop\nstart\nstop\nstart\n"
    assert "'default' => 'sqlite'" in cached.read_text(encoding="utf-8")
    assert {kept.read_text(encoding="utf-8") for kept in (routes, views)} == {as_found}
    assert night.env.read_bytes() == env
    assert onlooker.looks > 100
    assert onlooker.seen == set()
    for path in (world.directory / "run").rglob("*"):
        assert not path.is_file() or planted.encode() not in path.read_bytes(), path
    for kept in (routes, views, orders, cached):
        kept.unlink()


def test_an_env_that_nobody_may_replace_stops_the_switch_and_the_rollback_leads_back(night: Night) -> None:
    assert night.go("cutover.proof").status.settled
    with unwritable(night.env):
        outcome = night.go("cutover.environment")
        assert outcome.status is Status.FAIL
        assert "Cannot write" in outcome.summary
        assert (night.closed, night.on_mysql) == (True, False)
        dixis(night.world, "rollback", "--yes")
    assert (night.closed, night.env.read_bytes()) == (False, night.sqlite_env)

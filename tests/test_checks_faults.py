"""What stands between question and answer is told clearly and soon, and everything else is still answered."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import checks
from dixis_tui import config as configuration
from dixis_tui import plan
from dixis_tui.model import Status
from dixis_tui.runner import Runner
from dixis_tui.sandbox import World
from dixis_tui.target import connected, execute
from tests.test_console import console, see
from tests.test_migration import change_config, dixis

SECONDS = 10.0
# What a check that merely could not be asked costs: starting the command, its journal, the summary.
START = 3.0


def asked(world: World, only: str, code: int) -> dict[str, dict[str, Any]]:
    """The findings by check, once `dixis preflight --only` has answered within the time."""
    begun = time.monotonic()
    told = json.loads(dixis(world, "preflight", "--json", "--only", only, code=code).stdout)
    assert time.monotonic() - begun < SECONDS + START
    assert told["summary"]["seconds"] < SECONDS
    return {one["check"]: one for one in told["findings"]}


def one(found: dict[str, dict[str, Any]], check: str, *words: str) -> None:
    """The check says these words and offers a way out."""
    assert all(word in found[check]["message"] for word in words), found[check]
    assert found[check]["remedy"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    from dixis_tui import sandbox

    directory = tmp_path_factory.mktemp("faults") / "box"
    try:
        yield sandbox.up(directory)
    finally:
        sandbox.down(directory)


@contextmanager
def changed(world: World, *pairs: tuple[str, str]) -> Iterator[None]:
    """The sandbox's configuration with these texts replaced, for a while."""
    before = world.config.read_text(encoding="utf-8")
    try:
        for old, new in pairs:
            change_config(world, old, new)
        yield
    finally:
        world.config.write_text(before, encoding="utf-8")


def test_a_wrong_password(shop: World) -> None:
    secret = shop.secrets / "wrong.txt"
    secret.touch(mode=0o600)
    secret.write_text("not-the-password\n", encoding="utf-8")
    with changed(shop, ('file = "secrets/admin.txt"', 'file = "secrets/wrong.txt"')):
        found = asked(shop, "infra", 3)
    one(found, "infra.server", "refuses the login")
    assert found["infra.server"]["status"] == "error"
    assert found["infra.version"]["status"] == "skip"
    assert "infra.server" in found["infra.version"]["message"]


def test_a_port_where_nobody_listens(shop: World) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with changed(shop, (f"port = {shop.server_port}", f"port = {port}")):
            found = asked(shop, "infra.server", 3)
    one(found, "infra.server", "does not answer")


def test_a_host_that_is_dead(shop: World) -> None:
    with (
        dead_end() as (host, port),
        changed(shop, (f'host = "127.0.0.1"\nport = {shop.server_port}', f'host = "{host}"\nport = {port}')),
    ):
        found = asked(shop, "infra.server", 3)
    one(found, "infra.server", "does not answer")


@contextmanager
def dead_end() -> Iterator[tuple[str, int]]:
    """An address that takes no call: its queue is full and nobody accepts."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        callers = []
        try:
            for _ in range(4):
                caller = socket.socket()
                caller.setblocking(False)
                caller.connect_ex(address)
                callers.append(caller)
            yield address
        finally:
            for caller in callers:
                caller.close()


def test_a_port_that_takes_the_call_and_says_nothing(shop: World) -> None:
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        port = silent.getsockname()[1]
        with changed(
            shop, (f"port = {shop.server_port}", f"port = {port}"), (f"port = {shop.ssh_port}", f"port = {port}")
        ):
            found = asked(shop, "infra.server,env.host", 3)
    assert found["infra.server"]["status"] == "error"
    assert f"127.0.0.1:{port}" in found["infra.server"]["message"]
    assert found["env.host"]["status"] == "error"


def test_a_certificate_that_has_expired(make_world: Callable[..., World]) -> None:
    world = make_world(server="mariadb")  # which loads one that has expired; with MySQL it expires while in use
    with connected(configuration.load(world.config).target, admin=True, database=None) as server:
        expire(world.directory / "server" / "tls")
        execute(server, "FLUSH SSL")
    found = asked(world, "infra", 3)
    one(found, "infra.server", "certificate", "expired")


def expire(folder: Path) -> None:
    """Give the server a certificate whose time has passed, and its own authority with it."""
    now = datetime.now(UTC)
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    server = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
    made = {}
    for file, subject, public, last, is_authority in (
        ("ca.pem", name, authority, now + timedelta(days=9), True),
        ("server.pem", server, key, now - timedelta(days=1), False),
    ):
        builder = x509.CertificateBuilder(name, subject, public.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=10)).not_valid_after(last)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        if not is_authority:
            address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
            builder = builder.add_extension(address, critical=False)
        made[file] = builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    for file, content in made.items():
        (folder / file).write_bytes(content)
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "server-key.pem").write_bytes(secret)


def test_a_host_key_that_is_not_known(shop: World) -> None:
    empty = shop.directory / "nobody_known"
    empty.touch()
    with changed(shop, ('known_hosts = "sshd/known_hosts"', 'known_hosts = "nobody_known"')):
        found = asked(shop, "env", 3)
    one(found, "env.host", "host key", "not known")
    assert "ssh-keyscan" in " ".join(found["env.host"]["remedy"])
    assert found["env.artisan"]["status"] == "skip"


@pytest.fixture
def local(shop: World, tmp_path: Path) -> Iterator[Path]:
    """The source as a file of this machine, for a while."""
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(shop.source)) as live, closing(sqlite3.connect(path)) as copy:
        live.backup(copy)
    with changed(shop, (f'path = "{shop.source}"\nlocation = "host"', f'path = "{path}"\nlocation = "local"')):
        yield path


def test_a_source_that_is_not_there(shop: World, local: Path) -> None:
    local.unlink()
    found = asked(shop, "data", 1)
    one(found, "data.source", "no database file")
    assert found["data.utf8"]["status"] == "skip"


def test_a_source_that_cannot_be_read(shop: World, local: Path) -> None:
    local.unlink()
    local.symlink_to("/proc/self/mem")  # may be looked at and not be read, even by root
    found = asked(shop, "data.source", 3)
    assert found["data.source"]["status"] == "error"
    assert "Cannot read" in found["data.source"]["message"]


def test_a_source_that_is_corrupt(shop: World, local: Path) -> None:
    size = local.stat().st_size
    with local.open("r+b") as file:
        for page in range(8, size // 4096, 3):
            file.seek(page * 4096)
            file.write(os.urandom(512))
    found = asked(shop, "data.source", 1)
    one(found, "data.source", "damaged")


@pytest.mark.parametrize("place", ["local", "host"])
def test_a_source_that_somebody_has_locked(shop: World, place: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue("local") if place == "local" else shop.source
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("CREATE TABLE held (id INTEGER)")
        found = asked(shop, "data.source", 1)
        holder.execute("ROLLBACK")
    one(found, "data.source", "locked")


def test_a_server_that_takes_no_writes(shop: World) -> None:
    target = configuration.load(shop.config).target
    with connected(target, admin=True, database=None) as server:
        execute(server, "SET GLOBAL read_only = ON")
        try:
            found = asked(shop, "infra.writable", 1)
        finally:
            execute(server, "SET GLOBAL read_only = OFF")
    one(found, "infra.writable", "read_only")


def test_a_slow_check_does_not_hold_the_others(shop: World) -> None:
    """A silent server is waited for while the application's host, the source and the files are asked."""
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        with changed(shop, (f"port = {shop.server_port}", f"port = {silent.getsockname()[1]}")):
            dixis(shop, "preflight", "--only", "infra.server", "env.host", "env.rsync", "data.scan", code=3)
    with closing(sqlite3.connect(shop.directory / "run/journal.sqlite")) as journal:
        events = [
            json.loads(data) for (data,) in journal.execute("SELECT data FROM events WHERE kind = 'step-finished'")
        ]
    order = [event["step"] for event in events][-6:]
    assert order[-1] == "preflight.infra.server"
    assert {"preflight.env.host", "preflight.env.rsync", "preflight.data.scan"} <= set(order[:-1])


async def test_the_console_answers_while_a_silent_server_is_waited_for(shop: World) -> None:
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        port = f"port = {silent.getsockname()[1]}\nconnect_timeout = 300"
        with changed(shop, (f"port = {shop.server_port}", port)):
            settings = configuration.load(shop.config)
        with Runner(plan.build(settings, checks.preflight()), settings) as runner:
            async with console(runner) as pilot:
                await see(pilot, "0 Preflight")
                await pilot.press("R")
                await see(pilot, "… running")
                while runner.state.step("preflight.data.scan").status is not Status.PASS:
                    await pilot.pause(0.05)
                assert runner.state.step("preflight.infra.server").status is Status.RUNNING
                await pilot.press("question_mark")
                await see(pilot, "ask all checks of Preflight again")
                await pilot.press("escape")
                silent.close()
                while runner.running is not None:
                    await pilot.pause(0.05)
                assert runner.state.step("preflight.infra.server").status is Status.ERROR
                await see(pilot, "could not ask")

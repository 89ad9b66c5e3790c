"""The sandbox as a whole: bring it up in a folder, ask how it is, take it down without a trace."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dixis_tui import config
from dixis_tui.model import DixisError
from dixis_tui.sandbox import processes
from dixis_tui.sandbox.app import LaravelApp, copy_database, make_app
from dixis_tui.sandbox.assets import asset_columns, write_images_named_in
from dixis_tui.sandbox.images import write_images
from dixis_tui.sandbox.migrations import write_migrations
from dixis_tui.sandbox.servers import (
    Kind,
    RunningServer,
    ServerBinary,
    clients_beside,
    find_servers,
    start_server,
)
from dixis_tui.sandbox.shop import build_shop
from dixis_tui.sandbox.sshd import RunningSshd, start_sshd, stop_sshd
from dixis_tui.sandbox.tls import write_private
from dixis_tui.sandbox.web import RunningWeb, start_web

MARKER = ".dixis-sandbox.json"
LOCK = ".dixis-sandbox.lock"
# Everything a sandbox, and a migration run from its configuration, keeps in its folder.
CONTENTS = ("assets", "backups", "host", "run", "secrets", "server", "sshd", "web", "dixis.toml")
DATABASE = "dixis_production"


class Options(BaseModel):
    """What a sandbox was asked to be. source: a file to use in place of the demo shop."""

    model_config = ConfigDict(frozen=True)

    server: Kind = "mysql"
    source: Path | None = None
    hostile: bool = False
    scale: int = 1
    seed: int = 1


class World(BaseModel):
    """A sandbox that is up. Passwords are in secrets/admin.txt and secrets/app.txt, for the owner's eyes only.

    source: the live SQLite database; app_root: the application's folder, the same path over SSH; key: the SSH user's.
    """

    model_config = ConfigDict(frozen=True)

    directory: Path
    options: Options
    config: Path
    source: Path
    app_root: Path
    assets: Path
    secrets: Path
    server_version: str
    server_port: int
    ca_file: Path
    web_port: int
    ssh_port: int
    ssh_user: str
    ssh_key: Path
    known_hosts: Path


ProcessName = Literal["server", "sshd", "web"]


class ProcessStatus(BaseModel):
    """One process of a sandbox; pid is None where none was found."""

    name: ProcessName
    pid: int | None
    port: int | None
    alive: bool


class WorldStatus(BaseModel):
    """How a sandbox is. state: absent (no sandbox in the folder), up, or broken (half made, or a process is gone)."""

    directory: Path
    state: Literal["absent", "up", "broken"]
    config: Path | None = None
    server: str = ""
    source: Path | None = None
    processes: tuple[ProcessStatus, ...] = ()


def _silent(_: str) -> None:
    """Say nothing."""


def up(
    directory: Path,
    *,
    server: Kind = "mysql",
    source: Path | None = None,
    say: Callable[[str], None] = _silent,
    hostile: bool = False,
    scale: int = 1,
    seed: int = 1,
) -> World:
    """Build a sandbox in directory and start it; one that is up already is left as it is, a broken one is built anew.

    hostile, scale and seed speak of the demo shop, which a source takes the place of.
    Raises DixisError when the folder holds anything else, when a sandbox with other options is up, or when a part does
    not start; what was started is ended then.
    """
    directory = directory.expanduser().resolve()
    source = source.expanduser().resolve() if source else None
    options = Options(server=server, source=source, hostile=hostile, scale=scale, seed=seed)
    _refuse_strangers(directory)
    binary = _server_binary(server)
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        state = status(directory).state
        if state == "up":
            world = _read_marker(directory)
            if world is None or world.options != options:
                raise DixisError(
                    f"A sandbox with other options is up in {directory}.",
                    safe="it was left as it is",
                    next_step=f"dixis sandbox down --dir {directory}, or use another folder",
                )
            say(f"The sandbox in {directory} is up already.")
            return world
        if state == "broken":
            say(f"Cleaning up what is left of a sandbox in {directory}.")
            _clear(directory)
        write_private(directory / MARKER, b"{}")
        try:
            return _build(directory, options, binary, say)
        except BaseException as error:
            kept = _stop_and_keep_logs(directory)
            if isinstance(error, DixisError):
                error.safe = error.safe or "what was started is ended" + (f"; logs are in {kept}" if kept else "")
            raise


def status(directory: Path) -> WorldStatus:
    """How the sandbox in directory is; changes nothing."""
    directory = directory.expanduser().resolve()
    if not (directory / MARKER).exists():
        return WorldStatus(directory=directory, state="absent")
    world = _read_marker(directory)
    found = (
        _process(directory, "server", world.server_port if world else None),
        _process(directory, "sshd", world.ssh_port if world else None),
        _process(directory, "web", world.web_port if world else None),
    )
    if world is None:
        return WorldStatus(directory=directory, state="broken", processes=found)
    return WorldStatus(
        directory=directory,
        state="up" if all(each.alive for each in found) else "broken",
        config=world.config,
        server=f"{world.options.server} {world.server_version}",
        source=world.source,
        processes=found,
    )


def down(directory: Path) -> None:
    """End the sandbox's processes and remove its files, and the folder if nothing else is in it.

    Where no sandbox is, nothing is done. Raises DixisError for a folder with other things in it.
    """
    directory = directory.expanduser().resolve()
    _refuse_strangers(directory)
    if not directory.exists():
        return
    with _locked(directory):
        _clear(directory)
        (directory / MARKER).unlink(missing_ok=True)
        (directory / LOCK).unlink(missing_ok=True)
    if not any(directory.iterdir()):
        directory.rmdir()


def _build(directory: Path, options: Options, binary: ServerBinary, say: Callable[[str], None]) -> World:
    say("Making the application and its SQLite database.")
    app = make_app(directory / "host" / "var" / "www" / "dixis")
    assets = directory / "assets"
    assets.mkdir()
    if options.source:
        copy_database(options.source, app.database)
        images = write_images_named_in(app.database, assets)
    else:
        images = _demo_shop(app, assets, options)
    say(f"{images} image files in {assets}.")
    say(f"Starting {binary}.")
    server = start_server(binary, directory / "server")
    say(f"Database server on 127.0.0.1:{server.port}.")
    sshd = start_sshd(directory / "sshd")
    say(f"SSH server on 127.0.0.1:{sshd.port}, standing for the production host.")
    web = start_web(app.root, directory / "web")
    say(f"The shop is served at {web.url}")
    secrets = directory / "secrets"
    secrets.mkdir(mode=0o700)
    write_private(secrets / "admin.txt", f"{server.admin_password}\n".encode())
    write_private(secrets / "app.txt", f"{server.app_password}\n".encode())
    configuration = directory / "dixis.toml"
    text = _configuration(server, sshd, app) + _smoke(web, app, options)
    configuration.write_text(text + ("" if options.source else DEMO_PLAN), encoding="utf-8")
    config.load(configuration)
    world = World(
        directory=directory,
        options=options,
        config=configuration,
        source=app.database,
        app_root=app.root,
        assets=assets,
        secrets=secrets,
        server_version=binary.version,
        server_port=server.port,
        ca_file=server.ca_file,
        web_port=web.port,
        ssh_port=sshd.port,
        ssh_user=sshd.user,
        ssh_key=sshd.key,
        known_hosts=sshd.known_hosts,
    )
    write_private(directory / MARKER, world.model_dump_json(indent=2).encode())
    say(f"The sandbox is up: {configuration}")
    return world


def _demo_shop(app: LaravelApp, assets: Path, options: Options) -> int:
    build_shop(app.database, seed=options.seed, scale=options.scale, hostile=options.hostile)
    write_migrations(app.migrations)
    return write_images(app.database, assets, seed=options.seed)


def _configuration(server: RunningServer, sshd: RunningSshd, app: LaravelApp) -> str:
    """The sandbox's dixis.toml; paths count from the file, those on the host are absolute."""
    columns = "".join(f"    {_toml(column)},\n" for column in asset_columns(app.database))
    return f"""\
# Drives the sandbox in this folder. Made by "dixis sandbox up"; gone with "dixis sandbox down".

[run]
name = "sandbox"
environment = "rehearsal"
directory = "run"

[people]
lead = "Ελένη (rehearsal)"
database_review = "Νίκος (rehearsal)"
technical_approval = "Μαρία (rehearsal)"

[source]
path = {_toml(str(app.database))}
location = "host"

[target]
host = "127.0.0.1"
port = {server.port}
database = {_toml(DATABASE)}
user = {_toml(server.app_user)}
password = {{ file = "secrets/app.txt" }}

[target.tls]
mode = "verify"
ca = "server/tls/ca.pem"

[target.admin]
user = {_toml(server.admin_user)}
password = {{ file = "secrets/admin.txt" }}
client_host = "127.0.0.1"

[host.ssh]
address = "127.0.0.1"
port = {sshd.port}
user = {_toml(sshd.user)}
key = "sshd/user_key"
known_hosts = "sshd/known_hosts"

[app]
root = {_toml(str(app.root))}
autoload = "/usr/share/php/Illuminate/autoload.php"

[app.database_env]
MYSQL_ATTR_SSL_CA = {_toml(str(server.ca_file))}

[assets]
source = "assets"
columns = [
{columns}]

[backup]
directory = "backups"
{_tools(server)}"""


def _tools(server: RunningServer) -> str:
    """Where the server's own clients are, when they lie beside it and not on the PATH."""
    folder = server.binary.path.parent
    return f"tools = {_toml(str(folder))}\n" if clients_beside(server.binary) else ""


def _smoke(web: RunningWeb, app: LaravelApp, options: Options) -> str:
    """What is tried behind maintenance mode: that the web server's requests are answered from the target."""
    urls = [("/health", '"database":"mysql","answers":true')]
    questions = ""
    if not options.source:
        with closing(sqlite3.connect(app.database)) as shop:
            names = shop.execute("SELECT name FROM products ORDER BY id LIMIT 1").fetchone()
        urls += [("/products", str(names[0])), ("/orders/count", '"orders":')]
        questions = f"""
[[smoke.queries]]
title = "the first product"
sql = "SELECT name FROM products ORDER BY id LIMIT 1"
answer = {_toml(str(names[0]))}
"""
    artisan = "" if options.source else 'artisan = ["migrate:status"]\n'
    addresses = "".join(
        f"\n[[smoke.urls]]\nurl = {_toml(web.url + path)}\ntext = {_toml(text)}\n" for path, text in urls
    )
    return f"\n[smoke]\n{artisan}{addresses}{questions}"


# The demo shop is prepared as a shop should be on the day before: what the operators' plan gets wrong is mapped.
DEMO_PLAN = """
[plan]
tuning = ["SET PERSIST max_connections = 151", "SET PERSIST innodb_file_per_table = ON"]
sql = ["SELECT AVG(tax_amount) AS avg_tax FROM orders WHERE tax_amount > 0"]
assets = ["products.main_image", "producers.logo", "producers.cover_image", "users.avatar"]
artisan = ["down --retry=60", "migrate --force", "migrate:status", "config:clear", "cache:clear", "up"]
shell = []

[tuning.variables]
max_connections = 151
innodb_file_per_table = true

[[schema.indexes]]
name = "idx_products_category_featured"
table = "products"
columns = ["category_id", "is_featured"]

[[schema.indexes]]
name = "idx_products_producer_active"
table = "products"
columns = ["producer_id", "is_active"]

[[schema.indexes]]
name = "idx_orders_user_date"
table = "orders"
columns = ["user_id", "created_at"]
"""


def _toml(text: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False)


def _server_binary(kind: Kind) -> ServerBinary:
    found = find_servers()
    if kind not in found:
        others = ", ".join(str(binary) for binary in found.values()) or "none"
        raise DixisError(
            f"There is no {'MySQL' if kind == 'mysql' else 'MariaDB'} server on this machine (found: {others}).",
            safe="nothing was started",
            next_step="run scripts/setup" + (", or set DIXIS_MYSQLD to a mysqld" if kind == "mysql" else ""),
        )
    return found[kind]


def _refuse_strangers(directory: Path) -> None:
    """A folder is ours if it is not there, is empty, or bears our marker."""
    if not directory.exists() or (directory / MARKER).exists():
        return
    if not directory.is_dir() or any(entry.name != LOCK for entry in directory.iterdir()):
        raise DixisError(
            f"{directory} holds something that is not a sandbox.",
            safe="it was left as it is",
            next_step="name an empty or new folder with --dir",
        )


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One up or down at a time in a folder."""
    with (directory / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DixisError(
                f"Another command is working on the sandbox in {directory}.",
                safe="nothing was changed",
                next_step="wait for it to end",
            ) from error
        yield


def _read_marker(directory: Path) -> World | None:
    """The world the marker tells of; None while it is half made."""
    try:
        return World.model_validate_json((directory / MARKER).read_bytes())
    except (OSError, ValidationError):
        return None


def _pid_file(directory: Path, name: ProcessName) -> Path:
    return directory / name / f"{name}.pid"


def _process(directory: Path, name: ProcessName, port: int | None) -> ProcessStatus:
    pid = processes.read_pid(_pid_file(directory, name))
    return ProcessStatus(name=name, pid=pid, port=port, alive=pid is not None)


def _stop(directory: Path) -> None:
    stop_sshd(processes.read_pid(_pid_file(directory, "sshd")))
    for name in ("web", "server"):
        pid = processes.read_pid(_pid_file(directory, name))
        if pid is not None:
            processes.end(pid)


def _stop_and_keep_logs(directory: Path) -> str:
    """After a failed start: end what runs; the files stay for reading until the next up or down."""
    _stop(directory)
    logs = (directory / name for name in ("server/error.log", "sshd/sshd.log", "web/web.log"))
    return ", ".join(str(log) for log in logs if log.exists())


def _clear(directory: Path) -> None:
    """End the processes and remove what a sandbox keeps; the marker stays, so that a crash here can be cleaned too."""
    _stop(directory)
    for name in CONTENTS:
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

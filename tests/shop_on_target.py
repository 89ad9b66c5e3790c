"""What the tests of backups and health share: a small database that has one of everything, on a real server."""

from __future__ import annotations

import contextlib
import io
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pymysql
from pymysql.cursors import Cursor

from dixis_tui import cli
from dixis_tui.backups.work import Work, clock
from dixis_tui.config import Config, Secret
from dixis_tui.hosts.host import LocalHost
from dixis_tui.sandbox import RunningServer
from dixis_tui.sandbox.servers import clients_beside
from tests.data_path import make_config, make_source

# Every character that an option file, a shell or SQL gives a meaning of its own.
PASSWORD = "pä\"ss'w\\ #;o rd\\n$%"

MADE = (
    "CREATE TABLE producers (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL)",
    "CREATE TABLE products (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, producer_id BIGINT UNSIGNED,"
    " name VARCHAR(80), price DECIMAL(10,2), weight DOUBLE, ratio FLOAT, picture LONGBLOB, extra JSON,"
    " seen TIMESTAMP(3) NULL, flags BIT(9), place POINT, stock INT INVISIBLE DEFAULT 7,"
    " twice INT GENERATED ALWAYS AS (stock * 2) STORED,"
    " label VARCHAR(90) GENERATED ALWAYS AS (CONCAT(name, ' €')) VIRTUAL,"
    " FOREIGN KEY (producer_id) REFERENCES producers (id), KEY (name))",
    "CREATE TABLE log (what VARCHAR(80))",
    "CREATE VIEW a_view AS SELECT id, name FROM products",
    "CREATE TRIGGER a_trigger AFTER INSERT ON products FOR EACH ROW INSERT INTO log VALUES (NEW.name)",
    "CREATE PROCEDURE a_procedure() BEGIN SELECT 1; SELECT ';'; END",
    "CREATE FUNCTION a_function() RETURNS INT DETERMINISTIC RETURN 3",
    "CREATE EVENT an_event ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DO DELETE FROM log",
    "INSERT INTO producers (id, name) VALUES (1, 'Ελαιώνες'), (70000, 'Σπίτι; -- \\' \\\\ \\n')",
    "INSERT INTO products (producer_id, name, price, weight, ratio, picture, extra, seen, flags, place, stock) VALUES"
    " (1, 'Ελιά 🫒', 5.99, 1e-300, 1.1, X'00FF1F0A1B5C27', '{\"a\": [1, 2.50]}', '2024-10-27 00:30:00.123', b'101',"
    " ST_GeomFromText('POINT(1 2)'), 42),"
    " (70000, 'null', NULL, 0.1, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
)


@dataclass
class Shop:
    """A database on a server, its configuration and what works on its backups.

    said: what was told to the operator; hear: told of it, too; more: lines of the configuration's file.
    """

    server: RunningServer
    config: Config
    folder: Path
    said: list[str] = field(default_factory=list)
    now: Callable[[], datetime] = clock
    hear: Callable[[str], None] = lambda _: None
    more: str = ""

    @property
    def database(self) -> str:
        return self.config.target.database

    @property
    def backups(self) -> Path:
        return self.config.backup.directory

    @property
    def work(self) -> Work:
        host = LocalHost()
        return Work(self.config, host, host, self._say, threading.Event(), self.now)

    def _say(self, text: str) -> None:
        self.said.append(text)
        self.hear(text)

    def sql(self, *statements: str, as_app: bool = True, database: str | None = None) -> list[Any]:
        """Run statements; the rows of the last."""
        with self.connect(as_app=as_app, database=database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def connect(self, *, as_app: bool = True, database: str | None = None) -> pymysql.Connection[Cursor]:
        if not as_app:
            return self.server.connect(database=database or self.database)
        return pymysql.connect(
            host="127.0.0.1",
            port=self.server.port,
            user=self.config.target.user,
            password=PASSWORD.encode(),
            database=database or self.database,
            charset="utf8mb4",
            autocommit=True,
            ssl=ssl.create_default_context(cafile=str(self.server.ca_file)),
        )

    def configure(self, **backup: Any) -> None:
        """Change [backup]."""
        self.config = self.config.model_copy(update={"backup": self.config.backup.model_copy(update=backup)})

    def tools(self, dump: str) -> Path:
        """A folder of tools whose dump program is this shell text; $REAL is the server's own."""
        beside = clients_beside(self.server.binary)
        real = self.server.binary.path.parent if beside else Path("/usr/bin")
        folder = self.folder / "tools"
        folder.mkdir(exist_ok=True)
        name, client = ("mysqldump", "mysql") if self.server.binary.kind == "mysql" else ("mariadb-dump", "mariadb")
        (folder / client).unlink(missing_ok=True)
        (folder / client).symlink_to(real / client)
        script = folder / name
        script.write_text(
            "#!/bin/bash\n"
            f"REAL={real / name}\n"
            'if [ "$1" = --version ]; then exec "$REAL" --version; fi\n'
            f"set -o pipefail\n{dump}\n",
            encoding="utf-8",
        )
        script.chmod(0o755)
        return folder


def make_shop(server: RunningServer, database: str, folder: Path) -> Shop:
    """The database, its account with a password of every character, and a source that is no larger."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        cursor.execute(f"CREATE USER IF NOT EXISTS '{database}_app'@'127.0.0.1' IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute(f"GRANT ALL PRIVILEGES ON `{database}`.* TO '{database}_app'@'127.0.0.1'")
    source = make_source(
        folder / "shop.sqlite", ["CREATE TABLE users (id INTEGER PRIMARY KEY)", "INSERT INTO users VALUES (1), (2)"]
    )
    app = folder / "app"
    app.mkdir()
    (app / ".env").write_text("DB_CONNECTION=sqlite\n", encoding="utf-8")
    tools = {"tools": str(server.binary.path.parent)} if clients_beside(server.binary) else {}
    config = make_config(
        server,
        database,
        source,
        folder / "run",
        backup={"directory": str(folder / "backups"), **tools},
        app={"root": str(app)},
    )
    account = {"user": f"{database}_app", "password": Secret(clear=PASSWORD)}
    config = config.model_copy(update={"target_section": config.target.model_copy(update=account)})
    shop = Shop(server, config, folder)
    shop.sql(*MADE)
    return shop


def written(shop: Shop) -> Path:
    """The shop's configuration as a file."""
    secret = shop.folder / "app.txt"
    secret.write_text(PASSWORD + "\n", encoding="utf-8")
    secret.chmod(0o600)
    target, backup = shop.config.target, shop.config.backup
    path = shop.folder / "dixis.toml"
    path.write_text(
        f'[run]\nenvironment = "rehearsal"\ndirectory = "{shop.folder / "run"}"\n'
        f'[source]\npath = "{shop.config.source.path}"\n'
        f'[target]\nhost = "127.0.0.1"\nport = {target.port}\ndatabase = "{target.database}"\nuser = "{target.user}"\n'
        f'password = {{ file = "{secret}" }}\n[target.tls]\nca = "{target.tls.ca}"\n'
        f'[target.admin]\nuser = "{shop.server.admin_user}"\npassword = "{shop.server.admin_password}"\n'
        f'[app]\nroot = "{shop.config.app.root}"\n[backup]\ndirectory = "{backup.directory}"\n'
        + (f'tools = "{backup.tools}"\n' if backup.tools else "")
        + shop.more,
        encoding="utf-8",
    )
    return path


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    stdout: str
    stderr: str


def dixis(shop: Shop, *arguments: str, code: int = 0) -> Said:
    """The command line on the shop's configuration, in this process; it must end with this exit code."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["dixis", "--config", str(written(shop)), *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
        ended: Any = 0
    except SystemExit as error:
        ended = error.code
    finally:
        sys.argv = before
    assert ended == code, out.getvalue() + err.getvalue()
    return Said(out.getvalue(), err.getvalue())

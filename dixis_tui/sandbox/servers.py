"""Real database servers: which are on this machine, and one of them running in a folder of its own."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import platformdirs
import pymysql
from pymysql.cursors import Cursor

from dixis_tui.model import DixisError
from dixis_tui.sandbox import processes
from dixis_tui.sandbox.tls import Certificates, make_certificates, write_private

Kind = Literal["mysql", "mariadb"]

ADMIN_USER = "dixis_admin"
APP_USER = "dixis_user"
START_SECONDS = 120.0
PORT_ATTEMPTS = 3
MARIADB_SHARES = (Path("/usr/share/mysql"), Path("/usr/share/mariadb"))
MARIADB_SYSTEM_TABLES = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mysql_sys_schema.sql",
)


@dataclass(frozen=True)
class ServerBinary:
    """A server program. version: as it says itself, like 9.7.4 or 10.11.19-MariaDB."""

    kind: Kind
    path: Path
    version: str

    def __str__(self) -> str:
        return f"{'MySQL' if self.kind == 'mysql' else 'MariaDB'} {self.version} ({self.path})"


@dataclass
class RunningServer:
    """A server on 127.0.0.1 that takes TLS connections only.

    The admin account exists and may do everything; the application's account is not made, only its password is drawn.
    """

    binary: ServerBinary
    directory: Path
    port: int
    socket: Path
    pid: int
    ca_file: Path
    admin_password: str = field(repr=False)
    app_password: str = field(repr=False)
    admin_user: str = ADMIN_USER
    app_user: str = APP_USER
    command: tuple[str, ...] = field(default=(), repr=False)

    def connect(self, *, database: str | None = None, autocommit: bool = True) -> pymysql.Connection[Cursor]:
        """A connection of the admin's over verified TLS."""
        return _connect(self.port, self.ca_file, self.admin_password, database=database, autocommit=autocommit)

    @property
    def log(self) -> Path:
        return self.directory / "error.log"

    @property
    def alive(self) -> bool:
        return processes.alive(self.pid)

    def stop(self) -> None:
        """Shut the server down in order; its files stay."""
        processes.end(self.pid)

    def kill(self) -> None:
        """End the server as a power cut would."""
        processes.end(self.pid, force=True)

    def restart(self) -> None:
        """Start an ended server again, on its files and port. Raises DixisError as start_server() does."""
        # A killed server leaves the lock of its socket behind, and with it a pid that may not be gone yet.
        self.socket.with_name(f"{self.socket.name}.lock").unlink(missing_ok=True)
        command = [word for word in self.command if not word.startswith("--init-file=")]
        self.pid = processes.spawn(command, log=self.log, pid_file=self.directory / "server.pid")
        if not _comes_up(self):
            raise _not_started(self.binary, self.log)


def find_servers() -> dict[Kind, ServerBinary]:
    """The servers on this machine: at most one MySQL 8.0+ and one MariaDB; $DIXIS_MYSQLD goes before all others."""
    found: dict[Kind, ServerBinary] = {}
    for path in _candidates():
        binary = _identify(path)
        if binary is not None:
            found.setdefault(binary.kind, binary)
    return found


def _candidates() -> Iterator[Path]:
    named = os.environ.get("DIXIS_MYSQLD")
    if named:
        yield Path(named)
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/usr/libexec"])
    for name in ("mysqld", "mariadbd"):
        path = shutil.which(name, path=places)
        if path:
            yield Path(path)
    fetched = platformdirs.user_cache_path("dixis") / "mysql"
    yield from sorted(fetched.glob("*/mysqld"), reverse=True)


def _identify(path: Path) -> ServerBinary | None:
    """What a program says it is; None when it does not run or is older than we support."""
    try:
        answer = subprocess.run(
            [path, "--no-defaults", "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\bVer ((\d+)\.(\d+)\.\d+(?:-MariaDB)?)", answer)
    if match is None:
        return None
    kind: Kind = "mariadb" if "MariaDB" in answer else "mysql"
    oldest = (10, 6) if kind == "mariadb" else (8, 0)
    return ServerBinary(kind, path, match[1]) if (int(match[2]), int(match[3])) >= oldest else None


def clients_beside(binary: ServerBinary) -> bool:
    """True when the server was fetched together with its clients, which lie in the same folder."""
    return binary.kind == "mysql" and all((binary.path.parent / name).is_file() for name in ("mysqldump", "mysql"))


def start_server(binary: ServerBinary, directory: Path, *, options: Sequence[str] = ()) -> RunningServer:
    """Start a server whose every file is under directory (made if needed, readable by its owner only).

    options go last on its command line, so they win. A data directory already there is used again.
    Raises DixisError with the end of the server's log when it does not come up; nothing is left running then.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)
    for name in ("tmp", "files"):
        (directory / name).mkdir(exist_ok=True)
    data = directory / "data"
    if not data.exists():
        _copy(_template(binary), data)
    certificates = make_certificates(directory / "tls")
    admin_password, app_password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    accounts = directory / "accounts.sql"
    write_private(accounts, _accounts(admin_password).encode())
    log = directory / "error.log"
    try:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            log.unlink(missing_ok=True)
            port = processes.free_port()
            command = _command(binary, directory, certificates, port) + list(options)
            pid = processes.spawn(command, log=log, pid_file=directory / "server.pid")
            server = RunningServer(
                binary=binary,
                directory=directory,
                port=port,
                socket=data / "server.sock",
                pid=pid,
                ca_file=certificates.ca,
                admin_password=admin_password,
                app_password=app_password,
                command=tuple(command),
            )
            if _comes_up(server):
                return server
            taken = "already in use" in processes.tail(log, 200)
            if not (taken and attempt < PORT_ATTEMPTS):
                break
    finally:
        accounts.unlink(missing_ok=True)
    raise _not_started(binary, log)


def _not_started(binary: ServerBinary, log: Path) -> DixisError:
    return DixisError(
        f"{binary} did not start. The end of its log:\n{processes.tail(log)}",
        safe="nothing was left running",
        next_step=f"read {log}; set DIXIS_MYSQLD to use another MySQL",
    )


def _comes_up(server: RunningServer) -> bool:
    """Wait until the server answers over TLS; one that does not is ended."""

    def settled() -> bool:
        return not server.alive or _answers(server)

    try:
        if processes.wait_until(settled, START_SECONDS) and server.alive:
            return True
    except BaseException:
        server.kill()
        raise
    server.kill()
    return False


def _answers(server: RunningServer) -> bool:
    try:
        server.connect().close()
    except pymysql.err.OperationalError:
        return False
    return True


def _connect(
    port: int, ca_file: Path, password: str, *, database: str | None, autocommit: bool
) -> pymysql.Connection[Cursor]:
    return pymysql.connect(
        host="127.0.0.1",
        port=port,
        user=ADMIN_USER,
        password=password,
        database=database,
        charset="utf8mb4",
        autocommit=autocommit,
        connect_timeout=10,
        ssl=ssl.create_default_context(cafile=str(ca_file)),
    )


def _accounts(admin_password: str) -> str:
    """Statements the server runs as it starts, before it listens; a line each."""
    admin = f"'{ADMIN_USER}'@'127.0.0.1'"
    return (
        f"CREATE USER IF NOT EXISTS {admin};\n"
        f"ALTER USER {admin} IDENTIFIED BY '{admin_password}' REQUIRE SSL;\n"
        f"GRANT ALL PRIVILEGES ON *.* TO {admin} WITH GRANT OPTION;\n"
    )


def _command(binary: ServerBinary, directory: Path, certificates: Certificates, port: int) -> list[str]:
    command = [
        str(binary.path),
        "--no-defaults",
        f"--datadir={directory / 'data'}",
        # Relative to the data directory: a whole path may be longer than a socket's name can be.
        "--socket=server.sock",
        f"--pid-file={directory / 'data' / 'own.pid'}",
        f"--tmpdir={directory / 'tmp'}",
        f"--secure-file-priv={directory / 'files'}",
        f"--init-file={directory / 'accounts.sql'}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        # Without names, root@localhost can come in by the socket only.
        "--skip-name-resolve",
        f"--ssl-ca={certificates.ca}",
        f"--ssl-cert={certificates.cert}",
        f"--ssl-key={certificates.key}",
        "--require-secure-transport=ON",
        "--local-infile=ON",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_unicode_ci",
        "--default-time-zone=+00:00",
        "--performance-schema=ON",
        "--skip-log-bin",
    ]
    if binary.kind == "mysql":
        command += ["--mysqlx=0", "--caching-sha2-password-auto-generate-rsa-keys=OFF"]
    return command + _as_root()


def _as_root() -> list[str]:
    """Both servers refuse to run as root unless they are told to."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _template(binary: ServerBinary) -> Path:
    """An initialised data directory of this server in the user's cache, made the first time it is asked for."""
    statements = _first_statements(binary)
    recipe = "\n".join([binary.version, str(binary.path), *_initialise(binary, Path("data")), statements])
    name = f"{binary.kind}-{binary.version}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    templates = platformdirs.user_cache_path("dixis") / "data"
    template = templates / name
    if template.is_dir():
        return template
    templates.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=templates) as making:
        data = Path(making) / "data"
        data.mkdir(mode=0o700)
        done = subprocess.run(
            _initialise(binary, data),
            input=statements,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=processes.child_environment() | {"TMPDIR": making},
            check=False,
        )
        if done.returncode != 0:
            raise DixisError(
                f"{binary} could not initialise a data directory:\n{done.stdout[-2000:]}",
                safe="nothing was left running",
                next_step=f"check the free space in {templates}",
            )
        (data / "auto.cnf").unlink(missing_ok=True)  # the server's identity: each copy draws its own
        try:
            data.rename(template)
        except OSError:
            if not template.is_dir():  # else another process was quicker: its template is as good
                raise
    return template


def _initialise(binary: ServerBinary, data: Path) -> list[str]:
    if binary.kind == "mysql":
        return [
            str(binary.path),
            "--no-defaults",
            "--initialize-insecure",
            f"--datadir={data}",
            "--innodb-redo-log-capacity=8M",
            "--auto-generate-certs=OFF",
            "--caching-sha2-password-auto-generate-rsa-keys=OFF",
            "--secure-file-priv=",
            "--skip-log-bin",
            *_as_root(),
        ]
    return [
        str(binary.path),
        "--no-defaults",
        "--bootstrap",
        f"--datadir={data}",
        "--innodb-log-file-size=16M",
        "--enforce-storage-engine=",
        "--max-allowed-packet=8M",
        *_as_root(),
    ]


def _first_statements(binary: ServerBinary) -> str:
    """What MariaDB is fed to make its system tables, from the files it ships; MySQL has that built in."""
    if binary.kind == "mysql":
        return ""
    share = next((place for place in MARIADB_SHARES if (place / "mysql_system_tables.sql").exists()), MARIADB_SHARES[0])
    head = "CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\nSET @auth_root_socket=NULL, @skip_auth_anonymous=1;\n"
    try:
        tables = "".join((share / name).read_text(encoding="utf-8") for name in MARIADB_SYSTEM_TABLES)
    except OSError as error:
        raise DixisError(
            f"{binary} comes without {error.filename}.",
            safe="nothing was left running",
            next_step="install mariadb-server-core (scripts/setup does)",
        ) from error
    # root, who has no password, through the socket only.
    return f"{head}{tables}\nDELETE FROM mysql.global_priv WHERE Host <> 'localhost';\n"


def _copy(template: Path, data: Path) -> None:
    """Copy a data directory; blocks are shared where the file system can."""
    subprocess.run(
        ["cp", "-a", "--reflink=auto", str(template), str(data)], check=True, env=processes.child_environment()
    )


def main() -> None:
    """Print the servers found, for the scripts."""
    print(", ".join(str(binary) for binary in find_servers().values()) or "none")


if __name__ == "__main__":
    main()

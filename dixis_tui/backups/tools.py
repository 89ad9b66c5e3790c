"""The server's own programs: found, asked for their version, and given a password that nobody else sees."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dixis_tui import config
from dixis_tui.backups.manifest import CREDENTIALS
from dixis_tui.model import FAILED, DixisError
from dixis_tui.target import Flavour, ServerFacts

NAMES: Mapping[Flavour, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "MySQL": (("mysqldump",), ("mysql",)),
    "MariaDB": (("mariadb-dump", "mysqldump"), ("mariadb", "mysql")),
}
# What cron's PATH leaves out.
PLACES = ("/usr/local/bin", "/usr/local/mysql/bin", "/usr/bin", "/bin")
PACKAGES: Mapping[Flavour, str] = {"MySQL": "mysql-client", "MariaDB": "mariadb-client"}
ESCAPES = {"\\": "\\\\", '"': '\\"', "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b"}


class ToolError(DixisError):
    """The programs that make and restore dumps are not there, or are not those of this server."""

    exit_code = FAILED


@dataclass(frozen=True)
class Tool:
    """A program. version: as it says itself; numbers: the first two of it."""

    path: str
    flavour: Flavour
    version: str

    @property
    def numbers(self) -> tuple[int, int]:
        first, second = self.version.split(".")[:2]
        return int(first), int(second)

    def __str__(self) -> str:
        return f"{Path(self.path).name} {self.version} ({self.flavour})"


@dataclass(frozen=True)
class Tools:
    """The programs that make a dump and that read one."""

    dump: Tool
    client: Tool


def find(settings: config.Backup, facts: ServerFacts) -> Tools:
    """The programs for a server. Raises ToolError that says what is there instead and what to install."""
    return Tools(*(_find(settings, facts, names) for names in NAMES[facts.flavour]))


def _find(settings: config.Backup, facts: ServerFacts, names: tuple[str, ...]) -> Tool:
    places = [str(settings.tools)] if settings.tools else [*os.environ.get("PATH", "").split(os.pathsep), *PLACES]
    seen: list[str] = []
    older: Tool | None = None
    for path in dict.fromkeys(str(Path(place) / name) for name in names for place in places if place):
        if not os.access(path, os.X_OK):
            continue
        tool = identify(path)
        if tool is None or tool.flavour != facts.flavour:
            seen.append(f"{path} is {tool.flavour + chr(39) + 's' if tool else 'none that says its version'}")
        elif tool.numbers < facts.version[:2]:
            older = older or tool
        else:
            return tool
    wanted = ".".join(map(str, facts.version[:2]))
    install = (
        f"install the client of {facts.flavour} {wanted} or newer (apt-get install {PACKAGES[facts.flavour]}, or the"
        " server's own packages), or name its folder in [backup] tools"
    )
    safe = "no backup was made or restored; those there are as they were"
    if older is not None:
        raise ToolError(
            f"{older.path} is {older.version}, older than the server ({facts.flavour} {facts.version_text}): it would"
            " leave out what it does not know.",
            safe=safe,
            next_step=install,
        )
    there = f" ({'; '.join(seen)})" if seen else ""
    where = str(settings.tools) if settings.tools else "the PATH"
    raise ToolError(
        f"There is no {' or '.join(names)} of {facts.flavour} in {where}{there}.", safe=safe, next_step=install
    )


def identify(path: str) -> Tool | None:
    """What a program says it is; None when it does not say."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    # "Ver 10.19 Distrib 10.11.6-MariaDB", "from 11.4.2-MariaDB", "Ver 8.0.36 for Linux"
    number = r"(\d+\.\d+\.\d+)"
    found = re.search(rf"(?:Distrib|from) {number}", done.stdout) or re.search(rf"Ver {number}", done.stdout)
    if found is None:
        return None
    return Tool(path, "MariaDB" if "MariaDB" in done.stdout else "MySQL", found[1])


def environment() -> dict[str, str]:
    """The environment of these programs: none of the operator's settings, and no login file."""
    return {
        "PATH": os.pathsep.join(PLACES),
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",
        "MYSQL_TEST_LOGIN_FILE": "/nonexistent/login",
    }


@contextmanager
def option_file(directory: Path, target: config.Target, flavour: Flavour) -> Iterator[str]:
    """The path of a file, readable by its owner only, that says how to connect; gone when the block ends."""
    values = {
        "host": target.host,
        "port": str(target.port),
        "protocol": "tcp",
        "user": target.user,
        "password": target.password.resolve(f"password of {target.user}"),
        **_tls(target.tls, flavour),
    }
    lines = ["[client]", *(name if value is None else f"{name}={_quoted(value)}" for name, value in values.items())]
    descriptor, path = tempfile.mkstemp(prefix=CREDENTIALS, suffix=".cnf", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        yield path
    finally:
        Path(path).unlink(missing_ok=True)


def _tls(tls: config.Tls, flavour: Flavour) -> dict[str, str | None]:
    """The same demands on the server's certificate that our own connections make."""
    if tls.mode == "off":
        return {"ssl-mode": "DISABLED"} if flavour == "MySQL" else {"skip-ssl": None}
    authority = str(tls.ca) if tls.ca else ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    values: dict[str, str | None] = {"ssl-ca": authority}
    values |= {"ssl-mode": "VERIFY_IDENTITY"} if flavour == "MySQL" else {"ssl-verify-server-cert": None}
    if tls.cert:
        values["ssl-cert"] = str(tls.cert)
    if tls.key:
        values["ssl-key"] = str(tls.key)
    return values


def _quoted(value: str) -> str:
    return '"' + "".join(ESCAPES.get(character, character) for character in value) + '"'


def dump_arguments(tool: Tool, options: str, database: str) -> list[str]:
    """The command line of a dump: one transaction, and everything that belongs to the database."""
    arguments = [
        tool.path,
        f"--defaults-file={options}",
        "--single-transaction",
        "--quick",
        "--skip-lock-tables",
        "--routines",
        "--triggers",
        "--events",
        "--hex-blob",
        "--complete-insert",
        "--tz-utc",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
        "--no-tablespaces",
    ]
    if tool.flavour == "MySQL":
        # A dump goes into any database of any server: it does not say which transactions that server has seen.
        arguments += ["--set-gtid-purged=OFF", "--column-statistics=0", "--loose-skip-masking-policies"]
    return [*arguments, "--", database]


def restore_arguments(tool: Tool, options: str, database: str) -> list[str]:
    """The command line that reads a dump from its standard input and stops at the first error."""
    return [
        tool.path,
        f"--defaults-file={options}",
        "--batch",
        "--binary-mode",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
        "--",
        database,
    ]

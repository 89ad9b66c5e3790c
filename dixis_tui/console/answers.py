"""The first start: a few answers become a configuration, connections are tried, old runs are found."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import humanize
import tomli
from pydantic import ValidationError

from dixis_tui import source, target
from dixis_tui.config import Config, ConfigError, Ssh, Target
from dixis_tui.hosts.host import Host, LocalHost
from dixis_tui.hosts.ssh import SshHost
from dixis_tui.model import DixisError
from dixis_tui.record import glance
from dixis_tui.record.journal import Lock

PATIENCE = 3  # seconds a connection may take while somebody waits at the keyboard
PASSWORD_ENV = "DIXIS_TARGET_PASSWORD"
PASSWORD_FILE = "dixis-password.txt"
KEEP_IN_FILE = "file"
DEPTH, FOLDERS = 3, 3000  # how deep, and in how many folders, old runs are looked for


@dataclass(frozen=True)
class Question:
    """One line of the form. part: what is tried anew when its answer changes; empty for nothing."""

    name: str
    label: str
    default: str = ""
    hint: str = ""
    part: str = ""
    secret: bool = False


SOURCE, HOST, TARGET = "source", "host", "target"
QUESTIONS = (
    Question("environment", "This is a", "rehearsal", "rehearsal, staging or production"),
    Question("ssh_address", "Application's host", "", "empty: this machine", HOST),
    Question("ssh_user", "SSH user", "deploy", "", HOST),
    Question("ssh_key", "SSH key", "", "empty: keys of your ssh-agent", HOST),
    Question("known_hosts", "Known hosts", "~/.ssh/known_hosts", "hosts not in it are refused", HOST),
    Question("root", "Application's folder", "/var/www/dixis", "the one that holds artisan", HOST),
    Question("path", "SQLite database", "/var/www/dixis/database/database.sqlite", "on the same machine", SOURCE),
    Question("host", "MySQL server", "", "a name in its certificate", TARGET),
    Question("port", "Port", "3306", "", TARGET),
    Question("database", "Database", "dixis_production", "", TARGET),
    Question("user", "Account", "dixis_user", "the application's own", TARGET),
    Question("password", "Its password", "", "to try it; not written into the file", TARGET, secret=True),
    Question("keep", "Password is kept in", "env", f"env: ${PASSWORD_ENV}; file: {PASSWORD_FILE}, mode 0600"),
    Question("ca", "CA file of the server", "", "empty: the system's store", TARGET),
    Question("admin", "Admin account", "", "empty: database and account exist; asks each time"),
)
Answers = Mapping[str, str]


@dataclass(frozen=True)
class Trial:
    """What came of trying a part; ok is None where there is nothing to try yet."""

    ok: bool | None
    text: str


@dataclass(frozen=True)
class FoundRun:
    """A folder that holds a run. changed: when its journal last was."""

    folder: Path
    name: str
    environment: str
    database: str
    changed: datetime
    driven: bool


def text(answers: Answers) -> str:
    """The answers as a configuration file. It names where the password is, never the password."""

    def value(name: str) -> str:
        return json.dumps(answers.get(name, "").strip(), ensure_ascii=False)  # JSON's escapes are among TOML's

    in_file = answers.get("keep", "").strip() == KEEP_IN_FILE
    lines = [
        "# Written by the first start of dixis; config.example.toml explains every key there is.",
        "[run]",
        f"environment = {value('environment')}",
        'directory = "run"',
        "",
        "[source]",
        f"path = {value('path')}",
        f'location = "{"host" if answers.get("ssh_address", "").strip() else "local"}"',
        "",
        "[target]",
        f"host = {value('host')}",
        f"port = {answers.get('port', '').strip() or 0}",
        f"database = {value('database')}",
        f"user = {value('user')}",
        "password = { " + (f'file = "{PASSWORD_FILE}"' if in_file else f'env = "{PASSWORD_ENV}"') + " }",
    ]
    if answers.get("ca", "").strip():
        lines += ["", "[target.tls]", f"ca = {value('ca')}"]
    if answers.get("admin", "").strip():
        lines += ["", "[target.admin]", f"user = {value('admin')}", "password = { prompt = true }"]
    if answers.get("ssh_address", "").strip():
        lines += ["", "[host.ssh]", f"address = {value('ssh_address')}", f"user = {value('ssh_user')}"]
        lines += [f"key = {value('ssh_key')}"] if answers.get("ssh_key", "").strip() else []
        lines += [f"known_hosts = {value('known_hosts')}"]
    return "\n".join([*lines, "", "[app]", f"root = {value('root')}", ""])


def check(answers: Answers) -> Config:
    """The configuration the answers make. Raises ConfigError that names what is missing or wrong."""
    wanted = {question.name: question.label for question in QUESTIONS}
    optional = {"ssh_address", "ssh_key", "password", "ca", "admin"}
    empty = [label for name, label in wanted.items() if name not in optional and not answers.get(name, "").strip()]
    if empty:
        raise ConfigError(f"Not answered yet: {', '.join(empty)}.", "fill that in")
    if answers["keep"].strip() not in ("env", KEEP_IN_FILE):
        raise ConfigError("The password is kept in env or in file.", "write one of the two words")
    if answers["keep"].strip() == KEEP_IN_FILE and not answers.get("password"):
        raise ConfigError("There is no password to keep in a file.", "type it, or write env")
    try:
        return Config.model_validate(tomli.loads(text(answers)))
    except tomli.TOMLDecodeError as error:
        raise ConfigError("The port is not a number.", "3306, as a rule") from error
    except ValidationError as error:
        raise ConfigError(_words(error), "mend that answer") from error


def _words(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].removeprefix('Value error, ')}"


def write(path: Path, answers: Answers) -> None:
    """Write the configuration, and the password beside it where that was asked for; mode 0600, never over a file.

    Raises ConfigError.
    """
    check(answers)
    secret = path.with_name(PASSWORD_FILE)
    in_file = answers["keep"].strip() == KEEP_IN_FILE
    for place in (path, secret) if in_file else (path,):
        if os.path.lexists(place):
            raise ConfigError(f"{place} is there already; it was left as it is.", "move it away, or use it")
    if in_file:
        _create(secret, f"{answers['password']}\n")
    _create(path, text(answers))


def _create(path: Path, content: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.", "mend that, or start elsewhere") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)


def attempt(part: str, answers: Answers) -> Trial:
    """Try one part with these answers; takes some seconds at most where nothing answers."""
    attempts: dict[str, Callable[[Answers], Trial]] = {SOURCE: _source, HOST: _host, TARGET: _target}
    try:
        return attempts[part](answers)
    except ValidationError as error:
        return Trial(None, _words(error))
    except DixisError as error:
        next_step = f" Next: {error.next_step}" if error.next_step else ""
        return Trial(False, f"{error.what}{next_step}")


def _place(answers: Answers) -> Host:
    """The machine the application is on."""
    if not answers.get("ssh_address", "").strip():
        return LocalHost()
    settings: dict[str, Any] = {
        "address": answers["ssh_address"].strip(),
        "user": answers["ssh_user"].strip(),
        "known_hosts": Path(answers["known_hosts"].strip()).expanduser(),
        "connect_timeout": PATIENCE,
    }
    address, colon, port = settings["address"].rpartition(":")
    if colon and port.isdigit():
        settings |= {"address": address, "port": int(port)}
    if answers.get("ssh_key", "").strip():
        settings["key"] = Path(answers["ssh_key"].strip()).expanduser()
    return SshHost(Ssh.model_validate(settings))


def _source(answers: Answers) -> Trial:
    place = _place(answers)
    try:
        size = source.mark(place, str(Path(answers["path"].strip()).expanduser())).size
    finally:
        place.close()
    return Trial(True, f"a SQLite database of {humanize.naturalsize(size)}")


def _host(answers: Answers) -> Trial:
    place = _place(answers)
    root = answers["root"].strip().rstrip("/")
    try:
        artisan = place.stat(f"{root}/artisan")
    finally:
        place.close()
    if artisan is None:
        return Trial(False, f"{place.name} answers; there is no artisan in {root}")
    return Trial(True, f"{place.name}: artisan is in {root}")


def _target(answers: Answers) -> Trial:
    if not answers.get("host", "").strip():
        return Trial(None, "which server?")
    if not answers.get("password"):
        return Trial(None, "not tried without its password")
    tls = {"ca": Path(answers["ca"].strip()).expanduser()} if answers.get("ca", "").strip() else {}
    wanted = {
        **{name: answers[name].strip() for name in ("host", "port", "database", "user")},
        "password": answers["password"],
        "connect_timeout": PATIENCE,
        "tls": tls,
    }
    with target.connected(Target.model_validate(wanted), database=None) as connection:
        facts = target.server_facts(connection)
        names = {str(row[0]) for row in target.query(connection, "SHOW DATABASES")}
    known = "the database is there" if wanted["database"] in names else "the database is not there yet, or not for it"
    return Trial(facts.supported, f"{facts.flavour} {facts.version_text}, encrypted; {known}")


def runs(folder: Path) -> list[FoundRun]:
    """The runs in a folder and a few below it, the newest first."""
    found = [run for place in _folders(folder) if (run := _run_in(place)) is not None]
    return sorted(found, key=lambda run: run.changed, reverse=True)


def _folders(top: Path) -> Iterator[Path]:
    """The folder and those below, the nearest first; none that is hidden, linked or closed to us."""
    level, left = [top], FOLDERS
    for _ in range(DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            yield folder
            left -= 1
            if left == 0:
                return
            try:
                with os.scandir(folder) as entries:
                    below += [
                        Path(one.path)
                        for one in entries
                        if one.is_dir(follow_symlinks=False) and not one.name.startswith(".")
                    ]
            except OSError:
                continue
        level = sorted(below)


def _run_in(folder: Path) -> FoundRun | None:
    journal = folder / "journal.sqlite"
    try:
        facts = journal.stat()
        if not stat.S_ISREG(facts.st_mode):
            return None
        _, config = glance.read(folder)
        driven = Lock(folder).held()
    except (OSError, DixisError):
        return None
    changed = datetime.fromtimestamp(facts.st_mtime, UTC)
    database = config.target_section.database if config.target_section else ""
    return FoundRun(folder, config.run.name, config.run.environment, database, changed, driven)

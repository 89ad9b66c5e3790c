"""The whole file: read, checked, and told what is wrong with it by line and key."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import tomli
from pydantic import Field, ValidationError, ValidationInfo, field_validator

from dixis_tui.config.aftercare import Watch
from dixis_tui.config.application import App, Host, Smoke, WebHost
from dixis_tui.config.assets import Assets
from dixis_tui.config.backup import Account, Backup, Health
from dixis_tui.config.base import ConfigError, Secret, Section
from dixis_tui.config.console import Console
from dixis_tui.config.run import People, Run
from dixis_tui.config.servers import Admin, Source, Target
from dixis_tui.config.tables import Data, Names, Schema, Types
from dixis_tui.config.tuning import Connections, Tuning
from dixis_tui.config.validation import Validation, Vat
from dixis_tui.config.written import Written

SectionT = TypeVar("SectionT", bound=Section)


class Config(Section):
    """The whole file."""

    run: Run
    people: People = People()
    source: Source
    target_section: Target | None = Field(alias="target")
    host: Host = Host()
    app: App
    hosts: tuple[WebHost, ...] = ()
    smoke: Smoke = Smoke()
    schema_section: Schema = Field(default=Schema(), alias="schema")
    types: Types = Field(default_factory=dict)
    names: Names = Field(default_factory=dict)
    data: Data = Data()
    assets: Assets | None = None
    vat: Vat = Vat()
    validation: Validation = Validation()
    plan: Written = Written()
    tuning: Tuning = Tuning()
    connections: Connections = Connections()
    backup: Backup = Backup()
    health: Health = Health()
    watch: Watch = Watch()
    console: Console = Console()

    @field_validator("hosts")
    @classmethod
    def _every_host_once(cls, hosts: tuple[WebHost, ...], info: ValidationInfo) -> tuple[WebHost, ...]:
        first = info.data["host"].ssh if "host" in info.data else None
        root = info.data["app"].root.rstrip("/") if "app" in info.data else ""
        places = [(first.address, first.port, root)] if first else []
        for one in hosts:
            place = one.ssh.address, one.ssh.port, one.root.rstrip("/") or root
            if place in places:
                raise ValueError(f"{place[0]}:{place[1]} stands there twice with the same root")
            places.append(place)
        return hosts

    @property
    def target(self) -> Target:
        """The [target] section. Raises ConfigError when the file was read for a rollback and that section is broken."""
        if self.target_section is None:
            raise ConfigError(
                "The [target] section of the configuration cannot be used.", "mend it; rollback works without"
            )
        return self.target_section

    def known_secrets(self) -> Iterator[str]:
        """Every secret resolved so far, for the redactor."""
        yield from (secret.known for secret in self._secrets().values() if secret.known)
        yield from self.app.secrets()

    def ask_for_secrets(self) -> None:
        """Ask now for what would be prompted for later: once the console has the terminal, nothing else can."""
        for key, account in self._accounts().items():
            if account.password.prompt and key != "health.account":  # which no console uses
                account.password.resolve(f"password of {account.user}")

    def clear_secrets(self) -> list[str]:
        """Keys whose secret stands in the file in clear."""
        return [key for key, secret in self._secrets().items() if secret.clear]

    def _secrets(self) -> dict[str, Secret]:
        """Every secret of the file, by its key."""
        return {f"{key}.password": account.password for key, account in self._accounts().items()}

    def _accounts(self) -> dict[str, Target | Admin | Account]:
        """Every account the file names, by the section it stands in."""
        target = self.target_section
        accounts: dict[str, Target | Admin | Account | None] = {
            "target": target,
            "target.admin": target.admin if target else None,
            "backup.account": self.backup.account,
            "health.account": self.health.account,
            "watch.account": self.watch.account,
        }
        return {key: account for key, account in accounts.items() if account is not None}


def load(path: Path, *, rollback: bool = False) -> Config:
    """Read and check the configuration.

    rollback: only what taking the application back needs must be sound; a broken [target] or any other section, and
    lines that are no TOML, are let pass. Raises ConfigError that names the file, line, key and what would be right.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"Cannot read the configuration {path}: {reason}.",
            "give its path with --config, or copy config.example.toml and fill it in",
        ) from error
    try:
        return _validate(_parse(text, path), path)
    except ConfigError:
        if not rollback:
            raise
        values = _parse(text, path, skip_broken_lines=True)
        return _validate({"target": None, **{key: values[key] for key in NEEDED_TO_GO_BACK if key in values}}, path)


def _parse(text: str, path: Path, *, skip_broken_lines: bool = False) -> dict[str, Any]:
    lines = text.split("\n")
    while True:
        try:
            return tomli.loads("\n".join(lines))
        except tomli.TOMLDecodeError as error:
            if not skip_broken_lines or not any(lines):
                next_step = "mend that line; text values stand in quotes"
                raise ConfigError(f"{path} is not TOML: {error}.", next_step) from error
            broken = min(error.lineno, len(lines)) - 1
            while broken and not lines[broken]:
                broken -= 1  # an error at the end of a text begins above it
            lines[broken] = ""


NEEDED_TO_GO_BACK = ("run", "source", "host", "hosts", "app")


def _validate(values: dict[str, Any], path: Path) -> Config:
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        problems = [_problem(dict(item), values, path) for item in error.errors()]
        more = [f"  {problem}" for problem in problems]
        raise ConfigError(
            f"{path} cannot be used:\n" + "\n".join(more), "mend the lines named; see config.example.toml"
        ) from error
    base = path.resolve().parent
    config = _with_absolute_paths(config, base)
    if config.source.location == "local":
        local = str((base / Path(config.source.path).expanduser()).resolve())
        config = config.model_copy(update={"source": config.source.model_copy(update={"path": local})})
    return config


def _with_absolute_paths(section: SectionT, base: Path) -> SectionT:
    """The same models with every Path made absolute, counted from the folder of the file; ~ is the user's home."""
    changes: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Path):
            changes[name] = _absolute(value, base)
        elif isinstance(value, Section):
            changes[name] = _with_absolute_paths(value, base)
        elif isinstance(value, tuple) and any(isinstance(one, Section) for one in value):
            changes[name] = tuple(_with_absolute_paths(one, base) for one in value)
        elif isinstance(value, tuple) and any(isinstance(one, Path) for one in value):
            changes[name] = tuple(_absolute(one, base) for one in value)
    return section.model_copy(update=changes) if changes else section


def _absolute(path: Path, base: Path) -> Path:
    return (base / path.expanduser()).resolve()


def _problem(item: dict[str, Any], values: dict[str, Any], path: Path) -> str:
    location = [part for part in item["loc"] if part not in ("function-before", "function-after")]
    key = ".".join(str(part) for part in location)
    line = line_of(path.read_text(encoding="utf-8"), location)
    where = f"line {line}: " if line else ""
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _siblings(location[:-1]), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "known keys: " + ", ".join(_siblings(location[:-1]))
        return f"{where}{key}: there is no such key; {hint}"
    if item["type"] == "missing":
        return f"{where}{key}: this key is needed"
    return f"{where}{key}: {item['msg'].removeprefix('Value error, ')}"


def _siblings(location: list[Any]) -> list[str]:
    """Names of the keys a section takes; location is the path of the section in the file."""
    model: Any = Config
    for part in location:
        if isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = next(models_in(fields[part].annotation), Section) if part in fields else Section
    return [field.alias or name for name, field in model.model_fields.items()]


def models_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def line_of(text: str, location: list[Any]) -> int | None:
    """The line (from 1) on which a key, or else the nearest section around it, stands in a TOML text."""
    seen: dict[str, int] = {}
    section = ""
    found: int | None = None
    best = 0
    wanted = [str(part) for part in location]
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("[["):
            name = stripped.strip("[] ").partition("]")[0].strip()
            seen[name] = seen.get(name, -1) + 1
            section = f"{name}.{seen[name]}"
            here = section.split(".")
        elif stripped.startswith("["):
            section = stripped[1:].partition("]")[0].strip()
            here = section.split(".")
        elif "=" in stripped and not stripped.startswith("#"):
            key = stripped.partition("=")[0].strip().strip('"')
            here = [*section.split("."), *key.split(".")] if section else key.split(".")
        else:
            continue
        if len(here) > best and wanted[: len(here)] == here:
            best, found = len(here), number
    return found

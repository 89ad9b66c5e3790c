"""[host], [app] and [smoke]: the application and the machines it runs on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dixis_tui.config.base import Section

SECRET_KEY = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|PRIVATE", re.IGNORECASE)
SHORTEST = 4
SECRET_VALUE = re.compile(r"://[^/@]*:[^/@]+@")


def secretive(key: str, value: str) -> bool:
    """Whether a key of .env holds a secret, by its name, or its value does: an address with a password in it."""
    return bool(SECRET_KEY.search(key) or SECRET_VALUE.search(value))


class Ssh(Section):
    """[host.ssh]: how to reach the application's host. Only hosts in known_hosts are trusted."""

    address: str
    port: int = Field(default=22, ge=1, le=65535)
    user: str
    key: Path | None = None
    known_hosts: Path
    connect_timeout: int = Field(default=7, ge=1, le=300)


class Host(Section):
    """[host]: where the application lives: this machine, or one behind SSH when [host.ssh] is given."""

    ssh: Ssh | None = None


class WebHost(Section):
    """[[hosts]]: another web host of the same application, behind SSH.

    root: the folder that holds artisan there; left out, it is where [app] says.
    """

    ssh: Ssh
    root: str = ""


class App(Section):
    """[app]: the Laravel application on the host.

    autoload: the file that loads its classes, relative to root. config_cache: after a change of .env, rebuild the
    cached configuration ("cache"), remove it ("clear"), or rebuild it where one was found ("as-found"). restart:
    commands that make PHP read new settings; stop_workers, start_workers: commands around the closed shop. down:
    options of `artisan down`; those this Laravel does not know are left out. drain_seconds: how long running requests
    may take to end. timeout: seconds an artisan command may take; migrations have half an hour.
    database_env: how the new .env reaches the target; keys here override what [target] says (a different address from
    the host's side, the path of the CA file there).
    """

    root: str
    php: str = "php"
    autoload: str = "vendor/autoload.php"
    env_file: str = ".env"
    config_cache: Literal["as-found", "cache", "clear"] = "as-found"
    restart: tuple[str, ...] = ()
    stop_workers: tuple[str, ...] = ()
    start_workers: tuple[str, ...] = ()
    down: dict[Annotated[str, Field(pattern=r"^[a-z-]+$")], str] = Field(default_factory=lambda: {"retry": "60"})
    drain_seconds: float = Field(default=2.0, ge=0, le=600)
    timeout: float = Field(default=120.0, gt=0, le=3600)
    database_env: dict[str, str] = Field(default_factory=dict)

    def secrets(self) -> list[str]:
        """Values for the new .env that nobody is to read; not words that other text has too, such as `true`."""
        found = [value for key, value in self.database_env.items() if secretive(key, value)]
        return [value for value in found if len(value) >= SHORTEST and value.lower() not in ("true", "false", "null")]

    @model_validator(mode="after")
    def _no_secret_on_a_command_line(self) -> App:
        if "secret" in self.down:
            raise ValueError("down.secret would stand in the list of processes; leave it out")
        return self


class Url(Section):
    """[[smoke.urls]]: an address the application must answer with this status, and with text in its answer."""

    url: str = Field(pattern=r"^https?://")
    status: int = Field(default=200, ge=100, le=599)
    text: str = ""


class SmokeQuery(Section):
    """[[smoke.queries]]: a SELECT asked of the target; answer: the first value of its first row, as text."""

    title: str = Field(min_length=1)
    sql: str = Field(min_length=1)
    answer: str


class Smoke(Section):
    """[smoke]: what is tried after the switch, while the shop is still closed.

    artisan: commands, without `php artisan`, that must end well; timeout: seconds an address may take to answer.
    """

    artisan: tuple[str, ...] = ()
    urls: tuple[Url, ...] = ()
    queries: tuple[SmokeQuery, ...] = ()
    timeout: float = Field(default=15.0, gt=0, le=300)

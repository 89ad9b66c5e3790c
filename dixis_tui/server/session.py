"""The application's own sessions: with MySQL, whose cipher the server is asked for, and with its cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, ValidationError

from dixis_tui.context import Context
from dixis_tui.hosts import fleet, laravel
from dixis_tui.hosts.laravel import ApplicationError
from dixis_tui.model import Kind, Outcome, failed, passed, warned
from dixis_tui.step import Step

PHP_LINES = (
    "// config/database.php, connections.mysql:",
    "'options' => array_filter([",
    "    PDO::MYSQL_ATTR_SSL_CA => env('MYSQL_ATTR_SSL_CA'),",
    "    PDO::MYSQL_ATTR_SSL_CERT => env('MYSQL_ATTR_SSL_CERT'),",
    "    PDO::MYSQL_ATTR_SSL_KEY => env('MYSQL_ATTR_SSL_KEY'),",
    "]),",
)


class TlsFile(BaseModel):
    """A file that PHP is told to use for TLS, and whether the application may read it."""

    model_config = ConfigDict(frozen=True)

    path: str
    readable: bool


class Session(BaseModel):
    """A session of the application with MySQL, as the server sees it. error: why there is none; default: it is the
    connection the application works on."""

    model_config = ConfigDict(frozen=True)

    default: bool
    account: str
    cipher: str
    version: str
    error: str

    def line(self) -> str:
        return f"{self.account}: {f'{self.version}, {self.cipher}' if self.cipher else 'not encrypted'}"


class Redis(BaseModel):
    """A connection to Redis that the cache uses. problem: empty when it answers."""

    model_config = ConfigDict(frozen=True)

    connection: str
    client: str
    where: str
    problem: str


class Cache(BaseModel):
    """The default store of the cache, its driver, and Redis where that is the one."""

    model_config = ConfigDict(frozen=True)

    store: str | None
    driver: str | None
    redis: tuple[Redis, ...]


class Told(BaseModel):
    """What the application says. files: by CA, CAPATH, CERT, KEY; verify: PHP checks the server's certificate;
    query_cache: keys of its configuration that no Laravel reads."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, TlsFile]
    verify: bool
    session: Session | None
    cache: Cache
    query_cache: tuple[str, ...]


def ask(
    ctx: Context, *, environment: str = "", variables: Mapping[str, str] | None = None, connect: bool = False
) -> Told:
    """Boot the application on its host and ask. environment: another environment file than its own; variables: set as
    the shell would, never secrets; with either a cached configuration is passed by. connect: open a session with MySQL.

    Raises ApplicationError with the application's own words when it cannot answer.
    """
    app = ctx.config.app
    own = not environment and not variables
    prefix = (
        [] if own else ["env", laravel.NO_CONFIG_CACHE, *(f"{key}={value}" for key, value in (variables or {}).items())]
    )
    done = ctx.app_host.run(
        [*prefix, app.php, "--", app.autoload, environment or app.env_file, *(["connect"] if connect else [])],
        cwd=app.root,
        data=files("dixis_tui.server").joinpath("session.php").read_bytes(),
        timeout=app.timeout,
        stop=ctx.stop,
    )
    try:
        return Told.model_validate_json(done.stdout.strip().rpartition("\n")[2])
    except ValidationError as error:
        words = [text for text in (done.stdout + done.stderr).splitlines() if text.strip()][:3]
        said = " / ".join(words) or f"exit code {done.returncode}"
        raise ApplicationError(
            f"The application in {app.root} on {ctx.app_host.name} does not answer: {said}",
            next_step=f"cd {app.root} && {app.php} artisan --version",
        ) from error


def trial() -> Step:
    """The check that stands in Validation: the application's session with the target, on trial."""
    return Step(
        id="validation.session",
        title="The application's own session is encrypted",
        kind=Kind.CHECK,
        why="The plan's keys in .env are not those Laravel reads; the server knows which cipher there really is.",
        work=_trial,
    )


def watched() -> Step:
    """The check of the Watch phase: the same of the application as it is set up now."""
    return Step(
        id="watch.session",
        title="The application's own session is encrypted",
        kind=Kind.CHECK,
        why="A deployment that brings another config/database.php may drop what made the connection safe.",
        work=lambda ctx: judged(ctx, fleet.each(ctx, lambda host: ask(host, connect=True))),
    )


def _trial(ctx: Context) -> Outcome:
    def told(host: Context) -> Told:
        with laravel.trial_environment(host) as name:
            return ask(host, environment=name, connect=True)

    return judged(ctx, fleet.each(ctx, told))


def judged(ctx: Context, answers: Sequence[Told]) -> Outcome:
    """What the application's sessions amount to, on each host."""
    told = fleet.named(ctx, [_lines(one) for one in answers])
    sessions = [one.session for one in answers if one.session is not None]
    if errors := [one.error for one in sessions if one.error]:
        return failed(f"the application cannot open a session: {errors[0]}", told, ["mend [app.database_env]"])
    if ctx.config.target.tls.mode == "off":
        return passed("[target.tls] is off: nothing is asked of the session", told)
    if not all(one.cipher for one in sessions):
        return failed(
            "the application's session with MySQL is not encrypted",
            told,
            ["[app.database_env]", 'MYSQL_ATTR_SSL_CA = "…"   # the authority\'s file on the host', *PHP_LINES],
        )
    if not all(one.verify and ("CA" in one.files or "CAPATH" in one.files) for one in answers):
        return warned(
            "the session is encrypted, and PHP does not check whose server it is",
            told,
            ["[app.database_env]", 'MYSQL_ATTR_SSL_CA = "…"   # the authority\'s file on the host'],
        )
    return passed(f"encrypted, and the server proved: {sessions[0].version}, {sessions[0].cipher}", told)


def _lines(one: Told) -> list[str]:
    named = ", ".join(
        f"{name} {file.path}{'' if file.readable else ' (not readable)'}" for name, file in one.files.items()
    )
    return [one.session.line() if one.session else "no session", f"TLS files: {named or 'none'}"]

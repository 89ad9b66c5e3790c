"""The Laravel application on its host: artisan, `.env`, maintenance mode, and what the application itself answers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from dixis_tui.config.application import secretive
from dixis_tui.context import Context
from dixis_tui.hosts import envfile
from dixis_tui.hosts.host import Completed, HostError, HungError, join
from dixis_tui.model import DixisError, Outcome, failed, passed
from dixis_tui.record.journal import SWITCHED

TRIAL_ENV = ".env.dixis"
# A path where there is no cached configuration: the command reads .env files, the live cache is left alone.
NO_CONFIG_CACHE = "APP_CONFIG_CACHE=bootstrap/cache/dixis-no-config.php"

# Told its size, artisan does not ask `stty`, in whose environment every value of .env would stand, passwords too.
SIZE = ("COLUMNS=120", "LINES=50")

RESTART = "queue:restart"
# How artisan says that it has no such command.
UNKNOWN = re.compile(r"is not defined|no commands defined")

# A cached configuration was found on a host; data names it.
CACHED = "configuration-was-cached"


class ApplicationError(DixisError):
    """The application does not answer as it should."""


class Flag(BaseModel):
    """Where maintenance mode is kept: a file at path, or a cache store with its driver; cleared: by `cache:clear`."""

    model_config = ConfigDict(frozen=True)

    driver: str
    path: str
    store: str | None
    store_driver: str | None
    cleared: bool


class Answer(BaseModel):
    """What the application says of itself; rows has None for a table it does not have."""

    model_config = ConfigDict(frozen=True)

    laravel: str
    environment: str
    driver: str
    database: str
    down: bool
    flag: Flag
    config_cached: bool
    rows: dict[str, int | None]

    def lines(self) -> list[str]:
        counts = ", ".join(f"{name} {'absent' if count is None else count}" for name, count in self.rows.items())
        return [
            f"Laravel {self.laravel}, APP_ENV {self.environment}, maintenance {'on' if self.down else 'off'}",
            f"connection {self.driver}, database {self.database}",
            f"rows: {counts}",
        ]


def command(ctx: Context, *arguments: str) -> list[str]:
    """The command line of an artisan command, to be run in the application's root."""
    return ["env", *SIZE, ctx.config.app.php, "artisan", *arguments, "--no-interaction", "--no-ansi"]


def shown(ctx: Context, *arguments: str) -> str:
    """An artisan command as a preview shows it."""
    return f"{ctx.app_host.name}: cd {ctx.config.app.root} && {ctx.config.app.php} artisan {' '.join(arguments)}"


def artisan(ctx: Context, *arguments: str, timeout: float | None = None, prefix: Sequence[str] = ()) -> Completed:
    """Run an artisan command to its end; its output goes to the log line by line. Does not judge the exit code.

    Raises HungError when it takes longer than [app] timeout, or the one given.
    """
    ctx.say(f"$ php artisan {' '.join(arguments)}")
    done = ctx.app_host.run(
        [*prefix, *command(ctx, *arguments)],
        cwd=ctx.config.app.root,
        timeout=timeout or ctx.config.app.timeout,
        on_line=ctx.say,
        stop=ctx.stop,
    )
    for line in done.stderr.splitlines():
        ctx.say(line)
    return done


def ask(ctx: Context, *, environment: str | None = None, tables: Sequence[str] | None = None) -> Answer:
    """Boot the application and have it count tables over its own connection.

    environment: another environment file than the application's, read past any cached configuration.
    Raises ApplicationError with the application's own words when it cannot answer.
    """
    app = ctx.config.app
    names = ctx.config.validation.probe_tables if tables is None else tables
    prefix = ["env", NO_CONFIG_CACHE] if environment else []
    done = ctx.app_host.run(
        [*prefix, app.php, "--", app.autoload, environment or app.env_file, json.dumps(list(names))],
        cwd=app.root,
        data=files("dixis_tui.hosts").joinpath("probe.php").read_bytes(),
        timeout=app.timeout,
        stop=ctx.stop,
    )
    line = done.stdout.strip().rpartition("\n")[2]
    try:
        if done.returncode != 0:
            raise ValueError("it ended with an error")
        return Answer.model_validate_json(line)
    except (ValueError, ValidationError) as error:
        words = [text for text in (done.stdout + done.stderr).splitlines() if text.strip()][:3]
        raise ApplicationError(
            f"The application in {app.root} on {ctx.app_host.name} does not answer: {' / '.join(words) or error}",
            next_step=f"cd {app.root} && {app.php} artisan --version",
        ) from error


def env_path(ctx: Context) -> str:
    return join(ctx.config.app.root, ctx.config.app.env_file)


def saved(ctx: Context) -> Mapping[str, Any] | None:
    """What was recorded when the application on this host was switched, this time; None when it was not."""
    name = ctx.app_host.name
    return next(
        (
            event
            for event in ctx.recorded(SWITCHED)
            if event["path"].endswith(_saved_suffix(ctx))
            and event.get("environment", env_path(ctx)) == env_path(ctx)
            and event.get("host", name) == name
        ),
        None,
    )


def _saved_suffix(ctx: Context) -> str:
    """What the name of the saved copy ends with; each try after a rollback has its own."""
    return f".before-mysql-{ctx.run_id}-{len(ctx.recorded('rolled-back')) + 1}"


def saved_env_path(ctx: Context) -> str:
    """Where the environment file from before the cutover is kept on the host, once it is kept."""
    event = saved(ctx)
    return str(event["path"]) if event else f"{env_path(ctx)}{_saved_suffix(ctx)}"


def save_env(ctx: Context, text: str) -> None:
    """Keep a copy of the environment file, and write down what it must be, before anything is switched.

    It lies beside the file itself, not beside a link to it: a deployment puts a new folder in the application's place.
    """
    name = ctx.app_host.name
    path = ctx.app_host.real_path(env_path(ctx)) + _saved_suffix(ctx)
    ctx.app_host.copy(env_path(ctx), path)
    ctx.record(SWITCHED, {"path": path, "sha256": digest(text), "environment": env_path(ctx), "host": name})


def read_env(ctx: Context) -> str:
    """The text of the application's environment file. Raises HostError when it cannot be read."""
    path = env_path(ctx)
    try:
        return ctx.app_host.read(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise HostError(f"{path} is not UTF-8.", next_step="save it as UTF-8") from error


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def target_env(ctx: Context, text: str) -> dict[str, str]:
    """The keys of `.env` that lead the application to the target. URLs that would override them are emptied."""
    target = ctx.config.target
    changes = {
        "DB_CONNECTION": "mysql",
        "DB_HOST": target.host,
        "DB_PORT": str(target.port),
        "DB_DATABASE": target.database,
        "DB_USERNAME": target.user,
        "DB_PASSWORD": target.password.resolve("password of the application's database account"),
    }
    present = envfile.values(text)
    changes |= {key: "" for key in ("DB_URL", "DATABASE_URL", "DB_SOCKET") if present.get(key)}
    return changes | ctx.config.app.database_env


def shown_changes(changes: Mapping[str, str]) -> list[str]:
    """Changes of `.env` as a preview shows them, secrets left out."""
    return [f"{key}={'•••' if secretive(key, value) else envfile.quoted(value)}" for key, value in changes.items()]


@contextmanager
def trial_environment(ctx: Context) -> Iterator[str]:
    """A temporary environment file beside `.env`, leading to the target; gone again afterwards. Yields its name."""
    path = join(ctx.config.app.root, TRIAL_ENV)
    text = read_env(ctx)
    ctx.app_host.write(path, envfile.changed(text, target_env(ctx, text)).encode(), mode=0o600)
    try:
        yield TRIAL_ENV
    finally:
        ctx.app_host.remove(path)


def migrate(ctx: Context) -> Outcome:
    """`artisan migrate --force` against the target, while the application stays on its own database."""
    with trial_environment(ctx):
        done = artisan(ctx, "migrate", "--force", "--env=dixis", prefix=["env", NO_CONFIG_CACHE], timeout=1800)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0:
        return failed(
            f"artisan migrate ended with exit code {done.returncode}",
            [*lines[-20:], *done.stderr.splitlines()[-10:]],
            [
                "a migration that failed may have left its table behind: MySQL cannot undo a CREATE TABLE",
                "mend the migration, drop that table on the target, run this step again",
            ],
        )
    return passed(f"artisan migrate: {lines[-1] if lines else 'done'}", lines[-200:])


def migrate_status(ctx: Context) -> Outcome:
    """`artisan migrate:status` against the target; a pending migration fails it, whatever the exit code says."""
    with trial_environment(ctx):
        done = artisan(ctx, "migrate:status", "--env=dixis", prefix=["env", NO_CONFIG_CACHE])
    return judge_migrations(done, "run schema.migrate again")


def judge_migrations(done: Completed, remedy: str) -> Outcome:
    """What an `artisan migrate:status` amounts to."""
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0:
        return failed(f"artisan migrate:status ended with exit code {done.returncode}", [*lines, done.stderr.strip()])
    pending = [line for line in lines if "| No " in line or "Pending" in line]
    if pending:
        return failed(f"{len(pending)} migrations have not run on the target", pending, [remedy])
    return passed("every migration has run on the target", lines)


def down_arguments(ctx: Context) -> tuple[list[str], list[str]]:
    """The `artisan down` options of [app] down that this Laravel accepts, and the names of those it does not."""
    wanted = ctx.config.app.down
    if not wanted:
        return [], []
    known = set(re.findall(r"--([a-z-]+)", artisan(ctx, "down", "--help").check("php artisan down --help").stdout))
    accepted = [f"--{name}={value}" if value else f"--{name}" for name, value in wanted.items() if name in known]
    return accepted, [name for name in wanted if name not in known]


def go_down(ctx: Context) -> list[str]:
    """Maintenance mode on, and seen to be on; what there is to tell. Raises ApplicationError or HostError otherwise.

    One that is on already is left alone: where the flag is kept in the database, setting it again would write there.
    """
    if ask(ctx, tables=()).down:
        return ["it was in maintenance mode already"]
    arguments, unknown = down_arguments(ctx)
    artisan(ctx, "down", *arguments).check("php artisan down")
    answer = ask(ctx, tables=())
    if not answer.down:
        raise ApplicationError(
            "artisan down ended well, but the application still serves.",
            next_step="check APP_MAINTENANCE_DRIVER and the cache store it uses",
        )
    where = answer.flag.path if answer.flag.driver == "file" else f"cache store {answer.flag.store}"
    left_out = [f"this Laravel does not know down --{name}: left out" for name in unknown]
    return [f"php artisan down {' '.join(arguments)}".rstrip(), f"the flag is in {where}", *left_out]


def go_up(ctx: Context) -> None:
    """Maintenance mode off, and seen to be off."""
    artisan(ctx, "up").check("php artisan up")
    if ask(ctx, tables=()).down:
        raise ApplicationError(
            "artisan up ended well, but the application is still in maintenance.",
            safe="nobody is served",
            next_step="look for storage/framework/down and APP_MAINTENANCE_DRIVER",
        )


def flag_file(ctx: Context) -> str:
    """Laravel's own file whose presence is maintenance mode."""
    return join(ctx.config.app.root, "storage/framework/down")


def force_down(ctx: Context) -> str:
    """Put Laravel's flag file in place without artisan, for an application whose artisan does not work."""
    if ctx.app_host.stat(flag_file(ctx)) is None:
        flag = '{"except": [], "redirect": null, "retry": 60, "refresh": null, "secret": null, "status": 503}'
        ctx.app_host.write(flag_file(ctx), flag.encode(), mode=0o644)
    return f"{flag_file(ctx)} is in place, which closes the shop where artisan cannot"


def force_up(ctx: Context) -> None:
    """Take the flag file away without artisan, and see that the application serves."""
    for name in ("storage/framework/maintenance.php", "storage/framework/down"):
        ctx.app_host.remove(join(ctx.config.app.root, name))
    if ask(ctx, tables=()).down:
        raise ApplicationError(
            "The application is still in maintenance, although its flag file is gone.",
            safe="nobody is served",
            next_step="check APP_MAINTENANCE_DRIVER; artisan up must end it",
        )


def run_commands(ctx: Context, commands: Sequence[str]) -> Refreshed:
    """Commands of the configuration, one after the other, in the application's folder."""
    done: list[str] = []
    problems: list[str] = []
    for text in commands:
        ctx.say(f"$ {text}")
        try:
            ended = ctx.app_host.run(
                ["sh", "-c", text],
                cwd=ctx.config.app.root,
                timeout=ctx.config.app.timeout,
                on_line=ctx.say,
                stop=ctx.stop,
            )
        except HungError as error:
            problems.append(f"{text}: {error.what}")
            continue
        if ended.returncode == 0:
            done.append(f"{text}: done")
        else:
            problems.append(f"{text}: exit code {ended.returncode}: {ended.stderr.strip()[-300:]}")
    return Refreshed(tuple(done), tuple(problems))


def cache_commands(ctx: Context) -> tuple[str, ...]:
    """The artisan commands after a change of `.env`."""
    setting = ctx.config.app.config_cache
    rebuild = setting == "cache" or (setting == "as-found" and _was_cached(ctx))
    # Workers hear of their end through the cache, so behind its clearing.
    return ("config:clear", *(("config:cache",) if rebuild else ()), "cache:clear", RESTART)


def _was_cached(ctx: Context) -> bool:
    return _noted(ctx) or _is_cached(ctx)


def _noted(ctx: Context) -> bool:
    here = {"host": ctx.app_host.name, "root": ctx.config.app.root}
    return any({**here, **event} == here for event in ctx.recorded(CACHED))


def _is_cached(ctx: Context) -> bool:
    return ctx.app_host.stat(join(ctx.config.app.root, "bootstrap/cache/config.php")) is not None


def note_caches(ctx: Context) -> None:
    """Write down that a cached configuration was found, before it is removed: it is built anew afterwards."""
    if not _noted(ctx) and _is_cached(ctx):
        ctx.record(CACHED, {"host": ctx.app_host.name, "root": ctx.config.app.root})


@dataclass(frozen=True)
class Refreshed:
    """Commands that were run, and what did not work."""

    done: tuple[str, ...]
    problems: tuple[str, ...]


def refresh_caches(ctx: Context) -> Refreshed:
    """Make the application read its changed `.env`, then restart what keeps old settings in memory.

    The cached configuration goes first and in any case, because with a wrong one the application may not even start.
    Clearing the cache may drop a maintenance flag kept there, so it is set again when it was on. An artisan that fails
    or hangs is told and passed over: what is asked of the application afterwards decides.
    """
    done: list[str] = []
    problems: list[str] = []
    commands = cache_commands(ctx)
    ctx.app_host.remove(join(ctx.config.app.root, "bootstrap/cache/config.php"))
    was_down = _is_down(ctx)
    for name in commands:
        told, good = _told(ctx, name)
        (done if good else problems).append(told)
    restarted = run_commands(ctx, ctx.config.app.restart)
    if was_down and _is_down(ctx) is False:
        go_down(ctx)
        done.append("maintenance was kept in the cache that was cleared: set again")
    return Refreshed((*done, *restarted.done), (*problems, *restarted.problems))


def _told(ctx: Context, name: str, timeout: float | None = None) -> tuple[str, bool]:
    """Run an artisan command; what there is to tell, and whether it went well."""
    try:
        ended = artisan(ctx, name, timeout=timeout)
    except HungError as error:
        return f"php artisan {name}: {error.what}", False
    if ended.returncode == 0:
        return f"php artisan {name}: done", True
    words = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-3:]
    if name == RESTART and any(UNKNOWN.search(line) for line in words):
        return f"php artisan {name}: this application has no queue", True
    return f"php artisan {name}: failed: {' / '.join(words)}", False


def restart_workers(ctx: Context, timeout: float | None = None) -> Refreshed:
    """Have every queue worker end after its present job: it has its settings and its connection in memory.

    It hears of it through the cache, so on each host and before the database that may hold the cache is left.
    """
    told, good = _told(ctx, RESTART, timeout)
    return Refreshed((told,), ()) if good else Refreshed((), (told,))


def _is_down(ctx: Context) -> bool | None:
    """Whether the application is in maintenance; None when it cannot say."""
    try:
        return ask(ctx, tables=()).down
    except (ApplicationError, HungError) as error:
        ctx.say(error.what)
        return None

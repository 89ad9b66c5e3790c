"""The Laravel application on its host: artisan, `.env`, maintenance mode, and what the application itself answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, ValidationError

from dixis_tui import envfile
from dixis_tui.context import Context
from dixis_tui.host import Completed, HostError, join
from dixis_tui.model import DixisError, Outcome, failed, passed, warned

TRIAL_ENV = ".env.dixis"
# A path where there is no cached configuration: the command reads .env files, the live cache is left alone.
NO_CONFIG_CACHE = "APP_CONFIG_CACHE=bootstrap/cache/dixis-no-config.php"


class ApplicationError(DixisError):
    """The application does not answer as it should."""


class Answer(BaseModel):
    """What the application says of itself; rows has None for a table it does not have."""

    model_config = ConfigDict(frozen=True)

    laravel: str
    environment: str
    driver: str
    database: str
    down: bool
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
    return [ctx.config.app.php, "artisan", *arguments, "--no-interaction", "--no-ansi"]


def shown(ctx: Context, *arguments: str) -> str:
    """An artisan command as a preview shows it."""
    return f"{ctx.app_host.name}: cd {ctx.config.app.root} && {ctx.config.app.php} artisan {' '.join(arguments)}"


def artisan(ctx: Context, *arguments: str, timeout: float = 600.0, prefix: Sequence[str] = ()) -> Completed:
    """Run an artisan command to its end; its output goes to the log line by line. Does not judge the exit code."""
    ctx.say(f"$ php artisan {' '.join(arguments)}")
    done = ctx.app_host.run(
        [*prefix, *command(ctx, *arguments)],
        cwd=ctx.config.app.root,
        timeout=timeout,
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
        data=files("dixis_tui").joinpath("probe.php").read_bytes(),
        timeout=60,
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


def saved_env_path(ctx: Context) -> str:
    """Where the environment file from before the cutover is kept on the host; each try after a rollback has its own."""
    return f"{env_path(ctx)}.before-mysql-{ctx.run_id}-{len(ctx.recorded('rolled-back')) + 1}"


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
    """Changes of `.env` as a preview shows them, the password left out."""
    return [f"{key}={'•••' if 'PASSWORD' in key else envfile.quoted(value)}" for key, value in changes.items()]


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
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0:
        return failed(f"artisan migrate:status ended with exit code {done.returncode}", [*lines, done.stderr.strip()])
    pending = [line for line in lines if "| No " in line or "Pending" in line]
    if pending:
        return failed(f"{len(pending)} migrations have not run on the target", pending, ["run schema.migrate again"])
    return passed("every migration has run on the target", lines)


def go_down(ctx: Context) -> None:
    """Maintenance mode on, and seen to be on. Raises ApplicationError or HostError when it is not.

    One that is on already is left alone: where the flag is kept in the database, setting it again would write there.
    """
    if ask(ctx, tables=()).down:
        return
    artisan(ctx, "down", "--retry=60").check("php artisan down")
    if not ask(ctx, tables=()).down:
        raise ApplicationError(
            "artisan down ended well, but the application still serves.",
            next_step="check APP_MAINTENANCE_DRIVER and the cache store it uses",
        )


def go_up(ctx: Context) -> None:
    """Maintenance mode off, and seen to be off."""
    artisan(ctx, "up").check("php artisan up")
    if ask(ctx, tables=()).down:
        raise ApplicationError(
            "artisan up ended well, but the application is still in maintenance.",
            next_step="look for storage/framework/down and APP_MAINTENANCE_DRIVER",
        )


def cache_commands(ctx: Context) -> tuple[str, ...]:
    """The artisan commands after a change of `.env`."""
    rebuild = ("config:cache",) if ctx.config.app.config_cache == "cache" else ()
    return ("config:clear", *rebuild, "cache:clear")


@dataclass(frozen=True)
class Refreshed:
    """What was done after a change of `.env`, and what did not work."""

    done: tuple[str, ...]
    problems: tuple[str, ...]

    def outcome(self, summary: str) -> Outcome:
        if self.problems:
            remedy = ["run these by hand in the application's folder, then go on"]
            return warned(f"{summary}, but {len(self.problems)} commands failed", [*self.done, *self.problems], remedy)
        return passed(summary, self.done)


def refresh_caches(ctx: Context) -> Refreshed:
    """Make the application read its changed `.env`, then restart what keeps old settings in memory.

    The cached configuration goes first and in any case, because with a wrong one the application may not even start.
    Clearing the cache may drop a maintenance flag kept there, so it is set again when it was on.
    """
    done: list[str] = []
    problems: list[str] = []
    root = ctx.config.app.root
    ctx.app_host.remove(join(root, "bootstrap/cache/config.php"))
    was_down = _is_down(ctx)
    for name in cache_commands(ctx):
        ended = artisan(ctx, name)
        words = (ended.stderr or ended.stdout).strip().splitlines()
        text = f"php artisan {name}: " + ("done" if ended.returncode == 0 else f"failed: {' / '.join(words[-3:])}")
        (done if ended.returncode == 0 else problems).append(text)
    for text in ctx.config.app.restart:
        ctx.say(f"$ {text}")
        ended = ctx.app_host.run(["sh", "-c", text], cwd=root, on_line=ctx.say, stop=ctx.stop)
        if ended.returncode == 0:
            done.append(f"{text}: done")
        else:
            problems.append(f"{text}: exit code {ended.returncode}: {ended.stderr.strip()[-300:]}")
    if was_down and _is_down(ctx) is False:
        go_down(ctx)
        done.append("maintenance was kept in the cache that was cleared: set again")
    return Refreshed(tuple(done), tuple(problems))


def _is_down(ctx: Context) -> bool | None:
    """Whether the application is in maintenance; None when it cannot say."""
    try:
        return ask(ctx, tables=()).down
    except ApplicationError as error:
        ctx.say(error.what)
        return None

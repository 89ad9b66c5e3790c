"""Checks of the application's host and of the application."""

from __future__ import annotations

from checks.registry import Answer, check, good, problem
from dixis_tui import envfile, laravel
from dixis_tui.context import Context
from dixis_tui.host import join


@check(
    "preflight.host-reachable",
    "The application's host answers",
    why="Every later step on the application goes through this door.",
    severity="fail",
    remedy="check [host.ssh] in the configuration",
)
def reachable(ctx: Context) -> Answer:
    done = ctx.app_host.run(["uname", "-srm"], timeout=30).check("uname")
    who = ctx.app_host.run(["id", "-un"], timeout=30).check("id").stdout.strip()
    how = "host key known" if ctx.config.host.ssh else "no SSH needed"
    return good(f"{ctx.app_host.name}, {how}", f"{done.stdout.strip()}, as {who}")


@check(
    "preflight.rsync",
    "rsync on both ends",
    why="The assets travel by rsync; it must be installed here and there.",
    severity="fail",
    remedy="install it: apt-get install rsync",
)
def rsync(ctx: Context) -> Answer:
    if ctx.config.assets is None:
        return good("not needed: there is no [assets] section")
    versions = []
    for host in dict.fromkeys((ctx.local, ctx.app_host)):
        done = host.run(["sh", "-c", "rsync --version"], timeout=30)
        if done.returncode != 0:
            return problem(f"there is no rsync on {host.name}")
        versions.append(f"{host.name}: {done.stdout.splitlines()[0]}")
    return good("there", *versions)


@check(
    "preflight.app-root",
    "The application's folder",
    why="A wrong folder would switch another application.",
    severity="fail",
    remedy="check [app] root: it is the folder that holds artisan",
)
def root(ctx: Context) -> Answer:
    app = ctx.config.app
    for path in (app.root, join(app.root, "artisan"), join(app.root, "bootstrap/app.php")):
        if ctx.app_host.stat(path) is None:
            return problem(f"{path} is not there on {ctx.app_host.name}")
    return good(app.root)


@check(
    "preflight.app-artisan",
    "artisan starts",
    why="Maintenance mode, migrations and caches are artisan's.",
    severity="fail",
    remedy="run `php artisan --version` in the application's folder and mend what it says",
)
def artisan(ctx: Context) -> Answer:
    done = ctx.app_host.run(laravel.command(ctx, "--version"), cwd=ctx.config.app.root, timeout=60)
    if done.returncode != 0:
        return problem(f"artisan ended with exit code {done.returncode}", done.stdout.strip(), done.stderr.strip())
    return good(done.stdout.strip())


@check(
    "preflight.app-env",
    "The application runs on the source",
    why="The database that is copied must be the one the shop writes to.",
    severity="fail",
    remedy="check [source] path against DB_DATABASE in .env",
)
def environment(ctx: Context) -> Answer:
    path = laravel.env_path(ctx)
    values = envfile.values(laravel.read_env(ctx))
    answer = laravel.ask(ctx, tables=())
    evidence = [f"{path}: DB_CONNECTION={values.get('DB_CONNECTION', '')}", *answer.lines()[:2]]
    if answer.driver != "sqlite":
        return problem(f"the application is on {answer.driver}, not on SQLite", *evidence)
    source = ctx.config.source
    here = ctx.app_host.run(["realpath", "--", join(ctx.config.app.root, answer.database)]).stdout.strip()
    host = ctx.local if source.location == "local" else ctx.app_host
    there = host.run(["realpath", "--", source.path]).stdout.strip()
    if here != there and (source.location == "host" or ctx.app_host.is_local):
        return problem(f"the application uses {here}, [source] path is {there}", *evidence)
    return good(f"SQLite, {answer.database}", *evidence)


@check(
    "preflight.app-env-mode",
    "Only the application reads .env",
    why="It will hold the password of the production database.",
    severity="warn",
    remedy="chmod 640 .env",
)
def environment_mode(ctx: Context) -> Answer:
    path = laravel.env_path(ctx)
    facts = ctx.app_host.stat(path)
    if facts is None:
        return problem(f"{path} is not there")
    if facts.mode & 0o007:
        return problem(f"{path} can be read by everybody (mode {facts.mode:04o})", remedy=(f"chmod o= {path}",))
    return good(f"mode {facts.mode:04o}")

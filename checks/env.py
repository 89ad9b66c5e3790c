"""Checks of the configuration, the application's host and the application itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from importlib.resources import files

import humanize
from pydantic import BaseModel, ConfigDict, ValidationError

from checks.registry import Answer, check, finding, found, good, problem, skip
from checks.shared import APPLICATION, HOST, SOURCE
from dixis_tui.config.run import ROLES
from dixis_tui.context import Context
from dixis_tui.hosts import assets, envfile, laravel
from dixis_tui.hosts.host import join
from dixis_tui.hosts.laravel import ApplicationError
from dixis_tui.model import Finding
from dixis_tui.phrase import counted
from dixis_tui.server import session
from dixis_tui.source import latest_snapshot

# Three snapshots may stand side by side: preflight's, the data's, the rollback's.
SNAPSHOTS = 3
RESERVE = 100 << 20
CLOCK_SECONDS = 2.0
ARTISAN = "env.artisan"
# What the plan wants in the production environment beyond the connection itself.
PLAN_KEYS = ("DB_POOL_MIN", "DB_POOL_MAX", "DB_TIMEOUT", "BACKUP_ENABLED", "BACKUP_SCHEDULE", "BACKUP_RETENTION_DAYS")
RETENTION_DAYS = 7
URLS = ("DB_URL", "DATABASE_URL")


class Settings(BaseModel):
    """How the application is set up, as it says itself."""

    model_config = ConfigDict(frozen=True)

    laravel: str
    zone: str | None
    config_cached: bool
    cache_writable: bool
    cache: str | None
    queue: str | None
    session: str | None
    maintenance: str
    maintenance_store: str | None
    mysql: dict[str, object] | list[object]
    mysql_keys: list[str]
    mysql_url: bool
    mysql_options: list[str]
    unbuffered: bool
    pdo_mysql: bool
    ssl_ca_option: str
    links: dict[str, bool]
    outside: list[str]

    def of_mysql(self, name: str) -> object:
        return self.mysql.get(name) if isinstance(self.mysql, dict) else None


def settings(ctx: Context) -> Settings:
    """Ask the application. Raises ApplicationError with its own words when it cannot answer."""
    app = ctx.config.app
    done = ctx.app_host.run(
        [app.php, "--", app.autoload, app.env_file],
        cwd=app.root,
        data=files("checks").joinpath("settings.php").read_bytes(),
        timeout=60,
        stop=ctx.stop,
    )
    try:
        return Settings.model_validate_json(done.stdout.strip().rpartition("\n")[2])
    except ValidationError as error:
        words = [text for text in (done.stdout + done.stderr).splitlines() if text.strip()][:3]
        raise ApplicationError(
            f"The application in {app.root} does not tell its settings: {' / '.join(words) or done.returncode}",
            next_step=f"cd {app.root} && {app.php} artisan --version",
        ) from error


@check(
    "env.secrets",
    "Secrets kept out of the configuration",
    why="A configuration is copied, shown and committed. A password in it is no secret.",
    severity="warn",
    remedy='use { env = "NAME" }, { file = "PATH" } with mode 0600, or { prompt = true }',
)
def secrets(ctx: Context) -> Answer:
    clear = ctx.config.clear_secrets()
    if clear:
        return problem(f"in clear in the file: {', '.join(clear)}")
    return good("no secret stands in the file")


@check(
    "env.people",
    "The gate has its people",
    why="The go decision wants three signatures of at least two people. At 2 a.m. they must be known and awake.",
    severity="warn",
    remedy="name them under [people]: lead, database_review, technical_approval",
)
def people(ctx: Context) -> Answer:
    named = ctx.config.people.roles()
    missing = [role for role in ROLES if role not in named]
    evidence = [f"{role}: {name}" for role, name in named.items()]
    if missing:
        return problem(f"not named: {', '.join(missing)}", *evidence)
    if len({name.casefold() for name in named.values()}) < 2:
        return problem("one person holds every role", *evidence, remedy=("name a second person for one of the roles",))
    return good(", ".join(named.values()), *evidence)


@check(
    HOST,
    "The application's host answers",
    why="Every later step on the application goes through this door. Its key must be a known one.",
    severity="fail",
    remedy="check [host.ssh] in the configuration",
)
def reachable(ctx: Context) -> Answer:
    done = ctx.app_host.run(["uname", "-srm"], timeout=30).check("uname")
    who = ctx.app_host.run(["id", "-un"], timeout=30).check("id").stdout.strip()
    how = "host key known" if ctx.config.host.ssh else "no SSH needed"
    return good(f"{ctx.app_host.name}, {how}", f"{done.stdout.strip()}, as {who}")


@check(
    "env.clock",
    "The host's clock",
    why="Times of the application and of the console are read side by side when something went wrong.",
    severity="warn",
    remedy="let both machines follow a time server: timedatectl set-ntp true",
    needs=(HOST,),
)
def clock(ctx: Context) -> Answer:
    before = time.time()
    there = float(ctx.app_host.run(["date", "+%s.%N"], timeout=30).check("date").stdout)
    apart = max(before - there, there - time.time(), 0.0)
    if apart > CLOCK_SECONDS:
        return problem(f"{ctx.app_host.name} is {apart:.1f} s away from this machine")
    return good(f"{apart:.1f} s apart")


@check(
    "env.rsync",
    "rsync on both ends",
    why="The assets travel by rsync. It must be installed here and there, and speak a protocol of this century.",
    severity="fail",
    remedy="install it: apt-get install rsync",
    needs=(HOST,),
)
def rsync(ctx: Context) -> Answer:
    if ctx.config.assets is None:
        return skip("there is no [assets] section")
    versions = []
    for host in dict.fromkeys((ctx.local, ctx.app_host)):
        done = host.run(["sh", "-c", "rsync --version"], timeout=30)
        if done.returncode != 0:
            return problem(f"there is no rsync on {host.name}")
        first = done.stdout.splitlines()[0]
        number = re.search(r"version v?(\d+)\.(\d+)", first)
        if number and (int(number[1]), int(number[2])) < (3, 1):
            return problem(f"rsync on {host.name} is too old: {first}")
        versions.append(f"{host.name}: {first}")
    return good("there", *versions)


@check(
    "env.root",
    "The application's folder",
    why="A wrong folder would switch another application.",
    severity="fail",
    remedy="check [app] root: it is the folder that holds artisan",
    needs=(HOST,),
)
def root(ctx: Context) -> Answer:
    app = ctx.config.app
    for path in (app.root, join(app.root, "artisan"), join(app.root, "bootstrap/app.php")):
        if ctx.app_host.stat(path) is None:
            return problem(f"{path} is not there on {ctx.app_host.name}")
    return good(app.root)


@check(
    ARTISAN,
    "artisan starts",
    why="Maintenance mode, migrations and caches are artisan's.",
    severity="fail",
    remedy="run `php artisan --version` in the application's folder and mend what it says",
    needs=("env.root",),
)
def artisan(ctx: Context) -> Answer:
    done = ctx.app_host.run(laravel.command(ctx, "--version"), cwd=ctx.config.app.root, timeout=60)
    if done.returncode != 0:
        return problem(f"artisan ended with exit code {done.returncode}", done.stdout.strip(), done.stderr.strip())
    return good(done.stdout.strip())


@check(
    APPLICATION,
    "The application runs on the source",
    why="The database that is copied must be the one the shop writes to.",
    severity="fail",
    remedy="check [source] path against DB_DATABASE in .env",
    needs=(ARTISAN,),
)
def application(ctx: Context) -> Answer:
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
    "env.file-mode",
    "Only the application reads .env",
    why="It will hold the password of the production database.",
    severity="warn",
    remedy="chmod 640 .env",
    needs=(HOST,),
)
def file_mode(ctx: Context) -> Answer:
    path = laravel.env_path(ctx)
    facts = ctx.app_host.stat(path)
    if facts is None:
        return problem(f"{path} is not there")
    if facts.mode & 0o007:
        return problem(f"{path} can be read by everybody (mode {facts.mode:04o})", remedy=(f"chmod o= {path}",))
    return good(f"mode {facts.mode:04o}")


@check(
    "env.mysql",
    "The application is ready for MySQL",
    why="After the switch the application speaks MySQL: it needs the driver, the right charset, strict mode and the"
    " authority that signs the server's certificate.",
    severity="fail",
    remedy="mend config/database.php, or [app.database_env]",
    needs=(APPLICATION,),
)
def mysql(ctx: Context) -> Answer:
    told = settings(ctx)
    values = envfile.values(laravel.read_env(ctx)) | ctx.config.app.database_env
    evidence = [f"connections.mysql: {json.dumps(told.mysql)}", f"options: {', '.join(told.mysql_options) or 'none'}"]
    return found(_not_ready(ctx, told, values), f"Laravel {told.laravel}, pdo_mysql is there", *evidence)


def _not_ready(ctx: Context, told: Settings, values: dict[str, str]) -> Iterator[Finding]:
    target = ctx.config.target
    if not told.pdo_mysql:
        yield finding("PHP has no pdo_mysql", "apt-get install php-mysql   # then restart PHP")
    if not told.mysql_keys:
        yield finding("config/database.php has no connection named mysql")
        return
    if told.of_mysql("charset") not in ("utf8mb4", None):
        yield finding(f"connections.mysql.charset is {told.of_mysql('charset')}, wanted utf8mb4")
    if told.of_mysql("collation") not in (target.collation, None):
        text = f"connections.mysql.collation is {told.of_mysql('collation')}, the tables have {target.collation}"
        yield finding(text, "[target]", f'collation = "{told.of_mysql("collation")}"', severity="warn")
    if told.of_mysql("strict") is False:
        yield finding("connections.mysql.strict is false: the server would cut and round", severity="warn")
    zone = told.of_mysql("timezone")
    if isinstance(zone, str) and zone != target.time_zone:
        text = f"connections.mysql.timezone is {zone}, [target] time_zone is {target.time_zone}: TIMESTAMPs would shift"
        yield finding(text, "[target]", f'time_zone = "{zone}"', severity="warn")
    if told.of_mysql("prefix"):
        yield finding(f"connections.mysql.prefix is {told.of_mysql('prefix')}: the tables are copied without one")
    authority = any("SSL_CA" in key and value for key, value in values.items())
    if target.tls.mode == "verify" and not authority:
        yield finding(
            "the application would connect without checking the server's certificate",
            "[app.database_env]",
            f'MYSQL_ATTR_SSL_CA = "{target.tls.ca or "/etc/ssl/certs/ca-certificates.crt"}"',
            severity="warn",
        )
    if told.unbuffered:
        text = "PDO::MYSQL_ATTR_USE_BUFFERED_QUERY is false: a query inside of a loop over cursor() is error 2014"
        yield finding(text, "# config/database.php: leave that option out", severity="warn")
    if "pool" in told.mysql_keys:
        text = (
            "connections.mysql.pool is read by no version of Laravel; what bounds connections is in infra.connections"
        )
        yield finding(text, severity="note")


# The plan's keys for TLS, the names under which PHP has them, and the keys that an application usually reads.
TLS_KEYS = {
    "DB_SSL_CA": ("CA", "MYSQL_ATTR_SSL_CA"),
    "DB_SSL_CERT": ("CERT", "MYSQL_ATTR_SSL_CERT"),
    "DB_SSL_KEY": ("KEY", "MYSQL_ATTR_SSL_KEY"),
}


@check(
    "env.tls",
    "The plan's TLS settings reach PHP",
    why="Laravel reads none of DB_SSL_MODE, DB_SSL_CA, DB_SSL_CERT, DB_SSL_KEY. What counts is what config/database.php"
    " hands to PHP, and that the files are there on the host.",
    severity="warn",
    remedy="map them in [app.database_env] to the keys that config/database.php reads",
    needs=(APPLICATION,),
)
def tls_keys(ctx: Context) -> Answer:
    values = envfile.values(laravel.read_env(ctx)) | ctx.config.app.database_env
    mine = {key: value for key, value in values.items() if "SSL" in key and value}
    usual = {usual: mine[key] for key, (_, usual) in TLS_KEYS.items() if key in mine and not mine.get(usual)}
    told, mapped = (session.ask(ctx, variables=given) if given else None for given in (mine, mine | usual))
    if told is None or mapped is None:
        return skip("no key for TLS is set in .env or [app.database_env]; env.mysql says whether one is wanted")
    evidence = [f"{name}: {file.path}" for name, file in told.files.items()]
    authority = mine.get("DB_SSL_CA") or str(ctx.config.target.tls.ca or "/etc/ssl/certs/ca-certificates.crt")
    return found(
        _unread(mine, told, mapped, authority), f"PHP is told of {', '.join(told.files) or 'no file'}", *evidence
    )


def _unread(mine: dict[str, str], told: session.Told, mapped: session.Told, authority: str) -> Iterator[Finding]:
    """Keys that are set and reach PHP under no name. mapped: what PHP is told with the usual keys set as well;
    authority: the file that PHP should have."""
    for key, (name, usual) in TLS_KEYS.items():
        path = mine.get(key) or mine.get(usual)
        if not path or (name in told.files and told.files[name].path == path):
            continue
        if name in mapped.files and mapped.files[name].path == path:
            text = f"{key} is set, and the application reads {usual}"
            yield finding(text, "[app.database_env]", f"{usual} = {json.dumps(path)}")
        else:
            set_ = key if mine.get(key) else usual
            text = f"{set_} is set, and config/database.php hands it to nothing"
            yield finding(text, "[app.database_env]", f"{usual} = {json.dumps(path)}", *session.PHP_LINES)
    for name, file in told.files.items():
        if not file.readable:
            yield finding(f"{file.path} ({name}) is not there on the host, or the application may not read it")
    if mine.get("DB_SSL_MODE") and not told.files.keys() & {"CA", "CAPATH"}:
        text = f"DB_SSL_MODE={mine['DB_SSL_MODE']} is read by nothing: PHP encrypts once it has the authority's file"
        yield finding(text, "[app.database_env]", f"MYSQL_ATTR_SSL_CA = {json.dumps(authority)}")


@check(
    "env.cache",
    "The application's cache",
    why="With a cache that does not answer every page is an error. The plan wants Redis, and a query cache that neither"
    " MySQL 8 nor Laravel has.",
    severity="warn",
    remedy="start Redis and see that the host reaches it, or choose another store: CACHE_DRIVER=file",
    needs=(APPLICATION,),
)
def cache(ctx: Context) -> Answer:
    told = session.ask(ctx)
    now = told.cache
    findings = [_redis(one) for one in now.redis if one.problem]
    if now.driver is None:
        findings.append(finding(f"the default store of the cache, {now.store}, is not in config/cache.php"))
    findings += [
        finding(f"{key} is read by no version of Laravel, and MySQL has no query cache since 8.0", severity="note")
        for key in told.query_cache
    ]
    answers = [f"Redis at {one.where} answers ({one.client}, connection {one.connection})" for one in now.redis]
    return found(findings, "; ".join([f"{now.store}, driver {now.driver}", *answers]), "asked of PHP's command line")


def _redis(one: session.Redis) -> Finding:
    """Why Redis does not answer the application, and what mends it."""
    known = {
        "no-extension": (
            "the client is phpredis, and PHP has no extension redis",
            (
                "apt-get install php-redis   # then restart PHP-FPM",
                "or",
                "composer require predis/predis",
                "REDIS_CLIENT=predis",
            ),
        ),
        "no-predis": (
            "the client is predis, which is not installed",
            ("composer require predis/predis", "or", "apt-get install php-redis", "REDIS_CLIENT=phpredis"),
        ),
        "no-provider": (
            "Laravel's service for Redis is not among the providers",
            ("# config/app.php, providers: Illuminate\\Redis\\RedisServiceProvider::class",),
        ),
        "no-connection": (
            f"config/database.php has no redis connection named {one.connection}",
            ("# config/database.php: 'redis' => ['client' => …, '" + one.connection + "' => ['host' => …]]",),
        ),
    }
    why, remedy = known.get(one.problem, (f"Redis at {one.where} does not answer: {one.problem}", ()))
    return finding(f"the cache wants Redis (connection {one.connection}): {why}", *remedy)


@check(
    "env.plan-keys",
    "The plan's keys in .env",
    why="The plan wants pool and backup settings in the production environment, with at least a week of retention.",
    severity="note",
    remedy="add them to .env, or to [app.database_env]; Laravel itself reads none of them",
    needs=(HOST,),
)
def plan_keys(ctx: Context) -> Answer:
    values = envfile.values(laravel.read_env(ctx)) | ctx.config.app.database_env
    findings = []
    if missing := [key for key in PLAN_KEYS if not values.get(key)]:
        findings.append(finding(f"not set: {', '.join(missing)}"))
    days = values.get("BACKUP_RETENTION_DAYS", "")
    if days.isdigit() and int(days) < RETENTION_DAYS:
        text = f"BACKUP_RETENTION_DAYS is {days}, the plan wants {RETENTION_DAYS} at least"
        findings.append(finding(text, severity="warn"))
    return found(findings, "all set")


@check(
    "env.urls",
    "Nothing overrides the connection",
    why="A database URL, or a variable of the shell or the web server, beats the keys that the cutover changes.",
    severity="fail",
    remedy="unset it where it is set: the web server's or the service's environment",
    needs=(APPLICATION,),
)
def urls(ctx: Context) -> Answer:
    told = settings(ctx)
    values = envfile.values(laravel.read_env(ctx))
    findings = []
    if told.outside:
        findings.append(finding(f"set outside of .env, where it wins: {', '.join(told.outside)}"))
    if named := [key for key in URLS if values.get(key)]:
        text = f"{', '.join(named)} is set in .env; the cutover empties it, the rollback puts it back"
        findings.append(finding(text, severity="note"))
    return found(findings, "neither a URL nor a variable outside of .env")


@check(
    "env.config-cache",
    "The cached configuration",
    why="With a cached configuration no change of .env has any effect until the cache is cleared or built anew.",
    severity="fail",
    remedy="chown -R www-data bootstrap/cache",
    needs=(APPLICATION,),
)
def config_cache(ctx: Context) -> Answer:
    told = settings(ctx)
    if not told.cache_writable:
        return problem("bootstrap/cache cannot be written by this account")
    if told.config_cached and ctx.config.app.config_cache == "clear":
        text = "the configuration is cached now, and would only be cleared by the cutover"
        return problem(text, remedy=("[app]", 'config_cache = "cache"'), severity="note")
    return good("cached; built anew by the cutover" if told.config_cached else "not cached")


@check(
    "env.drivers",
    "What lives in the database",
    why="Sessions, cache and jobs in the database change until the shop is closed, and a maintenance flag kept there is"
    " lost with the switch.",
    severity="note",
    remedy="nothing to mend: they are carried over, and cleared where they must be",
    needs=(APPLICATION,),
)
def drivers(ctx: Context) -> Answer:
    told = settings(ctx)
    kept = {"cache": told.cache, "session": told.session, "queue": told.queue}
    findings = []
    if inside := [name for name, driver in kept.items() if driver == "database"]:
        findings.append(finding(f"{', '.join(inside)} in the database: taken along as they stand when the shop closes"))
    if told.maintenance == "cache" and told.cache == "database":
        text = "the maintenance flag is kept in the database's cache: the switch would open the shop"
        findings.append(finding(text, "APP_MAINTENANCE_DRIVER=file   # in .env", severity="warn"))
    return found(findings, ", ".join(f"{name}: {driver or 'none'}" for name, driver in kept.items()))


@check(
    "env.workers",
    "Queue workers and the scheduler",
    why="Workers keep the old connection until they are restarted, and some run on in maintenance mode.",
    severity="warn",
    remedy='[app] restart = ["php artisan queue:restart", "sudo systemctl reload php8.2-fpm"]',
    needs=(HOST,),
)
def workers(ctx: Context) -> Answer:
    listed = ctx.app_host.run(["ps", "-eo", "args"], timeout=30).stdout.splitlines()
    words = ("artisan queue:", "artisan horizon", "artisan schedule:", "artisan octane")
    running = [line.strip() for line in listed if any(word in line for word in words)]
    mine = [line for line in running if ctx.config.app.root in line or "artisan " in line]
    table = ctx.app_host.run(["crontab", "-l"], timeout=30)
    scheduled = [line for line in table.stdout.splitlines() if "artisan" in line and not line.lstrip().startswith("#")]
    evidence = [*mine, *scheduled]
    if mine and not ctx.config.app.restart:
        return problem(
            f"{counted(len(mine), 'worker runs', 'workers run')}, and [app] restart names nothing that restarts them",
            *evidence,
        )
    return good(
        f"{counted(len(mine), 'worker')}, {counted(len(scheduled), 'scheduled task')} of this account", *evidence
    )


@check(
    "env.owner",
    "Files can be given their owner",
    why="Images that the web server cannot read are broken images.",
    severity="warn",
    remedy="let this account use sudo for chown, add it to the group, or leave [assets] owner empty",
    needs=(HOST,),
)
def owner(ctx: Context) -> Answer:
    wanted = ctx.config.assets.owner if ctx.config.assets else ""
    if not wanted:
        return skip("[assets] owner is not set")
    who = ctx.app_host.run(["id", "-un"], timeout=30).check("id").stdout.strip()
    groups = ctx.app_host.run(["id", "-Gn"], timeout=30).check("id").stdout.split()
    user, _, group = wanted.partition(":")
    if who == "root" or (user in ("", who) and group in ("", *groups)):
        return good(f"{who} can give files to {wanted}")
    if ctx.app_host.run(["sh", "-c", "sudo -n true"], timeout=30).returncode == 0:
        return good(f"{who} may use sudo")
    return problem(f"{who} (groups {', '.join(groups)}) cannot give files to {wanted}, and has no sudo")


@check(
    "env.storage-link",
    "The public link to the storage",
    why="Uploaded images are served through public/storage. Without the link every one of them is missing.",
    severity="warn",
    remedy="php artisan storage:link",
    needs=(APPLICATION,),
)
def storage_link(ctx: Context) -> Answer:
    told = settings(ctx)
    if broken := [link for link, fine in told.links.items() if not fine]:
        return problem(f"missing or leading elsewhere: {', '.join(broken)}")
    return good(f"{len(told.links)} links lead where they should")


@check(
    "env.assets",
    "The assets are there",
    why="A wrong folder would send nothing and look like success.",
    severity="fail",
    remedy="check [assets] source: the folder that holds the images here; leave the section out when there are none",
)
def assets_folder(ctx: Context) -> Answer:
    section = ctx.config.assets
    if section is None:
        return skip("there is no [assets] section")
    if not section.source.is_dir():
        return problem(f"{section.source} is not a folder")
    count = len(assets.files_below(section.source))
    if count == 0:
        return problem(f"{section.source} is empty")
    return good(f"{counted(count, 'file')} in {section.source}")


def _asset_bytes(ctx: Context) -> int:
    section = ctx.config.assets
    if section is None or not section.source.is_dir():
        return 0
    return sum(path.lstat().st_size for path in assets.files_below(section.source))


def _judge(name: str, free: int, needed: int) -> Answer:
    text = f"{humanize.naturalsize(free)} free on {name}, {humanize.naturalsize(needed)} wanted"
    return good(text) if free >= needed else problem(text)


@check(
    "env.room-here",
    "Room on this machine",
    why="Snapshots and archives are kept here. A full disk in the window costs the window.",
    severity="fail",
    remedy="make room, or put [run] directory and [backup] directory on another disk",
    needs=(SOURCE,),
)
def room_here(ctx: Context) -> Answer:
    needed = SNAPSHOTS * latest_snapshot(ctx).size + _asset_bytes(ctx) + RESERVE
    return _judge(ctx.local.name, ctx.local.free_space(str(ctx.run_dir)), needed)


@check(
    "env.room-host",
    "Room on the application's host",
    why="The assets go there, and a copy of the source is made there for each snapshot.",
    severity="fail",
    remedy="make room on the host",
    needs=(SOURCE, HOST),
)
def room_host(ctx: Context) -> Answer:
    needed = latest_snapshot(ctx).size + _asset_bytes(ctx) + RESERVE
    return _judge(ctx.app_host.name, ctx.app_host.free_space(ctx.config.app.root), needed)

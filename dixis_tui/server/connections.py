"""How many connections the application can open at most, and how many the server takes.

Laravel has no pool: each PHP process has a connection of its own, so PHP-FPM's children and the queue workers are the
bound. They are read on each web host.
"""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from dixis_tui.context import Context
from dixis_tui.hosts import fleet
from dixis_tui.target import TargetConnection, TargetError, query

# Connections beside the application's own: dumps, monitoring, an administrator.
BESIDE = 10
WORKERS = ("artisan queue:work", "artisan queue:listen", "artisan horizon:work", "artisan schedule:work")
# What `php-fpm -tt` writes before each line of the configuration.
NOTICE = re.compile(r"^\[[^\]]*\] NOTICE: ?")
FILE = ";dixis-file "
UNREADABLE = ";dixis-unreadable "


class Pool(BaseModel):
    """One pool of PHP-FPM: how many processes it may have, and where that is written."""

    model_config = ConfigDict(frozen=True)

    name: str
    children: int
    file: str = ""


class WebHost(BaseModel):
    """What may open connections on one web host. children: None when it is not known; told: why."""

    model_config = ConfigDict(frozen=True)

    name: str
    pools: tuple[Pool, ...]
    children: int | None
    workers: int
    told: str = ""

    def line(self) -> str:
        pools = ", ".join(f"{one.name} {one.children}" for one in self.pools)
        children = "not known" if self.children is None else str(self.children)
        parts = [f"{self.name}: PHP processes at most: {children}{f' (pools: {pools})' if pools else ''}"]
        return "; ".join(filter(None, [*parts, f"{self.workers} queue workers", self.told]))


class Bound(BaseModel):
    """Connections: wanted at most (None when not known), those the server takes, now and at the peak since its start.

    each: connections of a PHP process; per_account: what the server grants one account, 0 for no limit.
    """

    model_config = ConfigDict(frozen=True)

    hosts: tuple[WebHost, ...]
    each: int
    beside: int
    most: int
    per_account: int
    now: int
    peak: int

    @property
    def application(self) -> int | None:
        counts = [None if one.children is None else one.children + one.workers for one in self.hosts]
        return None if None in counts else self.each * sum(one or 0 for one in counts)

    @property
    def wanted(self) -> int | None:
        return None if self.application is None else self.application + self.beside

    @property
    def use(self) -> float:
        """The peak in per cent of what the server takes."""
        return 100 * self.peak / self.most

    def lines(self) -> list[str]:
        wanted = "not known" if self.wanted is None else str(self.wanted)
        return [
            *(one.line() for one in self.hosts),
            f"{self.each} for each process, {self.beside} for the console, dumps and administrators: {wanted} at most",
            f"max_connections {self.most}, {self.now} in use, {self.peak} at the peak ({self.use:.0f} %)",
        ]


def bound(ctx: Context, connection: TargetConnection, each: int = 1) -> Bound:
    """Ask the web hosts and the server. each: connections that one PHP process opens."""
    rows = query(connection, "SHOW GLOBAL VARIABLES LIKE 'max\\_%connections'")
    variables = {str(name): int(value) for name, value in rows}
    rows = query(connection, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Max_used_connections')")
    status = {str(name): int(value) for name, value in rows}
    return Bound(
        hosts=tuple(fleet.each(ctx, _web_host)),
        each=each,
        beside=ctx.config.data.streams + BESIDE,
        most=variables["max_connections"],
        per_account=_per_account(ctx, connection) or variables.get("max_user_connections", 0),
        now=status["Threads_connected"],
        peak=status["Max_used_connections"],
    )


def _per_account(ctx: Context, connection: TargetConnection) -> int:
    """What the application's own account may open, 0 where it has no limit of its own, or we may not look."""
    sql = "SELECT MIN(max_user_connections) FROM mysql.user WHERE user = %s AND max_user_connections > 0"
    try:
        return int(query(connection, sql, (ctx.config.target.user,))[0][0] or 0)
    except TargetError:
        return 0


def _web_host(ctx: Context) -> WebHost:
    settings, host = ctx.config.connections, ctx.app_host
    workers = _workers(ctx) if settings.queue_workers is None else settings.queue_workers
    if settings.children is not None:
        return WebHost(name=host.name, pools=(), children=settings.children, workers=workers, told="as configured")
    if settings.fpm_test:
        done = host.run(["sh", "-c", settings.fpm_test], timeout=30)
        text = done.stdout + done.stderr
        told = "" if done.returncode == 0 else f"{settings.fpm_test} ended with exit code {done.returncode}"
    else:
        text = host.run(["sh", "-c", _reading(settings.fpm_pools)], timeout=30).stdout
        unreadable = [line.removeprefix(UNREADABLE) for line in text.splitlines() if line.startswith(UNREADABLE)]
        told = f"may not read {', '.join(unreadable)}" if unreadable else ""
    found = tuple(pools(text))
    if not found and not told:
        told = f"no pool of PHP-FPM in {settings.fpm_test or ', '.join(settings.fpm_pools)}"
    known = bool(found) and not told
    return WebHost(
        name=host.name,
        pools=found,
        children=sum(one.children for one in found) if known else None,
        workers=workers,
        told=told,
    )


def _reading(patterns: tuple[str, ...]) -> str:
    """A shell command that prints the files of these patterns, each behind a line with its name."""
    # A pattern is the one thing that the shell shall expand; all else in it is taken as it is.
    words = " ".join(re.sub(r"[^\w./*?\[\],@+-]", lambda sign: shlex.quote(sign[0]), one) for one in patterns)
    return (
        f'for f in {words}; do if [ -r "$f" ]; then echo "{FILE}$f"; cat -- "$f"; echo;'
        f' elif [ -e "$f" ]; then echo "{UNREADABLE}$f"; fi; done'
    )


def _workers(ctx: Context) -> int:
    """Workers of the application that run on a host now."""
    lines = [line.strip() for line in ctx.app_host.run(["ps", "-wweo", "args"], timeout=30).stdout.splitlines()]
    mine = [
        line for line in lines if any(word in line for word in WORKERS) and not line.startswith(("sh ", "/bin/sh "))
    ]
    return sum(ctx.config.app.root in line or " artisan " in line for line in mine)


def pools(text: str) -> Iterator[Pool]:
    """The pools in PHP-FPM's files, or in what `php-fpm -tt` prints."""
    for part in re.split(f"^{re.escape(FILE)}", text, flags=re.M):
        file, _, body = part.partition("\n") if FILE in text else ("", "", part)
        parser = configparser.ConfigParser(
            strict=False, interpolation=None, allow_no_value=True, delimiters=("=",), comment_prefixes=(";", "#")
        )
        lines = (NOTICE.sub("", line).strip() for line in body.splitlines())
        parser.read_string("\n".join(["[global]", *lines]), source=file)
        for name in parser.sections():
            children = parser.get(name, "pm.max_children", fallback=None) or ""
            if name != "global" and children.isdigit():
                yield Pool(name=name, children=int(children), file=file)

"""What is tried after the switch, while the shop is still closed to everybody else: addresses, commands, questions."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from dixis_tui.config import Smoke, Url
from dixis_tui.context import Context
from dixis_tui.hosts import fleet, laravel
from dixis_tui.model import DixisError, Outcome, failed, passed
from dixis_tui.target import TargetError, connected, query

LONGEST = 5 << 20  # bytes of an answer that are looked at
PASS_SECONDS = 600


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer like any other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


OPENER = urllib.request.build_opener(_Stay)


def check(ctx: Context) -> Outcome:
    """Try everything [smoke] names; fails with each thing that did not answer as it should."""
    settings = ctx.config.smoke
    if not (settings.artisan or settings.urls or settings.queries):
        return passed("nothing is configured under [smoke]")
    good: list[str] = []
    bad: list[str] = []
    for text in settings.artisan:
        for host, done in zip(fleet.contexts(ctx), fleet.each(ctx, partial(_artisan, text=text)), strict=True):
            line = f"{laravel.shown(host, text)}: {done or 'ended well'}"
            (bad if done else good).append(line)
    for question in settings.queries:
        try:
            found = _answer(ctx, question.sql)
        except TargetError as error:
            bad.append(f"{question.title}: {error.what}")
            continue
        right = found == question.answer
        line = f"{question.title}: {found}" + ("" if right else f", not {question.answer}")
        (good if right else bad).append(line)
    if settings.urls:
        with passing(ctx) as cookie:
            for url in settings.urls:
                ctx.check_stop()
                problem = _visit(url, cookie, settings)
                (bad if problem else good).append(f"{url.url}: {problem or f'status {url.status}, as it should be'}")
    if bad:
        return failed(
            f"{len(bad)} of {len(good) + len(bad)} trials went wrong; the shop is still closed",
            [*bad, *good],
            ["mend what is named and run this check again; or roll back: dixis rollback"],
        )
    return passed(f"{len(good)} trials went well", good)


def _artisan(ctx: Context, text: str) -> str:
    """What went wrong with an artisan command; empty for nothing."""
    done = laravel.artisan(ctx, *shlex.split(text))
    words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
    return "" if done.returncode == 0 else f"exit code {done.returncode}: {' / '.join(words)}"


def _answer(ctx: Context, sql: str) -> str:
    with connected(ctx.config.target) as connection:
        rows = query(connection, sql)
    return str(rows[0][0]) if rows else "no row"


def _visit(url: Url, cookie: str, settings: Smoke) -> str:
    """What is wrong with the answer of an address; empty for nothing."""
    request = urllib.request.Request(url.url, headers={"Cookie": f"laravel_maintenance={cookie}"})
    try:
        with OPENER.open(request, timeout=settings.timeout) as response:
            status, body = response.status, response.read(LONGEST)
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read(LONGEST)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {getattr(error, 'reason', error)}"
    if status != url.status:
        return f"status {status}, not {url.status}"
    if url.text and url.text not in body.decode("utf-8", "replace"):
        return f"its answer does not hold {url.text!r}"
    return ""


@contextmanager
def passing(ctx: Context) -> Iterator[str]:
    """A cookie that lets its holder through maintenance mode while the block lasts.

    It is Laravel's own way (`artisan down --secret`), without the secret on a command line: that goes into the flag's
    file on each host, and out of it at the end.
    """
    flags = fleet.each(ctx, lambda host: laravel.ask(host, tables=()).flag)
    if any(flag.driver != "file" for flag in flags):
        raise DixisError(
            "Maintenance mode is kept in the cache, so nobody can be let through to try the addresses.",
            safe="the shop is still closed",
            next_step="set APP_MAINTENANCE_DRIVER=file, or waive this check and try the addresses once it is open",
        )
    paths = {fleet.place(host): flag.path for host, flag in zip(fleet.contexts(ctx), flags, strict=True)}
    secret = secrets.token_hex(16)
    read = fleet.each(ctx, lambda host: host.app_host.read(paths[fleet.place(host)]))
    before = dict(zip(paths, read, strict=True))

    def let_through(host: Context) -> None:
        text = json.dumps({**_settings(before[fleet.place(host)]), "secret": secret})
        host.app_host.write(paths[fleet.place(host)], text.encode())

    def close(host: Context) -> None:
        host.app_host.write(paths[fleet.place(host)], before[fleet.place(host)])

    try:
        fleet.each(ctx, let_through)
        expires = int(time.time()) + PASS_SECONDS
        mac = hmac.new(secret.encode(), str(expires).encode(), hashlib.sha256).hexdigest()
        yield base64.b64encode(json.dumps({"expires_at": expires, "mac": mac}).encode()).decode()
    finally:
        fleet.each(ctx, close)


def _settings(flag: bytes) -> dict[str, Any]:
    """What stands in a flag's file; nothing where somebody has made an empty one, which closes the shop as well."""
    try:
        found = json.loads(flag)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

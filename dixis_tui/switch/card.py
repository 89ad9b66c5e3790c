"""The rollback card: one page to print before the night, with what to type when neither console nor network helps."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from dixis_tui.context import Context
from dixis_tui.hosts import fleet, laravel
from dixis_tui.source import source_host

WIDTH = 92
# PHP is on every web host; a sqlite3 program may not be.
INTEGRITY = 'echo (new PDO($argv[1]))->query("PRAGMA integrity_check")->fetchColumn(), PHP_EOL;'
STEPS = (
    "close the shop on every web host, stop the workers",
    "look at the SQLite database; bring home what was written on MySQL",
    "put .env back, byte for byte",
    "clear the caches, restart",
    "ask the application what it reads; only then open the shop",
)


def card(ctx: Context, config: str, people: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The page in plain text. config: path of the configuration, as the commands want it; people: roles and names."""
    app = ctx.config.app
    yield f"ROLLBACK CARD   {ctx.config.run.name}, {ctx.config.run.environment}, run {ctx.run_id or 'not begun'}"
    yield "=" * WIDTH
    for role, name in people:
        yield f"{role:<20}{name or '________________________'}"
    yield f"{'T-0 / decide by':<20}____:____ / ____:____   window {ctx.config.run.window_minutes} minutes"
    yield from _head("1  Roll back when")
    yield from _text(
        "values differ and nobody knows why; a gate is refused; the time to decide by has come and the shop is not"
        " open; after it opened: orders, payments or sign-in fail, or answers stay slow."
    )
    yield from _head("2  The console does it: Ctrl+R in it, or in a shell of this machine")
    yield f"    dixis --config {shlex.quote(config)} rollback"
    yield from (f"    {number} {step}" for number, step in enumerate(STEPS, 1))
    yield "    It may be repeated at any point. A step that fails says what is safe and what to do."
    yield from _head("3  The console cannot: by hand")
    reached = (ctx.config.host.ssh, *(host.ssh for host in ctx.config.hosts))
    for host, ssh in zip(fleet.contexts(ctx), reached, strict=True):
        way = f":  ssh -p {ssh.port} {ssh.user}@{ssh.address}" if ssh else ", this machine:"
        yield f"  on {host.app_host.name}{way}"
        yield f"    cd {shlex.quote(host.config.app.root)}"
        yield f"    {app.php} artisan down          # or: echo '{{\"status\": 503}}' > storage/framework/down"
        yield from (f"    {command}" for command in app.stop_workers)
        yield f"    cp -p {app.env_file} {app.env_file}.mysql"
        yield f"    cp -p {_saved(host)} {app.env_file}"
        yield f"    rm -f bootstrap/cache/config.php; {app.php} artisan cache:clear"
        yield from (f"    {command}" for command in app.restart)
    source, path = source_host(ctx), shlex.quote(ctx.config.source.path)
    yield f"  the database, on {source.name}; damaged: set it aside, put the newest snapshot in its place"
    yield f"    chmod u+w {path}"
    yield f"    {app.php} -r '{INTEGRITY}' \\"
    yield f"        sqlite:{path}"
    yield f"    snapshots: {ctx.run_dir / 'snapshots'}"
    yield "  then on every web host, once the application answers from SQLite"
    yield f"    {app.php} artisan up            # or: rm storage/framework/down"
    yield from (f"    {command}" for command in app.start_workers)
    yield from _head("4  Keep")
    yield f"    the MySQL database {_database(ctx)}"
    yield f"    the run's folder {ctx.run_dir}"
    yield from _text(
        "every file named .before-* or .damaged-*. After steps by hand run the rollback of part 2 once more: it looks,"
        " finishes, and records it. What customers wrote on MySQL comes home with it, or later:"
    )
    yield f"    dixis --config {shlex.quote(config)} rollback --recover"


def _head(text: str) -> Iterator[str]:
    yield ""
    yield text


def _text(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 4, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _saved(ctx: Context) -> str:
    """The copy of the environment file, as it is named from the application's folder."""
    if not ctx.run_id:
        return f"{ctx.config.app.env_file}.before-mysql-<run>-1"
    return laravel.saved_env_path(ctx).removeprefix(f"{ctx.config.app.root.rstrip('/')}/")


def _database(ctx: Context) -> str:
    target = ctx.config.target_section
    return f"{target.database} on {target.host}" if target else "of this run"

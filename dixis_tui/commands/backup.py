"""`dixis backup`: make, list, verify, restore, prune and schedule backups. None of them needs the run's lock."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click
import humanize

from dixis_tui import config as configuration
from dixis_tui.backups import make, manifest, prune, restore, schedule, scratch
from dixis_tui.backups.manifest import Kept
from dixis_tui.backups.work import Work, work_of
from dixis_tui.commands.shared import Options, common
from dixis_tui.model import FAILED, OK, DixisError
from dixis_tui.phrase import counted
from dixis_tui.target import TargetError

What = Literal["both", "source", "target"]
# The server's words for a database that is not there, or not for this account.
NO_DATABASE = (1044, 1049)


@click.group()
def backup() -> None:
    """Backups that were restored once: of the source and of the target."""


@contextmanager
def _working(options: Options, *, quiet: bool = False) -> Iterator[Work]:
    """What a command works with. The first Ctrl+C or SIGTERM stops it in order, the second at once."""
    silent = quiet or options.json
    work = work_of(configuration.load(options.config), (lambda _: None) if silent else click.echo)

    def stop(*_: object) -> None:
        if work.stop.is_set():
            raise KeyboardInterrupt
        work.stop.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield work
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        work.app_host.close()


def _facts(kept: Kept) -> dict[str, Any]:
    """A backup as JSON tells of it."""
    told = kept.manifest
    return {
        "name": kept.path.name,
        "kind": told.kind,
        "state": kept.state,
        "problem": kept.problem or None,
        "made_at": told.made_at.isoformat(),
        "bytes": told.size,
        "tables": len(told.tables),
        "rows": told.rows,
        "server": told.server,
        "sha256": told.sha256,
        "verified": None if told.verified is None else told.verified.model_dump(mode="json"),
    }


def _line(kept: Kept) -> str:
    told = kept.manifest
    words = {"whole": "whole, not restored yet", "failed": "DOES NOT RESTORE", "broken": "BROKEN"}
    state = words.get(kept.state, kept.state)
    size = humanize.naturalsize(told.size)
    return f"{told.made_at:%Y-%m-%d %H:%M}  {kept.path.name}  {size}, {counted(told.rows, 'row')}  {state}"


def _problems(kept: Kept) -> list[str]:
    verified = kept.manifest.verified
    return [kept.problem] if kept.problem else list(verified.differences) if verified else []


@backup.command()
@common
@click.option("--what", type=click.Choice(["both", "source", "target"]), help="[default: from the configuration]")
@click.option("--verify", is_flag=True, help="Restore it into a database of its own and compare, right away.")
@click.option("--prune", "pruning", is_flag=True, help="Then remove what has been kept long enough.")
@click.option("--quiet", is_flag=True, help="Print only what went wrong.")
@click.pass_obj
def create(options: Options, what: What | None, verify: bool, pruning: bool, quiet: bool) -> None:
    """Back up the target by its server's dump program, and the source where it was written since its last backup."""
    errors: list[DixisError] = []
    made: list[Kept] = []
    notes: list[str] = []
    removed: list[str] = []
    with _working(options, quiet=quiet) as work:
        chosen = what or work.config.backup.what
        with manifest.alone(work.directory):
            for kind in ("target", "source"):
                if chosen not in ("both", kind) or work.stop.is_set():
                    continue
                try:
                    kept, note = _target(work, chosen) if kind == "target" else _source(work)
                    if note:
                        notes.append(note)
                        work.say(note)
                    if kept is not None:
                        kept = scratch.verify(work, kept) if verify else kept
                        made.append(kept)
                        _say(work, kept, quiet)
                except DixisError as error:
                    errors.append(error)
            bad = [kept for kept in made if not kept.good]
            if pruning and not errors and not bad:
                planned = prune.plan(manifest.look(work.directory), work.now(), work.config.backup.retention_days)
                prune.apply(planned)
                removed = [*(kept.path.name for kept, _ in planned.remove), *(path.name for path in planned.strays)]
                for name in removed:
                    work.say(f"removed {name}")
    if options.json:
        told = [{"what": one.what, "safe": one.safe, "next": one.next_step} for one in errors]
        lines = {"made": [_facts(kept) for kept in made], "notes": notes, "removed": removed, "errors": told}
        click.echo(json.dumps(lines, indent=2, ensure_ascii=False))
    for one in errors:
        click.echo("\n".join(one.lines()), err=True)
    sys.exit(errors[0].exit_code if errors else FAILED if bad else OK)


def _target(work: Work, chosen: What) -> tuple[Kept | None, str]:
    try:
        return make.target(work), ""
    except TargetError as error:
        if chosen == "both" and error.code in NO_DATABASE:
            return None, f"there is no database {work.config.target.database} yet: only the source is backed up"
        raise


def _source(work: Work) -> tuple[Kept | None, str]:
    before = make.unchanged_source(work)
    if before is not None:
        return None, f"the source was not written since {before.path.name}: that one stands"
    return make.source(work), ""


def _say(work: Work, kept: Kept, quiet: bool) -> None:
    work.say(_line(kept))
    if not kept.good:
        for problem in _problems(kept):
            click.echo(f"  {kept.path.name}: {problem}" if quiet else f"  {problem}", err=True)


@backup.command("list")
@common
@click.pass_obj
def list_command(options: Options) -> None:
    """The backups there are, oldest first, and what is no backup though it looks like one."""
    settings = configuration.load(options.config).backup
    folder = manifest.look(settings.directory)
    if options.json:
        told = {"backups": [_facts(kept) for kept in folder.kept], "strays": [path.name for path in folder.strays]}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for kept in folder.kept:
        click.echo(_line(kept))
        for problem in _problems(kept):
            click.echo(f"  {problem}")
    for path in folder.strays:
        click.echo(f"no backup: {path.name} has no whole manifest")
    if not folder.kept:
        click.echo(f"no backups in {settings.directory}")


@backup.command("verify")
@common
@click.argument("name", default="latest")
@click.option("--all", "every", is_flag=True, help="Every one that was not verified yet.")
@click.pass_obj
def verify_command(options: Options, name: str, every: bool) -> None:
    """Restore a backup (the newest of the target) into a database of its own, and compare it with its manifest.

    Exit code 0: equal, 1: it does not restore, or not to the same, 3: could not be tried.
    """
    with _working(options) as work, manifest.alone(work.directory):
        wanted = (
            [kept for kept in manifest.look(work.directory).kept if kept.state == "whole"]
            if every
            else [manifest.find(work.directory, name)]
        )
        done = []
        for kept in wanted:
            done.append(scratch.verify(work, kept))
            _say(work, done[-1], quiet=False)
    if options.json:
        click.echo(json.dumps([_facts(kept) for kept in done], indent=2, ensure_ascii=False))
    sys.exit(OK if all(kept.good for kept in done) else FAILED)


@backup.command("restore")
@common
@click.argument("name")
@click.option("--into", help="Another database; for a copy of the source, the new file it becomes.")
@click.option("--database", default="", help="The name of the database that is replaced, typed beforehand.")
@click.option("--while-shop-runs", is_flag=True, help="Also where the shop, or somebody else, works on that database.")
@click.pass_obj
def restore_command(options: Options, name: str, into: str | None, database: str, while_shop_runs: bool) -> None:
    """Put a backup back, after a fresh backup of what it replaces. Asks for the database's name to be typed."""
    with _working(options) as work, manifest.alone(work.directory):
        kept = manifest.find(work.directory, name)
        if kept.manifest.kind == "source":
            _restore_source(options, work, kept, into)
            return
        wanted = into or work.config.target.database
        found = restore.obstacles(work, wanted)
        if found and not while_shop_runs:
            raise restore.RestoreError(
                f"{wanted} is in use: {'; '.join(found)}.",
                safe="nothing was changed",
                next_step="close the shop first (php artisan down, workers stopped), or say --while-shop-runs",
            )
        for line in found:
            click.echo(f"although {line}", err=True)
        _typed(options, wanted, database, kept)
        done = restore.into_target(work, kept, wanted)
        work.say(f"{wanted} is what {kept.path.name} holds: every table compared")
    if options.json:
        before = None if done.before is None else done.before.path.name
        click.echo(json.dumps({"restored": kept.path.name, "into": wanted, "before": before}))


def _typed(options: Options, wanted: str, database: str, kept: Kept) -> None:
    """The operator's word: the name of what is replaced."""
    if not database and not options.json and sys.stdin.isatty():
        click.echo(f"{wanted} will be replaced by {kept.path.name} of {kept.manifest.made_at:%Y-%m-%d %H:%M}.")
        database = click.prompt("Type the database's name")
    if database != wanted:
        raise restore.RestoreError(
            f"{database!r} is not the name of the database that would be replaced."
            if database
            else "The name of the database that is replaced was not typed.",
            safe="nothing was changed",
            next_step=f"type it, or say --database {wanted}",
        )


def _restore_source(options: Options, work: Work, kept: Kept, into: str | None) -> None:
    if not into:
        raise restore.RestoreError(
            f"{kept.path.name} is a copy of the source, which is never written.",
            safe="nothing was changed",
            next_step="name the new file it becomes: --into PATH",
        )
    restore.into_file(work, kept, Path(into))
    work.say(f"{into} is what {kept.path.name} holds")
    if options.json:
        click.echo(json.dumps({"restored": kept.path.name, "into": into, "before": None}))


@backup.command("prune")
@common
@click.option("--yes", is_flag=True, help="No question.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.pass_obj
def prune_command(options: Options, yes: bool, dry_run: bool) -> None:
    """Remove backups older than [backup] retention_days, but never the last good one; shows them first."""
    with _working(options) as work, manifest.alone(work.directory):
        planned = prune.plan(manifest.look(work.directory), work.now(), work.config.backup.retention_days)
        for line in planned.lines():
            work.say(line)
        something = bool(planned.remove or planned.strays)
        if something and not dry_run and not yes and not options.json and sys.stdin.isatty():
            yes = click.confirm("Remove them?")
        do = something and yes and not dry_run
        freed = prune.apply(planned) if do else 0
        work.say(f"removed, {humanize.naturalsize(freed)} free" if do else "nothing was removed")
    if options.json:
        told = {
            "removed" if do else "would_remove": [
                *(kept.path.name for kept, _ in planned.remove),
                *(path.name for path in planned.strays),
            ],
            "kept": [kept.path.name for kept, _ in planned.keep],
            "freed": freed,
        }
        click.echo(json.dumps(told, indent=2))


ACTIONS: dict[str, Callable[[Work, Path], schedule.Installed]] = {
    "show": lambda work, _: schedule.show(work),
    "install": lambda work, path: schedule.install(work, schedule.command(work, path)),
    "remove": lambda work, _: schedule.remove(work),
}


def _as_wanted(work: Work, config: Path, found: schedule.Installed) -> bool:
    try:
        return list(found.lines) == schedule.wanted(work, config)
    except schedule.ScheduleError as error:
        click.echo("\n".join(error.lines()), err=True)
        return False


@backup.command("schedule")
@common
@click.argument("action", type=click.Choice(list(ACTIONS)), default="show")
@click.pass_obj
def schedule_command(options: Options, action: str) -> None:
    """Show, install or remove the daily backup: a marked line of a crontab, or a systemd timer ([backup.schedule]).

    Exit code of show: 0 when it is installed as the configuration wants it, else 1.
    """
    with _working(options) as work:
        found = ACTIONS[action](work, options.config)
        as_wanted = action != "show" or _as_wanted(work, options.config, found)
    if options.json:
        told = {"host": found.host, "by": found.by, "action": action, "lines": found.lines, "as_wanted": as_wanted}
        click.echo(json.dumps(told, indent=2))
    else:
        verb = {"show": "", "install": "installed ", "remove": "removed "}[action]
        click.echo(f"{verb}on {found.host}, {found.by}:" if found.lines else f"nothing of ours on {found.host}")
        for line in found.lines:
            click.echo(f"  {line}")
        if not as_wanted:
            click.echo("this is not what the configuration wants: dixis backup schedule install")
    sys.exit(OK if as_wanted else FAILED)

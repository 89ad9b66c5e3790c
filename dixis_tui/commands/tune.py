"""`dixis tune`: the server's variables, shown, set and put back."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click

from dixis_tui.commands.shared import Options, common, opened
from dixis_tui.config import ConfigError
from dixis_tui.model import FAILED, OK
from dixis_tui.runner import Runner
from dixis_tui.server import tuning
from dixis_tui.server.tuning import Change, ServerTuning

yes_option = click.option("--yes", is_flag=True, help="No questions. In production --database is still needed.")
database_option = click.option("--database", default="", help="In production: the database's name, typed.")


@click.group()
def tune() -> None:
    """The server's variables as [tuning] wants them: shown, set, and put back."""


@tune.command("show")
@common
@click.pass_obj
def tune_show(options: Options) -> None:
    """How the server is set, what differs from [tuning] and why, and its log of slow queries; changes nothing.

    Exit code 0: nothing is left to do, 1: something is.
    """
    with opened(options, watch=True) as runner:
        found = runner.ask(tuning.show)
    click.echo(found.model_dump_json(indent=2) if options.json else "\n".join(_shown(found)))
    sys.exit(OK if found.well else FAILED)


def _shown(found: ServerTuning) -> list[str]:
    lines = [found.server, tuning.place(found), ""]
    for one in found.readings:
        head, *more = one.text()
        lines += [f"{'✓' if one.well else '!'} {head}", *(f"    {line}" for line in more)]
    file = tuning.kept_by_file(found)
    return [*lines, *(["", *file] if file else []), "", *found.slow_log.lines()]


@tune.command("apply")
@common
@yes_option
@database_option
@click.pass_obj
def tune_apply(options: Options, yes: bool, database: str) -> None:
    """Set what differs and can be set, and read it back; the old values are in the journal for undo.

    Exit code 0: all is as wanted, 1: something is left to do by hand, or was refused.
    """
    with opened(options) as runner:
        found = runner.ask(tuning.show)
        statements = [f"{one.statement};" for one in found.readings if one.statement]
        if not options.json:
            click.echo("\n".join(_shown(found)) + "\n")
        if statements:
            _agree(runner, "set these variables", statements, yes=yes, database=database)
        _finish(options, runner.ask(tuning.apply), "nothing to set", left=[o for o in found.readings if not o.well])


@tune.command("undo")
@common
@yes_option
@database_option
@click.pass_obj
def tune_undo(options: Options, yes: bool, database: str) -> None:
    """Put the variables back that apply has set, as the journal has them."""
    with opened(options) as runner:
        statements = [f"{one};" for lines in runner.ask(tuning.undoing).values() for one in lines]
        if statements:
            _agree(runner, "put these variables back", statements, yes=yes, database=database)
        _finish(options, runner.ask(tuning.undo), "nothing was set by this run")


def _agree(runner: Runner, what: str, statements: Sequence[str], *, yes: bool, database: str) -> None:
    """Show the statements and have the operator's word; in production the database's name. Raises ConfigError."""
    config = runner.config
    can_ask = sys.stdin.isatty() and sys.stdout.isatty()
    typed = database
    if not yes:
        if not can_ask:
            raise ConfigError("There is no terminal to ask on.", "add --yes to agree beforehand")
        click.echo("\n".join(statements))
    if config.run.environment == "production":
        if not typed and can_ask:
            typed = click.prompt(f"Production. Type the database's name to {what}", type=str)
        if typed != config.target.database:
            raise ConfigError(
                f"This is production; {config.target.database!r} must be typed, not {typed!r}.",
                f"add --database {config.target.database}",
            )
    elif not yes and not click.confirm(f"{what.capitalize()}?"):
        raise ConfigError("The operator did not agree.", "run again when ready")
    runner.confirm((), what, typed)


def _finish(options: Options, changes: Sequence[Change], nothing: str, left: Sequence[tuning.Reading] = ()) -> None:
    """Print what became of each, and end with the exit code. left: what was to be done, or is by hand."""
    done = {one.name for one in changes if one.done}
    by_hand = [one for one in left if one.name not in done or one.verdict == "restart"]
    if options.json:
        told = {
            "changes": [one.model_dump() for one in changes],
            "left": [one.model_dump() for one in by_hand],
        }
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for one in changes:
            click.echo(f"{'✓' if one.done else '✗'} {one.name}: {one.before} → {one.after}: {one.told}")
        if not changes:
            click.echo(nothing)
    sys.exit(OK if not by_hand and all(one.done for one in changes) else FAILED)

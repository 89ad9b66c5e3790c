"""`dixis log`: what a run has said and done, and the commands it ran, from its files; needs no lock and no server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

import click

from dixis_tui import config as configuration
from dixis_tui.commands.shared import Options, common
from dixis_tui.model import LEVELS, DixisError
from dixis_tui.record import commandlog
from dixis_tui.record.log import NAME, LogReader


@click.command("log")
@common
@click.argument("what", type=click.Choice(["lines", "commands"]), default="lines")
@click.option("--level", type=click.Choice(LEVELS), default="info", show_default=True, help="This level and above.")
@click.option("--step", "only", metavar="STEP", help="Only of this step, or of this phase.")
@click.option("--questions", is_flag=True, help="With commands: also those that only asked.")
@click.pass_obj
def log_command(options: Options, what: str, level: str, only: str | None, questions: bool) -> None:
    """Print the log of the run, or with `commands` every command it ran, as it can be copied."""
    run_dir = configuration.load(options.config, rollback=True).run.directory

    path = run_dir / (commandlog.NAME if what == "commands" else NAME)
    try:
        path.open("rb").close()
    except OSError as error:
        raise DixisError(
            f"{path} cannot be read: {error.strerror}.",
            safe="nothing was changed",
            next_step="it is there once the run was driven; else mend that path, or [run] directory",
        ) from error

    def wanted(step: str) -> bool:
        return only is None or step == only or step.startswith(f"{only}.")

    def commands() -> Iterator[commandlog.Entry]:
        return (e for e in commandlog.Reader(run_dir).new() if wanted(e.step) and (questions or e.kind != "ask"))

    if what == "commands":
        if options.json:
            click.echo(json.dumps([asdict(entry) for entry in commands()], indent=2, ensure_ascii=False))
            return
        for entry in commands():
            click.echo("\n".join(entry.lines()))
        return
    levels = LEVELS[LEVELS.index(level) :] if level in LEVELS else LEVELS
    lines = [line for line in LogReader(run_dir).new() if line.level in levels and wanted(line.step)]
    if options.json:
        click.echo(json.dumps([asdict(line) for line in lines], indent=2, ensure_ascii=False))
        return
    for line in lines:
        click.echo(f"{line.at} {line.level:<5} {line.step or '-'} {line.text}")

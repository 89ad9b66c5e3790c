"""`dixis sandbox`: a little world to rehearse in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from dixis_tui.commands.shared import Options, common
from dixis_tui.sandbox import world

ServerKind = Literal["mysql", "mariadb"]


directory_option = click.option(
    "--dir", "directory", type=click.Path(path_type=Path, file_okay=False), required=True, help="The sandbox's folder."
)


@click.group()
def sandbox() -> None:
    """A little world to rehearse in: MySQL, sshd, a Laravel application, a shop; on this machine, in one folder."""


@sandbox.command("up")
@common
@directory_option
@click.option("--server", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
@click.option(
    "--source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A SQLite file instead of the demo shop.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the demo shop.")
@click.option(
    "--scale", type=click.IntRange(1), default=1, show_default=True, help="Multiplies the demo shop's orders."
)
@click.option("--hostile", is_flag=True, help="Add trouble of every kind to the demo shop.")
@click.pass_obj
def sandbox_up(
    options: Options, directory: Path, server: ServerKind, source: Path | None, seed: int, scale: int, hostile: bool
) -> None:
    """Build a sandbox and start its servers; starts what is missing when it is there already."""
    say = (lambda _: None) if options.json else click.echo
    made = world.up(directory, server=server, source=source, say=say, hostile=hostile, scale=scale, seed=seed)
    if options.json:
        click.echo(made.model_dump_json(indent=2))
    else:
        click.echo(f"\nopen the console:  dixis --config {made.config}")
        click.echo(f"or without it:     dixis --config {made.config} run --yes")
        click.echo(f"take it down:      dixis sandbox down --dir {directory}")


@sandbox.command("down")
@common
@directory_option
@click.pass_obj
def sandbox_down(options: Options, directory: Path) -> None:
    """Stop a sandbox's servers and remove its folder."""
    world.down(directory)
    click.echo(json.dumps({"directory": str(directory), "down": True}) if options.json else f"{directory} is gone")


@sandbox.command("status")
@common
@directory_option
@click.pass_obj
def sandbox_status(options: Options, directory: Path) -> None:
    """Which of a sandbox's servers run."""
    found = world.status(directory)
    if options.json:
        click.echo(found.model_dump_json(indent=2))
        return
    for process in found.processes:
        state = "running" if process.alive else "not running"
        click.echo(f"{process.name:<8}{state:<13}process {process.pid or '-'}, port {process.port or '-'}")

"""`dixis demo` and `dixis shop`: the demo, and its database alone."""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from dixis_tui import headless
from dixis_tui.commands.sandbox import ServerKind
from dixis_tui.commands.shared import Options, common, finish, opened
from dixis_tui.runner import Runner
from dixis_tui.sandbox import world
from dixis_tui.sandbox.shop import build_shop


@click.command()
@common
@click.option("--headless", "without_console", is_flag=True, help="Run the whole plan without questions.")
@click.option("--server", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
@click.option("--hostile", is_flag=True, help="Add trouble of every kind to the shop.")
@click.option("--scale", type=click.IntRange(1), default=1, show_default=True, help="Multiplies the shop's orders.")
@click.option("--keep", is_flag=True, help="Leave the sandbox running at the end.")
@click.option(
    "--picture", type=click.Path(path_type=Path, dir_okay=False), help="Save a picture (SVG) of the console and end."
)
@click.pass_obj
def demo(
    options: Options,
    without_console: bool,
    server: ServerKind,
    hostile: bool,
    scale: int,
    keep: bool,
    picture: Path | None,
) -> None:
    """Build a sandbox and open the console on it; it is gone again afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="dixis-demo-")) / "sandbox"
    say = (lambda _: None) if options.json else click.echo
    try:
        made = world.up(directory, server=server, say=say, hostile=hostile, scale=scale)
        inside = replace(options, config=made.config)
        with opened(inside) as runner:
            if picture is not None:
                _take_picture(runner, picture)
            elif without_console:
                twin = headless.Headless(runner, headless.Consent(yes=True), quiet=options.json)
                finish(inside, runner, twin.run(runner.plan.phases))
            else:
                from dixis_tui.app import ConsoleApp

                ConsoleApp(runner).run()
    finally:
        if keep:
            click.echo(f"kept: {directory}; take it down with: dixis sandbox down --dir {directory}", err=True)
        else:
            world.down(directory)
            directory.parent.rmdir()


def _take_picture(runner: Runner, path: Path) -> None:
    from dixis_tui.app import picture

    twin = headless.Headless(runner, headless.Consent(yes=True), quiet=True)
    twin.run(runner.plan.phases[:3])
    asyncio.run(picture(runner, path, keys=("1", *["down"] * 4)))  # a step with something to say
    click.echo(f"written to {path}")


@click.command()
@common
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--scale", type=click.IntRange(1), default=1, show_default=True, help="Multiplies orders and their children."
)
@click.option("--hostile", is_flag=True, help="Add trouble of every kind.")
@click.pass_obj
def shop(options: Options, file: Path, seed: int, scale: int, hostile: bool) -> None:
    """Generate the demo shop's SQLite database as FILE."""
    facts = build_shop(file, seed=seed, scale=scale, hostile=hostile)
    if options.json:
        click.echo(json.dumps({"file": str(file), "tables": facts.tables, "rows": facts.rows, "bytes": facts.bytes}))
    else:
        click.echo(f"{file}: {facts.tables} tables, {facts.rows:,} rows, {facts.bytes:,} bytes")

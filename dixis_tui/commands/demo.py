"""`dixis demo` and `dixis shop`: the demo, and its database alone."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import click

from dixis_tui import headless
from dixis_tui.commands.sandbox import ServerKind
from dixis_tui.commands.shared import Options, common, finish, opened
from dixis_tui.pace import LEVELS
from dixis_tui.runner import Runner
from dixis_tui.sandbox import world
from dixis_tui.sandbox.shop import build_shop
from dixis_tui.target import connected, execute


@click.command()
@common
@click.option("--headless", "without_console", is_flag=True, help="Run the whole plan without questions.")
@click.option("--server", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
@click.option("--hostile", is_flag=True, help="Add trouble of every kind to the shop.")
@click.option("--scale", type=click.IntRange(1), default=1, show_default=True, help="Multiplies the shop's orders.")
@click.option("--keep", is_flag=True, help="Leave the sandbox running at the end.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    help="Save a picture (SVG) of the console and end; in a folder that is there, all pictures of the guide.",
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
                _take_pictures(runner, picture)
            elif without_console:
                twin = headless.Headless(runner, headless.Consent(yes=True), quiet=options.json)
                finish(inside, runner, twin.run(runner.plan.phases))
            else:
                from dixis_tui.console.app import ConsoleApp

                ConsoleApp(runner).run()
    finally:
        if keep:
            click.echo(f"kept: {directory}; take it down with: dixis sandbox down --dir {directory}", err=True)
        else:
            world.down(directory)
            directory.parent.rmdir()


class Picture(NamedTuple):
    """A picture of the guide: the size of the terminal, the theme, and the keys that lead there. after: what has
    happened when it is taken."""

    size: tuple[int, int]
    theme: str
    keys: tuple[str, ...]
    after: str = "data"


COPYING = "data.financial"  # the step with most rows
TAMPERED = "two values that somebody has changed on the target"
A_STEP_WITH_EVIDENCE = ("1", *["down"] * 4)
PICTURES = {
    "console": Picture((140, 40), "dark", A_STEP_WITH_EVIDENCE),
    "small": Picture((80, 24), "dark", ("2", "down")),
    "light": Picture((140, 40), "light", ("2", "down")),
    "monochrome": Picture((80, 24), "monochrome", A_STEP_WITH_EVIDENCE),
    "rollback": Picture((80, 24), "dark", ("ctrl+r",)),
    "tables": Picture((120, 30), "dark", ("a",), after=COPYING),
    "differences": Picture((120, 30), "dark", ("4", "d"), after=TAMPERED),
    "cells": Picture((120, 30), "dark", ("4", "d", "enter"), after=TAMPERED),
    "watch": Picture((120, 30), "dark", ("m",), after="watch"),
}


def _take_pictures(runner: Runner, path: Path) -> None:
    """One picture into a file, once the first three phases have run, or all of them into a folder, each in its time."""
    twin = headless.Headless(runner, headless.Consent(yes=True), quiet=True)
    phases = runner.plan.phases
    if not path.is_dir():
        twin.run(phases[:3])
        _take(runner, path, PICTURES["console"])
        return

    def those(after: str) -> None:
        for name, one in PICTURES.items():
            if one.after == after:
                _take(runner, path / f"{name}.svg", one)

    twin.run(phases[:2])
    runner.pace.set(LEVELS[0])
    with ThreadPoolExecutor(1) as beside:
        copying = beside.submit(asyncio.run, runner.run_phase("data"))
        while runner.running != COPYING and not copying.done():
            time.sleep(0.01)  # between two looks; it ends with the copy at the latest
        those(COPYING)
        runner.pace.set(LEVELS[-1])
        copying.result()
    those("data")
    twin.run(phases[3:5])
    with _tampered(runner):
        those(TAMPERED)
    twin.run(phases[2:])
    those("watch")


def _take(runner: Runner, file: Path, one: Picture) -> None:
    from dixis_tui.console.app import picture

    asyncio.run(picture(runner, file, size=one.size, keys=one.keys, theme=one.theme))
    click.echo(f"written to {file}")


@contextmanager
def _tampered(runner: Runner) -> Iterator[None]:
    """Two values of the sandbox's target are others, and the proof has found them; afterwards they are as they were."""

    def proved(value: str) -> None:
        with connected(runner.config.target) as connection:
            execute(connection, f"UPDATE products SET name = {value} ORDER BY id LIMIT 2")
            connection.commit()
        asyncio.run(runner.run_step("validation.proof"))

    proved("CONCAT(name, ' (new)')")
    yield
    proved("REPLACE(name, ' (new)', '')")


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

"""`dixis watch` and `dixis serve`: look on at a run, in a terminal or in a browser."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from dixis_tui import config
from dixis_tui.commands.console import need_terminal
from dixis_tui.commands.shared import ANY_PATH, Options, common, importing
from dixis_tui.model import OK
from dixis_tui.record import glance
from dixis_tui.runner import Runner


@click.command()
@common
@click.argument("directory", metavar="DIR", type=ANY_PATH)
def watch(directory: Path) -> None:
    """Open the console read-only on the run kept in DIR, the folder of [run] directory.

    It needs neither the configuration nor a password, writes nothing, and shows what the driving console does.
    """
    plan, settings = glance.read(directory)
    need_terminal()
    with importing():
        from dixis_tui.console.app import ConsoleApp

    with Runner(plan, settings, watch=True) as runner:
        sys.exit(ConsoleApp(runner).run() or OK)


@click.command()
@common
@click.argument("directory", metavar="[DIR]", required=False, type=ANY_PATH)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of 127.0.0.1.  [default: a free one]")
@click.pass_obj
def serve(options: Options, directory: Path | None, port: int) -> None:
    """Show a run read-only in a browser on this machine; without DIR the run of the configuration.

    Prints a link that works once. Ends with Ctrl+C.
    """
    from dixis_tui.console import serving

    folder = (directory or config.load(options.config, rollback=True).run.directory).resolve()
    glance.read(folder)  # refuse at once what no browser could show

    def told(link: str) -> None:
        lines = ["Read-only, on this machine, until Ctrl+C. The link works once:", f"  {link}"]
        click.echo(json.dumps({"link": link}) if options.json else "\n".join(lines))

    serving.serve(folder, port, told)

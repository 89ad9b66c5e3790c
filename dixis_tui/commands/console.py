"""`dixis console`: the console on a run."""

from __future__ import annotations

import sys

import click

from dixis_tui.commands.shared import STREAMS, Options, common, opened
from dixis_tui.model import OK


@click.command()
@common
@click.option("--watch", is_flag=True, help="Only look on while another console drives the run.")
@click.option("--streams", type=STREAMS, help="How many streams copy at once, instead of [data] streams.")
@click.pass_obj
def console(options: Options, watch: bool = False, streams: int | None = None) -> None:
    """Open the console (what `dixis` does without a command)."""
    from dixis_tui.app import ConsoleApp

    with opened(options, watch=watch) as runner:
        if not watch:
            runner.config.ask_for_secrets()
            if streams is not None:
                runner.begin_at(streams)
        sys.exit(ConsoleApp(runner).run() or OK)

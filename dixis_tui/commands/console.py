"""`dixis console`: the console on a run, and the first start where there is no configuration yet."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from dixis_tui.commands.shared import STREAMS, Options, common, importing, opened
from dixis_tui.model import OK, DixisError


@click.command()
@common
@click.option("--watch", is_flag=True, help="Only look on while another console drives the run.")
@click.option("--streams", type=STREAMS, help="How many streams copy at once, instead of [data] streams.")
@click.pass_context
def console(ctx: click.Context, watch: bool = False, streams: int | None = None) -> None:
    """Open the console (what `dixis` does without a command)."""
    options: Options = ctx.obj
    if not watch and options.config == Path("dixis.toml") and not options.config.exists() and on_a_terminal():
        options = _first_start(ctx, options)
    with opened(options, watch=watch) as runner:
        need_terminal()
        if not watch:
            runner.config.ask_for_secrets()
            if streams is not None:
                runner.begin_at(streams)
        with importing():
            from dixis_tui.console.app import ConsoleApp

        sys.exit(ConsoleApp(runner).run() or OK)


def on_a_terminal() -> bool:
    """True where a console can be opened: a terminal that can draw, or a browser through `dixis serve`."""
    return bool(os.environ.get("TEXTUAL_DRIVER")) or (_a_terminal() and not _cannot_draw())


def _a_terminal() -> bool:
    try:
        return os.isatty(0) and os.isatty(2)
    except OSError:
        return False


def _cannot_draw() -> str:
    """The kind of a terminal that has lines and no places on a screen; empty for any other."""
    kind = os.environ.get("TERM", "")
    return kind if kind.lower() in ("dumb", "unknown") else ""


def need_terminal() -> None:
    """Raises DixisError where no console can be opened."""
    if not on_a_terminal():
        raise DixisError(
            f"The console cannot draw on a terminal that calls itself {_cannot_draw()!r} (TERM)."
            if _a_terminal()
            else "There is no terminal to open the console on.",
            safe="nothing was started",
            next_step="dixis run --yes runs the plan without one, dixis status tells where it stands",
        )


def _first_start(ctx: click.Context, options: Options) -> Options:
    """Ask what to do; the options with which the console goes on. Ends the process where that was all."""
    from dixis_tui.console.start import StartApp

    choice = StartApp(options.config, Path.cwd()).run()
    if choice is None:
        sys.exit(OK)
    if choice.rehearse:
        _go_on(ctx, "demo")
        sys.exit(OK)
    if choice.run is not None:
        _go_on(ctx, "watch", directory=choice.run)
    return replace(options, config=choice.config or options.config)


def _go_on(ctx: click.Context, name: str, **values: object) -> None:
    """Another command in this one's place."""
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)
    command = root.command.get_command(root, name)
    assert command is not None
    ctx.invoke(command, **values)

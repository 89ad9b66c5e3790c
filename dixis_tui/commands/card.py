"""`dixis card`: the way back on one printed page."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dixis_tui.commands.shared import Options, common, opened
from dixis_tui.switch.card import card


@click.command("card")
@common
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.pass_obj
def card_command(options: Options, output: Path | None) -> None:
    """Print the rollback card: one page, with this configuration's hosts, paths and commands."""
    with opened(options, watch=True, rollback=True) as runner:
        people = [(name.replace("_", " "), str(who)) for name, who in runner.config.people if isinstance(who, str)]
        lines = runner.ask(lambda ctx: list(card(ctx, str(options.config), people)))
    text = json.dumps({"card": lines}, indent=2, ensure_ascii=False) if options.json else "\n".join(lines)
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
        click.echo(json.dumps({"written": str(output)}) if options.json else f"written to {output}")

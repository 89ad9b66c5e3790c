"""`dixis journal`: verify a run's journal afterwards, and read it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from dixis_tui.commands.shared import ANY_PATH, Options, common, where
from dixis_tui.model import FAILED, OK
from dixis_tui.record import telling
from dixis_tui.record.audit import audit
from dixis_tui.record.journal import Journal


@click.group()
def journal() -> None:
    """Verify a run's journal, or read it."""


@journal.command("verify")
@common
@click.argument("directory", metavar="[DIR]", required=False, type=ANY_PATH)
@click.option(
    "--allowed-signers",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="ssh's file that says whose a key is.  [default: [people] allowed_signers, without DIR]",
)
@click.option("--head", metavar="HASH", default="", help="The journal must hold an event with this hash.")
@click.pass_obj
def verify(options: Options, directory: Path | None, allowed_signers: Path | None, head: str) -> None:
    """Verify the chain of a run's journal and every signature in it; reads only.

    DIR is the run's folder, or a copy of it; without it, that of the configuration. Exit code 0: all holds, 1: a place
    is broken or a signature bad.
    """
    found = where(options, directory)
    result = audit(found.directory, allowed_signers or found.allowed_signers, head=head)
    if options.json:
        click.echo(json.dumps({"good": result.good, **result.model_dump(mode="json")}, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(result.lines()))
    sys.exit(OK if result.good else FAILED)


@journal.command("show")
@common
@click.argument("directory", metavar="[DIR]", required=False, type=ANY_PATH)
@click.option("--since", metavar="N", type=click.IntRange(1), default=1, help="From this event on.")
@click.pass_obj
def show(options: Options, directory: Path | None, since: int) -> None:
    """Print the events of a run's journal, a line each; with --json as they are stored."""
    read = Journal(where(options, directory).directory, create=False)
    try:
        for event in read.events[since - 1 :]:
            if options.json:
                stored = {"seq": event.seq, "at": event.at, "kind": event.kind, "data": event.data}
                chained = {"previous": event.previous, "hash": event.hash}
                click.echo(json.dumps({**stored, **chained}, ensure_ascii=False))
            else:
                click.echo(f"{event.seq:>5}  {event.time.astimezone():%Y-%m-%d %H:%M:%S %z}  {telling.told(event)}")
    finally:
        read.close()

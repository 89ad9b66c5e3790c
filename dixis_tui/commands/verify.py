"""`dixis verify`: the proof, at any time."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from dixis_tui.commands.shared import Options, common, opened
from dixis_tui.compare import validation
from dixis_tui.compare.proof import TableProof
from dixis_tui.config import ConfigError
from dixis_tui.model import COULD_NOT_ASK, FAILED, OK
from dixis_tui.phrase import counted


@click.command("verify")
@common
@click.option("--table", "tables", metavar="T", multiple=True, help="Only this table; repeatable.")
@click.option(
    "--max-load",
    type=click.FloatRange(0, 1),
    help="Wait while others use more than this share of the server's connections.  [default: from the configuration]",
)
@click.pass_obj
def verify_command(options: Options, tables: tuple[str, ...], max_load: float | None) -> None:
    """Compare source and target, cell by cell; changes nothing and may run beside the console.

    Exit code 0: equal, 1: differences, 3: something could not be compared.
    """

    def told(proof: TableProof) -> None:
        if not options.json and proof.status != "equal":
            click.echo("\n".join(validation.lines(proof)))

    with opened(options, watch=True) as runner:
        found = runner.ask(lambda ctx: validation.report(ctx, only=tables, max_load=max_load, told=told))
    unknown = set(tables) - {proof.table for proof in found.tables}
    if unknown:
        raise ConfigError(f"The source has no table {', '.join(sorted(unknown))}.", "see the names with: dixis verify")
    if options.json:
        click.echo(found.model_dump_json(indent=2))
    else:
        click.echo("\n".join(_verified(found)))
    if found.could_not_compare or found.structure is None:
        sys.exit(COULD_NOT_ASK)
    sys.exit(OK if found.equal else FAILED)


def _verified(found: validation.VerifyReport) -> Iterator[str]:
    if found.structure is None:
        yield "how the tables were built is not in this run's journal: keys and defaults were not compared"
    yield from (one.line() for one in found.structure or ())
    yield from (f"{key}: {counted(rows, 'row refers', 'rows refer')} to nothing" for key, rows in found.orphans.items())
    for proof in found.tables:
        yield from (
            f"declared: {one.column}, {one.rule}, {counted(one.rows, 'row')}" for one in proof.conversions if one.rows
        )
    rows = sum(proof.rows_source for proof in found.tables)
    verdict = "every value equal" if found.equal else "NOT COMPARED" if found.could_not_compare else "DIFFERENT"
    yield f"{counted(len(found.tables), 'table')}, {counted(rows, 'row')}: {verdict}"

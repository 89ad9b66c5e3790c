"""`dixis status` and `dixis report`: where the run stands, and all of it on paper."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dixis_tui import report, week
from dixis_tui.commands.shared import Options, common, opened
from dixis_tui.samplestore import Store


@click.command()
@common
@click.pass_obj
def status(options: Options) -> None:
    """Where the run stands, and what is next; needs no lock."""
    with opened(options, watch=True, rollback=True) as runner:
        built = report.build(runner)
        if options.json:
            click.echo(json.dumps({**built.model_dump(mode="json"), "driven": runner.driven()}, indent=2))
            return
        click.echo("\n".join(report.summary(built)))
        for phase in built.phases:
            for step in phase.steps:
                if step.status.value not in ("pending", "pass"):
                    click.echo(f"  {step.status.glyph} {step.status:<12}{step.id}  {step.summary}")
        if runner.driven():
            click.echo("  a console drives this run now")


@click.command("report")
@common
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.option("--week", "the_week", is_flag=True, help="The week after instead: success criteria, days, gaps, growth.")
@click.pass_obj
def report_command(options: Options, output: Path | None, the_week: bool) -> None:
    """The whole run for the reviewers: evidence, remedies, signatures, times."""
    built: report.Report | week.Week
    with opened(options, watch=True, rollback=not the_week) as runner:
        if the_week:
            store = Store(runner.run_dir, create=False)
            built = week.build(runner, store)
            store.close()
            lines = week.markdown(built)
        else:
            built = report.build(runner)
            lines = report.markdown(built)
    text = built.model_dump_json(indent=2) if options.json else "\n".join(lines)
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
        click.echo(json.dumps({"written": str(output)}) if options.json else f"written to {output}")

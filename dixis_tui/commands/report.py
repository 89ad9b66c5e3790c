"""`dixis status` and `dixis report`: where the run stands, and all of it on paper."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from dixis_tui import report, timeline
from dixis_tui.commands.shared import Options, common, opened


@click.command()
@common
@click.pass_obj
def status(options: Options) -> None:
    """Where the run stands, and what is next; needs no lock."""
    with opened(options, watch=True, rollback=True) as runner:
        built = report.build(runner)
        window = timeline.Timekeeper(runner).look(datetime.now(UTC))
        if options.json:
            more = {"driven": runner.driven(), "timeline": window.model_dump(mode="json")}
            click.echo(json.dumps({**built.model_dump(mode="json"), **more}, indent=2))
            return
        click.echo("\n".join(report.summary(built)))
        for number, line in enumerate(timeline.lines(window)):
            click.echo(f"  {'' if number else 'window':<10}{line}")
        for phase in built.phases:
            for step in phase.steps:
                if step.status.value not in ("pending", "pass"):
                    click.echo(f"  {step.status.glyph} {step.status:<12}{step.id}  {step.summary}")
        if runner.driven():
            click.echo("  a console drives this run now")


@click.command("report")
@common
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.pass_obj
def report_command(options: Options, output: Path | None) -> None:
    """The whole run for the reviewers: evidence, remedies, signatures, times."""
    with opened(options, watch=True, rollback=True) as runner:
        built = report.build(runner)
    text = built.model_dump_json(indent=2) if options.json else "\n".join(report.markdown(built))
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
        click.echo(json.dumps({"written": str(output)}) if options.json else f"written to {output}")

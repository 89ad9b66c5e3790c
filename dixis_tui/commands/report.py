"""`dixis status` and `dixis report`: where the run stands, and all of it on paper."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from dixis_tui.commands.shared import Options, common, opened, where
from dixis_tui.record import report, timeline


@click.command()
@common
@click.pass_obj
def status(options: Options) -> None:
    """Where the run stands, and what is next; needs no lock."""
    with opened(options, watch=True, rollback=True) as runner:
        built = report.build(runner)
        window = timeline.Timekeeper(runner).look(datetime.now(UTC))
        if options.json:
            more = {"driven": runner.driven(), "window": window.model_dump(mode="json")}
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
@click.option("--format", "form", type=click.Choice(["md", "html", "json"]), help="[default: md, or json with --json]")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.option("--week", "the_week", is_flag=True, help="The week after instead: success criteria, days, gaps, growth.")
@click.option(
    "--run",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The folder of a run, or a copy of it; needs no configuration.",
)
@click.option(
    "--allowed-signers",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="ssh's file that says whose a key is.  [default: [people] allowed_signers, without --run]",
)
@click.pass_obj
def report_command(
    options: Options,
    form: str | None,
    output: Path | None,
    directory: Path | None,
    allowed_signers: Path | None,
    the_week: bool,
) -> None:
    """The whole run for the reviewers, made from its journal alone."""
    from dixis_tui.record import paper

    form = form or ("json" if options.json else "md")
    if the_week:
        if directory is not None or form == "html":
            raise click.UsageError("The week is told of the configuration's own run, as md or json.")
        _write(options, output, _week(options, form))
        return
    found = where(options, directory)
    built = report.record(found.directory, allowed_signers or found.allowed_signers)
    match form:
        case "json":
            text = built.model_dump_json(indent=2)
        case "html":
            text = paper.html(built)
        case _:
            text = "\n".join(paper.markdown(built))
    _write(options, output, text)


def _week(options: Options, form: str) -> str:
    """The week after, of the samples and the journal."""
    from dixis_tui.monitoring import week
    from dixis_tui.monitoring.samplestore import Store

    with opened(options, watch=True) as runner:
        store = Store(runner.run_dir, create=False)
        built = week.build(runner, store)
        store.close()
    return built.model_dump_json(indent=2) if form == "json" else "\n".join(week.markdown(built))


def _write(options: Options, output: Path | None, text: str) -> None:
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
        click.echo(json.dumps({"written": str(output)}) if options.json else f"written to {output}")

"""`dixis preflight` and `dixis checks`: the questions before the window."""

from __future__ import annotations

import json
import sys

import click

from checks import all_checks
from checks.remedies import together
from dixis_tui import headless
from dixis_tui.commands.shared import Options, common, opened
from dixis_tui.config import ConfigError
from dixis_tui.phrase import counted
from dixis_tui.record import report


@click.command()
@common
@click.option("--only", multiple=True, metavar="ID…", help="Only these checks or families, and what they need.")
@click.option("--remedies", is_flag=True, help="Print all remedies as one piece: configuration, SQL, the rest.")
@click.argument("more", nargs=-1, metavar="")
@click.pass_obj
def preflight(options: Options, only: tuple[str, ...], remedies: bool, more: tuple[str, ...]) -> None:
    """Ask every question that must be answered before the window; changes nothing."""
    if more and not only:
        raise click.UsageError("Names of checks stand behind --only.")
    with opened(options) as runner:
        phase = runner.plan.phase("preflight")
        wanted = _checks((*only, *more))
        twin = headless.Headless(runner, headless.Consent(), quiet=options.json or remedies)
        code = twin.checks(phase, wanted)
        found = report.preflight(runner, phase, wanted)
        if remedies:
            outcomes = [runner.state.step(step.id).outcome for step in phase.steps]
            put = together(finding for one in outcomes if one for finding in one.findings)
            lines = {"config": put.toml(), "source": put.source, "other": put.other}
            click.echo(json.dumps(lines, indent=2, ensure_ascii=False) if options.json else "\n".join(put.lines()))
        elif options.json:
            click.echo(found.model_dump_json(indent=2))
        else:
            told = ", ".join(f"{count} {answer}" for answer, count in found.summary.answers.items())
            click.echo(f"\n{counted(found.summary.checks, 'check')}: {told}")
        sys.exit(code)


def _checks(names: tuple[str, ...]) -> set[str]:
    """The steps of checks named by id, by family, or by both; with commas between them, too."""
    known = {check.id: check.step_id for check in all_checks()}
    wanted: set[str] = set()
    for name in (part.strip().removeprefix("preflight.") for text in names for part in text.split(",")):
        family = name.removesuffix(".*").removesuffix(".") + "."
        mine = {step for check, step in known.items() if check == name or check.startswith(family)}
        if not mine:
            raise ConfigError(f"There is no check named {name!r}.", "dixis checks lists them")
        wanted |= mine
    return wanted


@click.command("checks")
@common
@click.pass_obj
def checks_command(options: Options) -> None:
    """List the checks of the Preflight phase; needs no configuration."""
    listed = all_checks()
    if options.json:
        told = [
            {
                "id": check.id,
                "title": check.title,
                "phase": "preflight",
                "why": check.why,
                "severity": check.severity,
                "remedy": check.remedy,
                "needs": list(check.needs),
            }
            for check in listed
        ]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    width = max(len(check.id) for check in listed)
    for check in listed:
        click.echo(f"{check.id:<{width}}  {check.severity:<4}  {check.title}")

"""`dixis run`: the plan, or a part of it, without the console."""

from __future__ import annotations

import json

import click

from dixis_tui import headless
from dixis_tui.commands.shared import STREAMS, Options, common, finish, opened
from dixis_tui.config import ConfigError
from dixis_tui.model import DixisError
from dixis_tui.runner import Runner
from dixis_tui.step import Phase


def _consent(yes: bool, database: str, sign: tuple[str, ...]) -> headless.Consent:
    signatures = {}
    for pair in sign:
        role, separator, name = pair.partition("=")
        if not separator or not name.strip():
            raise click.BadParameter(f"{pair!r} is not ROLE=NAME", param_hint="--sign")
        signatures[role.strip()] = name.strip()
    return headless.Consent(yes, database, signatures)


@click.command()
@common
@click.option("--phase", "phase_id", metavar="P", help="Only this phase; starts over when it was done already.")
@click.option("--until", metavar="P", help="The phases up to this one, and no further.")
@click.option("--from", "from_step", metavar="STEP", help="Do this step of a phase again, and those behind it.")
@click.option("--yes", is_flag=True, help="No questions. In production --database and --sign are still needed.")
@click.option("--database", default="", help="In production: the database's name, typed.")
@click.option("--sign", multiple=True, metavar="ROLE=NAME", help="Who signs as lead, database review, …; repeatable.")
@click.option("--dry-run", is_flag=True, help="Only show what each action would do.")
@click.option("--streams", type=STREAMS, help="How many streams copy at once, instead of [data] streams.")
@click.option("-v", "--verbose", is_flag=True, help="Print the log too.")
@click.pass_obj
def run(
    options: Options,
    phase_id: str | None,
    until: str | None,
    from_step: str | None,
    yes: bool,
    database: str,
    sign: tuple[str, ...],
    dry_run: bool,
    streams: int | None,
    verbose: bool,
) -> None:
    """Run the plan, or one phase of it, from where it stands."""
    consent = _consent(yes, database, sign)
    if until is not None and (phase_id or from_step):
        raise click.UsageError("--until goes with the whole plan, not with --phase or --from.")
    if from_step is not None:
        phase_id = phase_id or from_step.partition(".")[0]
    with opened(options, watch=dry_run) as runner:
        phases = runner.plan.phases if phase_id is None else (_phase(runner, phase_id),)
        if until is not None:
            phases = phases[: phases.index(_phase(runner, until)) + 1]
        since = next((step for step in phases[0].steps if step.id == from_step), None)
        if from_step is not None and since is None:
            raise ConfigError(
                f"{phases[0].title} has no step {from_step}.", "see its steps with: dixis run --dry-run --phase P"
            )
        if dry_run:
            _show(runner, phases, as_json=options.json)
            return
        if streams is not None:
            runner.begin_at(streams)
        if since is not None or (phase_id is not None and runner.order.settled(phases[0])):
            runner.reset(phases[0], since=since)
        twin = headless.Headless(runner, consent, quiet=options.json, verbose=verbose)
        finish(options, runner, twin.run(phases))


def _phase(runner: Runner, phase_id: str) -> Phase:
    """A phase of the plan, by its name on the command line."""
    if phase_id == runner.plan.rollback.id:
        raise ConfigError("The rollback is no phase of the plan.", "use: dixis rollback")
    try:
        return runner.plan.phase(phase_id)
    except DixisError as error:
        raise ConfigError(error.what, error.next_step) from error


def _show(runner: Runner, phases: tuple[Phase, ...], *, as_json: bool) -> None:
    """What each action would do, as text or as a list of steps in JSON."""
    shown = []
    for phase in phases:
        for step in phase.steps:
            try:
                lines = runner.preview(step)
            except DixisError as error:
                lines = [f"not known yet: {error.what}"]
            shown.append({"step": step.id, "kind": step.kind, "title": step.title, "would_do": lines})
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for step_shown in shown:
        click.echo(f"{step_shown['kind']:<9}{step_shown['step']}  {step_shown['title']}")
        for line in step_shown["would_do"]:
            click.echo(f"           {line}")

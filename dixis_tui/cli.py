"""The command line: `dixis`. It reads the configuration, opens the run, and hands over to the console or its twin."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from dixis_tui import config as configuration
from dixis_tui import headless, plan, report, validation
from dixis_tui import rollback as takeback
from dixis_tui.journal import HeldError, JournalError
from dixis_tui.model import DixisError
from dixis_tui.proof import TableProof
from dixis_tui.runner import Runner
from dixis_tui.step import Phase

F = TypeVar("F", bound=Callable[..., Any])
ServerKind = Literal["mysql", "mariadb"]


@dataclass(frozen=True)
class Options:
    """What every command takes."""

    config: Path
    json: bool


def _merge(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """--config and --json may stand before or after the command's name."""
    if value is not None and value is not False:
        ctx.obj = replace(ctx.obj, **{str(parameter.name): value})
    return value


def common(function: F) -> F:
    """The options every command takes, after its name."""
    for option in (
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            expose_value=False,
            callback=_merge,
            help="The run's TOML file.",
        ),
        click.option("--json", is_flag=True, expose_value=False, callback=_merge, help="Print JSON."),
    ):
        function = option(function)
    return function


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=lambda: Path(os.environ.get("DIXIS_CONFIG", "dixis.toml")),
    show_default="$DIXIS_CONFIG, or dixis.toml",
    help="The run's TOML file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.version_option(package_name="dixis-tui")
@click.pass_context
def cli(ctx: click.Context, config: Path, as_json: bool) -> None:
    """Move a live Laravel shop from SQLite to MySQL, prove that nothing was lost, and take it back if need be.

    Without a command the console opens.
    """
    ctx.obj = Options(config, as_json)
    if ctx.invoked_subcommand is None:
        ctx.invoke(console)


@contextmanager
def opened(options: Options, *, watch: bool = False, rollback: bool = False) -> Iterator[Runner]:
    """The run of a configuration. Checks and plan are put together here and nowhere else."""
    import checks

    settings = configuration.load(options.config, rollback=rollback)
    with Runner(plan.build(settings, checks.preflight()), settings, watch=watch) as runner:
        yield runner


@cli.command()
@common
@click.option("--watch", is_flag=True, help="Only look on while another console drives the run.")
@click.pass_obj
def console(options: Options, watch: bool = False) -> None:
    """Open the console (what `dixis` does without a command)."""
    from dixis_tui.app import ConsoleApp

    with opened(options, watch=watch) as runner:
        if not watch:
            runner.config.ask_for_secrets()
        sys.exit(ConsoleApp(runner).run() or headless.OK)


def _consent(yes: bool, database: str, sign: tuple[str, ...]) -> headless.Consent:
    signatures = {}
    for pair in sign:
        role, separator, name = pair.partition("=")
        if not separator or not name.strip():
            raise click.BadParameter(f"{pair!r} is not ROLE=NAME", param_hint="--sign")
        signatures[role.strip()] = name.strip()
    return headless.Consent(yes, database, signatures)


def _finish(options: Options, runner: Runner, code: int, *, summary: bool = True) -> None:
    built = report.build(runner)
    if options.json:
        click.echo(built.model_dump_json(indent=2))
    elif summary:
        click.echo("\n" + "\n".join(report.summary(built)))
    sys.exit(code)


@cli.command()
@common
@click.option("--phase", "phase_id", metavar="P", help="Only this phase; starts over when it was done already.")
@click.option("--from", "from_step", metavar="STEP", help="Do this step of a phase again, and those behind it.")
@click.option("--yes", is_flag=True, help="No questions. In production --database and --sign are still needed.")
@click.option("--database", default="", help="In production: the database's name, typed.")
@click.option("--sign", multiple=True, metavar="ROLE=NAME", help="Who signs as lead, database review, …; repeatable.")
@click.option("--dry-run", is_flag=True, help="Only show what each action would do.")
@click.option("-v", "--verbose", is_flag=True, help="Print the log too.")
@click.pass_obj
def run(
    options: Options,
    phase_id: str | None,
    from_step: str | None,
    yes: bool,
    database: str,
    sign: tuple[str, ...],
    dry_run: bool,
    verbose: bool,
) -> None:
    """Run the plan, or one phase of it, from where it stands."""
    consent = _consent(yes, database, sign)
    if from_step is not None:
        phase_id = phase_id or from_step.partition(".")[0]
    with opened(options, watch=dry_run) as runner:
        phases = runner.plan.phases if phase_id is None else (_phase(runner, phase_id),)
        since = next((step for step in phases[0].steps if step.id == from_step), None)
        if from_step is not None and since is None:
            raise configuration.ConfigError(
                f"{phases[0].title} has no step {from_step}.", "see its steps with: dixis run --dry-run --phase P"
            )
        if dry_run:
            _show(runner, phases, as_json=options.json)
            return
        if since is not None or (phase_id is not None and runner.settled(phases[0])):
            runner.reset(phases[0], since=since)
        twin = headless.Headless(runner, consent, quiet=options.json, verbose=verbose)
        _finish(options, runner, twin.run(phases))


def _phase(runner: Runner, phase_id: str) -> Phase:
    """A phase of the plan, by its name on the command line."""
    if phase_id == runner.plan.rollback.id:
        raise configuration.ConfigError("The rollback is no phase of the plan.", "use: dixis rollback")
    try:
        return runner.plan.phase(phase_id)
    except DixisError as error:
        raise configuration.ConfigError(error.what, error.next_step) from error


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


@cli.command()
@common
@click.option("--only", multiple=True, metavar="ID…", help="Only these checks or families, and what they need.")
@click.option("--remedies", is_flag=True, help="Print all remedies as one piece: configuration, SQL, the rest.")
@click.argument("more", nargs=-1, metavar="")
@click.pass_obj
def preflight(options: Options, only: tuple[str, ...], remedies: bool, more: tuple[str, ...]) -> None:
    """Ask every question that must be answered before the window; changes nothing."""
    from checks.remedies import together

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
            click.echo(f"\n{found.summary.checks} checks: {told}")
        sys.exit(code)


def _checks(names: tuple[str, ...]) -> set[str]:
    """The steps of checks named by id, by family, or by both; with commas between them, too."""
    from checks import all_checks

    known = {check.id: check.step_id for check in all_checks()}
    wanted: set[str] = set()
    for name in (part.strip().removeprefix("preflight.") for text in names for part in text.split(",")):
        family = name.removesuffix(".*").removesuffix(".") + "."
        mine = {step for check, step in known.items() if check == name or check.startswith(family)}
        if not mine:
            raise configuration.ConfigError(f"There is no check named {name!r}.", "dixis checks lists them")
        wanted |= mine
    return wanted


@cli.command("checks")
@common
@click.pass_obj
def checks_command(options: Options) -> None:
    """List the checks of the Preflight phase; needs no configuration."""
    from checks import all_checks

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


@cli.command("verify")
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
        raise configuration.ConfigError(
            f"The source has no table {', '.join(sorted(unknown))}.", "see the names with: dixis verify"
        )
    if options.json:
        click.echo(found.model_dump_json(indent=2))
    else:
        click.echo("\n".join(_verified(found)))
    if found.could_not_compare or found.structure is None:
        sys.exit(headless.COULD_NOT_ASK)
    sys.exit(headless.OK if found.equal else headless.FAILED)


def _verified(found: validation.VerifyReport) -> Iterator[str]:
    if found.structure is None:
        yield "how the tables were built is not in this run's journal: keys and defaults were not compared"
    yield from (one.line() for one in found.structure or ())
    yield from (f"{key}: {rows} rows refer to nothing" for key, rows in found.orphans.items())
    for proof in found.tables:
        yield from (f"declared: {one.column}, {one.rule}, {one.rows} rows" for one in proof.conversions if one.rows)
    rows = sum(proof.rows_source for proof in found.tables)
    verdict = "every value equal" if found.equal else "NOT COMPARED" if found.could_not_compare else "DIFFERENT"
    yield f"{len(found.tables)} tables, {rows:,} rows: {verdict}"


@cli.command()
@common
@click.option("--yes", is_flag=True, help="No questions.")
@click.option("--recover", is_flag=True, help="Bring home rows that a rollback without MySQL had to leave there.")
@click.option("-v", "--verbose", is_flag=True, help="Print the log too.")
@click.pass_obj
def rollback(options: Options, yes: bool, recover: bool, verbose: bool) -> None:
    """Take the application back to SQLite, in five steps. Needs neither MySQL nor a sound [target] section."""
    try:
        with opened(options, rollback=not recover) as runner:
            if recover and not runner.ask(takeback.owes):
                told = "No rows wait on MySQL to be brought home; nothing was changed."
                click.echo(json.dumps({"recovered": False, "message": told}) if options.json else told)
                return
            twin = headless.Headless(runner, headless.Consent(yes=yes), quiet=options.json, verbose=verbose)
            _finish(options, runner, twin.rollback())
    except JournalError as error:
        app = configuration.load(options.config, rollback=True).app
        error.next_step = (
            f"mend that, or go back by hand on the application's host: cd {app.root} && {app.php} artisan down;"
            f" cp -p {app.env_file}.before-mysql-<run>-<try> {app.env_file};"
            f" rm -f bootstrap/cache/config.php; {app.php} artisan up"
        )
        raise


@cli.command()
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


@cli.command("report")
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


directory_option = click.option(
    "--dir", "directory", type=click.Path(path_type=Path, file_okay=False), required=True, help="The sandbox's folder."
)


@cli.group()
def sandbox() -> None:
    """A little world to rehearse in: MySQL, sshd, a Laravel application, a shop; on this machine, in one folder."""


@sandbox.command("up")
@common
@directory_option
@click.option("--server", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
@click.option(
    "--source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A SQLite file instead of the demo shop.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the demo shop.")
@click.option(
    "--scale", type=click.IntRange(1), default=1, show_default=True, help="Multiplies the demo shop's orders."
)
@click.option("--hostile", is_flag=True, help="Add trouble of every kind to the demo shop.")
@click.pass_obj
def sandbox_up(
    options: Options, directory: Path, server: ServerKind, source: Path | None, seed: int, scale: int, hostile: bool
) -> None:
    """Build a sandbox and start its servers; starts what is missing when it is there already."""
    from dixis_tui.sandbox import world

    say = (lambda _: None) if options.json else click.echo
    made = world.up(directory, server=server, source=source, say=say, hostile=hostile, scale=scale, seed=seed)
    if options.json:
        click.echo(made.model_dump_json(indent=2))
    else:
        click.echo(f"\nopen the console:  dixis --config {made.config}")
        click.echo(f"or without it:     dixis --config {made.config} run --yes")
        click.echo(f"take it down:      dixis sandbox down --dir {directory}")


@sandbox.command("down")
@common
@directory_option
@click.pass_obj
def sandbox_down(options: Options, directory: Path) -> None:
    """Stop a sandbox's servers and remove its folder."""
    from dixis_tui.sandbox import world

    world.down(directory)
    click.echo(json.dumps({"directory": str(directory), "down": True}) if options.json else f"{directory} is gone")


@sandbox.command("status")
@common
@directory_option
@click.pass_obj
def sandbox_status(options: Options, directory: Path) -> None:
    """Which of a sandbox's servers run."""
    from dixis_tui.sandbox import world

    found = world.status(directory)
    if options.json:
        click.echo(found.model_dump_json(indent=2))
        return
    for process in found.processes:
        state = "running" if process.alive else "not running"
        click.echo(f"{process.name:<8}{state:<13}process {process.pid or '-'}, port {process.port or '-'}")


@cli.command()
@common
@click.option("--headless", "without_console", is_flag=True, help="Run the whole plan without questions.")
@click.option("--server", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
@click.option("--hostile", is_flag=True, help="Add trouble of every kind to the shop.")
@click.option("--scale", type=click.IntRange(1), default=1, show_default=True, help="Multiplies the shop's orders.")
@click.option("--keep", is_flag=True, help="Leave the sandbox running at the end.")
@click.option(
    "--picture", type=click.Path(path_type=Path, dir_okay=False), help="Save a picture (SVG) of the console and end."
)
@click.pass_obj
def demo(
    options: Options,
    without_console: bool,
    server: ServerKind,
    hostile: bool,
    scale: int,
    keep: bool,
    picture: Path | None,
) -> None:
    """Build a sandbox and open the console on it; it is gone again afterwards."""
    from dixis_tui.sandbox import world

    directory = Path(tempfile.mkdtemp(prefix="dixis-demo-")) / "sandbox"
    say = (lambda _: None) if options.json else click.echo
    try:
        made = world.up(directory, server=server, say=say, hostile=hostile, scale=scale)
        inside = replace(options, config=made.config)
        with opened(inside) as runner:
            if picture is not None:
                _take_picture(runner, picture)
            elif without_console:
                twin = headless.Headless(runner, headless.Consent(yes=True), quiet=options.json)
                _finish(inside, runner, twin.run(runner.plan.phases))
            else:
                from dixis_tui.app import ConsoleApp

                ConsoleApp(runner).run()
    finally:
        if keep:
            click.echo(f"kept: {directory}; take it down with: dixis sandbox down --dir {directory}", err=True)
        else:
            world.down(directory)
            directory.parent.rmdir()


def _take_picture(runner: Runner, path: Path) -> None:
    import asyncio

    from dixis_tui.app import picture

    twin = headless.Headless(runner, headless.Consent(yes=True), quiet=True)
    twin.run(runner.plan.phases[:3])
    asyncio.run(picture(runner, path, keys=("1", *["down"] * 4)))  # a step with something to say
    click.echo(f"written to {path}")


@cli.command()
@common
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--scale", type=click.IntRange(1), default=1, show_default=True, help="Multiplies orders and their children."
)
@click.option("--hostile", is_flag=True, help="Add trouble of every kind.")
@click.pass_obj
def shop(options: Options, file: Path, seed: int, scale: int, hostile: bool) -> None:
    """Generate the demo shop's SQLite database as FILE."""
    from dixis_tui.sandbox.shop import build_shop

    facts = build_shop(file, seed=seed, scale=scale, hostile=hostile)
    if options.json:
        click.echo(json.dumps({"file": str(file), "tables": facts.tables, "rows": facts.rows, "bytes": facts.bytes}))
    else:
        click.echo(f"{file}: {facts.tables} tables, {facts.rows:,} rows, {facts.bytes:,} bytes")


def main() -> None:
    """Entry point: errors become messages and exit codes, never tracebacks."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(headless.USAGE)
    except click.Abort:
        sys.exit(headless.FAILED)
    except HeldError as error:
        _complain(error)
        sys.exit(headless.HELD)
    except DixisError as error:
        _complain(error)
        sys.exit(headless.exit_code(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(DixisError(f"{where}{error.strerror or error}.", next_step="mend that path or its permissions"))
        sys.exit(headless.COULD_NOT_ASK)


def _complain(error: DixisError) -> None:
    for line in error.lines():
        click.echo(line, err=True)
    if "--json" in sys.argv[1:]:
        click.echo(json.dumps({"error": {"what": error.what, "safe": error.safe, "next": error.next_step}}, indent=2))


if __name__ == "__main__":
    main()

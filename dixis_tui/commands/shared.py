"""What commands share: their options, opening a run, ending one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dixis_tui.pace import MOST

if TYPE_CHECKING:  # what a command does not use is not imported before it is called
    from dixis_tui.runner import Runner

STREAMS = click.IntRange(1, MOST)
# Whether it can be read is found out by who reads it, and told with what is safe and what is next.
ANY_PATH = click.Path(path_type=Path, readable=False)
F = TypeVar("F", bound=Callable[..., Any])


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
            type=ANY_PATH,
            expose_value=False,
            callback=_merge,
            help="The run's TOML file.",
        ),
        click.option("--json", is_flag=True, expose_value=False, callback=_merge, help="Print JSON."),
    ):
        function = option(function)
    return function


@contextmanager
def importing() -> Iterator[None]:
    """For the import of much: nothing of it becomes garbage, and looking for some takes a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def opened(options: Options, *, watch: bool = False, rollback: bool = False) -> Iterator[Runner]:
    """The run of a configuration. Checks and plan are put together here and nowhere else."""
    with importing():
        import checks
        from dixis_tui import config as configuration
        from dixis_tui import plan
        from dixis_tui.runner import Runner

    settings = configuration.load(options.config, rollback=rollback)
    with Runner(plan.build(settings, checks.preflight()), settings, watch=watch) as runner:
        yield runner


def finish(options: Options, runner: Runner, code: int, *, summary: bool = True) -> None:
    """End a headless command: the report as JSON, or its summary, and the exit code."""
    from dixis_tui.record import report

    built = report.build(runner)
    if options.json:
        click.echo(built.model_dump_json(indent=2))
    elif summary:
        click.echo("\n" + "\n".join(report.summary(built)))
    sys.exit(code)


@dataclass(frozen=True)
class Where:
    """A run's folder, and who may have signed there."""

    directory: Path
    allowed_signers: Path | None


def where(options: Options, directory: Path | None) -> Where:
    """The folder a command names, else that of the configuration. Raises DixisError where there is no run."""
    from dixis_tui import config as configuration
    from dixis_tui.record.journal import JournalError

    found = Where(directory, None) if directory is not None else None
    if found is None:
        settings = configuration.load(options.config, rollback=True)
        found = Where(settings.run.directory, settings.people.allowed_signers)
    if not (found.directory / "journal.sqlite").is_file():
        raise JournalError(
            f"There is no journal in {found.directory}.", next_step="give the folder of a run: [run] directory"
        )
    return found

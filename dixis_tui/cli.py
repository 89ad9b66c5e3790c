"""The command line: `dixis`. A command's module is imported when the command is called, so that help comes at once."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import click

from dixis_tui.commands.shared import ANY_PATH, Options
from dixis_tui.model import COULD_NOT_ASK, FAILED, USAGE, DixisError


class Command(NamedTuple):
    """Where a command is: a function of a module in `dixis_tui.commands`; help: what it is for, in one line."""

    module: str
    function: str
    help: str


COMMANDS = {
    "console": Command("console", "console", "Open the console (what `dixis` does without a command)."),
    "watch": Command("watch", "watch", "Look on at a run, given only its folder; can change nothing."),
    "serve": Command("watch", "serve", "The same in a browser on this machine, with a link that works once."),
    "preflight": Command("preflight", "preflight", "Ask every question that must be answered before the window."),
    "checks": Command("preflight", "checks_command", "List the checks of the Preflight phase."),
    "run": Command("run", "run", "Run the plan, or one phase of it, from where it stands."),
    "verify": Command("verify", "verify_command", "Compare source and target, cell by cell."),
    "tune": Command("tune", "tune", "The server's variables as [tuning] wants them: shown, set, put back."),
    "rollback": Command("rollback", "rollback", "Take the application back to SQLite, in five steps."),
    "status": Command("report", "status", "Where the run stands, and what is next."),
    "log": Command("log", "log_command", "Print the log of the run, or the commands it ran."),
    "report": Command("report", "report_command", "The whole run for the reviewers."),
    "journal": Command("journal", "journal", "Verify a run's journal and its signatures, or read it."),
    "card": Command("card", "card_command", "Print the rollback card: the way back on one page."),
    "backup": Command("backup", "backup", "Backups that were restored once: make, verify, restore, prune, schedule."),
    "health": Command("health", "health_command", "Is the database well? For cron, Nagios and Prometheus."),
    "monitor": Command("monitor", "monitor", "Watch the server: a line a sample, triggers of the rollback, exit code."),
    "sandbox": Command("sandbox", "sandbox", "A little world to rehearse in, on this machine."),
    "demo": Command("demo", "demo", "Build a sandbox and open the console on it."),
    "shop": Command("demo", "shop", "Generate the demo shop's SQLite database."),
}


def load(name: str) -> click.Command:
    """The command of that name; KeyError when there is none."""
    named = COMMANDS[name]
    found: click.Command = getattr(importlib.import_module(f"dixis_tui.commands.{named.module}"), named.function)
    return found


class Commands(click.Group):
    """The commands of the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=ANY_PATH,
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
        ctx.invoke(load("console"))


def main() -> None:
    """Entry point: errors become messages and exit codes, never tracebacks."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except click.Abort:
        sys.exit(FAILED)
    except DixisError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(
            DixisError(
                f"{where}{error.strerror or error}.",
                safe="what was done before is kept; this command ended here",
                next_step="mend that path or its permissions",
            )
        )
        sys.exit(COULD_NOT_ASK)


def _complain(error: DixisError) -> None:
    for line in error.lines():
        click.echo(line, err=True)
    if "--json" in sys.argv[1:]:
        click.echo(json.dumps({"error": {"what": error.what, "safe": error.safe, "next": error.next_step}}, indent=2))


if __name__ == "__main__":
    main()

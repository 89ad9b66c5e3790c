"""`dixis rollback`: the way back."""

from __future__ import annotations

import json

import click

from dixis_tui import config as configuration
from dixis_tui import headless
from dixis_tui.commands.shared import Options, common, finish, opened
from dixis_tui.record.journal import JournalError
from dixis_tui.switch import owed


@click.command()
@common
@click.option("--yes", is_flag=True, help="No questions.")
@click.option("--recover", is_flag=True, help="Bring home rows that a rollback without MySQL had to leave there.")
@click.option("-v", "--verbose", is_flag=True, help="Print the log too.")
@click.pass_obj
def rollback(options: Options, yes: bool, recover: bool, verbose: bool) -> None:
    """Take the application back to SQLite, in five steps. Needs neither MySQL nor a sound [target] section."""
    try:
        with opened(options, rollback=not recover) as runner:
            if recover and not runner.ask(owed.since):
                told = "No rows wait on MySQL to be brought home; nothing was changed."
                click.echo(json.dumps({"recovered": False, "message": told}) if options.json else told)
                return
            twin = headless.Headless(runner, headless.Consent(yes=yes), quiet=options.json, verbose=verbose)
            finish(options, runner, twin.rollback())
    except JournalError as error:
        app = configuration.load(options.config, rollback=True).app
        error.next_step = (
            f"mend that, or go back by hand on the application's host: cd {app.root} && {app.php} artisan down;"
            f" cp -p {app.env_file}.before-mysql-<run>-<try> {app.env_file};"
            f" rm -f bootstrap/cache/config.php; {app.php} artisan up"
        )
        raise

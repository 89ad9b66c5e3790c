"""`dixis health`: small questions with bounds, safe to be asked by cron every minute."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from dixis_tui import config as configuration
from dixis_tui.commands.shared import Options, common
from dixis_tui.model import DixisError, Status
from dixis_tui.server import health
from dixis_tui.server.health import Reading

LOCK = "health.lock"


class _BusyError(DixisError):
    """The one before still asks."""


class _TooLongError(Exception):
    """It took longer than it may. No error of a question, which would be an answer."""


@click.command("health")
@common
@click.option("--quiet", is_flag=True, help="Print only what is not well.")
@click.option("--nagios", "form", flag_value="nagios", help="One line and performance data, as Nagios reads it.")
@click.option("--prometheus", "form", flag_value="prometheus", help="Prometheus's text format.")
@click.pass_obj
def health_command(options: Options, quiet: bool, form: str | None) -> None:
    """Is the database well? Connection, tables, references, numbers, leftovers, certificate, replication, backup, disk.

    Exit code 0: well, 1: warnings, 2: failures. Needs no lock of the run; one at a time, and never longer than [health]
    timeout.
    """
    settings = configuration.load(options.config)
    begun = time.monotonic()
    try:
        with _alone(settings.run.directory), _within(settings.health.timeout):
            readings = health.examine(settings)
    except _BusyError as error:
        readings = [Reading(id="health", title="This command", status=Status.WARN, summary=error.what)]
    except _TooLongError as error:
        readings = [Reading(id="health", title="This command", status=Status.FAIL, summary=str(error))]
    found = health.health(readings, time.monotonic() - begun)
    if options.json:
        click.echo(found.model_dump_json(indent=2))
    elif form == "nagios":
        click.echo("\n".join(health.nagios(found)))
    elif form == "prometheus":
        click.echo("\n".join(health.prometheus(found)))
    else:
        for line in health.lines(found, quiet=quiet):
            click.echo(line)
    sys.exit(found.code)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One at a time: where the one before still waits for an answer, another would only wait as well."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _BusyError("the one before still asks; this one asked nothing") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _within(seconds: int) -> Iterator[None]:
    """Raise when the block takes longer, whatever it waits for."""

    def over(*_: object) -> None:
        raise _TooLongError(f"it did not end in {seconds} s; look at the server and at the way there")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

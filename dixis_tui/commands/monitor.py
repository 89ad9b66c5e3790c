"""`dixis monitor`: the watch without the console."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any

import click

from dixis_tui import config
from dixis_tui.commands.shared import Options, common
from dixis_tui.hosts.ssh import open_host
from dixis_tui.model import COULD_NOT_ASK, FAILED, OK
from dixis_tui.monitoring import sampler
from dixis_tui.monitoring.sampler import Sampler
from dixis_tui.monitoring.samples import METRICS, Sample
from dixis_tui.monitoring.samplestore import Lease, Store
from dixis_tui.monitoring.triggers import Standing

SHORTEST = 15.0  # seconds between two samples; more often would ask the server more than 10 questions a minute
LOOK = 1.0  # seconds between two looks at what another process has sampled, or whether a sample is due
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(value))
        if found is None:
            self.fail(f"{value!r} is no duration; say 90s, 10m, 2h or 1d", param, ctx)
        return float(found[1]) * UNITS[found[2]]


@click.command()
@common
@click.option("--once", is_flag=True, help="Take one sample and end; what lies between two of them is told. For cron.")
@click.option("--for", "lasting", type=Duration(), help="End after this time: 90s, 10m, 2h, 1d. Without it: Ctrl+C.")
@click.option("--interval", type=Duration(), help="Between two samples, at least 15s; [watch] interval_seconds else.")
@click.pass_obj
def monitor(options: Options, once: bool, lasting: float | None, interval: float | None) -> None:
    """Watch the server: a line a sample. Ends with 1 when a trigger of the rollback stands.

    Where another process samples already, its samples are shown.
    """
    if interval is not None and interval < SHORTEST:
        raise click.BadParameter(f"at least {SHORTEST:.0f}s: the server is asked at most 10 questions a minute")
    # The plan is not needed, nor the run's lock: this starts quickly, and beside a console.
    settings = config.load(options.config)
    store, lease = Store(settings.run.directory), Lease(settings.run.directory)
    app_host = open_host(settings.host)
    one = Sampler(settings, store, app_host, interval=interval or 0.0)
    try:
        with _ended_by_signals():
            _follow(options, one, lease, until=0.0 if once else time.monotonic() + lasting if lasting else None)
    except KeyboardInterrupt:
        click.echo("", err=True)
    finally:
        one.close()
        lease.release()
        app_host.close()
    code = _code(sampler.standings(settings, store), store.latest())
    store.close()
    sys.exit(code)


def _code(standings: tuple[Standing, ...], last: Sample | None) -> int:
    if any(one.stands and one.rule.rollback for one in standings):
        return FAILED
    return OK if last is not None and last.answered else COULD_NOT_ASK


def _follow(options: Options, one: Sampler, lease: Lease, *, until: float | None) -> None:
    """Take samples, or show those of the process that does. until: on the monotonic clock, None for ever."""
    mine = lease.acquire()
    shown = time.time() if mine else 0.0
    told = False
    while True:
        if mine and one.due():
            one.take()
        for sample in one.store.samples(since=shown) if shown else filter(None, [one.store.latest()]):
            shown = sample.at
            standings = sampler.standings(one.config, one.store)
            if options.json:
                click.echo(json.dumps(as_json(sample, standings, one.store.noted("measured") or {})))
                continue
            if not told:
                for text in introduction(one.store.noted("measured"), mine=mine):
                    click.echo(text)
                told = True
            for text in lines(sample, standings):
                click.echo(text)
        sys.stdout.flush()
        if until is not None and time.monotonic() >= until:
            return
        # Between two looks at the samples; a signal ends it.
        time.sleep(LOOK if until is None else min(LOOK, max(until - time.monotonic(), 0.0)))
        mine = mine or lease.acquire()  # the other one may have ended


def introduction(measured: dict[str, Any] | None, *, mine: bool) -> Iterator[str]:
    """By what is measured, and what is not."""
    if not mine:
        yield "another process takes the samples; they are shown here"
    if measured:
        yield f"response times: {measured['by']}; asked by {measured['who']}, every {measured['interval']:.0f} s"
        yield from (f"not measured: {why}" for why in measured["missing"].values())


def lines(sample: Sample, standings: tuple[Standing, ...]) -> Iterator[str]:
    """One sample for a person: a line, and one more for each rule that is past its limit."""
    at = time.strftime("%H:%M:%S", time.localtime(sample.at))
    if not sample.answered:
        yield f"{at}  NO ANSWER  {sample.error}"
    else:
        parts = [
            f"p95 {_number(sample, 'p95_ms')} ms",
            f"p99 {_number(sample, 'p99_ms')} ms",
            f"probe {_number(sample, 'probe_ms')} ms",
            f"connections {sample.values['connections']:.0f}/{sample.values['max_connections']:.0f}",
            f"slow {_count(sample, 'slow')}",
            f"hits {_number(sample, 'pool_hit_percent')} %",
            f"lock waits {_count(sample, 'lock_waits')}",
            f"deadlocks {_count(sample, 'deadlocks')}",
            f"failed {_number(sample, 'errors_percent')} %",
        ]
        again = "  SERVER RESTARTED" if sample.restarted else ""
        yield f"{at}  {'  '.join(parts)}{again}"
    for one in standings:
        if one.state not in ("well", "not measured"):
            since = time.strftime("%H:%M:%S", time.localtime(one.since))
            value = "-" if one.value is None else f"{one.value:.4g}"
            word = "STANDS" if one.state == "stands" else one.state
            yield f"          {word}: {one.rule.says()} (now {value}, since {since})"


def _number(sample: Sample, metric: str) -> str:
    value = METRICS[metric].of(sample)
    return "-" if value is None else f"{value:.4g}"


def _count(sample: Sample, name: str) -> str:
    value = sample.values.get(name)
    return "-" if value is None else f"{value:.0f}"


def as_json(sample: Sample, standings: tuple[Standing, ...], measured: dict[str, Any]) -> dict[str, Any]:
    """One sample for a machine."""
    metrics = {name: metric.of(sample) for name, metric in METRICS.items()}
    return {
        "at": sample.at,
        "seconds": round(sample.seconds, 3),
        "answered": sample.answered,
        "restarted": sample.restarted,
        "error": sample.error,
        "source": sample.source,
        "metrics": {name: None if value is None else round(value, 4) for name, value in metrics.items()},
        "values": {name: round(value, 4) for name, value in sample.values.items()},
        "not_measured": measured.get("missing", {}),
        "triggers": [
            {**asdict(one.rule), "id": one.rule.id, "value": one.value, "state": one.state, "since": one.since}
            for one in standings
        ],
    }


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the watch as Ctrl+C does: in order, between two samples."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

"""What the watch measures: readings of a server's counters, samples of what happened between two of them, metrics.

Everything here is data and arithmetic; nothing asks a server or a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

# How the server's answers are timed, best first: a histogram of every statement, MariaDB's plugin, averages by digest,
# or nothing but a small read of our own.
Source = Literal["histogram", "query_response_time", "digests", "probe"]
SOURCES: Mapping[Source, str] = {
    "histogram": "every statement, by the server's histogram",
    "query_response_time": "every statement, by the query_response_time plugin",
    "digests": "averages by digest, not single statements",
    "probe": "our own probe only; the server tells no times",
}
# Edges a stored histogram has in a decade of milliseconds, and the exponents of the first and last decade's end.
EDGES, FIRST, LAST = 10, -2, 5
# A reading older than this tells nothing about now: what lies between is a gap.
GAP = 3600.0

COUNTS = (
    "statements",
    "statement_errors",
    "slow",
    "lock_waits",
    "lock_wait_ms",
    "deadlocks",
    "pool_reads",
    "pool_requests",
    "log_errors",
    "refused",
)


@dataclass(frozen=True)
class Reading:
    """What the server said at one moment. at: seconds since 1970 by the sampler's clock; wall: the same by the
    machine's, beside which the server's own age is held; uptime: seconds it runs.

    counts: counters since it started; gauges: what holds now; times: by key a number of statements and their
    milliseconds; the key is the upper edge of a histogram's bucket in milliseconds, or a digest.
    """

    at: float
    uptime: float
    counts: Mapping[str, float]
    gauges: Mapping[str, float] = field(default_factory=dict)
    times: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    source: Source = "probe"
    wall: float = 0.0


@dataclass(frozen=True)
class Sample:
    """What happened in the seconds before a moment; of a thinned one, in its span of time.

    values: counts of the span and gauges, by name. histogram: statements by upper edge in milliseconds, by the power
    of ten of it in tenths. answered: the server did; restarted: it was started within the span.
    """

    at: float
    seconds: float
    answered: bool = True
    restarted: bool = False
    source: Source = "probe"
    values: Mapping[str, float] = field(default_factory=dict)
    histogram: Mapping[int, float] = field(default_factory=dict)
    error: str = ""

    @property
    def begun(self) -> float:
        return self.at - self.seconds


def restarted(before: Reading, now: Reading) -> bool:
    """Whether the server was started anew between two readings."""
    elapsed = (now.wall or now.at) - (before.wall or before.at)
    younger = now.uptime <= elapsed + 1 and before.uptime + elapsed - now.uptime > 2
    return now.uptime < before.uptime or younger


def between(before: Reading | None, now: Reading, *, slow_ms: float) -> Sample:
    """The sample of what happened between two readings; without an earlier one it has gauges only.

    After a restart counters count from zero. One that went down without a restart (set back by hand, or summed up by
    the server while a client was leaving) tells nothing about this span and is left out: no number is ever negative,
    none is invented. slow_ms: statements that took longer are counted as slow where the times tell.
    """
    fresh = before is None or now.at - before.at > GAP or now.at <= before.at
    if before is None or fresh:
        return Sample(now.at, 0.0, source=now.source, values=dict(now.gauges))
    anew = restarted(before, now)
    old_counts = {} if anew else before.counts
    old_times = {} if anew or before.source != now.source else before.times
    if now.source != "digests" and any(old_times.get(key, (0,))[0] > count for key, (count, _) in now.times.items()):
        old_times = {}
    changes = {name: value - old_counts.get(name, 0.0) for name, value in now.counts.items()}
    values = {name: change for name, change in changes.items() if change >= 0}
    if before.source != now.source:
        passed: list[tuple[float, float]] = []
    else:
        passed = _passed(old_times, now)
    total = sum(count for _, count in passed)
    if now.source != "probe":
        if total:
            for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
                values[name] = percentile(passed, share)
        if now.source == "histogram":
            values["slow"] = sum(count for upper, count in passed if upper > slow_ms)
    return Sample(
        at=now.at,
        seconds=min(now.uptime, now.at - before.at) if anew else now.at - before.at,
        restarted=anew,
        source=now.source,
        values={**values, **now.gauges},
        histogram=coarse(passed),
    )


def _passed(before: Mapping[str, tuple[float, float]], now: Reading) -> list[tuple[float, float]]:
    """Statements of the span, as (upper edge in milliseconds, count), in order."""
    found = []
    for key, (count, total) in now.times.items():
        old_count, old_total = before.get(key, (0.0, 0.0))
        if count < old_count:
            old_count = old_total = 0.0
        new = count - old_count
        if new > 0:
            found.append((max(total - old_total, 0.0) / new if now.source == "digests" else float(key), new))
    return sorted(found)


def percentile(passed: Sequence[tuple[float, float]], share: float) -> float:
    """The time within which this share of the statements was answered: the upper edge of its bucket."""
    wanted, seen = share * sum(count for _, count in passed), 0.0
    for upper, count in passed:
        seen += count
        if seen >= wanted:
            return upper
    return passed[-1][0]


def coarse(passed: Iterable[tuple[float, float]]) -> dict[int, float]:
    """The same statements in buckets that are ten to a decade; 100 ms is an edge."""
    found: dict[int, float] = {}
    for upper, count in passed:
        exponent = math.ceil(round(EDGES * math.log10(max(upper, 1e-9)), 6))
        edge = min(max(exponent, EDGES * FIRST), EDGES * LAST)
        found[edge] = found.get(edge, 0.0) + count
    return found


def edge_ms(edge: int) -> float:
    """The upper edge of a coarse bucket, in milliseconds."""
    return float(f"{10 ** (edge / EDGES):.4g}")


def within(histogram: Mapping[int, float], limit_ms: float) -> float | None:
    """The share of statements answered within a time; None when there were none."""
    total = sum(histogram.values())
    return sum(count for edge, count in histogram.items() if edge_ms(edge) <= limit_ms) / total if total else None


class Metric(NamedTuple):
    """One of the values that are watched. of: read from a sample, None where it was not measured."""

    title: str
    unit: str
    of: Callable[[Sample], float | None]


def _value(name: str) -> Callable[[Sample], float | None]:
    return lambda sample: sample.values.get(name)


def _per_minute(name: str) -> Callable[[Sample], float | None]:
    def of(sample: Sample) -> float | None:
        count = sample.values.get(name)
        return None if count is None or not sample.seconds else 60 * count / sample.seconds

    return of


def _percent(part: str, whole: str, *, rest: bool = False) -> Callable[[Sample], float | None]:
    def of(sample: Sample) -> float | None:
        some, all_ = sample.values.get(part), sample.values.get(whole)
        if some is None or not all_:
            return None
        return max(0.0, 100 - 100 * some / all_) if rest else 100 * some / all_

    return of


METRICS: Mapping[str, Metric] = {
    "p95_ms": Metric("response, p95", "ms", _value("p95_ms")),
    "p50_ms": Metric("response, p50", "ms", _value("p50_ms")),
    "p99_ms": Metric("response, p99", "ms", _value("p99_ms")),
    "probe_ms": Metric("our probe", "ms", _value("probe_ms")),
    "connections_percent": Metric("connections", "%", _percent("connections", "max_connections")),
    "slow_per_minute": Metric("slow queries", "/min", _per_minute("slow")),
    "errors_percent": Metric("failed statements", "%", _percent("statement_errors", "statements")),
    "deadlocks_per_minute": Metric("deadlocks", "/min", _per_minute("deadlocks")),
    "lock_waits_per_minute": Metric("lock waits", "/min", _per_minute("lock_waits")),
    "pool_hit_percent": Metric("buffer pool hits", "%", _percent("pool_reads", "pool_requests", rest=True)),
    "log_errors": Metric("errors in the log", "", _value("log_errors")),
    "disk_percent": Metric("fullest disk", "%", _value("disk_percent")),
    "backup_hours": Metric("newest backup", "h", _value("backup_hours")),
    "down": Metric("no answer", "", lambda sample: 0.0 if sample.answered else 1.0),
}


def merged(samples: Sequence[Sample]) -> Sample:
    """Several samples, in order, as one: counts add up, times are read from their histograms anew, what holds at a
    moment keeps its worst, sizes their latest."""
    values: dict[str, float] = {}
    histogram: dict[int, float] = {}
    for sample in samples:
        for name, value in sample.values.items():
            if name in COUNTS:
                values[name] = values.get(name, 0.0) + value
            elif name.endswith("bytes") or name == "max_connections":
                values[name] = value
            else:
                values[name] = max(values.get(name, value), value)
        for edge, count in sample.histogram.items():
            histogram[edge] = histogram.get(edge, 0.0) + count
    passed = sorted((edge_ms(edge), count) for edge, count in histogram.items())
    if passed and any("p95_ms" in sample.values for sample in samples):
        for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
            values[name] = percentile(passed, share)
    last = samples[-1]
    return Sample(
        at=last.at,
        seconds=sum(sample.seconds for sample in samples),
        answered=all(sample.answered for sample in samples),
        restarted=any(sample.restarted for sample in samples),
        source=last.source,
        values=values,
        histogram=histogram,
        error=next((sample.error for sample in samples if sample.error), ""),
    )

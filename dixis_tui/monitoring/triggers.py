"""Rules on samples: how long a value has been past its limit, and whether that is a reason to consider the rollback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from dixis_tui.config import Watch
from dixis_tui.monitoring.samples import METRICS, Sample

# A crossing that was over for long ends only below this share of the limit (above it, for a value that must not fall).
BACK, BACK_UNDER = 0.9, 1.01
# Samples further apart than this do not stand beside each other: what lies between is not known.
SLACK = 90.0

State = Literal["well", "over", "under", "stands", "easing", "not measured"]


@dataclass(frozen=True)
class Rule:
    """A limit on a metric. minutes: how long it must be crossed to stand; rollback: whether it then asks to consider
    the rollback, or only to look."""

    metric: str
    limit: float
    under: bool = False
    minutes: float = 5.0
    rollback: bool = True

    @property
    def id(self) -> str:
        return f"{self.metric} {'under' if self.under else 'over'} {self.limit:g}"

    def crossed(self, value: float) -> bool:
        return value < self.limit if self.under else value > self.limit

    def back(self, value: float) -> bool:
        """Whether a value is far enough on the good side of the limit to end a crossing that stood."""
        if self.crossed(value):
            return False
        return value >= self.limit * BACK_UNDER if self.under else value <= self.limit * BACK

    def says(self) -> str:
        """The rule as a sentence's part: "response, p95 over 100 ms for 5 min: consider rollback"."""
        metric = METRICS[self.metric]
        bound = "" if self.metric == "down" else f" {'under' if self.under else 'over'} {self.limit:g} {metric.unit}"
        lasting = f" for {self.minutes:g} min" if self.minutes else ""
        return f"{metric.title}{bound.rstrip()}{lasting}: {'consider rollback' if self.rollback else 'look at it'}"


@dataclass(frozen=True)
class Crossing:
    """A value past its limit. All times are seconds since 1970.

    last: the latest sample that belongs to it; stood: since when it has lasted long enough to be a trigger; eased:
    since when it is well again, not yet for long enough; ended: when it was over. worst: the furthest value.
    """

    rule: str
    begun: float
    last: float
    worst: float
    stood: float | None = None
    eased: float | None = None
    ended: float | None = None
    id: int = 0


@dataclass(frozen=True)
class Standing:
    """How a rule stands beside the live value."""

    rule: Rule
    value: float | None
    state: State
    since: float | None

    @property
    def stands(self) -> bool:
        return self.state in ("stands", "easing")


def rules(watch: Watch, backup_hours: float) -> tuple[Rule, ...]:
    """The rules of the configuration: one for each limit, unless [[watch.triggers]] has others on that metric."""
    minutes = watch.minutes
    defaults = (
        Rule("down", 0.5, minutes=min(1.0, minutes)),
        Rule("p95_ms", watch.response_ms, minutes=minutes),
        Rule("connections_percent", watch.connections_percent, minutes=minutes),
        Rule("errors_percent", watch.errors_percent, minutes=minutes),
        Rule("deadlocks_per_minute", watch.deadlocks_per_minute, minutes=minutes),
        Rule("slow_per_minute", watch.slow_per_minute, minutes=minutes, rollback=False),
        Rule("pool_hit_percent", watch.pool_hit_percent, under=True, minutes=minutes, rollback=False),
        Rule("log_errors", 0.0, minutes=0.0, rollback=False),
        Rule("disk_percent", watch.disk_percent, minutes=0.0, rollback=False),
        Rule("backup_hours", backup_hours, minutes=0.0, rollback=False),
    )
    own = tuple(
        Rule(
            metric=one.metric,
            limit=one.over if one.over is not None else one.under or 0.0,
            under=one.over is None,
            minutes=one.minutes,
            rollback=one.then == "rollback",
        )
        for one in watch.triggers
    )
    named = {rule.metric for rule in own}
    return (*(rule for rule in defaults if rule.metric not in named), *own)


def judge(
    rule: Rule, crossing: Crossing | None, sample: Sample, *, clear_minutes: float
) -> tuple[Crossing | None, Crossing | None]:
    """What a sample makes of the open crossing of a rule: the one it ended, and the one that is open behind it."""
    ended = None
    if crossing is not None and sample.begun > crossing.last + SLACK:
        ended, crossing = replace(crossing, ended=crossing.last), None
    value = METRICS[rule.metric].of(sample)
    if value is None:
        return ended, crossing and replace(crossing, last=sample.at)
    if crossing is None:
        if not rule.crossed(value):
            return ended, None
        crossing = Crossing(rule.id, begun=sample.begun, last=sample.at, worst=value)
    elif rule.crossed(value) or (crossing.stood is not None and not rule.back(value)):
        worst = min(crossing.worst, value) if rule.under else max(crossing.worst, value)
        crossing = replace(crossing, last=sample.at, worst=worst, eased=None)
    else:
        since = sample.begun if crossing.eased is None else crossing.eased
        if crossing.stood is None or sample.at - since >= 60 * clear_minutes:
            return replace(crossing, last=sample.at, ended=since), None
        return ended, replace(crossing, last=sample.at, eased=since)
    if crossing.stood is None and sample.at - crossing.begun >= 60 * rule.minutes:
        crossing = replace(crossing, stood=sample.at)
    return ended, crossing


def standing(rule: Rule, open_crossings: Mapping[str, Crossing], sample: Sample | None) -> Standing:
    """How a rule stands after the latest sample."""
    value = METRICS[rule.metric].of(sample) if sample else None
    crossing = open_crossings.get(rule.id)
    if crossing is None:
        return Standing(rule, value, "well" if value is not None else "not measured", None)
    if crossing.eased is not None:
        return Standing(rule, value, "easing", crossing.eased)
    if crossing.stood is not None:
        return Standing(rule, value, "stands", crossing.begun)
    return Standing(rule, value, "under" if rule.under else "over", crossing.begun)

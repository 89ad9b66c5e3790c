"""[watch]: the week after."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from dixis_tui.config.backup import Account
from dixis_tui.config.base import Section

# What a trigger may be about; dixis_tui.monitoring.samples knows how each is measured.
Metric = Literal[
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "probe_ms",
    "connections_percent",
    "slow_per_minute",
    "errors_percent",
    "deadlocks_per_minute",
    "lock_waits_per_minute",
    "pool_hit_percent",
    "log_errors",
    "disk_percent",
    "backup_hours",
    "down",
]


class Trigger(Section):
    """[[watch.triggers]]: when a value has been over (or under) a limit for so many minutes, and what it asks for then:
    to consider the rollback, or only to look."""

    metric: Metric
    over: float | None = None
    under: float | None = None
    minutes: float = Field(default=5.0, ge=0)
    then: Literal["rollback", "look"] = "rollback"

    @model_validator(mode="after")
    def _one_limit(self) -> Trigger:
        if (self.over is None) == (self.under is None):
            raise ValueError("exactly one of over and under")
        return self


def _in_the_week(days: tuple[int, ...]) -> tuple[int, ...]:
    if not days or min(days) < 1 or max(days) > 7 or len(set(days)) != len(days):
        raise ValueError("days of the week after, 1 to 7, each once")
    return days


class Afterwards(Section):
    """[[watch.week]]: what a person confirms on these days after the night, the day after it being 1."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str = Field(min_length=1)
    why: str = ""
    days: Annotated[tuple[int, ...], AfterValidator(_in_the_week)] = (1, 2, 3, 4, 5, 6, 7)


WEEK = (
    Afterwards(
        name="backup",
        title="The backup of the day was verified",
        why="A backup that was never read back is a hope: restore it aside, or see that it was.",
    ),
    Afterwards(
        name="performance",
        title="The numbers of the day were read",
        why="What creeps up is seen in the numbers before the shop's customers say it.",
    ),
    Afterwards(
        name="feedback",
        title="Feedback was collected",
        why="Customers and producers find what no test tried.",
        days=(2, 4, 7),
    ),
    Afterwards(
        name="documentation",
        title="Documentation was brought up to date",
        why="The next one on duty reads how it was; it shall say how it is.",
        days=(7,),
    ),
)


class Watch(Section):
    """[watch]: the thresholds of the week after, and how often they are looked at.

    account: who asks the server; without it [target.admin], where that needs no prompt, or else the application's own
    account, which sees less. interval_seconds: between two samples; under 15 the server would be asked too often.
    minutes: how long a threshold must be crossed before its trigger stands; clear_minutes: how long it must be well
    again before it falls. probe_tables: tables of which the probe reads one row, the first that is there.
    quota_gib: what the database may grow to where that is less than its disk, 0 for none.
    """

    response_ms: float = Field(default=100.0, gt=0)
    slow_query_seconds: float = Field(default=2.0, gt=0)
    connections_percent: float = Field(default=80.0, gt=0, le=100)
    errors_percent: float = Field(default=1.0, gt=0, le=100)
    deadlocks_per_minute: float = Field(default=1.0, gt=0)
    slow_per_minute: float = Field(default=1.0, gt=0)
    pool_hit_percent: float = Field(default=95.0, gt=0, lt=100)
    disk_percent: float = Field(default=90.0, gt=0, le=100)
    minutes: float = Field(default=5.0, ge=0)
    clear_minutes: float = Field(default=2.0, ge=0)
    interval_seconds: float = Field(default=15.0, ge=15, le=3600)
    quota_gib: float = Field(default=0.0, ge=0)
    probe_tables: tuple[str, ...] = ("users", "products", "orders", "migrations")
    account: Account | None = None
    triggers: tuple[Trigger, ...] = ()
    week: tuple[Afterwards, ...] = WEEK

    @model_validator(mode="after")
    def _names_differ(self) -> Watch:
        names = [item.name for item in self.week]
        if len(set(names)) != len(names):
            raise ValueError("two items of [[watch.week]] have the same name")
        return self

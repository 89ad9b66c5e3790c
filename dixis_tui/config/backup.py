"""[backup] and [health]: copies that restore, and the questions cron asks every minute."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dixis_tui.config.base import Name, Secret, Section

# Lowest and highest number of each field of a cron line: minute, hour, day of the month, month, day of the week.
CRON_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def _cron_times(text: str) -> str:
    fields = text.split()
    if len(fields) != len(CRON_FIELDS):
        raise ValueError('five fields as in a crontab, like "0 2 * * *"')
    for field, (low, high) in zip(fields, CRON_FIELDS, strict=True):
        for part in field.split(","):
            found = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
            numbers = [int(number) for number in found.groups()[:2] if number] if found else []
            if found is None or any(not low <= number <= high for number in numbers) or numbers != sorted(numbers):
                raise ValueError(f"{part!r} is no number or range from {low} to {high}, * or a step like */15")
    return " ".join(fields)


CronTimes = Annotated[str, AfterValidator(_cron_times)]


class Account(Section):
    """[backup.account], [health.account] and [watch.account]: an account of its own on the target's server."""

    user: Name
    password: Secret


class Schedule(Section):
    """[backup.schedule]: when backups are made, and by whom.

    times: as in a crontab; on: this machine, or the application's host; by: cron or a systemd timer; command: what is
    started there, by default this dixis with this configuration.
    """

    times: CronTimes = "0 2 * * *"
    on: Literal["local", "host"] = "local"
    by: Literal["cron", "systemd"] = "cron"
    command: str = Field(default="", pattern=r"^[^\n]*$")


class Backup(Section):
    """[backup]: where copies are kept on this machine, for how long, and how old the newest may be.

    name: what their names begin with; what: which database is copied by `dixis backup create`; compress: zstd needs
    that program; tools: the folder of the server's own dump and client programs, by default those on the PATH;
    hash_rows: of larger tables only the rows are counted; account: who makes dumps and restores them.
    """

    directory: Path = Path("backups")
    max_age_hours: int = Field(default=24, ge=1)
    retention_days: int = Field(default=30, ge=7)
    name: str = Field(default="dixis", pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$")
    what: Literal["both", "source", "target"] = "both"
    compress: Literal["gzip", "zstd"] = "gzip"
    tools: Path | None = None
    hash_rows: int = Field(default=1_000_000, ge=0)
    account: Account | None = None
    schedule: Schedule = Schedule()


class Health(Section):
    """[health]: how much `dixis health` looks at, and from where on it warns or fails.

    timeout: seconds after which it ends in any case; budget: seconds it spends on tables and foreign keys, going on
    with others each minute; table_mib: larger tables are left out of that; leftover_days: how long the migration's own
    tables may stay.
    """

    timeout: int = Field(default=20, ge=2, le=300)
    budget: float = Field(default=0.6, gt=0, le=60)
    table_mib: int = Field(default=64, ge=1)
    disk_warn_percent: float = Field(default=10.0, gt=0, lt=100)
    disk_fail_percent: float = Field(default=3.0, gt=0, lt=100)
    certificate_warn_days: int = Field(default=21, ge=1)
    certificate_fail_days: int = Field(default=7, ge=0)
    numbers_warn_percent: float = Field(default=80.0, gt=0, lt=100)
    replica_lag_seconds: int = Field(default=60, ge=1)
    leftover_days: int = Field(default=30, ge=1)
    account: Account | None = None

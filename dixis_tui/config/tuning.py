"""[tuning] and [connections]: how the server shall be set, and what opens connections to it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dixis_tui.config.application import Ssh
from dixis_tui.config.base import Section

Variable = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]*$")]


def _plans_own() -> dict[str, bool | int | float | str]:
    return {
        "innodb_buffer_pool_size": "1G",
        "query_cache_size": "256M",
        "max_connections": 200,
        "innodb_file_per_table": True,
        "slow_query_log": True,
        "long_query_time": 2,
    }


class Tuning(Section):
    """[tuning]: the server's variables as they shall be, those of the operators' plan by default; naming one replaces
    them all. Sizes may be written as 1G. resize_seconds: how long to wait for a buffer pool to take its new size. ssh:
    the machine the server runs on, to see how much memory it has and to read its slow query log."""

    variables: dict[Variable, bool | int | float | str] = Field(default_factory=_plans_own)
    resize_seconds: float = Field(default=60.0, gt=0, le=3600)
    ssh: Ssh | None = None


class Connections(Section):
    """[connections]: what opens connections to the database. fpm_pools: files of PHP-FPM's pools on each web host, as
    patterns; fpm_test: a command that prints them instead, such as `php-fpm8.2 -tt`; children, queue_workers: on each
    host, where they cannot be read there, or shall be judged otherwise."""

    fpm_pools: tuple[str, ...] = ("/etc/php/*/fpm/pool.d/*.conf", "/etc/php-fpm.d/*.conf")
    fpm_test: str = ""
    children: int | None = Field(default=None, ge=0)
    queue_workers: int | None = Field(default=None, ge=0)

"""What the commands on backups are given: configuration, hosts, a clock, and ways to speak and to be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from dixis_tui.config import Account, Admin, Config, Target
from dixis_tui.hosts.host import Host, LocalHost
from dixis_tui.hosts.ssh import open_host
from dixis_tui.model import StoppedError


def clock() -> datetime:
    """The time here, with its zone: backups are named by the operator's day."""
    return datetime.now().astimezone()


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Work:
    """say: one line to the operator; stop: set when asked to; now: the clock."""

    config: Config
    local: Host
    app_host: Host
    say: Callable[[str], None] = _silent
    stop: threading.Event = field(default_factory=threading.Event)
    now: Callable[[], datetime] = clock

    @property
    def directory(self) -> Path:
        return self.config.backup.directory

    @property
    def source_host(self) -> Host:
        return self.local if self.config.source.location == "local" else self.app_host

    def check_stop(self) -> None:
        if self.stop.is_set():
            raise StoppedError

    def target(self, *, making: bool = False) -> Target:
        """The target with the account that works on backups: [backup.account]; else the application's own for a dump
        (making), and for what needs a database of its own [target.admin], where there is one."""
        target = self.config.target
        account: Account | Admin | None = self.config.backup.account
        if account is None and not making:
            account = target.admin
        return with_account(target, account)


def with_account(target: Target, account: Account | Admin | None) -> Target:
    """The target as another account reaches it."""
    if account is None:
        return target
    return target.model_copy(update={"user": account.user, "password": account.password})


def work_of(settings: Config, say: Callable[[str], None] = _silent) -> Work:
    """Work with the hosts of a configuration; nothing is connected yet."""
    local = LocalHost()
    return Work(settings, local, open_host(settings.host) if settings.host.ssh else local, say)

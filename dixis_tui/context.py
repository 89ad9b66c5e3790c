"""What a step is given to do its work: configuration, connections, a place for files, and ways to speak."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dixis_tui.config import Config
from dixis_tui.gate import Gate
from dixis_tui.hosts.host import Host
from dixis_tui.model import Level, Outcome, Progress, StoppedError
from dixis_tui.pace import Pace


def _nowhere(_text: str, _level: Level) -> None:
    pass


@dataclass(frozen=True)
class Context:
    """Passed to a step's work and preview; steps keep nothing in it.

    run_id: identifies this run on the target. run_dir: holds snapshots, backups, logs.
    local, app_host: this machine and the application's host (the same object when they are one); other_hosts: further
    web hosts of the same application.
    outcomes: the last outcome of every step that has ended. say: one line to the log, secrets removed.
    log: the same with a level, for what is only worth reading when something is looked for, or needs attention.
    record: an event of the step itself into the journal, durable when it returns. stop: set when the operator
    asked. gate: closed while the operator has paused. pace: how hard the step may work.
    """

    config: Config
    run_id: str
    run_dir: Path
    operator: str
    local: Host
    app_host: Host
    outcomes: Mapping[str, Outcome]
    say: Callable[[str], None]
    progress: Callable[[Progress], None]
    record: Callable[[str, Mapping[str, Any]], None]
    recorded: Callable[[str], list[Mapping[str, Any]]]
    stop: threading.Event
    gate: Gate = field(default_factory=Gate)
    pace: Pace = field(default_factory=Pace)
    log: Callable[[str, Level], None] = _nowhere
    other_hosts: tuple[Host, ...] = ()

    def fact(self, step_id: str, name: str) -> Any:
        """A fact of a step's last outcome, None when it has not ended or has no such fact."""
        outcome = self.outcomes.get(step_id)
        return None if outcome is None else outcome.facts.get(name)

    def check_stop(self) -> None:
        """Called between units of work: waits while the operator has paused, raises StoppedError when asked to stop."""
        self.gate.wait(self.stop)
        if self.stop.is_set():
            raise StoppedError

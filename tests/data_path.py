"""What the tests of the data path share: a source, a configuration for a server, and a context that keeps a journal."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dixis_tui import source
from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.copy import transfer
from dixis_tui.gate import Gate
from dixis_tui.hosts.host import LocalHost
from dixis_tui.model import Outcome, Progress, Status
from dixis_tui.pace import Pace
from dixis_tui.sandbox import RunningServer
from dixis_tui.schemas import schema
from dixis_tui.step import Step
from dixis_tui.target import TargetConnection, connect


def make_source(path: Path, statements: Iterable[str]) -> Path:
    """A SQLite database made by these statements."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def make_config(server: RunningServer, database: str, source_path: Path, run_dir: Path, **sections: Any) -> Config:
    """A configuration that leads from a source to a database of the server."""
    return Config.model_validate(
        {
            "run": {"environment": "rehearsal", "directory": str(run_dir)},
            "source": {"path": str(source_path)},
            "target": {
                "host": "127.0.0.1",
                "port": server.port,
                "database": database,
                "user": f"{database}_app",
                "password": server.app_password,
                "tls": {"ca": server.ca_file},
                "admin": {"user": server.admin_user, "password": server.admin_password},
            },
            "app": {"root": "/nowhere"},
            "schema": {"indexes": [], "fulltext": []},
            **sections,
        }
    )


@dataclass
class Driver:
    """Runs steps in order and keeps their outcomes; its journal is a file another process can go on with.

    waives: it gives the operator's word to all findings of the schema.
    """

    config: Config
    run_dir: Path
    waives: bool = True
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    progress: list[Progress] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    gate: Gate = field(default_factory=Gate)
    pace: Pace = field(init=False)
    heard: Callable[[Progress], None] = lambda _: None

    def __post_init__(self) -> None:
        self.pace = Pace(self.config.data.streams)

    @property
    def ctx(self) -> Context:
        host = LocalHost()
        return Context(
            config=self.config,
            run_id="run-1",
            run_dir=self.run_dir,
            operator="test",
            local=host,
            app_host=host,
            outcomes=self.outcomes,
            say=lambda _: None,
            progress=self._hear,
            record=self._record,
            recorded=self._recorded,
            stop=self.stop,
            gate=self.gate,
            pace=self.pace,
        )

    def _hear(self, progress: Progress) -> None:
        self.progress.append(progress)
        self.heard(progress)

    def _record(self, name: str, data: Mapping[str, Any]) -> None:
        with (self.run_dir / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, dict(data)]) + "\n")

    def _recorded(self, name: str) -> list[Mapping[str, Any]]:
        path = self.run_dir / "events.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [data for event, data in map(json.loads, lines) if event == name]

    def snapshot(self) -> Outcome:
        """Preflight's snapshot."""
        self.outcomes["preflight.data.source"] = source.preflight_snapshot(self.ctx)
        return self.outcomes["preflight.data.source"]

    def run(self, steps: Iterable[Step]) -> list[Outcome]:
        """Do these steps, previews first, until one has not settled."""
        done = []
        for step in steps:
            if step.work is None:
                continue
            if step.preview:
                assert step.preview(self.ctx)
            outcome = step.work(self.ctx)
            self.outcomes[step.id] = outcome
            if step.id == "schema.findings" and outcome.status is Status.FAIL and self.waives:
                self.outcomes[step.id] = outcome = Outcome(status=Status.WAIVED, summary="waived by the test")
            done.append(outcome)
            if not outcome.status.settled:
                break
        return done

    def make_tables(self) -> list[Outcome]:
        """Snapshot and phase Schema."""
        self.snapshot()
        return self.run(schema.steps(self.config))

    def copy(self) -> list[Outcome]:
        """Phase Data."""
        return self.run(transfer.steps(self.config))

    def target(self) -> TargetConnection:
        return connect(self.config.target)


def make_driver(
    server: RunningServer, database: str, folder: Path, statements: Iterable[str], **sections: Any
) -> Driver:
    """A source made by these statements, and a driver that leads it to a database of the server."""
    path = make_source(folder / "shop.sqlite", statements)
    run_dir = folder / "run"
    run_dir.mkdir()
    return Driver(make_config(server, database, path, run_dir, **sections), run_dir)

"""Pictures of the console that are the same every time: a clock that stands still, and a real run of a small plan.

How to add a picture of a screen:

    def test_the_screen(night: Night, snap_compare: SnapCompare, look: Look) -> None:
        night.through("schema")                        # what has happened: steps really run, on the clock of the night
        assert look.picture(snap_compare, night.runner, press=["2", "d"])

`night` is a run with Runner, journal and plan; `look` is a size and a theme: the test is run once for each of LOOKS, or
of FEW with `@pytest.mark.parametrize("look", FEW, ids=str)`. A step of `night.blocking` stays at work, with progress
given there, until the picture was taken. Run pytest with --snapshot-update after a change that is meant, look at the
pictures in tests/__snapshots__, and commit them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from dixis_tui import config, openrun, runner
from dixis_tui.console.app import ConsoleApp
from dixis_tui.context import Context
from dixis_tui.model import Finding, Kind, Outcome, Progress, Status, passed, warned
from dixis_tui.record import journal, signing
from dixis_tui.record.journal import SWITCHED, WENT_LIVE
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step
from screens import board, words

SnapCompare = Callable[..., bool]
ZONE = "Europe/Athens"
T0 = datetime(2026, 3, 4, 0, 0, tzinfo=UTC)  # two o'clock at night there
PATIENCE = 10.0  # seconds until a picture that does not come is given up

CONFIG = """
[run]
name = "dixis"
environment = "{environment}"
operator = "Eleni"
window_opens = 2026-03-04T02:00:00
rollback_seconds = 370
[people]
lead = "Eleni Papadaki"
database_review = "Nikos Ioannou"
technical_approval = "Maria Georgiou"
emergency_contact = "Giorgos Dimou, +30 210 000 0000"
[source]
path = "shop.sqlite"
[target]
host = "db.example.org"
database = "dixis_production"
user = "dixis"
password = {{ env = "DIXIS_TEST_PASSWORD" }}
[app]
root = "/srv/shop"
"""

# Phase, and of each step: name, title, kind, minutes, answer.
Line = tuple[str, str, Kind, float, Outcome]
PHASES: tuple[tuple[str, str, int | None, tuple[Line, ...]], ...] = (
    (
        "preflight",
        "Preflight",
        None,
        (
            ("tls", "The connection is encrypted", Kind.CHECK, 0.1, passed("TLS 1.3, certificate and name checked")),
            (
                "room",
                "Room on the target's disk",
                Kind.CHECK,
                0.1,
                warned("11 GB free, 3 GB wanted", ["/var/lib/mysql: 11 GB of 40 GB"], ["keep an eye on it"]),
            ),
            ("restore", "A restore was tried", Kind.SIGNOFF, 1, passed("")),
        ),
    ),
    (
        "schema",
        "1 Schema",
        15,
        (
            ("tables", "Create the tables", Kind.ACTION, 4, passed("83 tables")),
            ("indexes", "The plan's indexes", Kind.ACTION, 7, passed("6 of 6 made")),
        ),
    ),
    (
        "data",
        "2 Data",
        45,
        (
            ("snapshot", "Definitive snapshot", Kind.ACTION, 1, passed("1.4 GB, fenced")),
            ("users", "Users and authentication", Kind.ACTION, 3, passed("14 tables, 210,331 rows")),
            ("orders", "Orders and payments", Kind.ACTION, 12, passed("22 tables, 4,180,002 rows")),
            ("counts", "Row counts agree", Kind.CHECK, 1, passed("83 tables, 4,640,771 rows on both sides")),
        ),
    ),
    (
        "assets",
        "3 Assets",
        75,
        (("sync", "Send the files", Kind.ACTION, 9, passed("12,044 files, 3.1 GB")),),
    ),
    (
        "validation",
        "4 Validation",
        90,
        (
            ("proof", "Every value arrived", Kind.CHECK, 6, passed("4,640,771 rows are equal, value by value")),
            ("vat", "Tax follows from the totals", Kind.CHECK, 1, passed("rates 24 and 13 per cent")),
            ("signin", "User authentication and registration", Kind.SIGNOFF, 2, passed("")),
            ("catalogue", "Product catalog browsing", Kind.SIGNOFF, 2, passed("")),
        ),
    ),
    (
        "cutover",
        "Cutover",
        120,
        (
            ("maintenance", "Maintenance mode on", Kind.ACTION, 0.2, passed("the application is in maintenance mode")),
            ("resync", "Write what changed since the copy", Kind.ACTION, 3, passed("41 rows in 6 tables")),
            ("environment", "Switch .env to MySQL", Kind.ACTION, 0.1, passed("6 keys changed, the copy kept")),
            ("gate", "Go or no-go", Kind.GATE, 2, passed("")),
            ("up", "Maintenance mode off", Kind.ACTION, 0.2, passed("the shop is open, on MySQL")),
        ),
    ),
    ("watch", "Watch", None, (("answers", "The application answers", Kind.CHECK, 0.1, passed("95 of 100 in 38 ms")),)),
)
ROLLBACK = (
    ("maintenance", "Stop traffic: maintenance mode on", 0.2, passed("the application is in maintenance mode")),
    ("database", "SQLite database whole, with what came since", 4, passed("sound; 58 rows came home")),
    ("environment", "Put .env back", 0.1, passed("as it was, byte for byte")),
    ("restart", "Clear caches, restart workers", 0.5, passed("the application reads its old settings again")),
    ("verify", "The application answers on SQLite, traffic returns", 0.3, passed("the shop is open, on SQLite")),
)
PROOF_FAILED = Outcome(
    status=Status.FAIL,
    summary="1 table of 83 differs, in 2 values",
    evidence=("orders: 4,180,002 rows on both sides",),
    findings=(
        Finding(status=Status.FAIL, table="orders", column="note", rows=2, message="2 values end otherwise"),
        Finding(status=Status.WARN, table="carts", message="written since the snapshot"),
    ),
)


class Clock:
    """The time of the night; it stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = T0 - timedelta(hours=3)

    def at(self, minutes: float) -> None:
        """Set it to so many minutes after T-0."""
        self.now = T0 + timedelta(minutes=minutes)

    def move(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@dataclass
class Night:
    """A run on that clock. answers: what steps answer instead of what the plan above says; blocking: steps that stay at
    work, with the progress they tell."""

    clock: Clock
    folder: Path
    environment: str = "production"
    answers: dict[str, Outcome] = field(default_factory=dict)
    blocking: dict[str, Sequence[Progress]] = field(default_factory=dict)
    release: threading.Event = field(default_factory=threading.Event)
    _runner: Runner | None = None

    @property
    def runner(self) -> Runner:
        """The run, opened when it is first asked for."""
        if self._runner is None:
            file = self.folder / "dixis.toml"
            file.write_text(CONFIG.format(environment=self.environment), encoding="utf-8")
            self._runner = Runner(self._plan(), config.load(file))
        return self._runner

    def close(self) -> None:
        self.release.set()
        if self._runner:
            self._runner.close()

    def run(self, *step_ids: str) -> None:
        """Run steps, or have them signed."""
        for step_id in step_ids:
            step = self.runner.plan.step(step_id)
            if step.work is not None:
                asyncio.run(self.runner.run_step(step_id))
                continue
            for role in step.roles or ("operator",):
                names = self.runner.config.people.model_dump()
                name = names.get(role.replace(" ", "_"), self.runner.operator)
                self.clock.move(1)
                signing.sign(self.runner, step_id, role=role, name=name, note="seen")

    def through(self, *phases: str) -> None:
        """Run whole phases."""
        for phase in phases:
            self.run(*(step.id for step in self.runner.plan.phase(phase).steps))

    def cut_over(self) -> None:
        """The whole of the cutover, with the events its steps record."""
        self.run("cutover.maintenance")
        self.runner.record("window-opened")
        self.run("cutover.resync", "cutover.environment")
        self.runner.record(SWITCHED, {"path": ".env.before-mysql", "sha256": "", "environment": ".env"})
        self.run("cutover.gate", "cutover.up")
        at = self.clock.now.isoformat(timespec="seconds")
        self.runner.record(WENT_LIVE, {"database": "dixis_production", "snapshot": {}, "at": at})
        self.runner.record("window-closed")

    def _plan(self) -> Plan:
        phases = tuple(
            Phase(name, title, tuple(self._step(f"{name}.{line[0]}", *line[1:]) for line in lines), minutes=minutes)
            for name, title, minutes, lines in PHASES
        )
        back = (
            self._step(f"rollback.{name}", title, Kind.ACTION, minutes, answer)
            for name, title, minutes, answer in ROLLBACK
        )
        return Plan(phases, Phase("rollback", "Rollback", tuple(back)))

    def _step(self, step_id: str, title: str, kind: Kind, minutes: float, answer: Outcome) -> Step:
        why = "What would be missed without it stands here."
        if kind in (Kind.SIGNOFF, Kind.GATE):
            roles = ("lead", "database review", "technical approval") if kind is Kind.GATE else ()
            return Step(step_id, title, kind, why, roles=roles)

        def work(context: Context) -> Outcome:
            if step_id in self.blocking:
                for progress in self.blocking[step_id]:
                    context.progress(progress)
                while not self.release.wait(0.01):
                    context.check_stop()
                return passed("let go")
            self.clock.move(minutes)
            return self.answers.get(step_id, answer)

        preview = [f"-- {title}", "CREATE TABLE `users` (`id` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY);"]
        shown: dict[str, Any] = {"preview": lambda _: preview, "undo": "drop it"} if kind is Kind.ACTION else {}
        return Step(step_id, title, kind, why, work, **shown)


@dataclass(frozen=True)
class Look:
    """A size of the terminal, and a theme."""

    size: tuple[int, int]
    theme: str

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]}-{self.theme}"

    def picture(
        self, compare: SnapCompare, night: Night, press: Sequence[str] = (), seen: Callable[[ConsoleApp], bool] = bool
    ) -> bool:
        """Whether the console looks as it did. press: keys, each waited for; seen: what must be so before."""
        app = ConsoleApp(night.runner)
        app.theme = self.theme
        leave = app.exit

        def end(*arguments: Any, **more: Any) -> None:
            night.release.set()
            leave(*arguments, **more)

        app.exit = end  # type: ignore[method-assign]

        async def before(pilot: Pilot[int]) -> None:
            await pilot.pause()
            for key in press:
                await pilot.press(key)
                await pilot.pause()
            deadline = time.monotonic() + PATIENCE
            while not seen(app):
                assert time.monotonic() < deadline, "what was waited for did not come"
                await pilot.pause(0.02)
            for field_ in app.screen.query(Input):
                field_.cursor_blink = False
            app._show()
            await pilot.pause()

        return compare(app, terminal_size=self.size, run_before=before)


SMALL, LARGE = (80, 24), (160, 50)
LOOKS = [Look(size, theme) for size in (SMALL, LARGE) for theme in ("light", "monochrome")]
FEW = [Look(SMALL, "monochrome"), Look(LARGE, "light")]


def standing_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the journal, the log, the board and the screens read, in the zone of the shop."""
    clock = Clock()

    class Standing(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Standing:
            return cls.fromtimestamp(clock.now.timestamp(), tz)

    monkeypatch.setenv("TZ", ZONE)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("DIXIS_THEME", raising=False)
    time.tzset()
    monkeypatch.setattr(journal, "datetime", Standing)
    monkeypatch.setattr(openrun, "datetime", Standing)
    monkeypatch.setattr(runner, "datetime", Standing)
    monkeypatch.setattr(openrun, "uuid", SimpleNamespace(uuid4=lambda: UUID(int=7)))
    monkeypatch.setattr(words, "local_now", lambda: clock.now.astimezone())
    monkeypatch.setattr(board, "time", SimpleNamespace(monotonic=lambda: clock.now.timestamp()))
    return clock

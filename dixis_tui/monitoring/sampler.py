"""Takes the samples: asks the server within its budget of questions, looks at disks and backups, judges, keeps.

It has no clock of its own beyond the one it is given, and no thread: whoever holds it calls `take` when `due`.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dixis_tui.backups import manifest
from dixis_tui.config import Config
from dixis_tui.hosts.host import Host
from dixis_tui.model import DixisError
from dixis_tui.monitoring import triggers
from dixis_tui.monitoring.counters import CONNECTING, Server
from dixis_tui.monitoring.samples import SOURCES, Reading, Sample, between, coarse, percentile
from dixis_tui.monitoring.samplestore import HOUR, Store
from dixis_tui.monitoring.triggers import Crossing, Rule, Standing
from dixis_tui.target import TargetError

# Questions a server is asked in a minute, at most.
BUDGET = 10
# Questions that are not asked with every sample: seconds between two of a kind.
SELDOM: Mapping[str, float] = {"digests": 60.0, "log": 120.0, "size": 600.0}
DISKS = 600.0
# How long what the server refused is not asked again, connection or not.
REFUSED = 86400.0
# Probes from which p95 is told where the server tells no times.
PROBES = 20


@dataclass
class Disk:
    """The disk on which something is kept; bytes."""

    what: str
    total: float
    free: float


@dataclass(frozen=True)
class Taken:
    """A sample, how the rules stand after it, and which of them began or ceased to stand with it."""

    sample: Sample
    standings: tuple[Standing, ...]
    began: tuple[Standing, ...] = ()
    ended: tuple[tuple[Rule, Crossing], ...] = ()


class Allowance:
    """Questions asked in the last minute, and how many may still be."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._asked: deque[float] = deque()

    def spend(self, questions: int) -> None:
        self._asked.extend([self._clock()] * questions)

    @property
    def left(self) -> int:
        while self._asked and self._asked[0] <= self._clock() - 60:
            self._asked.popleft()
        return BUDGET - len(self._asked)


@dataclass
class Sampler:
    """Samples one run's server into one store. clock: seconds since 1970. host: where the application is, whose disk is
    looked at, None for not at all."""

    config: Config
    store: Store
    host: Host | None = None
    clock: Callable[[], float] = time.time
    interval: float = 0.0
    _server: Server | None = None
    _allowance: Allowance = field(init=False)
    _thinned: float = 0.0
    _last: float = 0.0
    _asks_anew: bool = True

    def __post_init__(self) -> None:
        self.interval = self.interval or self.config.watch.interval_seconds
        self._allowance = Allowance(self.clock)
        hours = float(self.config.backup.max_age_hours)
        self.rules = triggers.rules(self.config.watch, hours)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def due(self) -> bool:
        """Whether it is time, and a sample (a reading and a probe) would keep within the budget."""
        return self.clock() >= self._last + self.interval and self._allowance.left >= 2

    def take(self) -> Taken:
        """Take one sample, keep it, and say how the rules stand. Raises StoreError; a silent server is no error but
        a sample."""
        self._last = self.clock()
        before = self.store.reading()
        notes: dict[str, Any] = {}
        reading: Reading | None = None
        server: Server | None = None
        try:
            server = self._connected()
            sample, reading = self._sample(server, before, notes)
        except TargetError as error:
            if server is not None:
                self.close()
            previous = self.store.latest()
            passed = self.clock() - previous.at if previous else 0.0
            sample = Sample(
                at=self.clock(),
                seconds=max(min(passed, 2 * self.interval), 0.0),
                answered=False,
                error=error.what,
                values=self._around(notes),
            )
        return self._keep(sample, reading, notes)

    def _connected(self) -> Server:
        if self._server is None:
            try:
                known = self.store.noted("refused") or {"at": 0.0, "parts": {}}
                lately = known["parts"] if known["at"] > self.clock() - REFUSED else {}
                self._server = Server(self.config.target, self.config.watch, lately)
                self._asks_anew = not any(why.startswith(self._server.who) for why in lately.values())
            finally:
                self._allowance.spend(self._server.asked if self._server else CONNECTING)
        return self._server

    def _sample(self, server: Server, before: Reading | None, notes: dict[str, Any]) -> tuple[Sample, Reading]:
        asked = server.asked
        try:
            reading = replace(server.read(before), at=self.clock())
            # Only where refusals have used the budget up there is nothing left for the probe.
            probe = server.probe() if self._allowance.left > server.asked - asked else None
        finally:
            self._allowance.spend(server.asked - asked)
        sample = between(before, reading, slow_ms=self.config.watch.slow_query_seconds * 1000)
        values = {**sample.values, **self._around(notes)}
        if probe is not None:
            values["probe_ms"] = probe
        histogram = sample.histogram
        if reading.source == "probe" and probe is not None:
            histogram = coarse([(probe, 1.0)])
            recent = self.store.samples(since=self.clock() - PROBES * self.interval * 1.5)
            earlier = [one.values["probe_ms"] for one in recent if "probe_ms" in one.values]
            probes = sorted([*earlier[1 - PROBES :], probe])
            for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
                values[name] = percentile([(one, 1.0) for one in probes], share)
        asked_now = self._seldom(server, values, notes)
        if self._asks_anew:
            notes["refused"] = {"at": self.clock(), "parts": dict(server.missing)}
        told = self.store.noted("measured") or {"who": "", "missing": {}}
        seldom = {name: why for name, why in told["missing"].items() if name in SELDOM and name not in asked_now}
        notes["measured"] = {
            "by": SOURCES[reading.source],
            "who": server.who,
            "probe": server.probe_sql,
            # Of what is not asked each time, the last answer holds.
            "missing": {**(seldom if told["who"] == server.who else {}), **server.missing},
            "interval": self.interval,
        }
        return replace(sample, values=values, histogram=histogram), reading

    def _seldom(self, server: Server, values: dict[str, float], notes: dict[str, Any]) -> set[str]:
        """Ask what is not asked each time, the most overdue first, as long as there is an allowance; what was asked."""
        now = self.clock()
        asked: dict[str, float] = self.store.noted("asked") or {}
        size = self.store.noted("size")
        if size is not None:
            values["database_bytes"] = float(size)
        overdue = sorted(
            (name for name, every in SELDOM.items() if asked.get(name, 0.0) <= now - every),
            key=lambda name: asked.get(name, 0.0) + SELDOM[name],
        )
        for name in overdue:
            if self._allowance.left <= 0:
                break
            before = server.asked
            try:
                self._ask(server, name, values, notes)
            except TargetError as error:
                if error.lost:
                    raise
                server.missing[name] = error.what
            finally:
                self._allowance.spend(server.asked - before)
            asked[name] = now
        notes["asked"] = asked
        return {name for name, at in asked.items() if at == now}

    def _ask(self, server: Server, name: str, values: dict[str, float], notes: dict[str, Any]) -> None:
        if name == "size":
            values["database_bytes"] = notes["size"] = server.size()
        elif name == "digests":
            slow, known = server.slow_statements(self.store.noted("digests"))
            notes["digests"] = known
            day = datetime.fromtimestamp(self.clock()).astimezone().date().isoformat()
            told = [{"digest": one.digest, "text": one.text, "worst_ms": one.worst_ms} for one in slow]
            if told:
                self.store.add_statements(day, self.clock(), told)
        else:
            errors, mark = server.log_errors(self.store.noted("log"))
            if mark is not None:
                notes["log"] = mark
                values["log_errors"] = float(len(errors))
                if errors:
                    self.store.add_errors(errors)

    def _around(self, notes: dict[str, Any]) -> dict[str, float]:
        """What is seen without the server: disks and backups."""
        now = self.clock()
        values: dict[str, float] = {}
        looked = self.store.noted("disks") or {"at": 0.0, "disks": []}
        if now >= looked["at"] + DISKS:
            disks = [asdict(disk) for disk in self._look_at_disks()]
            newest = manifest.look(self.config.backup.directory).newest_good("target")
            made = newest.manifest.made_at.timestamp() if newest else None
            notes["disks"] = looked = {"at": now, "disks": disks, "backup": made}
        full = [100 * (1 - disk["free"] / disk["total"]) for disk in looked["disks"] if disk["total"]]
        if full:
            values["disk_percent"] = max(full)
        if looked.get("backup") is not None:
            values["backup_hours"] = max(now - looked["backup"], 0.0) / HOUR
        return values

    def _look_at_disks(self) -> list[Disk]:
        disks = []
        places = {"run directory": str(self.config.run.directory), "backups": str(self.config.backup.directory)}
        if self._server is not None and self._server.data_folder:
            places["the database"] = self._server.data_folder
        for what, place in places.items():
            folder = next((one for one in (Path(place), *Path(place).parents) if one.exists()), Path("/"))
            usage = shutil.disk_usage(folder)
            disks.append(Disk(what, usage.total, usage.free))
        if self.host is not None:
            try:
                answer = self.host.run(["df", "-Pk", self.config.app.root], timeout=10).stdout.splitlines()
                total, _, free = answer[-1].split()[1:4]
                disks.append(Disk("the application", 1024.0 * int(total), 1024.0 * int(free)))
            except (DixisError, IndexError, ValueError):
                pass  # the host's own checks tell when it does not answer
        return disks

    def _keep(self, sample: Sample, reading: Reading | None, notes: dict[str, Any]) -> Taken:
        """Judge a sample and write it down with all that belongs to it."""
        known = {crossing.rule: crossing for crossing in self.store.crossings(only_open=True)}
        ended: list[Crossing] = []
        opened: list[Crossing] = []
        for rule in self.rules:
            over, still = triggers.judge(
                rule, known.get(rule.id), sample, clear_minutes=self.config.watch.clear_minutes
            )
            ended += [over] if over else []
            opened += [still] if still else []
        # A rule that was taken out of the configuration meanwhile is not judged any more.
        mine = {rule.id: rule for rule in self.rules}
        ended += [replace(one, ended=one.last) for one in known.values() if one.rule not in mine]
        self.store.add(sample, reading=reading, ended=ended, opened=opened, notes=notes)
        if self.clock() >= self._thinned + HOUR:
            self.store.thin(self.clock())
            self._thinned = self.clock()
        now = {crossing.rule: crossing for crossing in opened}
        standings = tuple(triggers.standing(rule, now, sample) for rule in self.rules)
        stood = {rule for rule, crossing in known.items() if crossing.stood is not None}
        return Taken(
            sample,
            standings,
            began=tuple(one for one in standings if one.stands and one.rule.id not in stood),
            ended=tuple((mine[one.rule], one) for one in ended if one.stood is not None and one.rule in mine),
        )


def standings(config: Config, store: Store) -> tuple[Standing, ...]:
    """How the rules stand after the latest sample kept, by whichever process."""
    known = {crossing.rule: crossing for crossing in store.crossings(only_open=True)}
    latest = store.latest()
    if latest is not None and latest.answered and "log_errors" not in latest.values:
        # The log is not read with every sample; what it said the last time holds until then.
        recent = store.samples(since=latest.at - 2 * SELDOM["log"] - 60)
        found = [one.values["log_errors"] for one in recent if "log_errors" in one.values]
        latest = replace(latest, values={**latest.values, "log_errors": found[-1]}) if found else latest
    rules = triggers.rules(config.watch, float(config.backup.max_age_hours))
    return tuple(triggers.standing(rule, known, latest) for rule in rules)

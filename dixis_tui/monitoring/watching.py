"""The watch as a console holds it: samples where nobody else does, and a picture of what was sampled, to be drawn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dixis_tui.config import Config
from dixis_tui.hosts.host import Host
from dixis_tui.model import DixisError
from dixis_tui.monitoring import sampler
from dixis_tui.monitoring.growth import Growth, growth
from dixis_tui.monitoring.sampler import Sampler, Taken
from dixis_tui.monitoring.samples import Sample
from dixis_tui.monitoring.samplestore import Lease, Store
from dixis_tui.monitoring.triggers import Crossing, Standing

HOUR, DAY = 3600.0, 86400.0
# Spans of time a picture can have.
SPANS: Mapping[str, float] = {"15 minutes": 900.0, "hour": HOUR, "day": DAY, "week": 7 * DAY}
LOOK = 5.0  # seconds between two looks at what another process has sampled
GROWTH = 600.0  # and between two looks at the growth, which reads every sample
NO_GROWTH = Growth((), None, None, None)


@dataclass(frozen=True)
class Picture:
    """What was sampled. span: seconds before at that the samples reach back; sampling: by this process; problem: why
    there is nothing new, empty when all is well."""

    at: float = 0.0
    span: float = 900.0
    sampling: bool = False
    samples: Sequence[Sample] = ()
    latest: Sample | None = None
    standings: Sequence[Standing] = ()
    crossings: Sequence[Crossing] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)
    disks: Mapping[str, Any] = field(default_factory=dict)
    growth: Growth = NO_GROWTH
    statements: Sequence[Mapping[str, Any]] = ()
    errors: Sequence[tuple[str, str]] = ()
    problem: str = ""


class Watching:
    """Call `step` in a thread whenever it is `due`. drives: a console that only looks on never samples."""

    def __init__(self, config: Config, host: Host, *, drives: bool, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._drives = drives
        self._clock = clock
        self._lease = Lease(config.run.directory)
        self._store: Store | None = None
        self._host = host
        self._sampler: Sampler | None = None
        self._looked = 0.0
        self._grown: tuple[float, Growth] = (0.0, NO_GROWTH)
        self.span = SPANS["15 minutes"]
        self.picture = Picture()

    def due(self) -> bool:
        if self._sampler is not None and self._looked:
            return self._sampler.due()
        return self._clock() >= self._looked + LOOK

    def look_again(self) -> None:
        """Have the next picture taken at once."""
        self._looked = 0.0

    def step(self) -> Taken | None:
        """Take a sample where it is time and nobody else does, and a new picture; the sample, if one was taken."""
        self._looked = self._clock()
        try:
            if self._store is None:
                self._store = Store(self._config.run.directory, create=self._drives)
            self._store.refresh()
            taken = self._sample(self._store)
            self.picture = self._look(self._store)
        except DixisError as error:
            self.picture = replace(self.picture, at=self._clock(), problem=error.what)
            return None
        return taken

    def _sample(self, store: Store) -> Taken | None:
        if not self._drives or not self._lease.acquire():
            return None
        if self._sampler is None:
            self._sampler = Sampler(self._config, store, self._host, clock=self._clock)
        return self._sampler.take() if self._sampler.due() else None

    def _look(self, store: Store) -> Picture:
        now = self._clock()
        disks = store.noted("disks") or {}
        if now >= self._grown[0] + GROWTH:
            self._grown = (now, growth(store.samples(), disks, self._config.watch.quota_gib))
        return Picture(
            at=now,
            span=self.span,
            sampling=self._sampler is not None,
            samples=store.samples(since=now - self.span),
            latest=store.latest(),
            standings=sampler.standings(self._config, store),
            crossings=store.crossings(since=now - DAY),
            measured=store.noted("measured") or {},
            disks=disks,
            growth=self._grown[1],
            statements=store.statements()[:10],
            errors=store.errors(5),
        )

    def close(self) -> None:
        if self._sampler is not None:
            self._sampler.close()
        self._lease.release()
        if self._store is not None:
            self._store.close()

"""A run as one console has it open: it drives the run, or only watches who does.

Who drives holds the run's lock and records: an event is told to listeners after it is on disk, progress and log lines
as they come. Who watches reads what the other has recorded and said since. Listeners are called from any thread.
"""

from __future__ import annotations

import getpass
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Self

from dixis_tui import ran
from dixis_tui.config import Config
from dixis_tui.gate import Gate
from dixis_tui.model import Level, NotNowError, Progress
from dixis_tui.record import commandlog, glance, live, log, outline
from dixis_tui.record.commandlog import CommandLog
from dixis_tui.record.journal import Event, Journal, Lock, RunState, advance, fold, interrupted
from dixis_tui.record.log import LogFile, LogLine
from dixis_tui.redact import Redactor
from dixis_tui.step import Plan

Notice = Event | Progress | LogLine
Listener = Callable[[Notice], None]


class OpenRun:
    """Open it, use it, close it: it holds the run's lock in between. With watch=True it takes no lock and only reads.

    recording: held while an event is recorded; whoever holds it knows that nothing comes after the last one.
    """

    def __init__(self, plan: Plan, config: Config, *, watch: bool = False) -> None:
        self.plan = plan
        self.config = config
        self.watch = watch
        self.run_dir = config.run.directory
        self.operator = config.run.operator or getpass.getuser()
        self.gate = Gate()
        self.recording = threading.RLock()
        self._redactor = Redactor(config)
        self._listeners: list[Listener] = []
        self._running: dict[str, None] = {}
        self._lock = Lock(self.run_dir)
        self._log: LogFile | None = None
        self._commands: CommandLog | None = None
        self._hearing = ExitStack()
        self._publisher: live.Publisher | None = None
        self._published = live.Reader(self.run_dir)
        self._live = live.Live()
        if not watch:
            # The lock first: what is read behind it is all there is.
            self._lock.acquire(self.operator)
        self._journal = Journal(self.run_dir, create=not watch)
        if not watch:
            self._log = LogFile(self.run_dir, self._redactor.text)
            self._commands = CommandLog(self.run_dir, self._redactor.text, lambda: self.running or "")
            self._hearing.enter_context(ran.heard_by(self._commands.hear))
            if not self._journal.events:
                opened = {
                    "run_id": uuid.uuid4().hex[:12],
                    "name": config.run.name,
                    "environment": config.run.environment,
                    "operator": self.operator,
                }
                self._log.write(log.of_event(self._journal.append("run-opened", opened)))
            attached = self._journal.append("console-attached", {"operator": self.operator})
            self._log.write(log.of_event(attached))
            for name, problem in ((log.NAME, self._log.file.problem), (commandlog.NAME, self._commands.file.problem)):
                if problem:
                    self._log.write(
                        log.of_event(self._journal.append("log-unwritable", {"file": name, "why": problem}))
                    )
            self._publish()
            planned = outline.of(plan, config)
            if outline.recorded(self._journal.events) != planned:
                self._log.write(log.of_event(self._journal.append(outline.PLAN, planned.model_dump(mode="json"))))
        self._was_driven = self.driven()
        self._state = self._folded()

    def _publish(self) -> None:
        """For those who look on: what this run is, and from now on how far. It stops nobody's work where it fails."""
        try:
            glance.write(self.run_dir, self.plan, self.config)
        except OSError as error:
            self.say(f"{self.run_dir / glance.NAME} cannot be written: {error.strerror}; nobody can look on")
        self._publisher = live.Publisher(self.run_dir)

    def _folded(self) -> RunState:
        """The state of the journal. Where nobody drives, what is recorded as running was cut off."""
        state = fold(self._journal.events)
        return interrupted(state) if self.watch and not self.driven() else state

    def close(self) -> None:
        if self._publisher:
            self._publisher.close()
        self._hearing.close()
        if self._commands:
            self._commands.close()
        self._journal.close()
        self._lock.release()
        if self._log:
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state(self) -> RunState:
        return self._state

    @property
    def events(self) -> Sequence[Event]:
        return self._journal.events

    @property
    def running(self) -> str | None:
        """Id of the step that runs now, the one begun first where several do; a watcher has it from who drives."""
        return self._live.running if self.watch else next(iter(self._running), None)

    @property
    def last_hash(self) -> str:
        """The hash of the last event, which stands for all before it."""
        return self._journal.last_hash

    def driven(self) -> bool:
        """True when some console drives this run now."""
        return self._lock.held()

    def refresh(self) -> None:
        """For a watcher: take in what the driving console has recorded and said since; listeners hear of it."""
        known, driven = len(self._journal.events), self.driven()
        if self._journal.refresh() or driven != self._was_driven:
            self._state, self._was_driven = self._folded(), driven
            for event in self._journal.events[known:]:
                self._tell(event)
        news = self._published.news()
        if news is not None:
            self._hear(news)
        if not driven and self._live.running:
            self._live = live.Live(first=self._live.first, lines=self._live.lines)
            self.gate.resume()

    def _hear(self, news: live.Live) -> None:
        """Tell what has been said since the last reading."""
        known, self._live = self._live, news
        if news.paused:
            self.gate.pause()
        else:
            self.gate.resume()
        before = set(known.progress)
        for progress in news.progress:
            if progress not in before:
                self._tell(progress)
        began_anew = news.first + len(news.lines) < known.first + len(known.lines)
        heard = 0 if began_anew else max(known.first + len(known.lines) - news.first, 0)
        for line in news.lines[heard:]:
            self._tell(LogLine(**line))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call listener with every notice from now on; the answer ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def say(self, text: str, step: str = "", level: Level = "info") -> None:
        """A line for the log, with every known secret taken out."""
        line = LogLine(datetime.now(UTC).isoformat(timespec="milliseconds"), step, self._redactor.text(text), level)
        if self._log:
            self._log.write(line)
        self._tell(line)

    def record(self, kind: str, data: Mapping[str, Any] | None = None, *, at: str = "") -> None:
        """An event into the journal, then to the listeners. at: its time, where it was signed with it."""
        self.allow_writing()
        with self.recording:
            added = self._journal.append(kind, data, at=at)
            self._state = advance(self._state, added)
        if self._log:
            self._log.write(log.of_event(added))
        self._tell(added)

    def _begin(self, step_id: str) -> None:
        """A step runs from now on."""
        self._running[step_id] = None

    def _end(self, step_id: str) -> None:
        """A step has come to its end; with the last one, so has a pause."""
        self._running.pop(step_id, None)
        if self._commands:
            self._commands.end(step_id)
        if not self._running:
            self.gate.resume()
        if self._publisher:
            self._publisher.state(self.running, paused=self.gate.paused)

    def allow_writing(self) -> None:
        """Raises NotNowError for who only watches."""
        if self.watch:
            raise NotNowError(
                "This console only watches the run.", next_step="sign and decide in the one that drives it"
            )

    def _tell(self, notice: Notice) -> None:
        if self._publisher:
            self._pass_on(self._publisher, notice)
        for listener in tuple(self._listeners):
            listener(notice)

    def _pass_on(self, publisher: live.Publisher, notice: Notice) -> None:
        """To those who look on; events they read in the journal."""
        match notice:
            case Progress():
                publisher.progress(replace(notice, note=self._redactor.text(notice.note)) if notice.note else notice)
            case LogLine():
                publisher.line(asdict(notice))
            case Event():
                if notice.kind == "step-started":
                    publisher.forget(notice.data["step"])
                publisher.state(self.running, paused=self.gate.paused)

"""What a rollback finds, what will be after it, and what it costs, as far as the journal tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dixis_tui.phrase import duration, roughly
from dixis_tui.record.timeline import Timeline
from dixis_tui.runner import Runner
from dixis_tui.switch import owed

KEEPS = "every file it replaces (set aside), the new database, the journal"
CANNOT = "bring home rows while MySQL does not answer: they stay there for dixis rollback --recover"


@dataclass(frozen=True)
class WayBack:
    """Sentences. now: as found; then: as it will be; costs: time, and rows as far as known; call: who is called when it
    does not go well, empty for nobody named."""

    now: str
    then: str
    costs: tuple[str, ...]
    keeps: str
    cannot: str
    call: str


def look(runner: Runner, line: Timeline, at: datetime) -> WayBack:
    """The way back as it stands at that moment."""
    since = runner.ask(owed.since)
    time = f"about {duration(line.rollback)} ({line.source}), in which the shop is closed"
    if since:
        opened = datetime.fromisoformat(since)
        waited = roughly((at - opened).total_seconds())
        rows = f"rows written to MySQL since {_of_day(opened)} ({waited}) are counted and brought home in step 2"
        then = "the shop is open on SQLite, with the rows it has and those written to MySQL since"
    else:
        rows = "no rows to bring home: the shop was not open on MySQL since SQLite had them all"
        then = "the shop is open on SQLite, as it was"
    return WayBack(_found(runner, since), then, (time, rows), KEEPS, CANNOT, runner.config.people.emergency_contact)


def _found(runner: Runner, since: str) -> str:
    state = runner.state
    shop = "the shop is closed" if state.window_open else "the shop is open"
    if state.rollback_begun:
        return "a rollback was begun and has not come to its end; it is safe to run it again"
    if state.switched and since:
        return f"{shop}, on MySQL; customers were let in at {_of_day(datetime.fromisoformat(since))}"
    if state.switched:
        return f"{shop}; its settings lead to MySQL, where no customer has been yet"
    if state.window_open:
        return f"{shop}; its settings still lead to SQLite"
    return "the shop runs on SQLite and nothing was switched: there is nothing to take back"


def _of_day(moment: datetime) -> str:
    return moment.astimezone().strftime("%H:%M")

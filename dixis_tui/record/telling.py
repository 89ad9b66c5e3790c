"""Events of a journal in plain words: who did what, in one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dixis_tui.record.journal import (
    CAME_HOME,
    CONFIRMED,
    DROPPED,
    KEPT,
    PACED,
    PLACING,
    RESTORED,
    SWITCHED,
    WENT_LIVE,
    WRITTEN_LATE,
    Event,
)
from dixis_tui.record.signatures import SIGNED_KINDS

Data = Mapping[str, Any]


def told(event: Event) -> str:
    """One line: what happened, and who did it where a person did."""
    words = WORDS.get(event.kind)
    if words is not None:
        return words(event.data)
    parts = (f"{name} {value}" for name, value in event.data.items() if isinstance(value, str | int | float))
    return f"{event.kind.replace('-', ' ')}: {', '.join(parts)}".removesuffix(": ")


def how(data: Data) -> str:
    """With which key a person signed, or why by name only."""
    if data.get("ssh"):
        return f"signed with {data['ssh']['fingerprint']}"
    why = data.get("by_name_only")
    return f"signed by name only: {why}" if why else "signed by name only"


def signed_how(events: Sequence[Event]) -> str:
    """How the latest answer of a person was signed."""
    return next((how(event.data) for event in reversed(events) if event.kind in SIGNED_KINDS), "")


def _note(data: Data) -> str:
    return f": {data['note']}" if data.get("note") else ""


def _finished(data: Data) -> str:
    outcome = data["outcome"]
    return f"{data['step']}: {outcome['status']}, {outcome['summary']}"


def _confirmed(data: Data) -> str:
    typed = f", typed {data['typed']!r}" if data.get("typed") else ""
    return f"{data['name']} agreed to {data['what']}{typed}"


def _refused(data: Data) -> str:
    if "name" not in data:  # of a journal that holds no more than the outcome
        return _finished(data)
    return f"{data['name']} refused {data['step']} as {data['role']}{_note(data)} ({how(data)})"


def _steps(data: Data) -> str:
    return f"to be done again: {', '.join(data['steps'])}"


WORDS: Mapping[str, Callable[[Data], str]] = {
    "run-opened": lambda d: f"{d['operator']} opened run {d['run_id']}",
    "console-attached": lambda d: f"{d['operator']} at the console",
    "plan": lambda d: f"the plan: {', '.join(phase['title'] for phase in d['phases'])}",
    "step-started": lambda d: f"{d['step']} started",
    "step-finished": _finished,
    "step-interrupted": lambda d: f"{d['step']} was stopped",
    "step-waived": lambda d: f"{d['name']} waived {d['step']}{_note(d)} ({how(d)})",
    "refused": _refused,
    "signed": lambda d: f"{d['name']} signed {d['step']} as {d['role']}{_note(d)} ({how(d)})",
    "phase-reset": _steps,
    "log-unwritable": lambda d: f"{d['file']} cannot be written: {d['why']}; the work goes on without it",
    "paused": lambda d: f"{d['name']} paused {d['step']}",
    "resumed": lambda d: f"{d['name']} let {d['step']} go on",
    "window-opened": lambda _: "maintenance began: the shop is closed",
    "window-closed": lambda _: "maintenance ended: the shop is open",
    "rolled-back": lambda _: "the rollback came to its end: the application is on SQLite",
    PACED: lambda d: f"{d['name']} changed the pace from {d['from']} to {d['to']}",
    CONFIRMED: _confirmed,
    SWITCHED: lambda d: f"the application is being led to the target; its settings are saved as {d.get('path', '')}",
    WENT_LIVE: lambda d: f"traffic is let in on the target {d.get('database', '')}".rstrip(),
    CAME_HOME: lambda _: "what customers wrote to the target is in SQLite again",
    WRITTEN_LATE: lambda d: f"{d['database']} was written after its rows had come home",
    PLACING: lambda _: "the database with the rows brought home takes its place",
    KEPT: lambda d: f"the old database is made read-only: {d.get('path', '')}",
    DROPPED: lambda _: "indexes are taken away for the load",
    RESTORED: lambda _: "the indexes are back",
}


def chronicle(events: Iterable[Event]) -> list[Event]:
    """The events a reader wants in a report: what people did, what changed something, how steps ended."""
    return [event for event in events if event.kind in WORDS and event.kind not in ("step-started", "plan")]

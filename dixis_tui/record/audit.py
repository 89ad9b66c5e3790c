"""Verifies a run's journal afterwards: its chain to the last byte, and every signature of a person.

Needs nothing but the run's folder and, to say whose a key is, ssh's file of allowed signers. Reads only.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from dixis_tui.phrase import counted
from dixis_tui.record import chain, signatures
from dixis_tui.record.chain import Row
from dixis_tui.record.journal import DECLARED, Event, JournalError, blueprint, decoded, read_head

# How often a journal that is being written is looked at again.
LOOKS = 5

State = Literal["verified", "sound", "by name only", "bad"]


class Place(BaseModel):
    """Where the chain is broken. event: its number, from 1; 0 for the file as a whole."""

    model_config = ConfigDict(frozen=True)

    event: int
    what: str
    expected: str
    found: str

    def line(self) -> str:
        where = f"event {self.event}: " if self.event else ""
        return f"{where}{self.what}; expected {self.expected}, found {self.found}"


class SignatureFound(BaseModel):
    """What a person signed, and how far that can be verified. fingerprint: empty when signed by name only."""

    model_config = ConfigDict(frozen=True)

    event: int
    at: str
    what: str
    step: str
    role: str
    name: str
    note: str
    fingerprint: str
    state: State
    why: str


class Audit(BaseModel):
    """A journal's verification. head: the hash of its last event; broken: where the chain is, None when it holds."""

    model_config = ConfigDict(frozen=True)

    journal: str
    run_id: str
    events: int
    head: str
    broken: Place | None
    signatures: tuple[SignatureFound, ...]

    @property
    def good(self) -> bool:
        return self.broken is None and all(one.state != "bad" for one in self.signatures)

    def lines(self) -> Iterator[str]:
        """As `dixis journal verify` prints it."""
        yield f"{self.journal}, run {self.run_id or 'unknown'}"
        if self.broken:
            yield f"BROKEN: {self.broken.line()}"
            yield "what stands from there on cannot be trusted; restore the journal and its head from a copy"
        else:
            yield f"the chain holds: {counted(self.events, 'event')}, the last {self.head}"
        for one in self.signatures:
            role = f" as {one.role}" if one.role else ""
            key = f"  {one.fingerprint}" if one.fingerprint else ""
            yield f"event {one.event}: {one.step} {one.what}{role} by {one.name}, {one.at}: {one.state}{key}"
            if one.why:
                yield f"    {one.why}"


def audit(run_dir: Path, allowed: Path | None = None, *, head: str = "") -> Audit:
    """Verify the journal of a run's folder. allowed: ssh's file of allowed signers; head: a hash that the journal must
    hold, as a report or a colleague wrote it down. Raises JournalError where there is no journal to read."""
    path, beside = run_dir / "journal.sqlite", run_dir / "journal.head"
    for _ in range(LOOKS):
        kept = read_head(beside)
        rows, harm = _read(path)
        broken = chain.first_break(rows, kept)
        if broken is None or read_head(beside) == kept:
            break  # else the run went on meanwhile
    place = Place(**broken._asdict()) if broken else None
    if place is not None and harm:
        place = place.model_copy(update={"found": f"{place.found} ({harm})"})
    if place is None and harm:
        place = Place(event=0, what="the file", expected="a sound SQLite database", found=harm)
    if place is None and head and not any(row.hash == head for row in rows):
        place = Place(
            event=len(rows), what="the end is missing", expected=f"an event with the hash {head}", found="none"
        )
    sound = rows[: broken.event - 1] if broken else rows
    events = [
        Event(n, str(r.at), str(r.kind), json.loads(str(r.data)), str(r.previous), str(r.hash))
        for n, r in enumerate(sound, 1)
    ]
    return Audit(
        journal=str(path),
        run_id=run_id(events),
        events=len(rows),
        head=events[-1].hash if events else chain.GENESIS,
        broken=place,
        signatures=tuple(signatures_in(events, allowed)),
    )


def run_id(events: Sequence[Event]) -> str:
    return next((str(event.data["run_id"]) for event in events if event.kind == "run-opened"), "")


def signatures_in(events: Sequence[Event], allowed: Path | None) -> Iterator[SignatureFound]:
    """What people have signed, each verified; events whose chain holds."""
    run = run_id(events)
    for event in events:
        if event.kind not in signatures.SIGNED_KINDS or "name" not in event.data:
            continue
        ssh = event.data.get("ssh") or {}
        state: str = "by name only"
        why = str(event.data.get("by_name_only", ""))
        if ssh:
            what = signatures.text(run, event.kind, event.data, event.at, event.previous)
            verdict = signatures.verify(str(event.data["name"]), ssh, what, allowed)
            state, why = verdict.state, verdict.why
        yield SignatureFound.model_validate(
            {
                "event": event.seq,
                "at": event.at,
                "what": signatures.SIGNED_KINDS[event.kind],
                "step": event.data["step"],
                "role": event.data.get("role", ""),
                "name": event.data["name"],
                "note": event.data["note"],
                "fingerprint": ssh.get("fingerprint", ""),
                "state": state,
                "why": why,
            }
        )


def _read(path: Path) -> tuple[list[Row], str]:
    """The events as they are stored, whatever they hold, and what SQLite says against the file as a whole."""
    if not path.is_file():
        raise JournalError(f"There is no journal at {path}.", next_step="give the folder of a run: [run] directory")
    # With a write-ahead log beside it, somebody may be writing; without one the file may lie on a disk one only reads.
    how = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    rows: list[Row] = []
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?{how}", uri=True)) as connection:
            connection.text_factory = decoded
            connection.execute("BEGIN")
            for row in connection.execute("SELECT seq, at, kind, data, previous, hash FROM events ORDER BY seq"):
                rows.append(Row(*row))
            told = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if told == "ok" and [tuple(row) for row in connection.execute(DECLARED)] != blueprint():
                told = "the table of the events is declared otherwise than it was made"
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter of names of tables and columns
        return rows, f"{error}, behind event {len(rows)}"
    return rows, "" if told == "ok" else str(told)

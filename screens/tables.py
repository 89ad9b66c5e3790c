"""All tables while they are copied, and the files: what is at work, what failed, what is to come, and how fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from dixis_tui.model import Status
from dixis_tui.runner import Runner
from screens import words
from screens.board import Board, Track
from screens.listing import Column
from screens.lists import ListScreen
from screens.requests import Faster, Pause, Slower, Stop

SILENT = 10.0  # seconds without a sign of life after which a stream is worth a look
FILES = "assets.sync"
# Steps that write tables, the later ones over the earlier ones; what the group of the last two is called.
WRITES = "data."
NOT_TABLES = ("data.snapshot", "data.prepare", "data.indexes", "data.counts")
LAST = "cutover.resync"
REST = "other"


@dataclass(frozen=True)
class Row:
    """A table, or the files, as far as it is known. rate: units a second; left: seconds."""

    name: str
    group: str
    state: Status
    done: int
    total: int | None
    unit: str = "rows"
    size: int = 0
    rate: float | None = None
    left: float | None = None

    @property
    def open(self) -> int:
        return (self.total or 0) - self.done


def _what_matters(row: Row) -> tuple[Any, ...]:
    order = {Status.RUNNING: 0, Status.INTERRUPTED: 0, Status.FAIL: 1, Status.ERROR: 1, Status.PENDING: 2}
    return order.get(row.state, 3), -(row.total or 0), row.name


ORDERS: tuple[tuple[str, Callable[[Row], Any]], ...] = (
    ("what matters", _what_matters),
    ("name", lambda row: row.name),
    ("group", lambda row: (row.group, row.name)),
    ("rows to go", lambda row: (-row.open, row.name)),
    ("rate", lambda row: (-(row.rate or 0), row.name)),
)


class TablesScreen(ListScreen[Row]):
    """Every table of the source and what has become of it."""

    SUBJECT = "tables"
    INTRO = (
        "Every table of the source, with the group that the plan copies it in. Tables at work stand first, then those"
        " in trouble, then what is to come, the largest first. Rows and bytes are those stored for good. Each stream"
        " shows the table it works on and when it last stored a chunk."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "order", "Order", tooltip="sort by what matters, name, group, rows to go, rate"),
        Binding("z", "pause", "Pause", tooltip="pause the running step at its next safe point; once more, it goes on"),
        Binding("minus", "slower", "Slower", key_display="-", tooltip="fewer streams; below one, a share of its time"),
        Binding("plus,equals_sign", "faster", "Faster", key_display="+", tooltip="more streams at once"),
        Binding("x", "stop", "Stop", tooltip="stop the running step at its next safe point"),
    ]

    def __init__(self, runner: Runner, board: Board) -> None:
        super().__init__(runner)
        self._board = board
        self._order = 0

    def show_progress(self) -> None:
        self.show_list()

    def show_clock(self) -> None:
        super().show_clock()
        if self._runner.running:
            self.show_list()  # how long a stream has been silent

    # What there is

    def items(self) -> list[Row]:
        return sorted(self._rows(), key=ORDERS[self._order][1])

    def _rows(self) -> Iterator[Row]:
        groups = {table.lower(): group.name for group in self._runner.config.data.groups for table in group.tables}
        tracks = self._tracks()
        settled = self._settled()
        totals: dict[str, int] = {**settled, **self._facts("data.prepare", "tables")}
        for name in {**totals, **tracks}:
            group = groups.get(name.lower(), REST)
            track = tracks.get(name)
            if track is not None:
                progress = track.progress
                yield Row(
                    name,
                    group,
                    self._ended(progress.step, progress.state),
                    progress.done,
                    progress.total,
                    progress.unit,
                    progress.size,
                    track.rate,
                    track.left,
                )
            elif name in settled:
                yield Row(name, group, Status.PASS, settled[name], settled[name])
            else:
                yield Row(name, group, Status.PENDING, 0, totals[name])
        yield from self._files()

    def _files(self) -> Iterator[Row]:
        for track in self._board.tracks(FILES):
            one, state = track.progress, self._ended(FILES, track.progress.state)
            yield Row("(files)", "assets", state, one.done, one.total, one.unit, one.size, track.rate, track.left)

    def _tracks(self) -> dict[str, Track]:
        """The newest word on each table, of whichever step said it."""
        found: dict[str, Track] = {}
        for step in self._writing():
            for track in self._board.tracks(step):
                known = found.get(track.progress.item)
                if track.progress.part == "item" and (known is None or known.last_at <= track.last_at):
                    found[track.progress.item] = track
        return found

    def _writing(self) -> list[str]:
        data = [step.id for phase in self._runner.plan.phases for step in phase.steps if step.id.startswith(WRITES)]
        return [step for step in data if step not in NOT_TABLES] + [LAST]

    def _settled(self) -> dict[str, int]:
        """Rows of the tables that earlier consoles have copied, by the journal."""
        found: dict[str, int] = {}
        for step in self._writing():
            if self._runner.state.step(step).status.settled:
                found |= self._facts(step, "tables")
        return found

    def _facts(self, step: str, name: str) -> Mapping[str, int]:
        outcome = self._runner.state.step(step).outcome
        facts: Mapping[str, int] = outcome.facts.get(name, {}) if outcome else {}
        return facts

    def _ended(self, step: str, state: Status) -> Status:
        """What was at work when its step came to an end is so no more."""
        if state is not Status.RUNNING or self._runner.running == step:
            return state
        ended = self._runner.state.step(step).status
        return Status.INTERRUPTED if ended in (Status.PENDING, Status.RUNNING) else ended

    # What is shown

    def key(self, item: Row) -> str:
        return item.name

    def columns(self) -> list[Column]:
        wide = [Column("Copied", self._bar), Column("%", 4, True)] if self.wide else []
        return [
            Column("State", 9),
            Column("Table"),
            Column("Group", 13 if self.wide else 9),
            *wide,
            Column("Rows done/all", 13, True),
            Column("Stored", 8, True),
            Column("Rate", 9, True),
            Column("Left", 7, True),
        ]

    @property
    def _bar(self) -> int:
        """Cells of the bar where there is room for one: half of what the names do not need."""
        return (self.size.width - 96) // 2

    def cells(self, item: Row) -> list[Text]:
        at_work = item.state is Status.RUNNING
        held = at_work and self._runner.gate.paused
        share = item.done / item.total if item.total else 1.0 if item.state.settled else 0.0
        begun = item.state is not Status.PENDING and item.total is not None
        wide = [_bar(share, self._bar), Text(f"{share:.0%}")] if begun else [Text(), Text()]
        total = "?" if item.total is None else words.amount(item.total, item.unit)
        rate = f"{words.amount(item.rate, item.unit)}/s" if item.rate and not held else ""
        left = words.duration(item.left) if at_work and not held and item.left is not None else ""
        return [
            words.paused() if held else words.state(item.state),
            Text(item.name, "bold" if at_work else ""),
            Text(item.group, "dim"),
            *(wide if self.wide else []),
            Text(f"{words.amount(item.done, item.unit)}/{total}"),
            Text(words.amount(item.size, "bytes") if item.size else ""),
            Text(rate),
            Text(left),
        ]

    def heading(self, shown: Sequence[Row]) -> Text:
        rows = [row for row in shown if row.unit == "rows"]
        if not rows and not shown:
            return Text("Nothing is known of the tables yet. Next: run the phase Data; its second step counts them.")
        done, total = sum(row.done for row in rows), sum(row.total or 0 for row in rows)
        through = sum(row.state.settled for row in rows)
        failed = sum(row.state in (Status.FAIL, Status.ERROR) for row in rows)
        text = Text().append(f"{through} of {len(rows)} tables through", "bold")
        text.append(f", {failed} in trouble" if failed else "", "bold red")
        text.append(f" · {words.short_count(done)} of {words.short_count(total)} rows")
        size = sum(row.size for row in rows)
        text.append(f" · {words.amount(size, 'bytes')}" if size else "")
        text.append(self._speed(total - done))
        text.append(f" · by {ORDERS[self._order][0]}" if self._order else "", "dim")
        return text.append("\n").append_text(self._pace())

    def _speed(self, left: int) -> str:
        """How fast all streams are together, and how long the rest takes at that."""
        running = self._runner.running
        if running not in self._writing() or self._runner.gate.paused:
            return ""
        whole = next((t for t in self._board.tracks(running) if t.progress.part == "whole"), None)
        if whole is None or not whole.rate:
            return ""
        return f" · {words.short_count(whole.rate)}/s · {words.duration(left / whole.rate)} left"

    def _pace(self) -> Text:
        """The second line: the bound on the work, and what each stream does."""
        runner = self._runner
        if runner.watch:
            return Text("Live numbers are seen in the console that drives the run; here, what it has recorded.", "dim")
        if runner.running == FILES:
            kib = runner.pace.bandwidth_kib
            limit = f"{kib:,} KiB/s" if kib else "no limit"
            note = next((track.progress.note for track in self._board.tracks(FILES)), "")
            said = f"Files: {note + '; ' if note else ''}rsync has {limit}; another takes a stop: - and + ask first"
            return Text(said)
        text = Text(f"Pace: {runner.pace}")
        streams = [t for t in self._board.tracks(runner.running or "") if t.progress.part == "stream"]
        for track in streams:
            number = track.progress.item.split()[-1]
            text.append(f" · #{number} {track.progress.note} ")
            if track.progress.state is Status.RUNNING and not runner.gate.paused:
                silent = track.silent
                text.append(words.ago(silent), "bold yellow" if silent > SILENT else "green")
        if runner.gate.paused:
            text.append(" · paused: z goes on", "bold yellow")
        return text

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("pause", "stop", "slower", "faster"):
            return self._runner.running is not None or (action in ("slower", "faster") and not self._runner.watch)
        return True

    def action_order(self) -> None:
        self._order = (self._order + 1) % len(ORDERS)
        self.show_state()

    def action_pause(self) -> None:
        self.post_message(Pause())

    def action_stop(self) -> None:
        self.post_message(Stop())

    def action_slower(self) -> None:
        self.post_message(Slower())

    def action_faster(self) -> None:
        self.post_message(Faster())


def _bar(share: float, width: int) -> Text:
    full = min(int(share * width), width)
    return Text("━" * full, "green").append("─" * (width - full), "dim")

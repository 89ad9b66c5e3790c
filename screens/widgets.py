"""The parts the screens are made of: header, phases, checklist, progress, log."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import DataTable, RichLog, Static

from dixis_tui.model import Status
from dixis_tui.record.journal import Event
from dixis_tui.record.log import LogLine
from dixis_tui.record.timeline import Timekeeper
from dixis_tui.runner import Runner
from dixis_tui.step import Phase
from screens import answers, words
from screens.board import SHOWN, Board, Track

CELL_PADDING = 2  # cells a DataTable column takes beside its content
SCROLLBAR = 1


class Headline(Static):
    """Two lines: where this is and what time it is; who drives, what runs, how the window stands."""

    def __init__(self, runner: Runner) -> None:
        super().__init__(id="headline", markup=False)
        self._runner = runner
        self._keeper = Timekeeper(runner)

    def on_resize(self) -> None:
        self.show()

    def show(self) -> None:
        runner, now, width = self._runner, words.local_now(), self.size.width
        who = Text(f" {runner.operator} · {words.run_state(runner)}")
        line = self._keeper.look(now)
        window = answers.clock(line) if line.now is not None else Text()
        first = words.spread(answers.title(runner), Text(now.strftime("%H:%M:%S %Z ")), width)
        second = words.spread(who, window.append(" "), width)
        self.update(first.append("\n").append_text(second), layout=False)


class PhaseList(Static):
    """The phases of the plan, two lines each; a click goes to one."""

    class Picked(Message):
        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, runner: Runner) -> None:
        super().__init__(id="phases", markup=False)
        self._runner = runner
        self._selected: Phase | None = None

    def on_resize(self) -> None:
        if self._selected:
            self.show(self._selected)

    def show(self, selected: Phase) -> None:
        self._selected = selected
        runner, width = self._runner, max(self.size.width, 12)
        text = Text()
        for phase in runner.plan.phases:
            here = phase is selected
            title = words.shorten(f"{'>' if here else ' '}{words.phase_name(runner.plan, phase)}", width)
            text.append(title.ljust(width), "bold reverse" if here else "bold").append("\n")
            line = Text("  ").append_text(words.state(runner.order.phase_status(phase)))
            count = Text(words.done_of(runner.state, phase), "dim")
            fits = line.cell_len + count.cell_len < width
            text.append_text(words.spread(line, count, width) if fits else line).append("\n")
        rollback = runner.plan.rollback
        text.append("\n").append(words.shorten(f"^R {rollback.title}", width), "bold").append("\n  ")
        text.append_text(words.state(runner.order.phase_status(rollback)))
        self.update(text, layout=False)

    def on_click(self, event: events.Click) -> None:
        index = event.y // 2
        if index < len(self._runner.plan.phases):
            self.post_message(self.Picked(index))


class Table(DataTable[Text]):
    """A table of whole rows whose first flexible column takes what the others leave; cells are changed in place."""

    def __init__(self, widget_id: str) -> None:
        super().__init__(id=widget_id, cursor_type="row", zebra_stripes=False)
        self._shown: dict[str, tuple[str, ...]] = {}
        self._names: tuple[str, ...] = ()

    def set_columns(self, columns: Sequence[tuple[str, int]], width: int) -> int:
        """Columns as (label, cells), 0 cells for the flexible one, in a table width cells wide; what that one got."""
        used = sum(cells + CELL_PADDING for _, cells in columns)
        flexible = max(width - used - SCROLLBAR, 8)
        self.clear(columns=True)
        self._shown.clear()
        self._names = tuple(label for label, _ in columns)
        for label, cells in columns:
            self.add_column(label, width=cells or flexible, key=label)
        return flexible

    def put(self, key: str, cells: Sequence[Text]) -> None:
        """Add a row, or change those of its cells that differ."""
        plain = tuple(cell.plain for cell in cells)
        known = self._shown.get(key)
        if known is None:
            self.add_row(*cells, key=key)
        elif known != plain:
            for name, cell, old, new in zip(self._names, cells, known, plain, strict=True):
                if old != new:
                    self.update_cell(key, name, cell)
        self._shown[key] = plain

    def drop(self, key: str) -> None:
        self.remove_row(key)
        del self._shown[key]


class ProgressTable(Table):
    """What the items of one step are doing; a sum in the border's title."""

    def __init__(self, board: Board) -> None:
        super().__init__("progress")
        self._board = board
        self._layout: tuple[str, int] = ("", 0)
        self._item_width = 8

    def show(self, step_id: str, *, paused: bool) -> None:
        """Render the step's tracks. Rows are places, what matters most in the first; only changed cells are touched."""
        layout = (step_id, self.size.width)
        if layout != self._layout:
            wide = [("%", 4), ("Size", 8)] if self._wide else []
            columns = [("Item", 0), ("State", 9), ("Done", 13), *wide, ("Rate", 9), ("Left", 8)]
            self._item_width = self.set_columns(columns, self.size.width)
            self._layout = layout
        tracks = self._board.tracks(step_id)
        self.border_title = _sum(tracks)
        shown = tracks[:SHOWN]
        for place, track in enumerate(shown):
            self.put(str(place), self._cells(track, paused))
        for place in range(len(shown), self.row_count):
            self.drop(str(place))

    @property
    def _wide(self) -> bool:
        return self.size.width >= 84

    def _cells(self, track: Track, paused: bool) -> list[Text]:
        progress = track.progress
        stream, at_work = progress.part == "stream", progress.state is Status.RUNNING
        item = progress.item
        if stream:  # "#1 orders" where there is little room
            item = f"{progress.item if self._wide else '#' + progress.item.split()[-1]} {progress.note}"
        done = words.amount(progress.done, progress.unit)
        if not stream:
            done += "/" + ("?" if progress.total is None else words.amount(progress.total, progress.unit))
        rate = f"{words.amount(track.rate, progress.unit)}/s" if track.rate and not (at_work and paused) else ""
        left = ""
        if at_work and not paused:
            left = words.ago(track.silent) if stream else words.duration(track.left) if track.left is not None else ""
        size = words.amount(progress.size, "bytes") if progress.size else ""
        wide = [Text(words.share(progress).rjust(4)), Text(size.rjust(8))] if self._wide else []
        return [
            Text(words.shorten(item, self._item_width)),
            words.paused() if at_work and paused else words.state(progress.state),
            Text(done.rjust(13)),
            *wide,
            Text(rate.rjust(9)),
            Text(left.rjust(8)),
        ]


def _sum(tracks: Sequence[Track]) -> str:
    """How many items are through, and how much of what is known: as the step sums it up, else added up here."""
    items = [track.progress for track in tracks if track.progress.part == "item"]
    if not items:
        return ""
    through = sum(item.state.settled for item in items)
    failed = sum(item.state is Status.FAIL for item in items)
    trouble = f", {failed} failed" if failed else ""
    whole = next((track.progress for track in tracks if track.progress.part == "whole"), None)
    done, total = sum(item.done for item in items), sum(item.total or 0 for item in items)
    amount = whole.note if whole and whole.done else f"{done:,} of {total:,} {items[0].unit}"
    return f"{through} of {len(items)} through{trouble}, {amount}"


class Detail(VerticalScroll):
    """What is known of the selected step; long text scrolls."""

    def __init__(self) -> None:
        super().__init__(Static(id="detail-text", markup=False), id="detail")

    def show(self, text: Text, *, top: bool) -> None:
        """top: another step than before, begin at its first line."""
        self.query_one("#detail-text", Static).update(text)
        if top:
            self.scroll_home(animate=False)


class LogPane(RichLog):
    """What was said, newest last; older lines are in console.log of the run directory."""

    def __init__(self) -> None:
        super().__init__(id="log", max_lines=2000, wrap=True, markup=False, min_width=20)

    def show(self, notices: Sequence[Event | LogLine]) -> None:
        for notice in notices:
            self.write(words.log_text(notice))

"""The comparison, table by table, and the rows that differ, both sides beside each other."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Static

from dixis_tui import validation
from dixis_tui.difference import ROW, Difference
from dixis_tui.model import Status
from dixis_tui.proof import TableProof
from dixis_tui.runner import Runner
from screens import words
from screens.board import Board
from screens.view import View
from screens.widgets import Headline, Table

STATES = {"equal": Status.PASS, "differs": Status.FAIL, "error": Status.ERROR}
WORDS = {"equal": "equal", "differs": "differs", "error": "no answer"}
BACK = Binding("escape,q", "dismiss", "Back", key_display="esc")
HELP = Binding("question_mark", "app.help", "Help", key_display="?")


class ProofScreen(View, Screen[None]):
    """Every table of the latest comparison with both counts; those that differ come first."""

    AUTO_FOCUS = "#proofs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,d,q", "dismiss", "Back", key_display="esc"),
        HELP,
    ]

    def __init__(self, runner: Runner, board: Board) -> None:
        super().__init__()
        self._runner = runner
        self._board = board
        self._proofs: list[TableProof] = []
        self._step = ""

    def compose(self) -> ComposeResult:
        yield Headline(self._runner)
        yield Static(id="proof-sum", markup=False)
        yield Table("proofs")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self._lay_out()

    def on_resize(self) -> None:
        self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        columns = [("Table", 0), ("Rows, source", 13), ("target", 13), ("Values", 12), ("Differences", 11)]
        self.query_one(Table).set_columns(columns, self.size.width)
        self.show_state()

    def show_state(self) -> None:
        if not self.is_mounted:
            return
        self._step, found = validation.proofs(self._runner.events)
        self._proofs = sorted(found, key=lambda p: (p.status == "equal", -p.differences_total, -p.rows_source))
        self.query_one(Headline).show()
        self.query_one("#proof-sum", Static).update(self._sum())
        table = self.query_one(Table)
        for place, proof in enumerate(self._proofs):
            table.put(str(place), _cells(proof))
        for place in range(len(self._proofs), table.row_count):
            table.drop(str(place))

    def show_progress(self) -> None:
        self.query_one("#proof-sum", Static).update(self._sum())

    def show_clock(self) -> None:
        self.query_one(Headline).show()

    def _sum(self) -> str:
        if not self._proofs:
            what = "Nothing has been compared yet in this run."
            return what if self._at_work() else f"{what} Next: run 'Every value arrived' in the phase Validation."
        rows = sum(proof.rows_source for proof in self._proofs)
        wrong = [proof for proof in self._proofs if proof.status != "equal"]
        places = sum(proof.differences_total for proof in wrong)
        verdict = f"{len(wrong)} not equal, in {places:,} places; Enter shows them" if wrong else "every value equal"
        return f"{self._step}: {len(self._proofs)} tables, {rows:,} rows compared, {verdict}.{self._at_work()}"

    def _at_work(self) -> str:
        """What is being compared right now."""
        running = self._runner.running
        if running not in ("validation.proof", "cutover.proof"):
            return ""
        now = [track.progress for track in self._board.tracks(running) if track.progress.state is Status.RUNNING]
        return f" Now: {now[0].item}, {now[0].done:,} of {now[0].total or 0:,} rows." if now else " At work."

    @on(DataTable.RowSelected, "#proofs")
    def _open(self) -> None:
        row = self.query_one(Table).cursor_row
        if 0 <= row < len(self._proofs):
            self.app.push_screen(DifferencesScreen(self._runner, self._proofs[row]))


def _cells(proof: TableProof) -> list[Text]:
    target = "-" if proof.rows_target is None else f"{proof.rows_target:,}"
    state = Text(f"{STATES[proof.status].glyph} {WORDS[proof.status]}", words.STYLES[STATES[proof.status]])
    places = f"{proof.differences_total:,}" if proof.differences_total else ""
    return [
        Text(proof.table),
        Text(f"{proof.rows_source:,}".rjust(13)),
        Text(target.rjust(13)),
        state,
        Text(places.rjust(11)),
    ]


class DifferencesScreen(View, Screen[None]):
    """The cells of one table that are not the same; the selected one below, as long as it is."""

    AUTO_FOCUS = "#differences"
    BINDINGS: ClassVar[list[BindingType]] = [BACK, HELP]

    def __init__(self, runner: Runner, proof: TableProof) -> None:
        super().__init__()
        self._runner = runner
        self._proof = proof

    def compose(self) -> ComposeResult:
        yield Headline(self._runner)
        yield Static(self._title(), id="proof-sum", markup=False)
        yield Table("differences")
        yield VerticalScroll(Static(id="cell", markup=False), id="cell-body")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self._lay_out()

    def on_resize(self) -> None:
        self.call_after_refresh(self._lay_out)

    def show_clock(self) -> None:
        self.query_one(Headline).show()

    def _title(self) -> str:
        proof = self._proof
        if proof.status == "error":
            return f"{proof.table} could not be compared: {proof.message}"
        if proof.status == "equal":
            changed = ", ".join(f"{one.column} {one.rule} {one.rows} rows" for one in proof.conversions if one.rows)
            return f"{proof.table}: {proof.rows_source:,} rows, every value equal. {changed and 'Declared: ' + changed}"
        shown, total = len(proof.differences), proof.differences_total
        rest = "" if shown == total else f"; the first {shown} here, more with: dixis verify --table {proof.table}"
        return f"{proof.table}: {total:,} differences{rest}"

    def _lay_out(self) -> None:
        table = self.query_one(Table)
        room = max((self.size.width - 40) // 2, 12)
        table.set_columns([("Row", 16), ("Column", 14), ("Source", room), ("Target", 0)], self.size.width)
        for place, one in enumerate(self._proof.differences):
            column = "(row)" if one.column == ROW else one.column
            cells = [
                words.shorten(one.key, 16),
                words.shorten(column, 14),
                _value(one.source, room),
                _value(one.target, room),
            ]
            table.put(str(place), [Text(cell) for cell in cells])
        self._show_cell()

    @on(DataTable.RowHighlighted, "#differences")
    def _show_cell(self) -> None:
        row = self.query_one(Table).cursor_row
        found = self._proof.differences
        self.query_one("#cell", Static).update(_side_by_side(found[row]) if 0 <= row < len(found) else Text())


def _value(text: str | None, width: int = 0) -> str:
    shown = "NULL" if text is None else f"'{text}'"
    return words.shorten(shown, width) if width else shown


def _side_by_side(one: Difference) -> Text:
    text = Text()
    if one.column == ROW:
        text.append(f"{one.key}\n", "bold")
        text.append(f"source  {one.source}\ntarget  {one.target}")
        return text
    text.append(f"{one.key}, {one.column}\n", "bold")
    text.append(f"source  {_value(one.source)}\ntarget  {_value(one.target)}")
    if one.at:
        text.append(f"\nthey part at {one.at} (source, target)")
    return text

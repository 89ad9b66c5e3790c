"""The comparison, table by table, both sides beside each other, and the rows that differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget

from dixis_tui.compare import validation
from dixis_tui.compare.difference import ROW, Difference
from dixis_tui.compare.proof import TableProof
from dixis_tui.model import Status
from dixis_tui.phrase import counted
from dixis_tui.runner import Runner
from screens import words
from screens.board import Board
from screens.listing import Column
from screens.lists import Below, ListScreen

STATES = {"equal": Status.PASS, "differs": Status.FAIL, "error": Status.ERROR}
WORDS = {"equal": "equal", "differs": "differs", "error": "no answer"}


def _converted(item: TableProof) -> str:
    """What declared conversions have changed in a table."""
    told = (f"{one.column.rpartition('.')[2]} {one.rule} {one.rows:,}" for one in item.conversions if one.rows)
    return ", ".join(told)


class ProofScreen(ListScreen[TableProof]):
    """Every table of the latest comparison with both sides; those that differ come first."""

    SUBJECT = "comparison"
    INTRO = (
        "Every table of the latest comparison: rows and the sum of all rows' hashes on both sides. Hashes are salted"
        " for each comparison, so only the two sides of one line can be held against each other. Enter opens a table:"
        " the cells that differ, and the conversions that were declared for it."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("d", "back", "Back", show=False)]

    def __init__(self, runner: Runner, board: Board) -> None:
        super().__init__(runner)
        self._board = board
        self._step = ""
        self._proofs: list[TableProof] = []

    def show_list(self) -> None:
        self._step, found = validation.proofs(self._runner.events)
        self._proofs = sorted(found, key=lambda p: (p.status == "equal", -p.differences_total, -p.rows_source))
        super().show_list()

    def show_progress(self) -> None:
        if self._at_work():
            super().show_list()  # with the proofs there are: they come as events

    def items(self) -> Iterable[TableProof]:
        return self._proofs

    def key(self, item: TableProof) -> str:
        return item.table

    def columns(self) -> list[Column]:
        both = [Column("Rows, source", 12, True), Column("target", 12, True)]
        if self.wide:
            both = [Column("Rows, source", 12, True), Column("Hash", 16), Column("Rows, target", 12, True)]
            both.append(Column("Hash", 16))
        longest = max((len(_converted(proof)) for proof in self._proofs), default=0)
        changed = Column("Converted", max(9, min(longest, 30))) if self.wide else Column("Conv.", 5, True)
        values = Column("Values", 11)
        return [Column("Table"), *both, values, Column("Differ", 7, True), changed, Column("Took", 6, True)]

    def cells(self, item: TableProof) -> list[Text]:
        target = "-" if item.rows_target is None else f"{item.rows_target:,}"
        state = STATES[item.status]
        both = [Text(f"{item.rows_source:,}"), Text(target)]
        rows = sum(one.rows for one in item.conversions)
        changed = Text(words.short_count(rows) if rows else "")
        if self.wide:
            same = "" if item.hash_source == item.hash_target else "bold red"
            both = [both[0], Text(item.hash_source, "dim"), both[1], Text(item.hash_target, same or "dim")]
            changed = Text(_converted(item))
        return [
            Text(item.table),
            *both,
            Text(f"{state.glyph} {WORDS[item.status]}", words.STYLES[state]),
            Text(f"{item.differences_total:,}" if item.differences_total else ""),
            changed,
            Text(words.duration(item.seconds) if item.seconds else ""),
        ]

    def heading(self, shown: Sequence[TableProof]) -> Text:
        return Text(self._sum(), "bold")

    def _sum(self) -> str:
        if not self._proofs:
            what = "Nothing has been compared yet in this run."
            at_work = self._at_work()
            return what + at_work if at_work else f"{what} Next: run 'Every value arrived' in the phase Validation."
        rows = sum(proof.rows_source for proof in self._proofs)
        wrong = [proof for proof in self._proofs if proof.status != "equal"]
        places = sum(proof.differences_total for proof in wrong)
        verdict = f"{len(wrong)} not equal, in {places:,} places; Enter shows them" if wrong else "every value equal"
        compared = f"{counted(len(self._proofs), 'table')}, {counted(rows, 'row')} compared"
        return f"{self._step}: {compared}, {verdict}.{self._at_work()}"

    def _at_work(self) -> str:
        """What is being compared right now."""
        running = self._runner.running
        if running not in ("validation.proof", "cutover.proof"):
            return ""
        now = [track.progress for track in self._board.tracks(running) if track.progress.state is Status.RUNNING]
        return f" Now: {now[0].item}, {now[0].done:,} of {now[0].total or 0:,} rows." if now else " At work."

    def on_listing_selected(self) -> None:
        if self.selected:
            self.app.push_screen(DifferencesScreen(self._runner, self.selected))


class DifferencesScreen(ListScreen[tuple[int, Difference]]):
    """The cells of one table that are not the same; the selected one below, as long as it is."""

    SUBJECT = "differences"
    INTRO = "The cells of one table that are not the same on both sides; below, the selected one as long as it is."

    def __init__(self, runner: Runner, proof: TableProof) -> None:
        super().__init__(runner)
        self._proof = proof

    def below(self) -> Iterable[Widget]:
        yield Below()

    def items(self) -> Iterable[tuple[int, Difference]]:
        return enumerate(self._proof.differences)

    def key(self, item: tuple[int, Difference]) -> int:
        return item[0]

    def columns(self) -> list[Column]:
        room = max((self.size.width - 40) // 2, 12)
        return [Column("Row", 16), Column("Column", 14), Column("Source", room), Column("Target")]

    def cells(self, item: tuple[int, Difference]) -> list[Text]:
        one = item[1]
        column = "(row)" if one.column == ROW else one.column
        return [Text(one.key), Text(column), Text(_value(one.source)), Text(_value(one.target))]

    def plain(self, item: tuple[int, Difference]) -> str:
        return _side_by_side(item[1]).plain

    def heading(self, shown: Sequence[tuple[int, Difference]]) -> Text:
        text = Text().append(self._verdict(), "bold")
        proof = self._proof
        if proof.hash_source:
            target = "-" if proof.rows_target is None else f"{proof.rows_target:,}"
            text.append(f"\nsource  {counted(proof.rows_source, 'row')}, hash {proof.hash_source}")
            text.append(f"\ntarget  {target} rows, hash {proof.hash_target}, {words.duration(proof.seconds)}")
        return text

    def _verdict(self) -> str:
        proof = self._proof
        changed = ", ".join(
            f"{one.column} {one.rule} {counted(one.rows, 'row')}" for one in proof.conversions if one.rows
        )
        declared = f" Declared: {changed}" if changed else ""
        if proof.status == "error":
            return f"{proof.table} could not be compared: {proof.message}"
        if proof.status == "equal":
            return f"{proof.table}: {counted(proof.rows_source, 'row')}, every value equal.{declared}"
        shown, total = len(proof.differences), proof.differences_total
        rest = "" if shown == total else f"; the first {shown} here, more with: dixis verify --table {proof.table}"
        return f"{proof.table}: {counted(total, 'difference')}{rest}{declared and '.' + declared}"

    def look(self, item: tuple[int, Difference] | None) -> None:
        self.query_one(Below).show(_side_by_side(item[1]) if item else Text("No cell differs."))


def _value(text: str | None) -> str:
    return "NULL" if text is None else f"'{text}'"


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

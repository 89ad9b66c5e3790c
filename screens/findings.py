"""What a check has found, one by one: where, how many rows, a few of them, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget

from dixis_tui.model import Finding, Kind, Status
from dixis_tui.runner import Runner
from dixis_tui.step import Step
from screens import words
from screens.listing import Column
from screens.lists import ListScreen
from screens.requests import AskAgain, Waive
from screens.widgets import Detail


def waivable(runner: Runner, step: Step) -> bool:
    """Whether a person may take responsibility for the answer a check has given."""
    status = runner.state.step(step.id).status
    open_to = (Status.WARN, Status.ERROR, *([Status.FAIL] if step.waivable_fail else []))
    return step.kind is Kind.CHECK and step.waivable and status in open_to


def describe(finding: Finding) -> Text:
    """One finding, with what mends it."""
    text = Text()
    text.append_text(words.severity(finding.status)).append(f"  {finding.place}", "bold").append("\n")
    text.append(f"{finding.message}\n")
    if finding.examples:
        text.append("Rows: ", "bold cyan")
        for one in finding.examples:
            text.append(f"\n  {one.key}: ", "cyan").append(one.value)
        text.append("\n")
    if finding.remedy:
        text.append("What mends it: ", "bold cyan")
        for line in finding.remedy:
            text.append(f"\n  {line}", "dim italic" if line == "or" else "bold")
        text.append("\n")
    text.right_crop(1)
    return text


class FindingsScreen(ListScreen[tuple[int, Finding]]):
    """The findings of one check, the worst first; it follows the check when it is asked again."""

    SUBJECT = "findings"
    INTRO = "What a check has found, one by one: where, how many rows it concerns, a few of them, and what mends it."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "again", "Ask again", tooltip="ask the check again"),
        Binding("w", "waive", "Waive", tooltip="waive its answer, with name and reason"),
    ]

    def __init__(self, runner: Runner, step: Step) -> None:
        super().__init__(runner)
        self._step = step

    def below(self) -> Iterable[Widget]:
        yield Detail()

    def items(self) -> Iterable[tuple[int, Finding]]:
        outcome = self._runner.state.step(self._step.id).outcome
        return enumerate(outcome.findings if outcome else ())

    def key(self, item: tuple[int, Finding]) -> int:
        return item[0]

    def columns(self) -> list[Column]:
        widest = max((len(one.place) for _, one in self.items()), default=8)
        place = min(max(widest, 5), self.size.width // 3)
        return [Column("State", 8), Column("Where", place), Column("Rows", 7, True), Column("What")]

    def cells(self, item: tuple[int, Finding]) -> list[Text]:
        one = item[1]
        rows = Text(words.short_count(one.rows) if one.rows else "")
        return [words.severity(one.status), Text(one.place), rows, Text(one.message)]

    def plain(self, item: tuple[int, Finding]) -> str:
        one = item[1]
        return f"{one.status} {one.place} {one.message}"

    def heading(self, shown: Sequence[tuple[int, Finding]]) -> Text:
        now = self._runner.state.step(self._step.id)
        text = Text().append(self._step.title, "bold").append("  ").append_text(words.state(now.status)).append("\n")
        said = now.outcome.summary if now.outcome else self._step.why
        return text.append(words.shorten(said, 2 * self.size.width - 4), "dim")

    def look(self, item: tuple[int, Finding] | None) -> None:
        self.query_one(Detail).show(describe(item[1]) if item else Text("Nothing was found."), top=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Waiving is offered for a warning and for a check that could not be asked."""
        return waivable(self._runner, self._step) if action == "waive" else True

    def action_again(self) -> None:
        self.post_message(AskAgain(self._step.id))

    def action_waive(self) -> None:
        self.post_message(Waive(self._step.id))

    def action_copy(self) -> None:
        """The finding with its remedies, which are meant to be copied."""
        if self.selected:
            self.copy(describe(self.selected[1]).plain, "the finding with what mends it")

    def on_listing_selected(self) -> None:
        self.dismiss()

"""What a check has found, one by one: where, how many rows, a few of them, and what mends it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Static

from dixis_tui.model import Finding, Kind, Status
from dixis_tui.runner import Runner
from dixis_tui.step import Step
from screens import words
from screens.requests import AskAgain, Waive
from screens.view import View
from screens.widgets import Detail, Headline, Table

SHOWN = 500  # lines of the list: the worst come first


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


class FindingList(Table):
    """The findings of a check, the worst first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "screen.dismiss", "Back", show=False)]

    def __init__(self, runner: Runner, step: Step) -> None:
        super().__init__("findings")
        self._runner = runner
        self._step = step
        self._layout: tuple[int, int] = (0, 0)

    @property
    def findings(self) -> tuple[Finding, ...]:
        outcome = self._runner.state.step(self._step.id).outcome
        return outcome.findings[:SHOWN] if outcome else ()

    @property
    def selected(self) -> Finding | None:
        found = self.findings
        return found[self.cursor_row] if 0 <= self.cursor_row < len(found) else None

    def show(self) -> None:
        found, width = self.findings, self.size.width
        if (width, len(found)) != self._layout:
            place = min(max((len(one.place) for one in found), default=8), width // 3)
            self._place, self._layout = place, (width, len(found))
            self._message = self.set_columns([("State", 8), ("Where", place), ("   Rows", 7), ("What", 0)], width)
        for number, one in enumerate(found):
            rows = words.short_count(one.rows) if one.rows else ""
            cells = [
                words.severity(one.status),
                Text(words.shorten(one.place, self._place)),
                Text(rows.rjust(7)),
                Text(words.shorten(one.message, self._message)),
            ]
            self.put(str(number), cells)


class FindingsScreen(View, Screen[None]):
    """The findings of one check; it follows the check when it is asked again."""

    AUTO_FOCUS = "#findings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back", key_display="esc"),
        Binding("t", "again", "Ask again"),
        Binding("w", "waive", "Waive"),
        Binding("question_mark", "app.help", "Help", key_display="?"),
    ]

    def __init__(self, runner: Runner, step: Step) -> None:
        super().__init__()
        self._runner = runner
        self._step = step

    def compose(self) -> ComposeResult:
        yield Headline(self._runner)
        with Vertical(id="findings-body"):
            yield Static(id="findings-title", markup=False)
            yield FindingList(self._runner, self._step)
            yield Detail()
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.call_after_refresh(self.show_state)

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_state)

    def show_state(self) -> None:
        if not self.is_mounted:
            return
        self.query_one(Headline).show()
        now = self._runner.state.step(self._step.id)
        title = Text(self._step.title, "bold").append("  ").append_text(words.state(now.status)).append("\n")
        title.append(words.shorten(now.outcome.summary if now.outcome else self._step.why, 2 * self.size.width), "dim")
        self.query_one("#findings-title", Static).update(title)
        self.query_one(FindingList).show()
        self._show_finding()
        self.refresh_bindings()

    def show_clock(self) -> None:
        self.query_one(Headline).show()

    @on(DataTable.RowHighlighted, "#findings")
    def _show_finding(self) -> None:
        one = self.query_one(FindingList).selected
        text = describe(one) if one else Text("Nothing was found.")
        self.query_one(Detail).show(text, top=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Waiving is offered for a warning and for a check that could not be asked."""
        return waivable(self._runner, self._step) if action == "waive" else True

    def action_again(self) -> None:
        self.post_message(AskAgain(self._step.id))

    def action_waive(self) -> None:
        self.post_message(Waive(self._step.id))

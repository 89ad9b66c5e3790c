"""Every step of the plan in one list, to find one by a few letters and go there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.text import Text

from dixis_tui.runner import Runner
from dixis_tui.step import Step
from screens import words
from screens.listing import Column
from screens.lists import ListScreen


class StepsScreen(ListScreen[Step]):
    """The whole plan; Enter goes to a step. go: shows a step where it is done."""

    SUBJECT = "steps"
    INTRO: ClassVar[str] = (
        "Every step of every phase with its state and its answer. Type / and a part of anything a line holds, fail say,"
        " to see only those; Enter goes to the step."
    )

    def __init__(self, runner: Runner, go: Callable[[str], None]) -> None:
        super().__init__(runner)
        self._go = go

    def items(self) -> Iterable[Step]:
        return [step for phase in self._runner.plan.phases for step in phase.steps]

    def key(self, item: Step) -> str:
        return item.id

    def columns(self) -> list[Column]:
        answer = [Column("Answer")] if self.wide else []
        title = 46 if self.wide else 0
        return [Column("State", 13), Column("Phase", 12), Column("Step", title), Column("Kind", 8), *answer]

    def cells(self, item: Step) -> list[Text]:
        now = self._runner.state.step(item.id)
        said = Text(now.outcome.summary if now.outcome else "", "dim")
        phase = self._runner.plan.phase_of(item.id)
        cells = [words.state(now.status), Text(phase.title, "dim"), Text(item.title), Text(item.kind, "dim")]
        return [*cells, said] if self.wide else cells

    def plain(self, item: Step) -> str:
        now = self._runner.state.step(item.id)
        said = now.outcome.summary if now.outcome else ""
        return f"{now.status} {self._runner.plan.phase_of(item.id).title} {item.title} {item.kind} {item.id} {said}"

    def heading(self, shown: Sequence[Step]) -> Text:
        settled = sum(self._runner.state.step(step.id).status.settled for step in shown)
        text = Text().append(f"{settled} of {len(shown)} steps are done", "bold")
        return text.append(". Enter goes to the selected one.")

    def on_listing_selected(self) -> None:
        if self.selected:
            self.dismiss()
            self._go(self.selected.id)

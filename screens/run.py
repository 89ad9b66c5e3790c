"""The main screen: phases at the side, the checklist of one, what is known of one step, progress, the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import DataTable, Static

from dixis_tui.model import Kind
from dixis_tui.record.journal import Event
from dixis_tui.record.log import LogLine
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step
from screens import words
from screens.board import Board
from screens.checklist import Checklist
from screens.dashboard import Dashboard
from screens.detail import describe
from screens.evidence import EvidenceScreen
from screens.findings import FindingsScreen, waivable
from screens.footer import Footer
from screens.proof import ProofScreen
from screens.requests import AllAgain, AskAgain, DoStep, Pause, RunPhase, Stop, Waive
from screens.view import View
from screens.widgets import Detail, LogPane, PhaseList, ProgressTable

EARLIER = 200  # events of the journal shown in the log when the console opens


# What changes the run, or how it goes on; nothing of it is for a watcher.
ACTS = ("again", "all_again", "pause", "resume", "run_phase", "sign", "stop", "waive")
# The phases whose rows are compared.
COMPARED = ("data", "validation", "cutover")

# Below this there is no room for more than the checklist, and below that for nothing.
SMALL_WIDTH, SMALL_HEIGHT = 72, 22
LEAST_WIDTH, LEAST_HEIGHT = 40, 10


class RunScreen(View, Screen[None]):
    """Renders the run; every decision is a request to the application."""

    AUTO_FOCUS = "#checklist"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "do", "Do step", show=False),
        Binding("left,left_square_bracket", "turn(-1)", "Previous phase", show=False),
        Binding("right,right_square_bracket", "turn(1)", "Next phase", show=False),
        *[Binding(str(number), f"phase({number})", f"Phase {number}", show=False) for number in range(10)],
        Binding("r", "run_phase", "Run"),
        Binding("R", "all_again", "All again", show=False),
        Binding("t", "again", "Ask again", show=False),
        Binding("n", "next", "Next"),
        Binding("s", "sign", "Sign"),
        Binding("w", "waive", "Waive"),
        Binding("r,s,w", "busy", show=False),
        Binding("x", "stop", "Stop"),
        Binding("z", "pause", "Pause"),
        Binding("z", "resume", "Go on"),
        Binding("e", "evidence", "Evidence"),
        Binding("d", "proof", "Differences"),
        Binding("m", "app.monitor", "Monitor", show=False),
        Binding("p", "progress", "Progress", show=False),
        Binding("l", "log", "Log size", show=False),
        Binding("T", "app.theme", "Theme", show=False),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, runner: Runner, board: Board) -> None:
        super().__init__()
        self._runner = runner
        self._board = board
        upcoming = runner.order.next_step()
        self._phase = runner.plan.phase_of(upcoming.id) if upcoming else runner.plan.phases[-1]
        self._shown_step = ""
        self._hide_progress = False

    def compose(self) -> ComposeResult:
        yield Static(id="too-small", markup=False)
        yield Dashboard(self._runner, self._board)
        with Horizontal(id="body"):
            yield PhaseList(self._runner)
            with Vertical(id="main"):
                yield Checklist(self._runner)
                yield Static(id="hint", markup=False)
                with Container(id="lower"):
                    yield ProgressTable(self._board)
                    yield Detail()
                yield LogPane()
        yield Footer()

    def on_mount(self) -> None:
        self.query_one(LogPane).show(self._runner.events[-EARLIER:])
        self.show_state()

    def on_resize(self) -> None:
        width, height = self.size
        self.set_class(width < SMALL_WIDTH, "-thin")
        self.set_class(height < SMALL_HEIGHT, "-flat")
        self.set_class(width < LEAST_WIDTH or height < LEAST_HEIGHT, "-tiny")
        self.query_one("#too-small", Static).update(
            f"{width} × {height} is too small for the console; it wants 80 × 24. What runs goes on. Ctrl+R: rollback"
        )
        self.call_after_refresh(self.show_state)

    def on_screen_resume(self) -> None:
        self.show_state()

    # What the application tells

    def show_state(self) -> None:
        if not self.is_mounted or not self.query(Checklist):  # none while the screen comes or goes
            return
        self.query_one(Dashboard).show()
        self.query_one(PhaseList).show(self._phase)
        self.query_one(Checklist).show(self._phase)
        self.query_one("#hint", Static).update(words.hint(self._runner, self._phase))
        self._follow()
        self._show_step()
        self.refresh_bindings()

    def show_progress(self) -> None:
        step = self.step
        seen = step is not None and self._board.has(step.id) and not self._hide_progress
        running = step is not None and self._runner.running == step.id
        self.set_class(seen and running, "-progress")
        self.set_class(seen, "-progressed")
        if seen and step is not None:
            self.query_one(ProgressTable).show(step.id, paused=running and self._runner.gate.paused)

    def show_log(self, notices: Sequence[Event | LogLine]) -> None:
        self.query_one(LogPane).show(notices)

    def show_clock(self) -> None:
        for dashboard in self.query(Dashboard):  # none while the screen comes or goes
            dashboard.show()
        if self._runner.running and self.query(ProgressTable):
            for checklist in self.query(Checklist):
                checklist.show(self._phase)  # how long the step has been at work
            self.show_progress()  # how long a stream has been silent

    # What is selected

    @property
    def plan(self) -> Plan:
        return self._runner.plan

    @property
    def step(self) -> Step | None:
        """The step under the cursor."""
        row = self.query_one(Checklist).cursor_row
        return self._phase.steps[row] if 0 <= row < len(self._phase.steps) else None

    def go(self, step_id: str) -> None:
        """Show that step of the plan."""
        self._turn_to(self._runner.plan.phase_of(step_id))
        self.query_one(Checklist).select(step_id)
        self._show_step()

    def _turn_to(self, phase: Phase) -> None:
        self._phase = phase
        self.show_state()

    def _follow(self) -> None:
        running, checklist = self._runner.running, self.query_one(Checklist)
        if running and checklist.follow and self._runner.plan.phase_of(running) is self._phase:
            checklist.select(running)

    @on(DataTable.RowHighlighted, "#checklist")
    def _show_step(self) -> None:
        step = self.step
        if step is None:
            return
        self.query_one(Detail).show(describe(self._runner, step), top=step.id != self._shown_step)
        self._shown_step = step.id
        self.show_progress()
        self.refresh_bindings()

    @on(DataTable.RowSelected, "#checklist")
    def _clicked(self) -> None:
        self.action_do()

    @on(PhaseList.Picked)
    def _picked(self, event: PhaseList.Picked) -> None:
        self.action_phase(event.index)

    # What the operator asks

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that mean something now are offered; in 80 columns the footer has no room for others."""
        if not self.is_mounted:
            return True
        if self._runner.watch and action in (*ACTS, "busy"):
            return action == "busy"  # its answer says who may act
        running, step = self._runner.running is not None, self.step
        match action:
            case "stop" | "busy":
                return running
            case "pause" | "resume":
                return running and self._runner.gate.paused == (action == "resume")
            case "proof":
                return self._phase.id in COMPARED
            case "run_phase":
                return not running
            case "sign":
                return step is not None and step.work is None and not running
            case "waive":
                return step is not None and not running and waivable(self._runner, step)
        return True

    def action_do(self) -> None:
        """Do the selected step; of a check that has found something, show what."""
        if self.step is None:
            return
        now = self._runner.state.step(self.step.id)
        if now.outcome and now.outcome.findings and now.status.ended:
            self.app.push_screen(FindingsScreen(self._runner, self.step))
            return
        self.query_one(Checklist).follow = True
        self.post_message(DoStep(self.step.id))

    def action_again(self) -> None:
        if self.step and self.step.kind is Kind.CHECK:
            self.post_message(AskAgain(self.step.id))

    def action_all_again(self) -> None:
        if self._phase.side_by_side:
            self.post_message(AllAgain(self._phase.id))

    def action_sign(self) -> None:
        self.action_do()

    def action_busy(self) -> None:
        """What changes the run has to wait; the application says for what."""
        if self.step:
            self.post_message(DoStep(self.step.id))

    def action_run_phase(self) -> None:
        self.query_one(Checklist).follow = True
        self.post_message(RunPhase(self._phase.id))

    def action_waive(self) -> None:
        if self.step:
            self.post_message(Waive(self.step.id))

    def action_stop(self) -> None:
        self.post_message(Stop())

    def action_pause(self) -> None:
        self.post_message(Pause())

    def action_resume(self) -> None:
        self.post_message(Pause())

    def action_next(self) -> None:
        """Go to the running step, or else to the first one that is not settled."""
        upcoming = self._runner.order.next_step()
        target = self._runner.running or (upcoming.id if upcoming else None)
        self.query_one(Checklist).follow = True
        if target and self._runner.plan.phase_of(target) is not self._runner.plan.rollback:
            self.go(target)

    def action_turn(self, by: int) -> None:
        phases = self._runner.plan.phases
        self._turn_to(phases[(phases.index(self._phase) + by) % len(phases)])

    def action_phase(self, number: int) -> None:
        if number < len(self._runner.plan.phases):
            self._turn_to(self._runner.plan.phases[number])

    def action_evidence(self) -> None:
        if self.step:
            self.app.push_screen(EvidenceScreen(self._runner, self.step))

    def action_proof(self) -> None:
        self.app.push_screen(ProofScreen(self._runner, self._board))

    def action_progress(self) -> None:
        self._hide_progress = not self._hide_progress
        self.show_progress()

    def action_log(self) -> None:
        self.toggle_class("-big-log")

"""What a plan lets happen now: the order of its steps, what they need of each other, and the days they wait for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from dixis_tui.model import Kind, Status
from dixis_tui.record import outline
from dixis_tui.record.journal import WAITS_FOR, RunState
from dixis_tui.step import Phase, Plan, Step


class Order:
    """Answers from the plan, the state of the run at that moment and the day; it changes nothing."""

    def __init__(self, plan: Plan, state: Callable[[], RunState], today: Callable[[], date]) -> None:
        self._plan = plan
        self._state = state
        self._today = today

    def phase_status(self, phase: Phase) -> Status:
        """One word for a phase: the worst of its steps once one has ended, pending before the first has begun."""
        return outline.standing([self._state().step(step.id).status for step in phase.steps])

    def settled(self, phase: Phase) -> bool:
        """Whether nothing of a phase is open today."""
        return all(self._state().step(step.id).status.settled or self.too_early(step) for step in phase.steps)

    def next_step(self) -> Step | None:
        """The first step of the plan that is not settled and whose day has come; None when there is none."""
        for phase in self._plan.phases:
            for step in phase.steps:
                if not self._state().step(step.id).status.settled and not self.too_early(step):
                    return step
        return None

    def too_early(self, step: Step) -> str:
        """Why a step's day has not come, empty when it has or it has none."""
        if not step.day:
            return ""
        due = self._state().day(step.day)
        if due is None:
            return f"day {step.day} of the week after is counted from the opening of the shop on the target"
        return f"day {step.day} is {due:%A, %d %B}" if due > self._today() else ""

    def missed(self) -> list[Step]:
        """Sign-offs whose day is over without a signature."""
        found = []
        for step in (step for phase in self._plan.phases for step in phase.steps if step.day):
            due = self._state().day(step.day)
            if due is not None and due < self._today() and not self._state().step(step.id).status.settled:
                found.append(step)
        return found

    def obstacle(self, step: Step) -> str | None:
        """What the plan's order, or the calendar, has against a step now."""
        if early := self.too_early(step):
            return early
        phase = self._plan.phase_of(step.id)
        if step.kind is Kind.CHECK or phase is self._plan.rollback:
            return None
        if self._state().rollback_begun:
            return "a rollback was begun and has not come to its end; finish it first"
        if phase.before_switch and self._state().switched:
            return "the application is on the target and this would replace its rows; roll back first"
        for earlier in self._plan.phases:
            if earlier is phase:
                break
            if self._state().switched and all(before.kind is Kind.CHECK for before in earlier.steps):
                continue  # questions about the time before the switch
            for before in earlier.steps:
                if before.kind is Kind.SIGNOFF and self._may_wait(earlier, phase):
                    continue
                if not self._state().step(before.id).status.settled:
                    return f"{before.id} comes first ({self._state().step(before.id).status})"
        for before in phase.steps:
            if before is step or step.day:  # a day's sign-off waits for no other step of the phase
                return None
            status = self._state().step(before.id).status
            if not status.settled and not (step.kind is Kind.SIGNOFF and before.kind is Kind.SIGNOFF):
                return f"{before.id} comes first ({status})"
        return None

    def _may_wait(self, earlier: Phase, phase: Phase) -> bool:
        """Whether the sign-offs of an earlier phase are not yet asked for by this one."""
        if not earlier.signed_before:
            return False
        phases = self._plan.phases
        return phases.index(phase) < phases.index(self._plan.phase(earlier.signed_before))

    def unmet(self, step: Step) -> str:
        """The first of the checks a step needs that is not well, empty when all are."""

        def well(need: str) -> bool:
            now = self._state().step(need)
            waits = now.outcome is not None and WAITS_FOR in now.outcome.facts
            return now.status.settled and not (now.status is Status.SKIP and waits)

        return next((need for need in step.needs if not well(need)), "")

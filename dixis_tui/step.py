"""Steps, phases and the plan, as data: what there is to do, in which order, and who may do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dixis_tui.context import Context
from dixis_tui.model import DixisError, Kind, Outcome


@dataclass(frozen=True)
class Step:
    """One line of a phase's checklist.

    id: `phase.name`, stable, used by the journal, the docs and the command line.
    why: one sentence for the newcomer. work: does it, in a thread, and answers; None for sign-offs and gates.
    preview: what an action would do, as SQL or command lines with secrets left out.
    undo: how it is taken back. word: what the operator must type before it runs, empty for nothing; a confirmation in
    production always wants the database's name. roles: who must sign a gate. waivable: whether a person may take
    responsibility for a check that did not pass; waivable_fail: also for one whose answer is no. needs: checks of the
    same phase that must be well before this one can be asked; without them it is skipped. day: the day after the night
    on which a sign-off is due, and before which nobody can give it; 0 for any time.
    """

    id: str
    title: str
    kind: Kind
    why: str
    work: Callable[[Context], Outcome] | None = None
    preview: Callable[[Context], list[str]] | None = None
    undo: str = ""
    word: Callable[[Context], str] | None = None
    roles: tuple[str, ...] = ()
    waivable: bool = True
    waivable_fail: bool = True
    needs: tuple[str, ...] = ()
    day: int = 0

    def __post_init__(self) -> None:
        if (self.work is None) != (self.kind in (Kind.SIGNOFF, Kind.GATE)):
            raise ValueError(f"step {self.id}: checks and actions have work, sign-offs and gates have none")
        if self.kind is Kind.ACTION and not (self.preview and self.undo):
            raise ValueError(f"action {self.id} must show what it would do and say how it is undone")


@dataclass(frozen=True)
class Phase:
    """An ordered part of the plan.

    go_on: keep running steps after one has failed (checks that stand alone). side_by_side: how many of its checks may
    run at the same time; 0 runs its steps in order. minutes: when it should be finished,
    counted from the opening of the window; None outside the window. before_switch: its actions may not run while the
    application is on the target, whose rows they would replace. signed_before: the phase by which its sign-offs must be
    there, where that is not the next one. invalidates: phases whose answers no longer count once
    this one starts over.
    """

    id: str
    title: str
    steps: tuple[Step, ...]
    go_on: bool = False
    side_by_side: int = 0
    minutes: int | None = None
    before_switch: bool = False
    signed_before: str = ""
    invalidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The phases in order, and the rollback that stands beside them."""

    phases: tuple[Phase, ...]
    rollback: Phase
    _steps: dict[str, Step] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        steps: dict[str, Step] = {}
        for phase in (*self.phases, self.rollback):
            for step in phase.steps:
                if step.id in steps or not step.id.startswith(phase.id + "."):
                    raise ValueError(f"step id {step.id} is taken or does not belong to phase {phase.id}")
                if unknown := [need for need in step.needs if need not in steps]:
                    raise ValueError(f"step {step.id} needs {unknown[0]}, which does not come before it")
                steps[step.id] = step
        object.__setattr__(self, "_steps", steps)

    def step(self, step_id: str) -> Step:
        """The step of that id; KeyError when there is none."""
        return self._steps[step_id]

    def phase(self, phase_id: str) -> Phase:
        """The phase of that id, the rollback included; DixisError names the ones there are."""
        for phase in (*self.phases, self.rollback):
            if phase.id == phase_id:
                return phase
        known = ", ".join(phase.id for phase in (*self.phases, self.rollback))
        raise DixisError(f"There is no phase named {phase_id!r}.", next_step=f"use one of: {known}")

    def phase_of(self, step_id: str) -> Phase:
        return self.phase(step_id.split(".", 1)[0])

"""The plan of a run as its journal keeps it: names, order and times, so that a report needs nothing but the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from dixis_tui.config import Config
from dixis_tui.model import Kind, Status
from dixis_tui.record.journal import Event
from dixis_tui.step import Phase, Plan

PLAN = "plan"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class StepOutline(_Frozen):
    """day: of the week after, on which it is due; 0 for the night's own."""

    id: str
    title: str
    kind: Kind
    day: int = 0


class PhaseOutline(_Frozen):
    """minutes: by when it is to be done, from the opening of the window; None outside the window."""

    id: str
    title: str
    minutes: int | None
    steps: tuple[StepOutline, ...]


class Outline(_Frozen):
    """people: who is expected in which role. phases: in the plan's order, the rollback last."""

    name: str = ""
    environment: str = ""
    source: str = ""
    database: str = ""
    server: str = ""
    application: str = ""
    window_minutes: int = 120
    people: Mapping[str, str] = {}
    emergency_contact: str = ""
    phases: tuple[PhaseOutline, ...] = ()

    @property
    def plan(self) -> Sequence[PhaseOutline]:
        return [phase for phase in self.phases if phase.id != "rollback"]

    def title(self, step_id: str) -> str:
        """The title of a step, its id where the plan does not know it."""
        return next((step.title for phase in self.phases for step in phase.steps if step.id == step_id), step_id)


def of(plan: Plan, config: Config) -> Outline:
    """The outline of a plan and its configuration."""
    target = config.target_section
    host = f"{config.host.ssh.user}@{config.host.ssh.address}:" if config.host.ssh else ""
    return Outline(
        name=config.run.name,
        environment=config.run.environment,
        source=str(config.source.path),
        database=target.database if target else "",
        server=f"{target.host}:{target.port}" if target else "",
        application=f"{host}{config.app.root}",
        window_minutes=config.run.window_minutes,
        people=config.people.roles(),
        emergency_contact=config.people.emergency_contact,
        phases=tuple(_phase(phase) for phase in (*plan.phases, plan.rollback)),
    )


def _phase(phase: Phase) -> PhaseOutline:
    steps = tuple(StepOutline(id=step.id, title=step.title, kind=step.kind, day=step.day) for step in phase.steps)
    return PhaseOutline(id=phase.id, title=phase.title, minutes=phase.minutes, steps=steps)


def recorded(events: Iterable[Event]) -> Outline:
    """The latest outline a journal holds; an empty one where it holds none."""
    latest = Outline()
    for event in events:
        if event.kind == PLAN:
            latest = Outline.model_validate(event.data)
    return latest


def standing(statuses: Sequence[Status]) -> Status:
    """One word for a phase: the worst of its steps once one has ended, pending before the first has begun."""
    for worst in (Status.RUNNING, Status.ERROR, Status.FAIL, Status.INTERRUPTED):
        if worst in statuses:
            return worst
    if all(status.settled for status in statuses):
        return Status.WARN if Status.WARN in statuses else Status.PASS
    return Status.PENDING

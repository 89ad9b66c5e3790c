"""The plan: the phases of a migration in order, put together from the modules that do the work."""

from __future__ import annotations

from collections.abc import Sequence

from dixis_tui.backups import first
from dixis_tui.compare import validation
from dixis_tui.config import Config
from dixis_tui.copy import transfer
from dixis_tui.hosts import assets
from dixis_tui.model import Kind
from dixis_tui.monitoring import criteria, monitor
from dixis_tui.schemas import schema
from dixis_tui.server import session, tuning
from dixis_tui.step import Phase, Plan, Step
from dixis_tui.switch import cutover, rollback

# Minutes after the window has opened by which the operators' plan wants a phase done.
MINUTES = {"schema": 15, "data": 45, "assets": 75, "validation": 90, "cutover": 120}

# Checks of the Preflight phase that run at the same time: enough that one which waits does not hold the others.
SIDE_BY_SIDE = 6

INVALIDATES = {"schema": ("data", "validation", "cutover"), "data": ("validation", "cutover")}


def _validation(config: Config) -> tuple[Step, ...]:
    steps = validation.steps(config)
    checks = tuple(step for step in steps if step.kind is Kind.CHECK)
    return (*checks, cutover.trial(), session.trial(), *(step for step in steps if step not in checks))


def _watch(config: Config) -> tuple[Step, ...]:
    """One reading, the criteria of success, and what is signed on the days after."""
    steps = monitor.steps(config)
    checks = tuple(step for step in steps if step.kind is Kind.CHECK)
    signed = (step for step in steps if step not in checks)
    return (first.step(), *checks, tuning.step(), session.watched(), *criteria.steps(), *signed)


def _preflight(config: Config, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Nobody vouches for a rehearsal whose journal the console reads itself."""
    checked = config.run.rehearsal is not None
    return tuple(step for step in steps if not (checked and step.id == "preflight.signed.rehearsal"))


def build(config: Config, preflight: Sequence[Step]) -> Plan:
    """The plan for this configuration; preflight holds the checks to begin with."""
    phases = (
        ("preflight", "Preflight", _preflight(config, preflight)),
        ("schema", "1 Schema", schema.steps(config)),
        ("data", "2 Data", transfer.steps(config)),
        ("assets", "3 Assets", assets.steps(config)),
        ("validation", "4 Validation", _validation(config)),
        ("cutover", "Cutover", cutover.steps(config)),
        ("watch", "Watch", _watch(config)),
    )
    return Plan(
        phases=tuple(
            Phase(
                id=name,
                title=title,
                steps=steps,
                # Checks stand alone: the operator wants all their answers at once.
                go_on=name in ("preflight", "watch"),
                side_by_side=SIDE_BY_SIDE if name == "preflight" else 0,
                minutes=MINUTES.get(name),
                signed_before="cutover" if name == "preflight" else "",
                before_switch=name in ("schema", "data"),
                invalidates=INVALIDATES.get(name, ()),
            )
            for name, title, steps in phases
        ),
        rollback=rollback.phase(config),
    )

"""The checks of the Preflight phase. `preflight()` gives them as steps, in the order an operator wants the answers."""

from __future__ import annotations

from checks import data, env, infra, keys, plan, registry, rehearsal, schema, signoffs, timing
from checks.registry import Check
from dixis_tui.step import Step

FAMILIES = (env, infra, schema, data, keys, plan, timing, rehearsal)


def all_checks() -> tuple[Check, ...]:
    """Every check, family by family; one that another needs stands before it."""
    ordered: dict[str, Check] = {}

    def add(check: Check) -> None:
        for need in check.needs:
            add(registry.REGISTRY[need])
        ordered.setdefault(check.id, check)

    for family in FAMILIES:
        for check in of_family(family.__name__):
            add(check)
    return tuple(ordered.values())


def of_family(module: str) -> tuple[Check, ...]:
    """The checks of one module, as they are registered."""
    return tuple(check for check in registry.REGISTRY.values() if check.ask.__module__ == module)


def preflight() -> tuple[Step, ...]:
    """The checks, and what a person has to confirm beforehand."""
    return (*(check.step() for check in all_checks()), *signoffs.steps())

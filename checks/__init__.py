"""The checks of the Preflight phase. `preflight()` gives them as steps, in the order an operator wants the answers."""

from __future__ import annotations

from checks import application, configuration, source, space, target
from checks.registry import REGISTRY, Check
from dixis_tui.step import Step

FAMILIES = (configuration, source, target, application, space)


def all_checks() -> tuple[Check, ...]:
    """Every check, family by family."""
    return tuple(check for family in FAMILIES for check in REGISTRY.values() if check.ask.__module__ == family.__name__)


def preflight() -> tuple[Step, ...]:
    return tuple(check.step() for check in all_checks())

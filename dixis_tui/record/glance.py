"""What a run is, for those who look on: its plan and what the screens show of its configuration, in one file.

The file is written when a console takes the run over. It holds no secret and no way to one: of the configuration only
the fields named here are taken, never commands, addresses with keys in them, or where passwords are kept. A plan read
from it can be shown, and does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.model import DixisError, Kind
from dixis_tui.record.live import replace_file
from dixis_tui.step import Phase, Plan, Step

NAME = "run.json"
SHOWN: Mapping[str, frozenset[str]] = {
    "run": frozenset(("name", "environment", "operator", "window_minutes")),
    "people": frozenset(("lead", "database_review", "technical_approval")),
    "source": frozenset(("path", "location")),
    "target": frozenset(("host", "port", "database", "user", "charset", "collation", "time_zone")),
    "app": frozenset(("root",)),
}


class NoRunError(DixisError):
    """A folder does not say what run is in it."""


def write(folder: Path, plan: Plan, config: Config) -> None:
    """Put the outline into a run's folder. Raises OSError when it cannot be written."""
    told = {
        "config": shown(config),
        "phases": [_phase(phase) for phase in plan.phases],
        "rollback": _phase(plan.rollback),
    }
    replace_file(folder / NAME, json.dumps(told, ensure_ascii=False, indent=1))


def read(folder: Path) -> tuple[Plan, Config]:
    """The plan and the configuration of the run in a folder, to look at. Raises NoRunError."""
    try:
        told = json.loads((folder / NAME).read_text(encoding="utf-8"))
        phases = [_phase_of(one) for one in (*told["phases"], told["rollback"])]
        config = told["config"]
        config["run"]["directory"] = str(folder)
        if config["target"] is not None:
            config["target"]["password"] = {"prompt": True}
        return Plan(tuple(phases[:-1]), phases[-1]), Config.model_validate(config)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoRunError(
            f"There is no run in {folder}: it has no {NAME}.",
            safe="nothing was changed",
            next_step="name the folder of [run] directory; a console that has driven the run once leaves that file",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise NoRunError(
            f"{folder / NAME} cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}.",
            safe="nothing was changed",
            next_step="look with the same version of dixis as the console that drives, as a user who may read it",
        ) from error


def shown(config: Config) -> dict[str, Any]:
    """The part of a configuration that others may see."""
    sections: dict[str, Any] = {}
    for name, wanted in SHOWN.items():
        section: BaseModel | None = getattr(config, "target_section" if name == "target" else name)
        sections[name] = None if section is None else section.model_dump(mode="json", include=set(wanted))
    return sections


def _phase(phase: Phase) -> dict[str, Any]:
    return {**_plain(phase), "steps": [_plain(step) for step in phase.steps]}


def _plain(part: Step | Phase) -> dict[str, Any]:
    """The fields of a step or phase that are words and numbers; what it does stays behind."""
    values = {one.name: getattr(part, one.name) for one in fields(part) if one.name != "steps"}
    return {name: value for name, value in values.items() if not callable(value)}


def _phase_of(told: dict[str, Any]) -> Phase:
    return Phase(**{**_known(Phase, told), "steps": tuple(_step_of(step) for step in told["steps"])})


def _step_of(told: dict[str, Any]) -> Step:
    values = _known(Step, told)
    kind = Kind(values["kind"])
    work = None if kind in (Kind.SIGNOFF, Kind.GATE) else _refuse
    preview = _refuse if kind is Kind.ACTION else None
    return Step(**{**values, "kind": kind, "work": work, "preview": preview})


def _known(kind: type[Step] | type[Phase], told: Mapping[str, Any]) -> dict[str, Any]:
    """What another version has more is left out; JSON has lists for tuples."""
    known = {one.name for one in fields(kind)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items() if name in known}


def _refuse(_: Context) -> NoReturn:
    raise DixisError("This console only watches the run.", next_step="act in the console that drives it")

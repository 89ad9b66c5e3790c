"""docs/plan.md: every line of the operators' plan has its row, and whatever a row names exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import click
import pytest

import checks
from dixis_tui import plan
from dixis_tui.cli import cli
from dixis_tui.config import Config, Section, models_in

PAGE = Path(__file__).parent.parent / "docs/plan.md"
HEAD = ["| item | done by | how |", "| --- | --- | --- |"]

# How many lines of the plan each part of it has. A line that is lost here is a line that nobody does.
LINES = {
    "Current state": 4,
    "Target state": 4,
    "Infrastructure requirements": 5,
    "Environment configuration": 4,
    "Database setup": 4,
    "Laravel migration": 2,
    "Indexes and constraints": 6,
    "Data priority": 12,
    "Migration commands": 3,
    "Image assets": 4,
    "Asset process": 4,
    "Data integrity checks": 3,
    "Functional testing": 9,
    "Database tuning": 6,
    "Connection settings": 7,
    "Environment variables": 11,
    "Cache configuration": 3,
    "Health checks": 3,
    "Performance monitoring": 4,
    "Rollback process": 5,
    "Rollback commands": 6,
    "A week before": 4,
    "The day": 6,
    "The week after": 4,
    "Technical success": 5,
    "Business success": 5,
    "People": 4,
}


def parts() -> dict[str, list[list[str]]]:
    """The rows of the page by part, each as its three cells."""
    found = {}
    for text in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, *lines = [line for line in text.splitlines() if line.strip()]
        assert lines[:2] == HEAD, title
        found[title] = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return found


ROWS = [
    (f"{title}/{row[0]}", name)
    for title, rows in parts().items()
    for row in rows
    for name in re.findall("`(.+?)`", row[1])
]


def test_every_line_of_the_plan_has_its_row() -> None:
    found = parts()
    assert {title: len(rows) for title, rows in found.items()} == LINES
    for title, rows in found.items():
        assert all(len(row) == 3 for row in rows), title
        assert len({row[0] for row in rows}) == len(rows), title
        assert [row[0] for row in rows if not re.fullmatch(r"(`[^`]+` ?)+", row[1])] == [], title


@cache
def steps() -> frozenset[str]:
    """Every step of a plan that leaves nothing out."""
    settings = Config.model_validate(
        {
            "run": {"environment": "rehearsal"},
            "source": {"path": "shop.sqlite"},
            "target": {"host": "db", "database": "shop", "user": "shop", "password": {"prompt": True}},
            "app": {"root": "/var/www"},
            "assets": {"source": "assets"},
        }
    )
    built = plan.build(settings, checks.preflight())
    return frozenset(step.id for phase in (*built.phases, built.rollback) for step in phase.steps)


@pytest.mark.parametrize(("row", "name"), ROWS, ids=lambda text: str(text).replace(" ", "-"))
def test_what_a_row_names_exists(row: str, name: str) -> None:
    if name.startswith("dixis "):
        assert is_command(name.split()[1:]), f"{row}: no command {name}"
    elif name.startswith("["):
        section, _, key = name.removeprefix("[").partition("] ")
        assert is_key(section, key), f"{row}: no key {name}"
    else:
        assert name in steps(), f"{row}: no step {name}"


def is_command(words: list[str]) -> bool:
    """True for the words of a command, and of its options where some follow."""
    command: click.Command = cli
    for number, word in enumerate(words):
        if word.startswith("--"):
            known = {option for parameter in command.params for option in parameter.opts}
            return {one for one in words[number:] if one.startswith("--")} <= known
        following = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if following is None:
            return False
        command = following
    return not isinstance(command, click.Group)


def is_key(section: str, key: str) -> bool:
    """True for a key of the configuration, by its section."""
    models: list[type[Section]] = [Config]
    for name in (*section.split("."), key):
        fields = {field.alias or own: field for model in models for own, field in model.model_fields.items()}
        if name not in fields:
            return False
        models = list(models_in(fields[name].annotation))
    return True


def test_names_that_are_not_there_are_noticed() -> None:
    assert not is_command(["no-such"])
    assert not is_command(["tune"])
    assert not is_command(["tune", "show", "--no-such"])
    assert is_command(["tune", "apply", "--yes"])
    assert not is_key("tuning", "no_such")
    assert is_key("target.tls", "ca")
    assert not is_key("no_such", "variables")
    assert "preflight.no.such" not in steps()

"""The remedies of many findings put together: one piece of configuration, and the statements that mend the source.

A remedy's lines are read as they are printed: TOML under a `[header]`, SQL that ends in a semicolon, comments. Of ways
out that stand beside each other, the first counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli

from dixis_tui.model import Finding, Status

# Lists that a remedy gives whole, with every entry that works; all others grow.
WHOLE = {("schema", "indexes"), ("schema", "fulltext"), ("assets", "columns")}
HERE = "-- in the source:"


@dataclass
class Remedies:
    """config: tables and lists of the configuration; source: statements for the SQLite database; other: lines for
    somebody's hands, each once."""

    config: dict[str, Any] = field(default_factory=dict)
    source: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def toml(self) -> str:
        """The configuration's part as text."""
        return "\n".join(_toml(self.config, ()))

    def lines(self) -> Iterator[str]:
        """Everything, to be read by a person."""
        if self.config:
            yield "# for the configuration"
            yield from _toml(self.config, ())
        if self.source:
            yield "-- for the source"
            yield from self.source
        if self.other:
            yield "# and besides"
            yield from self.other


def together(findings: Iterable[Finding]) -> Remedies:
    """The remedies of all findings that warn or fail."""
    found = Remedies()
    for finding in findings:
        if finding.status is not Status.PASS:
            _take(found, list(finding.remedy))
    # An index on a text that is no column stands in the way of every renaming.
    found.source.sort(key=lambda statement: not statement.startswith("DROP INDEX"))
    return found


def _take(found: Remedies, lines: list[str]) -> None:
    first = lines[: lines.index("or")] if "or" in lines else lines
    block: list[str] = []
    at_source = False
    for line in first:
        if line.startswith("["):
            _merge(found, block)
            block = [line]
        elif block and " = " in line:
            block.append(line)
        elif line == HERE:
            at_source = True
        elif at_source and line.endswith(";"):
            found.source += [] if line in found.source else [line]
        elif not line.startswith("#") and line not in found.other:
            found.other.append(line)
    _merge(found, block)


def _merge(found: Remedies, block: list[str]) -> None:
    if block:
        _into(found.config, tomli.loads("\n".join(block)), ())


def _into(config: dict[str, Any], more: Mapping[str, Any], path: tuple[str, ...]) -> None:
    for key, value in more.items():
        here = (*path, key)
        if isinstance(value, dict):
            _into(config.setdefault(key, {}), value, here)
        elif isinstance(value, list) and here not in WHOLE and path != ("plan",):
            known = config.setdefault(key, [])
            known += [one for one in value if one not in known]
        elif isinstance(value, list) and here in WHOLE and isinstance(value[0] if value else None, dict):
            known = {one["name"]: one for one in config.get(key, [])}
            config[key] = list((known | {one["name"]: one for one in value}).values())
        else:
            config[key] = value


def _toml(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {key: value for key, value in table.items() if not _is_table(value)}
    if plain and path:
        yield f"[{'.'.join(path)}]"
    for key, value in plain.items():
        yield f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}"
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _toml(value, (*path, _key(key)))
        elif _is_table(value):
            for one in value:
                yield f"[[{'.'.join((*path, _key(key)))}]]"
                for name, part in one.items():
                    yield f"{_key(name)} = {json.dumps(part, ensure_ascii=False)}"


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _key(name: str) -> str:
    return (
        name
        if name.isascii() and name.replace("_", "").replace("-", "").isalnum()
        else json.dumps(name, ensure_ascii=False)
    )

"""JSON texts that MySQL's JSON does not keep: it drops keys given twice, and holds numbers in 64 bits or as doubles."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from dixis_tui.phrase import counted

FUNCTION = "dixis_json"
LOWEST, HIGHEST = -(1 << 63), (1 << 64) - 1
DEEPEST = 100
# So many digits a double always tells.
DIGITS = 15


class _LostError(ValueError):
    """What MySQL would not keep of a text."""


def open_in(connection: sqlite3.Connection) -> None:
    """Make dixis_json(bytes) known: an aggregate that answers how many texts MySQL would not keep, and why the first
    of them; NULL when it keeps them all."""
    connection.create_aggregate(FUNCTION, 1, _Lost)  # type: ignore[arg-type]


class _Lost:
    def __init__(self) -> None:
        self._count = 0
        self._why = ""

    def step(self, value: bytes | None) -> None:
        if value is not None and (why := loss(value)):
            self._count += 1
            self._why = self._why or why

    def finalize(self) -> str | None:
        return (
            f"{counted(self._count, 'value is', 'values are')} not kept by MySQL's JSON: {self._why}"
            if self._count
            else None
        )


def loss(value: bytes) -> str:
    """What MySQL's JSON would not keep of a text, empty when it keeps all that it means."""
    try:
        text = value.decode()
        held = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
        if "\\ud" in text.lower():
            json.dumps(held, ensure_ascii=False).encode()
    except _LostError as lost:
        return str(lost)
    except UnicodeEncodeError:
        return "half a character"
    except RecursionError:
        return "nested too deep"
    except ValueError:
        return "no valid JSON"
    return "nested too deep" if text.count("[") + text.count("{") > DEEPEST and _depth(held) > DEEPEST else ""


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _LostError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in an object")
    return made


def _integer(text: str) -> int:
    if len(text) > 18 and not LOWEST <= int(text) <= HIGHEST:
        raise _LostError(f"{text} has more than 64 bits")
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number) or (len(text) > DIGITS and Decimal(repr(number)) != Decimal(text)):
        raise _LostError(f"{text} is a number that no double tells exactly")
    return number


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _depth(held: Any) -> int:
    """How many arrays and objects are in one another at most."""
    deepest, level = 0, [held]
    while level:
        inner = [part for part in level if isinstance(part, list | dict)]
        deepest += bool(inner)
        level = [one for part in inner for one in (part.values() if isinstance(part, dict) else part)]
    return deepest

"""Two values that are not the same, written so that a person sees where they part."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

# Characters shown of a long value, and how many of them stand before the first difference.
WIDTH, BEFORE = 60, 20
ROW, PRESENT, MISSING = "*", "present", "missing"


class Difference(BaseModel):
    """One cell that is not the same on both sides, or, with column "*", a row that one side has more often.

    key: names the row; source, target: the values as shown, None for NULL; at: where two texts begin to differ.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    column: str
    source: str | None
    target: str | None
    at: str = ""


def of_cell(key: str, column: str, mine: bytes | None, theirs: bytes | None) -> Difference:
    """The difference of two values, None for NULL; bytes that are no text are shown in hexadecimal."""
    one, other = _text(mine), _text(theirs)
    at, start = "", 0
    if mine is not None and theirs is not None:
        if one is not None and other is not None:
            start = _parting(one, other)
            at = f"character {start + 1}: {_point(one, start)}, {_point(other, start)}"
        else:
            byte = _parting(mine, theirs)
            start = 2 * byte
            at = f"byte {byte + 1}: {_octet(mine, byte)}, {_octet(theirs, byte)}"
            one, other = mine.hex(), theirs.hex()
    else:
        one, other = _hexadecimal(one, mine), _hexadecimal(other, theirs)
    return Difference(key=key, column=column, source=_shown(one, start), target=_shown(other, start), at=at)


def of_row(key: str, mine: int, theirs: int) -> Difference:
    """The difference of a row that stands so often on each side."""
    return Difference(key=key, column=ROW, source=_times(mine), target=_times(theirs))


def named(columns: tuple[str, ...], values: tuple[bytes | None, ...]) -> str:
    """A key for people, such as `id = 5`."""
    parts = (
        f"{column} = {_shown(_hexadecimal(_text(value), value), 0)}"
        for column, value in zip(columns, values, strict=True)
    )
    return ", ".join(parts)


def _times(count: int) -> str:
    return {0: MISSING, 1: PRESENT}.get(count, f"{count} times")


def _text(value: bytes | None) -> str | None:
    """The value as text, None where it is none."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _hexadecimal(text: str | None, value: bytes | None) -> str | None:
    return value.hex() if text is None and value is not None else text


def _parting(one: Sequence[object], other: Sequence[object]) -> int:
    """The position from which two texts are not the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _point(text: str, position: int) -> str:
    return f"U+{ord(text[position]):04X}" if position < len(text) else "the end"


def _octet(value: bytes, position: int) -> str:
    return f"{value[position]:02x}" if position < len(value) else "the end"


def _shown(text: str | None, start: int) -> str | None:
    """The part of a text around a position, with everything that cannot be seen written out."""
    if text is None:
        return None
    first = max(0, start - BEFORE) if len(text) > WIDTH else 0
    part = "".join(map(_visible, text[first : first + WIDTH]))
    if part[-1:] == " " and first + WIDTH >= len(text):
        part = part[:-1] + "\\x20"
    return ("…" if first else "") + part + ("…" if first + WIDTH < len(text) else "")


def _visible(character: str) -> str:
    """A character as it is, else its escape: control and combining ones, other kinds of space, backslashes."""
    if character.isprintable() and not unicodedata.combining(character) and character != "\\":
        return character
    code = ord(character)
    short = character.encode("unicode_escape").decode()
    return short if short != character else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

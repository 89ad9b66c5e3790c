"""Whether two names are one person."""

from __future__ import annotations

import unicodedata


def person(name: str) -> str:
    """The name without what people write now so, now otherwise: case, accents, spaces, characters nobody sees."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    kept = (sign for sign in plain if unicodedata.category(sign)[0] not in "MCZ")
    return "".join(kept).casefold()


def count(people: list[tuple[str, str]]) -> int:
    """How many different people these are, each with name and fingerprint of their key (empty: none).

    The same name or the same key is the same person; a full stop or a hyphen more makes nobody another.
    """
    groups: list[set[str]] = []
    for name, key in people:
        marks = {f"name {_letters(person(name))}", *([f"key {key}"] if key else [])}
        apart = [group for group in groups if not group & marks]
        groups = [*apart, marks.union(*(group for group in groups if group & marks))]
    return len(groups)


def _letters(name: str) -> str:
    return "".join(sign for sign in name if unicodedata.category(sign)[0] in "LN")

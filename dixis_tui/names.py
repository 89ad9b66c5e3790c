"""Names on the target: which it can have, and which it takes for the same."""

from __future__ import annotations

import hashlib
import unicodedata

from dixis_tui.catalogue import Table

NAME_LIMIT = 64


def table_obstacle(table: Table) -> str:
    """Why the target cannot have a table of that name, empty when it can."""
    return name_obstacle(table.name)


def name_obstacle(name: str) -> str:
    if len(name) > NAME_LIMIT:
        return f"has a name of more than {NAME_LIMIT} characters"
    if name != name.rstrip(" ") or not name:
        return "has a name that ends in a space, which the server refuses"
    if any(ord(letter) > 0xFFFF or letter == "\0" for letter in name):
        return "has a name with a character that the server takes in no name"
    return ""


def folded(name: str) -> str:
    """A name as the server compares names of columns and keys: without case and accents."""
    plain = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    return plain.casefold()


def shorten(name: str) -> str:
    """A name of at most 64 characters, still unlike others that begin alike."""
    if len(name) <= NAME_LIMIT:
        return name
    return name[: NAME_LIMIT - 9] + "_" + hashlib.sha256(name.encode()).hexdigest()[:8]


def free(name: str, used: set[str]) -> str:
    """The name, shortened and numbered as needed to be unlike all used ones, which it joins."""
    short = shorten(name.rstrip(" "))
    free, number = short, 2
    while folded(free) in used:
        free, number = f"{short[: NAME_LIMIT - 4]}_{number}", number + 1
    used.add(folded(free))
    return free

"""A Laravel `.env` file: read it, change some keys, leave every other byte as it is."""

from __future__ import annotations

import io
from collections.abc import Mapping

from dotenv import dotenv_values
from dotenv.parser import parse_stream


def values(text: str) -> dict[str, str]:
    """Keys and values as the application sees them; a key without a value is ''."""
    return {key: value or "" for key, value in dotenv_values(stream=io.StringIO(text)).items()}


def changed(text: str, changes: Mapping[str, str]) -> str:
    """The text with each key of changes set: replaced wherever it stands, appended when it is nowhere."""
    parts: list[str] = []
    seen: set[str] = set()
    for binding in parse_stream(io.StringIO(text)):
        original = binding.original.string
        if binding.key is not None and binding.key in changes and not binding.error:
            seen.add(binding.key)
            ending = original[len(original.rstrip("\r\n")) :]
            # blank lines before a key belong to its binding
            before = original[: len(original) - len(original.lstrip())]
            parts.append(f"{before}{binding.key}={quoted(changes[binding.key])}{ending}")
        else:
            parts.append(original)
    result = "".join(parts)
    if result and not result.endswith("\n"):
        result += "\n"
    return result + "".join(f"{key}={quoted(value)}\n" for key, value in changes.items() if key not in seen)


def quoted(value: str) -> str:
    """A value as the application's dotenv reader takes it.

    Bare when it is plain; in single quotes, where nothing has a meaning, when it can be; else in double quotes with
    backslash, quote and dollar escaped.
    """
    if value.isascii() and all(c.isalnum() or c in "-_./:+@%" for c in value):
        return value
    if not any(c in value for c in "'\\\n"):
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'

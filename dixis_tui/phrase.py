"""Numbers as people say them: how many of a thing, and for how long."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """How many of a thing: 1 table, 2 tables, 1,234 rows. plural: where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """In at most 7 characters: 0.4s, 12s, 1m 23s, 2h 05m."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def roughly(seconds: float) -> str:
    """In whole words, to the minute from one minute on: 40 seconds, 12 minutes, 2 hours 5 minutes."""
    minutes = round(seconds / 60)
    if seconds < 59.5:
        return counted(round(seconds), "second")
    if minutes < 60:
        return counted(minutes, "minute")
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        return counted(round(hours / 24), "day")
    return counted(hours, "hour") + (f" {counted(rest, 'minute')}" if rest else "")

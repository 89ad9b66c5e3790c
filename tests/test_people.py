"""Whether two names that sign are one person."""

from __future__ import annotations

import pytest

from dixis_tui.record.people import count


@pytest.mark.parametrize(
    ("first", "second", "people"),
    [
        ("Μαρία", "ΜΑΡΙΑ", 1),
        ("Nikos P.", "nikos p", 1),
        ("Anna-Maria", "anna maria", 1),
        ("...", "---", 1),
        ("Μαρία", "Μάριος", 2),
    ],
)
def test_the_same_name_written_otherwise_is_one_person(first: str, second: str, people: int) -> None:
    assert count([(first, ""), (second, "")]) == people

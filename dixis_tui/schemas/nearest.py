"""Names that may be meant by one that is not there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

SHOWN = 3


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """The likeliest first: names that begin with it, names that share its words (the last word says most), names
    spelled alike."""
    begins = [other for other in names if other.lower().startswith(name.lower() + "_")]
    words = _words(name)
    scored = [(sum(2**place for place, word in enumerate(words) if word in _words(other)), other) for other in names]
    sharing = [other for score, other in sorted(scored, key=lambda one: (-one[0], len(one[1]))) if score]
    alike = difflib.get_close_matches(name, names, n=2, cutoff=0.7)
    return list(dict.fromkeys([*begins, *(sharing or alike), *alike]))[:SHOWN]


def _words(name: str) -> list[str]:
    """The words of a name, without the s of a plural."""
    return [word if len(word) < 4 else word.rstrip("s") for word in re.split(r"[_\W]+", name.lower()) if len(word) > 2]

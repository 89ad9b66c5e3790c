"""Values over time as text: a line of blocks, and a plot with its threshold drawn in; readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.text import Text

BLOCKS = " ▁▂▃▄▅▆▇█"
OVER = "▲"  # in a line: past the limit
THRESHOLD = "╌"
AXIS = 8  # cells left of a plot

Value = float | None


def columns(
    points: Sequence[tuple[float, Value]], begin: float, end: float, width: int, *, lowest: bool
) -> list[Value]:
    """Values by time as so many columns, the worst of each; None where there is none. lowest: less is worse."""
    found: list[Value] = [None] * width
    for at, value in points:
        if value is None or not begin < at <= end:
            continue
        place = min(int((at - begin) / (end - begin) * width), width - 1)
        known = found[place]
        found[place] = value if known is None else min(known, value) if lowest else max(known, value)
    return found


def _filled(values: Sequence[Value], reach: int) -> list[Value]:
    """The same with each value standing for so many columns before it: a sample tells of the time up to it."""
    found, last, age = list(values), None, 0
    for place, value in reversed(list(enumerate(values))):
        if value is not None:
            last, age = value, 0
        elif last is not None and age < reach:
            age += 1
            found[place] = last
    return found


def scale(values: Sequence[Value], limit: Value, *, lowest: bool) -> tuple[float, float]:
    """The least and the greatest value of a plot in which the limit can be seen."""
    known = [value for value in values if value is not None]
    if lowest:  # a percentage that must not fall: what matters is near its top
        least = min([*known, limit if limit is not None else 100.0])
        return max(least - (100.0 - least) * 0.25, 0.0) if least < 100 else 0.0, 100.0
    most = max([*known, 0.0])
    if limit is not None and most < limit:
        # A limit far above would press all values to the ground: then it is named, not drawn.
        most = limit * 1.1 if most > limit / 20 else most * 1.25
    return 0.0, most or 1.0


def line(values: Sequence[Value], limit: Value, *, lowest: bool = False, reach: int = 0) -> Text:
    """Values as one line of blocks; what is past the limit is a triangle."""
    shown = _filled(values, reach)
    least, most = scale(shown, limit, lowest=lowest)
    text = Text()
    for value in shown:
        if value is None:
            text.append(" ")
        elif limit is not None and (value < limit if lowest else value > limit):
            text.append(OVER, "bold red")
        else:
            text.append(BLOCKS[1 + round((len(BLOCKS) - 2) * min((value - least) / (most - least), 1.0))])
    return text


def plot(values: Sequence[Value], limit: Value, height: int, *, lowest: bool = False, reach: int = 0) -> list[Text]:
    """Values as columns over so many lines, an axis at the left, the limit as a dashed line through it."""
    shown = _filled(values, reach)
    least, most = scale(shown, limit, lowest=lowest)
    step = (most - least) / height
    at = None if limit is None or not least <= limit <= most else min(int((limit - least) / step), height - 1)
    lines = []
    for row in reversed(range(height)):
        label = _number(limit) if row == at and limit is not None else ""
        if not label and row in (0, height - 1):
            label = _number(least if row == 0 else most)
        text = Text(f"{label:>{AXIS - 2}} ", "bold" if row == at else "dim").append("┼" if row == at else "│")
        cells: list[tuple[str, str]] = []
        for value in shown:
            filled = 0.0 if value is None else (value - least) / step - row
            past = value is not None and limit is not None and (value < limit if lowest else value > limit)
            block = BLOCKS[max(0, min(8, round(8 * filled)))]
            if value is not None and row == 0 and block == " ":
                block = BLOCKS[1]  # a value of nothing is not the same as no value
            style = "bold red" if past else "green"
            cells.append((THRESHOLD, "bold") if block == " " and row == at else (block, style if block != " " else ""))
        for style, run in groupby(cells, key=lambda cell: cell[1]):
            text.append("".join(block for block, _ in run), style)
        lines.append(text)
    return lines


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value / 1000:.3g}k"

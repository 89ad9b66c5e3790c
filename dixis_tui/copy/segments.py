"""What a comparison of tables is made of: how each is compared, its segments, and the rows that differ in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from dixis_tui.copy.copying import Job
from dixis_tui.schemas.contents import ColumnContents
from dixis_tui.schemas.names import Names
from dixis_tui.schemas.rows import INTEGER_KINDS, Field
from dixis_tui.schemas.shape import ShapeColumn, ShapeIndex

T = TypeVar("T")
# A row's values as bytes, None for NULL.
Values = tuple[bytes | None, ...]


@dataclass(frozen=True)
class Compared:
    """A table to compare. column: the integer its segments are ranges of, empty when both sides have none they can
    walk along; keyed: that column alone tells its rows apart, on both sides."""

    job: Job
    fields: tuple[Field, ...]
    column: str = ""
    keyed: bool = False

    @property
    def name(self) -> str:
        return self.job.name


def compared(
    job: Job,
    columns: Sequence[ShapeColumn],
    indexes: Sequence[ShapeIndex],
    contents: Mapping[str, ColumnContents],
    names: Names,
) -> Compared:
    """How to compare a table; columns, indexes: of the target; generated columns are compared as well. names: what is
    called otherwise there."""
    there = {column.name.lower(): column for column in columns}
    known = {item.source.name: item for item in job.fields}
    fields = []
    for column in job.table.columns:
        target = there.get(names.column(job.table.name, column.name).lower())
        if target is not None:
            fields.append(known.get(column.name) or Field(column, contents[column.name], target))
    key = job.table.primary_key
    first = known.get(key[0]) if key else None
    walked = (
        first is not None
        and first.target.kind in INTEGER_KINDS
        and first.holds.integers == first.holds.values
        and not first.holds.nulls
        and any(index.columns[:1] == (first.target.name,) for index in indexes)
    )
    alone = first is not None and any(index.unique and index.columns == (first.target.name,) for index in indexes)
    return Compared(job, tuple(fields), key[0] if walked else "", walked and len(key) == 1 and alone)


@dataclass(frozen=True)
class Span:
    """Rows by ranges of an integer column: above after, up to until; None for no bound."""

    after: int | None = None
    until: int | None = None

    def where(self, column: str) -> str:
        """The condition as SQL that both sides read, `1 = 1` for all rows."""
        bounds = [f"{column} > {self.after}"] if self.after is not None else []
        bounds += [f"{column} <= {self.until}"] if self.until is not None else []
        return " AND ".join(bounds) or "1 = 1"


@dataclass(frozen=True)
class Sums:
    """count: rows; total: sum of 64 bits of each row's hash."""

    count: int
    total: int


@dataclass
class Unlike:
    """Rows of a span that are not the same on both sides.

    Of a keyed table: changed, only_source, only_target hold keys. Of others: source has the row's address and its hash,
    as often as it stands there and not on the target; target has hashes and how often they are there in excess; again
    has the addresses of the source's own rows among those, which go and come back when all of a hash are deleted;
    counts has how often each of these hashes is on both sides.
    """

    span: Span
    changed: list[int] = field(default_factory=list)
    only_source: list[int] = field(default_factory=list)
    only_target: list[int] = field(default_factory=list)
    source: list[tuple[str, str]] = field(default_factory=list)
    target: Counter[str] = field(default_factory=Counter)
    again: list[str] = field(default_factory=list)
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.changed or self.only_source or self.only_target or self.source or self.target)


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))

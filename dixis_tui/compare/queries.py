"""Questions asked of both sides: the plan's own SQL checks, with the columns that are there, and the operator's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from dixis_tui.config import Config, Query
from dixis_tui.context import Context
from dixis_tui.model import Outcome, failed, passed, warned
from dixis_tui.phrase import counted
from dixis_tui.source import latest_snapshot, reading
from dixis_tui.target import Row, TargetConnection, TargetError, connected, query

# Sums and averages are computed in decimal on one side and in binary on the other: they agree to so much. The rows
# themselves are compared exactly, by the proof.
RELATIVE, ABSOLUTE = Decimal("1e-11"), Decimal("1e-6")
# Rows of an answer that are compared and shown.
ROWS = 50


@dataclass(frozen=True)
class Answer:
    """What both sides said to one question; trouble: why one of them could not be asked."""

    query: Query
    source: tuple[Row, ...] = ()
    target: tuple[Row, ...] = ()
    trouble: str = ""

    @property
    def same(self) -> bool:
        if self.trouble or len(self.source) != len(self.target):
            return False
        pairs = zip(self.source, self.target, strict=True)
        return all(len(a) == len(b) and all(map(_same, a, b)) for a, b in pairs)

    def lines(self) -> list[str]:
        if self.trouble:
            return [f"{self.query.title}: {self.trouble}"]
        mine, theirs = _told(self.source), _told(self.target)
        return [f"{self.query.title}: {mine}" if self.same else f"{self.query.title}: source {mine}, target {theirs}"]


def planned(config: Config) -> Iterator[Query]:
    """The SQL checks of the operators' plan, and the numbers behind its business metrics."""
    for table in config.validation.probe_tables:
        yield Query(title=f"Rows of {table}", sql=f"SELECT COUNT(*) FROM {table}")
    yield Query(
        title="Products without a producer",
        sql="SELECT COUNT(*) FROM products p LEFT JOIN producers pr ON p.producer_id = pr.id WHERE pr.id IS NULL",
    )
    vat = config.vat
    yield Query(title="Average VAT of an order", sql=f"SELECT AVG({vat.tax}) FROM {vat.table} WHERE {vat.tax} > 0")
    yield Query(
        title="Users who can log in", sql="SELECT COUNT(*) FROM users WHERE password IS NOT NULL AND password <> ''"
    )
    yield Query(
        title="Orders and their worth", sql=f"SELECT COUNT(*), SUM({vat.total}), SUM({vat.tax}) FROM {vat.table}"
    )
    yield Query(title="Payments", sql="SELECT COUNT(*), SUM(amount) FROM payments")
    yield from config.validation.queries


def check_queries(ctx: Context) -> Outcome:
    """Ask both sides everything; what the source itself cannot answer is a warning, a different answer a failure."""
    own = set(ctx.config.validation.queries)
    with connected(ctx.config.target) as target, reading(latest_snapshot(ctx)) as source:
        answers = []
        for asked in planned(ctx.config):
            ctx.check_stop()
            answers.append(_ask(source, target, asked))
    wrong = [answer for answer in answers if not answer.same and not answer.trouble]
    unasked = [answer for answer in answers if answer.trouble]
    evidence = [line for answer in [*wrong, *unasked] for line in answer.lines()]
    evidence += [line for answer in answers if answer.same for line in answer.lines()]
    if wrong:
        return failed(
            f"{len(wrong)} of {len(answers)} questions have another answer on the target",
            evidence,
            ["see validation.proof for the rows that differ, then run the phase data again"],
        )
    if any(answer.query in own for answer in unasked):
        return failed("a question of [[validation.queries]] could not be asked", evidence, ["mend its SQL"])
    if unasked:
        return warned(
            f"{len(answers) - len(unasked)} questions have the same answer, {len(unasked)} do not suit this shop",
            evidence,
            ["[vat] and [validation] probe_tables name the tables and columns the plan's questions are about"],
        )
    return passed(f"{counted(len(answers), 'question')}, the same answer on both sides", evidence)


def _ask(source: sqlite3.Connection, target: TargetConnection, asked: Query) -> Answer:
    try:
        mine = tuple(source.execute(asked.sql).fetchmany(ROWS))
    except sqlite3.Error as error:
        return Answer(asked, trouble=f"the source cannot be asked: {error}")
    try:
        theirs = tuple(query(target, asked.target_sql or asked.sql)[:ROWS])
    except TargetError as error:
        return Answer(asked, trouble=f"the target cannot be asked: {error.what}")
    return Answer(asked, mine, theirs)


def _same(mine: Any, theirs: Any) -> bool:
    if mine is None or theirs is None or isinstance(mine, bytes):
        return bool(mine == theirs)
    try:
        one, other = Decimal(str(mine)), Decimal(str(theirs))
    except InvalidOperation:
        return str(mine) == str(theirs)
    return abs(one - other) <= ABSOLUTE + RELATIVE * abs(one)


def _told(found: tuple[Row, ...]) -> str:
    return "; ".join(", ".join(_shown(value) for value in row) for row in found) or "nothing"


def _shown(value: Any) -> str:
    if isinstance(value, float | Decimal):
        return f"{value:,.2f}"
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)

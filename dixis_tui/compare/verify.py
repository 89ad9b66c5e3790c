"""Counts, orphans and tax amounts on both sides: what a person would ask first."""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from dixis_tui.config import Vat
from dixis_tui.context import Context
from dixis_tui.model import Outcome, Progress, Status, failed, passed, warned
from dixis_tui.phrase import counted
from dixis_tui.schemas import catalogue, conversions, shape
from dixis_tui.schemas.names import Names
from dixis_tui.schemas.orphans import ForeignKey, foreign_keys, orphans
from dixis_tui.schemas.readings import copied_tables, names_on
from dixis_tui.source import latest_snapshot, reading
from dixis_tui.target import Row, TargetConnection, connected, identifier, query

CENT = Decimal("0.01")
SHOWN = 10
# Parts of an order's total that change what its tax is counted from, where the table has them.
SHIPPING, DISCOUNT = "shipping_cost", "discount_amount"


class TableCount(BaseModel):
    """Rows of one table on both sides. rows_target is None when the target has no such table.

    set_aside: rows that a declared conversion has put into quarantine; they are no difference.
    """

    model_config = ConfigDict(frozen=True)

    table: str
    rows_source: int
    rows_target: int | None
    status: Literal["equal", "different", "missing"]
    set_aside: int = 0


# Counts


def compare_counts(
    source: sqlite3.Connection,
    target: TargetConnection,
    tables: Iterable[str],
    set_aside: Mapping[str, int] | None = None,
    names: Names | None = None,
) -> list[TableCount]:
    """Rows of each table on both sides. set_aside: rows in quarantine, by the target's name of the table; names: what
    is called otherwise there."""
    there = {name: name for name in shape.table_names(target)}
    counts = []
    for table in tables:
        mine = int(source.execute(f"SELECT count(*) FROM {catalogue.name(table)}").fetchone()[0])
        own = names.table(table) if names else table
        name = shape.named(there, own)
        if name is None:
            counts.append(TableCount(table=table, rows_source=mine, rows_target=None, status="missing"))
            continue
        theirs = int(query(target, f"SELECT COUNT(*) FROM {identifier(name)}")[0][0])
        aside = (set_aside or {}).get(own, 0)
        status: Literal["equal", "different"] = "equal" if mine == theirs + aside else "different"
        counts.append(TableCount(table=table, rows_source=mine, rows_target=theirs, status=status, set_aside=aside))
    return counts


def _counts(ctx: Context, target: TargetConnection) -> list[TableCount]:
    snapshot = latest_snapshot(ctx)
    aside = conversions.set_aside(target, ctx.run_id, snapshot.taking)
    with reading(snapshot) as source:
        schema = catalogue.read_schema(source)
        names = names_on(ctx, target, schema)
        copied = [table.name for table in copied_tables(ctx.config, schema)]
        return compare_counts(source, target, copied, aside, names)


def check_counts(ctx: Context) -> Outcome:
    """Compare the counts of every copied table."""
    with connected(ctx.config.target) as target:
        counts = _counts(ctx, target)
    width = max((len(count.table) for count in counts), default=5)
    evidence = [f"{'table':<{width}} {'source':>10} {'target':>10}"]
    evidence += [
        f"{c.table:<{width}} {c.rows_source:>10} {'-' if c.rows_target is None else c.rows_target:>10}"
        + ("" if c.status == "equal" else f"  {c.status}")
        + (f"  {c.set_aside} set aside" if c.set_aside else "")
        for c in counts
    ]
    wrong = [count.table for count in counts if count.status != "equal"]
    total = sum(count.rows_source for count in counts)
    if wrong:
        return failed(
            f"{len(wrong)} of {len(counts)} tables differ: {', '.join(wrong[:5])}",
            evidence,
            ["run the phase data again; it carries on where it stopped"],
        )
    return passed(
        f"{counted(len(counts), 'table')}, {counted(total, 'row')}, all equal", evidence, tables=len(counts), rows=total
    )


# Orphans


def _wanted_keys(ctx: Context, target: TargetConnection) -> list[ForeignKey]:
    """The target's foreign keys, and those of the source that the target lacks."""
    keys = foreign_keys(target)
    columns = {
        table.lower(): {column.name.lower() for column in there} for table, there in shape.all_columns(target).items()
    }
    seen = {_same(key.table, key.columns, key.parent) for key in keys}
    with reading(latest_snapshot(ctx)) as source:
        schema = catalogue.read_schema(source)
    names = names_on(ctx, target, schema)
    for table in map(names.renamed, schema.tables):
        for key in table.foreign_keys:
            there = {column.lower() for column in key.columns} <= columns.get(table.name.lower(), set())
            parent = bool(key.references) and {c.lower() for c in key.references} <= columns.get(
                key.table.lower(), set()
            )
            signed = f"{table.name}.({', '.join(key.columns)})" in ctx.config.schema_section.leave_out
            if there and parent and not signed and _same(table.name, key.columns, key.table) not in seen:
                keys.append(ForeignKey("", table.name, key.columns, key.table, key.references))
    return keys


def _same(table: str, columns: Sequence[str], parent: str) -> tuple[str, ...]:
    return (table.lower(), parent.lower(), *(column.lower() for column in columns))


def all_orphans(ctx: Context, target: TargetConnection) -> dict[str, int]:
    """Rows without a parent, by foreign key; only those that have any."""
    found = {}
    for key in _wanted_keys(ctx, target):
        ctx.check_stop()
        if rows := orphans(target, key).rows:
            found[str(key)] = rows
    return found


def check_orphans(ctx: Context) -> Outcome:
    """Look along every foreign key for rows without a parent."""
    with connected(ctx.config.target) as target:
        keys = _wanted_keys(ctx, target)
        found = []
        for number, key in enumerate(keys, 1):
            ctx.check_stop()
            answer = orphans(target, key)
            if answer.rows:
                found.append(answer)
            ctx.progress(Progress("validation.orphans", "foreign keys", number, len(keys), "keys"))
    ctx.progress(Progress("validation.orphans", "foreign keys", len(keys), len(keys), "keys", Status.PASS))
    if found:
        return failed(
            f"{sum(each.rows for each in found)} orphans along {len(found)} of {len(keys)} foreign keys",
            [
                f"{each.key}: {counted(each.rows, 'row')}, such as {', '.join(str(row) for row in each.examples)}"
                for each in found
            ],
            ["mend these rows in the source (they are there too), then run the phases data and validation again"],
        )
    return passed(f"{len(keys)} foreign keys, no orphans")


# VAT


def check_vat(ctx: Context) -> Outcome:
    """Tax on both sides is equal to the cent, and every order's tax lies between what the rates allow."""
    vat = ctx.config.vat
    with connected(ctx.config.target) as target, reading(latest_snapshot(ctx)) as source:
        there = {table.lower(): columns for table, columns in shape.all_columns(target).items()}
        names = [column.name for column in there.get(vat.table.lower(), ())]
        missing = [column for column in (vat.tax, vat.total) if column not in names]
        if missing:
            near = [match for column in missing for match in difflib.get_close_matches(column, names, n=2, cutoff=0.5)]
            return warned(
                f"{vat.table} has no column {' and no '.join(missing)}",
                [f"columns alike: {', '.join(near)}"] if near else [],
                ["[vat] in the configuration: set table, tax and total to the columns that hold them"],
            )
        mine = _taxes_of_source(source, vat)
        theirs = query(
            target,
            f"SELECT COUNT(*), COALESCE(SUM({identifier(vat.tax)}), 0), COALESCE(SUM({identifier(vat.total)}), 0),"
            f" COALESCE(AVG({identifier(vat.tax)}), 0) FROM {identifier(vat.table)} WHERE {identifier(vat.tax)} > 0",
        )[0]
        outside = _outside_rates(target, vat, names)
        exact = _at_rates(target, vat) if vat.base in names else []
    evidence = [
        f"orders with tax   source {mine[0]}, target {theirs[0]}",
        f"tax in all        source {mine[1]}, target {_money(theirs[1])}",
        f"their totals      source {mine[2]}, target {_money(theirs[2])}",
        f"average tax       {_money(theirs[3])}",
        *exact,
    ]
    if (mine[0], mine[1], mine[2]) != (int(theirs[0]), _money(theirs[1]), _money(theirs[2])):
        return failed("the tax amounts are not those of the source", evidence, ["run the phase data again"])
    if outside:
        rates = " to ".join(f"{rate:g} %" for rate in (min(vat.rates), max(vat.rates)))
        return warned(
            f"equal on both sides, but {len(outside)} orders have a tax outside {rates}",
            [*evidence, *(f"order {row[0]}: total {row[2]}, tax {row[1]}" for row in outside[:SHOWN])],
            ["look at these orders; the source has them so, the copy has not changed them"],
        )
    return passed(f"{mine[0]} orders with tax, {mine[1]} in all, equal and within the rates", evidence)


def _money(value: Any) -> Decimal:
    return Decimal(str(value)).quantize(CENT, ROUND_HALF_UP)


def _taxes_of_source(source: sqlite3.Connection, vat: Vat) -> tuple[int, Decimal, Decimal]:
    """Number of orders with tax, their tax and their totals, added up as decimals and not as doubles."""
    tax, total = catalogue.name(vat.tax), catalogue.name(vat.total)
    count, taxes, totals = 0, Decimal(0), Decimal(0)
    for one_tax, one_total in source.execute(f"SELECT {tax}, {total} FROM {catalogue.name(vat.table)} WHERE {tax} > 0"):
        count += 1
        taxes += Decimal(str(one_tax))
        totals += Decimal(str(one_total or 0))
    return count, _money(taxes), _money(totals)


def _at_rates(target: TargetConnection, vat: Vat) -> list[str]:
    """How many orders have, within a cent, the tax that one rate gives; the others have goods of several rates."""
    base, tax = identifier(vat.base), identifier(vat.tax)
    near = [f"ABS({tax} - {base} * %s / 100) <= 0.01" for _ in vat.rates]
    sums = ", ".join(f"COALESCE(SUM({condition}), 0)" for condition in [*near, f"NOT ({' OR '.join(near)})"])
    rates = [Decimal(str(rate)) for rate in vat.rates]
    *counts, others = query(target, f"SELECT {sums} FROM {identifier(vat.table)} WHERE {tax} > 0", [*rates, *rates])[0]
    told = [
        f"{rate:g} % of {vat.base}, to a cent: {count} orders" for rate, count in zip(vat.rates, counts, strict=True)
    ]
    return [*told, f"of several rates, or with a discount or shipping: {others} orders"]


def _outside_rates(target: TargetConnection, vat: Vat, names: Sequence[str]) -> list[Row]:
    """Orders whose tax is neither nothing nor, within a cent, between the lowest and highest rate of what is taxed.

    What is taxed lies between the total without tax and shipping, and the total without tax before any discount.
    """
    tax, total, table = identifier(vat.tax), identifier(vat.total), identifier(vat.table)
    least = greatest = f"{total} - {tax}"
    if SHIPPING in names:
        least += f" - COALESCE({identifier(SHIPPING)}, 0)"
    if DISCOUNT in names:
        greatest += f" + COALESCE({identifier(DISCOUNT)}, 0)"
    order = shape.definition(target, vat.table).primary_key.partition("(")[2].partition(")")[0].split(",")[0] or tax
    return query(
        target,
        f"SELECT {order}, {tax}, {total} FROM {table} WHERE {tax} <> 0 AND"
        f" ({tax} < ({least}) * %s / 100 - 0.01 OR {tax} > ({greatest}) * %s / 100 + 0.01)"
        f" ORDER BY {order} LIMIT 1000",
        (Decimal(str(min(vat.rates))), Decimal(str(max(vat.rates)))),
    )

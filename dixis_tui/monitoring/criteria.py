"""The plan's criteria of success, at the end of it: what the console checks itself, and what people sign for.

Technical ones rest on what the run's own journal holds; business ones on somebody who has seen it in the open shop.
"""

from __future__ import annotations

from collections.abc import Sequence

import humanize

from dixis_tui.context import Context
from dixis_tui.model import Kind, Outcome, Status, failed, passed, warned
from dixis_tui.record.journal import Journal, fold
from dixis_tui.step import Step

# Of people, in the open shop: id, title, why.
BUSINESS = (
    ("authentication", "Users can sign in", "Sessions, passwords and roles came along, or nobody buys."),
    ("orders", "Orders are processed", "An order placed in the open shop reaches its producer."),
    ("payments", "Payments are taken", "A payment made in the open shop is booked on its order."),
    ("mail", "Mail is sent", "Customers hear of their order; mails that wait in the queue are not seen anywhere else."),
)
BEHIND = ("cutover.unchanged", "cutover.proof")
RESPONSE = "watch.criteria-response"
TESTS = ("validation.structure", "validation.queries", "cutover.smoke", "cutover.trials")


def steps() -> tuple[Step, ...]:
    """The criteria as a checklist."""
    checks = (
        (
            "integrity",
            "Criterion: data integrity",
            "Every value that was in SQLite is on MySQL, as it was.",
            _integrity,
        ),
        (
            "downtime",
            "Criterion: downtime",
            "The plan allows one maintenance window, and the journal has its times.",
            _down,
        ),
        ("loss", "Criterion: zero data loss", "Nothing was written to SQLite behind the copy that went live.", _loss),
        ("response", "Criterion: response time", "The plan's bound on answers of the database.", _response),
        ("tests", "Criterion: tests pass", "What the console tried by itself before it let customers in.", _tests),
        ("vat", "Criterion: Greek VAT", "Tax amounts are the source's to the cent, and follow the rates.", _vat),
    )
    return (
        *(Step(f"watch.criteria-{name}", title, Kind.CHECK, why, work) for name, title, why, work in checks),
        *(Step(f"watch.criteria-{name}", f"Criterion: {title}", Kind.SIGNOFF, why) for name, title, why in BUSINESS),
    )


def _resting(ctx: Context, needed: Sequence[str], good: str) -> Outcome:
    """A criterion that is met when these steps have passed, with their answers as evidence.

    The fact `open` is set where one of them was not asked yet, so that nothing is known.
    """
    found = {step: ctx.outcomes.get(step) for step in needed}
    evidence = [f"{step}: {one.status}, {one.summary}" if one else f"{step}: not asked" for step, one in found.items()]
    open_ones = [step for step, one in found.items() if one is None]
    if open_ones:
        return failed(f"not asked yet: {', '.join(open_ones)}", evidence, ["run the phases before this one"], open=True)
    bad = [step for step, one in found.items() if one and not one.status.settled]
    if bad:
        return failed(f"did not pass: {', '.join(bad)}", evidence, ["see what those steps answered"])
    odd = [step for step, one in found.items() if one and one.status in (Status.WARN, Status.WAIVED)]
    if odd:
        return warned(
            f"passed with a warning or a waiver: {', '.join(odd)}", evidence, ["see what those steps answered"]
        )
    return passed(good, evidence)


def _integrity(ctx: Context) -> Outcome:
    return _resting(ctx, ("cutover.proof",), "every value of every row was equal when the shop opened")


def _loss(ctx: Context) -> Outcome:
    good = "nothing was written to the source behind its last snapshot, and all of that arrived"
    return _resting(ctx, BEHIND, good)


def _tests(ctx: Context) -> Outcome:
    return _resting(ctx, TESTS, f"{len(TESTS)} of {len(TESTS)} passed")


def _vat(ctx: Context) -> Outcome:
    return _resting(ctx, ("validation.vat",), "VAT is as it was, to the cent")


def _down(ctx: Context) -> Outcome:
    journal = Journal(ctx.run_dir, create=False)
    try:
        state = fold(journal.events)
    finally:
        journal.close()
    if state.downtime is None:
        why = "the window has not been opened and closed in this run"
        return failed(why, (), ["run the Cutover phase"], open=True)
    minutes = ctx.config.run.window_minutes
    said = f"the shop was closed for {humanize.precisedelta(state.downtime, format='%0.0f')}"
    evidence = [f"maintenance on {state.window_opened_at}, off {state.window_closed_at}"]
    if state.downtime >= minutes * 60:
        return failed(f"{said}, longer than {minutes} minutes", evidence, ["say so to whoever announced the window"])
    return passed(f"{said}, of {minutes} minutes", evidence, seconds=state.downtime)


def _response(ctx: Context) -> Outcome:
    within, limit = ctx.fact("watch.connection", "p95_ms"), ctx.config.watch.response_ms
    if within is None:
        return failed("not measured yet", (), ["run watch.connection"])
    evidence = [f"watch.connection: 95 % within {within:.2f} ms"]
    if within >= limit:
        remedy = ["look at the server's load and at the way there"]
        return failed(f"95 % within {within:.0f} ms, wanted {limit:g} ms", evidence, remedy)
    return passed(f"95 % within {within:.2f} ms, wanted {limit:g} ms", evidence)

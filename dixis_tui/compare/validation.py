"""Phase 4, Validation: what arrived is compared with the snapshot, cell by cell, and people sign what they tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from pydantic import BaseModel, ConfigDict

from dixis_tui.compare import queries, verify
from dixis_tui.compare.load import Throttle
from dixis_tui.compare.proof import PROVED, Comparison, TableProof
from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.copy import copyplan
from dixis_tui.model import Kind, Outcome, Progress, Status, failed, passed
from dixis_tui.pace import Breather
from dixis_tui.phrase import counted
from dixis_tui.record.journal import Event
from dixis_tui.schemas import structure
from dixis_tui.schemas.structure import Unbuilt
from dixis_tui.source import Snapshot, latest_snapshot, reading
from dixis_tui.step import Step
from dixis_tui.target import connected

# A proof has come to its end: the next one compares every table anew.
PROOF_ENDED = "proof-ended"
# Differences of a table that are kept in the journal, and lines of evidence.
KEPT, LINES = 20, 40


class VerifyReport(BaseModel):
    """The answer of `dixis verify`. equal: every table and everything else; orphans: rows by foreign key whose parent
    is not there; structure: None when the journal does not say how the tables were built."""

    model_config = ConfigDict(frozen=True)

    equal: bool
    snapshot: str
    tables: tuple[TableProof, ...]
    structure: tuple[Unbuilt, ...] | None = None
    orphans: dict[str, int] = {}

    @property
    def could_not_compare(self) -> bool:
        return any(table.status == "error" for table in self.tables)


def steps(config: Config) -> tuple[Step, ...]:
    """The steps of the phase `validation`."""
    checks = (
        Step(
            id="validation.proof",
            title="Every value arrived",
            kind=Kind.CHECK,
            why="Counts prove nothing: every cell of every row is compared with the snapshot.",
            work=lambda ctx: prove(ctx, "validation.proof"),
        ),
        Step(
            id="validation.structure",
            title="Keys, defaults, checks, numbers, views",
            kind=Kind.CHECK,
            why="A lost index, foreign key or number shows only weeks later.",
            work=check_structure,
        ),
        Step(
            id="validation.orphans",
            title="No orphans",
            kind=Kind.CHECK,
            why="SQLite often never enforced foreign keys; MySQL does, and orphans then break the application.",
            work=verify.check_orphans,
        ),
        Step(
            id="validation.queries",
            title="The plan's own questions",
            kind=Kind.CHECK,
            why="Counts, orphans, average VAT and the shop's numbers, asked of both sides.",
            work=queries.check_queries,
        ),
        Step(
            id="validation.vat",
            title="Greek VAT",
            kind=Kind.CHECK,
            why="Tax amounts must be the source's to the cent, and follow the rates.",
            work=verify.check_vat,
        ),
    )
    tests = tuple(
        Step(
            id=f"validation.test-{number}",
            title=text,
            kind=Kind.SIGNOFF,
            why="A person tries this in the application on the new database, and signs.",
        )
        for number, text in enumerate(config.validation.functional, 1)
    )
    return (*checks, *tests)


# The proof


def prove(ctx: Context, step: str) -> Outcome:
    """Compare every copied table. Stopped or killed, it goes on with the tables it had not come to."""
    snapshot = latest_snapshot(ctx)
    done = _proved(ctx, step, snapshot)
    proofs = list(done.values())

    def keep(proof: TableProof) -> None:
        proofs.append(proof)
        shortened = proof.model_copy(update={"differences": proof.differences[:KEPT]})
        ctx.record(
            PROVED,
            {
                "step": step,
                "round": _ended(ctx, step),
                "snapshot": snapshot.taking,
                "proof": shortened.model_dump(mode="json"),
            },
        )

    _compare(ctx, step, snapshot, leave_out=set(done), found=keep)
    ctx.record(PROOF_ENDED, {"step": step})
    return _verdict(proofs, resumed=len(done))


def _proved(ctx: Context, step: str, snapshot: Snapshot) -> dict[str, TableProof]:
    """What a comparison that did not come to its end had found equal, by table."""
    ended = _ended(ctx, step)
    found: dict[str, TableProof] = {}
    for event in ctx.recorded(PROVED):
        if event["step"] == step and event["snapshot"] == snapshot.taking and event["round"] == ended:
            proof = TableProof.model_validate(event["proof"])
            found[proof.table] = proof
    return {name: proof for name, proof in found.items() if proof.status == "equal"}


def proofs(events: Iterable[Event]) -> tuple[str, list[TableProof]]:
    """The step of the latest comparison, at work or ended, and what it has found so far; empty before the first."""
    latest: tuple[str, int] = ("", 0)
    found: dict[str, TableProof] = {}
    for event in events:
        if event.kind == PROVED:
            mine = (str(event.data["step"]), int(event.data["round"]))
            if mine != latest:
                latest, found = mine, {}
            proof = TableProof.model_validate(event.data["proof"])
            found[proof.table] = proof
    return latest[0], list(found.values())


def _ended(ctx: Context, step: str) -> int:
    return sum(event["step"] == step for event in ctx.recorded(PROOF_ENDED))


def _compare(
    ctx: Context,
    step: str,
    snapshot: Snapshot,
    *,
    found: Callable[[TableProof], None],
    leave_out: Sequence[str] | set[str] = (),
    only: Sequence[str] = (),
    max_load: float | None = None,
) -> None:
    """Compare tables, largest last, and tell of each as it is done."""
    with ExitStack() as stack:
        connection = stack.enter_context(connected(ctx.config.target))
        limit = ctx.config.validation.max_load if max_load is None else max_load
        throttle = Throttle(connection, limit, ctx.say)
        jobs = [job for job in copyplan.jobs(ctx, connection) if job.name not in leave_out]
        if only:
            jobs = [job for job in jobs if job.name in only]
        totals = {job.name: job.total for job in jobs}
        breathe = Breather(ctx.pace, ctx.check_stop)

        def between(table: str, rows: int, differences: int) -> None:
            breathe()
            throttle.wait(ctx.stop)
            note = f"{counted(differences, 'difference')}" if differences else "no difference so far"
            ctx.progress(Progress(step, table, min(rows, totals[table]), totals[table], note=note))

        wanted = copyplan.compared_tables(ctx, connection, sorted(jobs, key=lambda job: job.total))
        for proof in Comparison(snapshot, ctx.config.target, between).run(wanted):
            state = Status.PASS if proof.status == "equal" else Status.FAIL
            note = {"equal": "equal", "differs": f"{counted(proof.differences_total, 'difference')}"}.get(
                proof.status, proof.message
            )
            ctx.progress(Progress(step, proof.table, totals[proof.table], totals[proof.table], state=state, note=note))
            found(proof)


def _verdict(proofs: Sequence[TableProof], resumed: int) -> Outcome:
    wrong = [proof for proof in proofs if proof.status != "equal"]
    errors = [proof for proof in wrong if proof.status == "error"]
    rows = sum(proof.rows_source for proof in proofs)
    conversions = [one for proof in proofs for one in proof.conversions if one.rows]
    evidence = [line for proof in wrong for line in lines(proof)][:LINES]
    evidence += [f"declared: {one.column}, {one.rule}, {counted(one.rows, 'row')}" for one in conversions]
    if resumed:
        evidence.append(f"{counted(resumed, 'table')} had been compared before this step was stopped")
    facts = {
        "tables": len(proofs),
        "rows": rows,
        "differences": sum(proof.differences_total for proof in wrong),
        "conversions": [one.model_dump() for one in conversions],
    }
    if errors:
        return Outcome(
            status=Status.ERROR,
            summary=f"{len(errors)} of {len(proofs)} tables could not be compared: {_names(errors)}",
            evidence=tuple(evidence),
            remedy=("mend what is named, then run this step again",),
            facts=facts,
        )
    if wrong:
        return Outcome(
            status=Status.FAIL,
            summary=f"{len(wrong)} of {len(proofs)} tables differ in {facts['differences']} places: {_names(wrong)}",
            evidence=tuple(evidence),
            remedy=(
                "look at them: d in the console, or dixis verify",
                "run the phase data again: it writes only what differs. dixis run --phase data",
            ),
            facts=facts,
        )
    return passed(f"{counted(len(proofs), 'table')}, {counted(rows, 'row')}, every value equal", evidence, **facts)


def _names(proofs: Sequence[TableProof]) -> str:
    return ", ".join(proof.table for proof in proofs[:5]) + ("…" if len(proofs) > 5 else "")


def lines(proof: TableProof) -> list[str]:
    """A table that is not equal, as lines for people."""
    if proof.status == "error":
        return [f"{proof.table}: could not be compared: {proof.message}"]
    places = counted(proof.differences_total, "difference")
    head = f"{proof.table}: {places}, rows {proof.rows_source} and {proof.rows_target}"
    told = [head]
    for one in proof.differences:
        where = f" ({one.at})" if one.at else ""
        told.append(f"  {one.key}  {one.column}: source {_value(one.source)}, target {_value(one.target)}{where}")
    if proof.differences_total > len(proof.differences):
        told.append(f"  and {proof.differences_total - len(proof.differences)} more")
    return told


def _value(text: str | None) -> str:
    return "NULL" if text is None else f"'{text}'"


# The structure


def check_structure(ctx: Context) -> Outcome:
    """Hold the target's tables against how they were built, and its numbers and views against the snapshot."""
    with connected(ctx.config.target) as target, reading(latest_snapshot(ctx)) as source:
        found = structure.compare(ctx, source, target)
    if found is None:
        return Outcome(
            status=Status.ERROR,
            summary="the journal does not say how the tables were built",
            remedy=("run the phase schema of this run first; it keeps tables that are as wanted",),
        )
    if found:
        return failed(
            f"{len(found)} things of the tables are not as they were built",
            [one.line() for one in found],
            ["run the phase data again: data.indexes puts back what was dropped for the load"],
        )
    return passed("tables, keys, checks, defaults, next numbers and views are as they were built")


# The report


def report(
    ctx: Context,
    *,
    only: Sequence[str] = (),
    max_load: float | None = None,
    told: Callable[[TableProof], Any] = lambda proof: None,
) -> VerifyReport:
    """Compare everything, or some tables, and change nothing; told is called with each table as it is done."""
    snapshot = latest_snapshot(ctx)
    proofs: list[TableProof] = []

    def found(proof: TableProof) -> None:
        proofs.append(proof)
        told(proof)

    _compare(ctx, "verify", snapshot, found=found, only=only, max_load=max_load)
    unbuilt: list[Unbuilt] | None = []
    orphans: dict[str, int] = {}
    if not only:
        with connected(ctx.config.target) as target, reading(snapshot) as source:
            unbuilt = structure.compare(ctx, source, target)
            orphans = verify.all_orphans(ctx, target)
    return VerifyReport(
        equal=not unbuilt and not orphans and all(proof.status == "equal" for proof in proofs),
        snapshot=snapshot.sha256,
        tables=tuple(proofs),
        structure=None if unbuilt is None else tuple(unbuilt),
        orphans=orphans,
    )

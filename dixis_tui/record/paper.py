"""The report of a run on paper: Markdown, and one HTML file that needs nothing beside it and prints well."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import humanize
from jinja2 import Environment, PackageLoader, StrictUndefined

from dixis_tui.model import Status
from dixis_tui.phrase import counted
from dixis_tui.record.audit import SignatureFound
from dixis_tui.record.report import Mark, Record, StepReport, summary

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#&~])")


def moment(at: str | None) -> str:
    """A time of the journal; the same on every machine."""
    return "" if at is None else f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float | None) -> str:
    """A duration as people say it."""
    if seconds is None:
        return ""
    if abs(seconds) < 9.95:
        return f"{seconds:.1f} s"
    said: str = humanize.precisedelta(abs(seconds), minimum_unit="seconds", format="%0.0f")
    return f"-{said}" if seconds < 0 else said


def offset(seconds: float | None) -> str:
    """A moment counted from the opening of the window: T+45 min, T-3 min."""
    if seconds is None:
        return ""
    minutes = seconds / 60
    return f"T{minutes:+.0f} min" if abs(minutes) >= 10 or minutes == 0 else f"T{minutes:+.1f} min"


def kept(mark: Mark) -> str:
    """Whether a phase kept to the plan, in words."""
    if mark.late is None:
        return ""
    return f"{span(mark.late)} late" if mark.late else "kept"


def begun(record: Record) -> list[StepReport]:
    """The steps that were begun or answered, in the plan's order."""
    return [step for phase in record.phases for step in phase.steps if step.status is not Status.PENDING]


def verdict(record: Record) -> list[str]:
    """What a reader wants to know first."""
    where = "The shop runs on MySQL." if record.on_target else "The shop runs on SQLite."
    if record.rollbacks:
        where += f" It was taken back {record.rollbacks} time{'s' if record.rollbacks > 1 else ''}."
    values = "Whether the values are equal was not asked."
    if record.verified is not None:
        good, bad = (
            ("every value is equal", "values differ") if record.proved else ("row counts agree", "counts differ")
        )
        values = f"{record.tables:,} tables, {record.rows:,} rows: {good if record.verified else bad}."
    bad_signatures = [one for one in record.audit.signatures if one.state == "bad"]
    chain = f"The journal's chain holds over {counted(record.audit.events, 'event')}."
    if bad_signatures:
        chain += f" {counted(len(bad_signatures), 'signature is', 'signatures are')} BAD."
    closed = [] if record.downtime is None else [f"The shop was closed for {span(record.downtime)}."]
    return [where, values, *closed, chain]


def facts(record: Record) -> list[tuple[str, str]]:
    """What and where, for the head of the report."""
    rows = [
        ("Run", f"{record.run_id}, {record.environment}"),
        ("From", record.source),
        ("To", f"{record.database} on {record.server}" if record.server else record.database),
        ("Application", record.application),
        ("Window", f"{record.window_minutes} minutes, opened {moment(record.window_opened_at) or 'never'}"),
        *((role.capitalize(), name) for role, name in record.people.items()),
        ("Emergency contact", record.emergency_contact),
        ("Chain's head", f"{record.audit.head} (event {record.audit.events})"),
    ]
    return [(name, value) for name, value in rows if value]


def signed(one: SignatureFound) -> str:
    """How a signature stands."""
    parts = [one.state, one.fingerprint, one.why]
    return ", ".join(part for part in parts if part)


def html(record: Record) -> str:
    """One file: styles inside, no script, nothing loaded; every text escaped."""
    environment = Environment(
        loader=PackageLoader("dixis_tui.record", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    said = {"moment": moment, "span": span, "offset": offset, "kept": kept, "signed": signed}
    environment.filters.update(said)
    template = environment.get_template("report.html")
    titles = {step.id: step.title for phase in record.phases for step in phase.steps}
    shown = {"verdict": verdict(record), "facts": facts(record), "bar": _bar(record), "titles": titles}
    return template.render(record=record, **shown)


def _bar(record: Record) -> dict[str, tuple[float, float, float]]:
    """Where a phase lies in the picture of the window, in per cent: begin and length as they were, planned end."""
    ends = [mark.done for mark in record.timeline if mark.done is not None and mark.planned is not None]
    whole = max([record.window_minutes * 60.0, *ends])
    bars = {}
    for mark in record.timeline:
        if mark.planned is None or mark.begun is None or mark.done is None:
            continue
        begin, end = (min(max(value / whole, 0.0), 1.0) * 100 for value in (mark.begun, mark.done))
        bars[mark.phase] = (round(begin, 2), round(max(end - begin, 0.4), 2), round(mark.planned * 6000 / whole, 2))
    return bars


# Markdown


def escaped(text: str) -> str:
    """A text as Markdown shows it, whatever it holds, in one line."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(escaped(cell) for cell in row)} |"


def markdown(record: Record) -> Iterator[str]:
    """The report in lines of Markdown."""
    yield f"# Migration of {escaped(record.name)}"
    yield ""
    yield " ".join(verdict(record))
    yield ""
    yield from _table(("", ""), facts(record))
    yield from ("", "```")
    yield from (line.replace("```", "'''") for line in summary(record))
    yield "```"
    yield from _sections(record)
    for phase in record.phases:
        steps = [step for step in phase.steps if step.status is not Status.PENDING]
        if steps:
            yield from ("", f"## {phase.title}: {phase.status}")
        for step in steps:
            yield from _step(step)
    yield from ("", "## Who did what, when", "")
    yield from _table(("", "when", "what"), ((str(one.seq), moment(one.at), one.text) for one in record.chronicle))
    if record.commands:
        yield from ("", "## What was run", "", "Of the command log, which is no part of the journal's chain:", "")
        yield from (f"    {line}" for line in record.commands)
    yield from ("", "## Verify it", "", "With the run's folder, or a copy of it:", "")
    yield f"    dixis journal verify DIR --allowed-signers FILE --head {record.audit.head}"


def _sections(record: Record) -> Iterator[str]:
    yield from ("", "## The window, planned and actual", "")
    marks = (
        (m.title, "" if m.planned is None else f"T+{m.planned}", offset(m.begun), offset(m.done), kept(m))
        for m in record.timeline
    )
    yield from _table(("phase", "planned", "begun", "done", "plan"), marks)
    yield from ("", "## Signatures", "")
    found = ((moment(s.at), f"{s.step} {s.what}", s.role, s.name, s.note, signed(s)) for s in record.audit.signatures)
    yield from _table(("when", "what", "role", "name", "note", "signature"), found)
    if record.waivers:
        yield from ("", "## Waived", "")
        waived = ((moment(w.at), w.title, w.name, w.note, w.found) for w in record.waivers)
        yield from _table(("when", "check", "by", "why", "its answer"), waived)
    if record.differences:
        yield from ("", f"## Differences ({escaped(record.compared_in)})", "")
        cells = (
            (
                proof.table,
                d.key,
                d.column,
                "NULL" if d.source is None else d.source,
                "NULL" if d.target is None else d.target,
            )
            for proof in record.differences
            for d in proof.differences
        )
        yield from (f"- {escaped(p.table)}: {p.differences_total or escaped(p.message)}" for p in record.differences)
        yield ""
        yield from _table(("table", "row", "column", "source", "target"), cells)
    if record.conversions:
        yield from ("", "## Declared conversions", "")
        yield from _table(("column", "rule", "rows"), ((c.column, c.rule, f"{c.rows:,}") for c in record.conversions))


def _step(step: StepReport) -> Iterator[str]:
    took = "" if step.seconds is None else f", {span(step.seconds)}"
    yield from ("", f"### {step.id}: {step.status}{took}", "")
    yield f"{escaped(step.title)}. {escaped(step.summary)}".rstrip()
    for one in step.signatures:
        note = f" ({escaped(one['note'])})" if one["note"] else ""
        yield f"- signed as {one['role']} by {escaped(one['name'])}, {moment(one['at'])}{note}"
    if step.evidence:
        yield from ("", *(f"    {line}" for text in step.evidence for line in text.splitlines()))
    for found in step.findings:
        place = f"{found.place}: " if found.place else ""
        word = "note" if found.status is Status.PASS else found.status
        yield f"- {word}: {escaped(place + found.message)}"
        yield from (f"  - {escaped(f'{example.key}: {example.value}')}" for example in found.examples)
        yield from (f"      {line}" for line in found.remedy)
    for line in () if step.findings else step.remedy:
        yield f"- next: {escaped(line)}"

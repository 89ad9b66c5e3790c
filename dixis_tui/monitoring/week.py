"""The week after, summed up against the plan's success criteria: from the samples and the journal, gaps named."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

import humanize
from pydantic import BaseModel, ConfigDict

from dixis_tui.model import FAILED, DixisError, Status
from dixis_tui.monitoring import criteria
from dixis_tui.monitoring.growth import Growth, growth
from dixis_tui.monitoring.samples import METRICS, SOURCES, Sample, merged, within
from dixis_tui.monitoring.samplestore import Store
from dixis_tui.monitoring.triggers import Crossing, rules
from dixis_tui.runner import Runner
from dixis_tui.step import Step

DAYS = 7
# A time without samples that is told; the grain of the oldest samples is fifteen minutes.
GAP = 1200.0
WANTED_SHARE = 0.95
SHOWN = 10

Verdict = Literal["met", "not met", "open", "not measured"]


class NoWeekError(DixisError):
    """There is nothing to sum up."""

    exit_code = FAILED


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Criterion(_Frozen):
    group: Literal["technical", "business"]
    title: str
    verdict: Verdict
    says: str


class Signed(_Frozen):
    """A sign-off of a day. state: signed, late (signed after its day), missed, open (its day is today), to come."""

    step: str
    title: str
    state: Literal["signed", "late", "missed", "open", "to come"]
    says: str


class Day(_Frozen):
    """A day, 0 for the rest of the night's own. covered: per cent of it that samples cover, None before it has begun;
    within: per cent of the statements answered in time; p95, connections: the worst of the day."""

    number: int
    date: date
    covered: float | None
    within: float | None
    p95_ms: float | None
    connections_percent: float | None
    slow: float | None
    deadlocks: float | None
    statement_errors: float | None
    restarts: int
    bytes: float | None
    signed: tuple[Signed, ...]


class Gap(_Frozen):
    begun: datetime
    ended: datetime


class Crossed(_Frozen):
    rule: str
    begun: datetime
    ended: datetime | None
    stood: bool
    worst: float


class Week(_Frozen):
    """begun: when the shop opened on the target, or else the first sample."""

    run_id: str
    begun: datetime
    opened: bool
    asked_at: datetime
    sources: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    days: tuple[Day, ...]
    gaps: tuple[Gap, ...]
    crossings: tuple[Crossed, ...]
    slow_statements: tuple[dict[str, Any], ...]
    bytes_a_day: float | None
    days_until_full: float | None


def build(runner: Runner, store: Store, *, now: float | None = None) -> Week:
    """The week as it stands now. Raises NoWeekError when there is nothing to sum up."""
    now = time.time() if now is None else now
    opened = runner.state.window_closed_at if runner.state.switched else None
    samples = store.samples()
    if opened is not None:
        begun = datetime.fromisoformat(opened).astimezone()
    elif samples:
        begun = _moment(samples[0].begun)
    else:
        raise NoWeekError(
            "There is no week to sum up: the shop is not open on the target, and there are no samples.",
            safe="nothing was changed",
            next_step="once it is open: dixis monitor, or m in the console",
        )
    first = datetime.combine(begun.date(), datetime.min.time()).astimezone()
    end = min(now, (first + timedelta(days=DAYS + 1)).timestamp())
    samples = [one for one in samples if begun.timestamp() < one.at <= end]
    grown = growth(samples, store.noted("disks"), runner.config.watch.quota_gib)
    limits = {rule.id: rule.says() for rule in rules(runner.config.watch, float(runner.config.backup.max_age_hours))}
    return Week(
        run_id=runner.state.run_id,
        begun=begun,
        opened=opened is not None,
        asked_at=_moment(now),
        sources=tuple(SOURCES[source] for source in dict.fromkeys(one.source for one in samples if one.seconds)),
        criteria=tuple(_criteria(runner, samples)),
        days=tuple(_day(runner, number, begun, samples, end, grown) for number in range(DAYS + 1)),
        gaps=tuple(_gaps(samples, begun.timestamp(), end)),
        crossings=tuple(_crossed(one, limits) for one in store.crossings(since=begun.timestamp())),
        slow_statements=tuple(store.statements(begun.date().isoformat())[:SHOWN]),
        bytes_a_day=grown.a_day,
        days_until_full=grown.left,
    )


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at).astimezone()


def _crossed(crossing: Crossing, limits: dict[str, str]) -> Crossed:
    return Crossed(
        rule=limits.get(crossing.rule, crossing.rule),
        begun=_moment(crossing.begun),
        ended=_moment(crossing.ended) if crossing.ended is not None else None,
        stood=crossing.stood is not None,
        worst=crossing.worst,
    )


# The criteria


def _criteria(runner: Runner, samples: Sequence[Sample]) -> Iterator[Criterion]:
    """What the checks of the plan say now, with the week's own samples for the response time; what people signed."""
    for step in criteria.steps():
        title = step.title.removeprefix("Criterion: ")
        business = step.work is None or step.id == "watch.criteria-vat"
        outcome = runner.ask(step.work) if step.work else runner.state.step(step.id).outcome
        if step.id == criteria.RESPONSE:
            verdict, says = _response(runner.config.watch.response_ms, samples)
        elif outcome is None or outcome.facts.get("open"):
            verdict, says = "open", outcome.summary if outcome else "nobody has signed"
        else:
            good = outcome.status in (Status.PASS, Status.WARN)
            verdict, says = "met" if good else "not met", outcome.summary
        yield Criterion(group="business" if business else "technical", title=title, verdict=verdict, says=says)


def _response(limit: float, samples: Sequence[Sample]) -> tuple[Verdict, str]:
    """limit: milliseconds."""
    histogram = merged(samples).histogram if samples else {}
    share = within(histogram, limit)
    if share is None:
        return "not measured", "there are no samples with response times: dixis monitor"
    sources = dict.fromkeys(one.source for one in samples if one.histogram)
    says = f"{100 * share:.2f} % of {sum(histogram.values()):,.0f} within {limit:g} ms; by {', '.join(sources)}"
    return "met" if share >= WANTED_SHARE else "not met", says


# The days


def _day(runner: Runner, number: int, begun: datetime, samples: Sequence[Sample], end: float, grown: Growth) -> Day:
    this = begun.date() + timedelta(days=number)
    starts = datetime.combine(this, datetime.min.time()).astimezone().timestamp()
    stops = datetime.combine(this + timedelta(days=1), datetime.min.time()).astimezone().timestamp()
    starts, stops = max(starts, begun.timestamp()), min(stops, end)
    mine = [one for one in samples if starts < one.at <= stops]
    covered = None
    if stops > starts:
        covered = min(100 * sum(one.seconds for one in mine) / (stops - starts), 100.0)
    whole = merged(mine) if mine else None
    share = within(whole.histogram, runner.config.watch.response_ms) if whole else None

    def worst(metric: str) -> float | None:
        return max((value for one in mine if (value := METRICS[metric].of(one)) is not None), default=None)

    def counted(name: str) -> float | None:
        return whole.values.get(name) if whole else None

    return Day(
        number=number,
        date=this,
        covered=covered,
        within=None if share is None else 100 * share,
        p95_ms=worst("p95_ms"),
        connections_percent=worst("connections_percent"),
        slow=counted("slow"),
        deadlocks=counted("deadlocks"),
        statement_errors=counted("statement_errors"),
        restarts=sum(one.restarted for one in mine),
        bytes=dict(grown.days).get(this),
        signed=tuple(
            _signed(runner, step) for phase in runner.plan.phases for step in phase.steps if step.day == number > 0
        ),
    )


def _signed(runner: Runner, step: Step) -> Signed:
    now, due, today = runner.state.step(step.id), runner.state.day(step.day), runner.today()
    if now.status.settled and now.finished_at is not None:
        on = datetime.fromisoformat(now.finished_at).astimezone()
        late = due is not None and on.date() > due
        says = f"{now.outcome.summary if now.outcome else ''}, {on:%d %B %H:%M}"
        return Signed(step=step.id, title=step.title, state="late" if late else "signed", says=says)
    if due is None or due > today:
        return Signed(step=step.id, title=step.title, state="to come", says=runner.order.too_early(step))
    if now.outcome is not None:
        return Signed(step=step.id, title=step.title, state="missed", says=now.outcome.summary)
    if due < today:
        return Signed(step=step.id, title=step.title, state="missed", says=f"nobody signed on {due:%A, %d %B}")
    return Signed(step=step.id, title=step.title, state="open", says="its day is today")


def _gaps(samples: Sequence[Sample], begun: float, end: float) -> Iterator[Gap]:
    last = begun
    for one in samples:
        if one.begun - last > GAP:
            yield Gap(begun=_moment(last), ended=_moment(one.begun))
        last = max(last, one.at)
    if end - last > GAP:
        yield Gap(begun=_moment(last), ended=_moment(end))


# On paper


def markdown(week: Week) -> Iterator[str]:
    """The week for the reviewers."""
    since = "since the shop opened on the target" if week.opened else "since the first sample; the shop is not open yet"
    yield "# The week after"
    yield ""
    yield f"Run {week.run_id}, {since}, {week.begun:%A, %d %B %Y %H:%M}; asked on {week.asked_at:%d %B %Y %H:%M}."
    if week.sources:
        yield f"Response times: {'; '.join(week.sources)}."
    for group in ("technical", "business"):
        yield ""
        yield f"## Success criteria, {group}"
        yield ""
        found = [one for one in week.criteria if one.group == group]
        yield from (f"- **{one.verdict}** {one.title}: {one.says}" for one in found)
        if not found:
            yield "- none are asked for"
    yield ""
    yield "## Days"
    yield ""
    yield "| day | date | covered | in time | worst p95 | connections | slow | deadlocks | failed | restarts | size |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    yield from (_row(day) for day in week.days)
    yield ""
    for gap in week.gaps:
        lasted = humanize.naturaldelta(gap.ended - gap.begun)
        yield f"No samples: {gap.begun:%d %B %H:%M} to {gap.ended:%d %B %H:%M} ({lasted})."
    if not week.gaps:
        yield "There is no gap in the samples."
    yield ""
    yield _growth_says(week)
    yield ""
    yield "## Signed on the days"
    yield ""
    yield from (f"- **{one.state}** {one.title}: {one.says}" for day in week.days for one in day.signed)
    yield ""
    yield "## Thresholds crossed"
    yield ""
    for one in week.crossings:
        until = f"to {one.ended:%d %B %H:%M:%S}" if one.ended else "and still is"
        stood = "**a trigger stood**" if one.stood else "not for long enough"
        yield f"- {one.rule}: from {one.begun:%d %B %H:%M:%S} {until}, worst {one.worst:.4g}; {stood}"
    if not week.crossings:
        yield "None."
    if week.slow_statements:
        yield ""
        yield "## Slow statements"
        yield ""
        yield from (f"- {one['day']}: {one['worst_ms'] / 1000:.1f} s: `{one['text']}`" for one in week.slow_statements)


def _row(day: Day) -> str:
    def shown(value: float | None, form: str = "{:.0f}") -> str:
        return "-" if value is None else form.format(value)

    cells = (
        "night" if day.number == 0 else str(day.number),
        f"{day.date:%a %d %b}",
        shown(day.covered, "{:.0f} %"),
        shown(day.within, "{:.2f} %"),
        shown(day.p95_ms, "{:.4g} ms"),
        shown(day.connections_percent, "{:.0f} %"),
        shown(day.slow),
        shown(day.deadlocks),
        shown(day.statement_errors),
        "-" if day.covered is None else str(day.restarts),
        "-" if day.bytes is None else humanize.naturalsize(day.bytes),
    )
    return f"| {' | '.join(cells)} |"


def _growth_says(week: Week) -> str:
    if week.bytes_a_day is None:
        return "Growth: too early to say; it takes samples of at least a day."
    sign = "-" if week.bytes_a_day < 0 else ""
    says = f"Growth: {sign}{humanize.naturalsize(abs(week.bytes_a_day))} a day"
    if week.days_until_full is None:
        return f"{says}; nothing is known that would be full one day."
    return f"{says}; full in {humanize.intcomma(round(week.days_until_full))} days."

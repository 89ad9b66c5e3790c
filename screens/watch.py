"""The watch: every value beside its limit and how it stands, one of them plotted, and what else there is to know."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import humanize
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import DataTable, Static

from dixis_tui.model import Status
from dixis_tui.monitoring.samples import METRICS
from dixis_tui.monitoring.triggers import Standing
from dixis_tui.monitoring.watching import SPANS, Picture, Watching
from dixis_tui.runner import Runner
from screens import plots, words
from screens.footer import Footer
from screens.view import View
from screens.widgets import Headline, Table

WORDS = {
    "well": ("✓ well", words.STYLES[Status.PASS]),
    "over": ("! over", words.STYLES[Status.WARN]),
    "under": ("! under", words.STYLES[Status.WARN]),
    "stands": ("✗ STANDS", words.STYLES[Status.FAIL]),
    "easing": ("✗ easing", words.STYLES[Status.FAIL]),
    "not measured": ("? no value", "dim"),
    "": ("·", "dim"),
}
INDENT = (0, 0, 0, 2)  # of a line below its heading; what is wrapped keeps it
STALE = 4  # intervals without a sample until that is said


class Canvas(Static):
    """Where the plot is drawn; says when it has got another size."""

    class Resized(Message):
        """What is drawn there was drawn for another size."""

    def on_resize(self) -> None:
        self.post_message(self.Resized())


class WatchScreen(View, Screen[None]):
    """Draws the picture that the application takes; it asks no server and no file."""

    AUTO_FOCUS = "#metrics"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,m,q", "dismiss", "Back", key_display="esc"),
        Binding("h", "span", "Span of time"),
        Binding("e", "more", "More", show=True),
        Binding("question_mark", "app.help", "Help", key_display="?"),
    ]

    def __init__(self, runner: Runner, watching: Watching, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._runner = runner
        self._watching = watching
        self._now = now
        self._names: list[str] = []
        self._line_width = 8

    def compose(self) -> ComposeResult:
        yield Headline(self._runner)
        yield Static(id="watch-sum", markup=False)
        with Horizontal(id="watch-body"):
            with Vertical(id="watch-main"):
                yield Table("metrics")
                yield Static(id="plot-title", markup=False)
                yield Canvas(id="plot", markup=False)
            yield VerticalScroll(Static(id="watch-more-text", markup=False), id="watch-more")
        yield Footer()

    def on_mount(self) -> None:
        self._lay_out()

    def on_resize(self) -> None:
        self.call_after_refresh(self._lay_out)

    @property
    def _there(self) -> bool:
        """Whether its parts are: not while the screen comes or goes."""
        return bool(self.is_mounted and self.query("#watch-sum") and self.query("#plot"))

    def show_clock(self) -> None:
        if self._there:
            self.query_one(Headline).show()
            self.query_one("#watch-sum", Static).update(self._sum())

    def show_samples(self) -> None:
        """There is a new picture."""
        if not self._there:
            return
        picture = self._watching.picture
        rows = list(_rows(picture))
        table = self.query_one("#metrics", Table)
        self._names = [name for name, _ in rows]
        for name, standing in rows:
            table.put(name, self._cells(name, standing, picture))
        self.query_one("#watch-sum", Static).update(self._sum())
        self.query_one("#watch-more-text", Static).update(more(self._runner, picture))
        self.call_after_refresh(self._draw)  # the table may have grown, and left less for the plot

    # Parts

    def _lay_out(self) -> None:
        if not self._there:
            return
        table = self.query_one("#metrics", Table)
        row = table.cursor_row
        columns = [("State", 10), ("Value", 17), ("Now", 11), ("Limit", 11), ("", 0)]
        self._line_width = table.set_columns(columns, table.size.width)
        self.show_samples()
        table.move_cursor(row=row)

    def _cells(self, name: str, standing: Standing | None, picture: Picture) -> list[Text]:
        metric = METRICS[name]
        value = standing.value if standing else (metric.of(picture.latest) if picture.latest else None)
        word, style = WORDS[standing.state if standing else ""]
        limit = standing.rule.limit if standing else None
        lowest = bool(standing and standing.rule.under)
        bound = "-" if limit is None else f"{'under' if lowest else 'over'} {limit:g}"
        return [
            Text(word, style),
            Text(words.shorten(metric.title, 17)),
            Text(shown(name, value).rjust(11)),
            Text("answers" if name == "down" else bound),
            plots.line(self._values(name, self._line_width, lowest=lowest), limit, lowest=lowest, reach=self._reach()),
        ]

    def _values(self, name: str, width: int, *, lowest: bool) -> list[float | None]:
        picture = self._watching.picture
        points = [(sample.at, METRICS[name].of(sample)) for sample in picture.samples]
        return plots.columns(points, picture.at - picture.span, picture.at, width, lowest=lowest)

    def _reach(self) -> int:
        """Columns for which a sample holds where there are more columns than samples."""
        picture = self._watching.picture
        interval = float(picture.measured.get("interval", 15.0))
        return int(interval * self._line_width / picture.span)

    def _sum(self) -> Text:
        """Two lines: how it stands, and by what it is measured."""
        picture = self._watching.picture
        text = Text()
        grave = [one for one in picture.standings if one.stands and one.rule.rollback]
        lesser = [one for one in picture.standings if one.state != "well" and one.value is not None]
        missed = self._runner.order.missed()
        if picture.problem:
            text.append(f"✗ {picture.problem}", "bold red")
        elif picture.latest is None:
            text.append("Nothing was sampled yet. ")
            text.append("dixis monitor takes samples, and so does a console that drives the run.")
        elif not picture.latest.answered:
            text.append(f"✗ NO ANSWER: {picture.latest.error}", "bold red")
        elif not any(sample.seconds for sample in picture.samples):
            text.append("One sample so far: what happens between two is told from the second on, within a minute.")
        elif grave:
            text.append("✗ " + "; ".join(one.rule.says() for one in grave) + " (^R)", "bold red")
        elif lesser:
            text.append("! " + "; ".join(f"{one.state}: {one.rule.says()}" for one in lesser), "bold yellow")
        else:
            text.append("✓ Nothing is past its limit.", "green")
        if missed:
            text.append(f" {len(missed)} sign-offs of the week were missed.", "bold yellow")
        text.truncate(max(self.size.width - 2, 20), overflow="ellipsis")
        return text.append("\n").append(words.shorten(self._measured(picture), max(self.size.width - 2, 20)), "dim")

    def _measured(self, picture: Picture) -> str:
        if not picture.measured or picture.latest is None:
            return "this console only looks on" if self._runner.watch else "the first sample is on its way"
        age = self._now() - picture.latest.at
        interval = float(picture.measured["interval"])
        stale = f"NO SAMPLE FOR {words.duration(age)}; " if age > STALE * max(interval, 15.0) else ""
        missing = len(picture.measured["missing"])
        rest = f"; {missing} not measured (e)" if missing else ""
        return f"{stale}{picture.measured['by']}{rest}; {words.ago(age)}"

    @on(DataTable.RowHighlighted, "#metrics")
    @on(Canvas.Resized)
    def _draw(self) -> None:
        """The selected value, plotted."""
        if not self._there:
            return
        row, picture = self.query_one("#metrics", Table).cursor_row, self._watching.picture
        widget = self.query_one("#plot", Static)
        if not 0 <= row < len(self._names) or widget.size.height < 3:
            return
        name = self._names[row]
        standing = next((one for one in picture.standings if one.rule.metric == name), None)
        lowest = bool(standing and standing.rule.under)
        width = max(widget.size.width - plots.AXIS - 1, 8)
        values = self._values(name, width, lowest=lowest)
        span = next((word for word, seconds in SPANS.items() if seconds == picture.span), "")
        title = Text(f"Last {span}", "dim")
        if standing:
            since = f" since {_clock(standing.since)}" if standing.since else ""
            title.append(", ", "dim").append(f"{standing.state}{since}", WORDS[standing.state][1])
        title.append(": ", "dim").append(standing.rule.says() if standing else METRICS[name].title, "bold")
        title.truncate(max(widget.size.width - 2, 20), overflow="ellipsis")
        self.query_one("#plot-title", Static).update(title)
        limit = standing.rule.limit if standing and name != "down" else None
        reach = int(float(picture.measured.get("interval", 15.0)) * width / picture.span)
        lines = plots.plot(values, limit, widget.size.height - 1, lowest=lowest, reach=reach)
        begin, end = _clock(picture.at - picture.span), _clock(picture.at)
        foot = Text(" " * plots.AXIS + begin + end.rjust(max(width - len(begin), len(end))), "dim")
        widget.update(Text("\n").join([*lines, foot]))

    # Keys

    def action_span(self) -> None:
        """The next longer span of time, behind the longest the shortest."""
        spans = list(SPANS.values())
        self._watching.span = spans[(spans.index(self._watching.span) + 1) % len(spans)]
        self._watching.look_again()

    def action_more(self) -> None:
        """In a narrow terminal: what else there is to know, in the place of the plot; and back."""
        self.toggle_class("-more")
        more_shown = self.has_class("-more")
        self.query_one("#watch-more" if more_shown else "#metrics").focus()
        self.call_after_refresh(self._draw)


def _rows(picture: Picture) -> Iterator[tuple[str, Standing | None]]:
    """The values, each with the rule on it, the one that stands where there are several."""
    by_metric: dict[str, Standing] = {}
    for one in picture.standings:
        if one.rule.metric not in by_metric or one.stands:
            by_metric[one.rule.metric] = one
    yield from ((name, by_metric.get(name)) for name in METRICS)


def _clock(at: float | None) -> str:
    return time.strftime("%d %b %H:%M", time.localtime(at))


def shown(name: str, value: float | None) -> str:
    """A value with its unit, in at most 11 characters."""
    if value is None:
        return "-"
    if name == "down":
        return "NO ANSWER" if value else "answers"
    unit = METRICS[name].unit
    number = f"{value:.4g}" if value < 10000 else words.short_count(value)
    return f"{number}{'' if unit.startswith('/') else ' '}{unit}".rstrip()


def more(runner: Runner, picture: Picture) -> Group:
    """What does not fit into the table: what is not measured, crossings, statements, growth, disks, the week's days."""
    parts: list[RenderableType] = []

    def heading(title: str) -> None:
        parts.append(Text(f"\n{title}" if parts else title, "bold"))

    def line(text: str, style: str = "") -> None:
        parts.append(Padding(Text(text, style), INDENT))

    heading("Triggers")
    triggers = Grid.grid(Column(width=11), Column())
    for standing in picture.standings:
        triggers.add_row(Text(*WORDS[standing.state]), standing.rule.says())
    parts.append(Padding(triggers, INDENT))
    missing = picture.measured.get("missing", {})
    if missing:
        heading("Not measured")
        for why in missing.values():
            line(why)
    heading("Crossed in the last day")
    for one in reversed(picture.crossings[-8:]):
        until = _clock(one.ended) if one.ended else "now"
        stood = "a trigger stood" if one.stood else "not for long"
        line(f"{one.rule}: {_clock(one.begun)} to {until}, worst {one.worst:.4g}, {stood}")
    if not picture.crossings:
        line("nothing")
    heading("Slow statements")
    for statement in picture.statements:
        line(f"{statement['day']}  {statement['worst_ms'] / 1000:.1f} s  {statement['text']}")
    if not picture.statements:
        line("none was seen")
    if picture.errors:
        heading("The server's log")
        for at, error in picture.errors:
            line(f"{at}  {error}")
    heading("Growth and disks")
    grown = picture.growth
    for day, size in grown.days[-7:]:
        line(f"{day:%a %d %b}  {humanize.naturalsize(size)}")
    if grown.a_day is None:
        line("a day of samples is needed to say how it grows")
    else:
        full = f", full in {grown.left:,.0f} days" if grown.left is not None else ""
        line(f"{'-' if grown.a_day < 0 else ''}{humanize.naturalsize(abs(grown.a_day))} a day{full}")
    for disk in picture.disks.get("disks", []):
        free, total = humanize.naturalsize(disk["free"]), humanize.naturalsize(disk["total"])
        line(f"{disk['what']}: {free} of {total} free")
    heading("The days of the week")
    for step in runner.order.missed():
        line(f"missed: {step.title}", "bold yellow")
    today = [
        step
        for phase in runner.plan.phases
        for step in phase.steps
        if step.day and not runner.order.too_early(step) and not runner.state.step(step.id).status.settled
    ]
    for step in (one for one in today if one not in runner.order.missed()):
        line(f"to sign today: {step.title}")
    if not today:
        line("nothing is to be signed today")
    return Group(*parts)

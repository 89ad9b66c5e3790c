"""The headless twin: the same plan, runner and journal as the console, on standard output.

It asks what the console would ask, unless told `--yes`. In production the database's name and the signatures must be
given by name; nothing signs in a person's place there.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

import click

from dixis_tui.config import ConfigError
from dixis_tui.console import hangup
from dixis_tui.model import (
    COULD_NOT_ASK,
    FAILED,
    OK,
    DixisError,
    Finding,
    Kind,
    NotNowError,
    Outcome,
    Progress,
    Status,
    StoppedError,
)
from dixis_tui.openrun import Notice
from dixis_tui.phrase import counted
from dixis_tui.record import signing, telling
from dixis_tui.record.journal import Event
from dixis_tui.record.log import LogLine
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Step

# Lines of a preview and of evidence that are printed.
PREVIEW, EVIDENCE = 12, 20


@dataclass(frozen=True)
class Consent:
    """What the operator agreed to beforehand.

    yes: no questions; database: its name, typed; signatures: who signs, by role.
    """

    yes: bool = False
    database: str = ""
    signatures: Mapping[str, str] = field(default_factory=dict)


class Headless:
    """Runs phases and prints what happens; quiet prints nothing (for --json), verbose adds the log."""

    def __init__(self, runner: Runner, consent: Consent, *, quiet: bool = False, verbose: bool = False) -> None:
        self.runner = runner
        self.consent = consent
        self.quiet = quiet
        self.verbose = verbose
        self.out: TextIO = sys.stdout
        self._agreed: set[str] = set()
        self._stopped = False
        self._rolling_back = False

    def run(self, phases: tuple[Phase, ...]) -> int:
        """Run these phases in order until something stops them; the exit code.

        Raises NotNowError while a rollback that was begun has not come to its end.
        """
        if self.runner.state.rollback_begun:
            raise NotNowError(
                "A rollback was begun and has not come to its end.",
                safe="the plan was not touched",
                next_step="finish it: dixis rollback",
            )
        with self._listening():
            for phase in phases:
                code = self._phase(phase)
                if code != OK:
                    return code
        return OK

    def rollback(self) -> int:
        """Take the application back; the exit code."""
        phase = self.runner.plan.rollback
        self._heading(phase)
        with self._listening():
            self._agree(phase)
            self._rolling_back = True
            self.runner.reset(phase)
            for step in phase.steps:
                code = self._work(step)
                if code != OK or self._stopped:
                    return code or FAILED
        return OK

    def _phase(self, phase: Phase) -> int:
        if self.runner.order.settled(phase):
            self._print(f"{phase.title}: already done")
            return OK
        for earlier in self.runner.plan.phases:
            if earlier.signed_before == phase.id and self._open_signatures(earlier) != OK:
                return FAILED
        self._heading(phase)
        codes = [OK]
        if phase.side_by_side:
            codes = [self._side_by_side(phase, ())]
            if codes != [OK]:
                return codes[0]  # nobody signs above an open question
        if phase.signed_before:
            self._open_signatures(phase)
            return OK  # they may wait, until that phase asks for them
        for step in phase.steps:
            if self.runner.state.step(step.id).status.settled or self.runner.order.too_early(step):
                continue
            if step.kind is Kind.ACTION:
                self._agree(phase)
            codes.append(self._sign(step) if step.work is None else self._work(step))
            if self._stopped:
                return FAILED
            if codes[-1] != OK and not phase.go_on:
                break
        return COULD_NOT_ASK if COULD_NOT_ASK in codes else max(codes)

    def _open_signatures(self, phase: Phase) -> int:
        """Ask for the sign-offs of a phase that are still open; FAILED when one of them is."""
        codes = [
            self._sign(step)
            for step in phase.steps
            if step.work is None and not self.runner.state.step(step.id).status.settled
        ]
        return max(codes, default=OK)

    def checks(self, phase: Phase, only: Collection[str] = ()) -> int:
        """Ask the checks of a phase anew, side by side; the exit code. only: these, by id, and what they need."""
        self._heading(phase)
        with self._listening():
            return self._side_by_side(phase, only, again=True)

    def _side_by_side(self, phase: Phase, only: Collection[str], *, again: bool = False) -> int:
        begun = len(self.runner.events)
        try:
            asyncio.run(self.runner.run_phase(phase.id, only=only, again=again))
        except StoppedError:
            self._stopped = True
            return FAILED
        asked = {event.data["step"] for event in self.runner.events[begun:] if event.kind == "step-finished"}
        codes = [_code(self.runner.state.step(step).status) for step in asked]
        return COULD_NOT_ASK if COULD_NOT_ASK in codes else max(codes, default=OK)

    def _agree(self, phase: Phase) -> None:
        """Ask once a phase before anything is changed. Raises ConfigError when the operator does not agree."""
        if phase.id in self._agreed:
            return
        config = self.runner.config
        rollback = phase is self.runner.plan.rollback
        if config.run.environment == "production" and not rollback and not self._agreed:
            typed = self.consent.database
            if not typed and _can_ask():
                typed = click.prompt(f"Production. Type the database's name to let {phase.title} change it", type=str)
            if typed != config.target.database:
                raise ConfigError(
                    f"This is production; {config.target.database!r} must be typed, not {typed!r}.",
                    f"add --database {config.target.database}",
                )
        if not self.consent.yes:
            if not _can_ask():
                raise ConfigError("There is no terminal to ask on.", "add --yes to agree to every action beforehand")
            for step in phase.steps:
                if step.kind is Kind.ACTION and not self.runner.state.step(step.id).status.settled:
                    self._preview(step)
            if not click.confirm(f"Run {phase.title}?"):
                raise ConfigError("The operator did not agree.", "run again when ready")
        self._agreed.add(phase.id)
        waiting = [step for step in phase.steps if step.kind is Kind.ACTION]
        typed = self._typed(waiting)
        self.runner.confirm(waiting, phase.title, typed)

    def _typed(self, steps: Sequence[Step]) -> str:
        """The database's name where the operator gave it, or the plan wants it typed and there is a terminal."""
        wanted = self.runner.word(steps)
        if wanted and not self.consent.database and not self.consent.yes:
            return click.prompt(
                f"What this run did not write would be replaced or removed. Type {wanted!r} to agree", type=str
            )
        return self.consent.database

    def _work(self, step: Step) -> int:
        if step.kind is Kind.ACTION and not self.quiet:
            self._preview(step)
        outcome = asyncio.run(self.runner.run_step(step.id))
        self._outcome(step, outcome)
        return _code(outcome.status)

    def _preview(self, step: Step) -> None:
        try:
            lines = self.runner.preview(step)
        except DixisError as error:
            lines = [f"not known yet: {error.what}"]
        for line in lines[:PREVIEW]:
            self._print(f"           {line}")
        if len(lines) > PREVIEW:
            self._print(f"           … and {counted(len(lines) - PREVIEW, 'line')} more; --dry-run shows all")

    def _sign(self, step: Step) -> int:
        for role in step.roles or ("operator",):
            name, note, asked = self._signature(step, role)
            if not name:
                self._print(f"  · waiting  {step.id}  {step.title}: sign as {role}")
                self._print(f'           next: add --sign "{role}=NAME", or sign in the console')
                return FAILED
            outcome = signing.sign(self.runner, step.id, role=role, name=name, note=note, key=asked)
            self._print(f"           {role}: {telling.signed_how(self.runner.events)}")
            if outcome is not None:
                self._outcome(step, outcome)
        return OK

    def _signature(self, step: Step, role: str) -> tuple[str, str, bool]:
        """Name and note of whoever signs, and whether a person was asked; an empty name when nobody can."""
        given = self.consent.signatures.get(role)
        if given:
            name, separator, note = given.partition(": ")
            return name.strip(), note.strip() if separator else "named on the command line", True
        if self.consent.yes:
            if self.runner.config.run.environment == "production":
                return "", "", False
            named = self.runner.config.people.named(role) or f"{self.runner.operator} ({role})"
            return named, "rehearsal: signed by --yes, nobody looked", False
        if not _can_ask():
            return "", "", False
        name = click.prompt(f"{step.title}. Sign as {role}, name", default="", show_default=False)
        note = click.prompt("Note, what was seen", default="", show_default=False) if name.strip() else ""
        return name, note, True

    def _outcome(self, step: Step, outcome: Outcome) -> None:
        seconds = self.runner.state.step(step.id).seconds
        took = f"  {seconds:.1f} s" if seconds is not None and seconds >= 0.05 else ""
        self._print(f"  {outcome.status.glyph} {outcome.status:<8} {step.id}  {outcome.summary}{took}")
        if outcome.status is not Status.PASS and not outcome.findings:
            for line in outcome.evidence[:EVIDENCE]:
                self._print(f"           {line}")
        told: set[tuple[str, ...]] = set()
        for finding in outcome.findings:
            if finding.status is not Status.PASS:
                self._finding(finding, told)
        if not outcome.findings:
            for line in outcome.remedy:
                self._print(f"           next: {line}")

    def _finding(self, finding: Finding, told: set[tuple[str, ...]]) -> None:
        """told: parts of remedies that stand above in the same check; they are not repeated."""
        place = f"{finding.place}: " if finding.place else ""
        self._print(f"           {finding.status.glyph} {place}{finding.message}")
        for one in finding.examples:
            self._print(f"               {one.key}: {one.value}")
        for number, part in enumerate(_alternatives(finding.remedy)):
            if number:
                self._print("               | or")
            for line in ("as above",) if part in told else part:
                self._print(f"               | {line}")
            told.add(part)

    def _stop(self, signal_name: str) -> None:
        if signal_name == "SIGHUP":
            hangup.let_go()
            if self._rolling_back:
                return  # nobody is to be asked any more, and a shop half way back is closed
        self._print(f"\n{signal_name}: stopping at the next safe point; once more stops at once")
        self._stopped = True
        self.runner.stop.set()

    def _heading(self, phase: Phase) -> None:
        self._print(f"\n{phase.title}")

    def _print(self, text: str) -> None:
        if not self.quiet:
            try:
                print(text, file=self.out, flush=True)
            except OSError:  # the terminal, or who read this, went away
                self.quiet = True
                self._stop("SIGHUP")

    def _hear(self, notice: Notice) -> None:
        if isinstance(notice, Event):
            self._ended(notice)
        elif isinstance(notice, LogLine) and self.verbose:
            self._print(f"           {notice.step}: {notice.text}")
        elif (
            isinstance(notice, Progress)
            and notice.state.ended
            and notice.part != "stream"
            and (self.verbose or self._in_order(notice.step))
        ):
            total = "" if notice.total is None or notice.total == notice.done else f" of {notice.total:,}"
            self._print(f"           {notice.item}: {notice.done:,}{total} {notice.unit} {notice.note}".rstrip())

    def _in_order(self, step_id: str) -> bool:
        """True for a step of a phase whose steps run one by one: the progress of checks among others only confuses."""
        return not self.runner.plan.phase_of(step_id).side_by_side

    def _ended(self, event: Event) -> None:
        """Tell the answer of a check that ran beside others."""
        if event.kind == "step-finished":
            step = self.runner.plan.step(event.data["step"])
            if self.runner.plan.phase_of(step.id).side_by_side and step.work is not None:
                self._outcome(step, Outcome.model_validate(event.data["outcome"]))

    @contextmanager
    def _listening(self) -> Iterator[None]:
        end = self.runner.listen(self._hear)
        with _signals(self._stop, self.runner.abandon):
            try:
                yield
            finally:
                end()


def _alternatives(remedy: Sequence[str]) -> list[tuple[str, ...]]:
    """The parts of a remedy that stand between lines that say "or"."""
    parts: list[list[str]] = [[]]
    for line in remedy:
        if line == "or":
            parts.append([])
        else:
            parts[-1].append(line)
    return [tuple(part) for part in parts if part]


def _code(status: Status) -> int:
    if status is Status.ERROR:
        return COULD_NOT_ASK
    return OK if status.settled else FAILED


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def _signals(stop: Callable[[str], None], abandon: Callable[[], None]) -> Iterator[None]:
    """Ctrl+C or SIGTERM ends the running step at its next safe point; the second one ends the process at once.

    So does a terminal that goes away, unless nohup was asked for; it may say so more than once.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    hangs_up = signal.getsignal(signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}

    def first(number: int, _frame: object) -> None:
        for each in numbers:
            signal.signal(each, second)
        stop(signal.Signals(number).name)

    def second(number: int, _frame: object) -> None:
        abandon()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    for number in numbers:
        signal.signal(number, first)
    if hangs_up is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: stop("SIGHUP"))
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, hangs_up)
        for number, handler in before.items():
            signal.signal(number, handler)

"""Conversations: what is asked of a person before something is done, and what they should read before they answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from textual.app import App

from dixis_tui.model import DixisError, Kind, Status
from dixis_tui.phrase import counted
from dixis_tui.record import signing, telling
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Step
from screens import words
from screens.confirm import ConfirmDialog
from screens.sign import Answer, SignDialog


class Conversations:
    """Dialogs on an application, each awaited in a worker of its."""

    def __init__(self, app: App[int], runner: Runner) -> None:
        self._app = app
        self._runner = runner
        self._confirmed = False

    async def action(self, step: Step) -> bool:
        """Preview an action and ask whether it shall run."""

        def lines() -> list[str]:
            return [*self._runner.preview(step), "", f"Undo: {step.undo}"]

        return await self._confirm(step.title, [step], lines, go="run it")

    async def phase(self, phase: Phase, steps: Sequence[Step], *, again: bool) -> bool:
        """Preview the steps of a phase and ask whether they shall run."""
        title = f"{phase.title}: again from the start" if again else f"{phase.title}: {counted(len(steps), 'step')}"
        return await self._confirm(title, steps, partial(_phase_preview, self._runner, steps), go="run the phase")

    async def _confirm(self, title: str, steps: Sequence[Step], lines: Callable[[], Sequence[str]], *, go: str) -> bool:
        """Ask before something is changed; the first time in production the database's name must be typed."""
        config = self._runner.config
        production = config.run.environment == "production"
        typed = production and not self._confirmed
        word = config.target.database if typed else await asyncio.to_thread(self._runner.word, steps)
        dialog = ConfirmDialog(title, lines, go=go, word=word, production=production)
        if not await self._app.push_screen_wait(dialog):
            return False
        self._confirmed = True
        self._runner.confirm(steps, title, word)
        return True

    async def sign(self, step: Step) -> None:
        """Ask for a signature until it is taken, refused or given up."""
        signed = {signature.role for signature in self._runner.state.step(step.id).signatures}
        roles = sorted(step.roles or ("operator",), key=lambda role: role in signed)
        expected = [(role, _expected(self._runner, role)) for role in roles]
        evidence = [*_evidence(self._runner, step), *await asyncio.to_thread(_keys, self._runner, expected)]
        answer, problem = None, ""
        while True:
            dialog = SignDialog(step.title, evidence, expected, yes="Sign", no="Refuse", last=answer, problem=problem)
            answer = await self._app.push_screen_wait(dialog)
            if answer is None:
                return
            try:
                told = await asyncio.to_thread(_take, self._runner, step, answer)
            except DixisError as error:
                problem = " ".join(error.lines())
            else:
                self._app.notify(told, markup=False)
                return

    async def waive(self, step: Step) -> None:
        """Ask who takes responsibility for a check, until that is recorded or given up."""
        answer, problem = None, ""
        evidence = ["Waiving takes responsibility for a check that did not pass.", *_found(self._runner, step)]
        roles = [("operator", self._runner.operator)]
        while True:
            dialog = SignDialog(f"Waive: {step.title}", evidence, roles, yes="Waive", last=answer, problem=problem)
            answer = await self._app.push_screen_wait(dialog)
            if answer is None:
                return
            try:
                await asyncio.to_thread(signing.waive, self._runner, step.id, name=answer.name, note=answer.note)
            except DixisError as error:
                problem = " ".join(error.lines())
            else:
                return

    async def limit(self, kib: int) -> bool:
        """Ask whether rsync shall go on with another limit, KiB a second; 0 for none."""
        limit = f"{kib:,} KiB/s" if kib else "no limit"
        lines = [
            "rsync takes its limit when it starts; it cannot be changed while it runs.",
            f"It would be stopped, and started again with {limit}.",
            "Files that arrived stay; one that is cut off goes on where it was.",
        ]
        go = f"stop it and go on with {limit}"
        return await self._app.push_screen_wait(ConfirmDialog("Another limit for rsync", lambda: lines, go=go))

    async def leave(self) -> bool:
        """Ask whether what is at work shall be stopped, to leave."""
        what = self._runner.running or "The last request"
        lines = [
            f"{what} is at work.",
            "Quitting asks it to stop at its next safe point and waits for that.",
            "Everything finished so far is kept; the next start carries on from there.",
        ]
        return await self._app.push_screen_wait(ConfirmDialog("Quit?", lambda: lines, go="stop it and quit"))


def _phase_preview(runner: Runner, steps: Sequence[Step]) -> list[str]:
    """What the steps would do, as far as it can be known before the first of them has run."""
    lines: list[str] = []
    for step in steps:
        lines.append(f"{step.kind}: {step.title}")
        try:
            lines += [f"    {line}" for line in runner.preview(step)]
        except DixisError as error:
            lines.append(f"    to be seen when its turn comes: {error.what}")
    return lines


def _take(runner: Runner, step: Step, answer: Answer) -> str:
    """Record a person's answer; what to tell them. Their key may wait for a touch."""
    more = ""
    if not answer.yes:
        signing.reject(runner, step.id, role=answer.role, name=answer.name, note=answer.note)
    elif signing.sign(runner, step.id, role=answer.role, name=answer.name, note=answer.note) is None:
        more = "; more signatures are needed"
    return f"{answer.name}, {answer.role}: {telling.signed_how(runner.events)}{more}."


def _keys(runner: Runner, expected: Sequence[tuple[str, str]]) -> list[str]:
    """How each person who is expected would sign."""
    lines = []
    for name in dict.fromkeys(name for _, name in expected if name):
        key, why = signing.key_of(runner, name)
        lines.append(f"{name} signs with {key.fingerprint}" if key else f"{name} signs by name only: {why}")
    return lines


def _expected(runner: Runner, role: str) -> str:
    """Who the configuration expects in a role; the operator where nobody is asked for by role."""
    return runner.operator if role == "operator" else runner.config.people.named(role)


def _evidence(runner: Runner, step: Step) -> list[str]:
    """What a signer should read: why, who has signed, and how the steps before it ended."""
    lines = [step.why]
    lines += [f"signed: {s.role}, {s.name}" for s in runner.state.step(step.id).signatures]
    phase = runner.plan.phase_of(step.id)
    if step.kind is Kind.GATE:
        for earlier in runner.plan.phases[: runner.plan.phases.index(phase)]:
            done = words.done_of(runner.state, earlier)
            lines.append(f"{earlier.title}: {runner.order.phase_status(earlier)}, {done}")
            lines += _worth_reading(runner, earlier)
        return lines + _worth_reading(runner, phase)
    return lines + [line for before in phase.steps if before.work for line in _found(runner, before)]


def _worth_reading(runner: Runner, phase: Phase) -> list[str]:
    """The steps of a phase that have ended, but not simply passed."""
    ended = [step for step in phase.steps if runner.state.step(step.id).status.ended]
    odd = [step for step in ended if runner.state.step(step.id).status is not Status.PASS]
    return [line for step in odd for line in _found(runner, step)]


def _found(runner: Runner, step: Step) -> list[str]:
    now = runner.state.step(step.id)
    return [f"  {now.status}: {step.title}" + (f": {now.outcome.summary}" if now.outcome else "")]

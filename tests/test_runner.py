"""The runner: what may run when, what is recorded, and who may sign."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dixis_tui.config import Config, load
from dixis_tui.context import Context
from dixis_tui.model import DixisError, Kind, NotNowError, Outcome, Progress, Status, failed, passed
from dixis_tui.record import commandlog, log, signing, telling
from dixis_tui.record.journal import SWITCHED, HeldError
from dixis_tui.record.log import LogLine
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step

CONFIG = """\
[run]
environment = "rehearsal"
operator = "Eleni"
[source]
path = "shop.sqlite"
[target]
host = "127.0.0.1"
database = "dixis_production"
user = "dixis_user"
password = "s3cret-word"
tls = { mode = "off" }
[app]
root = "/var/www/dixis"
"""

Work = Callable[[Context], Outcome]


def check(step_id: str, work: Work) -> Step:
    return Step(step_id, step_id, Kind.CHECK, "why", work)


def action(step_id: str, work: Work = lambda _: passed("done")) -> Step:
    return Step(
        step_id, step_id, Kind.ACTION, "why", work, lambda _: ["CREATE USER x IDENTIFIED BY 's3cret-word'"], "undo"
    )


class Answers:
    """What the steps of the little plan answer; tests change it."""

    def __init__(self) -> None:
        self.ready: Work = lambda _: passed("ready")
        self.copy: Work = lambda _: passed("copied", rows=3)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def plan(answers: Answers) -> Plan:
    return Plan(
        phases=(
            Phase(
                "preflight",
                "Preflight",
                (
                    check("preflight.ready", lambda ctx: answers.ready(ctx)),
                    check("preflight.other", lambda _: passed("yes")),
                ),
                go_on=True,
            ),
            Phase(
                "data",
                "2 Data",
                (action("data.copy", lambda ctx: answers.copy(ctx)), check("data.counts", lambda _: passed("equal"))),
                before_switch=True,
                invalidates=("cutover",),
            ),
            Phase(
                "cutover",
                "Cutover",
                (
                    Step("cutover.tried", "Tried", Kind.SIGNOFF, "why"),
                    Step("cutover.gate", "Go", Kind.GATE, "why", roles=("lead", "database review")),
                    action("cutover.open"),
                ),
            ),
        ),
        rollback=Phase("rollback", "Rollback", (action("rollback.back"),)),
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "dixis.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return load(path)


@pytest.fixture
def runner(plan: Plan, config: Config) -> Iterator[Runner]:
    with Runner(plan, config) as runner:
        yield runner


async def run_to_the_gate(runner: Runner) -> None:
    for phase in runner.plan.phases[:2]:
        await runner.run_phase(phase.id)
    signing.sign(runner, "cutover.tried", role="operator", name="Eleni", note="")


async def test_a_phase_of_checks_gives_all_its_answers(runner: Runner, answers: Answers) -> None:
    answers.ready = lambda _: failed("no", remedy=["mend it"])
    assert await runner.run_phase("preflight") is Status.FAIL
    assert runner.state.step("preflight.other").status is Status.PASS


async def test_could_not_ask_is_error_and_never_no(runner: Runner, answers: Answers) -> None:
    def silent(_: Context) -> Outcome:
        raise DixisError("MySQL does not answer.", safe="everything", next_step="start it")

    answers.ready = silent
    outcome = await runner.run_step("preflight.ready")
    assert (outcome.status, outcome.summary, outcome.remedy) == (Status.ERROR, "MySQL does not answer.", ("start it",))


async def test_an_action_waits_for_the_steps_before_it(runner: Runner, answers: Answers) -> None:
    with pytest.raises(NotNowError, match=r"preflight\.ready comes first"):
        await runner.run_step("data.copy")
    answers.ready = lambda _: failed("no")
    await runner.run_phase("preflight")
    with pytest.raises(NotNowError, match=r"preflight\.ready comes first \(fail\)"):
        await runner.run_step("data.copy")
    signing.waive(runner, "preflight.ready", name="Eleni", note="known, harmless")
    assert (await runner.run_step("data.copy")).status is Status.PASS


async def test_a_waiver_needs_a_reason_and_a_failed_check(runner: Runner, answers: Answers) -> None:
    answers.ready = lambda _: failed("no")
    await runner.run_phase("preflight")
    with pytest.raises(NotNowError, match="without a reason"):
        signing.waive(runner, "preflight.ready", name="Eleni", note=" ")
    with pytest.raises(NotNowError, match="cannot be waived"):
        signing.waive(runner, "preflight.other", name="Eleni", note="because")


async def test_a_failed_action_stops_its_phase(runner: Runner, answers: Answers) -> None:
    answers.copy = lambda _: failed("disk full")
    await runner.run_phase("preflight")
    assert await runner.run_phase("data") is Status.FAIL
    assert runner.state.step("data.counts").status is Status.PENDING


async def test_a_stopped_step_is_interrupted_and_can_carry_on(runner: Runner, answers: Answers) -> None:
    begun = threading.Event()

    def slow(ctx: Context) -> Outcome:
        begun.set()
        assert ctx.stop.wait(30)
        ctx.check_stop()
        return passed("never")

    answers.copy = slow
    await runner.run_phase("preflight")
    running = asyncio.create_task(runner.run_step("data.copy"))
    await asyncio.to_thread(begun.wait, 30)
    with pytest.raises(NotNowError, match=r"data\.copy is running"):
        await runner.run_step("preflight.ready")
    runner.stop.set()
    with pytest.raises(DixisError, match="Stopped"):
        await running
    assert runner.state.step("data.copy").status is Status.INTERRUPTED
    answers.copy = lambda _: passed("copied")
    assert (await runner.run_step("data.copy")).status is Status.PASS


async def test_a_stop_counts_even_where_the_running_step_does_not_look(runner: Runner, answers: Answers) -> None:
    def deaf(_: Context) -> Outcome:
        runner.stop.set()
        return passed("done all the same")

    answers.ready = deaf
    with pytest.raises(DixisError, match="Stopped"):
        await runner.run_phase("preflight")
    assert runner.state.step("preflight.ready").status is Status.PASS
    assert runner.state.step("preflight.other").status is Status.PENDING


async def test_state_outlives_the_process_and_settled_steps_stay(plan: Plan, config: Config, answers: Answers) -> None:
    with Runner(plan, config) as first:
        await first.run_phase("preflight")
        run_id = first.state.run_id
    answers.ready = lambda _: failed("asked again")
    with Runner(plan, config) as second:
        assert second.state.run_id == run_id
        assert await second.run_phase("preflight") is Status.PASS
        assert await second.run_phase("preflight", again=True) is Status.FAIL


async def test_a_log_that_cannot_be_written_stops_nothing_and_is_told(plan: Plan, config: Config) -> None:
    for name in ("console.log", "commands.log"):
        (config.run.directory / name).mkdir(parents=True)
    with Runner(plan, config) as runner:
        assert await runner.rollback() is Status.PASS
        lost = [telling.told(event) for event in runner.events if event.kind == "log-unwritable"]
    assert lost == [
        f"{name} cannot be written: Is a directory; the work goes on without it"
        for name in ("console.log", "commands.log")
    ]
    assert log.LogReader(config.run.directory).new() == []
    assert commandlog.Reader(config.run.directory).new() == []


def test_one_console_drives_and_others_watch(plan: Plan, config: Config) -> None:
    with Runner(plan, config) as driver:
        with pytest.raises(HeldError):
            Runner(plan, config)
        with Runner(plan, config, watch=True) as watcher:
            assert watcher.driven()
            assert watcher.state.run_id == driver.state.run_id
            with pytest.raises(NotNowError, match="only watches"):
                signing.sign(watcher, "cutover.tried", role="operator", name="x", note="")


async def test_the_gate_wants_two_people(runner: Runner) -> None:
    await run_to_the_gate(runner)
    assert signing.sign(runner, "cutover.gate", role="lead", name="Eleni", note="") is None
    with pytest.raises(NotNowError, match="two different people"):
        signing.sign(runner, "cutover.gate", role="database review", name=" eleni ", note="")
    with pytest.raises(NotNowError, match="not for cook"):
        signing.sign(runner, "cutover.gate", role="cook", name="Nikos", note="")
    outcome = signing.sign(runner, "cutover.gate", role="database review", name="Nikos", note="read all")
    assert outcome is not None
    assert outcome.status is Status.PASS
    assert any("Nikos" in line and "read all" in line for line in outcome.evidence)


async def test_a_refusal_voids_the_signatures_before_it(runner: Runner) -> None:
    await run_to_the_gate(runner)
    signing.sign(runner, "cutover.gate", role="lead", name="Eleni", note="")
    with pytest.raises(NotNowError, match="without a reason"):
        signing.reject(runner, "cutover.gate", role="database review", name="Nikos", note="")
    with pytest.raises(NotNowError, match="answers by itself"):
        signing.reject(runner, "data.copy", role="operator", name="Nikos", note="no")
    signing.reject(runner, "cutover.gate", role="database review", name="Nikos", note="counts look odd")
    assert signing.sign(runner, "cutover.gate", role="database review", name="Nikos", note="mended") is None
    assert signing.sign(runner, "cutover.gate", role="lead", name="Eleni", note="") is not None


async def test_a_no_stops_the_plan(runner: Runner) -> None:
    await run_to_the_gate(runner)
    signing.reject(runner, "cutover.gate", role="lead", name="Eleni", note="counts look odd")
    with pytest.raises(NotNowError, match=r"cutover\.gate comes first"):
        await runner.run_step("cutover.open")


async def test_data_cannot_start_over_on_a_live_target(runner: Runner) -> None:
    await run_to_the_gate(runner)
    runner.record(SWITCHED, {"path": "", "sha256": "", "environment": ""})
    with pytest.raises(NotNowError, match="roll back first"):
        await runner.run_step("data.copy")
    with pytest.raises(NotNowError, match="cannot start over"):
        runner.reset(runner.plan.phase("data"))
    await runner.rollback()
    assert runner.state.rollbacks == 1
    assert runner.state.step("data.copy").status is Status.PENDING


async def test_starting_data_over_voids_what_rests_on_it(runner: Runner) -> None:
    await run_to_the_gate(runner)
    await runner.run_phase("data", again=True)
    assert runner.state.step("data.copy").status is Status.PASS
    assert runner.state.step("cutover.tried").status is Status.PENDING
    assert runner.state.step("preflight.ready").status is Status.PASS


async def test_rollback_runs_from_any_point_and_from_its_first_step(runner: Runner) -> None:
    assert await runner.rollback() is Status.PASS
    assert await runner.rollback() is Status.PASS
    assert runner.state.rollbacks == 2


async def test_secrets_stay_in_memory(runner: Runner, answers: Answers, config: Config) -> None:
    def leaky(ctx: Context) -> Outcome:
        ctx.say("connecting with s3cret-word")
        return passed("in with s3cret-word", ["s3cret-word"])

    answers.ready = leaky
    heard: list[str] = []
    runner.listen(lambda notice: heard.append(notice.text) if isinstance(notice, LogLine) else None)
    await runner.run_step("preflight.ready")
    assert heard == ["connecting with •••"]
    assert runner.preview(runner.plan.step("data.copy")) == ["CREATE USER x IDENTIFIED BY '•••'"]
    written = b"".join(path.read_bytes() for path in config.run.directory.iterdir() if path.is_file())
    assert b"s3cret-word" not in written
    assert "•••".encode() in written


async def test_progress_reaches_the_listener_and_not_the_journal(runner: Runner, answers: Answers) -> None:
    def busy(ctx: Context) -> Outcome:
        for done in range(100):
            ctx.progress(Progress("preflight.ready", "orders", done, 100))
        return passed("done")

    answers.ready = busy
    heard: list[object] = []
    runner.listen(heard.append)
    before = len(runner.events)
    await runner.run_step("preflight.ready")
    assert sum(isinstance(notice, Progress) for notice in heard) == 100
    assert len(runner.events) == before + 2

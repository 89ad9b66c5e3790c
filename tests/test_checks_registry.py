"""How checks are asked: side by side, each when what it needs is well; answers, findings, waivers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.registry import Answer, Check, Severity, finding, found, good, problem, skip
from checks.remedies import together
from dixis_tui import config
from dixis_tui.context import Context
from dixis_tui.model import Kind, NotNowError, Outcome, Status, passed
from dixis_tui.record import report, signing
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step
from tests.test_console import CONFIG

LIMIT = 3


def check(
    name: str, ask: Callable[[Context], Answer], *needs: str, severity: Severity = "fail", remedy: str = "mend it"
) -> Step:
    return Check(name, name, "It matters. Much.", severity, remedy, ask, needs).step()


def opened(folder: Path, *steps: Step) -> Runner:
    file = folder / "dixis.toml"
    file.write_text(CONFIG.format(environment="rehearsal"), encoding="utf-8")
    after = Step("schema.make", "Make", Kind.ACTION, "Why.", lambda _: passed("made"), lambda _: ["MAKE"], "UNMAKE")
    signed = Step("preflight.signed", "Signed", Kind.SIGNOFF, "Why.")
    gate = Step("cutover.gate", "Gate", Kind.GATE, "Why.", roles=("lead",))
    phases = (
        Phase("preflight", "Preflight", (*steps, signed), True, LIMIT, signed_before="cutover"),
        Phase("schema", "Schema", (after,)),
        Phase("cutover", "Cutover", (gate,)),
    )
    return Runner(Plan(phases, Phase("rollback", "Rollback", ())), config.load(file))


def status(runner: Runner, name: str) -> Status:
    return runner.state.step(f"preflight.{name}").status


def test_a_check_answers_as_bad_as_its_worst_finding(tmp_path: Path) -> None:
    def ask(_: Context) -> Answer:
        told = [
            finding("a note", severity="note", table="a"),
            finding("bad", "UPDATE …;", table="b", column="c", rows=2, examples=[("id = 1", "'x'")]),
            finding("think", severity="warn"),
        ]
        return found(told, "nothing")

    outcome = asyncio.run(opened(tmp_path, check("data.x", ask)).run_step("preflight.data.x"))
    assert outcome.status is Status.FAIL
    assert [one.status for one in outcome.findings] == [Status.FAIL, Status.WARN, Status.PASS]
    assert outcome.summary == "b.c: bad (and 1 more)"
    assert outcome.findings[0].remedy == ("UPDATE …;",)
    assert outcome.findings[1].remedy == ("mend it",)  # the check's own
    assert outcome.findings[2].remedy == ()


def test_a_check_that_crashes_is_an_error_with_its_message(tmp_path: Path) -> None:
    def crash(_: Context) -> Answer:
        raise ZeroDivisionError("by zero")

    runner = opened(tmp_path, check("data.crash", crash), check("data.fine", lambda _: good("fine")))
    asyncio.run(runner.run_phase("preflight"))
    assert (status(runner, "data.crash"), status(runner, "data.fine")) == (Status.ERROR, Status.PASS)
    told = report.preflight(runner, runner.plan.phase("preflight"))
    assert told.summary.status is Status.ERROR
    assert [(one.check, one.status) for one in told.findings] == [("data.crash", "error")]
    assert "by zero" in told.findings[0].message


def test_checks_run_side_by_side_but_no_more_than_allowed(tmp_path: Path) -> None:
    together_now = threading.Barrier(LIMIT, timeout=10)
    lock, now, most = threading.Lock(), [0], [0]

    def ask(_: Context) -> Answer:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        together_now.wait()  # passes only when so many are at work at once
        with lock:
            now[0] -= 1
        return good("met")

    runner = opened(tmp_path, *(check(f"data.n{number}", ask) for number in range(2 * LIMIT)))
    asyncio.run(runner.run_phase("preflight"))
    assert all(status(runner, f"data.n{number}") is Status.PASS for number in range(2 * LIMIT))
    assert most[0] == LIMIT


def test_a_slow_check_holds_nobody_and_ends_last_in_the_journal(tmp_path: Path) -> None:
    others = threading.Semaphore(0)

    def slow(_: Context) -> Answer:
        for _number in range(5):
            assert others.acquire(timeout=10)
        return good("at last")

    def quick(_: Context) -> Answer:
        others.release()
        return good("soon")

    runner = opened(tmp_path, check("data.slow", slow), *(check(f"data.q{n}", quick) for n in range(5)))
    asyncio.run(runner.run_phase("preflight"))
    ended = [event.data["step"] for event in runner.events if event.kind == "step-finished"]
    assert ended[-1] == "preflight.data.slow"
    assert len(ended) == 6


def test_a_check_waits_for_what_it_needs_and_is_skipped_without(tmp_path: Path) -> None:
    well = [False]

    def server(_: Context) -> Answer:
        return good("answers") if well[0] else problem("wrong password", remedy=("check it",))

    runner = opened(
        tmp_path,
        check("infra.server", server),
        check("infra.version", lambda _: good("9.7"), "infra.server"),
        check("data.fit", lambda _: good("fits"), "infra.version"),
        check("env.none", lambda _: skip("there is no such section")),
        check("env.after", lambda _: good("asked all the same"), "env.none"),
    )
    asyncio.run(runner.run_phase("preflight"))
    assert [status(runner, name) for name in ("infra.server", "infra.version", "data.fit")] == [
        Status.FAIL,
        Status.SKIP,
        Status.SKIP,
    ]
    assert "infra.server" in (runner.state.step("preflight.infra.version").outcome or passed("")).summary
    assert status(runner, "env.none") is Status.SKIP
    assert status(runner, "env.after") is Status.PASS

    well[0] = True
    asyncio.run(runner.run_step("preflight.infra.server"))
    assert status(runner, "infra.version") is Status.PENDING  # open again: it has not been asked
    asyncio.run(runner.run_phase("preflight"))
    assert {status(runner, name) for name in ("infra.server", "infra.version", "data.fit")} == {Status.PASS}


def test_only_some_are_asked_with_what_they_need(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(name: str) -> Callable[[Context], Answer]:
        def answer(_: Context) -> Answer:
            asked.append(name)
            return good("fine")

        return answer

    runner = opened(
        tmp_path,
        check("data.source", ask("source")),
        check("data.scan", ask("scan"), "data.source"),
        check("data.fit", ask("fit"), "data.scan"),
        check("env.other", ask("other")),
    )
    asyncio.run(runner.run_phase("preflight", only=["preflight.data.fit"]))
    assert asked == ["source", "scan", "fit"]
    asyncio.run(runner.run_phase("preflight", only=["preflight.data.scan"], again=True))
    assert asked == ["source", "scan", "fit", "source", "scan"]


def test_a_warning_is_waived_by_name_and_a_fail_is_not(tmp_path: Path) -> None:
    runner = opened(
        tmp_path,
        check("plan.odd", lambda _: problem("odd"), severity="warn"),
        check("data.bad", lambda _: problem("bad")),
    )
    asyncio.run(runner.run_phase("preflight"))
    signing.waive(runner, "preflight.plan.odd", name="Eleni", note="known since May")
    now = runner.state.step("preflight.plan.odd")
    assert now.status is Status.WAIVED
    assert now.outcome is not None
    assert "Eleni" in now.outcome.summary
    assert now.outcome.findings[0].message == "odd"  # what was waived stays to be read
    with pytest.raises(NotNowError, match="its answer is no"):
        signing.waive(runner, "preflight.data.bad", name="Eleni", note="please")
    told = report.preflight(runner, runner.plan.phase("preflight"))
    assert [(one.check, one.status) for one in told.findings] == [("plan.odd", "waived"), ("data.bad", "fail")]


def test_signatures_of_preflight_are_asked_for_by_the_gate(tmp_path: Path) -> None:
    runner = opened(tmp_path, check("data.fine", lambda _: good("fine")))
    asyncio.run(runner.run_phase("preflight"))
    assert asyncio.run(runner.run_step("schema.make")).status is Status.PASS
    with pytest.raises(NotNowError, match=r"preflight\.signed comes first"):
        signing.sign(runner, "cutover.gate", role="lead", name="Maria", note="")
    signing.sign(runner, "preflight.signed", role="operator", name="Nikos", note="restored on Monday")
    assert isinstance(signing.sign(runner, "cutover.gate", role="lead", name="Maria", note=""), Outcome)
    asyncio.run(runner.run_phase("preflight", again=True))
    assert runner.state.step("preflight.signed").status is Status.PASS  # asking anew takes no signature away


def test_secrets_are_taken_out_of_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIXIS_TEST_PASSWORD", "s3cret-word")

    def ask(ctx: Context) -> Answer:
        word = ctx.config.target.password.resolve("password")
        return found([finding(f"is {word}", f"SET '{word}';", examples=[("id = 1", word)])], "")

    runner = opened(tmp_path, check("infra.leak", ask))
    outcome = asyncio.run(runner.run_step("preflight.infra.leak"))
    assert "•••" in outcome.findings[0].message
    assert "s3cret-word" not in json.dumps([event.data for event in runner.events])


def test_remedies_are_put_together() -> None:
    def one(*remedy: str, status: Status = Status.FAIL) -> Outcome:
        told = finding("x", *remedy).model_copy(update={"status": status})
        return Outcome(status=status, summary="", findings=(told,))

    outcomes = [
        one("[schema]", 'accept = ["a:b"]'),
        one("[[data.conversions]]", 'column = "t.c"', 'rule = "epoch"', "[[data.conversions]]", 'column = "t.c"'),
        one("[[data.conversions]]", 'column = "t.c"', 'rule = "epoch"', "or", "-- in the source:", "DELETE;"),
        one("[schema]", 'accept = ["c d"]', status=Status.WARN),
        one("-- in the source:", 'UPDATE "t" SET "c" = 1;'),
        one("-- in the source:", 'DROP INDEX "odd";', "or", "[schema]", 'accept = ["e"]'),
        one("[types]", '"t.τιμή" = "DATETIME(6)"'),
        one("SET PERSIST x = 1;"),
        one("[schema]", 'accept = ["only a note"]', status=Status.PASS),
    ]
    put = together(found for outcome in outcomes for found in outcome.findings)
    assert put.config["schema"] == {"accept": ["a:b", "c d"]}
    assert put.config["data"]["conversions"][0] == {"column": "t.c", "rule": "epoch"}
    assert put.source == ['DROP INDEX "odd";', 'UPDATE "t" SET "c" = 1;']  # renamings want such an index gone
    assert put.other == ["SET PERSIST x = 1;"]
    assert '"t.τιμή" = "DATETIME(6)"' in put.toml()

"""The report: made from a copied folder alone, the same facts in every form; nothing a value holds becomes markup."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import checks
from checks.registry import REGISTRY
from dixis_tui import plan as planning
from dixis_tui.cli import cli
from dixis_tui.compare.difference import Difference
from dixis_tui.compare.proof import PROVED, Converted, TableProof
from dixis_tui.config import Config, load
from dixis_tui.model import Kind, Outcome, Status, failed, passed, warned
from dixis_tui.monitoring import criteria
from dixis_tui.record import paper, report
from dixis_tui.record.journal import SWITCHED, WENT_LIVE, Journal, JournalError
from dixis_tui.record.outline import PLAN, Outline, PhaseOutline, StepOutline
from dixis_tui.runner import Runner
from tests.test_runner import CONFIG

EVIL = '<script>alert("x")</script>'
STEPS = {
    "preflight.data.texts": ("Texts are UTF-8", Kind.CHECK),
    "schema.create": ("Create the tables", Kind.ACTION),
    "validation.proof": ("Every value", Kind.CHECK),
    "cutover.proof": ("Every value on the target", Kind.CHECK),
    "cutover.gate": ("Go or no-go", Kind.GATE),
    "cutover.open": ("Maintenance mode off", Kind.ACTION),
}
PHASES = (("preflight", "Preflight", None), ("schema", "1 Schema", 15), ("validation", "4 Validation", 90))
AT = "2026-11-25T{}+00:00"


def outline() -> Outline:
    phases = (*PHASES, ("cutover", "Cutover", 120), ("rollback", "Rollback", None))
    return Outline(
        name=f"shop {EVIL}",
        environment="staging",
        source="/var/www/shop.sqlite",
        database="dixis_production",
        server="mysql.example.com:3306",
        people={"lead": "Eleni", "database review": "Νίκος"},
        emergency_contact="Maria, +30 210 0000000",
        phases=tuple(
            PhaseOutline(
                id=name,
                title=title,
                minutes=minutes,
                steps=tuple(StepOutline(id=s, title=t, kind=k) for s, (t, k) in STEPS.items() if s.startswith(name)),
            )
            for name, title, minutes in phases
        ),
    )


class Writer:
    """Writes a run's journal as the console would, at times of its own."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder)

    def at(self, time: str, kind: str, data: Mapping[str, Any] | None = None) -> None:
        self.journal.append(kind, data, at=AT.format(time))

    def step(self, begin: str, end: str, step: str, outcome: Outcome) -> None:
        self.at(begin, "step-started", {"step": step})
        self.at(end, "step-finished", {"step": step, "outcome": outcome.model_dump(mode="json")})


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The folder of a run that went live, with a waiver, a conversion, a difference, and markup in every text."""
    to = Writer(tmp_path / "night")
    to.at("01:00:00", "run-opened", {"run_id": "r1", "name": "shop", "environment": "staging", "operator": "Eleni"})
    to.at("01:00:01", PLAN, outline().model_dump(mode="json"))
    to.step("01:00:02", "01:00:05", "preflight.data.texts", warned(f"odd bytes {EVIL}", [f"| `{EVIL}` |"]))
    to.at("01:01:00", "step-waived", {"step": "preflight.data.texts", "name": EVIL, "note": f"known {EVIL}"})
    to.at("02:00:00", "window-opened")
    to.step("02:00:10", "02:20:00", "schema.create", passed("83 tables"))
    to.step("02:30:00", "02:40:00", "validation.proof", passed("every value equal", tables=83, rows=6000))
    proof = TableProof(
        table=f"orders {EVIL}",
        rows_source=3,
        rows_target=3,
        status="differs",
        differences=(Difference(key="id = 7", column="note", source=EVIL, target=None),),
        differences_total=1,
        conversions=(Converted(column="orders.at", rule="iso-datetime", rows=12),),
    )
    said = {"step": "cutover.proof", "round": 0, "snapshot": "s", "proof": proof.model_dump(mode="json")}
    to.at("02:50:00", PROVED, said)
    to.step("02:45:00", "02:55:00", "cutover.proof", passed("equal after all", tables=83, rows=6000))
    gate = {"step": "cutover.gate", "role": "lead", "name": "Eleni", "note": f"go {EVIL}", "by_name_only": "no key"}
    to.at("03:00:00", "signed", gate)
    to.step("03:00:00", "03:00:00", "cutover.gate", passed("signed by Eleni"))
    to.at("03:00:30", SWITCHED, {"path": "/env.before", "sha256": "", "environment": "/e"})
    to.at("03:01:00", WENT_LIVE, {"database": "dixis_production", "at": AT.format("03:01:00")})
    to.at("03:01:00", "window-closed")
    to.step("03:00:40", "03:01:00", "cutover.open", passed("the shop is open, on MySQL"))
    to.journal.close()
    (tmp_path / "night" / "commands.log").write_text(f"# 02:00 schema.create sql\nSELECT '{EVIL}'\n", encoding="utf-8")
    return tmp_path / "night"


class Page(HTMLParser):
    """The elements and texts of a page, and every address it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_facts_are_the_journals(run_dir: Path) -> None:
    made = report.record(run_dir)
    assert (made.on_target, made.rows, made.downtime) == (True, 6000, 3660.0)
    marks = {mark.phase: (mark.planned, mark.begun, mark.done, mark.late) for mark in made.timeline}
    assert marks["schema"] == (15, 10.0, 1200.0, 300.0)
    assert marks["validation"] == (90, 1800.0, 2400.0, 0.0)
    assert marks["preflight"][0] is None
    waived = made.waivers[0]
    assert (waived.title, waived.name, waived.found) == ("Texts are UTF-8", EVIL, f"warn: odd bytes {EVIL}")
    assert [one.rows for one in made.conversions] == [12]
    assert [one.differences_total for one in made.differences] == [1]
    assert [(one.name, one.state, one.why) for one in made.audit.signatures] == [
        (EVIL, "by name only", ""),
        ("Eleni", "by name only", "no key"),
    ]
    assert made.people == {"lead": "Eleni", "database review": "Νίκος"}
    assert any(told.text.startswith("Eleni signed cutover.gate as lead") for told in made.chronicle)


def test_the_page_shows_markup_in_values_and_runs_none(run_dir: Path) -> None:
    page = Page(paper.html(report.record(run_dir)))
    assert "script" not in page.elements
    assert page.elements.count("style") == 1
    assert page.addresses == []
    shown = " ".join(page.texts)
    assert shown.count(EVIL) >= 9
    for said in (
        "5 minutes late",
        "The shop was closed for 1 hour and 1 minute.",
        "+30 210 0000000",
        "iso-datetime",
        "What was run",
    ):
        assert said in shown


def test_markdown_holds_markup_as_text(run_dir: Path) -> None:
    lines = list(paper.markdown(report.record(run_dir)))
    outside = [line for line in lines if not line.startswith("    ")]
    fenced = outside.index("```"), len(outside) - 1 - outside[::-1].index("```")
    told = "\n".join((*outside[: fenced[0]], *outside[fenced[1] :]))
    assert EVIL not in told
    assert "\\<script\\>" in told
    assert "| 1 Schema | T+15 | T+0.2 min | T+20 min | 5 minutes late |" in lines


@pytest.mark.parametrize("form", ["md", "html", "json"])
def test_a_copied_folder_is_enough(run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    copy = shutil.copytree(run_dir, tmp_path / "elsewhere" / "run")
    shutil.rmtree(run_dir)
    monkeypatch.chdir(tmp_path)
    target = tmp_path / f"report.{form}"
    done = CliRunner().invoke(cli, ["report", "--run", str(copy), "--format", form, "--output", str(target)])
    assert done.exit_code == 0, done.output
    text = target.read_text(encoding="utf-8")
    head = (copy / "journal.head").read_text(encoding="ascii").split()[1]
    assert head in text
    if form == "json":
        assert json.loads(text)["audit"]["head"] == head


def test_of_a_changed_journal_no_report_is_made(run_dir: Path) -> None:
    (run_dir / "journal.head").write_text(f"99 {'0' * 64}\n", encoding="ascii")
    with pytest.raises(JournalError, match="missing"):
        report.record(run_dir)


# The rehearsal, and the criteria


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "dixis.toml").write_text(CONFIG, encoding="utf-8")
    return load(tmp_path / "dixis.toml")


def asked(config: Config, rehearsal: Path | None) -> Outcome:
    """The answer of the check of the rehearsal."""
    settings = config.model_copy(update={"run": config.run.model_copy(update={"rehearsal": rehearsal})})
    only = REGISTRY["time.rehearsal"]
    with Runner(planning.build(settings, [only.step()]), settings) as runner:
        return runner.ask(only.outcome)


def test_a_rehearsal_is_checked_by_its_journal_and_not_ticked(config: Config, run_dir: Path) -> None:
    assert asked(config, None).status is Status.SKIP
    good = asked(config, run_dir)
    assert (good.status, good.findings[0].message) == (Status.WARN, "the rollback was not rehearsed")
    assert "1 Schema      19 minutes and 50 seconds" in good.evidence
    assert "the shop was closed for 1 hour and 1 minute" in good.evidence
    journal = Journal(run_dir)
    bad = failed("2 tables differ").model_dump(mode="json")
    journal.append("step-finished", {"step": "cutover.proof", "outcome": bad})
    journal.close()
    assert asked(config, run_dir).status is Status.FAIL
    (run_dir / "journal.head").write_text(f"1 {'0' * 64}\n", encoding="ascii")
    with pytest.raises(JournalError, match="not what was written"):
        asked(config, run_dir)


def test_where_a_rehearsal_is_named_nobody_signs_for_it(config: Config, tmp_path: Path) -> None:
    def signed(rehearsal: Path | None) -> list[str]:
        settings = config.model_copy(update={"run": config.run.model_copy(update={"rehearsal": rehearsal})})
        steps = planning.build(settings, checks.preflight()).phase("preflight").steps
        return [step.id for step in steps if step.kind is Kind.SIGNOFF]

    assert "preflight.signed.rehearsal" in signed(None)
    assert "preflight.signed.rehearsal" not in signed(tmp_path)


def test_criteria_are_what_the_run_has_shown(config: Config) -> None:
    by_id = {step.id.removeprefix("watch.criteria-"): step for step in criteria.steps()}
    assert all(step.work is None for step in by_id.values() if step.kind is Kind.SIGNOFF)

    def answer(runner: Runner, name: str) -> Outcome:
        work = by_id[name].work
        assert work is not None
        return runner.ask(work)

    def finished(runner: Runner, step: str, outcome: Outcome) -> None:
        runner.record("step-finished", {"step": step, "outcome": outcome.model_dump(mode="json")})

    with Runner(planning.build(config, ()), config) as runner:
        assert {name: answer(runner, name).status for name in ("integrity", "downtime", "response")} == {
            "integrity": Status.FAIL,
            "downtime": Status.FAIL,
            "response": Status.FAIL,
        }
        runner.record("window-opened")
        runner.record("window-closed")
        finished(runner, "cutover.proof", passed("equal"))
        finished(runner, "cutover.unchanged", failed("written since"))
        finished(runner, "watch.connection", passed("well", p95_ms=3.0))
        assert answer(runner, "integrity").status is Status.PASS
        assert answer(runner, "downtime").summary.endswith("of 120 minutes")
        assert answer(runner, "response").status is Status.PASS
        assert answer(runner, "loss").summary == "did not pass: cutover.unchanged"
        finished(runner, "watch.connection", warned("slow", p95_ms=250.0))
        assert answer(runner, "response").summary == "95 % within 250 ms, wanted 100 ms"

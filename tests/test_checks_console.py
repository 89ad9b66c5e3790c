"""Preflight in the console: answers come in, a finding is opened, a check is asked again, a warning is waived."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from checks.registry import Answer, Check, Severity, finding, found, good
from dixis_tui import config
from dixis_tui.context import Context
from dixis_tui.model import Kind, Status, passed
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step
from tests.test_console import CONFIG, SMALL, app_of, console, flat, see, write

WIDE = (160, 50)


@dataclass
class Shop:
    """Checks whose answers can be changed, and how often each was asked."""

    mended: bool = False
    asked: list[str] = field(default_factory=list)

    def utf8(self, _: Context) -> Answer:
        self.asked.append("utf8")
        remedy = ("[[data.conversions]]", 'column = "notes.body"', 'rule = "charset"', 'from = "iso-8859-7"')
        told = [
            finding(
                "2 texts that are not valid UTF-8",
                *remedy,
                table="notes",
                column="body",
                rows=2,
                examples=[("id = 17", "x'c5ebe9dc'")],
            ),
            finding("holds [odd] signs", severity="note", table="names"),
        ]
        return found([] if self.mended else told, "all texts are UTF-8")

    def tuning(self, _: Context) -> Answer:
        self.asked.append("tuning")
        return found([finding("error 1193: there is no query_cache_size", "# leave it out")], "fine")

    def plan(self) -> Plan:
        def step(name: str, title: str, work: object, severity: Severity) -> Step:
            assert callable(work)
            return Check(name, title, "It matters. Much.", severity, "mend it", work).step()

        checks = (
            step("data.utf8", "Texts are UTF-8", self.utf8, "fail"),
            step("plan.tuning", "Tuning", self.tuning, "warn"),
            step("env.host", "The host answers", lambda _: good("yes"), "fail"),
        )
        make = Step("schema.make", "Make", Kind.ACTION, "Why.", lambda _: passed("made"), lambda _: ["MAKE"], "UNMAKE")
        phases = (Phase("preflight", "Preflight", checks, True, 2), Phase("schema", "Schema", (make,)))
        back = Step("rollback.go", "Go", Kind.ACTION, "Why.", lambda _: passed("gone"), lambda _: ["GO"], "nothing")
        return Plan(phases, Phase("rollback", "Rollback", (back,)))


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def runner(shop: Shop, tmp_path: Path) -> Iterator[Runner]:
    file = tmp_path / "dixis.toml"
    file.write_text(CONFIG.format(environment="rehearsal"), encoding="utf-8")
    with Runner(shop.plan(), config.load(file)) as runner:
        yield runner


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_a_finding_opens_with_its_rows_and_what_mends_it(runner: Runner, size: tuple[int, int]) -> None:
    async with console(runner, size) as pilot:
        await pilot.press("r")
        await see(pilot, "✗ fail", "! warn", "✓ pass")
        await pilot.press("n", "enter")
        await see(pilot, "notes.body", "2 texts that are not valid UTF-8", "id = 17: x'c5ebe9dc'")
        await see(pilot, "What mends it:", "[[data.conversions]]", 'from = "iso-8859-7"')
        assert "Waive" not in flat(app_of(pilot))
        await pilot.press("down")
        await see(pilot, "holds [odd] signs", "note")
        await pilot.press("escape")
        await see(pilot, "0 Preflight")


async def test_a_check_is_asked_again_from_its_findings(runner: Runner, shop: Shop) -> None:
    async with console(runner, SMALL) as pilot:
        await pilot.press("r")
        await see(pilot, "✗ fail")
        await pilot.press("n", "enter")
        await see(pilot, "not valid UTF-8")
        shop.mended = True
        await pilot.press("t")
        await see(pilot, "✓ pass", "all texts are UTF-8", "Nothing was found.")
        assert shop.asked.count("utf8") == 2
        assert shop.asked.count("tuning") == 1
        await pilot.press("escape", "R")
        while shop.asked.count("tuning") < 2:  # all of them, the finding's among them
            await pilot.pause(0.05)
        await see(pilot, "0 Preflight", "idle")
        assert shop.asked.count("utf8") == 3


async def test_a_warning_is_waived_with_name_and_reason_and_a_fail_is_not(runner: Runner) -> None:
    async with console(runner, SMALL) as pilot:
        await pilot.press("r")
        await see(pilot, "! warn")
        await pilot.press("n", "w")
        assert runner.state.step("preflight.data.utf8").status is Status.FAIL
        await pilot.press("down", "w")
        await see(pilot, "Waive: Tuning")
        await pilot.press("tab")
        await write(pilot, "known")
        await pilot.press("tab", "enter")
        await see(pilot, "– waived")
        assert runner.state.step("preflight.plan.tuning").status is Status.WAIVED

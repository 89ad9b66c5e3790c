"""What the operator sees: the screens in their main states, small and large, light and without colour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from dixis_tui.compare.difference import Difference
from dixis_tui.compare.proof import PROVED, Converted, TableProof
from dixis_tui.console.app import ConsoleApp
from dixis_tui.console.start import Choice, StartApp
from dixis_tui.model import Progress, Status
from dixis_tui.monitoring.samplestore import Lease
from dixis_tui.monitoring.watching import Watching
from dixis_tui.record import signing
from screens import start
from screens.watch import WatchScreen
from tests.pictures import FEW, LARGE, LOOKS, PROOF_FAILED, SMALL, Look, Night, SnapCompare, standing_clock
from tests.test_watch_screen import sampled

EARLY = ("preflight", "schema")
BEFORE_CUTOVER = (*EARLY, "data", "assets", "validation")
COPYING = (
    Progress("data.orders", "order_items", 1_200_000, 2_900_000, size=96_000_000),
    Progress("data.orders", "orders", 612_448, 612_448, state=Status.PASS, size=210_000_000),
    Progress("data.orders", "payments", 80_000, 640_000, size=9_000_000),
    Progress("data.orders", "invoices", 0, 27_554, state=Status.PENDING),
    Progress("data.orders", "stream 1", 1_812_448, None, note="order_items", part="stream"),
    Progress("data.orders", "stream 2", 80_000, None, note="payments", part="stream"),
    Progress(
        "data.orders",
        "all tables",
        1_892_448,
        4_180_002,
        note="300 MiB, 8.1 MiB/s, 51,000 rows/s",
        part="whole",
        left=840,
    ),
)
PROOFS = (
    TableProof(
        table="orders",
        rows_source=4_180_002,
        rows_target=4_180_002,
        status="differs",
        differences=(
            Difference(
                key="id = 17",
                column="note",
                source="ring twice",
                target="ring twice ",
                at="character 11: the end, U+0020",
            ),
            Difference(
                key="id = 40911", column="note", source="Ωμέγα", target="Ωμεγα", at="character 3: U+03AD, U+03B5"
            ),
        ),
        differences_total=2,
        hash_source="9034ad0772dddf13",
        hash_target="73792a855b8e3f7f",
        seconds=21.4,
    ),
    TableProof(
        table="users",
        rows_source=210_331,
        rows_target=210_331,
        status="equal",
        conversions=(Converted(column="users.born", rule="iso-datetime", rows=1204),),
        hash_source="0969f1b856abbce5",
        hash_target="0969f1b856abbce5",
        seconds=2.2,
    ),
)


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Night]:
    monkeypatch.chdir(tmp_path)
    night = Night(standing_clock(monkeypatch), tmp_path)
    yield night
    night.close()
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(params=LOOKS, ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    found: Look = request.param
    return found


def at_work(app: ConsoleApp) -> bool:
    return app.runner.running is not None and (app._board.has("data.orders") or app.runner.running != "data.orders")


def test_a_run_that_has_not_begun(night: Night, look: Look, snap_compare: SnapCompare) -> None:
    night.environment = "rehearsal"
    night.clock.at(-20)
    assert look.picture(snap_compare, night)


def test_the_copy_at_work_behind_plan(night: Night, look: Look, snap_compare: SnapCompare) -> None:
    night.through("preflight")
    night.clock.at(2)
    night.through("schema")
    night.run("data.snapshot", "data.users")
    night.blocking["data.orders"] = COPYING
    night.clock.at(43)
    night.runner.confirm([], "so that production asks no more", "dixis_production")
    assert look.picture(snap_compare, night, [*"n", "enter", *"dixis_production", "enter"], at_work)


def test_a_proof_that_failed(night: Night, look: Look, snap_compare: SnapCompare) -> None:
    night.through("preflight")
    night.clock.at(1)
    night.through("schema", "data", "assets")
    night.answers["validation.proof"] = PROOF_FAILED
    night.run("validation.proof")
    night.clock.at(80)
    assert look.picture(snap_compare, night)


def test_the_cutover_waits_for_signatures_near_the_turning_point(
    night: Night, look: Look, snap_compare: SnapCompare
) -> None:
    night.through("preflight")
    night.clock.at(1)
    night.through("schema", "data", "assets", "validation")
    night.clock.at(92)
    night.run("cutover.maintenance")
    night.runner.record("window-opened")
    night.run("cutover.resync", "cutover.environment")
    signing.sign(night.runner, "cutover.gate", role="lead", name="Eleni Papadaki", note="")
    night.clock.at(100.5)
    assert look.picture(snap_compare, night)


def test_the_rollback_before_the_word(night: Night, look: Look, snap_compare: SnapCompare) -> None:
    night.through(*EARLY)
    night.clock.at(30)
    night.through("data", "assets", "validation")
    night.cut_over()
    night.clock.at(95)
    assert look.picture(snap_compare, night, ["ctrl+r"])


@pytest.mark.parametrize("look", FEW, ids=str)
def test_the_rollback_at_work(night: Night, look: Look, snap_compare: SnapCompare) -> None:
    night.through(*BEFORE_CUTOVER)
    night.clock.at(70)
    night.run("cutover.maintenance")
    night.runner.record("window-opened")
    night.blocking["rollback.database"] = ()
    assert look.picture(
        snap_compare,
        night,
        ["ctrl+r", *"dixis_production", "enter"],
        lambda app: app.runner.running == "rollback.database",
    )


@pytest.mark.parametrize("look", FEW, ids=str)
def test_the_rollback_done(night: Night, look: Look, snap_compare: SnapCompare) -> None:
    night.through(*BEFORE_CUTOVER)
    night.clock.at(70)
    night.run("cutover.maintenance")
    night.runner.record("window-opened")
    night.through("rollback")
    night.runner.record("window-closed")
    assert look.picture(snap_compare, night, ["ctrl+r"])


@pytest.mark.parametrize("look", FEW, ids=str)
def test_the_question_before_something_is_changed(night: Night, look: Look, snap_compare: SnapCompare) -> None:
    night.through("preflight")
    night.clock.at(2)
    assert look.picture(snap_compare, night, ["n", "enter"], lambda app: bool(app.screen.query("#confirm-word")))


@pytest.mark.parametrize("look", FEW, ids=str)
def test_the_signature_at_the_gate(night: Night, look: Look, snap_compare: SnapCompare) -> None:
    night.through(*BEFORE_CUTOVER)
    night.clock.at(80)
    night.run("cutover.maintenance", "cutover.resync", "cutover.environment")
    assert look.picture(snap_compare, night, ["n", "s"], lambda app: bool(app.screen.query("#sign-name")))


@pytest.mark.parametrize("look", FEW, ids=str)
def test_the_evidence_of_a_step(night: Night, look: Look, snap_compare: SnapCompare) -> None:
    night.through("preflight")
    assert look.picture(snap_compare, night, ["0", "down", "e"])


@pytest.mark.parametrize("look", FEW, ids=str)
def test_all_tables_during_the_copy(night: Night, look: Look, snap_compare: SnapCompare) -> None:
    night.through("preflight")
    night.clock.at(2)
    night.through("schema")
    night.run("data.snapshot", "data.users")
    night.blocking["data.orders"] = COPYING
    night.clock.at(20)
    night.runner.confirm([], "so that production asks no more", "dixis_production")
    assert look.picture(snap_compare, night, [*"n", "enter", *"dixis_production", "enter", "a"], at_work)


@pytest.mark.parametrize("look", FEW, ids=str)
@pytest.mark.parametrize("key", ["L", "c", "question_mark", "slash"])
def test_the_other_screens_behind_their_keys(night: Night, look: Look, key: str, snap_compare: SnapCompare) -> None:
    night.through("preflight")
    night.clock.at(1)
    night.through("schema", "data", "assets")
    night.answers["validation.proof"] = PROOF_FAILED
    night.run("validation.proof")
    night.clock.at(80)
    assert look.picture(snap_compare, night, [key])


@pytest.mark.parametrize("look", FEW, ids=str)
@pytest.mark.parametrize("keys", [["d"], ["d", "enter"]], ids=["tables", "cells"])
def test_the_comparison(night: Night, look: Look, keys: list[str], snap_compare: SnapCompare) -> None:
    night.through("preflight")
    night.clock.at(1)
    night.through("schema", "data", "assets")
    night.answers["validation.proof"] = PROOF_FAILED
    for proof in PROOFS:
        data = {"step": "validation.proof", "round": 1, "snapshot": "1", "proof": proof.model_dump(mode="json")}
        night.runner.record(PROVED, data)
    night.run("validation.proof")
    night.clock.at(80)
    assert look.picture(snap_compare, night, ["4", *keys])


@pytest.mark.parametrize("look", FEW, ids=str)
def test_the_watch(night: Night, look: Look, monkeypatch: pytest.MonkeyPatch, snap_compare: SnapCompare) -> None:
    night.through(*BEFORE_CUTOVER)
    night.cut_over()
    night.clock.at(100)
    now = night.clock.now.timestamp()
    sampled(night.runner.run_dir, now)
    monkeypatch.setattr(WatchScreen.__init__, "__defaults__", (lambda: now,))
    monkeypatch.setattr(Watching.__init__, "__kwdefaults__", {"clock": lambda: now})
    elsewhere = Lease(night.runner.run_dir)
    assert elsewhere.acquire()  # another process samples

    def seen(app: ConsoleApp) -> bool:
        return app._watching is not None and app._watching.picture.latest is not None

    assert look.picture(snap_compare, night, ["m"], seen)
    elsewhere.release()


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x50"])
@pytest.mark.parametrize("keys", [[], ["2"]], ids=["ways", "questions"])
def test_the_first_start(
    night: Night, monkeypatch: pytest.MonkeyPatch, keys: list[str], size: tuple[int, int], snap_compare: SnapCompare
) -> None:
    monkeypatch.setattr(start, "PAUSE", 3600.0)  # nothing is tried while the picture is taken

    async def before(pilot: Pilot[Choice]) -> None:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        for field in pilot.app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause()

    assert snap_compare(StartApp(Path("dixis.toml"), Path("runs")), terminal_size=size, run_before=before)

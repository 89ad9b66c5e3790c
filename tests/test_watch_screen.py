"""The Watch screen, read as an operator reads it: values beside limits, a plot with its threshold, the rest."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dixis_tui.monitoring.samples import Sample, coarse
from dixis_tui.monitoring.samplestore import Lease, Store
from dixis_tui.monitoring.triggers import Crossing
from screens import plots
from tests.test_console import Shop, app_of, console, open_run, screen, see, shop

__all__ = ["shop"]  # a fixture

WIDE = (160, 50)


def sampled(folder: Path, now: float | None = None) -> None:
    """What another process has left: a quarter of an hour of samples, the end of it past the limit."""
    store, now = Store(folder), now or time.time()
    begun = now - 360
    for number in range(60):
        at = now - 15 * (59 - number)
        p95 = 180.0 if at > begun else 30.0
        values = {"p95_ms": p95, "p50_ms": 3.0, "p99_ms": 2 * p95, "probe_ms": 0.4, "connections": 12.0}
        values |= {"max_connections": 151.0, "pool_reads": 1.0, "pool_requests": 1000.0, "database_bytes": 5e6}
        opened = []
        if number == 59:
            opened = [Crossing("p95_ms over 100", begun=begun, last=at, worst=180.0, stood=begun + 300)]
        notes = {
            "measured": {
                "by": "every statement, by the server's histogram",
                "who": "[watch.account]",
                "probe": "SELECT 1",
                "missing": {"log": "the server's error log cannot be read from here"},
                "interval": 15.0,
            },
            "disks": {"at": now, "disks": [{"what": "the database", "total": 1e9, "free": 4e8}]},
        }
        sample = Sample(at, 15, source="histogram", values=values, histogram=coarse([(p95, 100)]))
        store.add(sample, opened=opened, notes=notes)
    store.add_statements("2026-01-02", now, [{"digest": "a", "text": "SELECT ? FROM orders", "worst_ms": 3100.0}])
    store.close()


@pytest.mark.parametrize("no_colour", [False, True])
async def test_one_who_looks_on_sees_values_limits_and_what_stands(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_colour: bool
) -> None:
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    with open_run(shop, tmp_path) as driver:
        sampled(driver.run_dir)
    with open_run(shop, tmp_path, watch=True) as runner:
        async with console(runner) as pilot:
            await pilot.press("m")
            shown = await see(pilot, "✗ STANDS response, p95 180 ms over 100", "7.947 % over 80")
            assert "✗ response, p95 over 100 ms for 5 min: consider rollback (^R)" in shown
            assert "every statement, by the server's histogram; 1 not measured (e)" in shown
            assert plots.OVER in shown
            await see(pilot, "Last 15 minutes, stands since ", "100 ┼")
            lines = screen(app_of(pilot))
            assert max(len(line) for line in lines) <= 80
            await pilot.press("down")
            await see(pilot, "Last 15 minutes: response, p50")
            await pilot.press("h")
            await see(pilot, "Last hour: response, p50")
            await pilot.press("e")
            await see(pilot, "the server's error log cannot be read from here", gone="Last hour")
            await pilot.press("end")
            await see(pilot, "the database: 400.0 MB of 1.0 GB free")
            await pilot.press("escape")
            await see(pilot, "This console only watches")
            # It has looked, and neither sampled nor held up one who would.
            lease = Lease(runner.run_dir)
            assert lease.acquire()
            lease.release()


async def test_in_a_wide_terminal_everything_stands_beside_each_other(shop: Shop, tmp_path: Path) -> None:
    with open_run(shop, tmp_path) as driver:
        sampled(driver.run_dir)
    with open_run(shop, tmp_path, watch=True) as runner:
        async with console(runner, WIDE) as pilot:
            await pilot.press("m")
            await see(pilot, "100 ┼", "3.1 s SELECT ? FROM orders", "Crossed in the last day", "The days of the week")


async def test_the_plot_is_drawn_for_the_room_it_has_from_the_first_moment(shop: Shop, tmp_path: Path) -> None:
    with open_run(shop, tmp_path) as driver:
        sampled(driver.run_dir)
    with open_run(shop, tmp_path, watch=True) as runner:
        async with console(runner, (120, 30)) as pilot:
            await pilot.press("m")
            await see(pilot, "Last 15 minutes, stands", "100 ┼", "response, p95 over 100 ms…")
            await pilot.press("escape", "m")  # now there is something to draw before the screen knows its size
            for _ in range(3):
                await pilot.pause()
            lines = screen(app_of(pilot))
            assert any("100 ┼" in line for line in lines)
            assert [line for line in lines if line.startswith(tuple(plots.BLOCKS[1:] + plots.OVER))] == []


async def test_a_console_that_drives_samples_itself_and_says_that_nobody_answers(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIXIS_TEST_PASSWORD", "unused")
    with open_run(shop, tmp_path) as runner:
        # A port where nothing listens, on this machine.
        target = runner.config.target.model_copy(update={"host": "127.0.0.1", "port": 1, "admin": None})
        runner.config = runner.config.model_copy(update={"target_section": target})
        async with console(runner) as pilot:
            await pilot.press("m")
            await see(pilot, "✗ NO ANSWER: 127.0.0.1:1 does not answer")
            await pilot.press("escape")
        store = Store(runner.run_dir, create=False)
        latest = store.latest()
        assert latest is not None
        assert not latest.answered
        store.close()


async def test_before_the_first_sample_it_says_how_there_come_to_be_some(shop: Shop, tmp_path: Path) -> None:
    with open_run(shop, tmp_path):
        pass
    with open_run(shop, tmp_path, watch=True) as runner:
        async with console(runner) as pilot:
            await pilot.press("m")
            await see(pilot, "Nothing was sampled yet. dixis monitor takes samples")
    assert not (runner.run_dir / "samples.sqlite").exists()

"""The lists of the console, all tables first: filtered, searched, sorted, copied, with keys as an operator does."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dixis_tui import config
from dixis_tui.cli import cli
from dixis_tui.compare.proof import Converted, TableProof
from dixis_tui.context import Context
from dixis_tui.model import DixisError, Kind, Outcome, Progress, Status, passed
from dixis_tui.ran import ran
from dixis_tui.record import commandlog
from dixis_tui.record.journal import PACED
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step
from screens.commands import CommandsScreen
from screens.findings import FindingsScreen
from screens.help import keys
from screens.lists import ListScreen
from screens.log import LogScreen
from screens.proof import DifferencesScreen, ProofScreen
from screens.steps import StepsScreen
from screens.tables import TablesScreen
from tests.test_console import CONFIG, app_of, assert_nothing_scrolls_sideways, console, prove, see, write

PASSWORD = "s3cret-word"
TABLES = {f"table_{n:03}": 1000 * n for n in range(1, 299)} | {"users": 1_200_000, "orders": 240_000}
LISTS: tuple[type[ListScreen[Any]], ...] = (
    TablesScreen,
    CommandsScreen,
    LogScreen,
    StepsScreen,
    FindingsScreen,
    ProofScreen,
    DifferencesScreen,
)


@dataclass
class Night:
    """A plan whose copy says what a test lets it say, and goes on until it is released."""

    say: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    bursts: int = 0
    limits: list[int] = field(default_factory=list)

    def prepare(self, _context: Context) -> Outcome:
        return passed("300 tables ready", tables=TABLES)

    def users(self, context: Context) -> Outcome:
        """One table at work on two streams, and one that failed."""
        told = (
            Progress("data.users", "users", 300_000, 1_200_000, size=90_000_000),
            Progress("data.users", "orders", 100, 240_000, state=Status.FAIL),
            Progress("data.users", "stream 1", 300_000, None, note="users", size=90_000_000, part="stream"),
            Progress("data.users", "stream 2", 280_000, None, note="users", size=80_000_000, part="stream"),
        )
        while not self.release.wait(0.01):
            context.check_stop()
            for progress in told:
                context.progress(progress)
        return passed("copied", tables={"users": TABLES["users"]})

    def rest(self, context: Context) -> Outcome:
        """Every table speaks at once, again and again."""
        while not self.release.is_set():
            context.check_stop()
            self.bursts += 1
            for name, total in TABLES.items():
                context.progress(Progress("data.rest", name, min(self.bursts, total), total, size=self.bursts))
            time.sleep(0)  # lets the console have its turn
        return passed("copied", tables=TABLES)

    def sync(self, context: Context) -> Outcome:
        self.limits.append(context.pace.bandwidth_kib)
        while not self.release.wait(0.01):
            context.check_stop()
            note = "12 sent, 40 of 266 seen"
            context.progress(Progress("assets.sync", "rsync", 3_000_000, 9_000_000, "bytes", note=note, left=75))
        return passed("sent")

    def shell(self, context: Context) -> Outcome:
        """Runs what the command log is to show."""
        context.local.run(["printf", "%s", PASSWORD])
        for number in range(4):
            ran("sql", "shop at db:3306", "INSERT INTO `_dixis_chunks` VALUES (%s);")
            ran("ask", "shop at db:3306", f"SELECT COUNT(*) FROM `users` WHERE id > {number};")
        context.log("a thing worth looking for", "debug")
        context.log("the server is slow", "warn")
        context.say("ordinary words")
        return passed("ran")

    def plan(self) -> Plan:
        def action(step_id: str, title: str, work: object) -> Step:
            return Step(step_id, title, Kind.ACTION, f"Why {step_id}.", work, lambda _: ["DO;"], "UNDO")  # type: ignore[arg-type]

        data = (
            action("data.prepare", "Make the target ready", self.prepare),
            action("data.users", "Users", self.users),
            action("data.rest", "All other tables", self.rest),
        )
        return Plan(
            (
                Phase("preflight", "Preflight", (action("preflight.shell", "Runs commands", self.shell),)),
                Phase("data", "2 Data", data),
                Phase("assets", "3 Assets", (action("assets.sync", "Send by rsync", self.sync),)),
                Phase("validation", "4 Validation", (Step("validation.sign", "Sign in", Kind.SIGNOFF, "By hand."),)),
            ),
            Phase("rollback", "Rollback", (action("rollback.0", "Maintenance on", self.prepare),)),
        )


@pytest.fixture
def night() -> Iterator[Night]:
    night = Night()
    yield night
    night.release.set()


def open_night(night: Night, folder: Path, monkeypatch: pytest.MonkeyPatch, *, watch: bool = False) -> Runner:
    monkeypatch.setenv("DIXIS_TEST_PASSWORD", PASSWORD)
    file = folder / "dixis.toml"
    file.write_text(CONFIG.format(environment="rehearsal"), encoding="utf-8")
    settings = config.load(file)
    settings.target.password.resolve("password")
    return Runner(night.plan(), settings, watch=watch)


@pytest.fixture
def runner(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    with open_night(night, tmp_path, monkeypatch) as runner:
        yield runner


async def settle(runner: Runner, *steps: str) -> None:
    for step in steps:
        await runner.run_step(step)


async def test_all_tables_are_seen_what_matters_first_and_sorted_filtered_paused(runner: Runner, night: Night) -> None:
    async with console(runner) as pilot:
        await see(pilot, "Nothing has run yet")
        await pilot.press("a")
        await see(pilot, "Nothing is known of the tables yet. Next: run the phase Data")
        await settle(runner, "preflight.shell", "data.prepare")
        now = await see(pilot, "0 of 300 tables through", "of 46.0M rows")
        assert now.index("users users 0/1.2M") < now.index("table_298 other 0/298k") < now.index("table_290")
        await pilot.press("escape", "1", "enter")
        await see(pilot, "DO;")
        await pilot.press("y")
        await see(pilot, "… running Users")
        await pilot.press("a")
        now = await see(pilot, "1 in trouble", "Pace: 2 streams · #1 users now · #2 users now", "90.0MB")
        failed, to_come = now.index("✗ fail orders"), now.index("· pending table_298")
        assert now.index("… running users users 300k/1.2M") < failed < to_come
        await pilot.press("z")
        await see(pilot, "‖ paused users", "paused: z goes on", "z Pause")
        await pilot.press("z")
        await see(pilot, "… running users")
        await pilot.press("minus", "minus")
        await see(pilot, "Pace: 1 stream at 1/2 of its time")
        await pilot.press("plus")
        await see(pilot, "Pace: 1 stream ·")
        assert [event.data["to"] for event in runner.events if event.kind == PACED] == [
            "1 stream",
            "1 stream at 1/2 of its time",
            "1 stream",
        ]
        await pilot.press("o")
        now = await see(pilot, "by name")
        assert now.index("orders") < now.index("table_001") < now.index("table_002")
        await pilot.press("slash", "x", "o", *["backspace"] * 2)  # typed at once: no key of it is the list's
        await write(pilot, "290")
        await see(pilot, "Only lines with '290': 1. Esc shows all.", "table_290", "by name", gone="table_002")
        await see(pilot, "running data.users")
        await pilot.press("enter", "escape")
        await see(pilot, "table_002", gone="Only lines with")
        night.release.set()
        await pilot.press("end")
        await see(pilot, "✓ pass users")


async def test_a_later_console_and_one_that_watches_know_what_was_copied(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.release.set()
    with open_night(night, tmp_path, monkeypatch) as first:
        await settle(first, "preflight.shell", "data.prepare", "data.users")
    with open_night(night, tmp_path, monkeypatch, watch=True) as runner:
        async with console(runner) as pilot:
            await pilot.press("a")
            await see(pilot, "1 of 300 tables through", "Live numbers are seen in the console that drives")
            await pilot.press("slash")
            await write(pilot, "users")
            await see(pilot, "✓ pass users users 1.2M/1.2M")
            await pilot.press("escape", "escape", "c")
            await see(pilot, "printf %s •••")


async def test_three_hundred_tables_that_speak_at_once_do_not_flood_the_screen(runner: Runner, night: Night) -> None:
    """A burst is one look at the board: keys are answered, and drawing costs what the screen holds, not the list."""
    night.release.set()
    await settle(runner, "preflight.shell", "data.prepare", "data.users")
    night.release.clear()
    async with console(runner) as pilot:
        await pilot.press("1", "down", "down", "enter")
        await see(pilot, "DO;")
        await pilot.press("y", "a")
        await see(pilot, "… running table_298")
        drawn = 0
        screen = app_of(pilot).screen
        assert isinstance(screen, TablesScreen)
        cells = screen.cells

        def counted(item: object) -> list[object]:
            nonlocal drawn
            drawn += 1
            return cells(item)  # type: ignore[arg-type,return-value]

        screen.cells = counted  # type: ignore[method-assign,assignment]
        began, before = time.monotonic(), night.bursts
        while night.bursts < before + 100:
            await pilot.pause(0.02)
        seconds = time.monotonic() - began
        messages = 300 * (night.bursts - before)
        # At most some fifteen lines of 24 a look, ten looks a second (and one more for whatever the operator does).
        assert drawn <= 25 * (10 * seconds + 5) < messages
        await pilot.press("end")
        await see(pilot, "table_001")
        night.release.set()
        await see(pilot, "300 of 300 tables through")


async def test_another_limit_for_rsync_is_asked_for_and_takes_a_stop(runner: Runner, night: Night) -> None:
    night.release.set()
    await settle(runner, "preflight.shell", "data.prepare", "data.users", "data.rest")
    night.release.clear()
    async with console(runner) as pilot:
        await see(pilot, "Send by rsync")
        await pilot.press("r")
        await see(pilot, "DO;")
        await pilot.press("y", "a")
        await see(pilot, "Files: 12 sent, 40 of 266 seen; rsync has no limit", "(files) assets 3.0MB/9.0MB", "1m 15s")
        await pilot.press("minus")
        await see(pilot, "rsync takes its limit when it starts; it cannot be changed", "one that is cut off goes on")
        await pilot.press("escape")
        assert night.limits == [0]
        await pilot.press("minus")
        await see(pilot, "started again with 2,048 KiB/s")
        await pilot.press("y")
        await see(pilot, "rsync has 2,048 KiB/s", "… running (files)")
        assert night.limits == [0, 2048]
        night.release.set()
        await see(pilot, "✓ pass (files)")
    assert runner.state.step("assets.sync").status is Status.PASS


async def test_what_was_run_is_read_copied_and_stands_in_a_file(runner: Runner, tmp_path: Path) -> None:
    async with console(runner) as pilot:
        await settle(runner, "preflight.shell")
        await pilot.press("c")
        now = await see(pilot, "3 commands, 2 questions left out (v)", "printf %s •••", "again 3×: INSERT INTO `_dixis")
        assert PASSWORD not in now
        assert "SELECT" not in now
        await pilot.press("v")
        await see(pilot, "5 commands", "SELECT COUNT(*) FROM `users` WHERE id > 0;", "again 3×: SELECT COUNT(*)")
        await pilot.press("v", "home")
        await see(pilot, "preflight.shell, this machine printf %s •••", "standing still (f follows)")
        await pilot.press("y")
        await see(pilot, "Copied the command, if your terminal takes it. It also stands in")
        assert app_of(pilot).clipboard == "printf %s •••"
        await pilot.press("Y")
        assert "INSERT INTO `_dixis_chunks` VALUES (%s);" in app_of(pilot).clipboard
        await pilot.press("question_mark")
        await see(pilot, "Everything that was sent to the database or run on a host", "y copy the selected line")
    entries = commandlog.Reader(runner.run_dir).new()
    told = [(entry.kind, entry.where, entry.step, entry.again) for entry in entries if "SELECT" not in entry.text]
    assert told == [
        ("shell", "this machine", "preflight.shell", 0),
        ("sql", "shop at db:3306", "preflight.shell", 0),
        ("sql", "shop at db:3306", "preflight.shell", 3),
    ]
    assert PASSWORD not in (runner.run_dir / "commands.log").read_text(encoding="utf-8")
    assert (runner.run_dir / "commands.log").stat().st_mode & 0o077 == 0


def test_log_and_commands_are_printed_while_the_run_is_driven(runner: Runner, tmp_path: Path) -> None:
    runner.begin_at(4)
    asyncio.run(settle(runner, "preflight.shell", "data.prepare"))

    def printed(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["--config", str(tmp_path / "dixis.toml"), "log", *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    assert "info  - Maria changed the pace from 2 streams to 4 streams" in printed()
    assert "the server is slow" in printed("--level", "warn")
    assert "ordinary words" not in printed("--level", "warn")
    assert "pass, 300 tables ready" not in printed("--step", "preflight")
    commands = printed("commands").splitlines()
    assert commands[1] == "printf %s •••"
    assert re.fullmatch(r"# \S+ preflight.shell shell this machine", commands[0])
    entries = json.loads(printed("commands", "--questions", "--json"))
    assert {"ask", "sql", "shell"} == {entry["kind"] for entry in entries}
    (runner.run_dir / "console.log").unlink()
    done = CliRunner().invoke(cli, ["--config", str(tmp_path / "dixis.toml"), "log"])
    assert isinstance(done.exception, DixisError)
    assert "console.log cannot be read" in done.exception.what


async def test_the_log_is_filtered_by_level_and_step_searched_and_followed(runner: Runner) -> None:
    async with console(runner) as pilot:
        await settle(runner, "preflight.shell", "data.prepare")
        await pilot.press("L")
        await see(pilot, "info and above, all steps, following", "the server is slow", gone="debug ")
        await see(pilot, "info data.prepare pass, 300 tables ready")
        await pilot.press("v")
        await see(pilot, "1 line, warn and above", gone="ordinary words")
        await pilot.press("v", "v")
        await see(pilot, "every level", "debug preflight.shell a thing worth looking for")
        await pilot.press("slash")
        await write(pilot, "words")
        await pilot.press("enter")
        await see(pilot, "'words' in 1 line; n goes up, N down", "standing still")
        await pilot.press("y")
        assert app_of(pilot).clipboard.endswith("info preflight.shell ordinary words")
        await pilot.press("s")
        await see(pilot, "of preflight.shell", gone="data.prepare")
        await pilot.press("s", "escape", "ampersand")
        await write(pilot, "console")
        await pilot.press("enter")
        await see(pilot, "Only lines with 'console': 1.", "Maria at the console", gone="ordinary words")
        await pilot.press("escape", "f")
        runner.say("something new", level="error")
        await see(pilot, "error something new", "following the newest")
        await pilot.press("escape")
        await see(pilot, "Found: ran")


async def test_a_step_is_found_by_a_few_letters_and_shown(runner: Runner) -> None:
    async with console(runner) as pilot:
        await see(pilot, "Nothing has run yet")
        await pilot.press("slash")
        await see(pilot, "0 of 6 steps are done", "Sign in")
        await pilot.press("slash")
        await write(pilot, "rsync")
        await see(pilot, "Send by rsync", gone="Sign in")
        await pilot.press("enter", "enter")
        await see(pilot, "assets.sync", "Why assets.sync.")


async def test_both_sides_of_the_comparison_stand_beside_each_other(runner: Runner) -> None:
    changed = (Converted(column="users.born", rule="empty-to-null", rows=12),)
    hashes = {"hash_source": "00000000deadbeef", "hash_target": "00000000deadbeef", "seconds": 1.25}
    prove(
        runner,
        TableProof(table="users", rows_source=20, rows_target=20, status="equal", conversions=changed, **hashes),  # type: ignore[arg-type]
    )
    prove(runner, TableProof(table="orders", rows_source=7, rows_target=7, status="equal", seconds=0.5))
    async with console(runner, (160, 50)) as pilot:
        await pilot.press("1", "d")
        await see(pilot, "users 20 00000000deadbeef 20 00000000deadbeef ✓ equal born empty-to-null 12 1.2s")
        await pilot.press("slash")
        await write(pilot, "user")
        await see(pilot, "Only lines with 'user': 1", gone="orders")
        await pilot.press("enter", "enter")
        await see(pilot, "users: 20 rows, every value equal. Declared: users.born empty-to-null 12 rows")
        await see(pilot, "source 20 rows, hash 00000000deadbeef target 20 rows, hash 00000000deadbeef, 1.2s")


async def test_the_palette_has_the_commands_of_the_screen_one_is_on(runner: Runner) -> None:
    async with console(runner) as pilot:
        await see(pilot, "Nothing has run yet")
        await pilot.press("ctrl+p")
        await write(pilot, "all tables")
        await pilot.press("enter")
        await see(pilot, "Nothing is known of the tables yet")
        await pilot.press("ctrl+p")
        await write(pilot, "slower")
        await see(pilot, "fewer streams; below one, a share of its time")
        await pilot.press("enter")
        await see(pilot, "1 stream, from the next chunk on")
        await pilot.press("L", "a")
        await see(pilot, "Nothing is known of the tables yet")
        assert len(app_of(pilot).screen_stack) == 2  # the screen below came back, no second one was opened
        await pilot.press("question_mark")
        await see(pilot, "Every table of the source", "more streams at once", "Everywhere")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_every_list_fits(runner: Runner, size: tuple[int, int]) -> None:
    async with console(runner, size) as pilot:
        await settle(runner, "preflight.shell", "data.prepare")
        for key, text in (("a", "of 300 tables"), ("c", "commands"), ("L", "lines"), ("slash", "steps are done")):
            await pilot.press(key)
            await see(pilot, text, "Back", "^R ROLL")
            assert_nothing_scrolls_sideways(pilot)
            await pilot.press("escape")


def test_every_key_of_every_list_says_what_it_does_and_stands_in_the_guide() -> None:
    guide = (Path(__file__).parent.parent / "docs/lists.md").read_text(encoding="utf-8")
    for screen in LISTS:
        found = list(keys(screen, lambda binding: binding.key))
        assert len(found) >= 4, screen
        for key, meaning in found:
            assert f"| {key} | {meaning} |" in guide, (screen, key)

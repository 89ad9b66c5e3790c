"""The console, walked with keys and read as an operator reads it: by the text on the screen."""

from __future__ import annotations

import asyncio
import gc
import html
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.command import CommandList
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import DataTable, Input

from dixis_tui import config
from dixis_tui.compare.difference import Difference
from dixis_tui.compare.proof import PROVED, TableProof
from dixis_tui.console.app import ConsoleApp, picture
from dixis_tui.context import Context
from dixis_tui.model import DixisError, Kind, Outcome, Progress, Status, failed, passed
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step
from screens.confirm import ConfirmDialog
from screens.deliberate import Deliberate
from screens.sign import SignDialog
from screens.widgets import Headline

SMALL = (80, 24)
PATIENCE = 10.0  # seconds until a text that does not come is given up
CONFIG = """
[run]
environment = "{environment}"
operator = "Maria"
[people]
lead = "Maria"
[source]
path = "shop.sqlite"
[target]
host = "db.example.org"
database = "dixis_shop"
user = "dixis"
password = {{ env = "DIXIS_TEST_PASSWORD" }}
[app]
root = "/srv/shop"
"""


@dataclass
class Shop:
    """What the steps of the small plan did, and how they are steered."""

    done: list[str] = field(default_factory=list)
    tls: bool = False
    deaf: bool = False
    release: threading.Event = field(default_factory=threading.Event)
    messages: int = 0

    def check(self, step_id: str, title: str, work: Callable[[Context], Outcome]) -> Step:
        return Step(step_id, title, Kind.CHECK, f"Why {step_id} is asked.", work)

    def action(self, step_id: str, title: str, work: Callable[[Context], Outcome] | None = None) -> Step:
        def note(_context: Context) -> Outcome:
            self.done.append(step_id)
            return passed(f"{title}: done")

        preview = [f"DO {step_id.upper()};"]
        return Step(step_id, title, Kind.ACTION, f"Why {step_id} is done.", work or note, lambda _: preview, "UNDO it")

    def tls_in_use(self, _context: Context) -> Outcome:
        return passed("TLS 1.3") if self.tls else failed("the line is in clear", ["cipher: none"], ["ALTER INSTANCE;"])

    def host_answers(self, _context: Context) -> Outcome:
        raise DixisError("The host does not answer.", safe="nothing was changed", next_step="start sshd there")

    def long_copy(self, context: Context) -> Outcome:
        while not self.release.wait(0.01):
            if not self.deaf:
                context.check_stop()
            done = len(self.done)
            context.progress(Progress("schema.copy", "orders", done, 100))
            context.progress(Progress("schema.copy", "stream 1", 40, None, note="orders", part="stream"))
            sums = "1.5 MiB, 0.7 MiB/s, 9 rows/s"
            context.progress(Progress("schema.copy", "all tables", done, 100, note=sums, part="whole", left=83))
        return passed("copied")

    def flood(self, context: Context) -> Outcome:
        while not self.release.is_set():
            context.check_stop()
            self.messages += 1
            table = f"table_{self.messages % 83}"
            context.progress(Progress("watch.flood", table, self.messages, 10_000_000))
        return passed(f"{self.messages} messages")

    def plan(self) -> Plan:
        def fine(_context: Context) -> Outcome:
            return passed("fine")

        tests = ("Sign in", "Pay")
        signoffs = [Step(f"validation.{n}", t, Kind.SIGNOFF, f"{t} by hand.") for n, t in enumerate(tests)]
        gate = Step(
            "cutover.gate", "Go or no-go", Kind.GATE, "Two people decide.", roles=("lead", "technical approval")
        )
        back = ("Maintenance on", "Restore the file", "Switch the settings", "Restart services", "Let traffic in")
        preflight = (
            self.check("preflight.source", "Source is whole", fine),
            self.check("preflight.tls", "TLS is in use", self.tls_in_use),
            self.check("preflight.host", "Host answers [known]", self.host_answers),
        )
        schema = (self.action("schema.create", "Create"), self.action("schema.copy", "Long copy", self.long_copy))
        return Plan(
            (
                Phase("preflight", "Preflight", preflight, go_on=True),
                Phase("schema", "Schema", (*schema, self.action("schema.after", "Afterwards"))),
                Phase("validation", "Validation", tuple(signoffs)),
                Phase("cutover", "Cutover", (gate, self.action("cutover.up", "Traffic on"))),
                Phase("watch", "Watch", (self.check("watch.flood", "Flood", self.flood),)),
            ),
            Phase("rollback", "Rollback", tuple(self.action(f"rollback.{n}", t) for n, t in enumerate(back))),
        )


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.release.set()


def open_run(shop: Shop, folder: Path, environment: str = "rehearsal", *, watch: bool = False) -> Runner:
    file = folder / "dixis.toml"
    file.write_text(CONFIG.format(environment=environment), encoding="utf-8")
    return Runner(shop.plan(), config.load(file), watch=watch)


@pytest.fixture
def runner(shop: Shop, tmp_path: Path) -> Iterator[Runner]:
    with open_run(shop, tmp_path) as runner:
        yield runner


@pytest.fixture
def production(shop: Shop, tmp_path: Path) -> Iterator[Runner]:
    with open_run(shop, tmp_path, "production") as runner:
        yield runner


def settle(runner: Runner, *phases: str) -> None:
    """Count every step of these phases as done, as if it had run before."""
    for phase in phases:
        for step in runner.plan.phase(phase).steps:
            outcome = passed("done before").model_dump(mode="json")
            runner.record("step-finished", {"step": step.id, "outcome": outcome})


PIECE = re.compile(r'<text class="[^"]*" x="([\d.]+)" [^>]*clip-path="url\(#[^"]*-line-(\d+)\)">(.*?)</text>')
CELL = 12.2  # width of a column in the exported picture


def screen(app: ConsoleApp) -> list[str]:
    """The lines of the terminal, read from the exported picture."""
    width, height = app.size
    lines = [[" "] * width for _ in range(height)]
    for left, row, text in PIECE.findall(app.export_screenshot()):
        column = round(float(left) / CELL)
        letters = html.unescape(text).replace("\xa0", " ")
        assert column + len(letters) <= width
        lines[int(row)][column : column + len(letters)] = letters
    return ["".join(line).rstrip() for line in lines]


def flat(app: ConsoleApp) -> str:
    """The screen as running text: frames and line breaks taken out."""
    text = " ".join(re.sub(r"[│┃━┏┓┗┛─▌▊▎▁▂▃▄▅▆▇]", " ", line) for line in screen(app))
    return re.sub(r"\s+", " ", text)


Console = Pilot[int]


@asynccontextmanager
async def console(runner: Runner, size: tuple[int, int] = SMALL) -> AsyncIterator[Console]:
    """The console in a terminal of that size; what still runs at the end is asked to stop."""
    async with ConsoleApp(runner).run_test(size=size, notifications=True) as pilot:
        try:
            yield pilot
        finally:
            runner.stop.set()


def app_of(pilot: Console) -> ConsoleApp:
    assert isinstance(pilot.app, ConsoleApp)
    return pilot.app


async def see(pilot: Console, *texts: str, gone: str = "") -> str:
    """Wait until all texts are on the screen (and gone is not); the screen."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        await pilot.pause()
        now = flat(app_of(pilot))
        if all(text in now for text in texts) and not (gone and gone in now):
            return now
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(
                f"wanted {texts} without {gone!r}, the screen is:\n" + "\n".join(screen(app_of(pilot)))
            )
        await pilot.pause(0.05)


def hurry(pilot: Console, *keys: str) -> None:
    """Keys that are all there before the first of them is answered."""
    for key in keys:
        pilot.app.post_message(events.Key(key, None))


async def write(pilot: Console, text: str) -> None:
    await pilot.press(*("space" if letter == " " else letter for letter in text))


async def test_an_empty_run_says_what_to_do_first(runner: Runner) -> None:
    async with console(runner) as pilot:
        await see(pilot, "REHEARSAL", "dixis_shop at db.example.org:3306", "Maria · idle", "· pending 0/3")
        await see(pilot, "Nothing has run yet. Press r to run Preflight (checks only,", "nothing is changed).")


async def test_preflight_tells_failed_from_could_not_ask(runner: Runner) -> None:
    async with console(runner) as pilot:
        await see(pilot, "Nothing has run yet")
        await pilot.press("r")
        await see(
            pilot, "✓ pass Source is whole", "✗ fail TLS is in use", "? error Host answers [known]", "? error 1/3"
        )
        await pilot.press("n")
        await see(pilot, "To do: ALTER INSTANCE;", "Found: the line is in clear", "cipher: none")
        await pilot.press("down")
        await see(pilot, "Found: The host does not answer.", "To do: start sshd there", "safe: nothing was changed")


async def test_a_mended_check_runs_again_and_a_stubborn_one_is_waived(runner: Runner, shop: Shop) -> None:
    async with console(runner) as pilot:
        await pilot.press("r")
        await see(pilot, "? error 1/3")
        shop.tls = True
        await pilot.press("n", "enter")
        await see(pilot, "✓ pass TLS is in use", "could not ask")
        await pilot.press("n", "w")
        await see(pilot, "Waive: Host answers [known]", "takes responsibility")
        await pilot.press("tab", "tab", "enter")
        await see(pilot, "cannot be waived without a reason")
        await pilot.press("tab")
        await write(pilot, "known")
        await pilot.press("tab", "enter")
        await see(pilot, "– waived Host answers [known]", "waived by Maria: known", "Preflight is done. Next: Schema")


async def test_an_action_shows_what_it_would_do_and_esc_does_nothing(runner: Runner, shop: Shop) -> None:
    settle(runner, "preflight")
    async with console(runner) as pilot:
        await see(pilot, "· pending Create")
        await pilot.press("enter")
        await see(pilot, "DO SCHEMA.CREATE;", "Undo: UNDO it", "Esc: back, nothing is done")
        await pilot.press("escape")
        await see(pilot, "· pending Create", gone="DO SCHEMA.CREATE;")
        assert shop.done == []
        await pilot.press("enter")
        await see(pilot, "DO SCHEMA.CREATE;")
        await pilot.press("y")
        await see(pilot, "✓ pass Create", "Create: done")
        assert shop.done == ["schema.create"]


async def test_the_keys_of_a_long_question_are_seen_in_every_terminal(runner: Runner) -> None:
    long = [f"STATEMENT {number};" for number in range(200)]
    roles = [("lead", "Maria"), ("operator", "Maria")]
    dialogs: list[ModalScreen[Any]] = [
        ConfirmDialog("All of it", lambda: long, go="run it", word="dixis_shop"),
        SignDialog("Go", long, roles, yes="Sign", no="Refuse", problem="Maria would be the only one. " * 3),
    ]
    async with console(runner) as pilot:
        for dialog in dialogs:
            await pilot.app.push_screen(dialog)
            for width, height in ((80, 24), (100, 35), (100, 36), (160, 50)):
                await pilot.resize_terminal(width, height)
                await see(pilot, "STATEMENT 0;", "Esc: back", gone="PRODUCTION")
            await pilot.press("escape")


async def test_a_key_held_down_agrees_to_nothing(runner: Runner, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(runner, "preflight")
    monkeypatch.setattr(Deliberate, "READING", 60.0)
    async with console(runner) as pilot:
        await see(pilot, "· pending Create")
        await pilot.press("enter")
        await see(pilot, "DO SCHEMA.CREATE;")
        await pilot.press("enter")
        await see(pilot, "too fast to have been read; nothing was done")
        monkeypatch.setattr(Deliberate, "READING", 0.0)
        monkeypatch.setattr(Deliberate, "HELD", 60.0)
        await pilot.press("enter", "enter")
        assert shop.done == []
        await pilot.press("y")
        await see(pilot, "✓ pass Create")


async def test_a_question_left_through_the_palette_is_answered_with_no(runner: Runner, shop: Shop) -> None:
    settle(runner, "preflight")
    async with console(runner) as pilot:
        await see(pilot, "· pending Create")
        for _ in range(2):  # the second time, the console is free for it
            await pilot.press("r")
            await see(pilot, "DO SCHEMA.CREATE;")
            await pilot.press("ctrl+p")
            await write(pilot, "find a step")
            await see(pilot, "Key /")
            await pilot.press("enter")
            await see(pilot, "steps are done")
            await pilot.press("enter")
            await see(pilot, "Press n to go", gone="DO SCHEMA.CREATE;")
            await pilot.press("n")
    assert shop.done == []


async def test_keys_that_come_faster_than_the_palette_end_nothing(runner: Runner) -> None:
    async with console(runner) as pilot:
        await see(pilot, "Nothing has run yet")
        hurry(pilot, "ctrl+p", "pagedown", "pageup")
        await see(pilot, "Take the application back")
        await write(pilot, "dark")
        await see(pilot, "Theme: dark", gone="Take the application back")
        hurry(pilot, "enter", "enter", "enter", "enter", "enter")
        await see(pilot, "Nothing has run yet")
        assert app_of(pilot).theme == "dark"
        await pilot.press("ctrl+p")
        await see(pilot, "Take the application back")
        palette = pilot.app.screen
        await palette.query_one(CommandList).remove()
        palette.post_message(Input.Changed(palette.query_one(Input), "x"))
        palette.dismiss()  # what was typed last is answered after it
        app_of(pilot).action_command_palette()
        pilot.app.screen.dismiss()  # before it is there
        await see(pilot, "Nothing has run yet", gone="Take the application back")


async def test_production_wants_the_name_of_the_database(production: Runner, shop: Shop) -> None:
    settle(production, "preflight")
    async with console(production) as pilot:
        await see(pilot, "PRODUCTION", "· pending Create")
        await pilot.press("enter")
        await see(pilot, "DO SCHEMA.CREATE;", "This is PRODUCTION. To run it, type dixis_shop")
        await write(pilot, "y")
        await pilot.press("enter")
        await see(pilot, "That is not dixis_shop. Nothing was done.")
        assert shop.done == []
        await pilot.press("backspace")
        await write(pilot, "dixis_shop")
        hurry(pilot, "enter", "enter", "enter")
        await see(pilot, "✓ pass Create", gone="PRODUCTION. To")
        await pilot.press("enter")
        await see(pilot, "Enter or y: run it")  # once typed, the same session asks plainly
    assert [event.data["typed"] for event in production.events if event.kind == "confirmed"] == ["dixis_shop"]


async def test_a_screen_without_its_widgets_ends_nothing(runner: Runner) -> None:
    async with console(runner) as pilot:
        await pilot.press("e")
        await see(pilot, "Verified:")
        await pilot.app.screen.query_one(Headline).remove()  # as it is for a moment while a screen goes
        runner.record("note")
        await pilot.pause(0.3)
        await pilot.press("escape")
        await see(pilot, "Nothing has run yet")


async def test_a_step_whose_turn_has_not_come_says_what_comes_first(runner: Runner, shop: Shop) -> None:
    async with console(runner) as pilot:
        await pilot.press("1", "enter")
        await see(pilot, "Not now", "preflight.source comes first")
        await pilot.press("escape")
        await pilot.press("1", "r")
        await see(pilot, "Not now", "Schema cannot run now")
    assert shop.done == []


async def test_a_running_step_shows_its_progress_and_stops_when_asked(runner: Runner, shop: Shop) -> None:
    settle(runner, "preflight")
    async with console(runner) as pilot:
        await see(pilot, "· pending Create")
        await pilot.press("r")
        await see(pilot, "Schema: 3 steps", "DO SCHEMA.COPY;")
        await pilot.press("enter")
        await see(pilot, "… running Long copy", "0 of 1 through, 1.5 MiB", "orders", "1/100", "x Stop")
        await see(pilot, "all tables … running 1/100 1m 23s", "#1 orders … running 40 now", "orders … running 1/100")
        await pilot.press("r")
        await see(pilot, "schema.copy is still at work")
        await pilot.press("x")
        await see(pilot, "~ interrupted Long copy", "· pending Afterwards", "r carries on")
        shop.release.set()
        await pilot.press("r")
        await see(pilot, "Schema: 2 steps")
        await pilot.press("enter")
        await see(pilot, "✓ pass Afterwards", "Schema is done")
    assert shop.done == ["schema.create", "schema.after"]


async def test_a_running_step_is_paused_and_goes_on(runner: Runner, shop: Shop) -> None:
    settle(runner, "preflight")
    async with console(runner) as pilot:
        await pilot.press("r")
        await see(pilot, "Schema: 3 steps", "DO SCHEMA.COPY;")
        await pilot.press("enter")
        await see(pilot, "… running Long copy", "z Pause")
        await pilot.press("z")
        await see(
            pilot,
            *("Maria · paused at schema.copy", "Long copy is paused: it holds at its next safe point. z lets"),
            *("orders ‖ paused", "z Go on", "schema.copy paused (Maria)", "q Quit ^R ROLLBACK"),
        )
        await pilot.press("z")
        await see(pilot, "running schema.copy", "orders … running", "z Pause", "schema.copy resumed (Maria)")
        await pilot.press("z")
        await see(pilot, "paused at schema.copy")
        await pilot.press("x")
        await see(pilot, "~ interrupted Long copy", "Maria · idle", gone="z Pause")
        shop.release.set()
        await pilot.press("r", "enter")
        await see(pilot, "✓ pass Afterwards")


async def test_a_stop_ends_the_phase_even_when_the_step_does_not_look_for_it(runner: Runner, shop: Shop) -> None:
    settle(runner, "preflight")
    shop.deaf = True
    async with console(runner) as pilot:
        await pilot.press("r")
        await see(pilot, "Schema: 3 steps", "DO SCHEMA.COPY;")
        await pilot.press("enter")
        await see(pilot, "… running Long copy")
        await pilot.press("x")
        await see(pilot, "schema.copy stops at its next safe point")
        shop.release.set()
        await see(pilot, "✓ pass Long copy", "· pending Afterwards", "Maria · idle")
    assert shop.done == ["schema.create"]


async def test_a_sign_off_takes_a_name_and_a_note(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(runner, "preflight", "schema")
    monkeypatch.setattr(Deliberate, "HELD", 60.0)
    async with console(runner) as pilot:
        await see(pilot, "Next: Sign in. A person confirms it", "s Sign")
        await pilot.press("s")
        await see(pilot, "Sign in by hand.", "Role operator", "Name Maria")
        await pilot.press("end", "enter", "enter")  # the second one as by a key that is held
        await see(pilot, "A key that is held down signs nothing.")
        await write(pilot, "seen")
        await pilot.press("tab", "enter")
        await see(pilot, "✓ pass Sign in", "signed by Maria", "seen")


async def test_a_refusal_wants_a_reason_and_fails_the_step(runner: Runner) -> None:
    settle(runner, "preflight", "schema")
    async with console(runner) as pilot:
        await see(pilot, "Next: Sign in")
        await pilot.press("enter")
        await see(pilot, "Sign in by hand.")
        await pilot.press("tab", "tab", "tab", "enter")
        await see(pilot, "To refuse, say why in the note.")
        await pilot.press("shift+tab", "shift+tab")
        await write(pilot, "no mail")
        await pilot.press("tab", "tab", "enter")
        await see(pilot, "✗ fail Sign in", "refused by Maria (operator): no mail")


async def test_a_gate_wants_two_different_people(runner: Runner) -> None:
    settle(runner, "preflight", "schema", "validation")
    async with console(runner) as pilot:
        await see(pilot, "Next: Go or no-go", "Wanted: signatures of lead, technical approval")
        await pilot.press("enter")
        await see(pilot, "Two people decide.", "Role lead", "Name Maria")
        await pilot.press("tab", "tab", "enter")
        await see(pilot, "Signed: lead: Maria", "Wanted: signature of technical approval", gone="Role")
        await pilot.press("enter")
        await see(pilot, "Role technical approval", "signed: lead, Maria")
        await write(pilot, "maria")
        await pilot.press("tab", "tab", "enter")
        await see(pilot, "wants at least two different people", "have another person sign")
        await pilot.press(*["backspace"] * 5)
        await write(pilot, "Nikos")
        await pilot.press("tab", "tab", "enter")
        await see(pilot, "✓ pass Go or no-go", "signed by Maria, Nikos")


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ((), "· pending Create"),
        (("enter",), "Undo: UNDO it"),
        (("e",), "schema.create"),
        (("question_mark",), "Keys"),
        (("ctrl+p",), "Search"),
        (("0", "e", "question_mark"), "Keys"),
    ],
)
async def test_rollback_is_one_key_away_everywhere(
    runner: Runner, shop: Shop, keys: tuple[str, ...], where: str
) -> None:
    settle(runner, "preflight")
    async with console(runner) as pilot:
        await see(pilot, "· pending Create")
        await pilot.press(*keys)
        await see(pilot, where)
        await pilot.press("ctrl+r")
        await see(pilot, "ROLLBACK: the application goes back", "5 · pending Let traffic in", "Keeps:", "Cannot:")
        await write(pilot, "rollback")
        await pilot.press("enter")
        await see(pilot, "That is not ROLLBACK. Nothing was done.")
        assert shop.done == []
        await pilot.press(*["backspace"] * 8)
        await write(pilot, "ROLLBACK")
        await pilot.press("enter")
        await see(pilot, "Rolled back: the application runs on SQLite again.", "1 ✓ pass Maintenance on")
    assert shop.done == [f"rollback.{number}" for number in range(5)]
    assert runner.state.rollbacks == 1


async def test_rollback_stops_the_running_step_first(production: Runner, shop: Shop) -> None:
    settle(production, "preflight")
    async with console(production) as pilot:
        await pilot.press("r")
        await see(pilot, "type dixis_shop")
        await write(pilot, "dixis_shop")
        await pilot.press("enter")
        await see(pilot, "… running Long copy")
        await pilot.press("ctrl+r")
        await see(pilot, "schema.copy is running: it is stopped at its next safe point first")
        await write(pilot, "dixis_shop")
        await pilot.press("enter")
        await see(pilot, "Rolled back: the application runs on SQLite again.")
    assert shop.done == ["schema.create", *(f"rollback.{number}" for number in range(5))]
    kinds = [event.kind for event in production.events]
    assert kinds.index("step-interrupted") < kinds.index("rolled-back")


async def test_quitting_asks_while_a_step_runs_and_waits_for_it(runner: Runner, shop: Shop) -> None:
    settle(runner, "preflight")
    async with console(runner) as pilot:
        app = app_of(pilot)
        await pilot.press("r")
        await see(pilot, "Schema: 3 steps", "DO SCHEMA.COPY;")
        await pilot.press("enter")
        await see(pilot, "… running Long copy")
        await pilot.press("q")
        await see(pilot, "Quit?", "schema.copy is at work.", "Everything finished so far is kept")
        await pilot.press("escape")
        await see(pilot, "… running Long copy", gone="Quit?")
        await pilot.press("q")
        await see(pilot, "Everything finished so far is kept")
        await pilot.press("y")
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while app.is_running and asyncio.get_running_loop().time() < deadline:
            await pilot.pause(0.02)
    assert app.return_value == 0
    assert runner.state.step("schema.copy").status is Status.INTERRUPTED
    assert shop.done == ["schema.create"]


async def test_keys_answer_during_a_flood_of_progress(runner: Runner, shop: Shop) -> None:
    settle(runner, "preflight", "schema", "validation", "cutover")
    async with console(runner) as pilot:
        await see(pilot, "· pending Flood")
        await pilot.press("enter")
        await see(pilot, "… running Flood", "0 of 83 through", "table_5")
        await pilot.press("1")
        await see(pilot, "✓ pass Long copy", "running watch.flood")
        while shop.messages < 20_000:
            await pilot.pause(0.02)
        await pilot.press("question_mark")
        await see(pilot, "Keys", "previous, next phase")
        await pilot.press("escape", "4")
        await see(pilot, "… running Flood")
        shop.release.set()
        await see(pilot, "✓ pass Flood")
        await see(pilot, f"{shop.messages} messages")


async def test_a_click_on_a_key_is_as_good_as_the_key_and_nothing_piles_up(runner: Runner) -> None:
    def widgets() -> int:
        gc.collect()
        return sum(isinstance(one, Widget) for one in gc.get_objects())

    async with console(runner) as pilot:
        last = (await see(pilot, "r Run")) and screen(app_of(pilot))[-1]
        await pilot.press("1", "4", "0")
        before = widgets()
        for _ in range(5):
            await pilot.press("1", "4", "0")
        assert widgets() == before
        await pilot.click("Footer", offset=(last.index("Help"), 0))
        await see(pilot, "previous, next phase")
        await pilot.press("escape")
        await pilot.click("Footer", offset=(last.index("Run") - 2, 0))
        await see(pilot, "? error 1/3")


async def test_work_that_cannot_be_recorded_is_not_begun_and_says_so(runner: Runner, tmp_path: Path) -> None:
    async with console(runner) as pilot:
        await see(pilot, "Nothing has run yet")
        with closing(sqlite3.connect(tmp_path / "run" / "journal.sqlite")) as journal:
            journal.execute("DROP TABLE events")
        await pilot.press("enter")
        await see(pilot, "This went wrong", "cannot be written", "Next: make room")


async def test_a_watcher_sees_what_the_driver_does_and_may_not_act(runner: Runner, shop: Shop, tmp_path: Path) -> None:
    with open_run(shop, tmp_path, watch=True) as watching:
        async with console(watching) as pilot:
            await see(pilot, "watching a driven run", "This console only watches")
            await runner.run_step("preflight.source")
            await see(pilot, "✓ pass Source is whole", "✓ pass: fine")
            await pilot.press("r")
            await see(pilot, "Watching", "act in the console that drives it")


async def test_the_palette_finds_phases_steps_and_actions(runner: Runner) -> None:
    async with console(runner) as pilot:
        await see(pilot, "Nothing has run yet")
        await pilot.press("ctrl+p")
        await write(pilot, "go or no")
        await see(pilot, "Step: Go or no-go")
        await pilot.press("enter")
        await see(pilot, ">3 Cutover", "gate · cutover.gate")


def assert_nothing_scrolls_sideways(pilot: Console) -> None:
    screen = pilot.app.screen
    assert not any(widget.show_horizontal_scrollbar for widget in screen.query(Widget))
    assert all(table.max_scroll_x == 0 for table in screen.query(DataTable))


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 50)])
async def test_everything_fits(runner: Runner, size: tuple[int, int]) -> None:
    settle(runner, "preflight")
    runner.record("window-opened")
    async with console(runner, size) as pilot:
        await see(
            pilot, "· pending Create", "T+00:00:0", " of 2:00:00", "^R ROLLBACK", "q Quit", "4 Watch", "^R Rollback"
        )
        assert_nothing_scrolls_sideways(pilot)
        for key, text in (("enter", "Esc: back"), ("question_mark", "q, Ctrl+Q")):
            await pilot.press(key)
            await see(pilot, text) if size[1] > 24 or key == "enter" else await see(pilot, "Ctrl+R")
            assert_nothing_scrolls_sideways(pilot)
            await pilot.press("escape")


async def test_a_little_terminal_shows_less_and_one_that_is_too_small_says_so(runner: Runner) -> None:
    async with console(runner, (60, 20)) as pilot:
        await see(pilot, "The window is not open", "· pending Source is whole", "Nothing has run yet")
        assert_nothing_scrolls_sideways(pilot)
        await pilot.resize_terminal(30, 8)
        await see(pilot, "30 × 8 is too small for the console", gone="Source is whole")
        await pilot.resize_terminal(200, 60)
        await see(pilot, "· pending Source is whole", "the console asks", "Back Turn back by", gone="too small")
        assert_nothing_scrolls_sideways(pilot)


async def test_a_theme_is_chosen_by_configuration_environment_key_and_palette(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIXIS_THEME", "light")
    async with console(runner) as pilot:
        await see(pilot, "Nothing has run yet")
        assert app_of(pilot).theme == "light"
        await pilot.press("T")
        await see(pilot, "Theme: high-contrast")
        await pilot.press("T")
        await see(pilot, "Theme: monochrome")
        colours = set(re.findall(r"-r\d+ { fill: (#[0-9a-f]{6})", app_of(pilot).export_screenshot()))
        parts = [[int(one[place : place + 2], 16) for place in (1, 3, 5)] for one in colours]
        assert all(max(one) - min(one) < 8 for one in parts), colours  # shades of grey
        await pilot.press("ctrl+p")
        await write(pilot, "theme: dark")
        await see(pilot, "Theme: dark")
        await pilot.press("enter")
        await see(pilot, "Nothing has run yet", gone="Search")
        assert app_of(pilot).theme == "dark"
    monkeypatch.setenv("DIXIS_THEME", "pink")
    with pytest.raises(DixisError, match="There is no theme named 'pink'"):
        ConsoleApp(runner)


async def test_a_picture_is_written(runner: Runner, tmp_path: Path) -> None:
    await picture(runner, tmp_path / "console.svg", keys=["r"])
    text = (tmp_path / "console.svg").read_text(encoding="utf-8").replace("&#160;", " ")
    assert text.startswith("<svg")
    assert "TLS is in use" in text


def prove(runner: Runner, proof: TableProof) -> None:
    data = {"step": "validation.proof", "round": 0, "snapshot": "0" * 64, "proof": proof.model_dump(mode="json")}
    runner.record(PROVED, data)


async def test_the_comparison_is_seen_table_by_table_and_cell_by_cell(runner: Runner) -> None:
    settle(runner, "preflight", "schema")
    async with console(runner) as pilot:
        await pilot.press("2", "d")
        await see(pilot, "Nothing has been compared yet in this run. Next: run 'Every value arrived'")
        prove(runner, TableProof(table="users", rows_source=20, rows_target=20, status="equal"))
        prove(runner, TableProof(table="lost", rows_source=7, rows_target=None, status="error", message="not there"))
        found = (
            Difference(
                key="id = 7", column="name", source="Ελιά", target="Ελιά\\x20", at="character 5: the end, U+0020"
            ),
            Difference(key="id = 9", column="*", source="present", target="missing"),
            Difference(key="id = 8", column="born", source=None, target="1980-02-29"),
        )
        orders = TableProof(
            table="orders",
            rows_source=1234567,
            rows_target=1234566,
            status="differs",
            differences=found,
            differences_total=70,
        )
        prove(runner, orders)
        now = await see(pilot, "3 tables, 1,234,594 rows compared, 2 not equal, in 70 places; Enter shows them.")
        # what is not equal comes first
        assert (
            now.index("orders 1,234,567 1,234,566 ✗ differs 70")
            < now.index("lost 7 - ? no answer")
            < now.index("users 20")
        )
        await pilot.press("enter")
        await see(pilot, "orders: 70 differences; the first 3 here, more with: dixis verify --table orders")
        await see(pilot, "id = 7, name source 'Ελιά' target 'Ελιά\\x20' they part at character 5: the end, U+0020")
        await pilot.press("down")
        await see(pilot, "id = 9 source present target missing")
        await pilot.press("down")
        await see(pilot, "id = 8, born source NULL target '1980-02-29'")
        await pilot.press("escape", "down", "enter")
        await see(pilot, "lost could not be compared: not there")
        await pilot.press("escape", "escape")
        await see(pilot, "Validation")

"""The first start: without a configuration the program asks what to do, and tries what it is told."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from dixis_tui.config import ConfigError, load
from dixis_tui.console import answers
from dixis_tui.console.answers import HOST, QUESTIONS, SOURCE, TARGET
from dixis_tui.console.start import Choice, StartApp
from dixis_tui.runner import Runner
from dixis_tui.sandbox import RunningServer
from dixis_tui.sandbox.shop import build_shop
from screens.start import QuestionsScreen
from tests.terminal import terminal
from tests.test_console import flat
from tests.test_observers import CONFIG, plan

PASSWORD = 'a secret with "quotes" and \\'


def given(**more: str) -> dict[str, str]:
    """The answers of a form that was filled in."""
    return {**{question.name: question.default for question in QUESTIONS}, "host": "db.example.org", **more}


@pytest.mark.parametrize("more", [{}, {"ca": "ca.pem", "admin": "root", "ssh_address": "www.example.org"}])
def test_what_is_answered_is_a_configuration_of_its_owner_alone(tmp_path: Path, more: dict[str, str]) -> None:
    file = tmp_path / "dixis.toml"
    answers.write(file, given(password=PASSWORD, path="Ωμέγα.sqlite", **more))
    settings = load(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert (settings.run.environment, settings.target.host, settings.target.port) == (
        "rehearsal",
        "db.example.org",
        3306,
    )
    assert settings.source.location == ("host" if more else "local")
    assert settings.source.path.endswith("Ωμέγα.sqlite")
    assert settings.target.password.env == answers.PASSWORD_ENV
    assert (settings.host.ssh is not None, settings.target.admin is not None) == (bool(more), bool(more))
    assert list(tmp_path.iterdir()) == [file]  # the password was only for trying


def test_a_password_goes_into_a_file_only_when_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "dixis.toml"
    answers.write(file, given(password=PASSWORD, keep="file"))
    assert PASSWORD not in file.read_text(encoding="utf-8")
    kept = tmp_path / answers.PASSWORD_FILE
    assert kept.stat().st_mode & 0o777 == 0o600
    assert load(file).target.password.resolve("it") == PASSWORD


@pytest.mark.parametrize("there", ["dixis.toml", answers.PASSWORD_FILE])
def test_nothing_is_written_over(tmp_path: Path, there: str) -> None:
    (tmp_path / there).symlink_to("nowhere")
    with pytest.raises(ConfigError, match="is there already"):
        answers.write(tmp_path / "dixis.toml", given(password=PASSWORD, keep="file"))
    assert [path.name for path in tmp_path.iterdir()] == [there]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"host": ""}, "Not answered yet: MySQL server"),
        ({"port": "many"}, "The port is not a number"),
        ({"environment": "live"}, "environment"),
        ({"keep": "mind"}, "in env or in file"),
        ({"keep": "file", "password": ""}, "no password to keep"),
        ({"database": "a`b"}, "database"),
    ],
)
def test_an_answer_that_will_not_do_is_named(tmp_path: Path, wrong: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        answers.write(tmp_path / "dixis.toml", given(**wrong))
    assert list(tmp_path.iterdir()) == []


def test_each_part_is_tried_for_real(server: RunningServer, tmp_path: Path) -> None:
    shop = tmp_path / "shop.sqlite"
    build_shop(shop)
    (tmp_path / "artisan").touch()
    right = given(
        path=str(shop), root=str(tmp_path), host="127.0.0.1", port=str(server.port), database="nothing_here",
        user=server.admin_user, password=server.admin_password, ca=str(server.ca_file),
    )  # fmt: skip
    for part, words in (
        (SOURCE, "a SQLite database of"),
        (HOST, "artisan is in"),
        (TARGET, "encrypted; the database is"),
    ):
        trial = answers.attempt(part, right)
        assert (trial.ok, words in trial.text) == (True, True), trial
    for part, wrong, words in (
        (SOURCE, {"path": str(tmp_path / "artisan")}, "is not a SQLite database"),
        (SOURCE, {"path": str(tmp_path / "none")}, "There is no database file"),
        (HOST, {"root": "/nowhere"}, "there is no artisan in /nowhere"),
        (HOST, {"ssh_address": "127.0.0.1:1", "known_hosts": str(tmp_path / "none")}, "127.0.0.1"),
        (TARGET, {"password": "wrong"}, "refuses the login"),
        (TARGET, {"port": "1"}, "does not answer"),
        (TARGET, {"ca": ""}, "is not trusted"),
    ):
        trial = answers.attempt(part, {**right, **wrong})
        assert (trial.ok, words in trial.text) == (False, True), trial
        assert server.admin_password not in trial.text
    assert answers.attempt(TARGET, {**right, "password": ""}).ok is None
    assert answers.attempt(TARGET, {**right, "port": "x"}).ok is None


async def see(pilot: Pilot[Choice], *texts: str) -> str:
    """Wait until the form shows all these texts."""
    deadline = asyncio.get_running_loop().time() + 20
    while not all(text in (now := flat(pilot.app)) for text in texts):  # type: ignore[arg-type]
        assert asyncio.get_running_loop().time() < deadline, (texts, now)
        await pilot.pause(0.05)
    return now


async def test_a_form_is_filled_in_and_written(tmp_path: Path) -> None:
    shop = tmp_path / "shop.sqlite"
    build_shop(shop)
    file = tmp_path / "dixis.toml"
    app = StartApp(file, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await see(pilot, "Rehearse in a sandbox", "Write a configuration", "Open an old run", "none here")
        await pilot.press("2")
        await see(pilot, "Application's host", "Source", "There is no database file /var/www", "which server?")
        for name, text in (("path", str(shop)), ("host", "127.0.0.1"), ("port", "1")):
            app.screen.query_one(f"#{name}", Input).focus()
            app.screen.query_one(f"#{name}", Input).value = text
        await see(pilot, "✓ Source a SQLite database of", "not tried without its password")
        app.screen.query_one("#password", Input).focus()
        await pilot.press(*"hunter2")
        assert isinstance(app.screen, QuestionsScreen)
        app.screen.begin(TARGET)  # the pause is over, and the password is still being typed
        await see(pilot, "not tried without its password")  # half a password is never sent
        await pilot.press("tab")
        await see(pilot, "✗ Target", "127.0.0.1:1 does not answer")
        assert "hunter2" not in flat(app)  # type: ignore[arg-type]
        await pilot.press("ctrl+s")
        await pilot.pause()
    assert app.return_value == Choice(config=file)
    assert "hunter2" not in file.read_text(encoding="utf-8")


async def test_an_old_run_is_found_and_opened(tmp_path: Path) -> None:
    file = tmp_path / "dixis.toml"
    file.write_text(CONFIG, encoding="utf-8")
    Runner(plan(), load(file)).close()
    app = StartApp(tmp_path / "none.toml", tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await see(pilot, "1 found below this folder")
        await pilot.press("3")
        await see(pilot, "dixis production dixis_shop", "Enter opens one, read-only")
        await pilot.press("enter")
        await pilot.pause()
    assert app.return_value == Choice(run=tmp_path / "run")


async def test_a_rehearsal_is_one_key_away(tmp_path: Path) -> None:
    app = StartApp(tmp_path / "none.toml", tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await see(pilot, "Rehearse in a sandbox")
        await pilot.press("1")
        await pilot.pause()
    assert app.return_value == Choice(rehearse=True)


def test_without_a_configuration_a_terminal_is_asked(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DIXIS_CONFIG"}
    program = ["env", "-C", str(tmp_path), sys.executable, "-m", "dixis_tui.cli"]
    with terminal(program) as screen:
        screen.see("There is no configuration here (dixis.toml). Nothing has been done yet.", "1 Rehearse")
        screen.press("q")
        screen.see("ENDED 0")
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 2
    assert "Cannot read the configuration dixis.toml" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_console_without_a_terminal_says_so(tmp_path: Path) -> None:
    file = tmp_path / "dixis.toml"
    file.write_text(CONFIG, encoding="utf-8")
    program = [sys.executable, "-m", "dixis_tui.cli", "--config", str(file)]
    ours, theirs = pty.openpty()
    try:
        for stdin in (subprocess.DEVNULL, theirs):  # nothing to read from, or nothing to write to
            done = subprocess.run(program, stdin=stdin, capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 3
            assert "There is no terminal to open the console on." in done.stderr
    finally:
        os.close(ours)
        os.close(theirs)
    with terminal(["env", "TERM=dumb", *program]) as screen:
        screen.see("cannot draw on a terminal that calls itself 'dumb'", "Next: dixis run", "ENDED 3")

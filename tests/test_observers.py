"""Those who look on: they see what the one who drives does, and can change nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from dixis_tui.cli import cli
from dixis_tui.config import Config, load
from dixis_tui.context import Context
from dixis_tui.model import Kind, NotNowError, Outcome, Progress, Status, passed
from dixis_tui.monitoring.samplestore import Store
from dixis_tui.openrun import Notice
from dixis_tui.record import glance, live, signing
from dixis_tui.record.glance import NoRunError
from dixis_tui.record.journal import Journal
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step
from tests.terminal import terminal, until

SECRETS = ("app-secret-1", "admin-secret-2", "env-secret-3", "token-secret-4", "clear-secret-5")
CONFIG = """
[run]
environment = "production"
operator = "Maria"
[people]
lead = "Maria"
[source]
path = "shop.sqlite"
[target]
host = "db.example.org"
database = "dixis_shop"
user = "dixis"
password = "app-secret-1"
[target.admin]
user = "root"
password = { env = "DIXIS_TEST_ADMIN" }
[app]
root = "/srv/shop"
restart = ["curl -H token-secret-4 http://127.0.0.1/reload"]
[app.database_env]
DB_PASSWORD = "env-secret-3"
[plan]
sql = ["CREATE USER x IDENTIFIED BY 'clear-secret-5'"]
"""


def plan(release: threading.Event | None = None) -> Plan:
    """A small plan. Its check tells how far it is, and waits to be released where it is asked to."""

    def fine(_: Context) -> Outcome:
        return passed("fine")

    def ask(ctx: Context) -> Outcome:
        ctx.progress(Progress("preflight.source", "pages", 7, 10, unit="pages"))
        assert release is None or release.wait(60)
        return passed("fine")

    check = Step("preflight.source", "Source is whole", Kind.CHECK, "Why it is asked.", ask)
    copy = Step("data.copy", "Copy", Kind.ACTION, "Why.", fine, lambda _: ["DO IT"], "UNDO", roles=())
    gate = Step("data.gate", "Go", Kind.GATE, "Two decide.", roles=("lead", "technical approval"), needs=())
    back = Step("rollback.back", "Back", Kind.ACTION, "Why.", fine, lambda _: ["BACK"], "FORTH")
    phases = (Phase("preflight", "Preflight", (check,), go_on=True), Phase("data", "2 Data", (copy, gate), minutes=45))
    return Plan(phases, Phase("rollback", "Rollback", (back,)))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("DIXIS_TEST_ADMIN", "admin-secret-2")
    file = tmp_path / "dixis.toml"
    file.write_text(CONFIG, encoding="utf-8")
    return load(file)


def prints(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything by which a folder could show that somebody wrote there."""
    found = {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ino, path.stat().st_mode, _digest(path))
        for path in folder.rglob("*")
    }
    return {**found, ".": (folder.stat().st_mtime_ns, folder.stat().st_ino)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def unprivileged(command: list[str]) -> list[str]:
    """The command without root's right to write where the modes of files forbid it."""
    if os.geteuid():
        return command
    without = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}", *command]


def dixis(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "dixis_tui.cli", *map(str, words)]


def test_the_outline_shows_the_plan_and_no_secret(settings: Config, tmp_path: Path) -> None:
    with Runner(plan(), settings) as runner:
        assert settings.target.admin is not None
        settings.target.admin.password.resolve("it")
        runner.say("log with admin-secret-2 and app-secret-1")
        runner._tell(Progress("data.copy", "orders", 1, 2, note="app-secret-1"))
    for path in (tmp_path / "run").iterdir():
        text = path.read_bytes().decode("utf-8", "replace")
        assert [secret for secret in SECRETS if secret in text] == [], path
        assert path.stat().st_mode & 0o077 == 0 or path.name == "console.log", path
    shown, config = glance.read(tmp_path / "run")
    for phase, known in zip((*shown.phases, shown.rollback), (*plan().phases, plan().rollback), strict=True):
        assert replace(phase, steps=()) == replace(known, steps=())
        for step, same in zip(phase.steps, known.steps, strict=True):
            assert replace(step, work=same.work, preview=same.preview) == same
    assert (config.run.environment, config.target.database, config.run.directory) == (
        *("production", "dixis_shop"),
        tmp_path / "run",
    )


def test_a_plan_that_is_looked_at_does_nothing(settings: Config, tmp_path: Path) -> None:
    Runner(plan(), settings).close()
    shown, config = glance.read(tmp_path / "run")
    with Runner(shown, config, watch=True) as watching:
        with pytest.raises(NotNowError, match="only watches"):
            watching.record("signed", {"step": "data.gate"})
        with pytest.raises(NotNowError, match="only watches"):
            signing.sign(watching, "data.gate", role="lead", name="Eve", note="")
        work = shown.step("data.copy").work
        assert work is not None
        with pytest.raises(Exception, match="only watches"):
            work(SimpleNamespace())  # type: ignore[arg-type]


def test_a_watcher_hears_progress_log_and_pause(settings: Config, tmp_path: Path) -> None:
    with Runner(plan(), settings) as runner:
        shown, config = glance.read(tmp_path / "run")
        with Runner(shown, config, watch=True) as watching:
            heard: list[Notice] = []
            watching.listen(heard.append)
            runner._running["data.copy"] = None
            runner.record("step-started", {"step": "data.copy"})
            runner._tell(Progress("data.copy", "orders", 5, 10, state=Status.RUNNING, size=7, left=3.0))
            runner.say("half way", "data.copy")
            runner.pause()
            reader = live.Reader(tmp_path / "run")
            until(lambda: (news := reader.news()) is not None and news.paused and bool(news.lines))
            watching.refresh()
            assert Progress("data.copy", "orders", 5, 10, state=Status.RUNNING, size=7, left=3.0) in heard
            assert [one.text for one in heard if hasattr(one, "text")] == ["half way"]
            assert [one.kind for one in heard if hasattr(one, "kind")] == ["step-started", "paused"]
            assert watching.running == "data.copy"
            assert watching.gate.paused
            count = len(heard)
            watching.refresh()
            assert len(heard) == count  # nothing is told twice
            runner.resume()
            del runner._running["data.copy"]
    with Runner(shown, config, watch=True) as watching:
        watching.refresh()
        assert not watching.driven()
        assert watching.running is None
        assert watching.state.step("data.copy").status is Status.INTERRUPTED


# A console that is killed leaves SQLite's write-ahead log behind; one that ends takes it away.
DRIVER = """
import sys
from pathlib import Path
from dixis_tui.record.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(30):
    journal.append("step-started", {"step": "preflight.source"})
print("ready", flush=True)
if sys.stdin.readline() == "end\\n":
    journal.close()
"""


@pytest.mark.parametrize("state", ["at work", "ended", "killed"])
def test_looking_writes_nothing_whatever_state_the_run_is_in(settings: Config, tmp_path: Path, state: str) -> None:
    Runner(plan(), settings).close()
    folder = tmp_path / "run"
    store = Store(folder)
    assert store.latest() is None
    if state != "at work":
        store.close()
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert driver.stdin is not None
    assert driver.stdout is not None
    try:
        assert driver.stdout.readline() == "ready\n"
        if state == "ended":
            driver.communicate("end\n", timeout=30)
        elif state == "killed":
            driver.kill()
            driver.wait(30)
        modes = {path: path.stat().st_mode for path in (*folder.rglob("*"), folder)}
        for path in folder.rglob("*"):
            path.chmod(0o400)
        folder.chmod(0o500)
        before = prints(folder)
        wanted = dixis("--config", tmp_path / "dixis.toml", "--json", "status")
        done = subprocess.run(unprivileged(wanted), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        with terminal(unprivileged(dixis("watch", folder))) as screen:
            screen.see("PRODUCTION", "dixis_shop at db.example.org", "Source is whole", "watching; nobody drives")
            screen.press("q")
            screen.see("ENDED 0")
        assert prints(folder) == before
        kinds = [one.kind for one in Journal(folder, create=False).events]
        assert kinds.count("step-started") == 30
        assert Store(folder, create=False).latest() is None
        assert prints(folder) == before
        for path, mode in modes.items():
            path.chmod(mode)
    finally:
        driver.kill()
        driver.wait(30)


def test_a_folder_without_a_run_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (("watch", tmp_path), ("serve", tmp_path)):
        done = subprocess.run(dixis(*words), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 3
        assert "There is no run in" in done.stderr
        assert "Next: name the folder" in done.stderr
    assert json.dumps(sorted(tmp_path.iterdir())) == "[]"
    (tmp_path / "file").touch()
    with pytest.raises(NoRunError, match="There is no run in"):
        glance.read(tmp_path / "file")
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    for command in ("watch", "serve"):
        assert isinstance(CliRunner().invoke(cli, [command, str(tmp_path)]).exception, NoRunError)

"""Real servers for the tests: each kind on this machine, started once a session, and whole sandboxes on demand."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dixis_tui import sandbox
from dixis_tui.sandbox import Kind, RunningServer, World
from dixis_tui.sandbox.processes import wait_until
from screens.deliberate import Deliberate

FOUND = sandbox.find_servers()
KINDS: list[Kind] = [kind for kind in ("mysql", "mariadb") if kind in FOUND]


def pytest_report_header() -> str:
    return "servers: " + (", ".join(str(FOUND[kind]) for kind in KINDS) or "NONE FOUND; run scripts/setup")


# Files that take minutes are begun first, so that no worker sits over one of them alone at the end.
LONGEST = frozenset(
    [
        "test_migration",
        "test_cutover",
        "test_night",
        "test_night_wide",
        "test_checks_hostile",
        "test_hostile",
        "test_tmux",
    ]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(autouse=True)
def read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test reads a question as soon as it is shown."""
    monkeypatch.setattr(Deliberate, "READING", 0.0)


@pytest.fixture(scope="session")
def start_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], RunningServer]]:
    """Gives the session's server of a kind, started when it is first asked for."""
    running: dict[Kind, RunningServer] = {}

    def start(kind: Kind) -> RunningServer:
        if kind not in running:
            running[kind] = sandbox.start_server(FOUND[kind], tmp_path_factory.mktemp(kind))
        return running[kind]

    yield start
    for server in running.values():
        server.stop()


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, start_once: Callable[[Kind], RunningServer]) -> RunningServer:
    """A server shared by the session, each kind in turn. Tests keep to a database of their own."""
    return start_once(request.param)


# Europe/Athens as the server's own tables of time zones would have it, for the summer of 2024: offsets in seconds, and
# moments (seconds since 1970) from which they hold.
ATHENS = "Europe/Athens"
OFFSETS = ((0, 7200, 0, "EET"), (1, 10800, 1, "EEST"))
TRANSITIONS = ((-1000000000, 0), (1711846800, 1), (1729990800, 0))


@pytest.fixture
def athens(server: RunningServer) -> str:
    """The name of a time zone with summer time, which the server knows."""
    with server.connect(database="mysql") as connection, connection.cursor() as cursor:
        if not cursor.execute("SELECT 1 FROM time_zone_name WHERE Name = %s", (ATHENS,)):
            cursor.execute("INSERT INTO time_zone (Use_leap_seconds) VALUES ('N')")
            zone = cursor.lastrowid
            cursor.execute("INSERT INTO time_zone_name VALUES (%s, %s)", (ATHENS, zone))
            for kind in OFFSETS:
                cursor.execute("INSERT INTO time_zone_transition_type VALUES (%s, %s, %s, %s, %s)", (zone, *kind))
            for moment in TRANSITIONS:
                cursor.execute("INSERT INTO time_zone_transition VALUES (%s, %s, %s)", (zone, *moment))
    return ATHENS


def _stopped(thread: Path) -> bool:
    return (thread / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that takes calls and answers nobody, as when its disk or its machine hangs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        assert wait_until(lambda: all(_stopped(thread) for thread in Path(f"/proc/{pid}/task").iterdir()), 30)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


_numbers = itertools.count(1)


@pytest.fixture
def database(server: RunningServer) -> Iterator[str]:
    """The name of a database that is not there yet; it is dropped afterwards."""
    name = f"test_{next(_numbers)}"
    yield name
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Builds sandboxes with the options of sandbox.up; all are taken down afterwards."""
    made: list[Path] = []

    def make(**options: object) -> World:
        directory = tmp_path / f"sandbox-{len(made) + 1}"
        made.append(directory)
        return sandbox.up(directory, **{"server": KINDS[0], **options})  # type: ignore[arg-type]

    yield make
    for directory in made:
        sandbox.down(directory)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A sandbox with the demo shop on the first kind of server found."""
    return make_world()

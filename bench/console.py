"""How fast the console answers: the first paint, and keys and repaints while it copies, beside the same keys when idle.

A real terminal's view of it: keys are written into a pty, and a key counts as answered when what it asks for comes out.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import platform
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

import checks
from bench.transfer import CONFIG, TICKS, Bench, must
from dixis_tui import config, plan
from dixis_tui.runner import Runner
from dixis_tui.sandbox import Kind, find_servers, start_server

PATIENCE = 60.0
PACE = 0.15  # seconds between two keys of a quick operator
FRAME = 0.015  # seconds; what comes closer together is one repaint in several pieces
PHASES = (("1", "schema"), ("4", "validation"))  # the keys pressed in turn, and whose first step they show


def opened(path: Path) -> Runner:
    """The run of a configuration, with the snapshot alone for its preflight."""
    settings = config.load(path)
    snapshot = [step for step in checks.preflight() if step.id == "preflight.data.source"]
    return Runner(plan.build(settings, snapshot), settings)


class Screen:
    """A program in a pty; everything it writes, with the time it came."""

    def __init__(self, command: Sequence[str], columns: int = 120, lines: int = 36) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.paints: list[float] = []
        self._text = b""

    def press(self, key: str) -> float:
        """Write a key; when. What came before does not count as its answer."""
        self._take(0.0)
        self._text = b""
        os.write(self._ours, key.encode())
        return time.perf_counter()

    def see(self, text: str, patience: float = PATIENCE) -> float:
        """Wait until a text has come out since the last key; when."""
        end = time.perf_counter() + patience
        while text.encode() not in self._text:
            if time.perf_counter() > end:
                raise SystemExit(f"{text!r} did not come: {self._text[-2000:]!r}")
            self._take(0.05)
        return time.perf_counter()

    def look(self, seconds: float) -> bytes:
        """Take what comes for so long; what has come since the last key."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._take(left)
        return self._text

    def _take(self, patience: float) -> None:
        if select.select([self._ours], [], [], patience)[0]:
            self._text += os.read(self._ours, 1 << 16)
            self.paints.append(time.perf_counter())

    @property
    def processor(self) -> float:
        """Processor seconds the program has used so far."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / TICKS

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        while self._process.poll() is None:
            try:
                self._take(0.05)
            except OSError:
                self._process.wait(PATIENCE)
        os.close(self._ours)


@contextmanager
def screen(command: Sequence[str]) -> Iterator[Screen]:
    made = Screen(command)
    try:
        yield made
    finally:
        made.close()


def first_paint(path: Path) -> tuple[float, float]:
    """Seconds, and processor seconds, from the command to the first screen."""
    with screen([sys.executable, "-m", "dixis_tui.cli", "--config", str(path)]) as shown:
        return shown.see("REHEARSAL") - shown.began, shown.processor


def keys(shown: Screen, titles: Sequence[str], count: int) -> list[float]:
    """Milliseconds from key to answer, so many times."""
    taken = []
    for number in range(count):
        which = number % len(PHASES)
        pressed = shown.press(PHASES[which][0])
        taken.append(1000 * (shown.see(titles[which]) - pressed))
        shown.look(PACE)
    return taken


def gaps(times: Sequence[float]) -> list[float]:
    """From each time to the next, in seconds."""
    return [after - before for before, after in itertools.pairwise(times)]


def told(name: str, values: Sequence[float]) -> str:
    worst = statistics.quantiles(values, n=20)[-1]
    return f"  {name:34} median {statistics.median(values):6.0f}, 95 % {worst:6.0f}, most {max(values):6.0f} ms"


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--count", default=60, show_default=True, help="Keys pressed while it is idle, and while it copies.")
@click.option("--runs", default=5, show_default=True, help="First paints; their median counts.")
@click.option("--server", "kind", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
@click.option("--drive", type=click.Path(path_type=Path), hidden=True)
def main(rows: int, count: int, runs: int, kind: Kind, drive: Path | None) -> None:
    """Print milliseconds from key to answer, between repaints, and to the first paint."""
    if drive is not None:
        from dixis_tui.console.app import ConsoleApp

        with opened(drive) as runner:
            ConsoleApp(runner).run()
        return
    binary = find_servers()[kind]
    print(f"{binary}; Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="dixis-bench-") as scratch:
        folder = Path(scratch)
        server = start_server(binary, folder / "server")
        try:
            measure(Bench(server, folder, rows), count, runs)
        finally:
            server.stop()


def measure(bench: Bench, count: int, runs: int) -> None:
    path = bench.folder / "console.toml"
    server = bench.server
    path.write_text(
        CONFIG.format(
            name="console", source=bench.source, port=server.port, ca=server.ca_file, admin=server.admin_user
        ),
        encoding="utf-8",
    )
    with opened(path) as runner:
        must(runner, "preflight")
        must(runner, "schema")
        titles = [runner.plan.phase(phase).steps[0].title[:12] for _, phase in PHASES]
    paints = [first_paint(path) for _ in range(runs)]
    seconds, processor = (statistics.median(one) for one in zip(*paints, strict=True))
    print(f"  first paint: {seconds:.2f} s, of which {processor:.2f} s processor; median of {runs}")
    with screen([sys.executable, "-m", "bench.console", "--drive", str(path)]) as shown:
        shown.see("REHEARSAL")
        shown.look(1.0)
        print(told("a key, idle", keys(shown, titles, count)))
        shown.press("2")
        shown.press("r")
        shown.see("CREATE TABLE")  # what would be done is known
        shown.look(1.0)  # and can have been read
        shown.press("y")
        shown.see("rows/s")
        begun, busy = time.perf_counter(), shown.processor
        shown.paints.clear()
        print(told(f"a key, copying {bench.orders:,} orders", keys(shown, titles, count)))
        print(told("between two repaints, copying", [1000 * gap for gap in gaps(shown.paints) if gap > FRAME]))
        share = (shown.processor - busy) / (time.perf_counter() - begun)
        shown.press("2")
        shown.press("n")
        still = b"running" in shown.look(1.0)
        print(f"  the console and the copy used {share:.2f} of a core; still copying at the end: {still}")


if __name__ == "__main__":
    main()

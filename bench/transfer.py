"""How fast rows travel: ours beside the server's own loader and the tools in use, on one server in one run.

Each way loads the generator's `orders`, with their indexes, foreign keys and JSON and Greek texts, into an empty table.
The ways take turns, run by run, so that a machine that drifts drifts for all; ratios are of runs in the same turn.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import platformdirs

import checks
from dixis_tui import config, plan
from dixis_tui.runner import Runner
from dixis_tui.sandbox import Kind, RunningServer, find_servers, start_server
from dixis_tui.sandbox.shop import build_shop
from dixis_tui.schemas import shape
from dixis_tui.step import Step
from dixis_tui.target import connected, execute, identifier

PEER = "sqlite3-to-mysql"
BATCH = 1000
TICKS = os.sysconf("SC_CLK_TCK")

CONFIG = """\
[run]
environment = "rehearsal"
directory = "{name}"
[source]
path = "{source}"
[target]
host = "127.0.0.1"
port = {port}
database = "{name}"
user = "dixis_user"
password = {{ file = "app.txt" }}
[target.tls]
ca = "{ca}"
[target.admin]
user = "{admin}"
password = {{ file = "admin.txt" }}
client_host = "127.0.0.1"
[app]
root = "/nonexistent"
[schema]
indexes = []
fulltext = []
[[data.groups]]
name = "orders"
title = "Orders"
priority = 1
tables = ["orders"]
"""


def make_source(path: Path, orders: int) -> int:
    """The demo shop with so many orders at least: its own ones again and again, with other ids and numbers."""
    build_shop(path)
    with closing(sqlite3.connect(path)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(orders)")]
        have: int = connection.execute("SELECT count(*) FROM orders").fetchone()[0]
        values = {"id": "o.id + n.n * 1000000", "order_number": "o.order_number || '-' || n.n"}
        chosen = ", ".join(values.get(column, f"o.{column}") for column in columns)
        connection.execute(
            f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n <= ?)"
            f" INSERT INTO orders ({', '.join(columns)}) SELECT {chosen} FROM n, orders o WHERE o.id < 1000000 LIMIT ?",
            (orders // have + 1, max(0, orders - have)),
        )
        connection.commit()
    return max(have, orders)


@dataclass
class Cost:
    """What one run took: elapsed seconds, processor seconds of the server and of the program that sends, its MiB."""

    seconds: float = 0.0
    server: float = 0.0
    sender: float = 0.0
    peak: float = 0.0


@contextmanager
def timed(cost: Cost, server: RunningServer) -> Iterator[None]:
    """Add what happens inside to a cost."""
    begun, busy, own = time.perf_counter(), _processor(server), sum(os.times()[:4])
    yield
    cost.seconds += time.perf_counter() - begun
    cost.server += _processor(server) - busy
    cost.sender += sum(os.times()[:4]) - own


def _processor(server: RunningServer) -> float:
    """Processor seconds of the server so far."""
    words = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS


def _forget_peak() -> None:
    """From here on the kernel counts anew how much memory this process held at most."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    """MiB of memory this process held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


class Bench:
    """One server, one source, and the ways to load its orders. Every way answers what it cost."""

    def __init__(self, server: RunningServer, folder: Path, orders: int) -> None:
        self.server = server
        self.folder = folder
        self.source = folder / "shop.sqlite"
        self.ready = folder / "orders.tsv"
        self._round = 0
        for name, word in (("app", server.app_password), ("admin", server.admin_password)):
            path = folder / f"{name}.txt"
            path.touch(mode=0o600)
            path.write_text(word)
        self.orders = make_source(self.source, orders)

    def _sql(self, *statements: str, database: str | None = None) -> None:
        with self.server.connect(database=database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    @contextmanager
    def empty(self, asked: Sequence[Step] = ()) -> Iterator[tuple[Runner, str]]:
        """A new database with the shop's tables, as the console makes them, and the run that made it.

        asked: checks of the Preflight phase, instead of the snapshot alone.
        """
        with self.new_run(asked) as (runner, name):
            must(runner, "schema")
            yield runner, name

    @contextmanager
    def new_run(self, asked: Sequence[Step] = ()) -> Iterator[tuple[Runner, str]]:
        """A run with a snapshot, and the name of its database, which is not there yet."""
        self._round += 1
        name = f"bench_{self._round}"
        text = CONFIG.format(
            name=name,
            source=self.source,
            port=self.server.port,
            ca=self.server.ca_file,
            admin=self.server.admin_user,
        )
        path = self.folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        settings = config.load(path)
        snapshot = [step for step in checks.preflight() if step.id == "preflight.data.source"]
        with Runner(plan.build(settings, asked or snapshot), settings) as runner:
            must(runner, "preflight")
            try:
                yield runner, name
            finally:
                self._sql(f"DROP DATABASE IF EXISTS {name}")
                shutil.rmtree(self.folder / name)

    def _check(self, database: str) -> None:
        with self.server.connect(database=database) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM orders")
            row = cursor.fetchone()
        if row is None or row[0] != self.orders:
            raise SystemExit(f"{database}: {row} rows of {self.orders} arrived; the measurement means nothing")

    def ours(self, *, load: bool) -> Cost:
        """Prepare, rows, indexes: the steps an operator runs, from the snapshot on."""
        self._sql(f"SET GLOBAL local_infile = {int(load)}")
        with self.empty() as (runner, name):
            return self.copied(runner, name)

    def copied(self, runner: Runner, name: str) -> Cost:
        """What the copy costs in a run whose tables are made."""
        cost, others = Cost(), Cost()
        _forget_peak()
        # The snapshot is the backup's; the rest of the shop is small, and the plan wants it before the indexes.
        for step in ("data.snapshot", "data.prepare", "data.orders", "data.rest", "data.indexes"):
            counts = step not in ("data.snapshot", "data.rest")
            with timed(cost if counts else others, self.server):
                outcome = asyncio.run(runner.run_step(step))
            if not outcome.status.settled:
                raise SystemExit(f"{step}: {outcome.summary} {outcome.evidence}")
        cost.peak = _peak()
        self._check(name)
        return cost

    def whole(self) -> tuple[Cost, Cost]:
        """The phases Schema and Data of the shop as it is, counts included."""
        self._sql("SET GLOBAL local_infile = 1")
        with self.new_run() as (runner, name):
            costs = Cost(), Cost()
            for phase, cost in zip(("schema", "data"), costs, strict=True):
                with timed(cost, self.server):
                    must(runner, phase)
            self._check(name)
        return costs

    def make_ready_file(self) -> None:
        """The rows as the server itself writes them, for its own loader."""
        with self.empty() as (runner, name):
            must(runner, "data")
            self._check(name)
            self._sql(f"SELECT * FROM orders INTO OUTFILE '{self.ready}' CHARACTER SET utf8mb4", database=name)

    def servers_own(self, *, indexes_after: bool) -> Cost:
        """LOAD DATA INFILE by the server from a ready file on its own disk."""
        cost = Cost()
        with self.empty() as (runner, name), connected(runner.config.target, admin=True) as connection:
            keep = shape.definition(connection, "orders")
            keys = [f"DROP FOREIGN KEY {identifier(key)}" for key in keep.foreign_keys]
            keys += [f"DROP KEY {identifier(key)}" for key in keep.keys]
            back = [f"ADD {line}" for line in (*keep.keys.values(), *keep.foreign_keys.values())]
            execute(connection, "SET SESSION foreign_key_checks = 0")
            if indexes_after:
                execute(connection, f"ALTER TABLE orders {', '.join(keys)}")
            with timed(cost, self.server):
                execute(connection, f"LOAD DATA INFILE '{self.ready}' INTO TABLE orders CHARACTER SET utf8mb4")
                connection.commit()
                if indexes_after:
                    execute(connection, f"ALTER TABLE orders {', '.join(back)}")
            self._check(name)
        return cost

    def executemany(self) -> Cost:
        """What one writes by hand: PyMySQL's executemany, which makes multi-row INSERTs, into the indexed table."""
        cost = Cost()
        with self.empty() as (runner, name), connected(runner.config.target) as connection:
            execute(connection, "SET SESSION foreign_key_checks = 0")
            with (
                timed(cost, self.server),
                closing(sqlite3.connect(self.source)) as source,
                connection.cursor() as cursor,
            ):
                rows = source.execute("SELECT * FROM orders")
                columns = [item[0] for item in rows.description]
                insert = (
                    f"INSERT INTO orders ({', '.join(map(identifier, columns))})"
                    f" VALUES ({', '.join(['%s'] * len(columns))})"
                )
                while batch := rows.fetchmany(BATCH):
                    cursor.executemany(insert, batch)
                connection.commit()
            self._check(name)
        return cost

    def peer(self) -> Cost:
        """sqlite3-to-mysql, installed in a venv of its own, on the orders table alone, as its users run it."""
        cost = Cost()
        tool, _ = peer_tool()
        self._sql(
            "CREATE USER IF NOT EXISTS 'bench'@'127.0.0.1' IDENTIFIED BY ''",
            "GRANT ALL ON `bench\\_%`.* TO 'bench'@'127.0.0.1'",
        )
        self._round += 1
        name = f"bench_{self._round}"
        self._sql(f"CREATE DATABASE {name}")
        command = [str(tool), "-f", str(self.source), "-t", "orders", "-X", "-d", name, "-u", "bench", "-q"]
        command += ["-h", "127.0.0.1", "-P", str(self.server.port), "--mysql-password", "", "-c", "10000"]
        with timed(cost, self.server):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{PEER} failed: {(done.stdout + done.stderr)[-500:]}")
        self._check(name)
        self._sql(f"DROP DATABASE {name}")
        return cost


def peer_tool() -> tuple[Path, str]:
    """The other tool's command and its version; installed once into the user's cache."""
    folder = Path(platformdirs.user_cache_dir("dixis")) / PEER
    tool = folder / "bin" / "sqlite3mysql"
    if not tool.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", PEER], check=True)
    ask = f"import importlib.metadata as m; print(m.version({PEER!r}))"
    version = subprocess.run([folder / "bin" / "python", "-c", ask], check=True, capture_output=True, text=True).stdout
    return tool, version.strip()


def must(runner: Runner, phase_id: str) -> None:
    """Run a phase; a measurement on one that did not go through means nothing."""
    if not asyncio.run(runner.run_phase(phase_id)).settled:
        words = [f"{name}: {outcome.summary} {outcome.evidence}" for name, outcome in runner.state.outcomes().items()]
        raise SystemExit(words[-1])


@click.command()
@click.option("--rows", multiple=True, type=int, default=(200_000, 1_000_000), show_default=True)
@click.option("--runs", default=3, show_default=True, help="Of each way; the median counts.")
@click.option("--server", "kind", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
@click.option("--without", multiple=True, metavar="WAY", help="Leave out a way, by its letter.")
@click.option("--peer-rows", default=200_000, show_default=True, help="Up to so many rows (e) runs, once: it is slow.")
def main(rows: tuple[int, ...], runs: int, kind: Kind, without: tuple[str, ...], peer_rows: int) -> None:
    """Print a table for each number of rows: seconds of each way, its ratios, and who needed the processor."""
    binary = find_servers()[kind]
    print(
        f"{binary.kind} {binary.version}; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, ", end=""
    )
    print(f"{os.cpu_count()} cores, load average before {os.getloadavg()[0]:.1f}")
    print(f"medians of {runs} runs, seconds; the ways take turns, ratios are medians within the turns")
    with tempfile.TemporaryDirectory(prefix="dixis-bench-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # the server reads and writes the ready file itself
        server = start_server(binary, folder / "server", options=[f"--secure-file-priv={folder}"])
        try:
            for count in (0, *rows):
                part = folder / str(count)
                part.mkdir(mode=0o777)
                part.chmod(0o777)
                bench = Bench(server, part, count)
                if count:
                    measure(bench, runs, (*without, *(["e"] if count > peer_rows else [])))
                else:
                    measure_whole(bench, runs)
                shutil.rmtree(part)
        finally:
            server.stop()


def measure_whole(bench: Bench, runs: int) -> None:
    """The demo shop as it is, where round trips and start-up count."""
    costs = [bench.whole() for _ in range(runs)]
    schema, data = (statistics.median(cost[number].seconds for cost in costs) for number in (0, 1))
    size = bench.source.stat().st_size
    print(f"\nthe shop as it is, {size / 1e6:.1f} MB: Schema {schema:.2f}, Data and counts {data:.2f}")
    starts = []
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "dixis_tui.cli", "--help"], check=True, stdout=subprocess.DEVNULL)
        starts.append(time.perf_counter() - begun)
    print(f"dixis --help: {statistics.median(starts):.2f}", flush=True)


def measure(bench: Bench, runs: int, without: tuple[str, ...]) -> None:
    """Run every way in turns, then print the table."""
    ways: dict[str, tuple[str, Callable[[], Cost]]] = {
        "a": ("server's LOAD DATA INFILE, ready file, indexed table", lambda: bench.servers_own(indexes_after=False)),
        "b": ("the same, indexes built afterwards", lambda: bench.servers_own(indexes_after=True)),
        "c": ("ours, LOAD DATA", lambda: bench.ours(load=True)),
        "d": ("ours, INSERT", lambda: bench.ours(load=False)),
        "e": ("", bench.peer),
        "f": ("PyMySQL executemany, indexed table", bench.executemany),
    }
    chosen = {letter: way for letter, way in ways.items() if letter not in without}
    if "e" in chosen:
        chosen["e"] = (f"{PEER} {peer_tool()[1]}, no foreign keys, run once", bench.peer)
    bench.make_ready_file()
    size = bench.ready.stat().st_size
    print(f"\n{bench.orders:,} orders, {size / 1e6:.0f} MB as text", flush=True)
    taken: dict[str, list[Cost]] = {letter: [] for letter in chosen}
    for turn in range(runs):
        for letter, (_, way) in chosen.items():
            if letter != "e" or turn == 0:
                taken[letter].append(way())
                print(f"  ({letter}) {taken[letter][-1].seconds:.1f}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    heads = ("median", "min", "max", "/ (a)", "/ (b)", "/ (c)", "/ (f)", "server", "sender")
    print(f"{'':58}" + "".join(f"{head:>8}" for head in heads) + "   server, sender: processor seconds")
    for letter, (title, _) in chosen.items():
        costs = taken[letter]
        seconds = [cost.seconds for cost in costs]
        shown = [f"{statistics.median(seconds):8.1f}{min(seconds):8.1f}{max(seconds):8.1f}"]
        for other in "abcf":
            pairs = zip(costs, taken.get(other, []), strict=False)  # (e) has one run only
            ratios = [mine.seconds / theirs.seconds for mine, theirs in pairs]
            shown.append(f"{statistics.median(ratios):8.2f}" if ratios else f"{'':8}")
        shown += [f"{statistics.median(getattr(cost, who) for cost in costs):8.1f}" for who in ("server", "sender")]
        print(f"({letter}) {title:54}{''.join(shown)}")
    peaks = [f"({letter}) {max(cost.peak for cost in taken[letter]):.0f} MiB" for letter in "cd" if letter in taken]
    if peaks:
        print(f"most memory the console held: {', '.join(peaks)}", flush=True)


if __name__ == "__main__":
    main()

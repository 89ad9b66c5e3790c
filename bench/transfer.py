"""How fast rows travel: ours beside the server's own loader and the tools in use, on one server in one run.

Each way loads the generator's `orders`, with their indexes, foreign keys and JSON and Greek texts, into an empty table.
The ways take turns, run by run, so that a machine that drifts drifts for all.
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
from pathlib import Path

import click
import platformdirs

import checks
from dixis_tui import config, plan, shape
from dixis_tui.runner import Runner
from dixis_tui.sandbox import Kind, RunningServer, find_servers, start_server
from dixis_tui.sandbox.shop import build_shop
from dixis_tui.step import Step
from dixis_tui.target import connected, execute, identifier

PEER = "sqlite3-to-mysql"
BATCH = 1000

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


def make_source(path: Path, orders: int) -> None:
    """The demo shop with so many orders: its own ones again and again, with other ids and numbers."""
    build_shop(path)
    with closing(sqlite3.connect(path)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(orders)")]
        have = connection.execute("SELECT count(*) FROM orders").fetchone()[0]
        values = {"id": "o.id + n.n * 1000000", "order_number": "o.order_number || '-' || n.n"}
        chosen = ", ".join(values.get(column, f"o.{column}") for column in columns)
        connection.execute(
            f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n <= ?)"
            f" INSERT INTO orders ({', '.join(columns)}) SELECT {chosen} FROM n, orders o WHERE o.id < 1000000 LIMIT ?",
            (orders // have + 1, orders - have),
        )
        connection.commit()


class Bench:
    """One server, one source, and the ways to load its orders. Every way answers seconds."""

    def __init__(self, server: RunningServer, folder: Path, orders: int) -> None:
        self.server = server
        self.folder = folder
        self.source = folder / "shop.sqlite"
        self.ready = folder / "orders.tsv"
        self.orders = orders
        self._round = 0
        for name, word in (("app", server.app_password), ("admin", server.admin_password)):
            path = folder / f"{name}.txt"
            path.touch(mode=0o600)
            path.write_text(word)
        make_source(self.source, orders)

    def _sql(self, *statements: str, database: str | None = None) -> None:
        with self.server.connect(database=database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    @contextmanager
    def empty(self, asked: Sequence[Step] = ()) -> Iterator[tuple[Runner, str]]:
        """A new database with the shop's tables, as the console makes them, and the run that made it.

        asked: checks of the Preflight phase, instead of the snapshot alone.
        """
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
            _must(runner, "preflight")
            _must(runner, "schema")
            try:
                yield runner, name
            finally:
                self._sql(f"DROP DATABASE {name}")
                shutil.rmtree(self.folder / name)

    def _check(self, database: str) -> None:
        with self.server.connect(database=database) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM orders")
            row = cursor.fetchone()
        if row is None or row[0] != self.orders:
            raise SystemExit(f"{database}: {row} rows of {self.orders} arrived; the measurement means nothing")

    def ours(self, *, load: bool) -> float:
        """Prepare, rows, indexes: the steps an operator runs, from the snapshot on."""
        self._sql(f"SET GLOBAL local_infile = {int(load)}")
        with self.empty() as (runner, name):
            return self.copied(runner, name)

    def copied(self, runner: Runner, name: str) -> float:
        """Seconds of the copy in a run whose tables are made."""
        steps = ["data.snapshot", "data.prepare", "data.orders", "data.indexes"]
        for step in steps:
            if step == "data.indexes":
                # the other tables of the shop are small; the plan's order wants them before the indexes
                asyncio.run(runner.run_step("data.rest"))
            outcome = asyncio.run(runner.run_step(step))
            if not outcome.status.settled:
                raise SystemExit(f"{step}: {outcome.summary} {outcome.evidence}")
        self._check(name)
        return sum(runner.state.step(step).seconds or 0.0 for step in steps[1:])

    def make_ready_file(self) -> None:
        """The rows as the server itself writes them, for its own loader."""
        with self.empty() as (runner, name):
            _must(runner, "data")
            self._check(name)
            self._sql(f"SELECT * FROM orders INTO OUTFILE '{self.ready}' CHARACTER SET utf8mb4", database=name)

    def servers_own(self, *, indexes_after: bool) -> float:
        """LOAD DATA INFILE by the server from a ready file on its own disk."""
        with self.empty() as (runner, name), connected(runner.config.target, admin=True) as connection:
            keep = shape.definition(connection, "orders")
            keys = [f"DROP FOREIGN KEY {identifier(key)}" for key in keep.foreign_keys]
            keys += [f"DROP KEY {identifier(key)}" for key in keep.keys]
            back = [f"ADD {line}" for line in (*keep.keys.values(), *keep.foreign_keys.values())]
            execute(connection, "SET SESSION foreign_key_checks = 0")
            if indexes_after:
                execute(connection, f"ALTER TABLE orders {', '.join(keys)}")
            begun = time.perf_counter()
            execute(connection, f"LOAD DATA INFILE '{self.ready}' INTO TABLE orders CHARACTER SET utf8mb4")
            connection.commit()
            if indexes_after:
                execute(connection, f"ALTER TABLE orders {', '.join(back)}")
            seconds = time.perf_counter() - begun
            self._check(name)
            return seconds

    def executemany(self) -> float:
        """What one writes by hand: PyMySQL's executemany, which makes multi-row INSERTs, into the indexed table."""
        with self.empty() as (runner, name), connected(runner.config.target) as connection:
            execute(connection, "SET SESSION foreign_key_checks = 0")
            begun = time.perf_counter()
            with closing(sqlite3.connect(self.source)) as source, connection.cursor() as cursor:
                rows = source.execute("SELECT * FROM orders")
                columns = [item[0] for item in rows.description]
                insert = (
                    f"INSERT INTO orders ({', '.join(map(identifier, columns))})"
                    f" VALUES ({', '.join(['%s'] * len(columns))})"
                )
                while batch := rows.fetchmany(BATCH):
                    cursor.executemany(insert, batch)
                connection.commit()
            seconds = time.perf_counter() - begun
            self._check(name)
            return seconds

    def peer(self) -> float:
        """sqlite3-to-mysql, installed in a venv of its own, on the orders table alone, as its users run it."""
        tool = peer_tool()
        self._sql(
            "CREATE USER IF NOT EXISTS 'bench'@'127.0.0.1' IDENTIFIED BY ''",
            "GRANT ALL ON `bench\\_%`.* TO 'bench'@'127.0.0.1'",
        )
        self._round += 1
        name = f"bench_{self._round}"
        self._sql(f"CREATE DATABASE {name}")
        begun = time.perf_counter()
        command = [str(tool), "-f", str(self.source), "-t", "orders", "-X", "-d", name, "-u", "bench", "-q"]
        command += ["-h", "127.0.0.1", "-P", str(self.server.port), "--mysql-password", "", "-c", "10000"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - begun
        if done.returncode != 0:
            raise SystemExit(f"{PEER} failed: {(done.stdout + done.stderr)[-500:]}")
        self._check(name)
        self._sql(f"DROP DATABASE {name}")
        return seconds


def peer_tool() -> Path:
    """The other tool's command, installed once into the user's cache."""
    folder = Path(platformdirs.user_cache_dir("dixis")) / PEER
    tool = folder / "bin" / "sqlite3mysql"
    if not tool.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", PEER], check=True)
    return tool


def _must(runner: Runner, phase_id: str) -> None:
    """Run a phase; a measurement on one that did not go through means nothing."""
    if not asyncio.run(runner.run_phase(phase_id)).settled:
        words = [f"{name}: {outcome.summary} {outcome.evidence}" for name, outcome in runner.state.outcomes().items()]
        raise SystemExit(words[-1])


@click.command()
@click.option("--rows", multiple=True, type=int, default=(200_000, 1_000_000), show_default=True)
@click.option("--runs", default=3, show_default=True, help="Of each way; the median counts.")
@click.option("--server", "kind", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
@click.option("--without", multiple=True, metavar="WAY", help="Leave out a way, by its letter.")
def main(rows: tuple[int, ...], runs: int, kind: Kind, without: tuple[str, ...]) -> None:
    """Print one table: seconds of each way, and its ratio to (a) and (b)."""
    binary = find_servers()[kind]
    print(f"{binary}; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    print(f"medians of {runs} runs, seconds; the ways take turns")
    with tempfile.TemporaryDirectory(prefix="dixis-bench-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # the server reads and writes the ready file itself
        server = start_server(binary, folder / "server", options=[f"--secure-file-priv={folder}"])
        try:
            for count in rows:
                part = folder / str(count)
                part.mkdir(mode=0o777)
                part.chmod(0o777)
                measure(Bench(server, part, count), runs, without)
                shutil.rmtree(part)
        finally:
            server.stop()


def measure(bench: Bench, runs: int, without: tuple[str, ...]) -> None:
    """Run every way in turns, then print the table."""
    ways: dict[str, tuple[str, Callable[[], float]]] = {
        "a": ("server's LOAD DATA INFILE, ready file, indexed table", lambda: bench.servers_own(indexes_after=False)),
        "b": ("the same, indexes built afterwards", lambda: bench.servers_own(indexes_after=True)),
        "c": ("ours, LOAD DATA", lambda: bench.ours(load=True)),
        "d": ("ours, INSERT", lambda: bench.ours(load=False)),
        "e": (f"{PEER}, without foreign keys", bench.peer),
        "f": ("PyMySQL executemany, indexed table", bench.executemany),
    }
    chosen = {letter: way for letter, way in ways.items() if letter not in without}
    bench.make_ready_file()
    size = bench.ready.stat().st_size
    print(f"\n{bench.orders:,} orders, {size / 1e6:.0f} MB as text", flush=True)
    taken: dict[str, list[float]] = {letter: [] for letter in chosen}
    for _ in range(runs):
        for letter, (_, way) in chosen.items():
            taken[letter].append(way())
            print(f"  ({letter}) {taken[letter][-1]:.1f}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    middle = {letter: statistics.median(seconds) for letter, seconds in taken.items()}
    print(f"{'':4}{'':56}{'median':>8}{'min':>8}{'max':>8}{'/ (a)':>8}{'/ (b)':>8}")
    for letter, (title, _) in chosen.items():
        seconds = taken[letter]
        ratios = "".join(f"{middle[letter] / middle[of]:8.2f}" if of in middle else f"{'':8}" for of in "ab")
        print(f"({letter}) {title:56}{middle[letter]:8.1f}{min(seconds):8.1f}{max(seconds):8.1f}{ratios}")


if __name__ == "__main__":
    main()

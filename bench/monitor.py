"""What the watch costs, and whether it tells a load: `dixis monitor` beside a client that asks a bounded number of
questions a second, on one server; processor time of the watch, questions it asks, and what it said.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import click

from dixis_tui.sandbox import Kind, RunningServer, find_servers, start_server
from dixis_tui.sandbox.processes import wait_until

CONFIG = """
[run]
environment = "rehearsal"
directory = "run"
[source]
path = "shop.sqlite"
[target]
host = "127.0.0.1"
port = {port}
database = "shop"
user = "{user}"
password = "{password}"
tls = {{ ca = "{ca}" }}
admin = {{ user = "{user}", password = "{password}" }}
[app]
root = "/nowhere"
[watch]
minutes = 1
"""


class Load:
    """Clients on 127.0.0.1 that read rows by key, each so often a second; slow: seconds every answer takes."""

    def __init__(self, server: RunningServer, clients: int, rate: float, slow: float) -> None:
        self._asked = [0] * clients
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number, server, rate, slow)) for number in range(clients)
        ]

    @property
    def asked(self) -> int:
        return sum(self._asked)

    def _ask(self, number: int, server: RunningServer, rate: float, slow: float) -> None:
        with server.connect(database="shop") as connection, connection.cursor() as cursor:
            while not self._stop.wait(1 / rate):
                sql = (
                    "SELECT name FROM users WHERE id = 7"
                    if not slow
                    else f"SELECT SLEEP({slow}), name FROM users LIMIT 1"
                )
                cursor.execute(sql)
                cursor.fetchall()
                self._asked[number] += 1

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: all(self._asked), 30)  # connected, all of them
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def questions(server: RunningServer) -> int:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
        row = cursor.fetchone()
        assert row is not None
        return int(row[1])


def own_questions(server: RunningServer) -> int:
    """What asking for the number itself adds to it."""
    first, second = questions(server), questions(server)
    return second - first


def watched(config: Path, seconds: float) -> tuple[list[dict[str, object]], float, int]:
    """Run `dixis monitor` for a time: its samples, its processor seconds beyond starting, its exit code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "dixis_tui.cli", "--config", str(config), "monitor", "--for", f"{seconds}s", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [json.loads(line) for line in done.stdout.splitlines()], spent, done.returncode


@click.command()
@click.option("--seconds", default=130.0, show_default=True, help="Of each measurement.")
@click.option("--rate", default=100.0, show_default=True, help="Questions a second of the load, in all.")
@click.option("--server", "kind", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
def main(seconds: float, rate: float, kind: Kind) -> None:
    """Print what the watch cost beside a light load, and what it told of a slow one."""
    binary = find_servers()[kind]
    print(f"{binary}; Python {platform.python_version()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="dixis-bench-") as scratch:
        folder = Path(scratch)
        server = start_server(binary, folder / "server")
        try:
            with server.connect() as connection, connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE shop")
                cursor.execute("CREATE TABLE shop.users (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100))")
                cursor.executemany("INSERT INTO shop.users (name) VALUES (%s)", [(f"user {n}",) for n in range(5000)])
            config = folder / "dixis.toml"
            config.write_text(
                CONFIG.format(
                    port=server.port, user=server.admin_user, password=server.admin_password, ca=server.ca_file
                )
            )
            _, starting, _ = watched(config, 0.1)
            for title, slow in (("light load", 0.0), ("every answer takes 0.15 s", 0.15)):
                own = own_questions(server)
                with contextlib.ExitStack() as stack:
                    load = stack.enter_context(Load(server, 4, rate / 4, slow))
                    before, asked, begun = questions(server), load.asked, time.monotonic()
                    samples, spent, code = watched(config, seconds)
                    minutes = (time.monotonic() - begun) / 60
                    by_watch = questions(server) - before - own - (load.asked - asked)
                last = samples[-1]
                metrics, triggers = last["metrics"], last["triggers"]
                assert isinstance(metrics, dict)
                assert isinstance(triggers, list)
                standing = [one["id"] for one in triggers if one["state"] in ("stands", "easing")]
                print(f"{title}: {load.asked / minutes / 60:.0f} questions a second, {len(samples)} samples")
                print(f"  asked by the watch   {by_watch:6} in {60 * minutes:.0f} s, give or take those in flight")
                print(f"  processor            {spent:6.2f} s, {starting:.2f} s of it for starting:")
                print(f"                       {100 * max(spent - starting, 0) / minutes / 60:6.2f} % of a core")
                print(f"  told: p95 {metrics['p95_ms']} ms by {last['source']}, exit code {code}, stands: {standing}")
        finally:
            server.stop()


if __name__ == "__main__":
    main()

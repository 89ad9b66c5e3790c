"""The source is read through snapshots, whole and consistent, and any later write is noticed."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from dixis_tui.hosts import host
from dixis_tui.hosts.host import LocalHost
from dixis_tui.model import StoppedError
from dixis_tui.source import Mark, Snapshot, SourceError, mark, open_readonly, reading, take_snapshot
from tests.data_path import make_source

SHOP = ("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT)", "INSERT INTO products VALUES (1, 'Ελιά')")


class Elsewhere(LocalHost):
    """This machine, treated as one whose files cannot be opened from here."""

    is_local = False


def snapshot(host: LocalHost, path: Path, destination: Path, stop: threading.Event | None = None) -> Snapshot:
    return take_snapshot(host, str(path), destination, php="php", say=lambda _: None, stop=stop or threading.Event())


@pytest.mark.parametrize("host", [LocalHost(), Elsewhere()], ids=["by sqlite", "by the host's php"])
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_snapshot_holds_what_was_committed_and_nothing_else(tmp_path: Path, host: LocalHost, journal: str) -> None:
    path = make_source(tmp_path / "shop.sqlite", SHOP)
    with closing(sqlite3.connect(path)) as live:
        live.execute(f"PRAGMA journal_mode={journal}")
        live.execute("INSERT INTO products VALUES (2, 'Μέλι')")
        live.commit()
        before = path.read_bytes()
        live.execute("INSERT INTO products VALUES (3, 'never committed')")
        taken = snapshot(host, path, tmp_path / "copies" / "one.sqlite")
        live.rollback()
        assert path.read_bytes() == before
    with reading(taken) as copy:
        assert copy.execute("SELECT id, name FROM products").fetchall() == [(1, "Ελιά"), (2, "Μέλι")]
    assert taken.path.stat().st_mode & 0o777 == 0o600
    assert taken.size == taken.path.stat().st_size
    assert [p.name for p in taken.path.parent.iterdir()] == ["one.sqlite"]
    assert Snapshot.model_validate(taken.model_dump(mode="json")) == taken


@pytest.mark.parametrize("journal", ["delete", "truncate", "persist", "wal"])
def test_every_commit_changes_the_mark_and_reading_does_not(tmp_path: Path, journal: str) -> None:
    path = make_source(tmp_path / "shop.sqlite", SHOP)
    host = LocalHost()
    seen: list[Mark] = []
    with closing(sqlite3.connect(path)) as live:
        live.execute(f"PRAGMA journal_mode={journal}")
        for number in range(2, 12):
            live.execute("SELECT count(*) FROM products").fetchone()
            assert mark(host, str(path)) == mark(host, str(path))
            seen.append(mark(host, str(path)))
            live.execute("UPDATE products SET name = ? WHERE id = 1", (f"Ελιά {number}",))
            live.commit()
            assert mark(host, str(path)) not in seen
            if number % 4 == 0:
                live.execute("PRAGMA wal_checkpoint").fetchone()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_commit_changes_the_mark_of_a_database_behind_a_link(tmp_path: Path, journal: str) -> None:
    (tmp_path / "shared").mkdir()
    link = tmp_path / "shop.sqlite"
    link.symlink_to(tmp_path / "shared" / "shop.sqlite")
    with closing(sqlite3.connect(link)) as live:
        live.execute(f"PRAGMA journal_mode = {journal}")
        live.execute("CREATE TABLE notes (word VARCHAR)")
        live.commit()
        before = mark(LocalHost(), str(link))
        live.execute("INSERT INTO notes VALUES ('late')")
        live.commit()
        assert mark(LocalHost(), str(link)) != before


def test_a_snapshot_cannot_be_written(tmp_path: Path) -> None:
    path = make_source(tmp_path / "shop.sqlite", SHOP)
    with closing(open_readonly(path)) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM products")


def test_a_damaged_database_is_refused_and_leaves_no_copy(tmp_path: Path) -> None:
    path = make_source(tmp_path / "shop.sqlite", [SHOP[0], "CREATE INDEX by_name ON products (name)"])
    with closing(sqlite3.connect(path)) as live:
        live.executemany("INSERT INTO products (name) VALUES (?)", [(f"Προϊόν {n}",) for n in range(2000)])
        live.commit()
        page = live.execute("PRAGMA page_size").fetchone()[0]
    data = bytearray(path.read_bytes())
    data[3 * page : 3 * page + 200] = b"\xff" * 200
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        snapshot(LocalHost(), path, tmp_path / "copies" / "one.sqlite")
    assert "damaged" in caught.value.what or "malformed" in caught.value.what
    assert list((tmp_path / "copies").iterdir()) == []


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database")
    with pytest.raises(SourceError, match="not a SQLite database"):
        mark(LocalHost(), str(tmp_path / "notes.txt"))
    with pytest.raises(SourceError, match="no database file"):
        mark(LocalHost(), str(tmp_path / "gone.sqlite"))


def test_a_snapshot_can_be_stopped(tmp_path: Path) -> None:
    path = make_source(tmp_path / "shop.sqlite", SHOP)
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        snapshot(LocalHost(), path, tmp_path / "copies" / "one.sqlite", stop)
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_question_about_a_file_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "realpath").write_text("#!/bin/sh\nexec sleep 600\n", encoding="ascii")
    (tmp_path / "realpath").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(host, "QUICK", 0.2)
    with pytest.raises(host.HungError, match="realpath on this machine did not finish"):
        mark(LocalHost(), str(make_source(tmp_path / "shop.sqlite", SHOP)))

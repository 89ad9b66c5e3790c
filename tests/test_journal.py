"""The journal: append-only, chained, and the run's state is nothing but its fold."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dixis_tui.model import Status, passed
from dixis_tui.record import signatures
from dixis_tui.record.journal import SWITCHED, HeldError, Journal, JournalError, Lock, fold


def finished(step: str, summary: str = "well") -> dict[str, object]:
    return {"step": step, "outcome": passed(summary).model_dump(mode="json")}


def test_events_are_there_after_reopening(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("run-opened", {"run_id": "r1", "operator": "Μαρία"})
    journal.append("step-started", {"step": "data.copy"})
    journal.close()
    state = fold(Journal(tmp_path).events)
    assert (state.run_id, state.operator) == ("r1", "Μαρία")
    assert state.step("data.copy").status is Status.RUNNING


def test_the_files_are_the_operators_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    journal.append("run-opened", {"run_id": "r1", "operator": "o"})
    assert (tmp_path / "run").stat().st_mode & 0o077 == 0
    assert journal.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "harm",
    [
        'UPDATE events SET data = \'{"step": "other"}\' WHERE seq = 2',
        "UPDATE events SET at = '2020-01-01T00:00:00+00:00' WHERE seq = 2",
        "DELETE FROM events WHERE seq = 2",
        "UPDATE events SET kind = 'step-finished' WHERE seq = 3",
        "DELETE FROM events WHERE seq = 3",
        "DELETE FROM events",
    ],
)
def test_a_changed_or_missing_event_is_refused(tmp_path: Path, harm: str) -> None:
    journal = Journal(tmp_path)
    for step in ("a", "b", "c"):
        journal.append("step-started", {"step": step})
    journal.close()
    with closing(sqlite3.connect(journal.path)) as connection:
        connection.execute(harm)
        connection.commit()
    with pytest.raises(JournalError, match=r"is not what was written|speaks of 3"):
        Journal(tmp_path)


def test_who_looks_on_while_much_is_written_sees_a_whole_journal(tmp_path: Path) -> None:
    write = "import sys; from pathlib import Path; from dixis_tui.record.journal import Journal\n"
    write += "journal = Journal(Path(sys.argv[1]))\nfor _ in range(400): journal.append('said')"
    with subprocess.Popen([sys.executable, "-c", write, str(tmp_path)]) as writer:
        seen = [0]
        while writer.poll() is None:
            journal = Journal(tmp_path, create=False)
            seen.append(len(journal.events))
            journal.close()
    assert writer.returncode == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 5


def test_an_empty_log_left_behind_hides_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("said")
    journal.close()
    (tmp_path / "journal.sqlite-wal").touch()
    assert len(Journal(tmp_path, create=False).events) == 1


def test_a_process_killed_between_event_and_head_is_no_tampering(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("step-started", {"step": "a"})
    head = (tmp_path / "journal.head").read_bytes()
    journal.append("step-started", {"step": "b"})
    journal.close()
    (tmp_path / "journal.head").write_bytes(head)
    assert len(Journal(tmp_path).events) == 2


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, but long enough to look like a file" * 30)
    with pytest.raises(JournalError, match="cannot be read"):
        Journal(tmp_path)


def test_a_step_cut_off_is_interrupted_once_another_console_takes_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("run-opened", {"run_id": "r1", "operator": "o"})
    journal.append("step-started", {"step": "data.copy"})
    journal.append("console-attached", {"operator": "p"})
    assert fold(journal.events).step("data.copy").status is Status.INTERRUPTED


def test_the_window_opens_once_and_closes(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    first = journal.append("window-opened")
    journal.append("window-opened")
    assert fold(journal.events).window_opened_at == first.at
    assert fold(journal.events).window_open
    journal.append("window-closed")
    assert not fold(journal.events).window_open


def test_after_a_rollback_every_step_of_the_plan_is_to_do_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("step-finished", finished("data.copy"))
    journal.append(SWITCHED, {"path": "/env", "sha256": "", "environment": "/e"})
    journal.append("step-finished", finished("rollback.verify"))
    assert fold(journal.events).switched
    journal.append("rolled-back")
    state = fold(journal.events)
    assert state.step("data.copy").status is Status.PENDING
    assert state.step("rollback.verify").status is Status.PASS
    assert (state.switched, state.rollbacks) == (False, 1)


HOLDER = """
import sys, pathlib
from dixis_tui.record.journal import Lock
Lock(pathlib.Path(sys.argv[1])).acquire("Nikos")
print("held", flush=True)
sys.stdin.read()
"""


def test_one_console_drives_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        lock = Lock(tmp_path)
        assert lock.held()
        with pytest.raises(HeldError, match=f"Nikos, process {holder.pid}"):
            lock.acquire("Maria")
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        lock.acquire("Maria")
        lock.release()
        assert not lock.held()


def test_what_lies_in_the_journals_place_is_named(tmp_path: Path) -> None:
    for name in ("journal.sqlite", "journal.head"):
        (tmp_path / name / name).mkdir(parents=True)
        for create in (True, False):
            with pytest.raises(JournalError, match=rf"{name} cannot be read") as told:
                Journal(tmp_path / name, create=create)
            assert told.value.safe
    assert told.value.next_step == "mend that path or its permissions"


def test_a_note_in_another_encoding_is_recorded(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("note", {"note": "caf\udce9"})
    journal.close()
    read = Journal(tmp_path, create=False)
    assert read.events[0].data == {"note": "caf\\udce9"}
    read.close()


def test_what_is_signed_in_another_encoding_is_what_is_recorded(tmp_path: Path) -> None:
    said = {"step": "gate.sign", "name": "Ren\udce9", "note": "caf\udce9"}
    journal = Journal(tmp_path)
    event = journal.append("signed", said)
    journal.close()
    before, after = (signatures.text("r", "signed", data, event.at, event.previous) for data in (said, event.data))
    assert before == after

"""The record of a run: any changed byte is found and named, people sign with their own keys, others verify it later."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dixis_tui.cli import cli
from dixis_tui.config import Config, load
from dixis_tui.model import Kind, NotNowError, passed
from dixis_tui.record import chain, signing, telling
from dixis_tui.record.audit import audit
from dixis_tui.record.journal import Journal, JournalError
from dixis_tui.record.people import count, person
from dixis_tui.runner import Runner
from dixis_tui.step import Phase, Plan, Step
from tests.test_runner import CONFIG

COLUMNS = ("seq", "at", "kind", "data", "previous", "hash")
EVENTS = 6


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with a few events of different kinds."""
    folder = tmp_path_factory.mktemp("written")
    journal = Journal(folder)
    journal.append("run-opened", {"run_id": "r1", "operator": "Μαρία"})
    journal.append("console-attached", {"operator": "Μαρία"})
    journal.append("step-started", {"step": "data.copy"})
    journal.append("step-finished", {"step": "data.copy", "outcome": passed("copied", ["3 rows"]).model_dump()})
    journal.append("signed", {"step": "cutover.gate", "role": "lead", "name": "Eleni", "note": "«καλά»"})
    journal.append("window-opened")
    journal.close()
    with closing(sqlite3.connect(journal.path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return folder


def copied(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(written, tmp_path_factory.mktemp("copy") / "run"))


def flip(path: Path, seq: int, column: str, place: int, bit: int) -> bool:
    """Change one byte of a stored value; False where the value would be what it was or could not be stored."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        value = connection.execute(f"SELECT {column} FROM events WHERE seq = ?", (seq,)).fetchone()[0]
        if column == "seq":
            changed: object = value ^ (1 << bit)
        else:
            raw = bytearray(value)
            raw[place % len(raw)] ^= 1 << bit
            changed = bytes(raw)
        try:
            cast = "?" if column == "seq" else "CAST(? AS TEXT)"
            connection.execute(f"UPDATE events SET {column} = {cast} WHERE seq = ?", (changed, seq))
        except sqlite3.IntegrityError:
            return False  # a number or hash that another event has
        connection.commit()
        return True


@given(
    seq=st.integers(1, EVENTS),
    column=st.sampled_from(COLUMNS),
    place=st.integers(0, 2000),
    bit=st.integers(0, 7),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_changed_byte_anywhere_is_refused_and_its_place_is_named(
    written: Path, tmp_path_factory: pytest.TempPathFactory, seq: int, column: str, place: int, bit: int
) -> None:
    folder = copied(written, tmp_path_factory)
    if not flip(folder / "journal.sqlite", seq, column, place, bit):
        return
    found = audit(folder)
    assert found.broken is not None
    assert not found.good
    if column != "seq":  # an event with another number is missing in its place, or in the place of the next
        assert (found.broken.event, column in found.broken.what) == (seq, True)
    assert found.broken.expected != found.broken.found
    with pytest.raises(JournalError, match=rf"event {found.broken.event}, "):
        Journal(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("column", COLUMNS[1:])
def test_every_byte_of_an_event_counts(written: Path, column: str) -> None:
    with closing(sqlite3.connect(written / "journal.sqlite")) as connection:
        rows = [chain.Row(*row) for row in connection.execute(f"SELECT {', '.join(COLUMNS)} FROM events ORDER BY seq")]
    head = (written / "journal.head").read_text(encoding="ascii")
    assert chain.first_break(rows, head) is None
    for number, row in enumerate(rows, 1):
        value = str(getattr(row, column))
        for place in range(len(value)):
            other = value[:place] + ("0" if value[place] != "0" else "1") + value[place + 1 :]
            changed = [*rows[: number - 1], row._replace(**{column: other}), *rows[number:]]
            broken = chain.first_break(changed, head)
            assert broken is not None
            assert broken.event == number
            assert column in broken.what


def test_a_table_that_is_declared_otherwise_is_refused(written: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = copied(written, tmp_path_factory)
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'kind VARCHAR', 'kind VARCHAr')")
        connection.commit()
    found = audit(folder)
    assert found.broken is not None
    assert "declared otherwise" in found.broken.found


def test_every_byte_of_the_head_counts(written: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = copied(written, tmp_path_factory)
    good = (folder / "journal.head").read_bytes()
    for place in range(len(good)):
        harmed = bytearray(good)
        harmed[place] ^= 1
        (folder / "journal.head").write_bytes(harmed)
        found = audit(folder)
        # One event more than the head says is what a process killed between the two writes leaves; here it is not so.
        assert found.broken is not None, harmed
        assert "head" in found.broken.what or "missing" in found.broken.what


@pytest.mark.parametrize(
    ("harm", "event", "what"),
    [
        ("DELETE FROM events WHERE seq = 3", 3, "missing"),
        ("DELETE FROM events WHERE seq = 6", 6, "missing"),
        ("DELETE FROM events WHERE seq > 2", 3, "missing"),
        ("UPDATE events SET data = CAST(data AS BLOB) WHERE seq = 4", 4, "data"),
        ("UPDATE events SET seq = 90 WHERE seq = 4", 4, "missing"),
        ("UPDATE events SET kind = 'signed' || char(10) WHERE seq = 5", 5, "content"),
    ],
)
def test_what_is_gone_or_of_another_kind_is_named(
    written: Path, tmp_path_factory: pytest.TempPathFactory, harm: str, event: int, what: str
) -> None:
    folder = copied(written, tmp_path_factory)
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection:
        connection.execute(harm)
        connection.commit()
    broken = audit(folder).broken
    assert broken is not None
    assert (broken.event, what in broken.what) == (event, True)


def test_a_tail_cut_off_with_its_head_is_known_by_the_hash_a_report_holds(
    written: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = copied(written, tmp_path_factory)
    head = audit(folder).head
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection:
        last = connection.execute("SELECT seq, hash FROM events WHERE seq = 5").fetchone()
        connection.execute("DELETE FROM events WHERE seq = 6")
        connection.commit()
    (folder / "journal.head").write_text(chain.head_line(*last), encoding="ascii")
    assert audit(folder).broken is None
    broken = audit(folder, head=head).broken
    assert broken is not None
    assert (broken.what, broken.expected) == ("the end is missing", f"an event with the hash {head}")


@given(where=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_byte_of_the_file_is_refused_or_holds_nothing_of_the_record(
    written: Path, harmed_folder: Path, where: float, change: int
) -> None:
    good = (written / "journal.sqlite").read_bytes()
    harmed = bytearray(good)
    harmed[int(where * len(good))] ^= change
    (harmed_folder / "journal.sqlite").write_bytes(harmed)
    found = audit(harmed_folder)
    if found.good:  # a byte that SQLite leaves empty, or a note of its own
        assert (found.events, found.head) == (EVENTS, audit(written).head)
        assert [one.name for one in found.signatures] == ["Eleni"]


@pytest.fixture(scope="module")
def harmed_folder(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(written, tmp_path_factory)


def test_verifying_leaves_no_trace_in_the_folder(written: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = copied(written, tmp_path_factory)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert audit(folder).good
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# People


@pytest.mark.parametrize(
    "other",
    [
        "eleni papadaki",
        " Eleni  Papadaki ",
        "ELENI PAPADAKI",
        "Éleni Papadakí",
        "EleniPapadaki",
        "Eleni\u200b Papadaki",
    ],
)
def test_a_name_is_one_persons_however_it_is_written(other: str) -> None:
    assert person(other) == person("Eleni Papadaki")
    assert count([("Eleni Papadaki", ""), (other, "")]) == 1


def test_greek_names_and_other_people() -> None:
    assert person("ΝΊΚΟΣ") == person("Νίκος") == person("νικος")
    assert count([("Eleni", ""), ("Nikos", "")]) == 2
    assert count([("Eleni", "SHA256:a"), ("Nikos", "SHA256:a")]) == 1
    assert count([("Eleni", "SHA256:a"), ("Nikos", "SHA256:b"), ("eleni", "SHA256:b")]) == 1


# Signatures, with real keys, a real agent, a real ssh-keygen


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of three people and the file that says whose they are: Eleni's plain, Nikos' and Maria's with passphrase."""
    folder = tmp_path_factory.mktemp("keys")
    lines = []
    for file, name, phrase in (
        ("eleni", "Eleni Papadaki", ""),
        ("nikos", "Νίκος", "secret"),
        ("maria", "Maria", "secret"),
    ):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", str(folder / file)], check=True)
        public = (folder / f"{file}.pub").read_text(encoding="ascii").split()
        lines.append(f'"{name}" namespaces="dixis" {public[0]} {public[1]}\n')
    (folder / "signers").write_text("# who signs\n" + "".join(lines), encoding="utf-8")
    ask = folder / "ask"
    ask.write_text("#!/bin/sh\necho secret\n", encoding="ascii")
    ask.chmod(0o700)
    return folder


@pytest.fixture(scope="module")
def agent(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The socket of an agent that holds Nikos' key."""
    socket = tmp_path_factory.mktemp("agent") / "s"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            assert b"SSH_AUTH_SOCK" in running.stdout.readline()
            environment = {**os.environ, "SSH_AUTH_SOCK": str(socket), "SSH_ASKPASS_REQUIRE": "force"}
            environment["SSH_ASKPASS"] = str(keys / "ask")
            subprocess.run(
                ["ssh-add", "-q", str(keys / "nikos")],
                check=True,
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            yield str(socket)
        finally:
            running.terminate()


@pytest.fixture
def plan() -> Plan:
    tried = Step("cutover.tried", "Tried", Kind.SIGNOFF, "why")
    gate = Step("cutover.gate", "Go", Kind.GATE, "why", roles=("lead", "database review"))
    back = Step("rollback.back", "Back", Kind.CHECK, "why", lambda _: passed("back"))
    return Plan((Phase("cutover", "Cutover", (tried, gate)),), Phase("rollback", "Rollback", (back,)))


@pytest.fixture
def with_keys(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The configuration with the keys of people, and no agent."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "dixis.toml").write_text(CONFIG, encoding="utf-8")
    config = load(tmp_path / "dixis.toml")
    people = config.people.model_copy(
        update={"allowed_signers": keys / "signers", "keys": (keys / "eleni", keys / "maria")}
    )
    run = config.run.model_copy(update={"operator": "Eleni Papadaki"})
    return config.model_copy(update={"people": people, "run": run})


def signed_run(plan: Plan, config: Config, first: str, second: str) -> Path:
    with Runner(plan, config) as runner:
        signing.sign(runner, "cutover.tried", role="operator", name="Stavros", note="")
        signing.sign(runner, "cutover.gate", role="lead", name=first, note="read all\nof it")
        signing.sign(runner, "cutover.gate", role="database review", name=second, note="counts are equal")
        return runner.run_dir


def test_two_people_sign_with_key_file_and_agent_and_others_verify_it(
    plan: Plan,
    with_keys: Config,
    keys: Path,
    agent: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    folder = signed_run(plan, with_keys, "eleni papadaki", "Νίκος")
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    found = audit(copy, keys / "signers")
    assert found.good
    assert [(one.name, one.state) for one in found.signatures] == [
        ("Stavros", "by name only"),  # the sign-off before the gate, of somebody without a key
        ("eleni papadaki", "verified"),
        ("Νίκος", "verified"),
    ]
    fingerprints = {one.fingerprint for one in found.signatures if one.fingerprint}
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(keys / "nikos.pub")], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split()[1] in fingerprints
    # Without the file nobody says whose the keys are; with another person's, they are not theirs.
    assert [one.state for one in audit(copy).signatures][1:] == ["sound", "sound"]
    swapped = (keys / "signers").read_text(encoding="utf-8").replace("Eleni Papadaki", "Somebody Else")
    (tmp_path / "signers").write_text(swapped, encoding="utf-8")
    other = audit(copy, tmp_path / "signers").signatures[1]
    assert (other.state, other.why) == (
        "bad",
        "its key is Somebody Else's among the allowed signers, not eleni papadaki's",
    )


def test_a_signature_is_bad_over_anything_else(plan: Plan, with_keys: Config, keys: Path) -> None:
    with Runner(plan, with_keys) as runner:
        signing.sign(runner, "cutover.tried", role="operator", name="Stavros", note="")
        signing.sign(runner, "cutover.gate", role="lead", name="Eleni Papadaki", note="read all")
        events = list(runner.events)
        folder = runner.run_dir
    # Somebody with the whole folder in hand writes another note and chains everything anew.
    rows, previous = [], chain.GENESIS
    for event in events:
        data = {**event.data, "note": "never mind"} if event.kind == "signed" and "ssh" in event.data else event.data
        text = json.dumps(data, ensure_ascii=False, sort_keys=True)
        digest = chain.digest(previous, event.seq, event.at, event.kind, text)
        rows.append((event.seq, event.at, event.kind, text, previous, digest))
        previous = digest
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection:
        connection.execute("DELETE FROM events")
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.commit()
    (folder / "journal.head").write_text(chain.head_line(len(rows), previous), encoding="ascii")
    found = audit(folder, keys / "signers")
    assert found.broken is None
    assert (found.good, found.signatures[-1].state) == (False, "bad")
    assert found.signatures[-1].why == "the signature does not fit what the event says"


def test_the_same_key_is_the_same_person(plan: Plan, with_keys: Config, keys: Path, tmp_path: Path) -> None:
    public = (keys / "eleni.pub").read_text(encoding="ascii").split()
    two = [f'"{name}" {public[0]} {public[1]}\n' for name in ("Eleni", "Maria")]
    (tmp_path / "signers").write_text("".join(two), encoding="utf-8")
    people = with_keys.people.model_copy(update={"allowed_signers": tmp_path / "signers"})
    with Runner(plan, with_keys.model_copy(update={"people": people})) as runner:
        signing.sign(runner, "cutover.tried", role="operator", name="Stavros", note="")
        signing.sign(runner, "cutover.gate", role="lead", name="Eleni", note="")
        with pytest.raises(NotNowError, match="two different people"):
            signing.sign(runner, "cutover.gate", role="database review", name="Maria", note="")
        with pytest.raises(NotNowError, match="two different people"):
            signing.sign(runner, "cutover.gate", role="database review", name="ÉLENI ", note="")
        assert signing.sign(runner, "cutover.gate", role="database review", name="Nikos", note="") is not None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Maria", "has a passphrase and is not in the agent: ssh-add"),
        ("Nikos", "names no key of Nikos"),
        ("Νίκος", "no SSH key of Νίκος is at hand"),
    ],
)
def test_without_a_usable_key_it_is_signed_by_name_and_told(
    plan: Plan,
    with_keys: Config,
    name: str,
    why: str,
) -> None:
    with Runner(plan, with_keys) as runner:
        signing.sign(runner, "cutover.tried", role="operator", name="Stavros", note="")
        signing.sign(runner, "cutover.gate", role="lead", name=name, note="")
        assert "signed by name only" in telling.signed_how(runner.events)
        assert why in telling.signed_how(runner.events)


def test_without_a_list_of_signers_the_operators_own_key_signs(
    plan: Plan,
    with_keys: Config,
    agent: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    people = with_keys.people.model_copy(update={"allowed_signers": None, "keys": ()})
    with Runner(plan, with_keys.model_copy(update={"people": people})) as runner:
        signing.sign(runner, "cutover.tried", role="operator", name="Stavros", note="")
        signing.sign(runner, "cutover.gate", role="lead", name="Eleni Papadaki", note="")
        assert runner.state.step("cutover.gate").signatures[0].fingerprint.startswith("SHA256:")
        signing.sign(runner, "cutover.gate", role="database review", name="Nikos", note="")
        assert "whose key is whose is not configured" in telling.signed_how(runner.events)


def test_a_waiver_and_a_refusal_are_signed_too(
    plan: Plan,
    with_keys: Config,
    keys: Path,
) -> None:
    with Runner(plan, with_keys) as runner:
        signing.sign(runner, "cutover.tried", role="operator", name="Stavros", note="")
        signing.reject(runner, "cutover.gate", role="lead", name="Eleni Papadaki", note="counts look odd")
        folder = runner.run_dir
    found = audit(folder, keys / "signers")
    assert [(one.what, one.note, one.state) for one in found.signatures][1:] == [
        ("refused", "counts look odd", "verified")
    ]


# The commands


def test_the_commands_verify_and_show_a_copied_folder(
    plan: Plan,
    with_keys: Config,
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = signed_run(plan, with_keys, "Eleni Papadaki", "Nikos")
    copy = str(shutil.copytree(folder, tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    good = CliRunner().invoke(cli, ["journal", "verify", copy, "--allowed-signers", str(keys / "signers")])
    assert good.exit_code == 0, good.output
    assert "the chain holds" in good.output
    assert ": verified  SHA256:" in good.output
    shown = CliRunner().invoke(cli, ["journal", "show", copy, "--since", "3"])
    assert "Eleni Papadaki signed cutover.gate as lead: read all" in shown.output
    assert not shown.output.lstrip().startswith("1 ")
    lines = CliRunner().invoke(cli, ["journal", "show", copy, "--json"]).output.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert flip(Path(copy) / "journal.sqlite", 2, "kind", 0, 1)
    bad = CliRunner().invoke(cli, ["journal", "verify", copy, "--json"])
    assert bad.exit_code == 1
    assert json.loads(bad.output)["broken"]["event"] == 2
    missing = CliRunner().invoke(cli, ["journal", "verify", str(tmp_path)])
    assert isinstance(missing.exception, JournalError)

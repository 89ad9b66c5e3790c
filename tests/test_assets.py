"""The Assets phase on a real rsync and sshd: seen first, sent, resumed, given its modes, proved, looked up by row."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import checks
from dixis_tui import config as configuration
from dixis_tui import plan, sandbox
from dixis_tui.config import Config
from dixis_tui.hosts import assets, references, rsync
from dixis_tui.hosts.host import HostError
from dixis_tui.model import Outcome, Progress, Status, StoppedError
from dixis_tui.openrun import Notice
from dixis_tui.runner import Runner
from dixis_tui.sandbox import World
from dixis_tui.step import Step
from tests.conftest import KINDS


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("assets") / "sandbox"
    yield sandbox.up(directory, server=KINDS[-1])
    sandbox.down(directory)


class Shop:
    """A folder here, a folder on the host, and the steps between them."""

    def __init__(self, config: Config) -> None:
        assert config.assets
        self.config = config
        self.here = config.assets.source
        self.there = Path(config.app.root) / config.assets.destination
        self.runner = Runner(plan.build(config, checks.preflight()), config)
        self.heard: list[Progress] = []
        self.runner.listen(self._hear)

    def _hear(self, notice: Notice) -> None:
        if isinstance(notice, Progress):
            self.heard.append(notice)

    def step(self, name: str) -> Step:
        return self.runner.plan.step(f"assets.{name}")

    def do(self, name: str) -> Outcome:
        work = self.step(name).work
        assert work
        return self.runner.ask(work)

    def preview(self, name: str) -> str:
        return "\n".join(self.runner.preview(self.step(name)))


def put(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def make_shop(world: World, tmp_path: Path, *, ssh: bool = True, **changes: Any) -> Shop:
    """The sandbox's host, with folders of the test's own."""
    settings = configuration.load(world.config)
    assert settings.assets
    (tmp_path / "here").mkdir()
    folders = {"source": tmp_path / "here", "destination": str(tmp_path / "there"), **changes}
    update = {
        "run": settings.run.model_copy(update={"directory": tmp_path / "run"}),
        "backup": settings.backup.model_copy(update={"directory": tmp_path / "backups"}),
        "assets": settings.assets.model_copy(update=folders),
    }
    if not ssh:
        update["host"] = configuration.Host()
    return Shop(settings.model_copy(update=update))


@pytest.fixture(params=["ssh", "local"])
def shop(request: pytest.FixtureRequest, shared: World, tmp_path: Path) -> Iterator[Shop]:
    made = make_shop(shared, tmp_path, ssh=request.param == "ssh")
    yield made
    made.runner.close()


def test_what_would_happen_is_seen_before_it_happens(shop: Shop) -> None:
    put(shop.here, "new.png", "n")
    put(shop.here, "dir/ελιά μου.png", "here")
    put(shop.there, "dir/ελιά μου.png", "there")
    put(shop.there, "only/host.png", "h")
    seen = shop.do("dry-run")
    assert seen.summary == "1 new, 1 would replace another, 1 only on the host, left alone"
    assert seen.evidence == (
        "new: new.png",
        "would replace: dir/ελιά μου.png",
        "only on the host, left alone: only/host.png",
    )
    assert not (shop.there / "new.png").exists()
    assert shop.do("sync").status is Status.PASS
    assert (shop.there / "dir/ελιά μου.png").read_text() == "here"
    kept = list((Path(shop.config.app.root) / "storage/dixis-replaced").rglob("ελιά μου.png"))
    assert kept
    assert (shop.there / "only/host.png").exists()
    assert shop.do("dry-run").summary == "0 new, 0 would replace another, 1 only on the host, left alone"
    shutil.rmtree(Path(shop.config.app.root) / "storage/dixis-replaced")


def test_modes_are_set_where_they_differ_and_proved(shop: Shop) -> None:
    put(shop.here, "a/b.png", "b").chmod(0o600)
    (shop.here / "a").chmod(0o700)
    put(shop.here, "c.png", "c").chmod(0o644)
    shop.do("sync")
    assert "program of every image" in shop.preview("modes")
    put(shop.there, "locked/d.png", "d").chmod(0o644)
    (shop.there / "locked").chmod(0o700)
    for folder in (shop.here, shop.there):
        folder.chmod(0o755)
    assert shop.do("compare").status is Status.FAIL
    outcome = shop.do("modes")
    assert outcome.facts["changed"] == len(outcome.evidence) == 3, outcome.evidence
    assert {path.stat().st_mode & 0o777 for path in shop.there.rglob("*.png")} == {0o644}
    assert shop.do("modes").facts["changed"] == 0
    compared = shop.do("compare")
    assert compared.status is Status.PASS, compared.evidence
    assert "-anc" in compared.evidence[0]
    (shop.there / "c.png").write_text("C")
    assert any("c.png" in line for line in shop.do("compare").evidence)


ODD = (
    b"caf\xe9.png",
    b"two\nlines.png",
    b" lead and trail ",
    b"-n",
    b"a\xe2\x80\xa8b.png",
    b"back\\slash.png",
    b"*.png",
)


def test_names_and_links_of_every_kind_go_over_and_are_told(shop: Shop, tmp_path: Path) -> None:
    for name in ODD:
        (shop.here / os.fsdecode(name)).write_bytes(b"x")
    (shop.here / "outside").symlink_to("/etc/passwd")
    put(shop.here, "sub/x.png", "x")
    (shop.here / "sub/up").symlink_to("../../elsewhere")
    (shop.here / "sub/beside").symlink_to("../sub/x.png")
    (shop.here / "loop").symlink_to("loop")
    (shop.here / "*.png").chmod(0o600)
    # the folder on the host is itself a link, as with storage on a disk of its own
    (tmp_path / "disk").mkdir()
    shop.there.symlink_to(tmp_path / "disk")
    put(shop.there, " only there ", "h").chmod(0o644)

    archive = Path(shop.do("backup").evidence[0])
    listed = Path(f"{archive}.txt")
    done = subprocess.run(["sha256sum", "-c", "--status", listed], cwd=shop.here, check=False)
    assert (done.returncode, len(listed.read_bytes().splitlines())) == (0, len(ODD) + 1)
    seen = shop.do("dry-run")
    assert (seen.status, seen.summary) == (
        Status.WARN,
        "12 new, 0 would replace another, 1 only on the host, left alone; 2 links lead out of the folder",
    )
    assert seen.evidence[:2] == ("leads out: outside -> /etc/passwd", "leads out: sub/up -> ../../elsewhere")
    assert "only on the host, left alone:  only there " in seen.evidence
    assert shop.do("sync").status is Status.PASS
    assert {os.fsencode(one.name) for one in shop.there.iterdir()} >= set(ODD)
    assert shop.do("modes").facts["changed"] == 1
    assert shop.do("compare").status is Status.PASS
    host = shop.runner._context("").app_host
    assert assets._listed(host, str(shop.there))["sub/beside"] == 1
    with pytest.raises(HostError, match="No such file"):
        assets._listed(host, str(shop.there / "loop-of-symbolic links"))


def test_owners_are_set_where_they_differ(shared: World, tmp_path: Path) -> None:
    shop = make_shop(shared, tmp_path, owner="daemon:daemon")
    put(shop.here, "a.png", "a")
    shop.do("sync")
    if os.geteuid() != 0:  # only root gives files away
        with pytest.raises(HostError, match="Operation not permitted"):
            shop.do("modes")
        return
    assert shop.do("compare").status is Status.FAIL
    assert "changed ownership" in "\n".join(shop.do("modes").evidence)
    assert shop.do("modes").facts["changed"] == 0
    assert (shop.there / "a.png").owner() == "daemon"
    assert shop.do("compare").status is Status.PASS
    shop.runner.close()


def test_nothing_is_removed_on_the_host_before_it_was_typed(shared: World, tmp_path: Path) -> None:
    shop = make_shop(shared, tmp_path, delete=True)
    put(shop.here, "a.png", "a")
    put(shop.there, "old/gone.png", "old")
    assert shop.do("dry-run").evidence[-1] == "would be removed: old/gone.png"
    shop.do("sync")
    step = shop.step("delete")
    assert shop.runner.word([step]) == shop.config.target.database
    assert "  old/gone.png" in shop.preview("delete")
    assert "--delete" not in shop.preview("sync")
    refused = shop.do("delete")
    assert (refused.status, (shop.there / "old/gone.png").exists()) == (Status.FAIL, True)
    shop.runner.confirm([step], "3 Assets", "")
    assert shop.do("delete").status is Status.FAIL
    shop.runner.confirm([step], "3 Assets", shop.config.target.database)
    removed = shop.do("delete")
    assert removed.status is Status.PASS
    assert not (shop.there / "old/gone.png").exists()
    kept = Path(shop.config.app.root) / "storage/dixis-replaced"
    assert [path.read_text() for path in kept.rglob("gone.png")] == ["old"]
    assert shop.runner.word([step]) == ""
    put(shop.there, "newer.png", "n")
    assert shop.do("delete").status is Status.FAIL  # each typing counts once
    shop.runner.close()


def noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def test_a_transfer_that_was_stopped_ends_its_rsync_and_goes_on_where_it_was(shared: World, tmp_path: Path) -> None:
    shop = make_shop(shared, tmp_path, bandwidth_kib=2048)
    big = put(shop.here, "big.bin", noise(6 << 20))

    def stop(notice: Notice) -> None:
        if isinstance(notice, Progress) and notice.done > 1 << 20 and notice.state is Status.RUNNING:
            shop.runner.stop.set()

    end = shop.runner.listen(stop)
    with pytest.raises(StoppedError):
        shop.do("sync")
    end()
    running = [one for one in shop.heard if one.state is Status.RUNNING]
    assert any(one.left for one in running)
    partial = shop.there / assets.PARTIAL / "big.bin"
    wait_for(partial)
    assert 1 << 18 < partial.stat().st_size < big.stat().st_size
    shop.runner.stop.clear()
    done = shop.do("sync")
    literal = next(line for line in done.evidence if line.startswith("Literal"))
    assert int(literal.split()[2].replace(",", "")) < big.stat().st_size - (1 << 18)
    assert (shop.there / "big.bin").read_bytes() == big.read_bytes()
    assert not partial.parent.exists()
    assert shop.heard[-1].state is Status.PASS
    assert any(one.note.startswith("1 sent, ") for one in shop.heard)
    shop.runner.close()


def wait_for(path: Path) -> None:
    """The rsync on the host puts the part in its place once it hears that the other side is gone."""
    turn = threading.Event()
    for _ in range(200):
        if path.exists():
            return
        turn.wait(0.05)
    raise AssertionError(f"{path} never came")


def test_exit_code_23_names_what_was_left_out(shop: Shop) -> None:
    put(shop.here, "a.png", "a")
    put(shop.here, "taken.png", "t")
    put(shop.there, "taken.png/inside", "folder")
    with pytest.raises(rsync.RsyncError, match="some files were not transferred") as raised:
        shop.do("sync")
    assert raised.value.code == 23
    assert "taken.png" in raised.value.what
    assert "mend what stands in their way" in raised.value.next_step
    assert (shop.there / "a.png").exists()


def test_exit_code_24_tells_that_files_vanished(shared: World, tmp_path: Path) -> None:
    shop = make_shop(shared, tmp_path, bandwidth_kib=1024)
    put(shop.here, "a-first.bin", noise(2 << 20))
    late = put(shop.here, "z-late.png", "z")

    def remove(notice: Notice) -> None:
        if isinstance(notice, Progress) and notice.done:
            late.unlink(missing_ok=True)

    shop.runner.listen(remove)
    with pytest.raises(rsync.RsyncError, match="vanished") as raised:
        shop.do("sync")
    assert raised.value.code == 24
    assert "removes files on this side" in raised.value.next_step
    shop.runner.close()


def test_exit_code_30_tells_that_the_host_fell_silent(shared: World, tmp_path: Path) -> None:
    shop = make_shop(shared, tmp_path, bandwidth_kib=1024, timeout=1)
    put(shop.here, "big.bin", noise(4 << 20))
    stopped: list[int] = []

    def freeze(notice: Notice) -> None:
        if isinstance(notice, Progress) and notice.done and not stopped:
            stopped.extend(receivers(str(shop.there)))
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)

    shop.runner.listen(freeze)
    try:
        with pytest.raises(rsync.RsyncError, match="no answer in time") as raised:
            shop.do("sync")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGKILL)
    assert stopped
    assert raised.value.code == 30
    assert "goes on where the file was cut off" in raised.value.next_step
    shop.runner.close()


def receivers(folder: str) -> list[int]:
    """The rsync processes that were started over SSH to write into a folder: they got its name by their input."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
            if line.startswith(b"rsync\0--server") and folder in str((entry / "cwd").readlink()):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_the_backup_reads_back_with_its_listing_and_checksum(shop: Shop) -> None:
    put(shop.here, "a/ένα.png", "one")
    put(shop.here, "b.png", "two")
    outcome = shop.do("backup")
    archive = Path(outcome.evidence[0])
    listing = Path(f"{archive}.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split("  ", 1)[1] for line in listing] == ["a/ένα.png", "b.png"]
    shop.runner.ask(
        lambda ctx: ctx.local.run(["sha256sum", "-c", f"{archive.name}.sha256"], cwd=str(archive.parent)).check("sums")
    )


ROWS = (
    "CREATE TABLE products (id INTEGER PRIMARY KEY, image TEXT, gallery TEXT)",
    "CREATE TABLE pivot (a INTEGER, b INTEGER, file TEXT, PRIMARY KEY (a, b))",
    'INSERT INTO products VALUES (1, \'p/1.png\', \'["p/2.png", {"path": "p\\/gone.png", "alt": "x"}]\'),'
    " (2, '/storage/p/1.png', NULL), (3, 'https://shop.example/storage/p/%CE%AD.png?v=2', '[]'),"
    " (4, 'https://cdn.example.com/x.png', ''), (5, 'P/1.PNG', '[broken'), (6, '../secret', NULL), (7, NULL, NULL)",
    "INSERT INTO pivot VALUES (1, 2, 'storage/app/public/p/2.png'), (1, 3, 'none.pdf')",
)
THERE = {"p/1.png": 1, "p/2.png": 1, unicodedata.normalize("NFD", "p/έ.png"): 1, "spare.png": 9}


def test_rows_whose_file_is_not_there_are_named_with_their_key() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in ROWS:
            connection.execute(statement)
        columns = ("products.image", "products.gallery", "pivot.file")
        assert references.unknown(connection, columns) == []
        assert references.unknown(connection, ("products.imag",)) == [
            "products.imag is not in the schema; did you mean products.image?"
        ]
        found = references.survey(connection, columns, THERE, ["https://shop.example/storage/"])
    assert [str(one) for one in found.missing] == [
        "products id=3, image: p/έ.png; there is "
        + unicodedata.normalize("NFD", "p/έ.png")
        + ": its name differs in case or Unicode form",
        "products id=5, image: P/1.PNG; there is p/1.png: its name differs in case or Unicode form",
        "products id=1, gallery: p/gone.png",
        "pivot a, b=1, 3, file: none.pdf",
    ]
    assert found.unclear == ["products id=6, image: '../secret'", "products id=5, gallery: '[broken'"]
    assert found.elsewhere == 1
    assert found.paths == {"p/1.png", "p/2.png"}


def test_every_file_a_row_refers_to_is_looked_up_on_the_host(shared: World, tmp_path: Path) -> None:
    shop = make_shop(shared, tmp_path, source=shared.assets)
    assert asyncio.run(shop.runner.run_step("preflight.data.source")).status is Status.PASS
    shop.do("sync")
    outcome = shop.do("references")
    assert outcome.status is Status.PASS, outcome
    before = outcome.facts["orphans"]
    image = next(shop.there.rglob("*.png"))
    image.rename(image.with_name("spare.png"))
    outcome = shop.do("references")
    assert outcome.status is Status.FAIL
    assert any(str(image.relative_to(shop.there)) in line for line in outcome.evidence)
    assert outcome.facts["orphans"] == before + 1
    shop.runner.close()

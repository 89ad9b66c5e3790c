"""Work on several hosts at once: every answer in order, or what succeeded is taken back."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dixis_tui.config import Ssh, WebHost
from dixis_tui.context import Context
from dixis_tui.hosts import fleet, laravel
from dixis_tui.hosts.host import HostError, LocalHost
from dixis_tui.model import Status, StoppedError
from dixis_tui.sandbox import RunningServer
from dixis_tui.switch import cutover, rollback
from tests.data_path import Driver, make_config


class Named(LocalHost):
    """This machine under another name: a web host with a folder of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


@pytest.fixture
def ctx(server: RunningServer, tmp_path: Path) -> Context:
    driver = Driver(make_config(server, "unused", tmp_path / "s.sqlite", tmp_path), tmp_path)
    others = tuple(
        WebHost(ssh=Ssh(address=name, user="deploy", known_hosts=tmp_path / "known_hosts"), root=root)
        for name, root in (("web2", ""), ("web3", "/srv/shop"))
    )
    config = driver.ctx.config.model_copy(update={"hosts": others})
    return replace(driver.ctx, config=config, app_host=Named("web1"), other_hosts=(Named("web2"), Named("web3")))


def write(ctx: Context, folder: Path) -> str:
    ctx.app_host.write(str(folder / ctx.app_host.name / "flag"), b"x")
    return ctx.app_host.name


def test_all_hosts_work_at_the_same_time_and_answer_in_order(ctx: Context) -> None:
    together = threading.Barrier(3, timeout=10)

    def meet(host: Context) -> str:
        together.wait()
        return host.app_host.name

    assert fleet.each(ctx, meet) == ["web1", "web2", "web3"]
    assert [host.config.app.root for host in fleet.contexts(ctx)] == ["/nowhere", "/nowhere", "/srv/shop"]
    assert fleet.named(ctx, [["a"], ["b"], []]) == ["web1: a", "web2: b"]


def test_what_succeeded_is_taken_back_where_it_fails_on_one(ctx: Context, tmp_path: Path) -> None:
    for name in ("web1", "web3"):
        (tmp_path / name).mkdir()
    with pytest.raises(fleet.FleetError, match="web2: Cannot write") as raised:
        fleet.each(
            ctx,
            lambda host: write(host, tmp_path),
            undo=lambda host: host.app_host.remove(str(tmp_path / host.app_host.name / "flag")),
        )
    assert raised.value.safe == "taken back on web1, web2, web3"
    assert list(tmp_path.rglob("flag")) == []


def test_what_the_operator_has_stopped_is_taken_back_all_the_same(ctx: Context, tmp_path: Path) -> None:
    undone = []

    def work(host: Context) -> str:
        if host.app_host.name == "web2":
            host.stop.set()
            host.app_host.run(["sleep", "60"], stop=host.stop)
        return host.app_host.name

    def undo(host: Context) -> None:
        undone.append(host.app_host.run(["echo", host.app_host.name], stop=host.stop).stdout.strip())

    with pytest.raises(StoppedError):
        fleet.each(ctx, work, undo=undo)
    assert undone == ["web1", "web2", "web3"]


def test_what_is_half_done_or_failed_for_an_unforeseen_reason_is_taken_back_too(ctx: Context, tmp_path: Path) -> None:
    for name in ("web1", "web2", "web3"):
        (tmp_path / name).mkdir()

    def half(host: Context) -> None:
        write(host, tmp_path)
        if host.app_host.name == "web2":
            raise ValueError("no such luck")

    with pytest.raises(fleet.FleetError, match="web2: ValueError: no such luck"):
        fleet.each(ctx, half, undo=lambda host: host.app_host.remove(str(tmp_path / host.app_host.name / "flag")))
    assert list(tmp_path.rglob("flag")) == []


def test_a_single_host_keeps_its_own_error(ctx: Context, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"^Cannot write"):
        fleet.each(replace(ctx, other_hosts=()), lambda host: write(host, tmp_path))


def test_two_applications_on_one_machine_keep_each_its_own_settings(ctx: Context, tmp_path: Path) -> None:
    roots = [tmp_path / name for name in ("shop", "office")]
    for root in roots:
        root.mkdir()
        (root / ".env").write_text(f"APP_KEY={root.name}\nDB_CONNECTION=sqlite\n")
    app = ctx.config.app.model_copy(update={"root": str(roots[0])})
    other = ctx.config.hosts[0].model_copy(update={"root": str(roots[1])})
    config = ctx.config.model_copy(update={"app": app, "hosts": (other,)})
    one = replace(ctx, config=config, app_host=Named("web"), other_hosts=(Named("web"),))
    # what a killed console has left: a copy is kept on both, and neither is switched
    for host in fleet.contexts(one):
        laravel.save_env(host, laravel.read_env(host))
    outcome = cutover._switch(one)
    assert outcome.status is Status.PASS
    assert any(line.startswith(f"web {roots[1]}: copy kept") for line in outcome.evidence)
    for root in roots:
        text = (root / ".env").read_text()
        assert text.startswith(f"APP_KEY={root.name}\nDB_CONNECTION=mysql\n")
    assert rollback._environment(one).status is Status.PASS
    assert [(root / ".env").read_text() for root in roots] == [
        f"APP_KEY={root.name}\nDB_CONNECTION=sqlite\n" for root in roots
    ]

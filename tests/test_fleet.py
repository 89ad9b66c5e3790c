"""Work on several hosts at once: every answer in order, or what succeeded is taken back."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dixis_tui import fleet
from dixis_tui.context import Context
from dixis_tui.host import HostError, LocalHost
from dixis_tui.sandbox import RunningServer
from tests.data_path import Driver, make_config


class Named(LocalHost):
    """This machine under another name: a web host with a folder of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


@pytest.fixture
def ctx(server: RunningServer, tmp_path: Path) -> Context:
    driver = Driver(make_config(server, "unused", tmp_path / "s.sqlite", tmp_path), tmp_path)
    return replace(driver.ctx, app_host=Named("web1"), other_hosts=(Named("web2"), Named("web3")))


def write(ctx: Context, folder: Path) -> str:
    ctx.app_host.write(str(folder / ctx.app_host.name / "flag"), b"x")
    return ctx.app_host.name


def test_all_hosts_work_at_the_same_time_and_answer_in_order(ctx: Context) -> None:
    together = threading.Barrier(3, timeout=10)

    def meet(host: Context) -> str:
        together.wait()
        return host.app_host.name

    assert fleet.each(ctx, meet) == ["web1", "web2", "web3"]
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
    assert raised.value.safe == "taken back on web1, web3"
    assert list(tmp_path.rglob("flag")) == []


def test_a_single_host_keeps_its_own_error(ctx: Context, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"^Cannot write"):
        fleet.each(replace(ctx, other_hosts=()), lambda host: write(host, tmp_path))

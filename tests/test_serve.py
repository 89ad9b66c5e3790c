"""The console in a browser: read-only, on this machine, for the one who has the link."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from dixis_tui.config import load
from dixis_tui.runner import Runner
from tests.browser import browser
from tests.terminal import children, until
from tests.test_observers import CONFIG, plan, prints


@pytest.fixture
def release() -> Iterator[threading.Event]:
    release = threading.Event()
    yield release
    release.set()


@pytest.fixture
def runner(tmp_path: Path, release: threading.Event) -> Iterator[Runner]:
    file = tmp_path / "dixis.toml"
    file.write_text(CONFIG, encoding="utf-8")
    with Runner(plan(release), load(file)) as runner:
        yield runner


@pytest.fixture
def server(runner: Runner) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "dixis_tui.cli", "--json", "serve", str(runner.run_dir)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process
    process.terminate()
    assert process.wait(30) == 0


@pytest.fixture
def link(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return str(json.loads(server.stdout.readline())["link"])


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)  # it takes cookies of an address that is a number
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        yield client


async def test_the_door_opens_once_and_only_to_this_address(link: str, client: aiohttp.ClientSession) -> None:
    address = urlsplit(link)
    home = f"http://{address.netloc}"

    async def status(url: str, method: str = "GET", **headers: str) -> int:
        async with client.request(method, url, headers=headers, allow_redirects=False) as answer:
            return answer.status

    for path in ("/", "/ws", "/static/js/textual.js", "/download/x", "/?token=", "/?token=guess", "/nothing"):
        assert await status(home + path) == 403, path
    assert await status(link, Host="shop.example.org") == 403
    assert await status(link, Host=f"localhost:{address.port}") == 403
    assert await status(link, Origin="http://shop.example.org") == 403
    assert await status(link, "HEAD") == 403  # whoever only peeks does not use it up
    assert await status(link, "POST") == 403

    async with client.get(link, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert address.query.removeprefix("token=") not in cookie
    async with client.get(home) as answer:
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "://" not in (await answer.text()).replace(home, "").replace(f"ws://{address.netloc}", "")

    for headers in ({}, {"Origin": "http://shop.example.org"}, {"Origin": "null"}):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await client.ws_connect(f"{home}/ws", headers=headers)
    async with aiohttp.ClientSession() as other:
        for url in (link, home, f"{home}/static/js/textual.js"):
            async with other.get(url, allow_redirects=False) as answer:
                assert answer.status == 403
                assert "has been used" in await answer.text()

    assert address.hostname == "127.0.0.1"
    with socket.socket() as elsewhere, pytest.raises(ConnectionRefusedError):
        elsewhere.connect(("127.0.0.2", address.port))  # this machine too, by another of its addresses


async def test_a_browser_sees_the_run_and_cannot_act(
    link: str, server: subprocess.Popen[str], runner: Runner, release: threading.Event
) -> None:
    home = urlsplit(link).netloc
    async with browser() as page:
        await page.go(link)
        await page.see("PRODUCTION", "dixis_shop at db.example.org", "Source is whole", "watching a driven run")
        step = asyncio.create_task(runner.run_step("preflight.source"))
        await page.see("… running Source is whole", "pages … running 7/10")
        release.set()
        await step
        await page.see("✓ pass Source is whole", "Found: fine")
        before = [event.kind for event in runner.events]
        await page.write("2")
        await page.write("r")
        await page.see("This console only watches the run.", "act in the console that drives it")
        await page.write("\x1b")
        await page.write("\x12")
        await page.see("ROLLBACK: the application goes back", "type dixis_shop")
        await page.write("dixis_shop\r")
        await page.see("This console only watches; roll back in the one that drives the run.")
        assert [event.kind for event in runner.events] == before
        assert {urlsplit(url).netloc for url in page.asked} == {home}
        assert len(children(server.pid)) == 1
    until(lambda: children(server.pid) == [])  # nobody looks on any more


async def test_without_the_link_a_browser_is_refused(link: str, runner: Runner) -> None:
    runner.close()
    before = prints(runner.run_dir)
    async with browser() as page:
        await page.go(link.partition("?")[0])
        await page.read("This link has been used, or is not the one that was printed.")
        assert page.status == 403
        await page.go(link)
        await page.see("watching; nobody drives")
    assert prints(runner.run_dir) == before

"""A real browser for the tests: Chromium without a window, driven over its own protocol."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from tests.terminal import until

FLAGS = (
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0"),
    "--window-size=1280,900",
)
# The text of the terminal's cells, as xterm.js holds it: it draws them as pixels.
KEEP_TERMINAL = """
Object.defineProperty(Object.prototype, "_core", {
    configurable: true,
    set(core) {
        Object.defineProperty(this, "_core", {value: core, writable: true});
        if (this.buffer && this.rows) window.keptTerminal = this;
    },
});
"""
READ_TERMINAL = """
(() => {
    const terminal = window.keptTerminal;
    if (!terminal) return "";
    const lines = [];
    for (let row = 0; row < terminal.rows; row++)
        lines.push(terminal.buffer.active.getLine(row)?.translateToString(true) ?? "");
    return lines.join("\\n");
})()
"""


class Page:
    """One page. asked: every address it wanted anything from."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.asked: list[str] = []
        self.status = 0
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            elif told["method"] == "Network.requestWillBeSent":
                self.asked.append(told["params"]["request"]["url"])
            elif told["method"] == "Network.webSocketCreated":
                self.asked.append(told["params"]["url"])
            elif told["method"] == "Network.responseReceived" and told["params"]["type"] == "Document":
                self.status = told["params"]["response"]["status"]

    async def call(self, method: str, **params: object) -> Any:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        told = await asyncio.wait_for(self._answers[number], 30)
        if "error" in told:
            raise AssertionError(f"{method}: {told['error']}")
        return told["result"]

    async def evaluate(self, script: str) -> Any:
        return (await self.call("Runtime.evaluate", expression=script))["result"].get("value")

    async def go(self, address: str) -> None:
        await self.call("Page.navigate", url=address)

    async def write(self, text: str) -> None:
        """Type into the terminal on the page, a key at a time."""
        await self.evaluate("window.keptTerminal.focus()")
        for letter in text:
            await self.call("Input.dispatchKeyEvent", type="keyDown", text=letter, key=letter)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=letter)

    async def see(self, *texts: str) -> str:
        """Wait until the terminal on the page shows all these texts."""
        return await self._wait(READ_TERMINAL, texts)

    async def read(self, *texts: str) -> str:
        """Wait until the page itself says all these texts."""
        return await self._wait("document.body?.innerText ?? ''", texts)

    async def _wait(self, script: str, texts: tuple[str, ...], within: float = 40.0) -> str:
        def give_up(state: Any) -> str:
            raise AssertionError(f"wanted {texts}, the page shows:\n{state.outcome.result()}")

        def lacks(screen: str) -> bool:
            flat = " ".join(screen.split())
            return not all(text in flat for text in texts)

        async def look() -> str:
            return str(await self.evaluate(script))

        waiting = AsyncRetrying(
            retry=retry_if_result(lacks),
            stop=stop_after_delay(within),
            wait=wait_fixed(0.1),
            retry_error_callback=give_up,
        )
        return str(await waiting(look))


@contextmanager
def _chromium() -> Iterator[str]:
    """Chromium with one empty page and a profile that is gone afterwards; the port it is driven by."""
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="dixis-browser-", ignore_cleanup_errors=True) as profile:
        command = ["chromium", *FLAGS, *sandbox, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            told = Path(profile) / "DevToolsActivePort"
            until(lambda: told.exists() and len(told.read_text().splitlines()) > 1)
            yield told.read_text().splitlines()[0]
        finally:
            process.terminate()
            process.wait(30)


@asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    with _chromium() as port:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = await answer.json()
            address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
            async with session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Network", "Runtime"):
                    await page.call(f"{domain}.enable")
                await page.call("Page.addScriptToEvaluateOnNewDocument", source=KEEP_TERMINAL)
                yield page

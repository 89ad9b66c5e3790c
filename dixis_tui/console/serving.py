"""The console in a browser on this machine, read-only: textual-serve behind a door that opens once.

Each page that is opened has a `dixis watch` of its own behind it, which can change nothing. The door lets in whoever
has the token from the terminal, once, and knows that browser by a cookie from then on.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import shlex
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from textual_serve.server import Server

from dixis_tui.model import DixisError

HOST = "127.0.0.1"
REFUSED = "This link has been used, or is not the one that was printed. Next: start dixis serve again for a new one.\n"
# Nothing is fetched from elsewhere, nothing is embedded elsewhere; xterm.js writes styles of its own.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:;"
    " connect-src 'self' ws://{host}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class Door:
    """Who may come in. Used up: the token; kept by the browser: a cookie that no script and no other site can use."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._cookie = f"dixis-{host.rpartition(':')[2]}"
        self._token: str | None = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self.link = f"http://{host}/?token={self._token}"

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what is not from the browser that was let in, asking this very address."""
        origin = request.headers.get("Origin")
        ours = f"http://{self._host}"
        # Another name that leads here is how a foreign page would come to speak with this server.
        if request.headers.get("Host") != self._host or (origin or ours) != ours:
            raise web.HTTPForbidden(text="This address is not the one that is served.\n")
        if request.path == "/ws" and origin is None:
            raise web.HTTPForbidden(text="Only a page of this server may open that.\n")
        if not _same(request.cookies.get(self._cookie), self._session):
            return self._let_in(request)
        response = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = POLICY.format(host=self._host)
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["Cache-Control"] = "no-store"
        return response

    def _let_in(self, request: web.Request) -> web.StreamResponse:
        """The token once, on the page itself; everything else is refused."""
        if request.method != "GET" or request.path != "/" or not _same(request.query.get("token"), self._token):
            raise web.HTTPForbidden(text=REFUSED)
        self._token = None
        found = web.HTTPSeeOther("/", headers={"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})
        found.set_cookie(self._cookie, self._session, httponly=True, samesite="Strict", path="/")
        raise found


def _same(given: str | None, wanted: str | None) -> bool:
    return bool(given and wanted) and hmac.compare_digest(str(given).encode(), str(wanted).encode())


class ReadOnlyServer(Server):
    """textual-serve on a socket that is open already, with a door before it and a page that asks nobody else."""

    def __init__(self, folder: Path, listening: socket.socket) -> None:
        command = [sys.executable, "-m", "dixis_tui.cli", "watch", str(folder)]
        port = listening.getsockname()[1]
        super().__init__(
            f"exec {shlex.join(command)}",
            host=HOST,
            port=port,
            title="dixis, read-only",
            public_url=f"http://{HOST}:{port}",  # else it leaves out port 80, and the door would not know itself
            templates_path=str(Path(__file__).parent / "browser"),
        )
        self._listening = listening
        self.door = Door(f"{HOST}:{port}")

    async def on_startup(self, app: web.Application) -> None:
        """It prints nothing of its own."""

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self.door.guard)
        return app

    def run(self) -> None:
        """Serve until Ctrl+C or SIGTERM."""
        logging.getLogger("textual-serve").setLevel(logging.ERROR)
        web.run_app(self._make_app(), sock=self._listening, print=None, access_log=None, shutdown_timeout=2.0)


def serve(folder: Path, port: int, told: Callable[[str], None]) -> None:
    """Show the run in a folder until Ctrl+C. told is given the link once the door is there.

    Raises DixisError when the port cannot be had.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise DixisError(
            f"Port {port} of {HOST} cannot be had: {error.strerror}.",
            safe="nothing was started",
            next_step="leave --port out: a free one is taken",
        ) from error
    listening.listen()
    server = ReadOnlyServer(folder, listening)
    told(server.door.link)
    server.run()

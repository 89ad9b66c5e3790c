"""PHP's own web server in front of the sandbox's application: it serves the shop as the production host would."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from dixis_tui.model import DixisError
from dixis_tui.sandbox import processes

START_SECONDS = 30.0
PORT_ATTEMPTS = 3


@dataclass(frozen=True)
class RunningWeb:
    """A web server on 127.0.0.1."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def start_web(app_root: Path, directory: Path) -> RunningWeb:
    """Serve the application at app_root; log and pid file are in directory. Raises DixisError when it stays down."""
    php = shutil.which("php", path=os.environ.get("PATH", os.defpath))
    if php is None:
        raise DixisError("There is no php on this machine.", next_step="install php-cli (scripts/setup does)")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = directory / "web.log"
    for _ in range(PORT_ATTEMPTS):
        port = processes.free_port()
        command = [php, "-S", f"127.0.0.1:{port}", "-t", str(app_root / "public"), str(app_root / "server.php")]
        pid = processes.spawn(command, log=log, pid_file=directory / "web.pid")
        if _comes_up(pid, port):
            return RunningWeb(port, pid)
    raise DixisError(
        f"The sandbox's web server did not start. The end of its log:\n{processes.tail(log)}",
        safe="nothing was left running",
        next_step=f"read {log}",
    )


def _comes_up(pid: int, port: int) -> bool:
    def answers() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()  # an answer, too: the shop may be closed, or broken on purpose
        except OSError:
            return False
        return True

    if processes.wait_until(lambda: not processes.alive(pid) or answers(), START_SECONDS) and processes.alive(pid):
        return True
    processes.end(pid)
    return False

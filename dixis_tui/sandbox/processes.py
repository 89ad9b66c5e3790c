"""Processes that outlive the command which started them: start, recognise again by pid file, end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

STOP_SECONDS = 30.0


def child_environment() -> dict[str, str]:
    """The environment of every process of a sandbox: where the programs are, UTC, and nothing of the operator's."""
    directories = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"]
    for program in ("php", "rsync"):
        found = shutil.which(program)
        if found and str(Path(found).parent) not in directories:
            directories.append(str(Path(found).parent))
    return {"PATH": ":".join(directories), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def spawn(command: Sequence[str], *, log: Path, pid_file: Path) -> int:
    """Start a process in a session of its own, its output appended to log; returns its pid, also in pid_file."""
    pid = os.posix_spawn(
        command[0],
        list(command),
        child_environment(),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    pid_file.write_text(f"{pid} {_started(pid)}\n", encoding="ascii")
    return pid


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; with the pid it names one process and no later one."""
    return _stat(pid)[19]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may hold anything."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()


def alive(pid: int) -> bool:
    """True while the process runs; one that ended and is ours is collected here, so that it does not linger."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    try:
        state = _stat(pid)[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def read_pid(pid_file: Path) -> int | None:
    """The pid a pid file names, if that very process still runs; None for a later one with the same number."""
    try:
        pid, started = pid_file.read_text(encoding="ascii").split()
        same = _started(int(pid)) == started
    except (OSError, ValueError):
        return None
    return int(pid) if same and alive(int(pid)) else None


def descendants(pid: int) -> list[int]:
    """The children of a process, their children and so on, at this moment."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def end(pid: int, *, force: bool = False) -> None:
    """End a process and everything under it: SIGTERM, and SIGKILL for what is left after a while (or at once)."""
    family = [pid, *descendants(pid)]
    if not force:
        _signal(family, signal.SIGTERM)
        wait_until(lambda: not any(alive(each) for each in family), STOP_SECONDS)
    remaining = [each for each in family if alive(each)]
    _signal(remaining, signal.SIGKILL)
    wait_until(lambda: not any(alive(each) for each in remaining), STOP_SECONDS)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again until condition holds or the time is over; returns whether it held."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)  # between two looks, never in place of one; the deadline above ends it
        pause = min(pause * 1.5, 0.2)
    return True


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, or a word that there is none."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log was written)"

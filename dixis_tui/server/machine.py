"""The machine the database server runs on: found among those we reach, and asked for its memory and its log."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dixis_tui.context import Context
from dixis_tui.hosts.host import Host, HostError
from dixis_tui.hosts.ssh import SshHost

MEMORY = "/proc/meminfo"
# A container's own bound, where there is one; it says "max" where there is none.
BOUND = "/sys/fs/cgroup/memory.max"


@contextmanager
def server_machine(ctx: Context, variables: Mapping[str, str]) -> Iterator[Host | None]:
    """The machine with these variables' server: the one [tuning.ssh] names, else this one or a web host that has the
    server's name and its data directory; None where it is none of them."""
    if ctx.config.tuning.ssh is not None:
        host = SshHost(ctx.config.tuning.ssh)
        try:
            yield host
        finally:
            host.close()
        return
    reached = dict.fromkeys((ctx.local, ctx.app_host, *ctx.other_hosts))
    yield next((host for host in reached if _is_there(host, variables)), None)


def _is_there(host: Host, variables: Mapping[str, str]) -> bool:
    try:
        name = socket.gethostname() if host.is_local else host.run(["uname", "-n"], timeout=30).stdout.strip()
        return name == variables.get("hostname") and host.stat(variables.get("datadir", "")) is not None
    except HostError:
        return False


def memory(host: Host) -> int | None:
    """Bytes of memory a machine, or the container it is, has; None when it does not tell."""
    try:
        text = host.read(MEMORY).decode("ascii", "replace")
        total = next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("MemTotal:"))
    except (HostError, StopIteration, ValueError):
        return None
    try:
        bound = host.read(BOUND).decode("ascii", "replace").strip()
    except HostError:
        bound = ""
    return min(total, int(bound)) if bound.isdigit() else total

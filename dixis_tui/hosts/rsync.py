"""rsync from a folder here to one on a host: the command, its live progress, and what its exit codes mean."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dixis_tui import config
from dixis_tui.model import DixisError

# What rsync's exit codes mean for the operator: rsync(1), EXIT VALUES.
EXIT_CODES = {
    5: "the other side refused the connection",
    10: "the connection broke",
    11: "a file could not be read or written; is a disk full?",
    12: "the connection broke, or rsync is missing on the other side",
    20: "it was interrupted",
    23: "some files were not transferred",
    24: "some files vanished while they were read",
    30: "no answer in time",
    35: "no connection in time",
    127: "ssh could not start rsync on the other side",
    255: "ssh failed: unknown host key, refused login, or no route",
}
NEXT_STEPS = {
    23: "the files that were left out are named above: mend what stands in their way (a permission, a folder in a"
    " file's place, a full disk), then run the step again",
    24: "whoever removes files on this side must stop first; then run the step again, it sends the rest",
    30: "look at the network and the load of the host, then run the step again: it goes on where the file was cut off",
}
# A line of --itemize-changes: what happens to what kind of thing, which attributes differ, its name.
ITEM = re.compile(r"([<>ch.*])([fdLDS])(\S{9}) (.*)")
REMOVED = "*deleting   "
PROGRESS = re.compile(
    r"\s*([\d,]+)\s+(\d+)%\s+\S+\s+(\d+):(\d\d):(\d\d)(?:\s+\(xfr#(\d+), (?:to|ir)-chk=(\d+)/(\d+)\))?\s*"
)


class RsyncError(DixisError):
    """A transfer did not finish whole."""

    def __init__(self, code: int, words: str) -> None:
        meaning = EXIT_CODES.get(code, "see rsync's own words")
        super().__init__(
            f"rsync ended with exit code {code}: {meaning}. {words}".strip(),
            safe="files that arrived are whole; of one cut off, the part that arrived is kept beside its place",
            next_step=NEXT_STEPS.get(code, "run the step again: only what is missing is sent"),
        )
        self.code = code


@dataclass(frozen=True)
class Reading:
    """A line of rsync's progress.

    bytes_sent, and the per cent of the whole they are; left: seconds to go as rsync reckons; files: how many were
    sent; checked, total: files looked at and in all, None before rsync knows.
    """

    bytes_sent: int
    percent: int
    left: float | None = None
    files: int = 0
    checked: int | None = None
    total: int | None = None


@dataclass(frozen=True)
class Forecast:
    """What a dry run says: files that are not there yet, that would be replaced, and that only the other side has."""

    new: tuple[str, ...]
    replaced: tuple[str, ...]
    only_there: tuple[str, ...]


def remote_shell(ssh: config.Ssh) -> str:
    """The ssh command rsync uses: the same key and known hosts as the console, never a question."""
    # ssh splits the value of this option at spaces, unless it stands in quotes
    options = ["StrictHostKeyChecking=yes", f'UserKnownHostsFile="{ssh.known_hosts}"', "BatchMode=yes"]
    options.append(f"ConnectTimeout={ssh.connect_timeout}")
    command = ["ssh", "-p", str(ssh.port)]
    if ssh.key:
        command += ["-i", str(ssh.key), "-o", "IdentitiesOnly=yes"]
    for option in options:
        command += ["-o", option]
    return shlex.join(command)


def command(
    options: Sequence[str], source: Path, destination: str, ssh: config.Ssh | None, *, timeout: int = 60
) -> list[str]:
    """The argument list that brings the content of source (a folder here) into destination (a folder on the host).

    timeout: seconds of silence after which rsync gives up, with exit code 30.
    """
    remote = destination.rstrip("/") + "/"
    shell: list[str] = []
    if ssh is not None:
        address = f"[{ssh.address}]" if ":" in ssh.address else ssh.address
        remote = f"{ssh.user}@{address}:{remote}"
        shell = ["-e", remote_shell(ssh)]
    return ["rsync", *options, "--protect-args", f"--timeout={timeout}", *shell, "--", f"{source}/", remote]


def parse_progress(line: str) -> Reading | None:
    """A reading from a line of --info=progress2, None when the line is something else.

    While rsync still sends it tells the time left; behind the end of a file, the time it took.
    """
    found = PROGRESS.fullmatch(line)
    if found is None:
        return None
    sent, percent = int(found[1].replace(",", "")), int(found[2])
    if found[6] is None:
        left = int(found[3]) * 3600 + int(found[4]) * 60 + int(found[5])
        return Reading(sent, percent, left=float(left))
    total = int(found[8])
    return Reading(sent, percent, files=int(found[6]), checked=total - int(found[7]), total=total)


def parse_items(text: str) -> Forecast:
    """What the lines of --itemize-changes foretell, files and links only."""
    new: list[str] = []
    replaced: list[str] = []
    only_there: list[str] = []
    for line in text.split("\n"):
        if line.startswith(REMOVED):
            only_there.append(line.removeprefix(REMOVED))
            continue
        found = ITEM.fullmatch(line)
        if found is None or found[2] == "d":
            continue
        if "+" in found[3]:
            new.append(found[4])
        elif found[1] in "<>c":
            replaced.append(found[4])
    return Forecast(tuple(new), tuple(replaced), tuple(name for name in only_there if not name.endswith("/")))

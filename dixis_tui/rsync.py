"""rsync from a folder here to one on a host: the command, its live progress, and what its exit codes mean."""

from __future__ import annotations

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


class RsyncError(DixisError):
    """A transfer did not finish whole."""

    def __init__(self, code: int, words: str) -> None:
        meaning = EXIT_CODES.get(code, "see rsync's own words")
        super().__init__(
            f"rsync ended with exit code {code}: {meaning}. {words}".strip(),
            safe="files that arrived are whole and stay; nothing was deleted",
            next_step="run the step again: only what is missing is sent",
        )


@dataclass(frozen=True)
class Reading:
    """A line of rsync's progress: bytes sent, and how much of the whole that is, in per cent."""

    bytes_sent: int
    percent: int


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


def command(options: Sequence[str], source: Path, destination: str, ssh: config.Ssh | None) -> list[str]:
    """The argument list that brings the content of source (a folder here) into destination (a folder on the host)."""
    remote = destination.rstrip("/") + "/"
    shell: list[str] = []
    if ssh is not None:
        address = f"[{ssh.address}]" if ":" in ssh.address else ssh.address
        remote = f"{ssh.user}@{address}:{remote}"
        shell = ["-e", remote_shell(ssh)]
    return ["rsync", *options, "--protect-args", "--timeout=60", *shell, "--", f"{source}/", remote]


def parse_progress(line: str) -> Reading | None:
    """A reading from a line of --info=progress2, None when the line is something else."""
    words = line.split()
    if len(words) < 2 or not words[1].endswith("%"):
        return None
    sent, percent = words[0].replace(",", ""), words[1].rstrip("%")
    return Reading(int(sent), int(percent)) if sent.isdigit() and percent.isdigit() else None

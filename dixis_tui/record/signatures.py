"""Signatures of people with their SSH keys, made and verified by `ssh-keygen -Y`.

What is signed names the run, the step, the person and the journal's last event, whose hash stands for everything before
it. A private key is never read here, and nobody is asked for a passphrase: a key that has one must be in the agent.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dixis_tui.model import DixisError
from dixis_tui.record import chain
from dixis_tui.record.people import person

NAMESPACE = "dixis"
# What an event that a person has signed is, by its kind.
SIGNED_KINDS = {"signed": "signed", "refused": "refused", "step-waived": "waived"}
# Long enough to touch a hardware key.
TIMEOUT = 60.0
PUBLIC_KEY = re.compile(r"((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[\w@.-]+) (AAAA[A-Za-z0-9+/]+=*)")


class SigningError(DixisError):
    """A signature could not be made, or could not be looked at."""


@dataclass(frozen=True)
class Key:
    """A key that can sign now. public: type and key as in a .pub file; private: its file, None for the agent's."""

    public: str
    private: Path | None = None

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public)


def fingerprint(public: str) -> str:
    """A public key's fingerprint, as OpenSSH writes it."""
    blob = base64.b64decode(public.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def text(run_id: str, kind: str, data: Mapping[str, Any], at: str, previous: str) -> bytes:
    """What is signed for an event of this kind: one line of JSON with sorted keys."""
    said = {
        "run": run_id,
        "what": SIGNED_KINDS[kind],
        "step": data["step"],
        "role": data.get("role", ""),
        "person": data["name"],
        "note": data["note"],
        "time": at,
        "previous": previous,
    }
    return (chain.encodable(json.dumps(said, ensure_ascii=False, sort_keys=True)) + "\n").encode()


# Keys at hand


def key_of(name: str, operator: str, allowed: Path | None, files: tuple[Path, ...]) -> tuple[Key | None, str]:
    """The key at hand that is this person's; else None and why there is none.

    allowed: ssh's file of allowed signers, which says whose a key is. Without it only the operator's are known: the
    first of the files, else the first in the agent.
    """
    try:
        owned = None if allowed is None else keys_in(allowed)
    except OSError as error:
        return None, f"{allowed} cannot be read: {error.strerror}"
    if owned is None and person(name) != person(operator):
        return None, "whose key is whose is not configured: [people] allowed_signers"
    mine = None if owned is None else {key for owner, key in owned if person(owner) == person(name)}
    if mine is not None and not mine:
        return None, f"{allowed} names no key of {name}"
    agent = list(_agent_keys())
    locked = ""
    for path in files:
        public = _public(path)
        if not public or (mine is not None and public not in mine):
            continue
        if public in agent:
            return Key(public), ""
        if _run("-y", "-P", "", "-f", str(path)).returncode == 0:
            return Key(public, path), ""
        locked = f"{path} has a passphrase and is not in the agent: ssh-add {shlex.quote(str(path))}"
    for public in agent:
        if mine is None or public in mine:
            return Key(public), ""
    return None, locked or f"no SSH key of {name} is at hand"


def keys_in(allowed: Path) -> list[tuple[str, str]]:
    """The names and public keys of a file of allowed signers. Raises OSError."""
    found = []
    for line in allowed.read_text(encoding="utf-8", errors="replace").splitlines():
        key = PUBLIC_KEY.search(line)
        if not key or line.lstrip().startswith("#"):
            continue
        quoted = re.match(r'\s*"([^"]*)"|\s*(\S+)', line)
        names = (quoted[1] or quoted[2] or "") if quoted else ""
        found += [(name.strip(), f"{key[1]} {key[2]}") for name in names.split(",")]
    return found


def _agent_keys() -> Iterator[str]:
    if not os.environ.get("SSH_AUTH_SOCK"):
        return
    try:
        listed = _run("-L", program="ssh-add")
    except SigningError:
        return
    for line in listed.stdout.decode("utf-8", "replace").splitlines() if listed.returncode == 0 else ():
        key = PUBLIC_KEY.match(line)
        if key:
            yield f"{key[1]} {key[2]}"


def _public(path: Path) -> str:
    """The public half of a key file: of the .pub beside it, else of the file itself; empty when it cannot be read."""
    beside = path.with_name(path.name + ".pub")
    if beside.is_file():
        line = beside.read_text(encoding="utf-8", errors="replace")
    else:
        line = _run("-y", "-P", "", "-f", str(path)).stdout.decode("utf-8", "replace")
    key = PUBLIC_KEY.search(line)
    return f"{key[1]} {key[2]}" if key else ""


def sign(key: Key, what: bytes) -> str:
    """The signature, armoured. Raises SigningError when the key cannot be used without asking."""
    with tempfile.TemporaryDirectory(prefix="dixis-sign-") as folder:
        path = key.private
        if path is None:  # ssh-keygen finds the private half in the agent
            path = Path(folder) / "key.pub"
            path.write_text(key.public + "\n", encoding="ascii")
        done = _run("-Y", "sign", "-n", NAMESPACE, "-f", str(path), data=what)
    if done.returncode != 0:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SigningError(
            f"The key {key.fingerprint} did not sign: {told[-1] if told else 'no reason given'}.",
            safe="nothing was signed",
            next_step="unlock it in the agent (ssh-add), then sign again",
        )
    return done.stdout.decode("ascii")


# Afterwards


@dataclass(frozen=True)
class Verdict:
    """What became of a signature. state: verified (a key that the allowed signers give this person), sound (made with
    the key it names, but nobody has said whose that is), or bad; why: one line."""

    state: str
    why: str


def verify(name: str, ssh: Mapping[str, Any], what: bytes, allowed: Path | None) -> Verdict:
    """Judge the signature an event holds. Raises SigningError where ssh-keygen is missing."""
    public, armour = str(ssh.get("key", "")), str(ssh.get("signature", ""))
    with tempfile.TemporaryDirectory(prefix="dixis-verify-") as folder:
        signature = Path(folder) / "signature"
        signature.write_text(armour, encoding="utf-8")
        sound = _run("-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(signature), data=what)
        if sound.returncode != 0:
            return Verdict("bad", "the signature does not fit what the event says")
        made_with = sound.stdout.decode("utf-8", "replace").rpartition(" ")[2].strip()
        if not PUBLIC_KEY.fullmatch(public) or fingerprint(public) != made_with or ssh.get("fingerprint") != made_with:
            return Verdict("bad", f"it was made with another key than the event names: {made_with}")
        if allowed is None:
            return Verdict("sound", "no allowed signers were given to say whose key it is")
        found = _run("-Y", "find-principals", "-s", str(signature), "-f", str(allowed))
        listed = ",".join(found.stdout.decode("utf-8", "replace").splitlines())
        owners = [owner.strip() for owner in listed.split(",") if owner.strip()] if found.returncode == 0 else []
        owner = next((one for one in owners if person(one) == person(name)), None)
        if owner is None:
            whose = f"is {', '.join(owners)}'s" if owners else "is nobody's"
            return Verdict("bad", f"its key {whose} among the allowed signers, not {name}'s")
        check = ("-Y", "verify", "-f", str(allowed), "-I", owner, "-n", NAMESPACE, "-s", str(signature))
        done = _run(*check, data=what)
        if done.returncode != 0:
            told = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
            return Verdict("bad", told[-1] if told else "ssh-keygen refuses it")
        return Verdict("verified", f"key of {owner}")


def _run(*arguments: str, data: bytes = b"", program: str = "ssh-keygen") -> subprocess.CompletedProcess[bytes]:
    """Run one of OpenSSH's programs where it can ask nobody: without terminal, askpass and other people's secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK") if name in os.environ}
    environment = {**kept, "LC_ALL": "C.UTF-8", "SSH_ASKPASS_REQUIRE": "never"}
    try:
        return subprocess.run(
            [program, *arguments],
            input=data,
            capture_output=True,
            env=environment,
            start_new_session=True,
            timeout=TIMEOUT,
            check=False,
        )
    except FileNotFoundError as error:
        raise SigningError(
            f"{program} is not installed here.", next_step="install OpenSSH's client (openssh-client)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SigningError(
            f"{program} did not answer within {TIMEOUT:g} seconds.",
            safe="nothing was signed",
            next_step="see whether the agent asks for something, then sign again",
        ) from error

"""What every section is made of: names, secrets, and the error of a configuration."""

from __future__ import annotations

import getpass
import os
import stat
import threading
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from dixis_tui.model import USAGE, DixisError


class ConfigError(DixisError):
    """The configuration cannot be used; nothing was started."""

    exit_code = USAGE

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what, safe="nothing was started or changed", next_step=next_step)


# Checks run side by side; a person is asked once.
_RESOLVING = threading.Lock()


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


def _plain_name(name: str) -> str:
    if not name or len(name) > 64 or any(c in name for c in "`\\/\0") or name != name.strip():
        raise ValueError("a name of 1 to 64 characters without ` \\ / or spaces around it")
    return name


Name = Annotated[str, AfterValidator(_plain_name)]


class Secret(Section):
    """Where a secret comes from; exactly one of the four.

    env: name of an environment variable. file: path of a file only its owner can read (0600 or 0400).
    prompt: ask on the terminal. clear: the secret itself in this file, which is warned about.
    """

    env: str = ""
    file: Path | None = None
    prompt: bool = False
    clear: str = Field(default="", repr=False)
    _value: str | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _text_is_clear(cls, value: Any) -> Any:
        return {"clear": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _exactly_one(self) -> Secret:
        if sum((bool(self.env), self.file is not None, self.prompt, bool(self.clear))) != 1:
            raise ValueError('exactly one of { env = "NAME" }, { file = "PATH" } or { prompt = true }')
        return self

    def resolve(self, what: str) -> str:
        """The secret's value, read once. Raises ConfigError when it is not to be had; what names it for the message."""
        with _RESOLVING:
            if self._value is None:
                self._value = self._read(what)
            return self._value

    @property
    def known(self) -> str | None:
        """The value if it has been resolved; used to keep it out of logs."""
        return self._value or self.clear or None

    def _read(self, what: str) -> str:
        if self.clear:
            return self.clear
        if self.env:
            value = os.environ.get(self.env, "")
            if not value:
                raise ConfigError(f"{what}: the environment variable {self.env} is not set.", f"export {self.env}=…")
            return value
        if self.prompt:
            try:
                return getpass.getpass(f"{what}: ")
            except (EOFError, OSError) as error:
                raise ConfigError(
                    f"{what}: no terminal to ask on.", 'use { env = "NAME" } or { file = "PATH" } instead of a prompt'
                ) from error
        assert self.file is not None
        return read_secret_file(self.file, what)


def read_secret_file(path: Path, what: str) -> str:
    """The first line of a file that only its owner can read. Raises ConfigError otherwise."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"{what}: {path} can be read by others (mode {mode:04o}).", f"chmod 600 {path}")
        value = path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except OSError as error:
        raise ConfigError(f"{what}: cannot read {path}: {error.strerror}.", "create it with mode 0600") from error
    if not value:
        raise ConfigError(f"{what}: {path} is empty.", "write the secret on its first line")
    return value

"""[assets]: the files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from dixis_tui.config.base import Section


class Assets(Section):
    """[assets]: files to bring along.

    source: a folder here; destination: the folder on the application's host, relative to its root; owner: user:group to
    give them, empty to leave the owner alone; columns: `table.column` holding asset paths, JSON lists of them, or
    addresses below APP_URL/storage or one of urls. bandwidth_kib: KiB a second rsync may use, 0 for all there is;
    timeout: seconds of silence after which it gives up; delete: remove what only the host has, once it was typed.
    """

    source: Path
    destination: str = "storage/app/public"
    owner: str = Field(default="", pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]*)?(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$")
    directory_mode: str = Field(default="755", pattern=r"^[0-7]{3,4}$")
    file_mode: str = Field(default="644", pattern=r"^[0-7]{3,4}$")
    columns: tuple[Annotated[str, Field(pattern=r"^[^.]+\.[^.]+$")], ...] = ()
    urls: tuple[str, ...] = ()
    bandwidth_kib: int = Field(default=0, ge=0)
    timeout: int = Field(default=60, ge=1, le=3600)
    delete: bool = False

"""[backup] and [watch]: the weeks around the night."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from dixis_tui.config.base import Section


class Backup(Section):
    """[backup]: where copies are kept on this machine, and how old the newest may be."""

    directory: Path = Path("backups")
    max_age_hours: int = Field(default=24, ge=1)


class Watch(Section):
    """[watch]: the thresholds of the week after."""

    response_ms: float = Field(default=100.0, gt=0)
    slow_query_seconds: float = Field(default=2.0, gt=0)
    connections_percent: float = Field(default=80.0, gt=0, le=100)

"""[run] and [people]."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from dixis_tui.config.base import Section


class Run(Section):
    """[run]: what this migration is called, where its records are kept, and how careful to be."""

    name: str = "dixis"
    environment: Literal["rehearsal", "staging", "production"]
    directory: Path = Path("run")
    operator: str = ""
    window_minutes: int = Field(default=120, ge=5, le=24 * 60)
    window_opens: datetime | None = None
    margin_minutes: float = Field(default=10.0, ge=0)
    rollback_seconds: float | None = Field(default=None, gt=0)
    rehearsal: Path | None = None


class People(Section):
    """[people]: who signs, and who is called. The gate before traffic returns wants two different people."""

    lead: str = ""
    database_review: str = ""
    technical_approval: str = ""
    emergency_contact: str = ""

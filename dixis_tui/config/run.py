"""[run] and [people]."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from dixis_tui.config.base import Section

ROLES = ("lead", "database review", "technical approval")


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
    """[people]: who signs, with which SSH keys, and who is called. The gate before traffic returns wants two different
    people. allowed_signers: ssh's file that says whose a public key is; keys: private key files, beside the agent's."""

    lead: str = ""
    database_review: str = ""
    technical_approval: str = ""
    emergency_contact: str = ""
    allowed_signers: Path | None = None
    keys: tuple[Path, ...] = ()

    def named(self, role: str) -> str:
        """Who is expected in a role of the plan; empty when nobody is."""
        return str(getattr(self, role.replace(" ", "_").replace("-", "_"), "") if role in ROLES else "")

    def roles(self) -> dict[str, str]:
        """Every role that somebody has, with the name."""
        return {role: self.named(role) for role in ROLES if self.named(role)}

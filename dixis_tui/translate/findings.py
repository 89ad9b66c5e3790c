"""What the operator must know about a translation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something the operator must know. error: cannot be had as it is; warning: is built otherwise or left out; both
    need the operator's word. note: harmless.

    table, object: what it is about, object empty for the table itself; kind: a stable word for what is the matter;
    proposal: what the console does about it when it is accepted.
    """

    severity: Severity
    table: str
    object: str
    kind: str
    what: str
    proposal: str = ""

    @property
    def id(self) -> str:
        """Stable, to be named under [schema] accept."""
        return f"{self.table}.{self.object}:{self.kind}" if self.object else f"{self.table}:{self.kind}"

    @property
    def needs_word(self) -> bool:
        return self.severity != "note"

    def line(self) -> str:
        return f"{self.severity}: {self.id}: {self.what}" + (f"; proposed: {self.proposal}" if self.proposal else "")

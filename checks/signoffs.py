"""What the plan's checklist asks of people: no machine can look at it, so a person signs."""

from __future__ import annotations

from dixis_tui.model import Kind
from dixis_tui.step import Step


def steps() -> tuple[Step, ...]:
    """The sign-offs of the Preflight phase."""
    return tuple(
        Step(id=f"preflight.signed.{name}", title=title, kind=Kind.SIGNOFF, why=why)
        for name, title, why in (
            (
                "restore",
                "A restore was tried",
                "A backup that was never restored is a hope. Restore the newest one into an empty database, and sign.",
            ),
            (
                "rehearsal",
                "The migration was rehearsed on a copy",
                "What is done for the first time takes longest. Run the plan on a sandbox with a copy of the shop.",
            ),
            (
                "team",
                "Everybody has read the guide",
                "The plan wants the team trained and the documents read: who watches, who answers the telephone.",
            ),
        )
    )

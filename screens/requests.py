"""What a screen asks of the application; the application decides and does."""

from __future__ import annotations

from textual.message import Message


class StepRequest(Message):
    """A request about one step."""

    def __init__(self, step_id: str) -> None:
        super().__init__()
        self.step_id = step_id


class DoStep(StepRequest):
    """Run a check, preview and run an action, sign a sign-off or gate."""


class Waive(StepRequest):
    """Pass over a check that did not pass."""


class AskAgain(StepRequest):
    """Ask a check anew, and what it needs."""


class AllAgain(Message):
    """Ask every check of a phase anew."""

    def __init__(self, phase_id: str) -> None:
        super().__init__()
        self.phase_id = phase_id


class RunPhase(Message):
    """Run a phase from its first step that is not settled."""

    def __init__(self, phase_id: str) -> None:
        super().__init__()
        self.phase_id = phase_id


class Stop(Message):
    """Ask the running step to stop at its next safe point."""


class Pause(Message):
    """Have the running step hold at its next safe point, or go on when it does."""


class StartRollback(Message):
    """Take the application back; the operator has typed the word."""


class Slower(Message):
    """Have the running step, and those behind it, do less at once."""


class Faster(Message):
    """Have the running step, and those behind it, do more at once."""

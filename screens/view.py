"""What the application tells its screens. A screen renders everything when it is mounted, then on each of these."""

from __future__ import annotations

from collections.abc import Sequence

from dixis_tui.record.journal import Event
from dixis_tui.record.log import LogLine
from screens.once import Once


class View(Once):
    """A screen that follows the run; called on the application's thread, a few times a second at most."""

    def show_state(self) -> None:
        """The state of the run, or what runs now, may have changed."""

    def show_progress(self) -> None:
        """The board has news."""

    def show_log(self, notices: Sequence[Event | LogLine]) -> None:
        """New lines for the log."""

    def show_clock(self) -> None:
        """A second has passed."""

    def show_samples(self) -> None:
        """The watch has a new picture."""

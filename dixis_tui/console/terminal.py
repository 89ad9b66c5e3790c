"""The console's terminal, which may go away while work is running.

Textual's own driver waits for ever to write to a terminal that is gone, and reads from it as fast as it can. This one
notices, lets go of it, and tells the application, which brings its work to a safe point.
"""

from __future__ import annotations

import codecs
import signal
import threading
from functools import partial
from typing import IO, Any, Protocol, runtime_checkable

from textual.driver import Driver
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

from dixis_tui.console import hangup

ENDING = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
GOING = 1.0  # seconds from SIGHUP until a terminal is gone, if it goes
LOOK = 1.0  # seconds between two looks at whether the terminal is still there, where no signal told

# Bytes that are not UTF-8, typed or pasted in another encoding or sent by an old terminal's mouse, are signs nobody
# knows; Textual itself would end the application with a traceback.
vars(linux_driver)["getincrementaldecoder"] = lambda name: partial(codecs.getincrementaldecoder(name), "replace")


@runtime_checkable
class Leaves(Protocol):
    """An application that can be told to come to an end without being asked anything."""

    def leave(self, why: str) -> None: ...


class Output:
    """A file whose writing never fails: what cannot be written any more is dropped."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError:
            hangup.let_go()

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError:
            hangup.let_go()

    def fileno(self) -> int:
        return self._file.fileno()


class TerminalDriver(LinuxDriver):
    """Textual's driver for a terminal that may go away."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._lost = threading.Event()
        super().__init__(*arguments, **options)
        self._file: Any = Output(self._file)

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]
        for number in ENDING:
            self._loop.add_signal_handler(number, self._signalled, number)
        self._loop.call_later(LOOK, self._look)

    def _sigcont_application(self, *arguments: Any) -> None:
        """SIGCONT comes with the loss of a terminal, too; only one that was suspended is started again."""
        if self._must_signal_resume and not self._lost.is_set():
            super()._sigcont_application(*arguments)

    def close(self) -> None:
        for number in ENDING:
            self._loop.remove_signal_handler(number)
        super().close()

    def run_input_thread(self) -> None:
        try:
            super().run_input_thread()
        except OSError:  # also of the pipe that has taken the terminal's place
            self._loop.call_soon_threadsafe(self._hung_up)

    def _look(self) -> None:
        if hangup.gone(self.fileno):
            self._hung_up()
        elif not self._lost.is_set():
            self._loop.call_later(LOOK, self._look)

    def _hung_up(self) -> None:
        if not self._lost.is_set():
            self._lost.set()
            hangup.let_go()
            self._leave("the terminal went away")

    def _signalled(self, number: signal.Signals) -> None:
        """The next one ends the process at once, but for SIGHUP: it comes often, and before the terminal is gone."""
        if number is signal.SIGHUP:
            self._loop.call_later(GOING, self._told_to_end, number)
        else:
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
            self._told_to_end(number)

    def _told_to_end(self, number: signal.Signals) -> None:
        if hangup.gone(self.fileno):
            self._hung_up()
        else:
            self._leave(f"told to end by {number.name}")

    def _leave(self, why: str) -> None:
        if isinstance(self._app, Leaves):
            self._app.leave(why)
        else:
            self._app.exit(None)


def driver_for(chosen: type[Driver]) -> type[Driver]:
    """This driver in the place of Textual's; in a browser there is no terminal, and another one."""
    return TerminalDriver if chosen is LinuxDriver else chosen

"""Signals that ask a command to stop: Ctrl-C, SIGTERM as schedulers send it, and SIGHUP."""

import atexit
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WINDING_DOWN = 15.0
"""Seconds for which more signals are ignored, so that a command can say how to go on."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to stop; Ctrl-C too."""


@dataclass
class Stop:
    """The first signal that asked to stop.

    Attributes:
        code: The exit code for it, as shells have it: 128 and its number. 0 if none came.
        since: When the last one was answered.
    """

    code: int = 0
    since: float = 0.0

    def take(self, number: int, _: FrameType | None) -> None:
        """Interrupt the command.

        Raises:
            Interrupted: Always, except while the command winds down.
        """
        now = time.monotonic()
        if self.code and now - self.since < WINDING_DOWN:
            return
        self.code = self.code or 128 + number
        self.since = now
        by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
        raise Interrupted(f"interrupted{by}")


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Let signals interrupt the command as Ctrl-C does. Signals that are ignored stay ignored."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {n: h for n in STOPPING if (h := signal.getsignal(n)) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop.take)
    try:
        yield stop
    finally:
        if stop.code:
            # The process ends now, and another signal must not change how. Python's last act would
            # be to give the signals back to the kernel, which kills.
            atexit.register(_ignore, before)
        else:
            for number, handler in before.items():
                signal.signal(number, handler)


def _ignore(numbers: Iterable[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)

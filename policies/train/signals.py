"""What asks a training to stop."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def when_told_to_stop(act: Callable[[], None]) -> Iterator[None]:
    """At Ctrl-C, and at a scheduler's request to stop, do this in place of ending."""

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        act()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

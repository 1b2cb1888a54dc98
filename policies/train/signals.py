"""Requests to stop: Ctrl-C, and SIGTERM as schedulers send it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_stop_signal(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` at SIGINT or SIGTERM, instead of ending the process."""

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        action()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

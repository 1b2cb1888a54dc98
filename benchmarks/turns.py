"""Runs an expert that drives a simulator itself, and gives out its actions one at a time."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np

from harness.contracts.environment import Action

Give = Callable[[Action], None]
"""Hands an action over, and returns when it was executed."""


class TurnTaker:
    """Runs an expert in a thread that takes turns with whoever asks for its actions.

    The expert runs while an action is asked for, and waits while it is executed, so that the two
    threads never touch the simulator at once. When it has given up or is done, its last action is
    repeated.

    Attributes:
        over: Whether it has.
    """

    def __init__(self, play: Callable[[Give], object], idle: Action) -> None:
        """Prepare to run `play`, which is handed what takes its actions.

        `idle` is what it does if it finds no way to begin.
        """
        self._play = play
        self._actions: SimpleQueue[Action | BaseException | None] = SimpleQueue()
        self._go = threading.Semaphore(0)
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._last = idle
        self.over = False

    def act(self) -> Action:
        """Return the expert's next action."""
        if not self.over:
            if self._thread.ident is None:
                self._thread.start()
            else:
                self._go.release()
            answer = self._actions.get()
            if isinstance(answer, BaseException):
                self.over = True
                raise answer
            self.over = answer is None
            if answer is not None:
                self._last = np.asarray(answer, np.float32)
        return self._last

    def close(self) -> None:
        """Make the expert's thread end."""
        if self._thread.is_alive():
            self._closed = True
            self._go.release()
            self._thread.join()

    def _give(self, action: Action) -> None:
        self._actions.put(action)
        self._go.acquire()
        if self._closed:
            raise _Closed

    def _run(self) -> None:
        try:
            self._play(self._give)
        except _Closed:
            return
        except Exception as error:  # noqa: BLE001 - raised where the action was asked for
            self._actions.put(error)
            return
        self._actions.put(None)


class _Closed(Exception):  # noqa: N818 - no error: it unwinds an expert that nobody waits for
    pass

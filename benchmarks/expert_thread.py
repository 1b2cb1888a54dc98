"""Runs an expert that drives a simulator itself, and returns its actions one at a time."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np

from harness.contracts.environment import Action

Emit = Callable[[Action], None]
"""Takes the expert's next action and returns after it was executed."""


class ExpertThread:
    """Runs an expert in a thread of its own.

    The thread runs only while `act` waits for an action, so the two threads never touch the
    simulator at the same time. After the expert has finished or given up, `act` repeats its last
    action.

    Attributes:
        over: Whether the expert has finished or given up.
    """

    def __init__(self, play: Callable[[Emit], object], idle: Action) -> None:
        """Prepare the thread; it starts at the first call of `act`.

        Args:
            play: The expert; it calls its argument with each of its actions.
            idle: The action to return if the expert ends without any.
        """
        self._play = play
        self._actions: SimpleQueue[Action | BaseException | None] = SimpleQueue()
        self._go = threading.Semaphore(0)
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._last = idle
        self.over = False

    def act(self) -> Action:
        """Return the expert's next action, or raise the expert's exception."""
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
        """End the expert's thread."""
        if self._thread.is_alive():
            self._closed = True
            self._go.release()
            self._thread.join()

    def _emit(self, action: Action) -> None:
        self._actions.put(action)
        self._go.acquire()
        if self._closed:
            raise _Closed

    def _run(self) -> None:
        try:
            self._play(self._emit)
        except _Closed:
            return
        except Exception as error:  # noqa: BLE001 - `act` raises it again
            self._actions.put(error)
            return
        self._actions.put(None)


class _Closed(Exception):  # noqa: N818 - not an error: it ends the expert when its thread closes
    pass

"""Shows how a training goes: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_INTERVAL = 10.0
"""Seconds between plain lines, so that a log file stays short."""
FORGETS = 0.98
"""How much of the running mean of the loss is kept at each update."""


class TrainingView:
    """Updates done, the loss, and the time that remains."""

    def __init__(self, console: Console, name: str) -> None:
        """Draw on `console`; what it is decides between a bar and lines."""
        self.console = console
        self._name = name
        self._bar: Progress | None = None
        self._bar_task = TaskID(0)
        self._steps = self._done = self._fresh = 0
        self._started = self._last_line = 0.0
        self._loss: float | None = None
        self._validation: float | None = None

    def __enter__(self) -> Self:
        """Return the view; it draws once `start` tells how much there is to do."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()

    def start(self, steps: int, done: int) -> None:
        """Begin with the updates that an earlier start has made."""
        self._steps, self._done = steps, done
        self._started = self._last_line = time.monotonic()
        if done:
            self.console.print(f"{self._name}: continuing after {done} of {steps} steps")
        if self.console.is_terminal and done < steps:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("[green]{task.fields[losses]}"),
                TimeElapsedColumn(),
                TextColumn("eta"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._bar_task = self._bar.add_task(self._name, total=steps, completed=done, losses="")
            self._bar.start()

    def add(self, line: Mapping[str, Any]) -> None:
        """Count an update and show it."""
        self._done, self._fresh = line["step"], self._fresh + 1
        loss = line["loss"]
        self._loss = loss if self._loss is None else FORGETS * self._loss + (1 - FORGETS) * loss
        if self._bar is not None:
            self._bar.update(self._bar_task, advance=1, losses=self._losses())
        elif self._line_is_due():
            self.console.print(self._line(), markup=False)

    def tell_validation(self, loss: float) -> None:
        """Remember the held-out loss, to show it with the others."""
        self._validation = loss

    def _losses(self) -> str:
        held_out = "" if self._validation is None else f", held-out {self._validation:.4f}"
        return f"loss {self._loss:.4f}{held_out}"

    def _line_is_due(self) -> bool:
        now = time.monotonic()
        if self._done < self._steps and now - self._last_line < LINE_INTERVAL:
            return False
        self._last_line = now
        return True

    def _line(self) -> str:
        seconds = (time.monotonic() - self._started) / self._fresh
        left = int(seconds * (self._steps - self._done))
        eta = f"{left // 60}:{left % 60:02d}"
        return f"{self._name}: {self._done}/{self._steps} steps, {self._losses()}, eta {eta}"

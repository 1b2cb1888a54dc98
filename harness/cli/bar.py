"""Shows how anything long goes: a bar on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_INTERVAL = 10.0
"""Seconds between plain lines, so that a log file stays short."""


class Bar:
    """How much is done of something, what came of it, and the time that remains.

    Attributes:
        console: Where to draw; what it is decides between a bar and lines.
    """

    def __init__(self, console: Console, unit: str, label: str = "") -> None:
        """Draw on `console` once `begin` tells how much there is to do.

        `unit` is what a plain line counts, and `label` is what it starts with.
        """
        self.console = console
        self._unit, self._label = unit, label
        self._bar: Progress | None = None
        self._bar_task = TaskID(0)
        self._total = self._done = self._fresh = 0
        self._started = self._last_line = 0.0

    def __enter__(self) -> Self:
        """Return the bar."""
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

    def begin(self, name: str, total: int, done: int, figures: str) -> None:
        """Start to draw.

        Args:
            name: What stands before the bar.
            total: How much there is to do.
            done: How much of it an earlier start has done.
            figures: What came of it so far.
        """
        self._total, self._done = total, done
        self._started = time.monotonic()
        if self.console.is_terminal and done < total:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("[green]{task.fields[figures]}"),
                TimeElapsedColumn(),
                TextColumn("eta"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._bar_task = self._bar.add_task(name, total=total, completed=done, figures=figures)
            self._bar.start()

    def advance(self, name: str, figures: str) -> None:
        """Show that one more is done, with what `begin` was told as it is now."""
        self._done, self._fresh = self._done + 1, self._fresh + 1
        if self._bar is not None:
            self._bar.update(self._bar_task, advance=1, figures=figures, description=name)
        elif self._line_is_due():
            done = f"{self._label}{self._done}/{self._total} {self._unit}"
            self.console.print(f"{done}, {figures}, eta {self._eta()}", markup=False)

    def _line_is_due(self) -> bool:
        now = time.monotonic()
        if self._done < self._total and now - self._last_line < LINE_INTERVAL:
            return False
        self._last_line = now
        return True

    def _eta(self) -> str:
        seconds = (time.monotonic() - self._started) / self._fresh
        left = int(seconds * (self._total - self._done))
        return f"{left // 60}:{left % 60:02d}"

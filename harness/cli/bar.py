"""A progress bar on a terminal and in a notebook, plain lines elsewhere."""

import importlib.util
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
    """Shows how much is done, a few figures, and the time that remains.

    Attributes:
        console: Where to draw. A terminal or notebook gets a bar, anything else gets lines.
    """

    def __init__(self, console: Console, unit: str, label: str = "") -> None:
        """Set the console, the unit that plain lines count, and the label they start with."""
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
        """Stop the bar."""
        if self._bar is not None:
            self._bar.stop()

    def begin(self, name: str, total: int, done: int, figures: str) -> None:
        """Start to draw.

        Args:
            name: The text before the bar.
            total: The number of units.
            done: The units that an earlier start finished.
            figures: The results so far, as text.
        """
        self._total, self._done = total, done
        self._started = time.monotonic()
        if done < total and _can_draw(self.console):
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
        """Count one more unit and update the text and the figures."""
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


def _can_draw(console: Console) -> bool:
    """Return whether this is a terminal, or a notebook with the package that draws bars there."""
    return console.is_terminal or (
        console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None
    )

"""Shows how a run goes: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
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

from harness.record import EpisodeRecord

LINE_INTERVAL = 10.0
"""Seconds between plain lines, so that a log file stays short."""


class ProgressView:
    """Episodes done, the running success rate, and the time that remains."""

    def __init__(self, console: Console) -> None:
        """Draw on `console`; what it is decides between a bar and lines."""
        self.console = console
        self._bar: Progress | None = None
        self._bar_task: TaskID | None = None
        self._wanted = self._done = self._scored = self._successes = self._fresh = 0
        self._started = self._last_line = 0.0

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

    def start(self, wanted: int, done: Sequence[EpisodeRecord]) -> None:
        """Begin with the episodes that an earlier start of the run has finished."""
        self._wanted, self._started = wanted, time.monotonic()
        for record in done:
            self._count(record)
        if done:
            self.console.print(f"continuing: {len(done)} of {wanted} episodes are done")
        if self.console.is_terminal and self._done < wanted:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("[green]{task.fields[rate]}"),
                TimeElapsedColumn(),
                TextColumn("eta"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._bar_task = self._bar.add_task(
                "episodes", total=wanted, completed=self._done, rate=self._rate()
            )
            self._bar.start()

    def add(self, record: EpisodeRecord) -> None:
        """Count a finished episode and show it."""
        self._count(record)
        self._fresh += 1
        spec = record.spec
        if record.outcome == "error":
            where = f"{spec.policy} {spec.benchmark} {spec.task} episode {spec.episode}"
            self.console.print(f"error in {where}: {record.reason}", style="red", markup=False)
        if self._bar is not None and self._bar_task is not None:
            name = f"{spec.policy} on {spec.benchmark}"
            self._bar.update(self._bar_task, advance=1, rate=self._rate(), description=name)
        elif self._line_is_due():
            self.console.print(self._line(), markup=False)

    def tell(self, notice: str) -> None:
        """Show something that the user should know."""
        self.console.print(f"notice: {notice}", style="yellow", markup=False)

    def _count(self, record: EpisodeRecord) -> None:
        self._done += 1
        self._scored += record.outcome != "error"
        self._successes += record.outcome == "success"

    def _rate(self) -> str:
        if not self._scored:
            return "success -"
        return f"success {100 * self._successes / self._scored:.1f} %"

    def _line_is_due(self) -> bool:
        now = time.monotonic()
        if self._done < self._wanted and now - self._last_line < LINE_INTERVAL:
            return False
        self._last_line = now
        return True

    def _line(self) -> str:
        seconds = (time.monotonic() - self._started) / max(self._fresh, 1)
        left = int(seconds * (self._wanted - self._done))
        eta = f"{left // 60}:{left % 60:02d}"
        return f"{self._done}/{self._wanted} episodes, {self._rate()}, eta {eta}"

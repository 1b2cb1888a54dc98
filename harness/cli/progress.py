"""The progress of a run."""

from collections.abc import Sequence

from rich.console import Console

from harness.cli.bar import Bar
from harness.contracts.record import EpisodeRecord


class ProgressView(Bar):
    """Shows the finished episodes, the success rate so far, and the time that remains."""

    def __init__(self, console: Console) -> None:
        """Draw on `console`."""
        super().__init__(console, "episodes")
        self._scored = self._successes = 0

    def start(self, wanted: int, done: Sequence[EpisodeRecord]) -> None:
        """Begin, with the episodes that an earlier start of the run finished."""
        for record in done:
            self._count(record)
        if done:
            self.console.print(f"continuing: {len(done)} of {wanted} episodes are done")
        self.begin("episodes", wanted, len(done), self.figures())

    def add(self, record: EpisodeRecord) -> None:
        """Count a finished episode and show it."""
        self._count(record)
        spec = record.spec
        if record.outcome == "error":
            where = f"{spec.player} {spec.benchmark} {spec.task} episode {spec.episode}"
            self.console.print(f"error in {where}: {record.reason}", style="red", markup=False)
        self.advance(f"{spec.player} on {spec.benchmark}", self.figures())

    def tell(self, notice: str) -> None:
        """Show a notice."""
        self.console.print(f"notice: {notice}", style="yellow", markup=False)

    def figures(self) -> str:
        """Return the success rate so far."""
        if not self._scored:
            return "success -"
        return f"success {100 * self._successes / self._scored:.1f} %"

    def _count(self, record: EpisodeRecord) -> None:
        self._scored += record.outcome != "error"
        self._successes += record.outcome == "success"


class UnscoredView(ProgressView):
    """Shows no success rate, for episodes that are recorded only in part."""

    def figures(self) -> str:
        """Return a text in place of the rate."""
        return "not scored"

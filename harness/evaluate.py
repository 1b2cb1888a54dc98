"""Carries out a plan: what is wanted, less what is done, through a backend and into the log."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.plan import Work
from harness.progress import ProgressView
from harness.rollout import Episode
from harness.run import RunWriter
from harness.spec import EpisodeSpec

Backend = Callable[[Work, Sequence[EpisodeSpec], Callable[[str], None]], Iterator[Episode]]
"""Plays episodes and yields each once, in any order; what the user should know it tells."""


@dataclass(frozen=True)
class Tally:
    """How many of the wanted episodes are scored, and how many are in error."""

    wanted: int
    scored: int
    errors: int

    @property
    def complete(self) -> bool:
        """Whether every wanted episode has a score."""
        return self.scored == self.wanted


def evaluate(
    run: RunWriter, work: Work, backend: Backend, view: ProgressView, workers: int = 1
) -> Tally:
    """Run what the log lacks; episodes that ended in an error before get another chance."""
    records = run.records()
    scored = {key for key, record in records.items() if record.outcome != "error"}
    todo = [spec for spec in work.specs if spec.key not in scored]
    view.start(len(work.specs), [records[s.key] for s in work.specs if s.key in scored])
    if todo:
        run.open_session(workers)
    errors = 0
    for episode in backend(work, todo, view.tell):
        run.append(episode)
        view.add(episode.record)
        errors += episode.record.outcome == "error"
    return Tally(len(work.specs), len(work.specs) - errors, errors)

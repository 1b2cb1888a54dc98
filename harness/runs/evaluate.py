"""Carries out a plan: what is wanted, less what is done, through a backend and into the log."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from harness.cli.progress import ProgressView
from harness.contracts.record import EpisodeRecord
from harness.contracts.spec import EpisodeSpec
from harness.play.rollout import Episode
from harness.runs.folder import RunWriter
from harness.runs.plan import Work
from harness.runs.stopping import Decision

Backend = Callable[
    [Work, Sequence[EpisodeSpec], Callable[[str], None]], Generator[Episode, None, None]
]
"""Plays episodes and yields each once, in any order; what the user should know it tells."""


@dataclass(frozen=True)
class Tally:
    """How many of the wanted episodes are scored or in error, and whether the rest is needed."""

    wanted: int
    scored: int
    errors: int
    decided: bool = False

    @property
    def complete(self) -> bool:
        """Whether every wanted episode has a score, or the rest is not needed."""
        return self.decided or self.scored == self.wanted


def evaluate(
    run: RunWriter, work: Work, backend: Backend, view: ProgressView, workers: int = 1
) -> Tally:
    """Run what the log lacks; episodes that ended in an error before get another chance."""
    records = run.records()
    scored = {key for key, record in records.items() if record.outcome != "error"}
    todo = [spec for spec in work.specs if spec.key not in scored]
    view.start(len(work.specs), [records[s.key] for s in work.specs if s.key in scored])
    decision = _decision(work, list(records.values())) if work.plan.stop_when_decided else None
    if decision is not None and decision.decided:
        todo = []
    if todo:
        run.open_session(workers)
    errors = done = 0
    with closing(backend(work, todo, view.tell)) as episodes:
        for episode in episodes:
            run.append(episode)
            view.add(episode.record)
            done += 1
            errors += episode.record.outcome == "error"
            if decision is not None and _decides(decision, episode.record):
                break
    if decision is not None:
        view.tell(decision.sentence)
    decided = decision is not None and decision.decided
    return Tally(len(work.specs), len(work.specs) - len(todo) + done - errors, errors, decided)


def _decision(work: Work, records: Sequence[EpisodeRecord]) -> Decision:
    scenes = [(s.benchmark, s.protocol, s.task, s.episode) for s in work.specs]
    decision = Decision(list(work.policies), list(dict.fromkeys(scenes)), work.plan.seed)
    for record in records:
        _decides(decision, record)
    return decision


def _decides(decision: Decision, record: EpisodeRecord) -> bool:
    spec = record.spec
    scene = (spec.benchmark, spec.protocol, spec.task, spec.episode)
    decision.add(spec.policy, scene, record.outcome)
    return decision.decided

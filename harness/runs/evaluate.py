"""Runs a plan: the wanted episodes that the log lacks, through a backend and into the log."""

import shlex
from collections.abc import Callable, Generator, Mapping, Sequence, Set
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from harness.contracts.errors import PolicyCrashed
from harness.contracts.record import Episode, EpisodeRecord
from harness.contracts.spec import EpisodeSpec
from harness.runs.folder import RunWriter
from harness.runs.plan import Work

if TYPE_CHECKING:
    from harness.runs.stopping import Decision

Backend = Callable[
    [Work, Sequence[EpisodeSpec], Callable[[str], None]], Generator[Episode, None, None]
]
"""Plays episodes and yields each once, in any order. The last argument shows a notice."""


class EpisodeCrashed(PolicyCrashed):
    """The policy's code raised an exception in an episode; the run's folder has the traceback."""


class View(Protocol):
    """Shows how a run goes."""

    def start(self, wanted: int, done: Sequence[EpisodeRecord]) -> None:
        """Begin, with the episodes that the log already holds."""

    def add(self, record: EpisodeRecord) -> None:
        """Show a finished episode."""

    def tell(self, notice: str) -> None:
        """Show a notice."""


def evaluate(
    run: RunWriter,
    work: Work,
    backend: Backend,
    view: View,
    workers: int = 1,
    keep_going: bool = False,
) -> bool:
    """Play what the log lacks; episodes that ended in an error are played again.

    Returns:
        Whether every wanted episode has a score, or the comparison is decided without the rest.

    Raises:
        EpisodeCrashed: The policy's code raised an exception, unless `keep_going`.
        StorageError: The disk is full, or somebody changed the log.
    """
    records = run.records()
    scored = {key for key, record in records.items() if record.outcome != "error"}
    todo = [spec for spec in work.specs if spec.key not in scored]
    view.start(len(work.specs), [records[s.key] for s in work.specs if s.key in scored])
    decision = _decision(work, list(records.values())) if work.stop_when_decided else None
    if decision is not None and decision.decided:
        todo = []
    if lost := run.lost_actions(scored):
        view.tell(f"episodes that lost their actions: {lost}; they cannot be replayed")
    if decision is None:
        _tell_of_others(run, scored, records, len(todo), view)
    if todo:
        run.open_session(workers)
    with closing(backend(work, todo, view.tell)) as episodes:
        for episode in episodes:
            run.append(episode)
            view.add(episode.record)
            if episode.crashed and not keep_going:
                raise EpisodeCrashed(_where(episode.record), episode.traceback)
            if decision is not None and _decides(decision, episode.record):
                break
    # What counts is what the disk has, whatever was played.
    run.require_unchanged()
    kept = run.records()
    complete = all(s.key in kept and kept[s.key].outcome != "error" for s in work.specs)
    if decision is not None:
        decision = _decision(work, list(kept.values()))
        view.tell(decision.sentence)
        return decision.decided or complete
    return complete


def _tell_of_others(
    run: RunWriter,
    scored: Set[str],
    records: Mapping[str, EpisodeRecord],
    todo: int,
    view: View,
) -> None:
    """Say that the run lacks episodes of earlier commands, which this one does not play."""
    places = {_place(records[key].spec) for key in scored}
    missing = sum(
        (*cell, episode) not in places
        for cell, episodes in run.wanted().items()
        for episode in episodes
    )
    if missing > todo:
        file = shlex.quote(str(run.path / "run.json"))
        view.tell(
            f"the run lacks {missing - todo} episodes of earlier commands; this command does not "
            f"play them, this one does: run --plan {file} --out {shlex.quote(str(run.path))}"
        )


def _place(spec: EpisodeSpec) -> tuple[str, str, str, str, int]:
    return spec.player, spec.benchmark, spec.protocol, spec.task, spec.episode


def _where(record: EpisodeRecord) -> str:
    spec = record.spec
    where = f"{spec.benchmark} {spec.task} episode {spec.episode}"
    return f"{spec.player} on {where}: {record.reason.removeprefix('policy_crash: ')}"


def _decision(work: Work, records: Sequence[EpisodeRecord]) -> "Decision":
    # The statistics take most of a second to import.
    from harness.runs.stopping import Decision

    scenes = [(s.benchmark, s.protocol, s.task, s.episode) for s in work.specs]
    decision = Decision(work.players, list(dict.fromkeys(scenes)), work.seed)
    for record in records:
        _decides(decision, record)
    return decision


def _decides(decision: "Decision", record: EpisodeRecord) -> bool:
    spec = record.spec
    scene = (spec.benchmark, spec.protocol, spec.task, spec.episode)
    decision.add(spec.player, scene, record.outcome)
    return decision.decided

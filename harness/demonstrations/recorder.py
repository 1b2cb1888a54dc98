"""Records demonstrations: plays a benchmark's expert until enough episodes succeeded."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from harness import __version__
from harness.contracts.errors import UsageError
from harness.contracts.registry import make_policy
from harness.contracts.setup import BenchmarkSetup
from harness.contracts.spec import EpisodeSpec
from harness.demonstrations.dataset import Provenance, write_dataset
from harness.demonstrations.settings import RecordingSettings
from harness.play.worker import SimulatorCache
from harness.runs.evaluate import Backend, View, evaluate
from harness.runs.folder import Run, RunWriter
from harness.runs.plan import BenchmarkRequest, Plan, Work, resolve
from harness.statistics.interval import rate_interval

FIRST_FRAMES_EPISODES, AFTER_EPISODES = 100_000, 200_000
"""The first episode index with first_frames and with after: the three kinds share no scene."""
_LOWEST_RATE, _TRIAL = 0.1, 20
"""Recording stops if a lower share of a task's episodes succeeds, after this many episodes."""

Tally = dict[str, tuple[int, int]]
"""How many episodes the expert played of each task, and how many succeeded."""


class Recorder:
    """Records into a folder and continues an earlier recording in it.

    The folder holds `attempts`, the run's log; `shards`, a file for each demonstration; and the
    data set that is made of them.
    """

    def __init__(
        self,
        request: BenchmarkRequest,
        settings: RecordingSettings,
        out: Path,
        episodes: int,
    ) -> None:
        """Prepare the folder.

        Args:
            request: The benchmark, the tasks, and the protocol for observations and actions.
            settings: How the episodes are recorded; `identity` is filled in.
            out: The data set's folder.
            episodes: The number of demonstrations of each task.

        Raises:
            UsageError: The benchmark cannot be recorded so, or the folder has other settings.
        """
        self._settings = _with_identity(settings)
        self._out, self._episodes = out, episodes
        self._setup = _setup(request, self._settings)
        self._work = self._prepare()

    def record(
        self,
        backend: Backend,
        open_view: Callable[[], AbstractContextManager[View]],
        workers: int = 1,
    ) -> str | None:
        """Play episodes until enough succeeded, then write the data set.

        Args:
            backend: Plays the episodes.
            open_view: Opens a new progress display; it is called for each round of episodes.
            workers: The number of workers, for the log.

        Returns:
            A summary in Markdown, or None if episodes ended in errors.

        Raises:
            StorageError: The disk is full or gone.
            UsageError: The expert hardly ever succeeds.
        """
        attempts = dict.fromkeys(self._setup.tasks, self._episodes)
        with RunWriter(self._out / "attempts", self._work, grows=False) as run:
            notices = list(run.notices)
            while True:
                specs = self._specs(attempts)
                if _unscored(run, specs):
                    with open_view() as view:
                        for notice in notices:
                            view.tell(notice)
                        evaluate(run, replace(self._work, specs=specs), backend, view, workers)
                if _unscored(run, specs):
                    return None
                if self._settings.first_frames:
                    return self._finish({})
                tally = _tally(run, specs, self._settings)
                missing = {
                    task: further_episodes(task, self._episodes, played, succeeded)
                    for task, (played, succeeded) in tally.items()
                }
                if not any(missing.values()):
                    return self._finish(tally)
                recorded = sum(min(self._episodes, succeeded) for _, succeeded in tally.values())
                notices = [
                    f"{recorded} of {self._episodes * len(tally)} demonstrations so far; "
                    f"playing {sum(missing.values())} more episodes for the rest"
                ]
                attempts = {task: attempts[task] + missing[task] for task in self._setup.tasks}

    def _prepare(self) -> Work:
        """Save the settings, which `RecordPolicy` reads, and return the work without episodes."""
        setup = self._setup
        self._out.mkdir(parents=True, exist_ok=True)
        self._settings.save(self._out)
        reference = f"record:{self._out}"
        policy = make_policy(reference)
        request = BenchmarkRequest(setup.benchmark, setup.tasks, setup.protocol.label)
        # The plan has no number of episodes: it is unknown, and a later command may want more.
        name = policy.spec.name
        plan = Plan((reference,), (request,), 0, identities=(name,))
        return Work((plan,), {name: policy}, {name: reference}, (setup,), ())

    def _specs(self, attempts: Mapping[str, int]) -> tuple[EpisodeSpec, ...]:
        first = 0
        if self._settings.first_frames:
            first = FIRST_FRAMES_EPISODES
        elif self._settings.after:
            first = AFTER_EPISODES
        return tuple(
            EpisodeSpec(
                next(iter(self._work.policies)),
                self._setup.benchmark,
                task,
                episode,
                self._work.seed,
                self._setup.protocol.label,
            )
            for task in self._setup.tasks
            for episode in range(first, first + attempts[task])
        )

    def _finish(self, tally: Tally) -> str:
        """Write the data set and return the summary; the tally is empty for first frames."""
        setup = self._setup
        simulators = SimulatorCache()
        env = simulators.get(setup, setup.tasks[0])
        provenance = Provenance(
            env.state_layout,
            env.action_layout,
            {f"{setup.benchmark}/{task}": played for task, (played, _) in tally.items()},
            {f"{setup.benchmark}/{task}": succeeded for task, (_, succeeded) in tally.items()},
            dict(setup.family.versions()) | {"assay": __version__},
            self._settings.for_provenance(),
        )
        simulators.close()
        count = write_dataset(self._out, provenance, per_task=self._episodes)
        size = sum(path.stat().st_size for path in self._out.rglob("*.parquet"))
        parts = [_success_table(tally)] if tally else []
        if setup.protocol.note:
            parts.append(f"{setup.protocol.label}: {setup.protocol.note}.")
        parts.append(f"{count} demonstrations, {size / 2**20:.1f} MiB in {self._out}")
        return "\n\n".join(parts)


def further_episodes(task: str, wanted: int, played: int, succeeded: int) -> int:
    """Estimate how many more episodes of a task the expert has to play.

    Raises:
        UsageError: It hardly ever succeeds.
    """
    if played >= _TRIAL and succeeded < played * _LOWEST_RATE:
        raise UsageError(
            f"only {succeeded} of {played} episodes of {task} succeeded, too few to continue; "
            f"use --tasks to leave {task} out"
        )
    if succeeded >= wanted:
        return 0
    expected = (wanted - succeeded) * max(played, 1) / max(succeeded, 1)
    # A margin, because another round costs more than a few episodes.
    return math.ceil(expected + math.sqrt(expected))


def _setup(request: BenchmarkRequest, settings: RecordingSettings) -> BenchmarkSetup:
    """Return the benchmark under a protocol whose scenes no evaluation uses.

    Raises:
        UsageError: The benchmark cannot run here, or cannot be recorded so.
    """
    asked = resolve(Plan((), (request,), 1)).setups[0]
    protocol = asked.family.demonstration_protocol(asked.protocol)
    if settings.first_frames:
        # The name is part of each episode's key, so another one would change the data.
        name = f"{protocol.name}-beginnings"
        protocol = replace(protocol.shortened(asked.benchmark, settings.first_frames), name=name)
    setup = replace(asked, protocol=protocol)
    problem = setup.family.problem(images=bool(settings.cameras))
    if problem:
        raise UsageError(problem)
    if settings.perturbations:
        _require_recovery(setup)
    return setup


def _with_identity(settings: RecordingSettings) -> RecordingSettings:
    """Fill in the identity of the policy that plays first.

    Raises:
        UsageError: It is a scripted policy, or first frames are wanted.
    """
    if not settings.after:
        return replace(settings, after_steps=0)
    if settings.first_frames:
        raise UsageError("--first-frames records the expert from step 0: leave out --after")
    policy = make_policy(settings.after)
    if policy.needs_env:
        raise UsageError(f"--after {settings.after}: use a trained policy, not a scripted one")
    return replace(settings, identity=policy.spec.name)


def _require_recovery(setup: BenchmarkSetup) -> None:
    """Refuse perturbations if the expert cannot recover from them.

    Raises:
        UsageError: It cannot.
    """
    simulators = SimulatorCache()
    try:
        if simulators.get(setup, setup.tasks[0]).perturbations is None:
            raise UsageError(
                f"the expert of {setup.benchmark} cannot recover from perturbations; "
                "use --perturbations 0"
            )
    finally:
        simulators.close()


def _unscored(run: Run, specs: Sequence[EpisodeSpec]) -> bool:
    """Return whether an episode is missing or ended in an error."""
    records = run.records()
    scored = {key for key, record in records.items() if record.outcome != "error"}
    return any(spec.key not in scored for spec in specs)


def _tally(run: Run, specs: Sequence[EpisodeSpec], settings: RecordingSettings) -> Tally:
    """Count the expert's episodes, without those that ended before the expert took over."""
    records = run.records()
    its_own = [spec for spec in specs if records[spec.key].steps > settings.takeover(spec.key)]
    played = Counter(spec.task for spec in its_own)
    succeeded = Counter(spec.task for spec in its_own if records[spec.key].success)
    return {spec.task: (played[spec.task], succeeded[spec.task]) for spec in specs}


def _success_table(tally: Tally) -> str:
    """Return the expert's success rate on each task, with Wilson's interval."""
    rows = []
    for task, (played, succeeded) in tally.items():
        rate = rate_interval(succeeded, played)
        share = f"{100 * rate.estimate:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
        rows.append((task, played, succeeded, share))
    headers = ("task", "episodes", "succeeded", "success %")
    return tabulate(rows, headers=headers, tablefmt="github")

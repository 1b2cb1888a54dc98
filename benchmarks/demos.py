"""Records demonstrations: a benchmark's expert, on scenes that no evaluation uses.

python -m benchmarks.demos --benchmark maniskill_rdt --episodes 200 --out demos/maniskill_rdt
"""

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness.play.threads import use_one_core

use_one_core()

import tyro
from rich.console import Console
from tabulate import tabulate

from harness import __version__
from harness.backends.inline import run_inline
from harness.cli.exit import exit_code
from harness.cli.progress import ProgressView
from harness.contracts.errors import StorageError, UsageError
from harness.contracts.policy import LocalPolicy
from harness.contracts.registry import make_policy
from harness.contracts.spec import EpisodeSpec
from harness.demonstrations.recording import Recording
from harness.play.worker import Simulators
from harness.runs.evaluate import Backend, evaluate
from harness.runs.folder import Run, RunWriter
from harness.runs.plan import BenchmarkRequest, Cell, Plan, Work, resolve
from harness.statistics.interval import rate_interval

LEAST_RATE, FAIR_TRIAL = 0.1, 20
"""An expert that masters fewer than that share of its episodes is given up, after so many."""

ELSEWHERE, LED = 100_000, 200_000
"""The first episode of beginnings, and of those that a policy leads: scenes of their own."""

EXIT_INCOMPLETE, EXIT_INTERRUPTED = 3, 130

notes = Console(stderr=True)


@dataclass(kw_only=True)
class DemosCommand:
    """Record demonstrations; the same command again continues where it stopped."""

    benchmark: str
    """The benchmark, or one task as benchmark/task."""
    out: Path
    """The data set's folder."""
    episodes: int = 200
    """Demonstrations for each task: episodes that the expert mastered."""
    tasks: tuple[str, ...] = ()
    """Task indices or names; all if not given."""
    protocol: str = ""
    """The protocol card, which says what is seen and done; the benchmark's default if not given."""
    cameras: tuple[str, ...] = ()
    """Cameras to take pictures with, e.g. main wrist; none if not given."""
    every: int = 1
    """Take pictures at every so many steps."""
    pushes: float = 0.0
    """In which share of the steps the robot is pushed off its way, so that the demonstrations show
    the way back, e.g. 0.05; for experts that decide anew at every step."""
    pixels: int = 0
    """Height and width to keep pictures with, e.g. the 128 that tiny takes: resized as the policy
    would, they train the same and take less room; those of the cameras if not given."""
    beginnings: int = 0
    """Record no more than an episode's first so many steps, one chunk of a policy, and ask nobody
    whether it would be mastered: many scenes to look for things in, cheaply, to train on besides
    whole demonstrations; 0 for whole ones."""
    after: str = ""
    """Let this policy play first, e.g. vla:checkpoints/libero/regression, for a number of steps
    that is drawn for each episode, and record the expert from there: the way out of what the policy
    gets itself into, to train on besides demonstrations from the start."""
    after_steps: int = 100
    """The most steps that it plays."""
    workers: int = 0
    """Environment actors on Ray, each using one core; 0 records in this process."""

    def __call__(self) -> int:
        """Record what is missing and put the data set together."""
        least = {"episodes": 1, "every": 1, "pixels": 0, "beginnings": 0, "workers": 0}
        least |= {"after_steps": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} must be at least {low}, got {getattr(self, name)}")
        if not 0 <= self.pushes <= 0.5:
            raise UsageError(f"--pushes must be from 0 to 0.5, got {self.pushes}")
        work = self._work()
        try:
            with RunWriter(self.out / "attempts", work) as run:
                complete = self._play(work, run)
        except (KeyboardInterrupt, StorageError) as stop:
            notes.print(f"\n{str(stop) or 'interrupted'}; run the same command again to continue")
            return EXIT_INCOMPLETE if isinstance(stop, StorageError) else EXIT_INTERRUPTED
        if not complete:
            notes.print("some episodes ended in errors; run the same command again", style="red")
            return EXIT_INCOMPLETE
        return 0

    def _work(self) -> Work:
        """Return what to play, on scenes that no protocol evaluates."""
        request = BenchmarkRequest(self.benchmark, self.tasks, self.protocol)
        asked = resolve(Plan((), (request,), 1)).cells[0]
        protocol = asked.family.demonstration_protocol(asked.protocol)
        if self.beginnings:
            name = f"{protocol.name}-beginnings"
            protocol = replace(protocol.shortened(asked.benchmark, self.beginnings), name=name)
        cell = replace(asked, protocol=protocol)
        problem = cell.family.problem(images=bool(self.cameras))
        if problem:
            raise UsageError(problem)
        if self.pushes:
            require_pushes(cell)
        recording = self._recording()
        self.out.mkdir(parents=True, exist_ok=True)
        recording.save(self.out)
        reference = f"record:{self.out}"
        policy = make_policy(reference)
        short = cell.protocol.name.partition("/")[2]
        # How many episodes it takes is not known, and more may be wanted later.
        plan = Plan((reference,), (BenchmarkRequest(cell.benchmark, cell.tasks, short),), 0)
        name = policy.spec.name
        return Work(plan, {name: policy}, {name: reference}, (cell,), ())

    def _recording(self) -> Recording:
        """Return what is recorded, as every worker has to know it."""
        if self.after and self.beginnings:
            raise UsageError("--beginnings are the expert's from the first step on: no --after")
        leader = make_policy(self.after) if self.after else None
        if isinstance(leader, LocalPolicy):
            raise UsageError(f"--after {self.after}: a policy that is trained is wanted")
        return Recording(
            self.cameras,
            self.every,
            self.pushes,
            self.pixels,
            self.beginnings,
            after=self.after,
            after_steps=self.after_steps if self.after else 0,
            identity=leader.spec.name if leader else "",
        )

    def _play(self, work: Work, run: RunWriter) -> bool:
        """Play further episodes until the expert mastered enough, and make the data set of them."""
        cell, backend = work.cells[0], self._backend()
        first = ELSEWHERE if self.beginnings else LED if self.after else 0
        attempts = dict.fromkeys(cell.tasks, self.episodes)
        while True:
            specs = tuple(
                EpisodeSpec(
                    next(iter(work.policies)),
                    cell.benchmark,
                    task,
                    episode,
                    work.plan.seed,
                    cell.protocol.label,
                )
                for task in cell.tasks
                for episode in range(first, first + attempts[task])
            )
            if unscored(run, specs):
                with (BeginningsView if self.beginnings else ProgressView)(notes) as view:
                    evaluate(run, replace(work, specs=specs), backend, view, self.workers or 1)
            if unscored(run, specs):
                return False
            if self.beginnings:
                self._finish(work, {})
                return True
            tally = tallied(run, specs, Recording.load(self.out))
            wanted = {
                task: further(task, self.episodes, played, mastered)
                for task, (played, mastered) in tally.items()
            }
            if not any(wanted.values()):
                self._finish(work, tally)
                return True
            recorded = sum(min(self.episodes, mastered) for _, mastered in tally.values())
            notes.print(
                f"{recorded} of {self.episodes * len(tally)} demonstrations so far; "
                f"{sum(wanted.values())} more episodes are played for the rest"
            )
            attempts = {task: attempts[task] + wanted[task] for task in cell.tasks}

    def _backend(self) -> Backend:
        if self.workers == 0:
            return run_inline
        from harness.backends.ray.backend import run_ray
        from harness.backends.ray.options import RayOptions

        return partial(run_ray, options=RayOptions(workers=self.workers))

    def _finish(self, work: Work, tally: Mapping[str, tuple[int, int]]) -> None:
        """Put the data set together and say what it holds; a tally is of whole episodes."""
        from harness.demonstrations.dataset import Facts, finish

        cell = work.cells[0]
        simulators = Simulators()
        env = simulators.get(cell, cell.tasks[0])
        facts = Facts(
            env.state_layout,
            env.action_layout,
            {f"{cell.benchmark}/{task}": played for task, (played, _) in tally.items()},
            {f"{cell.benchmark}/{task}": mastered for task, (_, mastered) in tally.items()},
            dict(cell.family.versions()) | {"assay": __version__},
            Recording.load(self.out).told(),
        )
        simulators.close()
        count = finish(self.out, facts, per_task=self.episodes)
        if tally:
            print(markdown_table(tally))
        if cell.protocol.note:
            print(f"\n{cell.protocol.label}: {cell.protocol.note}.")
        size = sum(path.stat().st_size for path in self.out.rglob("*.parquet"))
        print(f"\n{count} demonstrations, {size / 2**20:.1f} MiB in {self.out}")


class BeginningsView(ProgressView):
    """Says nothing of success: beginnings are not played to the end."""

    def figures(self) -> str:
        """Return what an episode is, in place of a rate."""
        return "beginnings, not scored"


def require_pushes(cell: Cell) -> None:
    """Refuse to push where the expert would not come back.

    Raises:
        UsageError: It would not.
    """
    simulators = Simulators()
    try:
        if simulators.get(cell, cell.tasks[0]).perturbations is None:
            raise UsageError(f"the expert of {cell.benchmark} would not come back; use --pushes 0")
    finally:
        simulators.close()


def unscored(run: Run, specs: Sequence[EpisodeSpec]) -> bool:
    """Tell whether an episode is still to be played, or ended in an error."""
    records = run.records()
    scored = {key for key, record in records.items() if record.outcome != "error"}
    return any(spec.key not in scored for spec in specs)


def tallied(
    run: Run, specs: Sequence[EpisodeSpec], recording: Recording
) -> dict[str, tuple[int, int]]:
    """Return how many of these episodes of each task the expert played and mastered.

    Those that the policy which leads mastered before it are neither.
    """
    records = run.records()
    theirs = [spec for spec in specs if records[spec.key].steps > recording.led(spec.key)]
    played = Counter(spec.task for spec in theirs)
    mastered = Counter(spec.task for spec in theirs if records[spec.key].success)
    return {spec.task: (played[spec.task], mastered[spec.task]) for spec in specs}


def further(task: str, wanted: int, played: int, mastered: int) -> int:
    """Return how many more episodes the expert will need.

    Raises:
        UsageError: It masters hardly any.
    """
    if played >= FAIR_TRIAL and mastered < played * LEAST_RATE:
        raise UsageError(
            f"the expert mastered {mastered} of {played} episodes of {task}: too few to go on; "
            f"leave it out with --tasks"
        )
    if mastered >= wanted:
        return 0
    expected = (wanted - mastered) * max(played, 1) / max(mastered, 1)
    # Some more than expected: another round costs more than a few episodes.
    return math.ceil(expected + math.sqrt(expected))


def markdown_table(tally: Mapping[str, tuple[int, int]]) -> str:
    """Return how often the expert mastered each task, with Wilson's interval."""
    rows = []
    for task, (played, mastered) in tally.items():
        rate = rate_interval(mastered, played)
        share = f"{100 * rate.estimate:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
        rows.append((task, played, mastered, share))
    return tabulate(rows, headers=("task", "played", "mastered", "%"), tablefmt="github")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run it."""
    command = tyro.cli(
        DemosCommand, prog="python -m benchmarks.demos", description=__doc__, args=arguments
    )
    return exit_code(command)


if __name__ == "__main__":
    sys.exit(main())

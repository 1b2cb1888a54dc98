"""The command `run`."""

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from harness.backends.inline import run_inline
from harness.backends.replay import Replayers, require_single
from harness.cli.codes import EXIT_INCOMPLETE, EXIT_INTERRUPTED
from harness.cli.output import notes
from harness.cli.progress import ProgressView
from harness.cli.report import RESULTS, show
from harness.contracts.errors import StorageError, UsageError
from harness.report.write import write_report
from harness.runs.evaluate import Backend, Tally, evaluate
from harness.runs.folder import Run, RunWriter
from harness.runs.plan import BenchmarkRequest, Plan, Work, resolve

Videos = Literal["none", "failures", "all"]
NOUNS = {"policy": "policies", "benchmark": "benchmarks"}


@dataclass(kw_only=True)
class RunCommand:
    """Evaluate policies on benchmarks; the same command again continues where it stopped."""

    policy: tuple[str, ...] = ()
    """Policies by name, or name:source, e.g. python:my_policy.py:MyPolicy. See: list policies."""
    benchmark: tuple[str, ...] = ()
    """Benchmarks by name, or one task as benchmark/task. See: list benchmarks."""
    tasks: tuple[str, ...] = ()
    """Task indices or names; all if not given."""
    episodes: int | None = None
    """Episodes for each task (10 if not given)."""
    seed: int | None = None
    """The run's seed (7 if not given)."""
    protocol: str = ""
    """The protocol card, e.g. openpi; the benchmark's default if not given. See: list protocols."""
    tracks: Path | None = None
    """The folder of VLABench's track files, for --protocol track1 and so on; else the environment
    variable VLABENCH_TRACKS."""
    control: tuple[str, ...] = ()
    """Play every policy once more without something: no-image, no-instruction or
    shuffled-instruction (another task's). What it still reaches shows what its score is made of."""
    stop_when_decided: bool = False
    """With two policies: stop when it is clear which one is better."""
    plan: Path | None = None
    """A YAML file that names policies, benchmarks, episodes and seed, in place of the above."""
    workers: int = 0
    """Environment actors on Ray, each using one core; 0 runs the episodes in this process."""
    ray_address: str = ""
    """A Ray cluster to join; a local one is started if not given."""
    policy_replicas: int | None = None
    """Actors for each policy that has a model; more are started while they are 80 % busy."""
    policy_gpus: float | None = None
    """GPUs for each of them, a fraction shares one; shared evenly if not given."""
    max_batch: int | None = None
    """Observations that a policy actor infers at once, at most; learnt if not given."""
    max_wait_ms: float | None = None
    """How long a policy actor waits for a batch to fill; learnt if not given."""
    out: Path | None = None
    """The run's folder; results/<policies>-<benchmarks> if not given."""
    video: Videos = "none"
    """Which episodes to film afterwards, by replaying their actions."""

    def __call__(self) -> int:
        """Build the plan and run it."""
        if self.tracks is not None:
            os.environ["VLABENCH_TRACKS"] = str(self.tracks.absolute())
        return self.carry_out(self._plan())

    def carry_out(self, plan: Plan) -> int:
        """Run a plan as the other arguments say."""
        out, workers = self.out or default_folder(plan), max(1, self.workers)
        return run_plan(plan, out, self.video, self._backend(), workers)

    def _backend(self) -> Backend:
        least = (("workers", 0), ("policy_replicas", 1), ("policy_gpus", 0), ("max_batch", 1))
        for name, minimum in (*least, ("max_wait_ms", 0)):
            value = getattr(self, name)
            if value is not None and value < minimum:
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} must be at least {minimum}, got {value}")
        if self.workers == 0:
            return run_inline
        from harness.backends.ray.backend import run_ray
        from harness.backends.ray.options import RayOptions

        options = RayOptions(
            workers=self.workers,
            address=self.ray_address,
            replicas=self.policy_replicas,
            gpus=self.policy_gpus,
            max_batch=self.max_batch,
            max_wait=None if self.max_wait_ms is None else self.max_wait_ms / 1000,
        )
        return partial(run_ray, options=options)

    def _plan(self) -> Plan:
        given: dict[str, Any] = {
            "policy": self.policy,
            "benchmark": self.benchmark,
            "tasks": self.tasks,
        }
        given |= {"episodes": self.episodes, "seed": self.seed, "protocol": self.protocol}
        given |= {"stop-when-decided": self.stop_when_decided or None, "control": self.control}
        if self.plan is not None:
            doubled = [
                f"--{name}" for name, value in given.items() if value not in ((), None, "", False)
            ]
            if doubled:
                raise UsageError(f"--plan says it all; leave out {' '.join(doubled)}")
            return Plan.load(self.plan)
        for name in ("policy", "benchmark"):
            if not given[name]:
                raise UsageError(f"--{name} is missing; see: run_eval.py list {NOUNS[name]}")
        return Plan(
            policies=self.policy,
            benchmarks=tuple(
                BenchmarkRequest(name, self.tasks, self.protocol) for name in self.benchmark
            ),
            episodes=10 if self.episodes is None else self.episodes,
            seed=7 if self.seed is None else self.seed,
            stop_when_decided=self.stop_when_decided,
            controls=self.control,
        )


def run_plan(
    plan: Plan, out: Path, video: Videos, backend: Backend = run_inline, workers: int = 1
) -> int:
    """Carry out a plan and print its table."""
    work = resolve(plan)
    if video != "none":
        for cell in work.cells:
            require_single(cell)
    with RunWriter(out, work) as run, ProgressView(notes) as view:
        for notice in run.notices:
            view.tell(notice)
        try:
            tally = evaluate(run, work, backend, view, workers)
        except (KeyboardInterrupt, StorageError) as stop:
            why = str(stop) or "interrupted"
            notes.print(f"\n{why}; {len(run.records())} episodes are kept in {out}.", markup=False)
            notes.print("Run the same command again to continue.")
            return EXIT_INCOMPLETE if isinstance(stop, StorageError) else EXIT_INTERRUPTED
    film(run, work, video)
    return finish(run, tally)


def finish(run: Run, tally: Tally) -> int:
    """Print the tables and write the page; an incomplete run shows in the exit code."""
    show(write_report([run], run.path / "tables", ("md", "csv", "html")))
    return 0 if tally.complete else EXIT_INCOMPLETE


def film(run: Run, work: Work, video: Videos) -> None:
    """Film episodes after the run, from their actions, so that films cost the run nothing."""
    if video == "none":
        return
    outcomes = {"failures": ("failure",), "all": ("failure", "success")}[video]
    records = run.records()
    replayers = Replayers()
    for spec in work.specs:
        path = run.path / "videos" / f"{spec.key}.mp4"
        record = records.get(spec.key)
        if record is None or record.outcome not in outcomes or path.exists():
            continue
        notes.print(f"filming {path.name}: {spec.policy} {spec.task}", markup=False)
        for line in replayers.play(work.cell(spec), run, record, path):
            notes.print(f"replay differs: {line}", style="red", markup=False)
    replayers.close()


def default_folder(plan: Plan) -> Path:
    """Return a folder named for what the plan compares, e.g. results/vla-e0-libero_object."""
    named = [part for reference in plan.policies for part in reference.split(",")]
    words = [re.findall(r"[\w.-]*\w", part) for part in named]
    policies = "-".join(dict.fromkeys(word for found in words for word in found[:1] + found[-1:]))
    return RESULTS / f"{policies}-{'-'.join(b.name.replace('/', '-') for b in plan.benchmarks)}"

"""The command `run`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from harness.cli.codes import EXIT_DIFFERENT, EXIT_INCOMPLETE, EXIT_INTERRUPTED
from harness.cli.film import Videos, film, require_video
from harness.cli.output import TYPED
from harness.contracts.errors import RunStopped, UsageError
from harness.contracts.extras import install_hint, program_name

if TYPE_CHECKING:
    from harness.runs.evaluate import Backend
    from harness.runs.plan import Plan

EPISODES, SEED = 10, 7


@dataclass(kw_only=True)
class RunCommand:
    """Evaluate policies on benchmarks. The same command again continues where it stopped.

    With more episodes, policies, benchmarks, tasks or ablations it adds them to the run.
    """

    policy: tuple[str, ...] = ()
    """Policies by name, or name:source, e.g. python:my_policy.py:MyPolicy. See: list policies."""
    benchmark: tuple[str, ...] = ()
    """Benchmarks by name, or one task as benchmark/task. See: list benchmarks."""
    tasks: tuple[str, ...] = ()
    """Task numbers or names. Default: all tasks."""
    episodes: str = ""
    """Episodes for each task, or their indices as FIRST:END, e.g. 25:75. Default: 10."""
    seed: int | None = None
    """The run's seed. Default: 7."""
    protocol: str = ""
    """The protocol card, e.g. openpi. Default: the benchmark's own. See: list protocols."""
    policy_python: str = ""
    """The Python environment that holds your python: and lerobot: policies, by its folder. Default:
    this one."""
    replan: int | None = None
    """Actions to execute before the policy infers again, in place of the protocol's number. The
    protocol's label says so."""
    ablate: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--control"])] = ()
    """Play every policy once more without an input: no-image, no-instruction, or
    shuffled-instruction (the instruction of another task)."""
    stop_when_decided: bool = False
    """With two policies: stop as soon as one is significantly better."""
    plan: Path | None = None
    """A YAML file with policies, benchmarks, episodes and seed, in place of the options above; or
    the run.json of a run, to repeat it."""
    workers: int = 0
    """Environment actors on Ray, one core each. 0 runs the episodes in this process."""
    ray_address: str = ""
    """The Ray cluster to join. Default: start a local one."""
    policy_replicas: int | None = None
    """Policy actors for each policy with a model. Default: one on each node."""
    policy_gpus: float | None = None
    """GPUs for each policy actor; a fraction shares one. Default: shared evenly."""
    max_batch: int | None = None
    """Observations that a policy actor infers at once, at most. Default: 8."""
    batching: Literal["auto", "exact", "fast"] = "auto"
    """exact: infer together only what gives the same bits in any batch. fast: infer any
    observations together; an action may then depend on the batch, and every table says so.
    auto: fast for policies on a GPU, otherwise exact."""
    keep_going: bool = False
    """Play the other episodes when a policy raises an exception. Default: stop at the first."""
    out: Path | None = None
    """The run's folder. Default: results/<policies>-<benchmarks>."""
    video: Videos = "none"
    """Episodes to film after the run, by replaying their actions."""

    def __call__(self) -> int:
        """Build the plan and run it."""
        return self.run(*self._plans())

    def run(self, *plans: "Plan") -> int:
        """Run plans with the backend, folder and videos of this command."""
        out = self.out or default_folder(plans)
        workers = max(1, self.workers)
        return run_plans(plans, out, self.video, self._backend(), workers, self.keep_going)

    def _backend(self) -> "Backend":
        for name, least in (("workers", 0), ("policy_replicas", 1), ("policy_gpus", 0)):
            require_at_least(name, getattr(self, name), least)
        require_at_least("max_batch", self.max_batch, 1)
        if self.workers == 0:
            from harness.backends.inline import run_inline
            from harness.cli.output import notes

            if given := self._given_for_ray():
                notes().print(f"notice: {' '.join(given)} has no effect without --workers")
            return run_inline
        from harness.backends.ray.backend import run_ray
        from harness.backends.ray.options import RayOptions

        options = RayOptions(
            workers=self.workers,
            address=self.ray_address,
            replicas=self.policy_replicas,
            gpus=self.policy_gpus,
            max_batch=self.max_batch,
            batching=self.batching,
        )
        return partial(run_ray, options=options)

    def _plans(self) -> "Sequence[Plan]":
        from harness.runs.plan import BenchmarkRequest, Plan
        from harness.runs.plan_file import load_plans
        from harness.runs.protocols import with_replan_option

        if self.plan is not None:
            if given := self._given():
                raise UsageError(f"--plan replaces other options; leave out {' '.join(given)}")
            return load_plans(self.plan)
        for name, plural in (("policy", "policies"), ("benchmark", "benchmarks")):
            if not getattr(self, name):
                raise UsageError(f"--{name} is missing; see: {program_name()} list {plural}")
        if self.replan is not None:
            require_at_least("replan", self.replan, 1)
        protocol = with_replan_option(self.protocol, self.replan)
        requests = [BenchmarkRequest(name, self.tasks, protocol) for name in self.benchmark]
        first, episodes = episode_range(self.episodes)
        plan = Plan(
            policies=tuple(elsewhere(policy, self.policy_python) for policy in self.policy),
            benchmarks=tuple(requests),
            episodes=episodes,
            first=first,
            seed=SEED if self.seed is None else self.seed,
            stop_when_decided=self.stop_when_decided,
            ablations=self.ablate,
        )
        return (plan,)

    def _given_for_ray(self) -> list[str]:
        """Return the options that were given and that only Ray uses."""
        names = ("ray_address", "policy_replicas", "policy_gpus", "max_batch")
        given = [name for name in names if getattr(self, name) not in (None, "")]
        given += ["batching"] if self.batching == "fast" else []
        return [f"--{name.replace('_', '-')}" for name in given]

    def _given(self) -> list[str]:
        """Return the options that a plan file replaces and that were given."""
        replaced = ("policy", "policy_python", "benchmark", "tasks", "episodes", "seed", "protocol")
        given = [
            name.replace("_", "-") for name in replaced if getattr(self, name) not in ((), None, "")
        ]
        given += ["replan"] if self.replan is not None else []
        given += ["ablate"] if self.ablate else []
        given += ["stop-when-decided"] if self.stop_when_decided else []
        return [f"--{name}" for name in given]


def episode_range(text: str) -> tuple[int, int]:
    """Return the first episode and the number of episodes in ``N`` or ``FIRST:END``.

    Raises:
        UsageError: The text has another form, or the range is empty.
    """
    first, colon, end = text.rpartition(":")
    try:
        start, stop = int(first or 0), int(end or EPISODES)
    except ValueError:
        start, stop = 0, -1
    if stop < 1 or not 0 <= start < stop or (colon and not (first and end)):
        raise UsageError(f"--episodes {text} is neither a number from 1 nor FIRST:END, e.g. 25:75")
    return start, stop - start


def elsewhere(policy: str, python: str) -> str:
    """Return the reference of a policy in another Python environment, if one is given."""
    if not python:
        return policy
    if ":" in python:
        raise UsageError(f"--policy-python {python} must be a path without ':'")
    return f"in:{Path(python).expanduser().absolute()}:{policy}"


def require_at_least(name: str, value: float | None, least: float) -> None:
    """Refuse a number that is too small.

    Raises:
        UsageError: It is; the message names the option.
    """
    if value is not None and value < least:
        raise UsageError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")


def run_plans(
    plans: "Sequence[Plan]",
    out: Path,
    video: Videos,
    backend: "Backend",
    workers: int = 1,
    keep_going: bool = False,
) -> int:
    """Run plans into one folder, print the tables, and film episodes if asked."""
    from harness.cli.output import notes
    from harness.cli.progress import ProgressView
    from harness.runs.evaluate import EpisodeCrashed, evaluate
    from harness.runs.folder import RunWriter
    from harness.runs.plan import resolve

    require_video(video)
    work = resolve(*plans)
    with RunWriter(out, work, TYPED.get()) as run, ProgressView(notes()) as view:
        for notice in run.notices:
            view.tell(notice)
        try:
            complete = evaluate(run, work, backend, view, workers, keep_going)
        except EpisodeCrashed as crash:
            view.console.print(f"\n{crash.traceback}", markup=False, highlight=False)
            raise UsageError(
                f"the policy raised an exception: {crash}. Tracebacks are in {out}/errors. Mend "
                f"it and run the same command, or add --keep-going to play the other episodes"
            ) from crash
        except (KeyboardInterrupt, RunStopped) as stop:
            why, kept = str(stop) or "interrupted", len({r.spec.key for r in run.counted()})
            view.console.print(
                f"\n{why}; {kept} episodes are kept in {out}.\n"
                f"Run the same command again to continue.",
                markup=False,
            )
            return EXIT_INCOMPLETE if isinstance(stop, RunStopped) else EXIT_INTERRUPTED
    # The first episode must not wait for these imports.
    from harness.cli.report import show_report
    from harness.report.write import write_report

    formats, tables = _formats(), run.path / "tables"
    show_report(write_report([run], tables, formats))
    try:
        films = film(run, work, video)
    except KeyboardInterrupt:
        notes().print("interrupted; the same command films the rest", markup=False)
        return EXIT_INTERRUPTED
    if films.made:  # The page links them.
        write_report([run], tables, formats)
    if films.different:
        return EXIT_DIFFERENT
    return 0 if complete else EXIT_INCOMPLETE


def _formats() -> tuple[str, ...]:
    """Return the formats that the installed packages can write."""
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        from harness.cli.output import notes

        notes().print(f"no page without {error.name}; run: {install_hint(error)}", markup=False)
        return ("md", "csv")
    return ("md", "csv", "html")


def default_folder(plans: "Sequence[Plan]") -> Path:
    """Return a folder named for what the plans compare, e.g. results/vla-e0-libero_object."""
    references = [reference for plan in plans for reference in plan.policies]
    sources = [part for reference in references for part in reference.split(",")]
    words = [re.findall(r"[\w.-]*\w", source) for source in sources]
    policies = "-".join(dict.fromkeys(word for found in words for word in found[:1] + found[-1:]))
    requests = [request for plan in plans for request in plan.benchmarks]
    benchmarks = "-".join(dict.fromkeys(request.name.replace("/", "-") for request in requests))
    return Path("results") / f"{policies}-{benchmarks}"

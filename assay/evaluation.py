"""Evaluates policies and returns their results."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.results import Results
from assay.untouched import untouched
from harness.contracts.errors import PolicyCrashed, UsageError
from harness.contracts.policy import Policy
from harness.contracts.record import EpisodeRecord
from harness.contracts.registry import OBJECT
from policies.objects import ObjectPolicy, as_policy

if TYPE_CHECKING:
    from harness.runs.evaluate import Backend, View
    from harness.runs.plan import Plan


def evaluate(
    policy: Any,
    benchmark: str | Sequence[str],
    *,
    tasks: Sequence[int | str] = (),
    episodes: int = 10,
    workers: int = 0,
    protocol: str = "",
    seed: int = 7,
    out: str | Path | None = None,
    name: str | None = None,
    ablate: Sequence[str] = (),
    replan: int | None = None,
    keep_going: bool = False,
    progress: bool = True,
) -> Results:
    """Evaluate a policy, or several in a list, and return the results.

    The same call again continues the run in its folder; more episodes, tasks or policies add to it.

    Args:
        policy: A callable from an observation to a chunk of actions, a class or function that
            creates one, or a reference as on the command line, e.g. ``vla:checkpoints/x``.
        benchmark: The benchmark's name, e.g. ``libero_object``, or several.
        tasks: Task numbers or names; empty means all.
        episodes: Episodes for each task.
        workers: Processes with a simulator, on Ray; 0 plays the episodes in this process.
        protocol: The protocol's card, e.g. ``openpi``; empty for the benchmark's own.
        seed: The run's seed.
        out: The run's folder; by default ``results/POLICY-BENCHMARK``.
        name: The policy's name in tables, if it is an object.
        ablate: Inputs without which every policy plays once more, e.g. ``no-image``.
        replan: Actions to execute of each chunk, in place of the protocol's number.
        keep_going: Whether to play the other episodes after the policy raised an exception.
        progress: Whether to show a bar, or lines where no bar can be drawn.

    Raises:
        UsageError: The request has a mistake.
        PolicyCrashed: The policy raised an exception, which is the cause of this one.
        StorageError: The disk is full.
    """
    from harness.runs.plan import BenchmarkRequest, Plan
    from harness.runs.protocols import with_replan_option

    for option, value, least in (("workers", workers, 0), ("replan", replan, 1)):
        if value is not None and value < least:
            raise UsageError(f"{option} must be at least {least}, got {value}")
    card = with_replan_option(protocol, replan)
    benchmarks = [benchmark] if isinstance(benchmark, str) else benchmark
    with untouched():
        objects, references = _policies(policy, name)
        requests = [BenchmarkRequest(each, tuple(map(str, tasks)), card) for each in benchmarks]
        plan = Plan(
            policies=tuple(references),
            benchmarks=tuple(requests),
            episodes=episodes,
            seed=seed,
            ablations=tuple(ablate),
        )
        return _run(plan, objects, Path(out) if out else None, workers, keep_going, progress)


def _policies(given: Any, name: str | None) -> tuple[dict[str, Policy], list[str]]:
    """Return the objects by reference, and the references of all policies in order."""
    several = given if isinstance(given, list | tuple) else [given]
    if not several:
        raise UsageError("there is no policy to evaluate")
    if name is not None and (len(several) > 1 or isinstance(several[0], str)):
        raise UsageError("name= names a single policy that is an object")
    objects: dict[str, Policy] = {}
    references = []
    for one in several:
        if isinstance(one, str):
            references.append(one)
            continue
        made = as_policy(one, name)
        references.append(f"{OBJECT}{made.spec.name}")
        objects[references[-1]] = made
    return objects, references


def _run(
    plan: "Plan",
    objects: dict[str, Policy],
    out: Path | None,
    workers: int,
    keep_going: bool,
    progress: bool,
) -> Results:
    from harness.runs.evaluate import evaluate as play
    from harness.runs.folder import RunWriter
    from harness.runs.plan import resolve

    work = resolve(plan, objects=objects)
    path = out or _default_folder(plan)
    try:
        with RunWriter(path, work) as run, _view(progress) as view:
            for notice in run.notices:
                view.tell(notice)
            play(run, work, _backend(workers), view, max(1, workers), keep_going)
    except PolicyCrashed as crash:
        raise crash from _cause(crash, objects.values())
    except KeyboardInterrupt as stop:
        stop.add_note(f"The finished episodes are kept in {path}; the same call continues.")
        raise
    return Results(path, tuple(work.players))


def _default_folder(plan: "Plan") -> Path:
    """Return the command line's folder; an object counts by its name, without the digest."""
    from harness.cli.run import default_folder

    def shown(reference: str) -> str:
        if not reference.startswith(OBJECT):
            return reference
        return reference.removeprefix(OBJECT).partition("@")[0]

    return default_folder([replace(plan, policies=tuple(map(shown, plan.policies)))])


def _backend(workers: int) -> "Backend":
    if workers == 0:
        from harness.backends.inline import run_inline

        return run_inline
    from harness.backends.ray.backend import run_ray
    from harness.backends.ray.options import RayOptions

    return partial(run_ray, options=RayOptions(workers=workers))


def _view(progress: bool) -> AbstractContextManager["View"]:
    if not progress:
        return nullcontext(_Quiet())
    from rich.console import Console

    from harness.cli.progress import ProgressView

    return ProgressView(Console(stderr=True, emoji=False))


class _Quiet:
    """Shows nothing."""

    def start(self, wanted: int, done: Sequence[EpisodeRecord]) -> None:
        """Show nothing."""

    def add(self, record: EpisodeRecord) -> None:
        """Show nothing."""

    def tell(self, notice: str) -> None:
        """Show nothing."""


class _Traceback(Exception):  # noqa: N818 - shown as the cause of a crash
    """The traceback of a policy that raised its exception in another process."""

    def __str__(self) -> str:
        return "\n" + super().__str__()


def _cause(crash: PolicyCrashed, policies: Iterable[Policy]) -> BaseException:
    """Return the policy's own exception, or its traceback if another process had it."""
    if crash.__cause__ is not None:
        return crash.__cause__
    for policy in policies:
        if isinstance(policy, ObjectPolicy) and policy.raised is not None:
            raised, policy.raised = policy.raised, None
            return raised
    return _Traceback(crash.traceback)

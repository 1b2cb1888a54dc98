"""The plan of a run: its validation and its episodes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from harness.contracts.ablation import ABLATIONS
from harness.contracts.errors import UsageError, require_known
from harness.contracts.foreign_text import outline
from harness.contracts.policy import Policy, check_compatible
from harness.contracts.registry import OBJECT, find_benchmark, make_policy
from harness.contracts.setup import BenchmarkSetup
from harness.contracts.spec import EpisodeSpec
from harness.play.generators import Generators
from harness.play.worker import check_replan
from harness.runs.protocols import find_protocol_of

MOST_EPISODES = 1_000_000
"""Episodes of a plan, at most: more would fill the memory before the first is played."""
LARGEST_SEED = 2**63 - 1
"""The largest seed that every table can hold."""
ROUND = 2
"""Episodes of each task in a round of a run that may stop early.

Two, not one: a round moves through all tasks, and each move builds a simulator.
"""


@dataclass(frozen=True)
class BenchmarkRequest:
    """A benchmark with the requested tasks and protocol.

    Attributes:
        name: E.g. ``libero_object``, or with one task behind it, ``maniskill/PickCube-v1``.
        tasks: Indices or names; empty means all.
        protocol: The card's name or its label, with options as ``CARD,OPTION=VALUE``; empty
            means the family's default.
    """

    name: str
    tasks: tuple[str, ...] = ()
    protocol: str = ""


@dataclass(frozen=True)
class Plan:
    """The policies and benchmarks of a run.

    Attributes:
        policies: References as on the command line, ``name`` or ``name:source``.
        benchmarks: The benchmarks with their tasks and protocols.
        episodes: Episodes for each task.
        seed: The run's seed.
        stop_when_decided: Whether to stop when one of two policies is significantly better.
        ablations: Inputs without which every policy plays once more, e.g. ``no-image``.
        first: The index of the first episode.
        identities: The identities of the policies, if they are known. A policy that has another
            one is refused.
    """

    policies: tuple[str, ...]
    benchmarks: tuple[BenchmarkRequest, ...]
    episodes: int
    seed: int = 7
    stop_when_decided: bool = False
    ablations: tuple[str, ...] = ()
    first: int = 0
    identities: tuple[str, ...] = ()

    @property
    def episode_range(self) -> range:
        """The indices of the episodes of each task."""
        return range(self.first, self.first + self.episodes)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values, for run.json."""
        values = asdict(self)
        values["policies"] = list(self.identities or self.policies)
        values["ablations"] = list(self.ablations)
        del values["identities"]
        values["benchmarks"] = [asdict(b) | {"tasks": list(b.tasks)} for b in self.benchmarks]
        return values


@dataclass(frozen=True)
class Work:
    """Resolved plans: every name is known and every episode listed.

    Attributes:
        plans: The plans with identities, task names for indices, and a protocol's label for every
            benchmark. They have the same seed.
        policies: The policies by identity.
        references: How the command line names them, by identity.
        setups: The benchmarks.
        specs: Every episode, in an order that keeps a simulator in use.
    """

    plans: tuple[Plan, ...]
    policies: Mapping[str, Policy]
    references: Mapping[str, str]
    setups: tuple[BenchmarkSetup, ...]
    specs: tuple[EpisodeSpec, ...]

    @property
    def seed(self) -> int:
        """The seed of the plans."""
        return self.plans[0].seed

    @property
    def stop_when_decided(self) -> bool:
        """Whether to stop when one of two policies is significantly better."""
        return self.plans[0].stop_when_decided

    @property
    def players(self) -> list[str]:
        """The policies and their ablations, as tables name them, in the plan's order."""
        return list(dict.fromkeys(spec.player for spec in self.specs))

    def setup(self, spec: EpisodeSpec) -> BenchmarkSetup:
        """Return the benchmark and protocol of an episode."""
        for setup in self.setups:
            if setup.benchmark == spec.benchmark and setup.protocol.label == spec.protocol:
                return setup
        raise KeyError(spec.key)

    def origin(self, policy: str) -> str | Policy:
        """Return what another process gets a policy from: its reference, or the object itself."""
        reference = self.references[policy]
        return self.policies[policy] if reference.startswith(OBJECT) else reference

    def interpreter(self, spec: EpisodeSpec) -> str:
        """Return the Python program that plays an episode; empty for this process's own."""
        venv = self.setup(spec).family.venv
        return "" if venv is None else str(venv.interpreter)


def resolve(*plans: Plan, objects: Mapping[str, Policy] | None = None) -> Work:
    """Check every name and number of some plans and list their episodes, each once.

    Args:
        plans: The plans.
        objects: Policies that exist already, by the references with which the plans name them.

    Raises:
        UsageError: Something in a plan is unknown, out of range or cannot run here.
    """
    if len({plan.seed for plan in plans}) > 1:
        raise UsageError("the plans have several seeds; run each with its own --out")
    if len(plans) > 1 and any(plan.stop_when_decided for plan in plans):
        raise UsageError("a plan with stop_when_decided cannot be run together with another one")
    built = dict(objects or {})
    parts = [_resolve_plan(plan, built) for plan in plans]
    specs = {spec.key: spec for part in parts for spec in part.specs}
    work = Work(
        tuple(plan for part in parts for plan in part.plans),
        {policy.spec.name: policy for policy in built.values()},
        {policy.spec.name: reference for reference, policy in built.items()},
        _joined_setups([setup for part in parts for setup in part.setups]),
        tuple(specs.values()),
    )
    _check_can_run(work)
    for part in parts:
        _check_fit(part)
    return work


def _resolve_plan(plan: Plan, built: dict[str, Policy]) -> Work:
    """Resolve a plan; policies are taken from `built`, or added to it."""
    _check_numbers(plan)
    for reference in plan.policies:
        if reference not in built:
            with Generators():  # A simulator of this process must not notice a constructor.
                built[reference] = make_policy(reference)
    policies = {built[reference].spec.name: built[reference] for reference in plan.policies}
    if len(policies) < len(plan.policies):
        raise UsageError(f"a policy is named twice: {', '.join(plan.policies)}")
    _check_identities(plan, tuple(policies))
    last = plan.episode_range.stop
    setups = tuple(resolve_setup(request, last) for request in _gathered(plan.benchmarks))
    if len({(setup.benchmark, setup.protocol.label) for setup in setups}) < len(setups):
        raise UsageError("a benchmark is named twice with the same protocol")
    _check_ablations(plan.ablations, policies, setups)
    resolved = replace(
        plan,
        benchmarks=tuple(_canonical(setup) for setup in setups),
        identities=tuple(policies),
    )
    specs = _episodes(plan, list(policies), setups)
    work = Work((resolved,), policies, {}, setups, specs)
    if plan.stop_when_decided and len(work.players) != 2:
        raise UsageError(f"--stop-when-decided compares two policies, not {len(work.players)}")
    return work


def _check_numbers(plan: Plan) -> None:
    for name, value, least, most in (
        ("episodes", plan.episodes, 1, MOST_EPISODES),
        ("seed", plan.seed, 0, LARGEST_SEED),
        ("first", plan.first, 0, LARGEST_SEED - MOST_EPISODES),
    ):
        if value < least:
            raise UsageError(f"{name} must be at least {least}, got {outline(value)}")
        if value > most:
            raise UsageError(f"{name} must be at most {most}, got {outline(value)}")


def _check_identities(plan: Plan, found: Sequence[str]) -> None:
    """Refuse policies that are not those of a recorded run."""
    for reference, was, here in zip(plan.policies, plan.identities, found, strict=False):
        if was != here:
            raise UsageError(
                f"the run's policy {was} cannot be repeated: {reference} is {here} here. The run's "
                f"folder has its source in code/{was}, if it was a Python file"
            )


def _joined_setups(setups: Sequence[BenchmarkSetup]) -> tuple[BenchmarkSetup, ...]:
    """Return one setup for each benchmark and protocol, with the tasks of all."""
    joined: dict[tuple[str, str], BenchmarkSetup] = {}
    for setup in setups:
        place = (setup.benchmark, setup.protocol.label)
        tasks = (*joined[place].tasks, *setup.tasks) if place in joined else setup.tasks
        joined[place] = replace(setup, tasks=tuple(dict.fromkeys(tasks)))
    return tuple(joined.values())


def rounds(episodes: range) -> Iterator[range]:
    """Divide the episodes of a task into rounds, for a run that may stop early."""
    for start in range(0, len(episodes), ROUND):
        yield episodes[start : start + ROUND]


def _episodes(
    plan: Plan, policies: Sequence[str], setups: Sequence[BenchmarkSetup]
) -> tuple[EpisodeSpec, ...]:
    every = plan.episode_range
    tasks = sum(len(setup.tasks) for setup in setups)
    count = len(every) * tasks * len(policies) * (1 + len(plan.ablations))
    if count > MOST_EPISODES:
        raise UsageError(f"the plan has {count} episodes; a run takes at most {MOST_EPISODES}")
    parts = list(rounds(every)) if plan.stop_when_decided else [every]
    return tuple(
        EpisodeSpec(
            policy, setup.benchmark, task, episode, plan.seed, setup.protocol.label, ablation
        )
        for episodes in parts
        for setup in setups
        for task in setup.tasks
        for ablation in ("", *plan.ablations)
        for policy in policies
        for episode in episodes
    )


def _canonical(setup: BenchmarkSetup) -> BenchmarkRequest:
    return BenchmarkRequest(setup.benchmark, setup.tasks, setup.protocol.label)


def _check_ablations(
    ablations: Sequence[str], policies: Mapping[str, Policy], setups: Sequence[BenchmarkSetup]
) -> None:
    for ablation in ablations:
        require_known("ablation", ablation, ABLATIONS)
        if ablations.count(ablation) > 1:
            raise UsageError(f"the ablation {ablation} is named twice")
        for name, policy in policies.items():
            if policy.needs_env:
                raise UsageError(f"{name} reads the simulator's state; an ablation hides nothing")
    if "shuffled-instruction" in ablations:
        for setup in setups:
            if len(set(setup.instructions)) < 2:
                raise UsageError(f"{setup.benchmark} has only one instruction; none to shuffle")


def _check_can_run(work: Work) -> None:
    images = any(policy.spec.cameras for policy in work.policies.values())
    problems = [setup.family.problem(images) for setup in work.setups]
    problems += [setup.family.venv.problem() for setup in work.setups if setup.family.venv]
    for name, policy in work.policies.items():
        problems.append(policy.missing([spec for spec in work.specs if spec.policy == name]))
    for problem in problems:
        if problem:
            raise UsageError(problem)


def _check_fit(work: Work) -> None:
    """Refuse a policy that would misread a task, before any simulator is built."""
    for policy, setup in product(work.policies.values(), work.setups):
        check_replan(policy, setup.protocol)
        for task in setup.tasks:
            env = setup.family.env_spec(setup.benchmark, task, setup.protocol)
            if env is not None:
                check_compatible(policy.spec, env)


def _gathered(requests: Sequence[BenchmarkRequest]) -> list[BenchmarkRequest]:
    """Merge requests of the form benchmark/task into one request for each benchmark."""
    gathered: list[BenchmarkRequest] = []
    single: dict[tuple[str, str], int] = {}
    for request in requests:
        name, slash, task = request.name.partition("/")
        if ":" in name:  # An id of Gymnasium, which may hold a slash itself.
            name, slash, task = request.name, "", ""
        place = single.get((name, request.protocol))
        if not slash:
            gathered.append(request)
        elif request.tasks:
            raise UsageError(f"{request.name} names its task; leave out --tasks")
        elif place is None:
            single[name, request.protocol] = len(gathered)
            gathered.append(BenchmarkRequest(name, (task,), request.protocol))
        else:
            known = gathered[place]
            gathered[place] = replace(known, tasks=(*known.tasks, task))
    return gathered


def resolve_setup(request: BenchmarkRequest, episodes: int) -> BenchmarkSetup:
    """Return the benchmark, tasks and protocol of a request.

    Raises:
        UsageError: A name is unknown, or the benchmark has fewer than `episodes` episodes.
    """
    family = find_benchmark(request.name)
    protocol = find_protocol_of(family, request.name, request.protocol)
    names = [task.name for task in family.tasks(request.name)]
    tasks = tuple(_task_name(request.name, task, names) for task in request.tasks or names)
    if len(set(tasks)) < len(tasks):
        raise UsageError(f"a task of {request.name} is named twice: {' '.join(request.tasks)}")
    for task in tasks:
        available = family.episodes(request.name, task)
        if available is not None and episodes > available:
            raise UsageError(
                f"{request.name} has {available} distinct episodes of task {task}; "
                f"{episodes} would repeat some: use --episodes {available} or fewer"
            )
    return BenchmarkSetup(family, request.name, tasks, protocol)


def _task_name(benchmark: str, task: str, names: Sequence[str]) -> str:
    if not re.fullmatch("-?[0-9]{1,9}", task):
        require_known(f"task of {benchmark}", task, names)
        return task
    if not 0 <= int(task) < len(names):
        raise UsageError(f"task {task} of {benchmark} is out of range: 0 to {len(names) - 1}")
    return names[int(task)]

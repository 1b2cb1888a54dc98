"""The plan of a run: its validation and its episodes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from harness.contracts.ablation import ABLATIONS
from harness.contracts.benchmark import Benchmark
from harness.contracts.errors import UsageError, require_known
from harness.contracts.policy import Policy
from harness.contracts.protocol import Protocol, ProtocolLabel
from harness.contracts.registry import find_benchmark, make_policy
from harness.contracts.setup import BenchmarkSetup
from harness.contracts.spec import EpisodeSpec

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
    """

    policies: tuple[str, ...]
    benchmarks: tuple[BenchmarkRequest, ...]
    episodes: int
    seed: int = 7
    stop_when_decided: bool = False
    ablations: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Read a plan from a YAML file.

        Raises:
            UsageError: The file is missing or malformed, or a field is misspelt.
        """
        try:
            content = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the plan {path}: {error}") from error
        except yaml.YAMLError as error:
            raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
        values = _known_fields(content, cls, str(path))
        if not values.get("policies") or not values.get("benchmarks"):
            raise UsageError(f"{path} must name at least one of policies and one of benchmarks")
        requests = tuple(_request(entry, str(path)) for entry in _listed(values["benchmarks"]))
        return cls(
            policies=tuple(str(name) for name in _listed(values["policies"])),
            benchmarks=requests,
            episodes=_whole(values.get("episodes", 10), "episodes", str(path)),
            seed=_whole(values.get("seed", 7), "seed", str(path)),
            stop_when_decided=values.get("stop_when_decided", False) is True,
            ablations=tuple(str(name) for name in _listed(values.get("ablations", []))),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values, for run.json."""
        values = asdict(self)
        values["policies"], values["ablations"] = list(self.policies), list(self.ablations)
        values["benchmarks"] = [asdict(b) | {"tasks": list(b.tasks)} for b in self.benchmarks]
        return values


@dataclass(frozen=True)
class Work:
    """A resolved plan: every name is known and every episode listed.

    Attributes:
        plan: The plan with task names for indices and a protocol for every benchmark.
        policies: The policies by identity.
        references: How the command line names them, by identity.
        setups: The benchmarks.
        specs: Every episode, in an order that keeps a simulator in use.
    """

    plan: Plan
    policies: Mapping[str, Policy]
    references: Mapping[str, str]
    setups: tuple[BenchmarkSetup, ...]
    specs: tuple[EpisodeSpec, ...]

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

    def interpreter(self, spec: EpisodeSpec) -> str:
        """Return the Python program that plays an episode; empty for this process's own."""
        venv = self.setup(spec).family.venv
        return "" if venv is None else str(venv.interpreter)


def resolve(plan: Plan) -> Work:
    """Check every name and number of a plan and list its episodes.

    Raises:
        UsageError: Something in the plan is unknown, out of range or cannot run here.
    """
    for name, value, least in (("episodes", plan.episodes, 1), ("seed", plan.seed, 0)):
        if value < least:
            raise UsageError(f"{name} must be at least {least}, got {value}")
    built = [(reference, make_policy(reference)) for reference in plan.policies]
    policies = {policy.spec.name: policy for _, policy in built}
    if len(policies) < len(built):
        raise UsageError(f"a policy is named twice: {', '.join(plan.policies)}")
    setups = tuple(_resolve_setup(request, plan.episodes) for request in _gathered(plan.benchmarks))
    if len({(setup.benchmark, setup.protocol.label) for setup in setups}) < len(setups):
        raise UsageError("a benchmark is named twice with the same protocol")
    _check_ablations(plan.ablations, policies, setups)
    work = Work(
        replace(plan, benchmarks=tuple(_canonical(setup) for setup in setups)),
        policies,
        {policy.spec.name: reference for reference, policy in built},
        setups,
        _episodes(plan, list(policies), setups),
    )
    if plan.stop_when_decided and len(work.players) != 2:
        raise UsageError(f"--stop-when-decided compares two policies, not {len(work.players)}")
    _check_can_run(work)
    return work


def rounds(episodes: int) -> Iterator[range]:
    """Divide the episodes of a task into rounds, for a run that may stop early."""
    for start in range(0, episodes, ROUND):
        yield range(start, min(start + ROUND, episodes))


def _episodes(
    plan: Plan, policies: Sequence[str], setups: Sequence[BenchmarkSetup]
) -> tuple[EpisodeSpec, ...]:
    parts = list(rounds(plan.episodes)) if plan.stop_when_decided else [range(plan.episodes)]
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


def _gathered(requests: Sequence[BenchmarkRequest]) -> list[BenchmarkRequest]:
    """Merge requests of the form benchmark/task into one request for each benchmark."""
    gathered: list[BenchmarkRequest] = []
    single: dict[tuple[str, str], int] = {}
    for request in requests:
        name, slash, task = request.name.partition("/")
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


def _resolve_setup(request: BenchmarkRequest, episodes: int) -> BenchmarkSetup:
    family = find_benchmark(request.name)
    protocol = _resolve_protocol(family, request)
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


def _resolve_protocol(family: Benchmark, request: BenchmarkRequest) -> Protocol:
    """Find the protocol that a request names by its card, or by the label of a recorded run."""
    named, options = _protocol_options(request.protocol)
    if "@" not in named:
        card = named.removeprefix(f"{family.name}/") or family.protocol_of(request.name)
        protocol = family.protocol(card, options)
    else:
        protocol = family.protocol(_label(named).card, options)
        if protocol.label != named:
            raise UsageError(
                f"the protocol was {named}; here it is {protocol.label} "
                f"({protocol.rules.get('simulator')})"
            )
    protocol.limit(request.name)
    return protocol


def _label(text: str) -> ProtocolLabel:
    try:
        return ProtocolLabel.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _protocol_options(text: str) -> tuple[str, dict[str, str]]:
    """Split ``CARD,OPTION=VALUE,...`` into the card and its options."""
    card, *given = text.split(",")
    options: dict[str, str] = {}
    for each in given:
        option, equals, value = each.partition("=")
        if not (option and equals and value):
            raise UsageError(f"{each!r} in --protocol {text} is not OPTION=VALUE")
        if option in options:
            raise UsageError(f"--protocol {text} gives {option} twice")
        options[option] = value
    return card, options


def _task_name(benchmark: str, task: str, names: Sequence[str]) -> str:
    if not task.lstrip("-").isdigit():
        require_known(f"task of {benchmark}", task, names)
        return task
    if not 0 <= int(task) < len(names):
        raise UsageError(f"task {task} of {benchmark} is out of range: 0 to {len(names) - 1}")
    return names[int(task)]


def _known_fields(content: Any, target: type[Any], where: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise UsageError(f"{where} must hold a mapping of fields, not {type(content).__name__}")
    for key in content:
        require_known(f"field in {where}", str(key), [f.name for f in fields(target)])
    return content


def _request(entry: Any, where: str) -> BenchmarkRequest:
    if isinstance(entry, str):
        return BenchmarkRequest(entry)
    values = _known_fields(entry, BenchmarkRequest, where)
    if "name" not in values:
        raise UsageError(f"a benchmark in {where} has no name")
    tasks = tuple(str(task) for task in _listed(values.get("tasks", [])))
    return BenchmarkRequest(str(values["name"]), tasks, str(values.get("protocol", "")))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _whole(value: Any, name: str, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{name} in {where} must be a whole number, got {value!r}")
    return value

"""What a run shall measure: the plan, its validation, and the episodes that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from harness.contracts.ablation import arm_of, under_control
from harness.contracts.benchmark import Benchmark
from harness.contracts.errors import UsageError, require_known
from harness.contracts.policy import LocalPolicy, Policy
from harness.contracts.protocol import Protocol
from harness.contracts.registry import find_benchmark, make_policy
from harness.contracts.spec import EpisodeSpec
from harness.runs.rounds import rounds


@dataclass(frozen=True)
class BenchmarkRequest:
    """A benchmark with the tasks and the protocol that are asked for.

    Attributes:
        name: E.g. ``libero_object``, or with one task behind it, ``maniskill/PickCube-v1``.
        tasks: Indices or names; empty means all.
        protocol: The card's short name; empty means the family's default.
    """

    name: str
    tasks: tuple[str, ...] = ()
    protocol: str = ""


@dataclass(frozen=True)
class Plan:
    """Several policies on several benchmarks.

    Attributes:
        policies: References as on the command line, ``name`` or ``name:source``.
        benchmarks: Where they are evaluated.
        episodes: Episodes for each task.
        seed: The run's seed.
        stop_when_decided: Whether to stop when it is clear which of two policies is better.
        controls: Arms in which every policy is evaluated besides.
    """

    policies: tuple[str, ...]
    benchmarks: tuple[BenchmarkRequest, ...]
    episodes: int
    seed: int = 7
    stop_when_decided: bool = False
    controls: tuple[str, ...] = ()

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
            controls=tuple(str(name) for name in _listed(values.get("controls", []))),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values, for run.json."""
        values = asdict(self)
        values["policies"], values["controls"] = list(self.policies), list(self.controls)
        values["benchmarks"] = [asdict(b) | {"tasks": list(b.tasks)} for b in self.benchmarks]
        return values


@dataclass(frozen=True)
class Cell:
    """A benchmark of a plan with all names resolved."""

    family: Benchmark
    benchmark: str
    tasks: tuple[str, ...]
    protocol: Protocol

    @property
    def instructions(self) -> list[str]:
        """What the benchmark's tasks say."""
        return [task.instruction for task in self.family.tasks(self.benchmark)]


@dataclass(frozen=True)
class Work:
    """A resolved plan: what will run, known to be possible before anything starts.

    Attributes:
        plan: The plan in canonical form: task names for indices, every protocol named.
        policies: The policies by their identity.
        references: How the command line names them, by identity.
        cells: The benchmarks.
        specs: Every episode, in an order that keeps a simulator in use.
    """

    plan: Plan
    policies: Mapping[str, Policy]
    references: Mapping[str, str]
    cells: tuple[Cell, ...]
    specs: tuple[EpisodeSpec, ...]

    def cell(self, spec: EpisodeSpec) -> Cell:
        """Return the cell that an episode belongs to."""
        for cell in self.cells:
            if cell.benchmark == spec.benchmark and cell.protocol.label == spec.protocol:
                return cell
        raise KeyError(spec.key)

    def interpreter(self, spec: EpisodeSpec) -> str:
        """Return the program in which an episode is played; empty for this process's own."""
        python = self.cell(spec).family.venv
        return "" if python is None else str(python.interpreter)


def resolve(plan: Plan) -> Work:
    """Check every name and number of a plan and list its episodes.

    Raises:
        UsageError: Something in the plan is unknown, out of range or cannot run here.
    """
    for name, value, least in (("episodes", plan.episodes, 1), ("seed", plan.seed, 0)):
        if value < least:
            raise UsageError(f"{name} must be at least {least}, got {value}")
    named = [(reference, _built(reference, "")) for reference in plan.policies]
    named += [
        (reference, _built(reference, control))
        for control in plan.controls
        for reference in plan.policies
    ]
    policies = {policy.spec.name: policy for _, policy in named}
    if len(policies) < len(named):
        raise UsageError(f"a policy is named twice: {', '.join(plan.policies)}")
    cells = tuple(_resolve_cell(request, plan.episodes) for request in _gathered(plan.benchmarks))
    if len({(cell.benchmark, cell.protocol.label) for cell in cells}) < len(cells):
        raise UsageError("a benchmark is named twice with the same protocol")
    if plan.stop_when_decided and len(policies) != 2:
        raise UsageError(f"--stop-when-decided compares two policies, not {len(policies)}")
    parts = list(rounds(plan.episodes)) if plan.stop_when_decided else [range(plan.episodes)]
    specs = tuple(
        EpisodeSpec(name, cell.benchmark, task, episode, plan.seed, cell.protocol.label)
        for episodes in parts
        for cell in cells
        for task in cell.tasks
        for name in policies
        for episode in episodes
    )
    _check_can_run(policies, cells, specs)
    requests = tuple(
        BenchmarkRequest(cell.benchmark, cell.tasks, cell.protocol.name.partition("/")[2])
        for cell in cells
    )
    canonical = replace(plan, benchmarks=requests)
    references = {policy.spec.name: reference for reference, policy in named}
    return Work(canonical, policies, references, cells, specs)


def _built(reference: str, control: str) -> Policy:
    policy = make_policy(reference)
    return under_control(policy, control) if control else policy


def _check_can_run(
    policies: Mapping[str, Policy], cells: Sequence[Cell], specs: Sequence[EpisodeSpec]
) -> None:
    images = any(policy.spec.cameras for policy in policies.values())
    problems = [cell.family.problem(images) for cell in cells]
    problems += [cell.family.venv.problem() for cell in cells if cell.family.venv]
    problems += [
        f"{cell.benchmark} has one instruction only; there is none to shuffle"
        for cell in cells
        if any(arm_of(name) == "shuffled-instruction" for name in policies)
        and len(set(cell.instructions)) < 2
    ]
    batched = [cell for cell in cells if cell.protocol.batch > 1]
    problems += [cell.family.batch_problem() for cell in batched]
    for name, policy in policies.items():
        if batched and isinstance(policy, LocalPolicy):
            problems.append(
                f"{name} reaches into one environment, and {batched[0].protocol.name} plays "
                f"{batched[0].protocol.batch} together; choose another protocol"
            )
        problems.append(policy.missing([spec for spec in specs if spec.policy == name]))
    for problem in problems:
        if problem:
            raise UsageError(problem)


def _gathered(requests: Sequence[BenchmarkRequest]) -> list[BenchmarkRequest]:
    """Gather the tasks that stand behind their benchmark's name, one request a benchmark."""
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


def _resolve_cell(request: BenchmarkRequest, episodes: int) -> Cell:
    family = find_benchmark(request.name)
    protocols = family.protocols()
    short = request.protocol.removeprefix(f"{family.name}/") or family.protocol_of(request.name)
    require_known(f"protocol of {family.name}", short, protocols)
    protocol = protocols[short]
    protocol.limit(request.name)
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
    return Cell(family, request.name, tasks, protocol)


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

"""The command `list`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from harness.cli.output import notes
from harness.contracts.errors import UsageError
from harness.contracts.extras import program_name

if TYPE_CHECKING:
    from harness.contracts.benchmark import Benchmark
    from harness.contracts.protocol import Protocol

_FACTS = ("cameras", "state", "action", "limit", "episodes")


@dataclass
class ListCommand:
    """List what is installed."""

    what: Annotated[
        Literal["benchmarks", "tasks", "policies", "protocols", "layouts"], tyro.conf.Positional
    ]
    """What to list."""
    benchmark: Annotated[str, tyro.conf.Positional] = ""
    """The benchmark whose tasks to list."""
    protocol: str = ""
    """The protocol card, for the cameras and limits of tasks. Default: the benchmark's own."""

    def __call__(self) -> int:
        """Print one line for each."""
        if self.what == "tasks":
            for line in _tasks(self.benchmark, self.protocol):
                print(line)
            return 0
        if self.benchmark or self.protocol:
            raise UsageError(
                f"list {self.what} takes no benchmark and no protocol; list tasks does"
            )
        lines = {
            "benchmarks": _benchmarks,
            "policies": _policies,
            "protocols": _protocols,
            "layouts": _layouts,
        }
        for line in lines[self.what]():
            print(line)
        return 0


def _benchmarks() -> Iterator[str]:
    for family in _families():
        if not _cannot_run(family):
            for name in family.benchmarks():
                yield f"{name:40} {len(family.tasks(name)):3} tasks"


def _protocols() -> Iterator[str]:
    for family in _families():
        if not _cannot_run(family):
            for card in family.protocols().values():
                yield f"{card.label:34} {card.summary}"


def _tasks(benchmark: str, protocol: str) -> Iterator[str]:
    from harness.contracts.registry import find_benchmark
    from harness.runs.protocols import find_protocol_of

    if not benchmark:
        raise UsageError("list tasks needs a benchmark; see: list benchmarks")
    family = find_benchmark(benchmark)
    card = find_protocol_of(family, benchmark, protocol)
    tasks = family.tasks(benchmark)
    facts = {task.name: _facts(family, benchmark, task.name, card) for task in tasks}
    chunk = "whole chunks" if card.replan is None else f"{card.replan} actions of a chunk"
    yield f"{benchmark} under {card.label}: {card.episodes_per_task} episodes a task, {chunk}"
    shared = {
        name: values.most_common(1)[0][0]
        for name, values in (
            (name, Counter(each[name] for each in facts.values())) for name in _FACTS
        )
    }
    yield from (f"  {name:9} {value}" for name, value in shared.items())
    width = max((len(task.name) for task in tasks), default=0)
    for index, task in enumerate(tasks):
        yield f"{index:3}  {task.name:{width}}  {task.instruction}".rstrip()
        for name, value in facts[task.name].items():
            if value != shared[name]:
                yield f"       {name}: {value}"


def _facts(family: "Benchmark", benchmark: str, task: str, card: "Protocol") -> dict[str, str]:
    """Return a task's facts by name, as the list shows them."""
    env = family.env_spec(benchmark, task, card)
    episodes = family.episodes(benchmark, task)
    unknown = "known only when the simulator is built"
    sizes = {} if env is None else env.cameras
    cameras = ", ".join(f"{role} {height}x{width}" for role, (height, width) in sizes.items())
    values = (
        unknown if env is None else cameras or "none",
        unknown if env is None else str(env.state_layout),
        unknown if env is None else str(env.action_layout),
        f"{family.step_limit(benchmark, task, card)} steps",
        "any number" if episodes is None else f"{episodes} distinct ones",
    )
    return dict(zip(_FACTS, values, strict=True))


def _policies() -> Iterator[str]:
    from harness.contracts.registry import policy_names, policy_summary

    for name in policy_names():
        yield f"{name:14} {policy_summary(name)}"


def _layouts() -> Iterator[str]:
    from harness.report.paper.layout import layout_names, load_layout

    for name in layout_names():
        yield f"{name:14} {load_layout(name).title}"


def _families() -> Iterator["Benchmark"]:
    """Yield the families that can be imported, and show why others cannot."""
    from harness.contracts.registry import broken_families, families

    yield from families().values()
    for problem in broken_families().values():
        notes().print(problem, style="yellow", markup=False, soft_wrap=True)


def _cannot_run(family: "Benchmark") -> bool:
    """Say in a short line that a family cannot run here, if so."""
    problem = family.problem(images=False)
    if problem:
        line = f"{family.name} is not installed completely; see: {program_name()} doctor"
        notes().print(line, style="dim", markup=False, soft_wrap=True)
    return problem is not None

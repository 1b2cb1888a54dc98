"""The command `list`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from harness.cli.output import notes

if TYPE_CHECKING:
    from harness.contracts.benchmark import Benchmark


@dataclass
class ListCommand:
    """List what is installed."""

    what: Annotated[Literal["benchmarks", "policies", "protocols", "layouts"], tyro.conf.Positional]
    """What to list."""

    def __call__(self) -> int:
        """Print one line for each."""
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
    """Show a benchmark family's problem, if it has one."""
    problem = family.problem(images=False)
    if problem:
        notes().print(problem, style="yellow", markup=False, soft_wrap=True)
    return problem is not None

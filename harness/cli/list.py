"""The command `list`."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from harness.cli.output import notes
from harness.contracts.registry import families, policy_class, policy_names
from harness.report.paper.layout import layout_names, load_layout


@dataclass
class ListCommand:
    """List what is installed."""

    what: Annotated[Literal["benchmarks", "policies", "protocols", "layouts"], tyro.conf.Positional]
    """What to list."""

    def __call__(self) -> int:
        """Print one line for each."""
        if self.what == "policies":
            for name in policy_names():
                print(f"{name:14} {first_line(policy_class(name).__doc__)}")
            return 0
        if self.what == "layouts":
            for name in layout_names():
                print(f"{name:14} {load_layout(name).title}")
            return 0
        for family in families().values():
            problem = family.problem(images=False)
            if problem:
                notes.print(problem, style="yellow", markup=False)
            elif self.what == "benchmarks":
                for name in family.benchmarks():
                    print(f"{name:40} {len(family.tasks(name)):3} tasks")
            else:
                for card in family.protocols().values():
                    print(f"{card.label:34} {card.summary}")
        return 0


def first_line(text: str | None) -> str:
    """Return a docstring's first line."""
    return (text or "").strip().partition("\n")[0]

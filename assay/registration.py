"""Registers every task with Gymnasium, as FAMILY/TASK-v0; no simulator is imported."""

import re
from collections.abc import Iterator

import gymnasium

from harness.contracts.registry import families

_VERSIONED = re.compile(r".+-v\d+")


def register_tasks() -> None:
    """Register the tasks of all installed families, also of those from other packages."""
    for name, benchmark, task in task_ids():
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name,
                entry_point="assay.environments:make",
                kwargs={"benchmark": benchmark, "task": task},
            )


def task_ids() -> Iterator[tuple[str, str, str]]:
    """Yield each Gymnasium id with its benchmark and task."""
    for family in families().values():
        for name, (benchmark, task) in family.gymnasium_names().items():
            version = "" if _VERSIONED.fullmatch(name) else "-v0"
            yield f"{family.name}/{name}{version}", benchmark, task

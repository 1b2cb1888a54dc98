"""Says what can run here, and gives the exact command that mends what cannot."""

import os
import platform
import shutil
from dataclasses import dataclass

from harness.contracts.registry import families, policy_names
from harness.contracts.venv import VirtualEnv
from harness.venvs.build import trial


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Attributes:
        name: What was looked at.
        problem: What is wrong and the command that mends it; None if nothing is.
        detail: What was found.
        extra: Whether it concerns a benchmark with a Python of its own. `make setup` does not
            set these up, so what they lack is named and does not count.
    """

    name: str
    problem: str | None
    detail: str = ""
    extra: bool = False


def examine() -> list[Check]:
    """Look at everything an evaluation needs."""
    free = shutil.disk_usage(".").free / 2**30
    checks = [
        Check("python", None, platform.python_version()),
        Check("machine", None, f"{os.cpu_count()} cores, {free:.0f} GiB of disk free here"),
        Check("policies", None, ", ".join(policy_names())),
    ]
    apart: set[str] = set()
    for name, family in families().items():
        installed = ", ".join(f"{package} {v}" for package, v in family.versions().items())
        found = len(family.benchmarks())
        states = family.problem(images=False)
        images = states or family.problem(images=True)
        extra = family.venv is not None
        on_states = f"{found} benchmarks; {installed}"
        checks.append(Check(f"{name} on states", states, on_states, extra))
        checks.append(Check(f"{name} with images", images, family.rendering(), extra))
        if family.venv is not None and family.venv.name not in apart:
            apart.add(family.venv.name)  # Families may share one, and importing takes seconds.
            checks.append(_examine_python(name, family.venv))
    return checks


def _examine_python(name: str, python: VirtualEnv) -> Check:
    """Look at the environment that a family runs in, and import in it what it needs."""
    problem = python.problem() or trial(python)
    return Check(f"{name}'s Python", problem, str(python.home), extra=True)

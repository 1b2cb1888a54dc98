"""Checks the installation and names the fix for anything missing."""

import os
import platform
import shutil
from dataclasses import dataclass

from harness.contracts.errors import UsageError
from harness.contracts.registry import (
    broken_families,
    families,
    policy_class,
    policy_names,
)
from harness.contracts.venv import VirtualEnv
from harness.venvs.build import trial


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Attributes:
        name: What was checked.
        problem: What is wrong and the command that fixes it; None if nothing is.
        detail: What was found.
        extra: Whether the check is of an optional part, such as a benchmark with a virtual
            environment of its own. `make setup` does not install these.
    """

    name: str
    problem: str | None
    detail: str = ""
    extra: bool = False


def examine() -> list[Check]:
    """Check everything that an evaluation needs."""
    free = shutil.disk_usage(".").free / 2**30
    checks = [
        Check("python", None, platform.python_version()),
        Check("machine", None, f"{os.cpu_count()} cores, {free:.0f} GiB of disk free here"),
        Check("policies", None, ", ".join(policy_names())),
    ]
    examined: set[str] = set()
    for name, family in families().items():
        installed = ", ".join(f"{package} {v}" for package, v in family.versions().items())
        found = len(family.benchmarks())
        states = family.problem(images=False)
        images = states or family.problem(images=True)
        extra = family.venv is not None
        on_states = f"{found} benchmarks; {installed}"
        checks.append(Check(f"{name} on states", states, on_states, extra))
        checks.append(Check(f"{name} with images", images, family.rendering(), extra))
        if family.venv is not None and family.venv.name not in examined:
            examined.add(family.venv.name)  # Families may share one; a trial takes seconds.
            checks.append(_examine_venv(name, family.venv))
    checks += [Check(name, problem) for name, problem in broken_families().items()]
    for name in policy_names():
        try:
            policy_class(name)
        except UsageError as error:
            checks.append(Check(f"policy {name}", str(error), extra=True))
    return checks


def _examine_venv(name: str, venv: VirtualEnv) -> Check:
    """Check the virtual environment of a family by importing its modules there."""
    problem = venv.problem() or trial(venv)
    return Check(f"{name}'s environment", problem, str(venv.home), extra=True)

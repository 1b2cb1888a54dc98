"""Says what can run here, and gives the exact command that mends what cannot."""

import os
import platform
import shutil
from dataclasses import dataclass

from harness.registry import families, policy_names


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Attributes:
        name: What was looked at.
        problem: What is wrong and the command that mends it; None if nothing is.
        detail: What was found.
    """

    name: str
    problem: str | None
    detail: str = ""


def examine() -> list[Check]:
    """Look at everything an evaluation needs."""
    free = shutil.disk_usage(".").free / 2**30
    checks = [
        Check("python", None, platform.python_version()),
        Check("machine", None, f"{os.cpu_count()} cores, {free:.0f} GiB of disk free here"),
        Check("policies", None, ", ".join(policy_names())),
    ]
    for name, family in families().items():
        installed = ", ".join(f"{package} {v}" for package, v in family.versions().items())
        found = len(family.benchmarks())
        states = family.problem(images=False)
        images = states or family.problem(images=True)
        checks.append(Check(f"{name} on states", states, f"{found} benchmarks; {installed}"))
        checks.append(Check(f"{name} with images", images, family.rendering()))
        if any(card.batch > 1 for card in family.protocols().values()):
            # Nothing to mend: most machines have no GPU, and all other protocols run.
            why_not = states or family.batch_problem()
            found_here = f"not here: {why_not}" if why_not else "possible"
            checks.append(Check(f"{name} in batches", None, found_here))
    return checks

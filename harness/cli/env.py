"""The command `env`: builds, lists and removes the Python environments of benchmarks."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from rich.console import Console

from harness.contracts.errors import UsageError, require_known
from harness.contracts.registry import families
from harness.contracts.venv import VirtualEnv
from harness.venvs.build import build, remove

notes = Console(stderr=True)


@dataclass
class EnvCommand:
    """Build, list or remove the Python environments that some benchmarks need for themselves."""

    what: Annotated[Literal["build", "list", "remove"], tyro.conf.Positional]
    """What to do."""
    name: Annotated[str, tyro.conf.Positional] = ""
    """Which one."""

    def __call__(self) -> int:
        """Do it."""
        pythons = virtual_envs()
        if self.what == "list":
            for name, python in pythons.items():
                print(f"{name:24} {python.problem() or f'ready in {python.home}'}")
            return 0
        if not self.name:
            raise UsageError(f"say which environment to {self.what}: {', '.join(pythons)}")
        require_known("environment", self.name, pythons)
        python = pythons[self.name]
        if self.what == "remove":
            print(f"{self.name}: {'removed' if remove(python) else 'was not there'}")
        elif build(python, lambda line: notes.print(line, markup=False)):
            print(f"{self.name}: ready in {python.home}")
        else:
            print(f"{self.name}: was ready in {python.home}")
        return 0


def virtual_envs() -> dict[str, VirtualEnv]:
    """Return what the installed families declare, by name."""
    declared = (family.venv for family in families().values())
    return {python.name: python for python in declared if python is not None}

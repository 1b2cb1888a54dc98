"""The command `env`."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from harness.cli.output import notes
from harness.contracts.errors import UsageError, require_known


@dataclass
class EnvCommand:
    """Build, list or remove the virtual environments of benchmarks and policies."""

    what: Annotated[Literal["build", "list", "remove"], tyro.conf.Positional]
    """What to do."""
    name: Annotated[str, tyro.conf.Positional] = ""
    """The environment to build or remove. See: env list."""

    def __call__(self) -> int:
        """Build, list or remove."""
        from harness.venvs.build import build, remove, virtual_envs

        venvs = virtual_envs()
        if self.what == "list":
            for name, venv in venvs.items():
                print(f"{name:24} {venv.problem() or f'ready in {venv.home}'}")
            return 0
        if not self.name:
            raise UsageError(f"name the environment to {self.what}: {', '.join(venvs)}")
        require_known("environment", self.name, venvs)
        venv = venvs[self.name]
        if self.what == "remove":
            print(f"{self.name}: {'removed' if remove(venv) else 'was not there'}")
        elif build(venv, lambda line: notes().print(line, markup=False)):
            print(f"{self.name}: ready in {venv.home}")
        else:
            print(f"{self.name}: was ready in {venv.home}")
        return 0

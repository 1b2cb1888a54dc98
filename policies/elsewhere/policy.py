"""A policy in another Python environment of this machine."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.contracts.errors import UsageError, require_known
from harness.contracts.policy import ActionChunk, Query
from harness.serving.connection import ServerError
from policies.elsewhere.process import PolicyProcess, described, literals
from policies.imported import imported_as, parse_source
from policies.lerobot_folder import LeRobotFolder
from policies.remote import ServedPolicy

KINDS = ("python", "lerobot")
"""The policies that can run in another environment."""
CHECKPOINT = Path(__file__).parent / "lerobot_adapter.py"


class ElsewherePolicy(ServedPolicy):
    """Runs a policy in another Python environment, e.g. in:VENV:python:FILE.py:NAME.

    Assay starts `policy_server.py` there and asks it over a local connection. The policy has the
    same identity, and returns the same bytes, as in Assay's own environment.
    """

    source = "PYTHON:POLICY"
    """The command line's syntax after ``in:``."""

    def __init__(self, source: str) -> None:
        """Ask the environment what the policy states of itself.

        Raises:
            UsageError: The environment or the policy cannot be used.
            PolicyCrashed: The policy's file raises an exception.
        """
        where, _, reference = source.partition(":")
        kind, _, rest = reference.partition(":")
        self._python = interpreter(where)
        require_known("policy in another environment", kind, KINDS)
        self._process: PolicyProcess | None = None
        folder = LeRobotFolder.parse(rest, kind) if kind == "lerobot" else None
        if folder is not None:
            given = {"folder": str(folder.path.absolute()), "cameras": folder.cameras}
            self._started = f"{CHECKPOINT}:Checkpoint{literals(given)}"
            self.spec, self.files = folder.spec, folder.files
            self.needs_env = folder.needs_every_observation
            self.own_replan = folder.own_replan
            return
        self._describe(kind, rest)

    def _describe(self, kind: str, source: str) -> None:
        location, name, arguments = parse_source(source)
        file = Path(location).absolute()
        stated = described(self._python, f"{file}:{name}")
        target = SimpleNamespace(**{**stated, "cameras": tuple(stated.get("cameras") or ())})
        imported = imported_as(target, kind, source, (file,))
        self._started = f"{file}:{name}{literals(arguments)}"
        self.spec, self.files, self.code = imported.spec, imported.files, imported.code
        self.remembers = kind == "python" and stated.get("remembers") is True
        self.needs_env = kind == "lerobot" and stated.get("chunks") is not True

    def load(self) -> None:
        """Start the policy, and wait until it is loaded."""
        self._process = PolicyProcess(self._python, self._started, self.spec.name)
        greeting, _ = self._connect(self._process.endpoint)
        assert greeting is not None
        self._keys = greeting.keys

    def begin(self, env: Any, spec: Any) -> None:
        """Start an episode; the first question of an episode resets the policy."""

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Ask the policy; start it again if its process died."""
        try:
            return super().infer(queries)
        except ServerError:
            if self._process is not None:
                self._process.close()
            self.load()
            raise


def interpreter(where: str) -> Path:
    """Return the Python program of an environment, from its path or its folder.

    Raises:
        UsageError: There is none.
    """
    path = Path(where).expanduser().absolute()
    found = path / "bin" / "python" if path.is_dir() else path
    if not found.is_file() or not os.access(found, os.X_OK):
        raise UsageError(
            f"there is no Python program at {where!r}; give the environment's folder or its "
            f"bin/python"
        )
    return found

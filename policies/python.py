"""A policy in the user's own Python file, as a callable from an observation to a chunk."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.contracts.environment import Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy, Query, as_array
from policies.imported import find_imported, required_positional
from policies.seeded import seeded


class PythonPolicy(Policy):
    """Calls your own function or class, e.g. python:my_policy.py:MyPolicy.

    The callable gets the observation. If it takes two arguments, it also gets the episode's
    random stream. It must keep no state between calls.
    """

    source = "FILE.py:NAME"
    """The command line's syntax after ``python:``."""

    def __init__(self, source: str) -> None:
        """Import the class or function.

        Raises:
            UsageError: The import fails.
        """
        self._source, self._imported = source, find_imported(source)
        self.spec = self._imported.spec
        self._act: Any = None

    def load(self) -> None:
        """Create the policy, if the name is a class or a function without arguments.

        Raises:
            UsageError: The created object is not callable.
        """
        self._act = self._imported.make()
        if not callable(self._act):
            lerobot = hasattr(self._act, "select_action")
            fix = f"write lerobot:{self._source}" if lerobot else "give it __call__(observation)"
            raise UsageError(f"{self._source} cannot be called with an observation; {fix}")
        self._takes_stream = required_positional(self._act) > 1

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Call the policy once for each observation."""
        return [self._one(query.observation, query.stream) for query in queries]

    def _one(self, observation: Observation, stream: np.random.Generator) -> ActionChunk:
        with seeded(stream):
            chunk: ActionChunk = (
                self._act(observation, stream) if self._takes_stream else self._act(observation)
            )
        array: ActionChunk = as_array(chunk)
        return array

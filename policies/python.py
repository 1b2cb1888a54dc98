"""A policy in a researcher's own Python file: observation in, chunk of actions out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.contracts.environment import Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy
from policies.imported import find_imported, positional
from policies.seeded import seeded


class PythonPolicy(Policy):
    """Asks a function or an object of yours, e.g. python:my_policy.py:MyPolicy.

    It is called with the observation, and with the episode's random stream if it takes two
    arguments, and keeps nothing between calls.
    """

    source = "FILE.py:NAME"
    """What the command line expects after the colon."""

    def __init__(self, source: str) -> None:
        """Import the class or function.

        Raises:
            UsageError: It cannot be imported.
        """
        self._source, self._imported = source, find_imported(source)
        self.spec = self._imported.spec
        self._answer: Any = None

    def load(self) -> None:
        """Make the object, if a class or a function without arguments was named.

        Raises:
            UsageError: What it makes cannot be called.
        """
        self._answer = self._imported.make()
        if not callable(self._answer):
            lerobot = hasattr(self._answer, "select_action")
            fix = f"write lerobot:{self._source}" if lerobot else "give it __call__(observation)"
            raise UsageError(f"{self._source} cannot be called with an observation; {fix}")
        self._takes_stream = positional(self._answer) > 1

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Call it for each observation."""
        return [self._one(o, stream) for o, stream in zip(observations, streams, strict=True)]

    def _one(self, observation: Observation, stream: np.random.Generator) -> ActionChunk:
        with seeded(stream):
            chunk: ActionChunk = (
                self._answer(observation, stream)
                if self._takes_stream
                else self._answer(observation)
            )
        return chunk

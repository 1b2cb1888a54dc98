"""A policy in the user's own Python file, as a callable from an observation to a chunk."""

from collections.abc import Sequence
from typing import Any

from harness.contracts.environment import Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy, Query, as_array
from policies.imported import SYNTAX, find_imported, has_parameter, required_positional
from policies.seeded import seeded


class NamedImages(dict[str, Any]):
    """The images of an observation; a missing one says which camera was not asked for."""

    def __missing__(self, role: str) -> Any:
        """Raise an error that names the fix."""
        raise KeyError(f"{role!r} is not in the policy's cameras = {tuple(self)}; add it there")


class PythonPolicy(Policy):
    """Calls your own function or class, e.g. python:my_policy.py:MyPolicy.

    The callable gets the observation. With a parameter `memory` it also gets a dict that belongs
    to the episode. Another second parameter gets the episode's random stream. An object may also
    have `batch(observations)`, which returns a chunk for each.
    """

    source = SYNTAX
    """The command line's syntax after ``python:``."""

    def __init__(self, source: str) -> None:
        """Import the class or function.

        Raises:
            UsageError: The import fails.
        """
        self._source, self._imported = source, find_imported(source, "python")
        self._describe()

    def _describe(self) -> None:
        imported = self._imported
        self.spec, self.files, self.code = imported.spec, imported.files, imported.code
        target = imported.target
        act = target.__call__ if isinstance(target, type) else target
        self.remembers = has_parameter(act, "memory")
        if callable(getattr(target, "batch", None)):
            self.batching = "fast"

    def load(self) -> None:
        """Create the policy, if the name is a class or a function without arguments.

        Raises:
            UsageError: The created object is not callable.
        """
        self._act: Any = self._imported.make()
        if not callable(self._act):
            lerobot = hasattr(self._act, "select_action")
            fix = f"write lerobot:{self._source}" if lerobot else "give it __call__(observation)"
            raise UsageError(f"{self._source} cannot be called with an observation; {fix}")
        self.remembers = has_parameter(self._act, "memory")
        self._parameters = required_positional(self._act)[1:]

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Call the policy once for each observation, or its `batch` for several."""
        if len(queries) == 1 or not hasattr(self._act, "batch"):
            return [self._one(query) for query in queries]
        given: dict[str, Any] = {}
        if has_parameter(self._act.batch, "memories"):
            given["memories"] = [query.memory for query in queries]
        if has_parameter(self._act.batch, "streams"):
            given["streams"] = [query.stream for query in queries]
        with seeded(queries[0].stream):
            chunks = self._act.batch([_named(query.observation) for query in queries], **given)
        return [as_array(chunk) for chunk in chunks]

    def _one(self, query: Query) -> ActionChunk:
        more = [query.memory if name == "memory" else query.stream for name in self._parameters]
        optional = self.remembers and "memory" not in self._parameters
        given = {"memory": query.memory} if optional else {}
        with seeded(query.stream):
            chunk = self._act(_named(query.observation), *more, **given)
        array: ActionChunk = as_array(chunk)
        return array


def _named(observation: Observation) -> Observation:
    return {**observation, "image": NamedImages(observation["image"])}

"""Policies with LeRobot's interface: `select_action`, `predict_action_chunk` and `reset`."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from harness.contracts.environment import BenchmarkEnv, Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy, Query
from harness.contracts.spec import EpisodeSpec
from policies.imported import find_imported
from policies.seeded import seeded


class _LeRobot(Policy):
    """Creates the LeRobot policy in the process that infers, and calls one of its methods."""

    source = "FILE.py:NAME"
    """The command line's syntax after the colon."""

    method: ClassVar[str]
    """The method of the LeRobot policy that returns actions."""

    def __init__(self, source: str) -> None:
        """Import the class or function that creates the policy.

        Raises:
            UsageError: The import fails.
        """
        self._source, self._imported = source, find_imported(source)
        self.spec = self._imported.spec
        self._object: Any = None

    def load(self) -> None:
        """Create the LeRobot policy.

        Raises:
            UsageError: The policy lacks one of LeRobot's methods.
        """
        self._object = self._imported.make() if self._imported.is_factory else None
        for name in (self.method, "reset"):
            if not callable(getattr(self._object, name, None)):
                raise UsageError(
                    f"{self._source} must be a class, or a function without arguments, that "
                    f"returns an object with {self.method}(batch) and reset(); {name} is missing"
                )

    def _actions(self, observation: Observation, stream: np.random.Generator) -> ActionChunk:
        with seeded(stream):
            batch = _lerobot_batch(observation, self._object)
            return _array(getattr(self._object, self.method)(batch))


class LeRobotPolicy(_LeRobot):
    """Calls a LeRobot policy's select_action, e.g. lerobot:my_policy.py:make.

    The LeRobot policy keeps state between calls, such as a queue of actions. So every worker
    has its own copy and resets it before each episode. It is called at every step, because
    only the policy knows when its queue is empty.
    """

    method = "select_action"
    needs_env = True

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Reset the LeRobot policy."""
        self._object.reset()

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return the next action as a chunk of length 1."""
        return [self._actions(queries[0].observation, queries[0].stream).reshape(1, -1)]


class LeRobotChunksPolicy(_LeRobot):
    """Calls a LeRobot policy's predict_action_chunk, e.g. lerobot-chunks:my_policy.py:make.

    The LeRobot policy is reset before every call, so it must not need earlier observations. All
    workers can share it, and it can be served. The protocol sets how many actions of a chunk are
    executed.
    """

    method = "predict_action_chunk"

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Infer one observation at a time, because a batch would change the last bits."""
        return [self._chunk(query.observation, query.stream) for query in queries]

    def _chunk(self, observation: Observation, stream: np.random.Generator) -> ActionChunk:
        self._object.reset()
        chunk = self._actions(observation, stream)
        return chunk[0] if chunk.ndim == 3 else chunk


def _lerobot_batch(observation: Observation, policy: Any) -> dict[str, Any]:
    """Return an observation as a LeRobot batch of size 1.

    Images are float32 in [0, 1] with channels first. The policy's `keys` maps camera roles to
    image keys; the default is ``observation.images.ROLE``.
    """
    import torch

    keys = getattr(policy, "keys", {})
    device = getattr(getattr(policy, "config", None), "device", None)
    batch: dict[str, Any] = {"observation.state": torch.from_numpy(observation["state"].copy())}
    for role, image in observation["image"].items():
        pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).to(torch.float32) / 255
        batch[keys.get(role, f"observation.images.{role}")] = pixels
    batch = {key: tensor.unsqueeze(0).to(device or "cpu") for key, tensor in batch.items()}
    return batch | {"task": [observation["instruction"]]}


def _array(actions: Any) -> ActionChunk:
    """Return a tensor of any device as a float32 array; keep an array's dtype."""
    if hasattr(actions, "detach"):
        actions = actions.detach().cpu().float().numpy()
    return np.asarray(actions)

"""Policies with LeRobot's interface: `select_action`, `predict_action_chunk` and `reset`."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from harness.contracts.environment import BenchmarkEnv, Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy
from harness.contracts.spec import EpisodeSpec
from policies.imported import find_imported
from policies.seeded import seeded


class _LeRobot(Policy):
    """What both ways of asking share: an object that is made where inferring happens."""

    source = "FILE.py:NAME"
    """What the command line expects after the colon."""

    method: ClassVar[str]
    """Which of the object's methods is asked."""

    def __init__(self, source: str) -> None:
        """Import the class or function that makes the object.

        Raises:
            UsageError: It cannot be imported.
        """
        self._source, self._imported = source, find_imported(source)
        self.spec = self._imported.spec
        self._object: Any = None

    def load(self) -> None:
        """Make the object.

        Raises:
            UsageError: It has not LeRobot's methods.
        """
        self._object = self._imported.make() if self._imported.is_maker else None
        for name in (self.method, "reset"):
            if not callable(getattr(self._object, name, None)):
                raise UsageError(
                    f"{self._source} must name a class, or a function without arguments, that "
                    f"gives an object with {self.method}(batch) and reset(); {name} is missing"
                )

    def _asked(self, observation: Observation, stream: np.random.Generator) -> ActionChunk:
        with seeded(stream):
            return _array(getattr(self._object, self.method)(batch_of(observation, self._object)))


class LeRobotPolicy(_LeRobot):
    """Asks a LeRobot policy's select_action, e.g. lerobot:my_policy.py:make.

    Such an object keeps a queue of actions, or more, from call to call. So every worker has one of
    its own, plays one episode at a time with it and resets it before each: no two episodes meet in
    it. It is asked at every step, since only it knows when its queue is empty.
    """

    method = "select_action"
    needs_env = True

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Empty its queue."""
        self._object.reset()

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Return its next action."""
        return [self._asked(observations[0], streams[0]).reshape(1, -1)]


class LeRobotChunksPolicy(_LeRobot):
    """Asks a LeRobot policy's predict_action_chunk, e.g. lerobot-chunks:my_policy.py:make.

    It is reset before every call, so it must need no earlier observation. In return all workers
    share one, it can be served, and the protocol says how many actions of a chunk are executed.
    """

    method = "predict_action_chunk"

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Return its chunks, one at a time: in a batch they would be other bits."""
        return [self._chunk(o, stream) for o, stream in zip(observations, streams, strict=True)]

    def _chunk(self, observation: Observation, stream: np.random.Generator) -> ActionChunk:
        self._object.reset()
        chunk = self._asked(observation, stream)
        return chunk[0] if chunk.ndim == 3 else chunk


def batch_of(observation: Observation, policy: Any) -> dict[str, Any]:
    """Return an observation as LeRobot's batch of one.

    Pictures are float32 in [0, 1] with channels first, under ``observation.images.ROLE`` or what
    the policy's `keys` says for the role.
    """
    import torch

    keys = getattr(policy, "keys", {})
    device = getattr(getattr(policy, "config", None), "device", None)
    batch: dict[str, Any] = {"observation.state": torch.from_numpy(observation["state"].copy())}
    for role, image in observation["image"].items():
        picture = torch.from_numpy(image.copy()).permute(2, 0, 1).to(torch.float32) / 255
        batch[keys.get(role, f"observation.images.{role}")] = picture
    batch = {key: tensor.unsqueeze(0).to(device or "cpu") for key, tensor in batch.items()}
    return batch | {"task": [observation["instruction"]]}


def _array(actions: Any) -> ActionChunk:
    """Return a tensor, on whatever device, as float32; an array as it is."""
    if hasattr(actions, "detach"):
        actions = actions.detach().cpu().float().numpy()
    return np.asarray(actions)

"""Policies with LeRobot's interface: `select_action`, `predict_action_chunk` and `reset`."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from harness.contracts.environment import BenchmarkEnv, Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy, Query, as_array
from harness.contracts.spec import EpisodeSpec
from policies.imported import SYNTAX, find_imported
from policies.lerobot_folder import FolderPolicy, LeRobotFolder
from policies.seeded import seeded


class _LeRobot(Policy):
    """Creates the LeRobot policy in the process that infers, and calls one of its methods."""

    source = f"FOLDER, or {SYNTAX}"
    """The command line's syntax after the colon."""

    kind: ClassVar[str]
    """The policy's name on the command line."""
    method: ClassVar[str]
    """The method of the LeRobot policy that returns actions."""

    def __init__(self, source: str) -> None:
        """Read a checkpoint's config.json, or import the class that creates the policy.

        Raises:
            UsageError: The folder is no checkpoint of LeRobot, or the import fails.
        """
        self._source = source
        folder = LeRobotFolder.parse(source, self.kind)
        if folder is not None:
            self._make: Any = lambda: FolderPolicy(folder)
            self.spec, self.files = folder.spec, folder.files
            return
        imported = find_imported(source, self.kind)
        self._make = imported.make if imported.is_factory else lambda: None
        self.spec, self.files, self.code = imported.spec, imported.files, imported.code

    def load(self) -> None:
        """Create the LeRobot policy.

        Raises:
            UsageError: The policy lacks one of LeRobot's methods.
        """
        self._object: Any = self._make()
        for name in (self.method, "reset"):
            if not callable(getattr(self._object, name, None)):
                raise UsageError(
                    f"{self._source} must be a class, or a function without arguments, that "
                    f"returns an object with {self.method}(batch) and reset(); {name} is missing"
                )

    def _actions(self, query: Query) -> ActionChunk:
        with seeded(query.stream):
            batch = _lerobot_batch(query.observation, self._object)
            actions: ActionChunk = np.asarray(as_array(getattr(self._object, self.method)(batch)))
        return actions


class LeRobotPolicy(_LeRobot):
    """Calls a LeRobot policy's select_action, e.g. lerobot:FOLDER of a checkpoint.

    The LeRobot policy keeps state between calls, such as a queue of actions. So every worker
    has its own copy and resets it before each episode. It is called at every step, because
    only the policy knows when its queue is empty.
    """

    kind = "lerobot"
    method = "select_action"
    needs_env = True

    def load(self) -> None:
        """Create the policy, and read how many actions of a chunk it executes."""
        super().load()
        config = getattr(self._object, "config", None)
        steps = getattr(config, "n_action_steps", None)
        self.own_replan = steps if isinstance(steps, int) else None

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Reset the LeRobot policy."""
        self._object.reset()

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return the next action as a chunk of length 1."""
        return [self._actions(queries[0]).reshape(1, -1)]


class LeRobotChunksPolicy(_LeRobot):
    """Calls a LeRobot policy's predict_action_chunk, e.g. lerobot-chunks:FOLDER.

    The LeRobot policy is reset before every call, so it must not need earlier observations. All
    workers can share it, and it can be served. The protocol sets how many actions of a chunk are
    executed.
    """

    kind = "lerobot-chunks"
    method = "predict_action_chunk"
    batching = "fast"

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Infer all observations together; the noise of a batch comes from its first stream."""
        self._object.reset()
        if len(queries) == 1:
            chunk = self._actions(queries[0])
            return [chunk[0] if chunk.ndim == 3 else chunk]
        batches = [_lerobot_batch(query.observation, self._object) for query in queries]
        with seeded(queries[0].stream):
            chunks = as_array(self._object.predict_action_chunk(_joined(batches)))
        return list(np.asarray(chunks))


def _lerobot_batch(observation: Observation, policy: Any) -> dict[str, Any]:
    """Return an observation as a LeRobot batch of size 1.

    Images are float32 in [0, 1] with channels first. The policy's `keys` maps camera roles to
    image keys; the default is ``observation.images.ROLE``.
    """
    import torch

    keys: Mapping[str, str] = getattr(policy, "keys", {})
    device = getattr(getattr(policy, "config", None), "device", None)
    batch: dict[str, Any] = {"observation.state": torch.from_numpy(observation["state"].copy())}
    for role, image in observation["image"].items():
        pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).to(torch.float32) / 255
        batch[keys.get(role, f"observation.images.{role}")] = pixels
    batch = {key: tensor.unsqueeze(0).to(device or "cpu") for key, tensor in batch.items()}
    return batch | {"task": [observation["instruction"]]}


def _joined(batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return batches of size 1 as one batch."""
    import torch

    return {
        key: [batch["task"][0] for batch in batches]
        if key == "task"
        else torch.cat([batch[key] for batch in batches])
        for key in batches[0]
    }

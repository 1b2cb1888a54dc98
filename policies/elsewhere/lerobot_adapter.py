"""Lets Assay ask policies with LeRobot's interface; it needs NumPy, PyTorch and nothing of Assay.

`policy_server.py` uses this file if it lies beside it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


class Checkpoint:
    """A checkpoint that LeRobot saved, between its own processors."""

    def __init__(self, folder: str, cameras: str) -> None:
        """Load weights and processors with LeRobot.

        Args:
            folder: Holds config.json.
            cameras: The image keys by camera role, ``ROLE=KEY;ROLE=KEY``.
        """
        from lerobot.policies.factory import get_policy_class, make_pre_post_processors

        self.keys = dict(pair.split("=", 1) for pair in cameras.split(";") if pair)
        self.cameras = tuple(self.keys)
        kind = json.loads((Path(folder) / "config.json").read_text())["type"]
        self.policy = get_policy_class(kind).from_pretrained(folder)
        self.policy.eval()
        self.config = self.policy.config
        self._before, self._after = make_pre_post_processors(self.config, folder)

    def reset(self) -> None:
        """Forget the episode."""
        self.policy.reset()

    def select_action(self, batch: Any) -> Any:
        """Return the next action."""
        return self._after(self.policy.select_action(self._before(batch)))

    def predict_action_chunk(self, batch: Any) -> Any:
        """Return a chunk."""
        import torch

        chunk = self.policy.predict_action_chunk(self._before(batch))
        # The processors take one action of each episode at a time.
        return torch.stack([self._after(action) for action in chunk.unbind(1)], 1)


class Adapter:
    """Asks a LeRobot policy for chunks, or for one action at a time if it needs every observation.

    It needs every observation if its config has more than one `n_obs_steps` or a
    `temporal_ensemble_coeff`, or if it has no `predict_action_chunk`.
    """

    def __init__(self, policy: Any) -> None:
        """Take an object with LeRobot's methods.

        Raises:
            TypeError: A method is missing.
        """
        config = getattr(policy, "config", None)
        single = (getattr(config, "n_obs_steps", 1) or 1) == 1
        ensembled = getattr(config, "temporal_ensemble_coeff", None) is not None
        can_predict = callable(getattr(policy, "predict_action_chunk", None))
        self.chunks = can_predict and single and not ensembled
        for name in ("predict_action_chunk" if self.chunks else "select_action", "reset"):
            if not callable(getattr(policy, name, None)):
                raise TypeError(
                    f"{type(policy).__name__} needs the method {name}; give it LeRobot's "
                    f"select_action(batch), or predict_action_chunk(batch), and reset()"
                )
        steps = None if self.chunks else getattr(config, "n_action_steps", None)
        self.own_replan = steps if isinstance(steps, int) else None
        self.name = getattr(policy, "name", type(policy).__name__)
        self.cameras = getattr(policy, "cameras", ())
        self._policy, self._episode = policy, object()

    def __call__(self, observation: Any, memory: dict[Any, Any]) -> Any:
        """Return a chunk, of one action if the policy needs every observation."""
        batch = lerobot_batch(observation, self._policy)
        if self.chunks:
            self._policy.reset()
            return _chunk(self._policy.predict_action_chunk(batch))
        if "episode" not in memory:
            memory["episode"] = self._episode = object()
            self._policy.reset()
        if memory["episode"] is not self._episode:
            raise RuntimeError(
                f"{self.name} needs every observation of an episode, and another episode began; "
                f"leave out its predict_action_chunk, so that each worker gets its own policy"
            )
        return _chunk(self._policy.select_action(batch)).reshape(1, -1)

    def several(self, observations: Sequence[Any]) -> Any:
        """Return the chunks of several observations from one call."""
        import torch

        self._policy.reset()
        batches = [lerobot_batch(observation, self._policy) for observation in observations]
        joined = {
            key: [batch["task"][0] for batch in batches]
            if key == "task"
            else torch.cat([batch[key] for batch in batches])
            for key in batches[0]
        }
        return list(_array(self._policy.predict_action_chunk(joined)))


def lerobot_batch(observation: Any, policy: Any) -> dict[str, Any]:
    """Return an observation as a LeRobot batch of size 1.

    Images are float32 in [0, 1] with channels first. The policy's `keys` maps camera roles to
    image keys; the default is ``observation.images.ROLE``.
    """
    import torch

    keys = getattr(policy, "keys", {})
    device = getattr(getattr(policy, "config", None), "device", None)
    batch = {"observation.state": torch.from_numpy(observation["state"].copy())}
    for role, image in observation["image"].items():
        pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).to(torch.float32) / 255
        batch[keys.get(role, f"observation.images.{role}")] = pixels
    found: dict[str, Any] = {k: v.unsqueeze(0).to(device or "cpu") for k, v in batch.items()}
    return {**found, "task": [observation["instruction"]]}


def _array(values: Any) -> Any:
    values = values.detach().cpu() if hasattr(values, "detach") else values
    return values.float().numpy() if hasattr(values, "float") else np.asarray(values)


def _chunk(values: Any) -> Any:
    """Return a chunk without the batch's dimension."""
    chunk = _array(values)
    return chunk[0] if chunk.ndim == 3 else chunk

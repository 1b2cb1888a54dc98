"""Plays a trained checkpoint."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from harness.environment import Observation
from harness.policy import ActionChunk, Policy, PolicySpec
from policies.vla.checkpoint import Checkpoint
from policies.vla.preparation import Preparation


class LearnedPolicy(Policy):
    """A vision-language-action model from a folder; see docs/vla.md.

    On a GPU observations are batched. On a CPU they are not, since there the size of a batch
    changes the last bits of an action.
    """

    source = "CHECKPOINT_FOLDER"
    """What the command line expects after the colon."""

    def __init__(self, source: str) -> None:
        """Read what the checkpoint says of itself; its weights are read by `load`.

        Raises:
            UsageError: There is no checkpoint.
        """
        self._checkpoint = Checkpoint.open(Path(source).absolute())
        contract = self._checkpoint.contract
        kind = contract.head if contract.network.cameras else f"{contract.head}-blind"
        self.spec = PolicySpec(
            name=f"{kind}@{self._checkpoint.identity[:10]}",
            cameras=contract.network.cameras,
            state_layout=contract.state_layout,
            action_layout=contract.action_layout,
        )
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def load(self) -> None:
        """Read the weights."""
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        self._model, text = self._checkpoint.load(self._device)
        contract = self._checkpoint.contract
        self._preparation = Preparation(contract.network, contract.normalization, text)
        # What is stored in 16 bits is computed in 16 bits; LeRobot stores some of it in 32.
        stored = {weight.dtype for weight in self._model.parameters()}
        self._half = torch.bfloat16 in stored

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Return a chunk for each observation."""
        contract = self._checkpoint.contract
        state = np.stack([seen["state"] for seen in observations]).astype(np.float32)
        inputs = self._preparation.inputs(
            {
                role: np.stack([seen["image"][role] for seen in observations])
                for role in contract.network.cameras
            },
            state,
            [seen["instruction"] for seen in observations],
        )
        before = self._model.evaluations
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            chunks = self._model.act(inputs.to(self._device), streams)
        self.evaluations += self._model.evaluations - before
        actions = contract.normalization.actions(chunks.float().cpu().numpy(), state)
        return list(actions[:, : contract.replan])

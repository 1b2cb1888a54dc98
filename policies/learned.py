"""Plays a trained checkpoint."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from harness.contracts.environment import Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy, PolicySpec
from policies.vla.checkpoint import Checkpoint
from policies.vla.preparation import Preparation

CHANGE = re.compile(r"(.+),([a-z_]+)=([A-Za-z0-9._+-]+)")
"""A change to a checkpoint's options behind all that is named before it."""


def named(source: str) -> tuple[Path, dict[str, Any]]:
    """Return the folder of ``FOLDER,OPTION=VALUE,...``, and the options, read as YAML.

    Raises:
        UsageError: An option is named twice.
    """
    changes: dict[str, Any] = {}
    while found := CHANGE.fullmatch(source):
        source, option, value = found.groups()
        if option in changes:
            raise UsageError(f"{option} of {source} is given twice")
        changes[option] = yaml.safe_load(value)
    return Path(source), dict(sorted(changes.items()))


def as_typed(value: Any) -> str:
    """Return an option's value as it is written on the command line, one way for each value."""
    return value if isinstance(value, str) else json.dumps(value)


class LearnedPolicy(Policy):
    """A vision-language-action model from a folder; see docs/vla.md.

    On a GPU observations are batched. On a CPU they are not, since there the size of a batch
    changes the last bits of an action.
    """

    source = "CHECKPOINT_FOLDER[,OPTION=VALUE,...]"
    """What the command line expects after the colon."""

    def __init__(self, source: str) -> None:
        """Read what the checkpoint says of itself; its weights are read by `load`.

        Raises:
            UsageError: There is no checkpoint, or no such option.
        """
        folder, changes = named(source)
        self._checkpoint = Checkpoint.open(folder.absolute()).changed(changes)
        contract = self._checkpoint.contract
        kind = contract.head if contract.network.cameras else f"{contract.head}-blind"
        used = "".join(f",{option}={as_typed(value)}" for option, value in changes.items())
        self.spec = PolicySpec(
            name=f"{kind}{used}@{self._checkpoint.identity[:10]}",
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

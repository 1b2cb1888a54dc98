"""A policy that plays a trained checkpoint."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy, PolicySpec, Query
from policies.vla.checkpoint import Checkpoint
from policies.vla.preparation import Preparation

_LAST_OPTION = re.compile(r"(.+),([a-z_]+)=([A-Za-z0-9._+-]+)")
"""Splits the last ``,OPTION=VALUE`` from the text before it."""


def split_options(source: str) -> tuple[Path, dict[str, Any]]:
    """Split ``FOLDER,OPTION=VALUE,...`` into the folder and its options, parsed as YAML.

    Raises:
        UsageError: An option is given twice.
    """
    changes: dict[str, Any] = {}
    while match := _LAST_OPTION.fullmatch(source):
        source, option, value = match.groups()
        if option in changes:
            raise UsageError(f"the option {option} of {source} is given twice; give it once")
        changes[option] = yaml.safe_load(value)
    return Path(source), dict(sorted(changes.items()))


def _option_text(value: Any) -> str:
    """Return an option's value as command-line text; equal values give equal text."""
    return value if isinstance(value, str) else json.dumps(value)


class LearnedPolicy(Policy):
    """Plays a checkpoint of the vision-language-action model; see docs/vla.md.

    It infers one observation at a time, because the batch size changes the last bits of an
    action.
    """

    source = "CHECKPOINT_FOLDER[,OPTION=VALUE,...]"
    """The command line's syntax after ``vla:``."""

    def __init__(self, source: str) -> None:
        """Read the checkpoint's configuration, without its weights.

        Raises:
            UsageError: The checkpoint or an option does not exist.
        """
        folder, changes = split_options(source)
        self._checkpoint = Checkpoint.open(folder.absolute()).changed(changes)
        contract = self._checkpoint.contract
        kind = contract.head if contract.network.cameras else f"{contract.head}-blind"
        used = "".join(f",{option}={_option_text(value)}" for option, value in changes.items())
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
        self._model, tokenizer = self._checkpoint.load(self._device)
        contract = self._checkpoint.contract
        self._preparation = Preparation(contract.network, contract.normalization, tokenizer)
        # LeRobot stores a few weights of a 16-bit model in 32 bits.
        stored = {weight.dtype for weight in self._model.parameters()}
        self._half = torch.bfloat16 in stored

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return the first `replan` actions of each predicted chunk."""
        contract = self._checkpoint.contract
        observations = [query.observation for query in queries]
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
            chunks = self._model.act(inputs.to(self._device), [q.stream for q in queries])
        self.evaluations += self._model.evaluations - before
        actions = contract.normalization.actions(chunks.float().cpu().numpy(), state)
        return list(actions[:, : contract.replan])

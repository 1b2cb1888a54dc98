"""What a trunk that no longer changes makes of every sample, computed once."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from policies.vla.layers import KeysValues
from policies.vla.trunk import Prefix

if TYPE_CHECKING:
    from policies.train.loop import Task

BLOCK = 64
"""Samples that are read at once."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read of every sample.

    Attributes:
        made: Keys and values, (samples, layers, 2, kv_heads, tokens, head_size).
        present: Which of the tokens are there, (samples, tokens).
    """

    made: Tensor
    present: Tensor

    def of(self, rows: NDArray[np.int64]) -> Prefix:
        """Return what was read of some samples."""
        chosen = torch.from_numpy(rows)
        layers = self.made[chosen].unbind(1)
        made = [KeysValues(*layer.unbind(1)) for layer in layers]
        return Prefix(made, self.present[chosen])


@torch.no_grad()
def read_all(task: "Task") -> Reading:
    """Read every sample of a task, its pictures as they are."""
    made, present = [], []
    for start in range(0, len(task.corpus), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(task.corpus)))
        prefix = task.model.trunk.read(task.samples(rows, None).inputs)
        made.append(torch.stack([torch.stack(layer, dim=1) for layer in prefix.made], dim=1))
        present.append(prefix.present)
    # A block is as long as its longest instruction; what is behind it is not there.
    longest = max(mask.shape[1] for mask in present)
    lacking = [longest - mask.shape[1] for mask in present]
    return Reading(
        torch.cat(
            [functional.pad(each, (0, 0, 0, n)) for each, n in zip(made, lacking, strict=True)]
        ),
        torch.cat([functional.pad(mask, (0, n)) for mask, n in zip(present, lacking, strict=True)]),
    )

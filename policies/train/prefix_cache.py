"""The prefixes of all samples, computed once for a frozen backbone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from policies.vla.backbone import Backbone, Prefix
from policies.vla.inputs import Inputs
from policies.vla.layers import KeysValues

BLOCK = 64
"""Samples that are computed at once."""


@dataclass(frozen=True, eq=False)
class PrefixCache:
    """The result of `Backbone.read` for every sample.

    Attributes:
        keys_values: (samples, layers, 2, kv_heads, tokens, head_size).
        present: Which tokens are real, (samples, tokens).
    """

    keys_values: Tensor
    present: Tensor

    @classmethod
    @torch.no_grad()
    def compute(
        cls, backbone: Backbone, count: int, inputs: Callable[[NDArray[np.int64]], Inputs]
    ) -> "PrefixCache":
        """Run the backbone over samples 0 to count - 1, whose rows `inputs` turns into tensors."""
        keys_values, present = [], []
        for start in range(0, count, BLOCK):
            prefix = backbone.read(inputs(np.arange(start, min(start + BLOCK, count))))
            layers = [torch.stack(layer, dim=1) for layer in prefix.layers]
            keys_values.append(torch.stack(layers, dim=1))
            present.append(prefix.present)
        # Each block is as long as its longest instruction; pad all to one length.
        longest = max(mask.shape[1] for mask in present)
        missing = [longest - mask.shape[1] for mask in present]
        pairs = zip(keys_values, present, missing, strict=True)
        padded = [
            (functional.pad(each, (0, 0, 0, n)), functional.pad(mask, (0, n)))
            for each, mask, n in pairs
        ]
        return cls(*(torch.cat(parts) for parts in zip(*padded, strict=True)))

    def of(self, rows: NDArray[np.int64]) -> Prefix:
        """Return the prefixes of these samples."""
        chosen = torch.from_numpy(rows)
        layers = self.keys_values[chosen].unbind(1)
        return Prefix([KeysValues(*layer.unbind(1)) for layer in layers], self.present[chosen])

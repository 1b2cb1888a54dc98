"""Actions as uniform bins, and sampling of tokens.

    token = floor((a + 1)/2 B), clamped to 0 .. B-1;   a^ = (token + 1/2)/B 2 - 1

A chunk's tokens are in the order of time; the numbers of one action are adjacent.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from policies.heads.head import draw_uniforms


def to_tokens(actions: Tensor, bins: int) -> Tensor:
    """Return the bin of each number, (batch, horizon * action_size), for [-1, 1] in equal bins."""
    places = torch.floor((actions + 1) / 2 * bins).long()
    return places.clamp(0, bins - 1).flatten(1)


def to_actions(tokens: Tensor, bins: int, action_size: int, place: float = 0.5) -> Tensor:
    """Return the actions that tokens stand for, (batch, horizon, action_size).

    Args:
        tokens: A bin for each number, (batch, horizon * action_size).
        bins: Number of bins.
        action_size: Numbers in an action.
        place: Position inside the bin: 0 is the lower edge, 0.5 the centre.
    """
    actions = (tokens.float() + place) / bins * 2 - 1
    return actions.view(len(tokens), -1, action_size)


def sample_tokens(
    logits: Tensor, streams: Sequence[np.random.Generator], temperature: float = 1.0
) -> Tensor:
    """Return a token for each position, (batch, N), from logits (batch, N, tokens).

    The temperature divides the logits. At 0 this is argmax, and the streams are not used.
    """
    if temperature == 0:
        return logits.argmax(-1)
    reached = (logits.double() / temperature).softmax(-1).cumsum(-1)
    drawn = draw_uniforms(streams, logits.shape[1:-1]).to(reached)[..., None] * reached[..., -1:]
    return torch.searchsorted(reached, drawn, right=True)[..., 0].clamp(max=logits.shape[-1] - 1)

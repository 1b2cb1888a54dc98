"""Numbers as tokens of a fixed size, and how a token is drawn.

    token = floor((a + 1)/2 B), kept in 0 .. B-1;   a^ = (token + 1/2)/B 2 - 1

A chunk's tokens stand in the order of time, and the numbers of one action side by side.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from policies.heads.head import uniform


def to_tokens(actions: Tensor, bins: int) -> Tensor:
    """Return the bin of each number, (batch, horizon * action_size); [-1, 1] is divided evenly."""
    places = torch.floor((actions + 1) / 2 * bins).long()
    return places.clamp(0, bins - 1).flatten(1)


def to_actions(tokens: Tensor, bins: int, action_size: int, place: float = 0.5) -> Tensor:
    """Return what the tokens stand for, (batch, horizon, action_size).

    Args:
        tokens: A bin each, (batch, horizon * action_size).
        bins: How many there are.
        action_size: How many numbers an action has.
        place: Where in its bin a number lies: 0 is the lower edge, 0.5 the centre.
    """
    actions = (tokens.float() + place) / bins * 2 - 1
    return actions.view(len(tokens), -1, action_size)


def pick(
    logits: Tensor, streams: Sequence[np.random.Generator], temperature: float = 1.0
) -> Tensor:
    """Return a token for each place, (batch, N), of logits (batch, N, tokens).

    The temperature divides the logits; at 0 the likeliest token is taken and nothing is drawn.
    """
    if temperature == 0:
        return logits.argmax(-1)
    reached = (logits.double() / temperature).softmax(-1).cumsum(-1)
    drawn = uniform(streams, logits.shape[1:-1]).to(reached)[..., None] * reached[..., -1:]
    return torch.searchsorted(reached, drawn, right=True)[..., 0].clamp(max=logits.shape[-1] - 1)

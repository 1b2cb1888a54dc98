"""What the heads share that write their tokens one by one, each seeing all before it.

p(k_1 .. k_n | o) = p(k_1 | o) p(k_2 | k_1, o) ..;   loss = -log p
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.heads.head import Expert, Head, HeadConfig
from policies.heads.tokens import pick


class Room:
    """How much of each observation's chunk is still to be written."""

    def __init__(self, sizes: Tensor, length: int, batch: int) -> None:
        """Begin with nothing written.

        Args:
            sizes: How many numbers each token stands for; 0 for one that is never written.
            length: How many a chunk has.
            batch: How many observations there are.
        """
        self._sizes = sizes
        self._left = torch.full((batch, 1), length, device=sizes.device)

    def too_large(self, vocabulary: int) -> Tensor:
        """Return which tokens do not fit now, (batch, 1, vocabulary)."""
        fits = (self._sizes > 0) & (self._sizes <= self._left)
        return ~functional.pad(fits, (0, vocabulary - len(self._sizes)))[:, None]

    def full(self, tokens: Tensor) -> Tensor:
        """Take up what was written, (batch, 1), and return which chunks are full, (batch,)."""
        known = tokens < len(self._sizes)
        self._left -= self._sizes[tokens.where(known, 0)].where(known, 0)
        return self._left[:, 0] <= 0


class WritingHead(Head):
    """Writes tokens with the expert's memory, one evaluation each."""

    def __init__(self, config: HeadConfig, width: int, vocabulary: int, leading: int = 1) -> None:
        """Make the embeddings, what stands before the first token, and what reads the next."""
        super().__init__(config, width)
        self.start = nn.Parameter(torch.randn(leading, width) * 0.02)
        self.embed = nn.Embedding(vocabulary, width)
        self.out_proj = nn.Linear(width, vocabulary)

    def token_losses(self, expert: Expert, tokens: Tensor) -> Tensor:
        """Return -log p of each token, given the true ones before it, (batch, N)."""
        start = self.start.expand(len(tokens), -1, -1)
        before = torch.cat([start, self.embed(tokens[:, :-1])], dim=1)
        said = expert(before, causal=True)[:, len(self.start) - 1 :]
        logits = self.out_proj(said)
        return functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")

    def write(
        self,
        expert: Expert,
        streams: Sequence[np.random.Generator],
        most: int,
        temperature: float,
        known: int,
        end: int = -1,
        room: Room | None = None,
    ) -> Tensor:
        """Return tokens, (batch, N); those behind the first `end` mean nothing.

        Args:
            expert: Bound to the observations.
            streams: Of the observations; one that is done draws no more.
            most: How many are written at most.
            temperature: Of drawing them; 0 takes the likeliest.
            known: Tokens from here on, but for `end`, are never written.
            end: The token after which an observation is done.
            room: Lets only tokens be written that still fit; then the end is never written, and an
                observation is done when it is full.
        """
        memory = expert.memory()
        embedded = self.start.expand(expert.batch, -1, -1)
        written: list[Tensor] = []
        open_rows = list(range(expert.batch))
        while open_rows and len(written) < most:
            logits = self.out_proj(expert(embedded, causal=True, memory=memory)[:, -1:])
            self.evaluations += 1
            hidden = torch.arange(logits.shape[-1], device=expert.device) >= known
            if room is not None:
                hidden = hidden | room.too_large(logits.shape[-1])
            elif end >= 0:
                hidden[end] = False
            logits = logits.masked_fill(hidden, float("-inf"))
            tokens = torch.full((expert.batch, 1), max(end, 0), device=expert.device)
            picked = pick(logits[open_rows], [streams[row] for row in open_rows], temperature)
            tokens[open_rows] = picked
            written.append(tokens)
            ended = (tokens[:, 0] == end if room is None else room.full(tokens)).tolist()
            open_rows = [row for row in open_rows if not ended[row]]
            embedded = self.embed(tokens)
        return torch.cat(written, dim=1)

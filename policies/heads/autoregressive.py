"""The base class of heads that generate tokens one by one.

p(k_1 .. k_n | o) = p(k_1 | o) p(k_2 | k_1, o) ..;   loss = -log p
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.heads.configs import HeadConfig
from policies.heads.head import Expert, Head
from policies.heads.tokens import sample_tokens


class RemainingLength:
    """How many numbers of each chunk are still missing while its tokens are generated."""

    def __init__(self, sizes: Tensor, length: int, batch: int) -> None:
        """Start with empty chunks.

        Args:
            sizes: How many numbers each token stands for; 0 for a token that is never generated.
            length: Numbers in a chunk.
            batch: Number of observations.
        """
        self._sizes = sizes
        self._left = torch.full((batch, 1), length, device=sizes.device)

    def too_large(self, vocabulary: int) -> Tensor:
        """Return which tokens do not fit into the rest of a chunk, (batch, 1, vocabulary)."""
        fits = (self._sizes > 0) & (self._sizes <= self._left)
        return ~functional.pad(fits, (0, vocabulary - len(self._sizes)))[:, None]

    def subtract(self, tokens: Tensor) -> Tensor:
        """Count new tokens, (batch, 1), and return which chunks are complete, (batch,)."""
        known = tokens < len(self._sizes)
        self._left -= self._sizes[tokens.where(known, 0)].where(known, 0)
        return self._left[:, 0] <= 0


class AutoregressiveHead(Head):
    """Generates tokens with the expert's memory, one evaluation a token."""

    def __init__(self, config: HeadConfig, width: int, vocabulary: int, leading: int = 1) -> None:
        """Create the embeddings, the start tokens and the output layer."""
        super().__init__(config, width)
        self.start = nn.Parameter(nn.init.normal_(torch.empty(leading, width)).mul_(0.02))
        self.embed = nn.Embedding(vocabulary, width)
        self.out_proj = nn.Linear(width, vocabulary)

    def token_losses(self, expert: Expert, tokens: Tensor) -> Tensor:
        """Return -log p of each token given the true earlier tokens, (batch, N)."""
        start = self.start.expand(len(tokens), -1, -1)
        before = torch.cat([start, self.embed(tokens[:, :-1])], dim=1)
        output = expert(before, causal=True)[:, len(self.start) - 1 :]
        logits = self.out_proj(output)
        return functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")

    def generate(
        self,
        expert: Expert,
        streams: Sequence[np.random.Generator],
        most: int,
        temperature: float,
        known: int,
        end: int = -1,
        remaining: RemainingLength | None = None,
    ) -> Tensor:
        """Return tokens, (batch, N). Tokens after the first `end` of a row have no meaning.

        Args:
            expert: Bound to the observations.
            streams: One for each observation; a finished row draws no more.
            most: Largest number of tokens.
            temperature: Of sampling; 0 is argmax.
            known: Tokens from this number on are never generated, except `end`.
            end: The token that finishes a row.
            remaining: If given, only tokens that still fit are generated. `end` is then never
                generated; a row is finished when its chunk is complete.
        """
        memory = expert.memory()
        embedded = self.start.expand(expert.batch, -1, -1)
        generated: list[Tensor] = []
        open_rows = list(range(expert.batch))
        while open_rows and len(generated) < most:
            output = expert(embedded, causal=True, memory=memory)[:, -1:]
            logits = expert.watch(self.out_proj(output))
            self.evaluations += 1
            hidden = torch.arange(logits.shape[-1], device=expert.device) >= known
            if remaining is not None:
                hidden = hidden | remaining.too_large(logits.shape[-1])
            elif end >= 0:
                hidden[end] = False
            logits = logits.masked_fill(hidden, float("-inf"))
            tokens = torch.full((expert.batch, 1), max(end, 0), device=expert.device)
            own_streams = [streams[row] for row in open_rows]
            tokens[open_rows] = sample_tokens(logits[open_rows], own_streams, temperature)
            generated.append(tokens)
            ended = tokens[:, 0] == end if remaining is None else remaining.subtract(tokens)
            finished = ended.tolist()
            open_rows = [row for row in open_rows if not finished[row]]
            embedded = self.embed(tokens)
        return torch.cat(generated, dim=1)

"""FAST tokens, generated one by one, as in pi0-FAST.

    tokens k_1 .. k_n, END of a chunk as in `fast_tokenizer`;   loss = mean -log p(k_i | k_<i, o)
    sampling: k_i = argmax p (`temperature` 0, as published), or drawn from p^(1/temperature),
    until END

The number of tokens n, and so the cost, differs from chunk to chunk. Each token describes the whole
chunk. A chunk that the end of an episode cuts short is tokenised with its last action held; a chunk
that a perturbation cuts short cannot be tokenised. Sampled tokens that do not decode to a chunk
become zeros, as in the released code, and are counted in `broken`. With `fitting` there are none.

A converted pi0-FAST checkpoint has the released tokenizer (see `use`). Its input and output layers
are the rows of the language model's tables for these tokens; the words "Action: " lead.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.errors import UsageError
from policies.heads.autoregressive import AutoregressiveHead, RemainingLength
from policies.heads.configs import FastConfig
from policies.heads.fast_tokenizer import FastTokenizer
from policies.heads.head import Expert, hold_last

_FILE = "fast.json"


class FastHead(AutoregressiveHead):
    """Generates as many tokens as the chunk needs.

    Attributes:
        broken: How many sampled token sequences did not decode to a chunk.
    """

    config: FastConfig
    whole_chunks_only = True

    def __init__(self, config: FastConfig, width: int) -> None:
        """Create the input and output layers; the last embedding is END's."""
        super().__init__(config, width, config.vocabulary + 1, config.leading)
        self._tokenizer: FastTokenizer | None = None
        self.broken = 0

    @property
    def tokenizer(self) -> FastTokenizer:
        """The fitted tokenizer.

        Raises:
            UsageError: The head was not fitted.
        """
        if self._tokenizer is None:
            raise UsageError("the FAST head has no tokens yet: call fit, or restore a checkpoint")
        return self._tokenizer

    def fit(self, chunks: NDArray[np.float32]) -> None:
        """Train the tokenizer."""
        self.use(FastTokenizer.learn(chunks, self.config.scale, self.config.vocabulary))

    def use(self, tokenizer: FastTokenizer) -> None:
        """Set the tokenizer.

        Raises:
            UsageError: It has more than `vocabulary` tokens, or `fitting` needs others.
        """
        if tokenizer.count > self.config.vocabulary:
            raise UsageError(
                f"there are {tokenizer.count} FAST tokens and `vocabulary` is "
                f"{self.config.vocabulary}: raise it to that number"
            )
        if self.config.fitting and 1 not in tokenizer.sizes:
            raise UsageError(
                "none of these FAST tokens holds a single coefficient: use `mend`, not `fitting`"
            )
        self._tokenizer = tokenizer

    def fitted(self) -> dict[str, str]:
        """Return the tokenizer as JSON."""
        return {_FILE: self.tokenizer.to_text()}

    def restore(self, fitted: dict[str, str]) -> None:
        """Load the tokenizer of another head.

        Raises:
            UsageError: There is none, or it does not fit this head.
        """
        if _FILE not in fitted:
            raise UsageError(f"the checkpoint has no {_FILE}: it is not of a FAST head")
        self.use(FastTokenizer.from_text(fitted[_FILE]))

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the cross-entropy of the tokens and END, each given the earlier ones."""
        del generator
        held = hold_last(actions, valid).cpu().numpy()
        sequences = [[*tokens, self.config.vocabulary] for tokens in self.tokenizer.encode(held)]
        lengths = torch.tensor([len(tokens) for tokens in sequences], device=actions.device)
        padded = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(tokens) for tokens in sequences], batch_first=True
        ).to(actions.device)
        losses = self.token_losses(expert, padded)
        counts = torch.arange(padded.shape[1], device=actions.device) < lengths[:, None]
        return (losses * counts).sum(1) / lengths

    def sample_chunks(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return chunks; the longest token sequence decides the number of evaluations."""
        config, tokenizer, end = self.config, self.tokenizer, self.config.vocabulary
        most = tokenizer.longest(config.length) + 1
        remaining = None
        if config.fitting:
            sizes = torch.tensor(tokenizer.sizes, device=expert.device)
            remaining = RemainingLength(sizes, config.length, expert.batch)
        rows = self.generate(
            expert, streams, most, config.temperature, tokenizer.count, end, remaining
        ).tolist()
        chunks = np.zeros((len(rows), config.horizon, config.action_size), np.float32)
        size = config.horizon, config.action_size
        for place, row in enumerate(rows):
            sequence = row[: row.index(end)] if end in row else row
            chunk = tokenizer.decode(sequence, *size)
            if chunk is None:
                self.broken += 1
                chunk = tokenizer.decode(sequence, *size, mend=True) if config.mend else None
            if chunk is not None:
                chunks[place] = chunk
        return torch.from_numpy(chunks).to(expert.device)

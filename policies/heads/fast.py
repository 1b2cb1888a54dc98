"""FAST tokens written one by one, as pi0-FAST does.

    tokens k_1 .. k_n, END of a chunk as in `fast_tokens`;   loss = mean -log p(k_i | k_<i, o)
    sampling: k_i = argmax p (`temperature` 0, as published), or drawn from p^(1/temperature),
    until END

n differs from chunk to chunk, so what a chunk costs does too. A chunk's tokens are of all its time,
so those of a chunk that is cut short by an episode's end are of the chunk with its last action
held, and of one that is cut short by a push there are none. Tokens that do not add up to a chunk
are zeros, as released, and counted in `broken`; with `fitting` there are none such.

A checkpoint of pi0-FAST's has the released tokens (`use`): the rows of its tables of words that
stand for them are this head's two ends, and the words "Action: " lead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.errors import UsageError
from policies.heads.fast_tokens import FastTokens
from policies.heads.head import Expert, HeadConfig, hold_last, require_within
from policies.heads.writing import Room, WritingHead

KEPT_AS = "fast.json"


@dataclass(frozen=True, kw_only=True)
class FastConfig(HeadConfig):
    """What the FAST head is told.

    Attributes:
        vocabulary: How many tokens there are at most, without the end.
        scale: By how much coefficients are multiplied before they are rounded.
        temperature: Of drawing tokens; 0 takes the likeliest.
        leading: How many embedded tokens stand before the first; pi0-FAST's spell "Action: ".
        mend: Whether tokens that do not add up to a chunk are filled with zeros or cut off, as
            LeRobot does, in place of a chunk of zeros.
        fitting: Whether no token is written that the chunk has no room for, nor the end before it
            is full, so that all tokens make chunks.
    """

    vocabulary: int = 1024
    scale: float = 10.0
    temperature: float = 0.0
    leading: int = 1
    mend: bool = False
    fitting: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        super().__post_init__()
        require_within("vocabulary", self.vocabulary, 2)
        require_within("scale", self.scale, 1e-3)
        require_within("temperature", self.temperature, 0)
        require_within("leading", self.leading, 1)


class FastHead(WritingHead):
    """Writes as many tokens as the chunk needs.

    Attributes:
        broken: How many of the sampled chunks' tokens made none.
    """

    config: FastConfig
    whole = True

    def __init__(self, config: FastConfig, width: int) -> None:
        """Make the two ends; the last embedding is the end's."""
        super().__init__(config, width, config.vocabulary + 1, config.leading)
        self._fitted: FastTokens | None = None
        self.broken = 0

    @property
    def tokens(self) -> FastTokens:
        """What `fit` learned.

        Raises:
            UsageError: It has not been called.
        """
        if self._fitted is None:
            raise UsageError("the FAST head has no tokens yet: call fit, or restore a checkpoint")
        return self._fitted

    def fit(self, chunks: NDArray[np.float32]) -> None:
        """Learn the tokens."""
        self.use(FastTokens.learn(chunks, self.config.scale, self.config.vocabulary))

    def use(self, tokens: FastTokens) -> None:
        """Write with these tokens.

        Raises:
            UsageError: There are more than this head can write, or they cannot fill every chunk.
        """
        if tokens.count > self.config.vocabulary:
            raise UsageError(f"{tokens.count} FAST tokens, `vocabulary` is less: raise it to that")
        if self.config.fitting and 1 not in tokens.sizes:
            raise UsageError(
                "none of these FAST tokens holds one coefficient alone: use `mend`, not `fitting`"
            )
        self._fitted = tokens

    def fitted(self) -> dict[str, str]:
        """Return the tokens as JSON."""
        return {KEPT_AS: self.tokens.to_text()}

    def restore(self, fitted: dict[str, str]) -> None:
        """Take up another's tokens.

        Raises:
            UsageError: There are none, or they are not for this head.
        """
        if KEPT_AS not in fitted:
            raise UsageError(f"the checkpoint has no {KEPT_AS}: it is not of a FAST head")
        self.use(FastTokens.from_text(fitted[KEPT_AS]))

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the cross-entropy of each token and the end, given those before it."""
        del generator
        held = hold_last(actions, valid).cpu().numpy()
        written = [[*tokens, self.config.vocabulary] for tokens in self.tokens.write(held)]
        lengths = torch.tensor([len(tokens) for tokens in written], device=actions.device)
        padded = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(tokens) for tokens in written], batch_first=True
        ).to(actions.device)
        losses = self.token_losses(expert, padded)
        counts = torch.arange(padded.shape[1], device=actions.device) < lengths[:, None]
        return (losses * counts).sum(1) / lengths

    @torch.no_grad()
    def sample(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return chunks, each after as many evaluations as the longest needs."""
        config, tokens, end = self.config, self.tokens, self.config.vocabulary
        most = tokens.most(config.length) + 1
        room = None
        if config.fitting:
            sizes = torch.tensor(tokens.sizes, device=expert.device)
            room = Room(sizes, config.length, expert.batch)
        rows = self.write(
            expert, streams, most, config.temperature, tokens.count, end, room
        ).tolist()
        chunks = np.zeros((len(rows), config.horizon, config.action_size), np.float32)
        for place, row in enumerate(rows):
            said = row[: row.index(end)] if end in row else row
            size = config.horizon, config.action_size
            chunk = tokens.read(said, *size)
            if chunk is None:
                self.broken += 1
                chunk = tokens.read(said, *size, mend=True) if config.mend else None
            if chunk is not None:
                chunks[place] = chunk
        return torch.from_numpy(chunks).to(expert.device)

"""LeRobot's statistics of states and actions, and the two word tables of its pi0-FAST."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from harness.contracts.errors import UsageError
from harness.demonstrations.column_statistics import Statistics
from policies.heads.fast import FastHead
from policies.vla.checkpoint import fill
from policies.vla.model import VLA
from policies.vla.prompts import PromptTokenizer
from policies.weights.paligemma import read_weights, rename

ACTION_TOKENS_END = 128
"""Action tokens are the last words of the vocabulary, in reverse order, before this many others."""
_LEADING, _END = "Action: ", "|"
"""The text before the action tokens, and the token after them."""
_EMBEDDINGS = "trunk.embedding.words.weight"


def read_normalizer(path: Path) -> dict[str, Statistics]:
    """Read the statistics of `state` and `action` from a normalizer's safetensors file.

    Raises:
        UsageError: The file cannot be read.
    """
    tensors = read_weights(path)
    prefixes = {"state": "observation.state.", "action": "action."}
    return {
        kind: {
            name.removeprefix(prefix): values.double().numpy()
            for name, values in tensors.items()
            if name.startswith(prefix)
        }
        for kind, prefix in prefixes.items()
    }


def copy_pi0_fast(
    model: VLA, tokenizer: PromptTokenizer, weights: Mapping[str, Tensor], source: str
) -> None:
    """Copy the weights of LeRobot's pi0-FAST into a model of the same dimensions.

    Its action tokens are words of the vocabulary. The head gets their rows of the two tables.

    Args:
        model: Has a FAST head with as many leading tokens as `leading_tokens` returns.
        tokenizer: PaliGemma's.
        weights: With LeRobot's names.
        source: Their file, for the error.

    Raises:
        UsageError: Weights are missing, unexpected, or of another shape; the message lists them.
    """
    renamed, logits = rename(weights)
    table = renamed.get(_EMBEDDINGS)
    if table is not None and logits is not None:
        assert isinstance(model.head, FastHead)
        words = _action_words(tokenizer, model.head.config.vocabulary)
        # Gemma multiplies its word embeddings by this factor.
        scale = table.shape[1] ** 0.5
        renamed |= {
            "head.start": table[leading_tokens(tokenizer)] * scale,
            "head.embed.weight": table[words] * scale,
            "head.out_proj.weight": logits[words],
            "head.out_proj.bias": torch.zeros(len(words), dtype=logits.dtype),
        }
    fill(model, renamed, source)


def leading_tokens(tokenizer: PromptTokenizer) -> list[int]:
    """Return the tokens of the text that pi0-FAST generates before its action tokens."""
    return tokenizer.token_ids(_LEADING)


def _action_words(tokenizer: PromptTokenizer, count: int) -> list[int]:
    """Return the words that are action tokens, and the end token."""
    last, end = tokenizer.count - 1 - ACTION_TOKENS_END, tokenizer.token_ids(_END)
    if last + 1 < count or len(end) != 1:
        raise UsageError(
            f"the tokenizer is not PaliGemma's: its {tokenizer.count} tokens are too few for "
            f"{count} action tokens, or {_END!r} is not one of them"
        )
    return [last - token for token in range(count)] + end

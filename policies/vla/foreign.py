"""Takes over weights of openpi's PyTorch models and LeRobot's: pi0, pi0.5 and LeRobot's pi0-FAST.

Both have the same modules under the same names; LeRobot's stand under `model.`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from harness.contracts.errors import UsageError
from harness.demonstrations.statistics import Statistics
from policies.heads.fast import FastHead
from policies.vla.checkpoint import fill
from policies.vla.model import VLA
from policies.vla.text import Text

_LAYER = {
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "forward_norm",
    "self_attn.q_proj": "attention.queries",
    "self_attn.k_proj": "attention.keys",
    "self_attn.v_proj": "attention.values",
    "self_attn.o_proj": "attention.out",
    "mlp.gate_proj": "feed_forward.gate",
    "mlp.up_proj": "feed_forward.up",
    "mlp.down_proj": "feed_forward.down",
    "norm": "norm",
}
_SIGLIP = {
    "embeddings.patch_embedding": "patches",
    "embeddings.position_embedding.weight": "positions",
    "layer_norm1": "attention_norm",
    "layer_norm2": "forward_norm",
    "self_attn.q_proj": "queries",
    "self_attn.k_proj": "keys",
    "self_attn.v_proj": "values",
    "self_attn.out_proj": "gathered",
    "mlp.fc1": "up",
    "mlp.fc2": "down",
    "post_layernorm": "norm",
}
_PARTS = {
    "paligemma.model.vision_tower.vision_model.": ("trunk.embedding.images.", _SIGLIP),
    "paligemma.model.multi_modal_projector.linear.": ("trunk.embedding.images.out.", {}),
    "paligemma.model.language_model.embed_tokens.": ("trunk.embedding.words.", {}),
    "paligemma.model.language_model.": ("trunk.language.", _LAYER),
    "gemma_expert.model.": ("trunk.actor.", _LAYER),
    "state_proj.": ("trunk.state.", {}),
    "action_": ("head.action_", {}),
    "time_mlp_": ("head.time_mlp_", {}),
}
_EMBEDDINGS = "paligemma.model.language_model.embed_tokens.weight"
_LOGITS = "paligemma.lm_head.weight"
"""The same table once more in openpi, whose files hold it under one of the names. In LeRobot's
they are two tables, of which pi0 and pi0.5 use the first; pi0-FAST reads with it and writes with
the second."""
_UNUSED = "gemma_expert.lm_head.weight"
"""The action expert writes no words."""
SKIPPED = 128
"""pi0-FAST's tokens are the last words of the table but for these, from the end on."""
LEADING, END = "Action: ", "|"
"""What stands before and behind them."""


def adopt(model: VLA, weights: Mapping[str, Tensor], source: str) -> None:
    """Put another's weights into a model of the same dimensions: every one, and no other.

    Args:
        model: With a flow head; `adaptive` for pi0.5.
        weights: By the names that openpi or LeRobot gave them.
        source: Where they are from, for the message.

    Raises:
        UsageError: Some are missing or left over; the message lists them.
    """
    plain, _ = _plain(weights)
    fill(model, plain, source)


def adopt_words(model: VLA, text: Text, weights: Mapping[str, Tensor], source: str) -> None:
    """Put the weights of LeRobot's pi0-FAST into a model of the same dimensions.

    Its action tokens are words. Of the two tables, the head takes the rows of these.

    Args:
        model: With a FAST head, which leads with what `leading` gives.
        text: Tells which words they are.
        weights: By the names that LeRobot gave them.
        source: Where they are from, for the message.

    Raises:
        UsageError: Some are missing or left over; the message lists them.
    """
    plain, logits = _plain(weights)
    table = plain.get(ours(_EMBEDDINGS))
    if table is not None and logits is not None:
        assert isinstance(model.head, FastHead)
        written = _written(text, model.head.config.vocabulary)
        # What is read of the table is always made larger.
        larger = table.shape[1] ** 0.5
        plain |= {
            "head.start": table[leading(text)] * larger,
            "head.embed.weight": table[written] * larger,
            "head.out_proj.weight": logits[written],
            "head.out_proj.bias": torch.zeros(len(written), dtype=logits.dtype),
        }
    fill(model, plain, source)


def leading(text: Text) -> list[int]:
    """Return the words that pi0-FAST says before its action tokens."""
    return text.words(LEADING)


def _written(text: Text, count: int) -> list[int]:
    """Return the words that action tokens are, and the one behind them."""
    last, end = text.count - 1 - SKIPPED, text.words(END)
    if last + 1 < count or len(end) != 1:
        raise UsageError(
            f"{text.count} tokens have no room for {count} of actions, or {END!r} is none of them: "
            "this tokenizer is not PaliGemma's"
        )
    return [last - token for token in range(count)] + end


def _plain(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
    """Return weights by our names, and apart from them the table that words are written with."""
    plain = {
        name.removeprefix("model.").removeprefix("paligemma_with_expert."): weight
        for name, weight in weights.items()
    }
    plain.pop(_UNUSED, None)
    table = plain.get(_EMBEDDINGS)
    logits = plain.pop(_LOGITS, table)
    if logits is not None:
        plain.setdefault(_EMBEDDINGS, logits)
    return {ours(name): weight for name, weight in plain.items()}, logits


def ours(name: str) -> str:
    """Return our name for a weight, or the same if there is none."""
    for theirs, (place, inner) in _PARTS.items():
        if name.startswith(theirs):
            rest = name.removeprefix(theirs)
            layer = re.match(r"(?:encoder\.)?(layers\.\d+\.)", rest)
            if layer:
                place, rest = place + layer[1], rest.removeprefix(layer[0])
            for part, new in inner.items():
                if rest == part or rest.startswith(f"{part}."):
                    rest = new + rest.removeprefix(part)
                    break
            return place + rest.replace("norm.dense.", "norm.condition.")
    return name


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def read_statistics(path: Path) -> dict[str, Statistics]:
    """Read the statistics of `state` and `action`.

    Args:
        path: openpi's norm_stats.json, or the safetensors of LeRobot's normalizer.

    Raises:
        UsageError: It is something else.
    """
    if path.suffix == ".safetensors":
        found = read_weights(path)
        named = {"state": "observation.state.", "action": "action."}
        return {
            kind: {
                name.removeprefix(key): values.double().numpy()
                for name, values in found.items()
                if name.startswith(key)
            }
            for kind, key in named.items()
        }
    try:
        written = json.loads(path.read_text())["norm_stats"]
        return {
            kind: {name: np.array(values) for name, values in written[key].items() if values}
            for kind, key in (("state", "state"), ("action", "actions"))
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"cannot read {path}: {type(error).__name__}: {error}") from error

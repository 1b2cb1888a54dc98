"""The PyTorch weights of pi0, pi0.5 and pi0-FAST, under the names that openpi and LeRobot share.

Both projects name their modules alike; LeRobot adds the prefix `model.`.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from harness.contracts.errors import UsageError
from policies.vla.checkpoint import fill
from policies.vla.model import VLA

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
"""In openpi, this is the table of embeddings, which its files hold under one of the two names. In
LeRobot these are two tables: pi0 and pi0.5 use the first, pi0-FAST reads with the first and writes
with the second."""
_UNUSED = "gemma_expert.lm_head.weight"
"""The action expert predicts no words."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        UsageError: The file cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def rename(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
    """Return the weights under the names of `VLA`, and the table for the logits of words."""
    plain = {
        name.removeprefix("model.").removeprefix("paligemma_with_expert."): weight
        for name, weight in weights.items()
    }
    plain.pop(_UNUSED, None)
    logits = plain.pop(_LOGITS, plain.get(_EMBEDDINGS))
    if logits is not None:
        plain.setdefault(_EMBEDDINGS, logits)
    return {_renamed(name): weight for name, weight in plain.items()}, logits


def copy_weights(model: VLA, weights: Mapping[str, Tensor], source: str) -> None:
    """Copy weights of pi0 or pi0.5 into a model of the same dimensions.

    Args:
        model: Has a flow head, which is adaptive for pi0.5.
        weights: With openpi's or LeRobot's names.
        source: Their file, for the error.

    Raises:
        UsageError: Weights are missing, unexpected, or of another shape; the message lists them.
    """
    fill(model, rename(weights)[0], source)


def _renamed(name: str) -> str:
    """Return our name for a weight; unknown names stay."""
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

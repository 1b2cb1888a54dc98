"""The weights of E0's released model, under the names of its JAX code.

The names and shapes are those of the code (github.com/Doo-mon/e0, `models/e0_diff_hybrid.py`,
`gemma.py`, `siglip.py`). Its checkpoint is in Orbax' format, which needs JAX; docs/vla.md has the
lines that write it as safetensors.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from harness.contracts.errors import UsageError
from policies.vla.checkpoint import fill
from policies.vla.model import VLA
from policies.weights.paligemma import rename

_UNUSED = (
    "state_proj/",
    "action_time_mlp_in/",
    "action_time_mlp_out/",
    "e0_action_time_mlp_in/",
    "e0_action_time_mlp_out/",
)
"""Layers that E0's code creates and never calls."""
_HEAD = ("action_in_proj", "action_out_proj", "time_mlp_in", "time_mlp_out")
_OWN_HEAD = ("e0_action_in_proj", "e0_action_out_proj")
_ROOT = "paligemma_with_expert."
_VISION = _ROOT + "paligemma.model.vision_tower.vision_model."
_LANGUAGE, _EXPERT = _ROOT + "paligemma.model.language_model.", _ROOT + "gemma_expert.model."


class _Params:
    """Weights by their JAX names; each is taken once."""

    def __init__(self, weights: Mapping[str, Tensor], source: str) -> None:
        self._weights = {
            name.removeprefix("params/").removesuffix("/value"): weight
            for name, weight in weights.items()
        }
        self._source = source

    def take(self, name: str, dimensions: int) -> Tensor:
        """Return a weight.

        Raises:
            UsageError: It is missing, or has another number of dimensions.
        """
        weight = self._weights.pop(name, None)
        if weight is None:
            raise UsageError(f"{self._source} does not fit E0: it has no weight {name}")
        if weight.ndim != dimensions:
            raise UsageError(
                f"{self._source}: {name} has {weight.ndim} dimensions, not {dimensions}"
            )
        return weight

    def rest(self) -> list[str]:
        """Return the weights that nobody took, without those that E0 does not use."""
        return [name for name in self._weights if not name.startswith(_UNUSED)]


def e0_sizes(weights: Mapping[str, Tensor], source: str) -> tuple[int, int]:
    """Return the numbers in an action, and the bins.

    Raises:
        UsageError: The weights are not E0's.
    """
    params = _Params(weights, source)
    return (
        params.take("action_in_proj/kernel", 2).shape[0],
        params.take("e0_action_in_proj/kernel", 2).shape[0],
    )


def copy_e0(model: VLA, weights: Mapping[str, Tensor], source: str) -> None:
    """Copy the weights of E0's hybrid model.

    Args:
        model: Has an adaptive E0 hybrid head of the same dimensions.
        weights: With the names of E0's code, joined by "/".
        source: Their file, for the error.

    Raises:
        UsageError: Weights are missing, unexpected, or of another shape; the message lists them.
    """
    params = _Params(weights, source)
    renamed = dict(_vision(params))
    embedding = params.take("PaliGemma/llm/embedder/input_embedding", 2)
    renamed[f"{_LANGUAGE}embed_tokens.weight"] = embedding
    renamed |= _stack(params, _LANGUAGE, "", adaptive=False)
    renamed |= _stack(params, _EXPERT, "_1", adaptive=True)
    for name in _HEAD:
        renamed |= _linear(params, name, name)
    for name in _OWN_HEAD:
        renamed |= _linear(params, name, f"head.{name}")
    if rest := params.rest():
        raise UsageError(f"{source} does not fit E0: unexpected weights {', '.join(rest[:12])}")
    found = {name: weight.contiguous() for name, weight in rename(renamed)[0].items()}
    fill(model, found, source)


def _linear(params: _Params, theirs: str, ours: str) -> dict[str, Tensor]:
    kernel, bias = params.take(f"{theirs}/kernel", 2), params.take(f"{theirs}/bias", 1)
    return {f"{ours}.weight": kernel.T, f"{ours}.bias": bias}


def _vision(params: _Params) -> Iterator[tuple[str, Tensor]]:
    """Yield SigLIP's weights; JAX stacks the layers."""
    root, block = "PaliGemma/img/", "PaliGemma/img/Transformer/encoderblock/"
    kernel = params.take(f"{root}embedding/kernel", 4)
    yield f"{_VISION}embeddings.patch_embedding.weight", kernel.permute(3, 2, 0, 1)
    yield f"{_VISION}embeddings.patch_embedding.bias", params.take(f"{root}embedding/bias", 1)
    positions = params.take(f"{root}pos_embedding", 3).flatten(0, 1)
    yield f"{_VISION}embeddings.position_embedding.weight", positions
    stacked: dict[str, Tensor] = {}
    for number, norm in enumerate(("layer_norm1", "layer_norm2")):
        for theirs, ours in (("scale", "weight"), ("bias", "bias")):
            stacked[f"{norm}.{ours}"] = params.take(f"{block}LayerNorm_{number}/{theirs}", 2)
    for number, layer in enumerate(("mlp.fc1", "mlp.fc2")):
        dense = f"{block}MlpBlock_0/Dense_{number}/"
        stacked[f"{layer}.weight"] = params.take(f"{dense}kernel", 3).transpose(1, 2)
        stacked[f"{layer}.bias"] = params.take(f"{dense}bias", 2)
    attention = f"{block}MultiHeadDotProductAttention_0/"
    for theirs, ours in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj")):
        kernel = params.take(f"{attention}{theirs}/kernel", 4).flatten(2)
        stacked[f"self_attn.{ours}.weight"] = kernel.transpose(1, 2)
        stacked[f"self_attn.{ours}.bias"] = params.take(f"{attention}{theirs}/bias", 3).flatten(1)
    kernel = params.take(f"{attention}out/kernel", 4).flatten(1, 2)
    stacked["self_attn.out_proj.weight"] = kernel.transpose(1, 2)
    stacked["self_attn.out_proj.bias"] = params.take(f"{attention}out/bias", 2)
    yield from _unstacked(f"{_VISION}encoder.layers.", stacked)
    for theirs, ours in (("scale", "weight"), ("bias", "bias")):
        weight = params.take(f"{root}Transformer/encoder_norm/{theirs}", 1)
        yield f"{_VISION}post_layernorm.{ours}", weight
    projector = _ROOT + "paligemma.model.multi_modal_projector.linear"
    yield from _linear(params, f"{root}head", projector).items()


def _stack(params: _Params, place: str, number: str, *, adaptive: bool) -> dict[str, Tensor]:
    """Return the weights of a Gemma stack; `number` ends its names in JAX."""
    root = "PaliGemma/llm/layers/"
    query = params.take(f"{root}attn/q_einsum{number}/w", 4)
    keys = params.take(f"{root}attn/kv_einsum{number}/w", 5)
    gating = params.take(f"{root}mlp{number}/gating_einsum", 4)
    out = params.take(f"{root}attn/attn_vec_einsum{number}/w", 4).flatten(1, 2)
    linear = params.take(f"{root}mlp{number}/linear", 3)
    stacked = {
        "self_attn.q_proj.weight": query.transpose(2, 3).flatten(1, 2),
        "self_attn.k_proj.weight": keys[:, 0].transpose(2, 3).flatten(1, 2),
        "self_attn.v_proj.weight": keys[:, 1].transpose(2, 3).flatten(1, 2),
        "self_attn.o_proj.weight": out.transpose(1, 2),
        "mlp.gate_proj.weight": gating[:, 0].transpose(1, 2),
        "mlp.up_proj.weight": gating[:, 1].transpose(1, 2),
        "mlp.down_proj.weight": linear.transpose(1, 2),
    }
    final: dict[str, Tensor] = {}
    norms = (
        (f"{root}pre_attention_norm{number}", "input_layernorm", stacked, 1),
        (f"{root}pre_ffw_norm{number}", "post_attention_layernorm", stacked, 1),
        (f"PaliGemma/llm/final_norm{number}", "norm", final, 0),
    )
    for theirs, ours, target, layers in norms:
        if adaptive:
            kernel = params.take(f"{theirs}/Dense_0/kernel", 2 + layers)
            target[f"{ours}.dense.weight"] = kernel.transpose(-1, -2)
            target[f"{ours}.dense.bias"] = params.take(f"{theirs}/Dense_0/bias", 1 + layers)
        else:
            target[f"{ours}.weight"] = params.take(f"{theirs}/scale", 1 + layers)
    named = {f"{place}{name}": weight for name, weight in final.items()}
    return named | dict(_unstacked(f"{place}layers.", stacked))


def _unstacked(place: str, stacked: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, weights in stacked.items():
        for number, weight in enumerate(weights):
            yield f"{place}{number}.{name}", weight

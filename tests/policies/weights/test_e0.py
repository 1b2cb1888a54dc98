"""Weights under the names of E0's JAX code.

The released file could not be had; the tests write the names and shapes of its source by hand.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from policies.vla.checkpoint import Checkpoint
from policies.vla.config import SiglipConfig, StackConfig
from policies.weights.__main__ import main
from tests.helpers.vla import tokenizer
from tests.policies.weights.test_convert import network

BINS, ACTION = 64, 32


def stack(config: StackConfig, end: str, adaptive: bool) -> dict[str, tuple[int, ...]]:
    """The shapes of gemma.py: the einsums' axes, after the layers'."""
    layers, width, heads, size = config.depth, config.width, config.heads, config.head_size
    root = "PaliGemma/llm/layers/"
    found: dict[str, tuple[int, ...]] = {
        f"{root}attn/q_einsum{end}/w": (layers, heads, width, size),
        f"{root}attn/kv_einsum{end}/w": (layers, 2, config.kv_heads, width, size),
        f"{root}attn/attn_vec_einsum{end}/w": (layers, heads, size, width),
        f"{root}mlp{end}/gating_einsum": (layers, 2, width, config.mlp),
        f"{root}mlp{end}/linear": (layers, config.mlp, width),
    }
    norms: dict[str, tuple[int, ...]] = {
        f"{root}pre_attention_norm{end}": (layers,),
        f"{root}pre_ffw_norm{end}": (layers,),
        f"PaliGemma/llm/final_norm{end}": (),
    }
    for name, before in norms.items():
        if adaptive:
            found[f"{name}/Dense_0/kernel"] = (*before, width, 3 * width)
            found[f"{name}/Dense_0/bias"] = (*before, 3 * width)
        else:
            found[f"{name}/scale"] = (*before, width)
    return found


def vision(config: SiglipConfig, out: int) -> dict[str, tuple[int, ...]]:
    layers, width, heads = config.depth, config.width, config.heads
    size, root = width // heads, "PaliGemma/img/"
    block = f"{root}Transformer/encoderblock/"
    found: dict[str, tuple[int, ...]] = {
        f"{root}embedding/kernel": (config.patch, config.patch, 3, width),
        f"{root}embedding/bias": (width,),
        f"{root}pos_embedding": (1, config.grid**2, width),
        f"{root}Transformer/encoder_norm/scale": (width,),
        f"{root}Transformer/encoder_norm/bias": (width,),
        f"{root}head/kernel": (width, out),
        f"{root}head/bias": (out,),
        f"{block}MlpBlock_0/Dense_0/kernel": (layers, width, config.mlp),
        f"{block}MlpBlock_0/Dense_0/bias": (layers, config.mlp),
        f"{block}MlpBlock_0/Dense_1/kernel": (layers, config.mlp, width),
        f"{block}MlpBlock_0/Dense_1/bias": (layers, width),
    }
    for number in range(2):
        for name in ("scale", "bias"):
            found[f"{block}LayerNorm_{number}/{name}"] = (layers, width)
    for name in ("query", "key", "value"):
        place = f"{block}MultiHeadDotProductAttention_0/{name}"
        found |= {f"{place}/kernel": (layers, width, heads, size)}
        found |= {f"{place}/bias": (layers, heads, size)}
    place = f"{block}MultiHeadDotProductAttention_0/out"
    return found | {
        f"{place}/kernel": (layers, heads, size, width),
        f"{place}/bias": (layers, width),
    }


def params() -> dict[str, Tensor]:
    config = network("pi05")
    assert isinstance(config.images, SiglipConfig)
    width = config.expert.width
    found = vision(config.images, config.language.width)
    found["PaliGemma/llm/embedder/input_embedding"] = (config.vocabulary, config.language.width)
    found |= stack(config.language, "", adaptive=False)
    found |= stack(config.expert, "_1", adaptive=True)
    for name, before, after in (
        ("action_in_proj", ACTION, width),
        ("action_out_proj", width, ACTION),
        ("e0_action_in_proj", BINS, width),
        ("e0_action_out_proj", width, BINS),
        ("time_mlp_in", width, width),
        ("time_mlp_out", width, width),
        ("state_proj", ACTION, width),
        ("e0_action_time_mlp_in", 2 * width, width),
    ):
        found |= {f"{name}/kernel": (before, after), f"{name}/bias": (after,)}
    drawn = torch.Generator().manual_seed(0)
    return {name: 0.1 * torch.randn(shape, generator=drawn) for name, shape in found.items()}


def convert(folder: Path, given: dict[str, Tensor]) -> int:
    save_file(given, folder / "e0.safetensors")
    (folder / "tokenizer.json").write_text(tokenizer(network("pi05")).dumps())
    numbers: dict[str, Any] = {"q01": [-1.0] * 8, "q99": [3.0] * 8}
    stats = {"norm_stats": {"state": numbers, "actions": {n: v[:7] for n, v in numbers.items()}}}
    (folder / "norm_stats.json").write_text(json.dumps(stats))
    files = {"weights": "e0.safetensors", "statistics": "norm_stats.json"}
    files |= {"tokenizer": "tokenizer.json", "out": "out"}
    paths = [part for name, file in files.items() for part in (f"--{name}", str(folder / file))]
    return main(["--model", "e0", "--size", "dummy", "--horizon", "4", *paths])


def test_every_weight_has_its_place(tmp_path: Path) -> None:
    given = params()
    assert convert(tmp_path, given) == 0
    checkpoint = Checkpoint.open(tmp_path / "out")
    contract = checkpoint.contract
    assert (contract.head, contract.options["bins"]) == ("e0-hybrid", BINS)
    assert (contract.options["action_size"], contract.network.text_length) == (ACTION, 64)
    model, _ = checkpoint.load(torch.device("cpu"))
    sums = sorted(float(weight.double().sum()) for weight in model.state_dict().values())
    theirs = []
    for name, weight in given.items():
        if name.startswith(("state_proj", "e0_action_time_mlp")):
            continue
        layers = list(weight) if "/layers/" in name or "encoderblock" in name else [weight]
        pairs = "kv_einsum" in name or "gating" in name
        theirs += [part for layer in layers for part in (layer if pairs else [layer])]
    assert sums == pytest.approx(sorted(float(part.double().sum()) for part in theirs))
    # What a layer computes, by the einsum of the JAX code.
    config = network("pi05").language
    tokens = torch.randn(3, config.width)
    attention: Any = model.backbone.language.layers[1].attention
    query = torch.einsum("td,ndh->tnh", tokens, given["PaliGemma/llm/layers/attn/q_einsum/w"][1])
    assert torch.allclose(attention.queries(tokens), query.flatten(1), atol=1e-5)
    out = given["PaliGemma/llm/layers/attn/attn_vec_einsum/w"][1]
    assert torch.allclose(
        attention.out(query.flatten(1)), torch.einsum("tnh,nhd->td", query, out), atol=1e-5
    )


def test_missing_and_unexpected_weights_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = params()
    given["lora_a"] = torch.zeros(1)
    assert convert(tmp_path, given) == 2
    assert "unexpected weights lora_a" in " ".join(capsys.readouterr().err.split())
    del given["lora_a"], given["time_mlp_in/bias"]
    assert convert(tmp_path, given) == 2
    assert "it has no weight time_mlp_in/bias" in " ".join(capsys.readouterr().err.split())
    given = params()
    given["action_in_proj/kernel"] = torch.zeros(3)
    assert convert(tmp_path, given) == 2
    assert "has 1 dimensions, not 2" in " ".join(capsys.readouterr().err.split())

"""Conversion of weights with the names of openpi's and LeRobot's PyTorch models."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from harness.contracts.environment import Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import Query
from policies.heads import build
from policies.heads.fast import FastHead
from policies.learned import LearnedPolicy
from policies.vla.checkpoint import Checkpoint
from policies.vla.config import SiglipConfig, StackConfig, VLAConfig, sized
from policies.vla.model import VLA
from policies.weights.__main__ import main
from policies.weights.paligemma import copy_weights
from tests.helpers.released_fast import write_released
from tests.helpers.vla import CAMERAS, tokenizer

LAYER = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
NORMS = ("input_layernorm", "post_attention_layernorm")


def network(kind: str) -> VLAConfig:
    return sized(
        "dummy",
        cameras=CAMERAS,
        state_size=8,
        state="token" if kind == "pi0" else "text",
        adaptive=kind == "pi05",
        acting="language" if kind == "pi0-fast" else "expert",
    )


def shapes(config: VLAConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The names and shapes in LeRobot's state_dict of this model, without its `model.`."""
    root = "paligemma_with_expert."
    images, language, expert = config.images, config.language, config.expert
    assert isinstance(images, SiglipConfig)
    yield from siglip(f"{root}paligemma.model.vision_tower.vision_model.", images)
    projector = root + "paligemma.model.multi_modal_projector.linear."
    yield projector + "weight", (language.width, images.width)
    yield projector + "bias", (language.width,)
    words = (config.vocabulary, language.width)
    yield root + "paligemma.model.language_model.embed_tokens.weight", words
    yield root + "paligemma.lm_head.weight", words
    yield from layers(root + "paligemma.model.language_model.", language, adaptive=False)
    if config.acting == "expert":
        yield root + "gemma_expert.lm_head.weight", (3, expert.width)
        yield from layers(root + "gemma_expert.model.", expert, config.adaptive)
        yield from action_layers(config)


def siglip(root: str, config: SiglipConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield root + "embeddings.patch_embedding.weight", (config.width, 3, config.patch, config.patch)
    yield root + "embeddings.patch_embedding.bias", (config.width,)
    yield root + "embeddings.position_embedding.weight", (config.grid**2, config.width)
    for number in range(config.depth):
        layer = f"{root}encoder.layers.{number}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield f"{layer}self_attn.{name}.weight", (config.width, config.width)
            yield f"{layer}self_attn.{name}.bias", (config.width,)
        for name, size in (
            ("fc1", (config.mlp, config.width)),
            ("fc2", (config.width, config.mlp)),
        ):
            yield f"{layer}mlp.{name}.weight", size
            yield f"{layer}mlp.{name}.bias", size[:1]
        for name in ("layer_norm1", "layer_norm2"):
            yield f"{layer}{name}.weight", (config.width,)
            yield f"{layer}{name}.bias", (config.width,)
    for part in ("weight", "bias"):
        yield f"{root}post_layernorm.{part}", (config.width,)


def layers(root: str, stack: StackConfig, adaptive: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    def norm(name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        if adaptive:
            yield f"{name}.dense.weight", (3 * stack.width, stack.width)
            yield f"{name}.dense.bias", (3 * stack.width,)
        else:
            yield f"{name}.weight", (stack.width,)

    inner, shared = stack.heads * stack.head_size, stack.kv_heads * stack.head_size
    for number in range(stack.depth):
        layer = f"{root}layers.{number}."
        for name, rows in zip(LAYER[:3], (inner, shared, shared), strict=True):
            yield f"{layer}{name}.weight", (rows, stack.width)
        yield f"{layer}{LAYER[3]}.weight", (stack.width, inner)
        for name in MLP[:2]:
            yield f"{layer}{name}.weight", (stack.mlp, stack.width)
        yield f"{layer}{MLP[2]}.weight", (stack.width, stack.mlp)
        for name in NORMS:
            yield from norm(layer + name)
    yield from norm(f"{root}norm")


def action_layers(config: VLAConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    width = config.expert.width
    yield "action_in_proj.weight", (width, 32)
    yield "action_out_proj.weight", (32, width)
    yield "action_in_proj.bias", (width,)
    yield "action_out_proj.bias", (32,)
    if config.state == "token":
        yield "state_proj.weight", (width, 32)
        yield "state_proj.bias", (width,)
    kind, before = ("time", 1) if config.adaptive else ("action_time", 2)
    for name, size in (("in", before * width), ("out", width)):
        yield f"{kind}_mlp_{name}.weight", (width, size)
        yield f"{kind}_mlp_{name}.bias", (width,)


def weights(kind: str, prefix: str = "") -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(0)
    return {
        prefix + name: 0.1 * torch.randn(shape, generator=drawn)
        for name, shape in shapes(network(kind))
    }


def empty(kind: str) -> VLA:
    options = {"horizon": 4, "action_size": 32, "adaptive": kind == "pi05"}
    config = network(kind)
    return VLA(config, build("flow", options, config.width))


@pytest.mark.parametrize("kind", ["pi0", "pi05"])
def test_every_weight_is_copied(kind: str) -> None:
    model, given = empty(kind), weights(kind, "model.")
    copy_weights(model, given, "LeRobot's")
    sums = sorted(float(weight.double().sum()) for weight in model.state_dict().values())
    unused = ("lm_head",)
    theirs = [w for name, w in given.items() if not any(part in name for part in unused)]
    assert sums == sorted(float(weight.double().sum()) for weight in theirs)
    # openpi's files hold this table only once, under either name.
    plain = weights(kind)
    plain["paligemma_with_expert.paligemma.lm_head.weight"] = plain.pop(
        "paligemma_with_expert.paligemma.model.language_model.embed_tokens.weight"
    )
    other = empty(kind)
    copy_weights(other, plain, "openpi's")
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


def test_missing_and_unexpected_weights_are_listed() -> None:
    given = weights("pi0")
    del given["state_proj.bias"]
    given["lora.weight"] = torch.zeros(1)
    given["action_in_proj.weight"] = torch.zeros(64, 7)
    with pytest.raises(UsageError) as caught:
        copy_weights(empty("pi0"), given, "there.safetensors")
    message = str(caught.value)
    assert "there.safetensors" in message
    assert "1 missing: trunk.state.bias" in message
    assert "1 unexpected: lora.weight" in message
    assert "1 of another shape: head.action_in_proj.weight (64, 7) for (64, 32)" in message


def test_pi05_is_not_accepted_as_pi0() -> None:
    with pytest.raises(UsageError, match=r"missing.*unexpected"):
        copy_weights(empty("pi0"), weights("pi05"), "there")


def files(folder: Path, kind: str) -> list[str]:
    folder.mkdir()
    save_file(weights(kind, "model."), folder / "model.safetensors")
    state = {"mean": [0.5] * 8, "std": [2.0] * 8, "q01": [-1.0] * 8, "q99": [3.0] * 8}
    actions = {name: values[:7] for name, values in state.items()}
    statistics = {"norm_stats": {"state": state, "actions": actions}}
    (folder / "norm_stats.json").write_text(json.dumps(statistics))
    (folder / "tokenizer.json").write_text(tokenizer(network(kind)).dumps())
    given = {"weights": "model.safetensors", "statistics": "norm_stats.json"}
    given |= {"tokenizer": "tokenizer.json"}
    paths = [part for name, file in given.items() for part in (f"--{name}", str(folder / file))]
    more = ["--size", "dummy", "--horizon", "4", "--out", str(folder / "out")]
    if kind == "pi0-fast":
        chunks = np.random.default_rng(0).uniform(-1, 1, (200, 4, 7))
        write_released(folder / "fast", chunks, vocabulary=160, scale=5)
        more += ["--fast", str(folder / "fast")]
    return ["--model", kind, *paths, *more]


def test_pi0_fast_action_tokens_are_rows_of_the_word_tables(tmp_path: Path) -> None:
    arguments = files(tmp_path / "given", "pi0-fast")
    assert main(arguments) == 0
    model, prompts = Checkpoint.open(tmp_path / "given/out").load(torch.device("cpu"))
    table, logits = (
        weights("pi0-fast")[f"paligemma_with_expert.paligemma.{name}.weight"]
        for name in ("model.language_model.embed_tokens", "lm_head")
    )
    assert isinstance(model.head, FastHead)
    assert torch.equal(model.backbone.embedding.words.weight, table)
    assert torch.equal(model.head.start, table[prompts.token_ids("Action: ")] * 8)
    plain = Tokenizer.from_file(str(tmp_path / "given/tokenizer.json"))
    for token in range(160):
        word = plain.get_vocab_size() - 1 - 128 - token
        assert torch.equal(model.head.embed.weight[token], table[word] * 8)
        assert torch.equal(model.head.out_proj.weight[token], logits[word])
    assert torch.equal(model.head.out_proj.weight[160], logits[plain.token_to_id("|")])
    assert not model.head.out_proj.bias.any()
    # LeRobot keeps capitals, and ends the prompt with a second <bos>.
    ids, _ = prompts.encode(["Push it"], np.zeros((1, 1), np.float32))
    assert plain.decode(ids[0].tolist(), skip_special_tokens=True) == (
        "Task: Push it, State: 128;\n"
    )
    assert ids[0, 0] == ids[0, -1] == plain.token_to_id("<bos>")


def test_pi0_fast_needs_its_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = files(tmp_path / "given", "pi0-fast")
    assert main(arguments[: arguments.index("--fast")]) == 2
    assert "--fast" in capsys.readouterr().err
    (tmp_path / "given/fast/tokenizer.json").unlink()
    assert main(arguments) == 2
    assert "physical-intelligence/fast" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "given/fast")
    chunks = np.random.default_rng(0).uniform(-1, 1, (300, 4, 7))
    write_released(tmp_path / "given/fast", chunks, vocabulary=400)
    assert main(arguments) == 2
    assert "too few for 400 action tokens" in capsys.readouterr().err


def test_pi0_fast_with_a_missing_weight_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, given = files(tmp_path / "given", "pi0-fast"), weights("pi0-fast", "model.")
    del given["model.paligemma_with_expert.paligemma.model.language_model.norm.weight"]
    save_file(given, tmp_path / "given/model.safetensors")
    assert main(arguments) == 2
    assert "1 missing: trunk.language.norm.weight" in capsys.readouterr().err.replace("\n", " ")


def test_statistics_of_lerobot_are_read(tmp_path: Path) -> None:
    """Its normalizer stores tensors named FEATURE.STATISTIC."""
    arguments = files(tmp_path / "given", "pi05")
    stats = json.loads((tmp_path / "given/norm_stats.json").read_text())["norm_stats"]
    features = {"observation.state": stats["state"], "action": stats["actions"]}
    normalizer = tmp_path / "given/normalizer.safetensors"
    tensors = {
        f"{key}.{n}": torch.tensor(v) for key, each in features.items() for n, v in each.items()
    }
    save_file(tensors | {"observation.images.main.mean": torch.zeros(3, 1, 1)}, normalizer)
    assert main(arguments) == 0
    first = Checkpoint.open(tmp_path / "given/out").contract.normalization
    arguments[arguments.index("--statistics") + 1] = str(normalizer)
    assert main(arguments) == 0
    assert Checkpoint.open(tmp_path / "given/out").contract.normalization == first
    assert main([*arguments, "--normalization", "gaussian"]) == 0
    assert Checkpoint.open(tmp_path / "given/out").contract.normalization != first
    without = {name: each for name, each in tensors.items() if "q01" not in name}
    save_file(without, normalizer)
    assert main(arguments) == 2


@pytest.mark.parametrize("kind", ["pi0", "pi05", "pi0-fast"])
def test_a_converted_checkpoint_infers(kind: str, tmp_path: Path) -> None:
    arguments = files(tmp_path / "given", kind)
    assert main([*arguments, "--relative", "6", "--replan", "2"]) == 0
    policy = LearnedPolicy(str(tmp_path / "given/out"))
    assert policy.spec.cameras == CAMERAS
    policy.load()
    observation: Observation = {
        "image": {role: np.full((20, 30, 3), 90, np.uint8) for role in CAMERAS},
        "state": np.full(8, 100, np.float32),
        "instruction": "push the cube",
    }
    chunk = policy.infer([Query(observation, np.random.default_rng(0))])[0]
    assert chunk.shape == (2, 7)
    assert np.isfinite(chunk).all()
    # The first six numbers are relative to a state of 100; the gripper is not.
    assert (chunk[:, :6] > 50).all()
    assert (abs(chunk[:, 6]) < 50).all()


def test_a_wrong_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = files(tmp_path / "given", "pi0")
    (tmp_path / "given/tokenizer.json").unlink()
    assert main(arguments) == 2
    assert "google/paligemma-3b-pt-224" in capsys.readouterr().err
    (tmp_path / "given/norm_stats.json").write_text("{}")
    assert main(arguments) == 2
    assert "norm_stats.json" in capsys.readouterr().err


def test_what_cannot_be_played_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = files(tmp_path / "given", "pi0")
    for option, value, message in (
        ("--replan", "99", "contract.replan must be from 1 to the horizon"),
        ("--relative", "9", "`relative` needs an entry"),
        ("--state-size", "3", "contract.normalization.relative must be indices of a state of 3"),
    ):
        relative = [] if option == "--relative" else ["--relative", "6"]
        assert main([*arguments, option, value, *relative]) == 2
        assert message in capsys.readouterr().err.replace("\n", " ")
    stats = json.loads((tmp_path / "given/norm_stats.json").read_text())
    stats["norm_stats"]["state"]["std"][0] = float("nan")
    (tmp_path / "given/norm_stats.json").write_text(json.dumps(stats))
    assert main(arguments) == 2
    assert "norm_stats.json: a scaling needs" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "given/out").exists()


def test_weights_that_are_not_finite_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, given = files(tmp_path / "given", "pi0"), weights("pi0")
    given["action_in_proj.weight"][3, 4] = float("inf")
    save_file(given, tmp_path / "given/model.safetensors")
    assert main(arguments) == 2
    assert "head.action_in_proj.weight holds NaN" in capsys.readouterr().err.replace("\n", " ")

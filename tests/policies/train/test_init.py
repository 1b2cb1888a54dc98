"""A training with --init takes over the weights, the tokenizer, and the head if it fits."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.contracts.policy import Query
from policies.heads import build
from policies.learned import LearnedPolicy
from policies.train import prefix_cache
from policies.train.__main__ import main
from policies.train.initial import InitialCheckpoint
from policies.vla.checkpoint import Checkpoint, contract_of, save
from policies.vla.config import sized
from policies.vla.model import VLA
from policies.vla.normalize import Normalization, Scaling
from policies.vla.prompts import PromptTokenizer
from tests.helpers.demos import write_demos
from tests.helpers.vla import inputs

QUICK = ("--size", "dummy", "--replan", "2", "--held-out", "0", "--device", "cpu", "--batch", "4")
STILL = ("--learning-rate", "1e-12", "--final-learning-rate", "1e-12", "--steps", "2")
"""With this learning rate, the weights stay almost the same."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demos(tmp_path_factory.mktemp("demos"), range(3))


def checkpoint(folder: Path, head: str = "flow", action_size: int = 3, **options: object) -> Path:
    """Save a model with another vocabulary and another order of cameras than the data's."""
    torch.manual_seed(3)
    config = sized("dummy", cameras=("wrist", "main"), state_size=3)
    options = {"horizon": 4, "action_size": action_size, **options}
    model = VLA(config, build(head, options, config.width))
    model.head.fit(np.random.default_rng(0).normal(size=(99, 4, action_size)).astype(np.float32))
    scalings = [Scaling((0.0,) * 3, (1.0,) * 3) for _ in range(2)]
    contract = contract_of(model, Normalization(*scalings))
    save(folder, model, PromptTokenizer.fitted(["wipe the table"], config), contract)
    return folder


def run(data: Path, init: Path, out: Path, *more: str) -> int:
    options = ["--data", str(data), "--init", str(init), "--out", str(out), "--horizon", "4"]
    return main([*options, *QUICK, *STILL, *more])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return Checkpoint.open(folder).load(torch.device("cpu"))[0].state_dict()


def test_the_same_head_keeps_its_weights(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init, out = checkpoint(tmp_path / "old"), tmp_path / "new"
    assert run(data, init, out, "--head", "flow") == 0
    old, new = weights(init), weights(out)
    assert old.keys() == new.keys()
    for name, weight in old.items():
        torch.testing.assert_close(new[name], weight, atol=1e-6, rtol=0)
    identity = Checkpoint.open(init).identity
    for text in (capsys.readouterr().err, (out / "README.md").read_text()):
        assert f"old ({identity[:10]}), the head's weights kept" in " ".join(text.split())
    assert json.loads((out / "training/init.json").read_text())["init"] == identity
    assert (out / "tokenizer.json").read_bytes() == (init / "tokenizer.json").read_bytes()
    assert Checkpoint.open(out).contract.network.cameras == ("wrist", "main")


@pytest.mark.parametrize("more", [("--head", "regression"), ("--head", "e0")])
def test_another_head_gets_random_weights(
    more: tuple[str, ...], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init, out = checkpoint(tmp_path / "old", "e0", bins=16), tmp_path / "new"
    assert run(data, init, out, *more, *(("--options", "bins=8") if "e0" in more else ())) == 0
    assert "the head's weights drawn anew" in " ".join(capsys.readouterr().err.split())
    old, new = weights(init), weights(out)
    for name, weight in old.items():
        if name.startswith("trunk."):
            torch.testing.assert_close(new[name], weight, atol=1e-6, rtol=0)


def test_adaptive_layers_first_compute_the_same(tmp_path: Path) -> None:
    init = checkpoint(tmp_path / "old", "regression")
    initial = InitialCheckpoint.load(Checkpoint.open(init))
    options = {"horizon": 4, "action_size": 3, "adaptive": True}
    config = initial.model.config
    model = VLA(replace(config, adaptive=True), build("flow", options, config.width))
    initial.copy_weights_to(model)
    seen, tokens = inputs(config), torch.randn(2, 4, config.width)
    with torch.no_grad():
        before = initial.model.backbone.expert(initial.model.backbone.prefix(seen))(tokens)
        expert = model.backbone.expert(model.backbone.prefix(seen))
        after = expert(tokens, condition=torch.randn(2, config.width))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


def test_short_actions_are_padded_for_the_head(data: Path, tmp_path: Path) -> None:
    """Openpi's heads have 32 numbers for every robot."""
    init, out = checkpoint(tmp_path / "old", action_size=32), tmp_path / "new"
    assert run(data, init, out, "--head", "flow") == 0
    contract = Checkpoint.open(out).contract
    assert (contract.options["action_size"], contract.normalization.action.size) == (32, 3)
    policy = LearnedPolicy(str(out))
    policy.load()
    seen = {
        "image": {role: np.zeros((28, 28, 3), np.uint8) for role in ("main", "wrist")},
        "state": np.zeros(3, np.float32),
        "instruction": "reach the light",
    }
    assert policy.infer([Query(seen, np.random.default_rng(0))])[0].shape == (2, 3)


def test_the_fitted_tokenizer_of_the_head_is_kept(data: Path, tmp_path: Path) -> None:
    init = checkpoint(tmp_path / "old", "fast", vocabulary=300, leading=2)
    assert run(data, init, tmp_path / "kept", "--head", "fast") == 0
    kept = (tmp_path / "kept/fast.json").read_bytes()
    assert kept == (init / "fast.json").read_bytes()
    other = ("--head", "fast", "--options", "vocabulary=200")
    assert run(data, init, tmp_path / "anew", *other) == 0
    assert (tmp_path / "anew/fast.json").read_bytes() != kept
    assert Checkpoint.open(tmp_path / "anew").contract.options["leading"] == 1


def test_backbone_weights_must_fit(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init = checkpoint(tmp_path / "old")
    assert run(data, init, tmp_path / "new", "--head", "flow", "--state", "text") == 2
    message = " ".join(capsys.readouterr().err.split())
    assert f"--init {init} does not fit the model" in message
    assert "2 unexpected: state.bias, state.weight" in message
    assert run(data, tmp_path, tmp_path / "none", "--head", "flow") == 2
    assert "holds no checkpoint" in capsys.readouterr().err


def test_a_training_from_another_checkpoint_is_not_resumed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = checkpoint(tmp_path / "one"), checkpoint(tmp_path / "two", action_size=8)
    out = tmp_path / "new"
    assert run(data, first, out, "--head", "flow") == 0
    # The same holds for an unfinished training.
    for finished in (True, False):
        assert (out / "README.md").is_file() == finished
        assert run(data, second, out, "--head", "flow") == 2
        assert "another init; choose another --out" in " ".join(capsys.readouterr().err.split())
        (out / "README.md").unlink(missing_ok=True)


def test_16_bit_weights_are_trained_in_32_bits(data: Path, tmp_path: Path) -> None:
    init = checkpoint(tmp_path / "old")
    model, tokenizer = Checkpoint.open(init).load(torch.device("cpu"))
    save(tmp_path / "half", model.to(torch.bfloat16), tokenizer, Checkpoint.open(init).contract)
    assert run(data, tmp_path / "half", tmp_path / "new", "--head", "flow") == 0
    assert {weight.dtype for weight in weights(tmp_path / "new").values()} == {torch.float32}


def test_a_frozen_backbone_is_computed_once_and_stays(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefix_cache, "BLOCK", 3)  # Some blocks have only the shorter instruction.
    init = checkpoint(tmp_path / "old")
    quick = ["--data", str(data), "--init", str(init), "--horizon", "4", *QUICK, "--frozen"]
    assert main([*quick, "--head", "e0", "--out", str(tmp_path / "whole"), "--steps", "4"]) == 0
    old, new = weights(init), weights(tmp_path / "whole")
    still = ("trunk.embedding.", "trunk.language.")
    for name in old.keys() & new.keys():
        if name.startswith(still):
            assert torch.equal(old[name], new[name])
        elif name.startswith("trunk.actor.layers") and old[name].ndim > 1:
            assert not torch.equal(old[name], new[name])
    assert any(name.startswith(still) for name in old)
    # Without augmentation, cached prefixes give the same loss.
    plain = [f"--augmentation.{kind}=0" for kind in ("rotation", "brightness", "contrast")]
    plain += ["--augmentation.saturation=0", "--augmentation.crop=1"]
    for name, more in (("read", ["--frozen"]), ("seen", [])):
        settings = [*(word for word in quick if word != "--frozen"), *more, *plain, "--head", "e0"]
        assert main([*settings, "--out", str(tmp_path / name), "--steps", "1"]) == 0
    lines = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("read", "seen")]
    first = [json.loads(each[0])["loss"] for each in lines]
    assert first[0] == pytest.approx(first[1], rel=1e-5)
    capsys.readouterr()
    assert main(["--data", str(data), *QUICK, "--frozen", "--out", str(tmp_path / "none")]) == 2
    assert "--frozen needs --init" in " ".join(capsys.readouterr().err.split())

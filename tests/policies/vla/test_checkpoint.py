"""Checkpoints: saved and loaded without change, or refused with the reason."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.contracts.errors import UsageError
from harness.contracts.vectors import Layout, Part
from policies.heads import HEADS
from policies.vla.checkpoint import Checkpoint, contract_of, save
from policies.vla.config import SIZES, VLAConfig, sized
from policies.vla.model import VLA
from tests.helpers.vla import (
    ACTION,
    CAMERAS,
    HORIZON,
    inputs,
    model,
    network,
    normalization,
    streams,
    tokenizer,
)

CPU = torch.device("cpu")
LAYOUT = Layout((Part("joints", 2, "rad"), Part("gripper", 1, "-1 open, +1 close")))
CONFIG, WEIGHTS = "config.json", "model.safetensors"


def saved(folder: Path, vla: VLA) -> Checkpoint:
    contract = contract_of(vla, normalization(), replan=3, action_layout=LAYOUT)
    return save(folder, vla, tokenizer(vla.config), contract)


def every_head() -> list[tuple[str, dict[str, Any]]]:
    """Return every head, and again as adaptive where possible."""
    plain: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in HEADS]
    adaptive = [(n, {"adaptive": True}) for n, (c, _) in HEADS.items() if hasattr(c, "adaptive")]
    return plain + adaptive


@pytest.mark.parametrize(("head", "options"), every_head(), ids=str)
def test_loading_and_saving_again_gives_the_same_files(
    head: str, options: dict[str, Any], tmp_path: Path
) -> None:
    vla = model(network("dummy"), head, **options)
    drawn = torch.Generator().manual_seed(3)
    vla.head.fit(torch.rand(64, HORIZON, ACTION, generator=drawn).mul(2).sub(1).numpy())
    first = saved(tmp_path / "first", vla)
    loaded, prompts = Checkpoint.open(tmp_path / "first").load(CPU)
    again = save(tmp_path / "again", loaded, prompts, first.contract)
    assert again.identity == first.identity
    for file in (tmp_path / "first").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    assert again.contract == contract_of(vla, normalization(), replan=3, action_layout=LAYOUT)
    seen = inputs(vla.config)
    assert torch.equal(loaded.act(seen, streams(2)), vla.act(seen, streams(2)))


@pytest.mark.parametrize("size", SIZES)
def test_every_size_survives_json(size: str) -> None:
    config = sized(size, cameras=CAMERAS, state_size=4, state="text", adaptive=True)
    assert VLAConfig.from_json(json.loads(json.dumps(asdict(config)))) == config


def test_other_weights_give_another_identity(tmp_path: Path) -> None:
    one, other = (saved(tmp_path / f"{n}", model(network(), seed=n)) for n in (0, 1))
    assert one.identity != other.identity


def rewrite(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """Replace the weights and their hash."""
    save_file(weights, folder / WEIGHTS)
    config = json.loads((folder / CONFIG).read_text())
    config["files"][WEIGHTS] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / CONFIG).write_text(json.dumps(config))


def test_weights_must_match_exactly(tmp_path: Path) -> None:
    saved(tmp_path, model(network()))
    weights = load_file(tmp_path / WEIGHTS)
    lost = weights.pop("trunk.language.norm.weight")
    rewrite(tmp_path, {**weights, "trunk.extra": lost.clone()})
    with pytest.raises(UsageError) as caught:
        Checkpoint.open(tmp_path).load(CPU)
    assert "1 missing: trunk.language.norm.weight" in str(caught.value)
    assert "1 unexpected: trunk.extra" in str(caught.value)
    rewrite(tmp_path, {**weights, "trunk.language.norm.weight": lost[:5].clone()})
    with pytest.raises(UsageError, match=r"norm.weight \(5,\) for \(128,\)"):
        Checkpoint.open(tmp_path).load(CPU)


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, model(network()))
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=f"{name} has changed since it was saved"):
        checkpoint.load(CPU)
    (tmp_path / name).unlink()
    with pytest.raises(UsageError, match=name):
        checkpoint.load(CPU)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no config\.json"):
        Checkpoint.open(tmp_path)
    saved(tmp_path, model(network()))
    config = json.loads((tmp_path / CONFIG).read_text())
    for wrong in (
        {**config, "format": 2},
        {**config, "files": {"../../etc/passwd": "0"}},
        {**config, "contract": {}},
    ):
        (tmp_path / CONFIG).write_text(json.dumps(wrong))
        with pytest.raises(UsageError, match=r"cannot read .*config.json"):
            Checkpoint.open(tmp_path)


def test_a_head_for_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="adaptive"):
        VLA(network("tiny", adaptive=True), model(network("tiny")).head)

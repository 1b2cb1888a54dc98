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
        {**config, "contract": {}},
        [],
    ):
        (tmp_path / CONFIG).write_text(json.dumps(wrong))
        with pytest.raises(UsageError, match=r"cannot read .*config.json"):
            Checkpoint.open(tmp_path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\xff", '{"format": Infinity}'])
def test_text_that_is_no_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"cannot read .*config.json"):
        Checkpoint.open(tmp_path)


def test_hashes_of_all_files_are_required(tmp_path: Path) -> None:
    """Without them, other weights would play under the same name."""
    saved(tmp_path, model(network()))
    config = json.loads((tmp_path / CONFIG).read_text())
    files = config["files"]
    for wrong, message in (
        ({}, f"hashes of {WEIGHTS} and tokenizer.json"),
        ({WEIGHTS: files[WEIGHTS]}, "hashes of"),
        (None, "hashes of"),
        ({**files, "../../etc/passwd": files[WEIGHTS]}, "outside its folder"),
        ({**files, WEIGHTS: "0"}, f"files.{WEIGHTS} must be a SHA-256"),
        ({**files, WEIGHTS: None}, f"files.{WEIGHTS} must be a SHA-256"),
    ):
        (tmp_path / CONFIG).write_text(json.dumps({**config, "files": wrong}))
        with pytest.raises(UsageError, match=rf"{CONFIG}: field files.*{message}|{message}"):
            Checkpoint.open(tmp_path)


WRONG: list[tuple[str, Any, str]] = [
    ("network.expert.width", "128", "whole number from 1 to 65536, not '128'"),
    ("network.expert.width", True, "whole number"),
    ("network.expert.width", 128.0, "whole number"),
    ("network.language.depth", 10**9, "from 1 to 200"),
    ("network.images.pixels", -5, "from 4 to 4096, not -5"),
    ("network.images.pixels", 8, "must be 128"),
    ("network.images.channels", [24, 47], "multiples of 8"),
    ("network.images.tokens", None, "whole number"),
    ("network.images.patches", 3, "unknown field of contract.network.images 'patches'"),
    ("network.images", [], "must be an object"),
    ("network.cameras", "main", "must be a list"),
    ("network.cameras", ["main", 3], r"cameras\[1\] must be a text"),
    ("network.cameras", ["main", "main"], "different names"),
    ("network.text_length", 0, "from 2 to 10000, not 0"),
    ("network.state", "words", "'token' or 'text' or 'none', not 'words'"),
    ("network.state_size", 4, "normalization.state must be for at most the network's 4"),
    ("network.adaptive", 1, "true or false"),
    ("network.adaptive", True, "adaptive must be False"),
    ("network.expert.kv_heads", 3, "multiple of kv_heads"),
    ("normalization.relative", [99, None, None], "relative must be indices of a state of 5"),
    ("normalization.relative", [-1, None, None], r"relative\[0\] must be a whole number from 0"),
    ("normalization.relative", [0], "relative` needs an entry for each"),
    ("normalization.angles", [7], "angles"),
    ("normalization.action.span", [1.0], "contract.normalization: a scaling needs"),
    ("normalization.action.span", [1.0, 0.0, 1.0], "positive span"),
    ("normalization.action.span", [1.0, float("inf"), 1.0], r"span\[1\] must be a finite number"),
    ("normalization.state.centre", [0.0, 0.0, float("nan"), 0.0, 0.0], r"centre\[2\]"),
    ("normalization.state.centre", [10**400] * 5, "finite number"),
    ("normalization.state", {"centre": [0.0] * 3, "span": [1.0] * 3}, "state_layout must be of 3"),
    ("normalization.action", {"centre": [0.0] * 9, "span": [1.0] * 9}, "at most the head's 3"),
    ("replan", 0, "from 1 to 10000, not 0"),
    ("replan", -3, "not -3"),
    ("replan", "x", "not 'x'"),
    ("replan", 5, "replan must be from 1 to the horizon, 4"),
    ("head", "flwo", "did you mean flow"),
    ("options", None, "options must be an object"),
    ("options.bins", 2_000_000_000, "contract.options: bins must be from 2 to 1048576"),
    ("options.bins", 2e9, "bins of the head e0 must be a whole number"),
    ("options.horizon", 10**9, "horizon must be from 1 to 10000"),
    ("options.smoothing", float("inf"), "smoothing must be"),
    ("options.stepz", 3, "did you mean steps"),
    ("state_layout", {"parts": [{"name": "arm", "size": "5", "meaning": ""}]}, r"parts\[0\].size"),
    ("state_layout", {"parts": {}}, "must be a list"),
    ("wheels", 4, "unknown field of contract 'wheels'"),
]


@pytest.mark.parametrize(("field", "value", "message"), WRONG, ids=str)
def test_a_wrong_field_is_named(field: str, value: Any, message: str, tmp_path: Path) -> None:
    vla = model(network(), "e0", bins=32)
    layout = Layout((Part("arm", 5, "rad"),))
    contract = contract_of(vla, normalization(), replan=3, state_layout=layout)
    save(tmp_path, vla, tokenizer(vla.config), contract)
    config = json.loads((tmp_path / CONFIG).read_text())
    *path, last = ("contract", *field.split("."))
    place = config
    for key in path:
        place = place[key]
    place[last] = value
    (tmp_path / CONFIG).write_text(json.dumps(config))
    with pytest.raises(UsageError, match=message) as caught:
        Checkpoint.open(tmp_path)
    assert str(caught.value).startswith(f"cannot read {tmp_path / CONFIG}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_field_is_named_but_defaults_may_be_left_out(tmp_path: Path) -> None:
    first = saved(tmp_path, model(network()))
    config = json.loads((tmp_path / CONFIG).read_text())
    del config["contract"]["network"]["prompts"], config["contract"]["normalization"]["angles"]
    (tmp_path / CONFIG).write_text(json.dumps(config))
    assert Checkpoint.open(tmp_path).contract == first.contract
    del config["contract"]["network"]["vocabulary"]
    (tmp_path / CONFIG).write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"contract\.network\.vocabulary is missing"):
        Checkpoint.open(tmp_path)


def test_nothing_is_allocated_before_the_weights_are_known_to_fit(tmp_path: Path) -> None:
    saved(tmp_path, model(network(), "e0", bins=32))
    config = json.loads((tmp_path / CONFIG).read_text())
    # Weights of this size would take 2**20 * 65536 * 4 bytes.
    config["contract"]["options"]["bins"] = 2**20
    for stack in ("expert", "language"):
        config["contract"]["network"][stack]["width"] = 65536
    (tmp_path / CONFIG).write_text(json.dumps(config))
    with pytest.raises(UsageError, match="does not fit the model"):
        Checkpoint.open(tmp_path).load(CPU)


def test_loading_draws_no_random_numbers(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, model(network(), "diffusion"))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    loaded, _ = checkpoint.load(CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert {each.device for each in loaded.buffers()} == {CPU}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_that_are_not_finite_are_refused(
    value: float, dtype: torch.dtype, tmp_path: Path
) -> None:
    saved(tmp_path, model(network()).to(dtype))
    weights = load_file(tmp_path / WEIGHTS)
    name = "trunk.language.norm.weight"
    weights[name][7] = value
    rewrite(tmp_path, weights)
    with pytest.raises(UsageError, match=rf"{WEIGHTS}: {name} holds NaN or infinite numbers"):
        Checkpoint.open(tmp_path).load(CPU)


def test_a_head_for_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="adaptive"):
        VLA(network("tiny", adaptive=True), model(network("tiny")).head)

"""Conversion of a whole LeRobot checkpoint.

LeRobot needs another environment, so these tests write its files by hand, as LeRobot 0.4.4 saves
them: config.json, model.safetensors, and two processors with their statistics.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from harness.contracts.policy import Query
from policies.learned import LearnedPolicy
from policies.vla.checkpoint import Checkpoint
from policies.vla.prompts import prompt
from policies.weights.__main__ import main
from tests.helpers.released_fast import write_released
from tests.helpers.vla import tokenizer
from tests.policies.weights.test_convert import network, weights

TYPES = {"pi0": "pi0", "pi05": "pi05", "pi0-fast": "pi0_fast"}
STATE = {"min": -3.0, "max": 5.0, "mean": 0.5, "std": 2.0, "q01": -1.0, "q99": 3.0}
REVISION = "0123456789abcdef0123456789abcdef01234567"
JSON = dict[str, Any]


class Folder:
    """A checkpoint's folder, as LeRobot's `save_pretrained` writes it."""

    def __init__(self, path: Path, kind: str, mode: str = "QUANTILES") -> None:
        self.path = path
        path.mkdir()
        images = [f"observation.images.{name}" for name in ("image", "image2", "empty_camera_0")]
        visual = {key: {"type": "VISUAL", "shape": [3, 28, 28]} for key in images}
        state, action = {"type": "STATE", "shape": [8]}, {"type": "ACTION", "shape": [7]}
        modes = {"VISUAL": "IDENTITY", "STATE": mode, "ACTION": mode}
        self.config: JSON = {
            "type": TYPES[kind],
            "input_features": {**visual, "observation.state": state},
            "output_features": {"action": action},
            "paligemma_variant": "gemma_2b",
            "action_expert_variant": "gemma_300m",
            "chunk_size": 4,
            "n_action_steps": 3,
            "max_state_dim": 32,
            "max_action_dim": 32,
            "image_resolution": [28, 28],
            "tokenizer_max_length": 77,
            "normalization_mapping": modes,
        }
        if kind == "pi0-fast":
            self.config |= {"temperature": 0.5, "fast_skip_tokens": 128}
        else:
            self.config |= {"num_inference_steps": 5, "min_period": 0.004, "max_period": 4.0}
        features = {**self.config["input_features"], **self.config["output_features"]}
        normalization = {"eps": 1e-8, "features": features, "norm_map": modes}
        words = {"max_length": 77, "tokenizer_name": "google/paligemma-3b-pt-224"}
        self.before: JSON = {
            "rename_observations_processor": {"rename_map": {}},
            "to_batch_processor": {},
            "normalizer_processor": normalization,
            f"{TYPES[kind]}_prepare_state_tokenizer_processor_step": {},
            "tokenizer_processor": words,
        }
        if kind == "pi0":
            del self.before["pi0_prepare_state_tokenizer_processor_step"]
        if kind == "pi0-fast":
            self.before["action_tokenizer_processor"] = {
                "action_tokenizer_name": "physical-intelligence/fast"
            }
        self.after: JSON = {
            "unnormalizer_processor": {**normalization, "features": {"action": action}},
            "device_processor": {"device": "cpu", "float_dtype": None},
        }
        self.statistics = {
            key: {name: np.full(size, value) for name, value in STATE.items()}
            for key, size in (("observation.state", 8), ("action", 7))
        }
        save_file(weights(kind, "model."), path / "model.safetensors")

    def write(self) -> "Folder":
        """Write everything but the weights."""
        (self.path / "config.json").write_text(json.dumps(self.config))
        for name, steps in (("preprocessor", self.before), ("postprocessor", self.after)):
            listed: list[JSON] = []
            for number, (step, config) in enumerate(steps.items()):
                listed.append({"registry_name": step, "config": config})
                if "normalizer" in step and self.statistics:
                    file = f"policy_{name}_step_{number}_{step}.safetensors"
                    listed[-1]["state_file"] = file
                    tensors = {
                        f"{key}.{stat}": torch.tensor(values, dtype=torch.float32)
                        for key, each in self.statistics.items()
                        for stat, values in each.items()
                    }
                    save_file(tensors, self.path / file)
            content = {"name": f"policy_{name}", "steps": listed}
            (self.path / f"policy_{name}.json").write_text(json.dumps(content))
        return self

    def convert(self, *more: str) -> int:
        """Convert it, and return the exit code."""
        out = str(self.path / "out")
        arguments = ["--from-lerobot", str(self.path), "--out", out, "--size", "dummy", *more]
        return main(arguments)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of Hugging Face with both tokenizers, as its client leaves it."""
    chunks = np.random.default_rng(0).uniform(-1, 1, (200, 4, 7))
    for repository in ("google--paligemma-3b-pt-224", "physical-intelligence--fast"):
        folder = tmp_path / "home/hub" / f"models--{repository}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs/main").write_text(REVISION)
        place = folder / "snapshots" / REVISION
        if "fast" in repository:
            place.parent.mkdir()
            write_released(place, chunks, vocabulary=160, scale=5)
        else:
            place.mkdir(parents=True)
            (place / "tokenizer.json").write_text(tokenizer(network("pi05")).dumps())
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return tmp_path


@pytest.mark.parametrize("kind", ["pi0", "pi05", "pi0-fast"])
def test_nothing_has_to_be_typed(kind: str, hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Folder(hub / "given", kind).write()
    version = () if kind == "pi0" else ("--lerobot-version", "0.5")
    assert folder.convert(*version) == 0
    assert "camera wrist: observation.images.image2" in capsys.readouterr().out
    contract = Checkpoint.open(folder.path / "out").contract
    network, options = contract.network, contract.options
    assert network.cameras == ("main", "wrist")
    assert (network.state_size, network.text_length, contract.replan) == (32, 77, 3)
    assert options["horizon"] == 4
    if kind == "pi0-fast":
        assert (options["temperature"], options["action_size"]) == (0.5, 7)
        assert network.prompts == "lerobot"
    else:
        assert (options["steps"], options["action_size"]) == (5, 32)
        assert network.prompts == "openpi"
    assert contract.normalization.state.size == 8
    assert contract.normalization.action.size == 7
    policy = LearnedPolicy(str(folder.path / "out"))
    policy.load()
    pictures = {role: np.full((28, 28, 3), 90, np.uint8) for role in ("main", "wrist")}
    seen = {"image": pictures, "state": np.zeros(8, np.float32), "instruction": "push the cube"}
    chunk = policy.infer([Query(seen, np.random.default_rng(0))])[0]  # type: ignore[arg-type]
    assert chunk.shape == (3, 7)
    assert np.isfinite(chunk).all()


@pytest.mark.parametrize(
    ("mode", "low", "high"),
    [("QUANTILES", -1.0, 3.0), ("MIN_MAX", -3.0, 5.0), ("MEAN_STD", -1.5, 2.5)],
)
def test_values_are_normalised_as_in_lerobot(mode: str, low: float, high: float, hub: Path) -> None:
    """LeRobot: 2 (x - low) / (high - low) - 1, or (x - mean) / std."""
    folder = Folder(hub / "given", "pi0", mode).write()
    assert folder.convert() == 0
    normalization = Checkpoint.open(folder.path / "out").contract.normalization
    values = np.linspace(low, high, 5, dtype=np.float32)
    for scaling in (normalization.state, normalization.action):
        rows = np.repeat(values[:, None], scaling.size, 1)
        normalized = scaling.normalize(rows)
        np.testing.assert_allclose(normalized[:, 0], np.linspace(-1, 1, 5), atol=1e-6)
        np.testing.assert_allclose(scaling.restore(normalized), rows, atol=1e-6)


def test_a_number_that_never_changed_is_normalised_to_its_end(hub: Path) -> None:
    """LeRobot maps it to -1 for MIN_MAX, and everything else to a huge number."""
    folder = Folder(hub / "given", "pi0", "MIN_MAX")
    folder.statistics["observation.state"]["min"][2] = 0.25
    folder.statistics["observation.state"]["max"][2] = 0.25
    assert folder.write().convert() == 0
    scaling = Checkpoint.open(folder.path / "out").contract.normalization.state
    assert scaling.normalize(np.full((1, 8), 0.25, np.float32))[0, 2] == pytest.approx(-1)


def test_state_and_action_may_be_normalised_differently(hub: Path) -> None:
    folder = Folder(hub / "given", "pi0")
    for steps, step in ((folder.before, "normalizer"), (folder.after, "unnormalizer")):
        steps[f"{step}_processor"]["norm_map"] = {"STATE": "IDENTITY", "ACTION": "MEAN_STD"}
    assert folder.write().convert() == 0
    normalization = Checkpoint.open(folder.path / "out").contract.normalization
    assert (normalization.state.centre[0], normalization.state.span[0]) == (0, 1)
    assert normalization.action.centre[0] == 0.5
    assert normalization.action.span[0] == pytest.approx(2)


def test_lerobot_0_4_pads_the_state_in_the_prompt(hub: Path) -> None:
    state = np.zeros(8, np.float32)
    for kind in ("pi05", "pi0-fast"):
        folder = Folder(hub / kind, kind).write()
        assert folder.convert("--lerobot-version", "0.4") == 0
        config = Checkpoint.open(folder.path / "out").contract.network
        text = prompt("Push it", state, config)
        assert text.startswith("Task: Push it, State: " + " ".join(["128"] * 32) + ";\n")
        assert folder.convert("--lerobot-version", "0.5") == 0
        config = Checkpoint.open(folder.path / "out").contract.network
        assert prompt("Push it", state, config).count("128") == 8


def test_later_lerobots_are_known_by_their_relative_step(hub: Path) -> None:
    """They always write it; enabled, it subtracts the state from all but some joints."""
    folder = Folder(hub / "given", "pi05")
    step: JSON = {"enabled": False, "exclude_joints": ["gripper"], "action_names": None}
    folder.before["relative_actions_processor"] = step
    folder.after["absolute_actions_processor"] = {"enabled": False}
    assert folder.write().convert() == 0
    contract = Checkpoint.open(folder.path / "out").contract
    assert contract.network.prompts == "openpi"
    assert contract.normalization.relative == ()
    names = [f"joint_{number}" for number in range(6)] + ["Left_Gripper.pos"]
    folder.before["relative_actions_processor"] = step | {"enabled": True, "action_names": names}
    assert folder.write().convert() == 0
    relative = Checkpoint.open(folder.path / "out").contract.normalization.relative
    assert relative == (0, 1, 2, 3, 4, 5, None)


def test_what_the_folder_does_not_say_is_asked_for(
    hub: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def error() -> str:
        return " ".join(capsys.readouterr().err.split())

    folder = Folder(hub / "given", "pi05").write()
    assert folder.convert() == 2
    assert "give --lerobot-version 0.4, or 0.5" in error()
    version = ("--lerobot-version", "0.5")
    folder.statistics = {}
    folder.write()
    assert folder.convert(*version) == 2
    assert "holds no statistics of the state; give --statistics" in error()
    stats = {name: [value] * 8 for name, value in STATE.items()}
    content = {"norm_stats": {"state": stats, "actions": {n: v[:7] for n, v in stats.items()}}}
    (hub / "norm_stats.json").write_text(json.dumps(content))
    assert folder.convert(*version, "--statistics", str(hub / "norm_stats.json")) == 0
    for number in range(3):
        feature = {"type": "VISUAL", "shape": [3, 28, 28]}
        folder.config["input_features"][f"observation.images.more{number}"] = feature
    folder.statistics = Folder(hub / "other", "pi05").statistics
    folder.write()
    assert folder.convert(*version) == 2
    assert "give --cameras a role for each of the 5 images" in error()
    assert folder.convert(*version, "--cameras", "main", "wrist") == 0
    monkeypatch.setenv("HF_HOME", str(hub / "nothing"))
    assert folder.convert(*version, "--cameras", "main") == 2
    assert "--tokenizer, tokenizer.json of the Hugging Face repository google/pali" in error()
    fast = Folder(hub / "fast", "pi0-fast").write()
    (fast.path / "tokenizer.json").write_text(tokenizer(network("pi05")).dumps())
    assert fast.convert(*version) == 2
    assert "--fast, a folder with the files of the Hugging Face repository physical" in error()


@pytest.mark.parametrize(
    ("place", "name", "value", "message"),
    [
        ("config", "type", "act", "type is 'act'"),
        ("config", "n_obs_steps", 2, "n_obs_steps is 2; only 1"),
        ("config", "paligemma_variant", "gemma_300m", "paligemma_variant is 'gemma_300m'"),
        ("config", "chunk_size", "many", "chunk_size must be a whole number"),
        ("config", "image_resolution", [224, 224], "image_resolution is (224, 224)"),
        ("before", "my_own_step", {}, "the step 'my_own_step' is not known"),
        ("before", "tokenizer_processor", [], "the config of tokenizer_processor must be a map"),
        ("config", "input_features", None, "input_features must be a map"),
    ],
)
def test_what_has_no_counterpart_is_refused(
    place: str,
    name: str,
    value: object,
    message: str,
    hub: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Folder(hub / "given", "pi0")
    getattr(folder, place)[name] = value
    assert folder.write().convert() == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (folder.path / "out").exists()


def test_no_path_of_the_files_is_followed(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Folder(hub / "given", "pi0").write()
    path = folder.path / "policy_preprocessor.json"
    content = json.loads(path.read_text())
    content["steps"][2]["state_file"] = "../other.safetensors"
    path.write_text(json.dumps(content))
    assert folder.convert() == 2
    assert "state_file must be a file in its folder" in " ".join(capsys.readouterr().err.split())
    path.unlink()
    assert folder.convert() == 2
    assert "migrate the checkpoint" in " ".join(capsys.readouterr().err.split())
    path.write_text("{")
    assert folder.convert() == 2
    assert "policy_preprocessor.json" in capsys.readouterr().err.replace("\n", "")

"""What the folder of a LeRobot checkpoint says of itself: its config.json and its processors.

Nothing in it is executed, and no path in it is followed. A step or an option that would change the
answers and has no counterpart here is refused.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.contracts.bounded_files import read_bounded
from harness.contracts.errors import UsageError
from harness.demonstrations.column_statistics import Statistics
from policies.vla.normalize import Kind, Scaling
from policies.weights.conversion import Model
from policies.weights.lerobot import ACTION_TOKENS_END, read_normalizer

_CONFIG, _BEFORE, _AFTER = "config.json", "policy_preprocessor.json", "policy_postprocessor.json"
_WEIGHTS = "model.safetensors"
_LARGEST_JSON = 2**22
_MARGIN = 1e-8
"""LeRobot's, unless the file has another."""
_MODELS: Mapping[str, Model] = {"pi0": "pi0", "pi05": "pi05", "pi0_fast": "pi0-fast"}
_KINDS: Mapping[str, Kind] = {
    "QUANTILES": "quantile",
    "MEAN_STD": "gaussian",
    "MIN_MAX": "minmax",
}
_NO_KIND = "IDENTITY"
_STATE, _ACTION = "observation.state", "action"
_EMPTY_CAMERA = "observation.images.empty_camera_"
"""LeRobot masks these; a masked image changes nothing."""
_RELATIVE, _NORMALIZER = "relative_actions_processor", "normalizer_processor"
_UNNORMALIZER, _TOKENIZER = "unnormalizer_processor", "tokenizer_processor"
_ACTION_TOKENIZER = "action_tokenizer_processor"
_KNOWN_STEPS = (
    "rename_observations_processor",
    "to_batch_processor",
    "pi0_new_line_processor",
    "pi05_prepare_state_tokenizer_processor_step",
    "pi0_fast_prepare_state_tokenizer_processor_step",
    "device_processor",
    "absolute_actions_processor",
    _RELATIVE,
    _NORMALIZER,
    _UNNORMALIZER,
    _TOKENIZER,
    _ACTION_TOKENIZER,
)
_FIXED: Mapping[str, Any] = {
    "n_obs_steps": 1,
    "paligemma_variant": "gemma_2b",
    "action_expert_variant": "gemma_300m",
    "min_period": 4e-3,
    "max_period": 4.0,
    "fast_skip_tokens": ACTION_TOKENS_END,
    "use_visual_memory": False,
    "use_proprioceptive_memory": False,
    "use_peft": False,
}
"""Options that have one value here."""
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_REVISION = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class LerobotCheckpoint:
    """A checkpoint of pi0, pi0.5 or pi0-FAST.

    Attributes:
        folder: Its folder.
        config: The content of config.json.
        before: The steps of its preprocessor, by name.
        after: The steps of its postprocessor, by name.
    """

    folder: Path
    config: Mapping[str, Any]
    before: Mapping[str, Mapping[str, Any]]
    after: Mapping[str, Mapping[str, Any]]

    @classmethod
    def open(cls, folder: Path) -> "LerobotCheckpoint":
        """Read the JSON files of a folder.

        Raises:
            UsageError: The folder holds no checkpoint of these models, or one that acts in a way
                that has no counterpart here.
        """
        config = _read(folder / _CONFIG, "it is not the folder of a LeRobot checkpoint")
        kind = config.get("type")
        if kind not in _MODELS:
            raise UsageError(
                f"{folder / _CONFIG}: type is {kind!r:.80}; this command converts "
                f"{', '.join(_MODELS)}, and lerobot:{folder} plays others"
            )
        for name, value in _FIXED.items():
            if config.get(name, value) != value:
                raise UsageError(
                    f"{folder / _CONFIG}: {name} is {config[name]!r:.80}; only {value!r} can be "
                    "converted"
                )
        hint = "migrate the checkpoint with LeRobot's processor/migrate_policy_normalization.py"
        before, after = (_steps(folder / name, hint) for name in (_BEFORE, _AFTER))
        return cls(folder, config, before, after)

    @property
    def model(self) -> Model:
        """The model."""
        return _MODELS[self.config["type"]]

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        return self.folder / _WEIGHTS

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The keys of the images, without those that are always empty."""
        features = self._map("input_features")
        return tuple(
            key
            for key, feature in features.items()
            if isinstance(feature, dict)
            and feature.get("type") == "VISUAL"
            and not key.startswith(_EMPTY_CAMERA)
        )

    @property
    def pixels(self) -> tuple[int, int]:
        """Height and width of the network's images."""
        found = self.config.get("image_resolution")
        if not (isinstance(found, list) and len(found) == 2 and all(type(n) is int for n in found)):
            raise self._wrong("image_resolution", found, "a height and a width")
        return found[0], found[1]

    def count(self, name: str) -> int:
        """Return a whole number of config.json.

        Raises:
            UsageError: It is missing, or no such number.
        """
        value = self.config.get(name)
        if type(value) is not int or not 1 <= value <= 10_000:
            raise self._wrong(name, value, "a whole number from 1 to 10000")
        return value

    def size(self, name: str) -> int | None:
        """Return the numbers in a state or an action, or None if config.json does not tell."""
        key, kind = (_STATE, "input_features") if name == "state" else (_ACTION, "output_features")
        feature = self._map(kind).get(key)
        shape = feature.get("shape") if isinstance(feature, dict) else None
        if shape is None:
            return None
        if not (isinstance(shape, list) and len(shape) == 1 and type(shape[0]) is int):
            raise self._wrong(f"{kind}.{key}.shape", shape, "one whole number in a list")
        return int(shape[0])

    def scaling(
        self, name: str, override: Mapping[str, Statistics] | None = None, given: int = 0
    ) -> Scaling:
        """Return the scaling of `state` or `action`.

        Args:
            name: Which of them.
            override: Statistics in place of the checkpoint's.
            given: Its numbers, in place of the checkpoint's; 0 for those.

        Raises:
            UsageError: Neither the checkpoint nor `override` has the statistics.
        """
        steps, step = (self.before, _NORMALIZER) if name == "state" else (self.after, _UNNORMALIZER)
        file = self.folder / (_BEFORE if name == "state" else _AFTER)
        if step not in steps:
            raise UsageError(f"{file} has no {step}")
        mode, size = self._mode(name, steps[step], file), given or self.size(name)
        if mode == _NO_KIND:
            if size is None:
                raise UsageError(f"{file} does not normalise the {name}; give --{name}-size")
            return Scaling((0.0,) * size, (1.0,) * size)
        found = self._statistics(steps[step], file) if override is None else override
        statistics = found.get(name, {})
        if not statistics:
            raise UsageError(
                f"{file} holds no statistics of the {name}; give --statistics, another "
                "checkpoint's normalizer or openpi's norm_stats.json"
            )
        if given:
            statistics = {key: values[:given] for key, values in statistics.items()}
        try:
            margin = float(steps[step].get("config", {}).get("eps", _MARGIN))
            scaling = Scaling.of(_KINDS[mode], statistics, margin=margin)
        except (KeyError, TypeError) as error:
            raise UsageError(f"{file}: the statistics lack {error}, which {mode} needs") from error
        except (ValueError, UsageError) as error:
            raise UsageError(f"{file}: {error}") from error
        if override is None and size is not None and scaling.size != size:
            raise UsageError(f"{file}: statistics of {scaling.size} numbers, but {name} has {size}")
        return scaling

    def _mode(self, name: str, step: Mapping[str, Any], file: Path) -> str:
        """Return how LeRobot normalises `state` or `action`."""
        config = step.get("config", {})
        modes, chosen = config.get("norm_map"), config.get("normalize_observation_keys")
        if name == "state" and isinstance(chosen, list) and _STATE not in chosen:
            return _NO_KIND
        mode = modes.get(name.upper(), _NO_KIND) if isinstance(modes, dict) else _NO_KIND
        if mode != _NO_KIND and mode not in _KINDS:
            raise UsageError(f"{file}: norm_map.{name.upper()} is {mode!r:.80}, not known here")
        return str(mode)

    def relative(self, action_size: int) -> tuple[int | None, ...]:
        """Return `Normalization.relative`: LeRobot subtracts the state number of the same index."""
        config = self.before.get(_RELATIVE, {}).get("config", {})
        if not config.get("enabled"):
            return ()
        names, excluded = config.get("action_names"), config.get("exclude_joints") or []
        names = names if isinstance(names, list) else []
        tokens = [str(token).lower() for token in excluded if token]
        kept = [any(token in str(name).lower() for token in tokens) for name in names[:action_size]]
        kept += [False] * (action_size - len(kept))
        return tuple(None if absolute else i for i, absolute in enumerate(kept))

    @property
    def pads_state(self) -> bool | None:
        """Whether prompts hold zeros after the state's numbers; None if the files do not tell.

        LeRobot 0.4 pads the state before it becomes text, 0.5 does not. Later versions are known
        by the step for relative actions, which they always write.
        """
        return False if _RELATIVE in self.before else None

    def file_of(self, step: str, option: str, name: str) -> Path | None:
        """Return a file of a Hugging Face repository that a step names, if it was downloaded.

        Args:
            step: The step, e.g. `tokenizer_processor`.
            option: Its option that holds the repository's name.
            name: The file.
        """
        beside = self.folder / name
        if step == _TOKENIZER and beside.is_file():
            return beside
        return downloaded(self.repository(step, option), name)

    def repository(self, step: str, option: str) -> str:
        """Return the Hugging Face repository that a step names; empty if there is none."""
        found = self.before.get(step, {}).get("config", {}).get(option)
        return found if isinstance(found, str) and _REPOSITORY.fullmatch(found) else ""

    def _statistics(self, step: Mapping[str, Any], file: Path) -> Mapping[str, Statistics]:
        name = step.get("state_file")
        if name is None:
            return {}
        if not isinstance(name, str) or Path(name).name != name:
            raise UsageError(f"{file}: state_file must be a file in its folder, not {name!r:.80}")
        return read_normalizer(self.folder / name)

    def _map(self, name: str) -> Mapping[str, Any]:
        found = self.config.get(name)
        if not isinstance(found, dict):
            raise self._wrong(name, found, "a map of features")
        return found

    def _wrong(self, name: str, found: object, wanted: str) -> UsageError:
        return UsageError(f"{self.folder / _CONFIG}: {name} must be {wanted}, not {found!r:.80}")


def downloaded(repository: str, name: str) -> Path | None:
    """Return a file of a Hugging Face repository, if its cache on this machine holds it."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface"
    root = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    folder = root / f"models--{repository.replace('/', '--')}"
    try:
        revision = (folder / "refs/main").read_text().strip()
    except (OSError, ValueError):
        return None
    path = folder / "snapshots" / revision / name
    return path if _REVISION.fullmatch(revision) and path.is_file() else None


def _read(path: Path, otherwise: str) -> Mapping[str, Any]:
    """Return the map in a JSON file.

    Raises:
        UsageError: It is missing or damaged.
    """
    try:
        content = json.loads(read_bounded(path, _LARGEST_JSON))
    except FileNotFoundError as error:
        raise UsageError(f"{path} is missing; {otherwise}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read {path}: {type(error).__name__}: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold a map")
    return content


def _steps(path: Path, otherwise: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the steps of a processor by name.

    Raises:
        UsageError: The file is damaged, or has a step that is not known here.
    """
    steps: Sequence[Any] | Any = _read(path, otherwise).get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise UsageError(f"{path}: steps must be a list of maps")
    found = {}
    for step in steps:
        name = step.get("registry_name", step.get("class"))
        if name not in _KNOWN_STEPS:
            raise UsageError(f"{path}: the step {name!r:.80} is not known here")
        if not isinstance(step.get("config", {}), dict):
            raise UsageError(f"{path}: the config of {name} must be a map")
        found[name] = step
    return found

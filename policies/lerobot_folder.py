"""A LeRobot checkpoint, evaluated by its own config.json."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.contracts.errors import UsageError
from harness.contracts.policy import PolicySpec
from harness.contracts.registry import SAFE_NAME
from policies.weight_files import hash_files

ROLES = ("main", "wrist", "left", "right")
"""The camera roles of a checkpoint's images, in the order of its config.json."""
LARGEST_CONFIG = 2**20


@dataclass(frozen=True)
class LeRobotFolder:
    """What a checkpoint's config.json says.

    Attributes:
        path: The folder.
        keys: The checkpoint's image keys by camera role.
        spec: The policy's spec.
        files: The SHA-256 of its files.
        needs_every_observation: Whether it must be asked at every step.
        own_replan: The actions of a chunk that it then executes; None if the protocol decides.
    """

    path: Path
    keys: Mapping[str, str]
    spec: PolicySpec
    files: Mapping[str, str]
    needs_every_observation: bool
    own_replan: int | None

    @property
    def cameras(self) -> str:
        """The image keys by camera role, ``ROLE=KEY;ROLE=KEY``."""
        return ";".join(f"{role}={key}" for role, key in self.keys.items())

    @classmethod
    def parse(cls, source: str, kind: str) -> "LeRobotFolder | None":
        """Read ``FOLDER[,ROLE=IMAGE_KEY,...]``; return None if the source is no folder.

        Raises:
            UsageError: The folder has no usable config.json, or a camera is wrong.
        """
        name, *options = source.split(",")
        path = Path(name)
        if not path.is_dir():
            return None
        config = _config(path)
        keys = _camera_keys(config, dict(_option(option, source) for option in options), path)
        files = hash_files([path])
        identity = hashlib.sha256(repr((kind, keys, sorted(files.values()))).encode()).hexdigest()
        spec = PolicySpec(f"{config['type']}@{identity[:10]}", tuple(keys))
        many = config.get("n_obs_steps") not in (None, 1)
        every = many or config.get("temporal_ensemble_coeff") is not None
        steps = config.get("n_action_steps")
        own = steps if every and isinstance(steps, int) else None
        return cls(path, keys, spec, files, every, own)


def _config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    try:
        text = file.read_bytes()[:LARGEST_CONFIG]
        config = json.loads(text)
        kind, features = config["type"], config["input_features"]
        if not (isinstance(kind, str) and SAFE_NAME.fullmatch(kind) and isinstance(features, dict)):
            raise TypeError("type or input_features have another form")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is not a checkpoint of LeRobot ({file.name}: {error!r}); give the folder "
            f"that holds config.json and model.safetensors, often .../pretrained_model"
        ) from error
    return dict(config)


def _camera_keys(config: Mapping[str, Any], given: Mapping[str, str], path: Path) -> dict[str, str]:
    """Return the image keys by role: as given, otherwise in the order of config.json."""
    images = [
        key
        for key, feature in config["input_features"].items()
        if isinstance(feature, dict) and feature.get("type") == "VISUAL"
    ]
    unknown = [key for key in given.values() if key not in images]
    if unknown:
        raise UsageError(f"{path} has no image {unknown[0]}; it has {', '.join(images)}")
    if given and len(given) < len(images):
        raise UsageError(f"{path} needs {len(images)} cameras: {', '.join(images)}")
    if len(images) > len(ROLES):
        raise UsageError(f"name the cameras of {path} as ROLE=KEY: {', '.join(images)}")
    return dict(given) or dict(zip(ROLES, images, strict=False))


def _option(option: str, source: str) -> tuple[str, str]:
    role, equals, key = option.partition("=")
    if not equals or not role or not key:
        raise UsageError(f"{option!r} in {source} is not ROLE=IMAGE_KEY")
    return role, key

"""Shards: one file for each demonstration, written by the worker that recorded it."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.atomic import atomic_file
from harness.contracts.errors import UsageError
from harness.contracts.registry import SAFE_NAME
from harness.demonstrations.demonstration import Demonstration, require_safe
from harness.demonstrations.images import encode_png, image_histogram

_FOLDER = "shards"
_HEADER = ("benchmark", "task", "episode", "seed", "protocol", "instruction", "fps")
_MEMBERS = {
    "state": "state",
    "action": "action",
    "image_steps": "looked",
    "perturbed_steps": "pushed",
}
"""The arrays of a demonstration, and their names in the file."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time stamp of every member, so that the same content gives the same bytes."""


@dataclass(frozen=True, kw_only=True)
class ShardCamera:
    """The images of one camera.

    Attributes:
        size: The images' height and width.
        contents: The images as PNG files.
        histogram: The number of pixels with each value, by channel, (3, 256).
    """

    size: tuple[int, int]
    contents: list[bytes]
    histogram: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A demonstration with its images encoded and counted.

    The workers do this work in parallel, so that writing the data set is only copying.
    """

    header: Mapping[str, Any]
    state: NDArray[np.float32]
    action: NDArray[np.float32]
    image_steps: NDArray[np.int64]
    perturbed_steps: NDArray[np.int64]
    cameras: Mapping[str, ShardCamera]


def write_shard(folder: Path, demonstration: Demonstration) -> Path:
    """Write a demonstration's file atomically. The same content gives the same bytes.

    Returns:
        Its path, ``shards/<benchmark>/<task>/<episode>.npz`` in the folder.

    Raises:
        ValueError: A name could lead out of the folder.
    """
    roles = sorted(require_safe("camera", role) for role in demonstration.image)
    parent = folder / _FOLDER
    for kind in ("benchmark", "task"):
        parent /= require_safe(kind, getattr(demonstration, kind))
    header = {name: getattr(demonstration, name) for name in _HEADER}
    sizes = {role: demonstration.image[role].shape[1:3] for role in roles}
    text = json.dumps(header | {"cameras": sizes}, sort_keys=True)
    members: dict[str, NDArray[Any]] = {"header": np.frombuffer(text.encode(), np.uint8)}
    members |= {member: getattr(demonstration, name) for name, member in _MEMBERS.items()}
    for role in roles:
        contents = [encode_png(image) for image in demonstration.image[role]]
        members[f"{role}/png"] = np.frombuffer(b"".join(contents), np.uint8)
        members[f"{role}/ends"] = np.cumsum([len(content) for content in contents])
        members[f"{role}/histogram"] = image_histogram(demonstration.image[role])
    path = parent / f"{demonstration.episode}.npz"
    with atomic_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, values in members.items():
            content = io.BytesIO()
            np.save(content, np.ascontiguousarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), content.getvalue())
    return path


def read_shard(path: Path) -> Shard:
    """Read a file that `write_shard` wrote.

    Raises:
        UsageError: It is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as members:
            header = json.loads(members["header"].tobytes())
            cameras = {
                role: _camera((height, width), role, members)
                for role, (height, width) in header.pop("cameras").items()
            }
            arrays = {name: members[member] for name, member in _MEMBERS.items()}
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is damaged ({error}); delete it and record it again") from error
    return Shard(header=header, cameras=cameras, **arrays)


def find_shards(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """Return the shards by benchmark and task, in the order of the episodes."""
    found: dict[tuple[str, str], list[Path]] = {}
    for path in (folder / _FOLDER).glob("*/*/*.npz"):
        benchmark, task = path.parts[-3:-1]
        if SAFE_NAME.fullmatch(benchmark) and SAFE_NAME.fullmatch(task) and path.stem.isdecimal():
            found.setdefault((benchmark, task), []).append(path)
    return {key: sorted(found[key], key=lambda path: int(path.stem)) for key in sorted(found)}


def _camera(size: tuple[int, int], role: str, members: Mapping[str, NDArray[Any]]) -> ShardCamera:
    png, ends = members[f"{role}/png"].tobytes(), members[f"{role}/ends"].tolist()
    contents = [png[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return ShardCamera(size=size, contents=contents, histogram=members[f"{role}/histogram"])

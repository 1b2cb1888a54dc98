"""Parts: a file for each demonstration, written by whoever recorded it."""

import io
import json
import os
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.errors import StorageError, UsageError
from harness.contracts.registry import SAFE_NAME
from harness.demonstrations import pictures
from harness.demonstrations.demonstration import Demonstration, require_safe

HEADER = ("benchmark", "task", "episode", "seed", "protocol", "instruction", "fps")
ARRAYS = ("state", "action", "looked", "pushed")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time that every member of a part has, so that same content is same bytes."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """What one camera saw.

    Attributes:
        size: The pictures' height and width.
        contents: The pictures as PNG.
        histogram: How often each channel has each value, (3, 256).
    """

    size: tuple[int, int]
    contents: list[bytes]
    histogram: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A demonstration as its file has it: pictures encoded, and already counted.

    So the workers share that labour, and putting a data set together is copying.
    """

    header: Mapping[str, Any]
    state: NDArray[np.float32]
    action: NDArray[np.float32]
    looked: NDArray[np.int64]
    pushed: NDArray[np.int64]
    cameras: Mapping[str, Camera]


def write_part(folder: Path, demonstration: Demonstration) -> Path:
    """Write a demonstration's file, whole or not at all; same content, same bytes.

    Returns:
        Its path: ``parts/<benchmark>/<task>/<episode>.npz`` in the folder.

    Raises:
        ValueError: A name could lead out of the folder.
    """
    roles = sorted(require_safe("camera", role) for role in demonstration.image)
    place = folder / "parts"
    for kind in ("benchmark", "task"):
        place /= require_safe(kind, getattr(demonstration, kind))
    header = {name: getattr(demonstration, name) for name in HEADER}
    sizes = {role: demonstration.image[role].shape[1:3] for role in roles}
    text = json.dumps(header | {"cameras": sizes}, sort_keys=True)
    members: dict[str, NDArray[Any]] = {"header": np.frombuffer(text.encode(), np.uint8)}
    members |= {name: getattr(demonstration, name) for name in ARRAYS}
    for role in roles:
        contents = [pictures.encode(picture) for picture in demonstration.image[role]]
        members[f"{role}/png"] = np.frombuffer(b"".join(contents), np.uint8)
        members[f"{role}/ends"] = np.cumsum([len(content) for content in contents])
        members[f"{role}/histogram"] = pictures.histogram(demonstration.image[role])
    path = place / f"{demonstration.episode}.npz"
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, values in members.items():
            content = io.BytesIO()
            np.save(content, np.ascontiguousarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), content.getvalue())
    return path


def read_part(path: Path) -> Part:
    """Read a file that `write_part` wrote.

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
            arrays = {
                # Before there were pushes, a part had no member for them.
                name: members[name] if name != "pushed" or name in members else np.empty(0, int)
                for name in ARRAYS
            }
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is damaged ({error}); delete it and record it again") from error
    return Part(header=header, cameras=cameras, **arrays)


def find_parts(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """Return the files of every benchmark and task, by these names, in the episodes' order."""
    found: dict[tuple[str, str], list[Path]] = {}
    for path in (folder / "parts").glob("*/*/*.npz"):
        benchmark, task = path.parts[-3:-1]
        if SAFE_NAME.fullmatch(benchmark) and SAFE_NAME.fullmatch(task) and path.stem.isdecimal():
            found.setdefault((benchmark, task), []).append(path)
    return {key: sorted(found[key], key=lambda path: int(path.stem)) for key in sorted(found)}


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that gets its name once it is whole and on the disk.

    Raises:
        StorageError: The disk is full or gone; nothing has the name.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _camera(size: tuple[int, int], role: str, members: Mapping[str, NDArray[Any]]) -> Camera:
    png, ends = members[f"{role}/png"].tobytes(), members[f"{role}/ends"].tolist()
    contents = [png[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return Camera(size=size, contents=contents, histogram=members[f"{role}/histogram"])

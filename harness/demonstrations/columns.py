"""The columns of a LeRobot data set: their names, types and order."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.contracts.errors import UsageError
from harness.contracts.vectors import Layout
from harness.demonstrations.images import encode_png
from harness.demonstrations.shards import Shard

STATE_COLUMN = "observation.state"
ACTION_COLUMN = "action"
IMAGE_COLUMNS = "observation.images."
"""The prefix of the images' columns; the camera's role follows."""
HAS_IMAGES = "looked"
"""Whether a row has images. It is no observation, so LeRobot gives it to no policy."""
PERTURBED = "pushed"
"""Whether the executed action differs from the row's; a chunk ends with such a row."""
_INDICES = ("frame_index", "episode_index", "index", "task_index")
_PLACEHOLDER = encode_png(np.zeros((1, 1, 3), np.uint8))
"""Fills the rows without images.

LeRobot decodes every column of its rows, so with nulls it could read no chunk of actions. The
placeholder has one pixel, so that no batch can mix it with images.
"""
_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


@dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """The names that a data set gives to what a policy needs, if they are not LeRobot's.

    Attributes:
        state: The column of states.
        action: The column of actions.
        images: The columns of images by camera role; empty for all under their own names.
    """

    state: str = STATE_COLUMN
    action: str = ACTION_COLUMN
    images: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "ColumnNames":
        """Read NAME=COLUMN; the name is `state`, `action`, or a camera role.

        Raises:
            UsageError: A text has another form.
        """
        names: dict[str, str] = {}
        for text in texts:
            name, equals, column = text.partition("=")
            if not (equals and name and column) or name in names:
                raise UsageError(f"--columns {text!r:.80} is not NAME=COLUMN, once for each name")
            names[name] = column
        vectors = {name: names.pop(name) for name in ("state", "action") if name in names}
        return cls(**vectors, images=names)


@dataclass(frozen=True)
class DataSetShape:
    """The sizes that all demonstrations of a data set share.

    Attributes:
        fps: Control steps per second.
        state: Numbers in a state.
        action: Numbers in an action.
        cameras: The cameras' roles, with the images' height and width.
    """

    fps: int
    state: int
    action: int
    cameras: tuple[tuple[str, tuple[int, int]], ...]

    @classmethod
    def of(cls, shard: Shard) -> "DataSetShape":
        """Return the shape of one demonstration."""
        return cls(
            fps=shard.header["fps"],
            state=shard.state.shape[1],
            action=shard.action.shape[1],
            cameras=tuple((role, camera.size) for role, camera in sorted(shard.cameras.items())),
        )

    def __str__(self) -> str:
        """Return the text for an error message."""
        sizes = [f"{role} {height}x{width}" for role, (height, width) in self.cameras]
        cameras = ", ".join(sizes) or "no camera"
        return f"{self.state} state and {self.action} action numbers at {self.fps}/s, {cameras}"

    def features(self, state: Layout, action: Layout) -> dict[str, dict[str, Any]]:
        """Return the columns as info.json describes them."""
        vectors = {STATE_COLUMN: (self.state, state), ACTION_COLUMN: (self.action, action)}
        found: dict[str, dict[str, Any]] = {
            name: {"dtype": "float32", "shape": [size], "names": _number_names(layout)}
            for name, (size, layout) in vectors.items()
        }
        for role, size in self.cameras:
            names = ["height", "width", "channels"]
            found[IMAGE_COLUMNS + role] = {"dtype": "image", "shape": [*size, 3], "names": names}
        flags = [HAS_IMAGES, PERTURBED] if self.cameras else [PERTURBED]
        found |= {name: {"dtype": "bool", "shape": [1], "names": None} for name in flags}
        found["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
        return found | {name: {"dtype": "int64", "shape": [1], "names": None} for name in _INDICES}


def _number_names(layout: Layout) -> list[str]:
    """Name every number of a vector after its part, e.g. ``eef_position.0``."""
    return [
        part.name if part.size == 1 else f"{part.name}.{number}"
        for part in layout.parts
        for number in range(part.size)
    ]


def arrow_schema(features: Mapping[str, Mapping[str, Any]]) -> pa.Schema:
    """Return the columns' Arrow types, with the metadata that Hugging Face's `datasets` reads."""
    types: dict[str, pa.DataType] = {}
    notes: dict[str, dict[str, Any]] = {}
    for name, feature in features.items():
        (size, *_), kind = feature["shape"], feature["dtype"]
        value = {"dtype": kind, "_type": "Value"}
        if kind == "image":
            types[name], notes[name] = _IMAGE, {"_type": "Image"}
        elif size == 1:  # LeRobot stores a vector of one number as a plain number.
            types[name], notes[name] = pa.type_for_alias(kind), value
        else:
            types[name] = pa.list_(pa.type_for_alias(kind), size)
            notes[name] = {"feature": value, "length": size, "_type": "List"}
    note = json.dumps({"info": {"features": notes}})
    return pa.schema(types, metadata={"huggingface": note})


def number_columns(
    shard: Shard, shape: DataSetShape, episode: int, first: int, task: int
) -> dict[str, Any]:
    """Return all columns but the images, by name.

    Args:
        shard: The demonstration.
        shape: Its shape.
        episode: Its index in the data set.
        first: The index of its first row.
        task: The index of its instruction.
    """
    steps = np.arange(len(shard.action))
    found: dict[str, NDArray[np.generic]] = {
        STATE_COLUMN: shard.state,
        ACTION_COLUMN: shard.action,
    }
    if shape.cameras:
        found[HAS_IMAGES] = np.isin(steps, shard.image_steps)
    found[PERTURBED] = np.isin(steps, shard.perturbed_steps)
    found["timestamp"] = (steps / shape.fps).astype(np.float32)
    indices = (steps, np.full_like(steps, episode), first + steps, np.full_like(steps, task))
    return found | dict(zip(_INDICES, indices, strict=True))


def arrow_table(
    shard: Shard, columns: Mapping[str, NDArray[np.generic]], schema: pa.Schema
) -> pa.Table:
    """Return a demonstration's rows, with a placeholder where a row has no images."""
    arrays: dict[str, pa.Array] = {}
    for name, values in columns.items():
        flat = pa.array(values.reshape(-1))
        listed = pa.types.is_fixed_size_list(schema.field(name).type)
        arrays[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1]) if listed else flat
    for role, camera in shard.cameras.items():
        contents = [_PLACEHOLDER] * len(shard.action)
        for step, content in zip(shard.image_steps.tolist(), camera.contents, strict=True):
            contents[step] = content
        files = [
            {"bytes": content, "path": f"frame-{step:06d}.png"}
            for step, content in enumerate(contents)
        ]
        arrays[IMAGE_COLUMNS + role] = pa.array(files, _IMAGE)
    return pa.table([arrays[name] for name in schema.names], schema)

"""The columns of a LeRobot data set v3.0: their names, types and order."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.contracts.vectors import Layout
from harness.demonstrations.parts import Part
from harness.demonstrations.pictures import encode

STATE = "observation.state"
ACTION = "action"
PICTURES = "observation.images."
LOOKED = "looked"
"""Whether a row has pictures; LeRobot gives it to no policy, since it is no observation."""
PUSHED = "pushed"
"""Whether something else was done than the action says; a chunk ends with such a row."""
INDICES = ("frame_index", "episode_index", "index", "task_index")
NOT_LOOKED = encode(np.zeros((1, 1, 3), np.uint8))
"""Stands in a row without pictures: one pixel, so that no batch takes it for a picture.

With nulls LeRobot could read no chunk of actions, since it decodes every column of its rows.
"""
PICTURE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


@dataclass(frozen=True)
class Form:
    """What all demonstrations of a data set have in common.

    Attributes:
        fps: Control steps in a second.
        state: How many numbers a state has.
        action: How many an action has.
        cameras: The cameras' roles with their pictures' height and width.
    """

    fps: int
    state: int
    action: int
    cameras: tuple[tuple[str, tuple[int, int]], ...]

    @classmethod
    def of(cls, part: Part) -> "Form":
        """Return the form of one demonstration."""
        return cls(
            fps=part.header["fps"],
            state=part.state.shape[1],
            action=part.action.shape[1],
            cameras=tuple((role, camera.size) for role, camera in sorted(part.cameras.items())),
        )

    def __str__(self) -> str:
        """Return the form as it stands in an error message."""
        sizes = [f"{role} {height}x{width}" for role, (height, width) in self.cameras]
        cameras = ", ".join(sizes) or "no camera"
        return f"{self.state} state and {self.action} action numbers at {self.fps}/s, {cameras}"

    def features(self, state: Layout, action: Layout) -> dict[str, dict[str, Any]]:
        """Return what info.json says of each column."""
        vectors = {STATE: (self.state, state), ACTION: (self.action, action)}
        found: dict[str, dict[str, Any]] = {
            name: {"dtype": "float32", "shape": [size], "names": number_names(layout)}
            for name, (size, layout) in vectors.items()
        }
        for role, size in self.cameras:
            names = ["height", "width", "channels"]
            found[PICTURES + role] = {"dtype": "image", "shape": [*size, 3], "names": names}
        marks = [LOOKED, PUSHED] if self.cameras else [PUSHED]
        found |= {name: {"dtype": "bool", "shape": [1], "names": None} for name in marks}
        found["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
        return found | {name: {"dtype": "int64", "shape": [1], "names": None} for name in INDICES}


def number_names(layout: Layout) -> list[str]:
    """Name every number of a vector after its part, e.g. ``eef_position.0``."""
    return [
        part.name if part.size == 1 else f"{part.name}.{number}"
        for part in layout.parts
        for number in range(part.size)
    ]


def schema(features: Mapping[str, Mapping[str, Any]]) -> pa.Schema:
    """Return the columns' Arrow types, with the note that Hugging Face's `datasets` reads."""
    types: dict[str, pa.DataType] = {}
    notes: dict[str, dict[str, Any]] = {}
    for name, feature in features.items():
        (size, *_), kind = feature["shape"], feature["dtype"]
        value = {"dtype": kind, "_type": "Value"}
        if kind == "image":
            types[name], notes[name] = PICTURE, {"_type": "Image"}
        elif size == 1:  # LeRobot takes a vector of one number for a plain number.
            types[name], notes[name] = pa.type_for_alias(kind), value
        else:
            types[name] = pa.list_(pa.type_for_alias(kind), size)
            notes[name] = {"feature": value, "length": size, "_type": "List"}
    note = json.dumps({"info": {"features": notes}})
    return pa.schema(types, metadata={"huggingface": note})


def numbers(part: Part, form: Form, episode: int, first: int, task: int) -> dict[str, Any]:
    """Return every column of a demonstration but the pictures, by name.

    Args:
        part: The demonstration.
        form: Its form.
        episode: Its index in the data set.
        first: The index of its first row.
        task: The index of its instruction.
    """
    steps = np.arange(len(part.action))
    found: dict[str, NDArray[np.generic]] = {STATE: part.state, ACTION: part.action}
    if form.cameras:
        found[LOOKED] = np.isin(steps, part.looked)
    found[PUSHED] = np.isin(steps, part.pushed)
    found["timestamp"] = (steps / form.fps).astype(np.float32)
    indices = (steps, np.full_like(steps, episode), first + steps, np.full_like(steps, task))
    return found | dict(zip(INDICES, indices, strict=True))


def table(part: Part, columns: Mapping[str, NDArray[np.generic]], schema: pa.Schema) -> pa.Table:
    """Return a demonstration's rows; those without pictures have NOT_LOOKED there."""
    arrays: dict[str, pa.Array] = {}
    for name, values in columns.items():
        flat = pa.array(values.reshape(-1))
        listed = pa.types.is_fixed_size_list(schema.field(name).type)
        arrays[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1]) if listed else flat
    for role, camera in part.cameras.items():
        contents = [NOT_LOOKED] * len(part.action)
        for step, content in zip(part.looked.tolist(), camera.contents, strict=True):
            contents[step] = content
        cells = [
            {"bytes": content, "path": f"frame-{step:06d}.png"}
            for step, content in enumerate(contents)
        ]
        arrays[PICTURES + role] = pa.array(cells, PICTURE)
    return pa.table([arrays[name] for name in schema.names], schema)

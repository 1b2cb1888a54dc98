"""Small made-up demonstrations, for tests of writing and reading."""

from dataclasses import fields
from typing import Any

import numpy as np

from harness.contracts.vectors import Layout, Part
from harness.demonstrations.dataset import Provenance
from harness.demonstrations.demonstration import Demonstration

STATE = Layout((Part("eef_position", 3, "m, world"), Part("gripper", 1, "m")))
ACTION = Layout((Part("move", 2, "delta, 1 = 0.05 m"),))
PROVENANCE = Provenance(STATE, ACTION)


def made(episode: int = 0, stride: int = 0, steps: int = 11, **changes: Any) -> Demonstration:
    """Return a demonstration with images every `stride` steps; 0 means no cameras."""
    stream = np.random.default_rng([episode, steps])
    image_steps = np.arange(0, steps if stride else 0, stride or 1)
    shape = (len(image_steps), 6, 8, 3)
    roles = ("main", "wrist") if stride else ()
    values: dict[str, Any] = {
        "benchmark": "suite",
        "task": "push",
        "episode": episode,
        "seed": 7,
        "protocol": "suite/card@1",
        "instruction": "push the cube",
        "fps": 20,
        "state": stream.normal(size=(steps, 4)).astype(np.float32),
        "action": stream.normal(size=(steps, 2)).astype(np.float32),
        "image": {role: stream.integers(0, 256, shape, np.uint8) for role in roles},
        "image_steps": image_steps,
    }
    return Demonstration(**values | changes)


def assert_same(one: Demonstration, other: Demonstration) -> None:
    assert one.image.keys() == other.image.keys()
    for name in (f.name for f in fields(Demonstration) if f.name != "image"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for role, images in one.image.items():
        np.testing.assert_array_equal(images, other.image[role])

"""Demonstrations that a policy learns in seconds: two joints move to a light."""

from pathlib import Path
from typing import Any

import numpy as np

from harness.contracts.vectors import Layout, Part
from harness.demonstrations.dataset import Provenance, write_dataset
from harness.demonstrations.demonstration import Demonstration
from harness.demonstrations.shards import write_shard

PIXELS = 28
STATE = Layout((Part("qpos", 3, "rad"),))
ACTION = Layout((Part("arm_joints", 2, "absolute, rad"), Part("gripper", 1, "-1 or +1")))
INSTRUCTIONS = ("reach the light", "go to the light")


def demonstration(episode: int, steps: int = 10, **changes: Any) -> Demonstration:
    """Return an episode: the position of the light is the target of the joints."""
    stream = np.random.default_rng(episode)
    goal = stream.uniform(-1, 1, 2)
    joints = np.linspace(stream.uniform(-1, 1, 2), goal, steps + 1).astype(np.float32)
    row, column = ((goal + 1) / 2 * (PIXELS - 8)).astype(int)
    picture = np.full((PIXELS, PIXELS, 3), 40, np.uint8)
    picture[row : row + 8, column : column + 8] = (250, 200, 30)
    gripper = np.where(np.arange(steps) < steps // 2, -1, 1).astype(np.float32)
    values: dict[str, Any] = {
        "benchmark": "lights",
        "task": f"reach-{episode % 2}",
        "episode": episode,
        "seed": 0,
        "protocol": "lights/card@1",
        "instruction": INSTRUCTIONS[episode % 2],
        "fps": 10,
        "state": np.column_stack([joints[:-1], gripper]),
        "action": np.column_stack([joints[1:], gripper]),
        "image": {
            "main": np.repeat(picture[None], steps, 0),
            "wrist": np.repeat(picture[None, ::-1], steps, 0),
        },
        "image_steps": np.arange(steps),
    }
    return Demonstration(**values | changes)


def write_demos(
    folder: Path, episodes: range, state: Layout = STATE, action: Layout = ACTION, **changes: Any
) -> Path:
    """Write a data set of these episodes and return its folder."""
    for episode in episodes:
        write_shard(folder, demonstration(episode, **changes))
    write_dataset(folder, Provenance(state, action))
    return folder

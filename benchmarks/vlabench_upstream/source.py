"""Upstream's modules, imported as they are from the user's checkout."""

import copy
import json
import os
import random
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gl import choose_gl
from benchmarks.stub_module import stub_module
from benchmarks.vlabench_upstream import checkout
from harness.contracts.errors import UsageError

NEVER_CALLED = (
    "openai",
    "rrt_algorithms.rrt.rrt",
    "rrt_algorithms.rrt.rrt_star",
    "rrt_algorithms.search_space.search_space",
    "rrt_algorithms.utilities.plotting",
)
"""What upstream imports to write instructions and to plan its demonstrations: no part of this.

The planner is in no package registry. Who has installed them keeps them.
"""


class Source:
    """What of upstream an evaluation calls."""

    def __init__(self, root: Path) -> None:
        """Import it from the package's folder `root`."""
        # MuJoCo reads the backend when it is imported, and fails there if it is missing.
        os.environ["MUJOCO_GL"] = choose_gl()
        sys.path.insert(0, str(root.parent))
        for name in NEVER_CALLED:
            stub_module(name)
        self._root = root
        self._envs = import_module("VLABench.envs")
        for name in ("VLABench.tasks", "VLABench.robots"):
            import_module(name)  # Each registers what it holds.
        maths = import_module("VLABench.utils.utils")
        self.quaternion_to_euler: Any = maths.quaternion_to_euler
        self.euler_to_quaternion: Any = maths.euler_to_quaternion
        # Loading an environment writes into these, so that an episode would depend on the last one.
        self._settings = {
            name: copy.deepcopy(getattr(self._envs, name))
            for name in ("TASK_CONFIG", "ROBOT_CONFIG")
        }

    def episodes(self, track: str, task: str) -> list[dict[str, Any]]:
        """Return a track's episodes of a task."""
        text = (self._root / checkout.EPISODES / f"{track}.json").read_text()
        found: list[dict[str, Any]] = json.loads(text)[task]
        return found

    def load(self, task: str, episode: dict[str, Any], scene: int) -> Any:
        """Return upstream's environment of an episode, as its evaluator makes one."""
        for name, pristine in self._settings.items():
            settings = getattr(self._envs, name)
            settings.clear()
            settings.update(copy.deepcopy(pristine))
        # Tasks draw from the streams of the whole process before the episode overrides it.
        random.seed(scene)
        np.random.seed(scene)
        env = self._envs.load_env(
            task,
            robot="franka",
            episode_config=copy.deepcopy(episode),
            random_init=False,
            eval=False,
            run_mode="eval",  # Without it upstream keeps no account of the scores.
        )
        env.random_state.seed(scene)
        env.reset()
        return env


@cache
def source() -> Source:
    """Return upstream, imported once a process.

    Raises:
        UsageError: The checkout lacks something.
    """
    problem, root = checkout.problem(), checkout.find()
    if problem or root is None:
        raise UsageError(problem or "no checkout")
    return Source(root)

"""Upstream's modules, imported from the user's checkout without changes."""

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

_STUBBED = (
    "openai",
    "rrt_algorithms.rrt.rrt",
    "rrt_algorithms.rrt.rrt_star",
    "rrt_algorithms.search_space.search_space",
    "rrt_algorithms.utilities.plotting",
)
"""Modules that upstream imports only to write instructions and to plan demonstrations.

The planner is in no package registry. Installed modules are not replaced.
"""


class Source:
    """The parts of upstream that an evaluation calls."""

    def __init__(self, root: Path) -> None:
        """Import them from the package's folder `root`."""
        # MuJoCo reads MUJOCO_GL at import and fails if that backend is missing.
        os.environ["MUJOCO_GL"] = choose_gl()
        sys.path.insert(0, str(root.parent))
        for name in _STUBBED:
            stub_module(name)
        self._root = root
        self._envs = import_module("VLABench.envs")
        for name in ("VLABench.tasks", "VLABench.robots"):
            import_module(name)  # The import registers tasks and robots.
        maths = import_module("VLABench.utils.utils")
        self.quaternion_to_euler: Any = maths.quaternion_to_euler
        self.euler_to_quaternion: Any = maths.euler_to_quaternion
        # Loading an environment changes these, so they are reset before each episode.
        self._settings = {
            name: copy.deepcopy(getattr(self._envs, name))
            for name in ("TASK_CONFIG", "ROBOT_CONFIG")
        }

    def episodes(self, track: str, task: str) -> list[dict[str, Any]]:
        """Return a track's episodes of a task."""
        text = (self._root / checkout.TRACK_FILES / f"{track}.json").read_text()
        episodes: list[dict[str, Any]] = json.loads(text)[task]
        return episodes

    def load(self, task: str, episode: dict[str, Any], scene: int) -> Any:
        """Return upstream's environment of an episode, made as in its evaluator."""
        for name, pristine in self._settings.items():
            settings = getattr(self._envs, name)
            settings.clear()
            settings.update(copy.deepcopy(pristine))
        # Tasks use the global random streams before the episode's settings apply.
        random.seed(scene)
        np.random.seed(scene)
        env = self._envs.load_env(
            task,
            robot="franka",
            episode_config=copy.deepcopy(episode),
            random_init=False,
            eval=False,
            run_mode="eval",  # Other modes compute no scores.
        )
        env.random_state.seed(scene)
        env.reset()
        return env


@cache
def source() -> Source:
    """Return upstream's modules, imported once in a process.

    Raises:
        UsageError: The checkout is missing or incomplete.
    """
    problem, root = checkout.problem(), checkout.find()
    if problem or root is None:
        raise UsageError(problem or "no checkout")
    return Source(root)

"""A RoboTwin task as a Gymnasium environment, stepped by RoboTwin's code.

Non-obvious behaviours:
- Every episode builds a new scene, as in RoboTwin.
- Episode k plays the k-th scene of a list of scenes that the expert has solved.
- Physics steps do not render. RoboTwin updates its renderer at each of its 250 steps per second,
  and renders all cameras at a success.
- An action lasts until the slower arm has arrived, and at least 0.2 s if an arm does not move.
  Success is checked after every physics step.
- The state holds the joint targets, not the joint positions, as in RoboTwin's observations.
"""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from benchmarks.robotwin import assets
from benchmarks.robotwin.cameras import IMAGE_SIZE, Cameras
from benchmarks.robotwin.control import Control
from benchmarks.robotwin.expert import expert_for, targets
from benchmarks.robotwin.instructions import instruction
from benchmarks.robotwin.milestones import Milestones
from benchmarks.robotwin.panda import NAME, make_embodiment
from benchmarks.robotwin.protocol import RoboTwinProtocol, card_of_scenes
from benchmarks.robotwin.seeds import find_scene
from benchmarks.robotwin.source import source
from benchmarks.spaces import image_space
from harness.contracts.environment import Action, BenchmarkEnv, Expert, Observation, StepOutcome

_PRINTABLE = frozenset(map(chr, range(32, 127)))
_MAX_INSTRUCTION = 500


class RoboTwinEnv(BenchmarkEnv):
    """One task of RoboTwin."""

    def __init__(
        self,
        benchmark: str,
        task: str,
        protocol: RoboTwinProtocol,
        render_mode: str | None = None,
    ) -> None:
        """Read the robot's description.

        Raises:
            UsageError: A file of RoboTwin is missing.
        """
        super().__init__(render_mode)
        self.protocol, self._benchmark, self._name = protocol, benchmark, task
        self._source = source()
        self._robot = make_embodiment() if protocol.robot == NAME else assets.robot(protocol)
        self.episodes = protocol.episodes_per_task
        self.max_steps = protocol.steps(benchmark, task)
        self.instruction = task.replace("_", " ")
        self._control = Control(self._robot, protocol.control)
        self.state_layout = self.action_layout = self._control.layout
        self.action_space, self.cameras = self._control.space, tuple(protocol.cameras)
        self.metadata = self.metadata | {"render_fps": 5}
        self._expert: Any = None
        self._task: Any = None
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            image=image_space(dict.fromkeys(self.cameras, IMAGE_SIZE)),
            state=spaces.Box(-np.inf, np.inf, (self.state_layout.size,), np.float32),
            instruction=spaces.Text(_MAX_INSTRUCTION, charset=_PRINTABLE),
        )

    @property
    def idle_action(self) -> Action:  # type: ignore[override]
        """The action that holds the arms' current targets."""
        return self._control.state(self._task)

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        start = self.protocol.first_scene(seed)
        card = card_of_scenes(self.protocol, assets.identity()) or self.protocol.name
        command = (
            f"python -m benchmarks.robotwin.verify --protocol {card} "
            f"--tasks {self._name} --seed {seed} --episodes {episode + 1}"
        )
        scenes, prefix = self.protocol.scenes, Path(sys.prefix)
        scene, named = find_scene(scenes, self._name, start, episode, command, prefix)
        self.close()
        self._task = self._source.begin(self._name, self.protocol, self._robot, scene)
        self._cameras = Cameras(self._task, scene)
        self._milestones = Milestones(self._name, self._task)
        kind, describe = self.protocol.instructions, self._source.describe
        self.instruction = instruction(describe, self._name, kind, named, scene)
        return self._outcome()

    def _advance(self, action: Action) -> StepOutcome:
        self._source.act(self._task, action.astype(float), self.protocol.control)
        return self._outcome()

    def _outcome(self) -> StepOutcome:
        success = bool(self._task.eval_success)
        facts, score = self._milestones.look(success)
        return StepOutcome(success, score, facts)

    def _observe(self, cameras: Sequence[str]) -> Observation:
        names = [self.protocol.cameras[role] for role in cameras]
        return {
            "image": dict(zip(cameras, self._cameras.draw(names, self.steps), strict=True)),
            "state": self._control.state(self._task),
            "instruction": self.instruction,
        }

    def expert(self) -> Expert | None:
        """Return RoboTwin's expert; it supports joint targets only."""
        if self.protocol.control != "qpos":
            return None
        self._expert = expert_for(self._task)
        return self._expert

    def state_bytes(self) -> bytes:
        """Return the targets, and the poses, velocities and joints of everything that can move."""
        scene = self._task.scene
        numbers = [targets(self._task)]
        for body in scene.physx_system.get_rigid_dynamic_components():
            pose = body.entity.pose
            numbers += [pose.p, pose.q, body.linear_velocity, body.angular_velocity]
        for robot in scene.get_all_articulations():
            numbers += [robot.pose.p, robot.pose.q, robot.qpos, robot.qvel]
        return np.concatenate(numbers).tobytes()

    def close(self) -> None:
        """Close the scene and free its reference cycles."""
        if self._expert is not None:
            self._expert.close()
            self._expert = None
        if self._task is not None:
            self._task.close_env()
            self._task = None
            gc.collect()

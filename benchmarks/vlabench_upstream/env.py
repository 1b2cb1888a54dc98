"""A task of a VLABench track as a Gymnasium environment, stepped by upstream's code.

Non-obvious behaviours:
- Every episode builds a new simulator, as in upstream's evaluator.
- Only requested images are rendered. Upstream's `get_observation` renders each camera three times
  and makes two point clouds.
- An episode succeeds when all conditions hold after a control step, as in upstream.
- Upstream's evaluator drops episodes with exceptions. Here they become recorded errors.
"""

import gc
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from benchmarks.spaces import image_space
from benchmarks.vlabench_upstream.protocol import UpstreamProtocol
from benchmarks.vlabench_upstream.source import source
from harness.contracts.environment import Action, BenchmarkEnv, Observation, StepOutcome

_FINGERS_OPEN, _FINGERS = 0.04, 2
_LOW = (-0.6, -0.1, -0.1, -np.pi, -np.pi, -np.pi, 0.0)
_HIGH = (0.6, 0.9, 0.9, np.pi, np.pi, np.pi, 1.0)
"""The bounds for random actions; actions outside them are not clipped."""
_PRINTABLE = frozenset(map(chr, range(32, 127)))
_MAX_INSTRUCTION = 500


class UpstreamEnv(BenchmarkEnv):
    """A task of a track."""

    def __init__(
        self,
        benchmark: str,
        task: str,
        protocol: UpstreamProtocol,
        render_mode: str | None = None,
    ) -> None:
        """Read the task's episodes.

        Raises:
            UsageError: The checkout is missing or incomplete.
        """
        super().__init__(render_mode)
        self.protocol, self._task = protocol, task
        self._source = source()
        self._episodes = self._source.episodes(protocol.track, task)
        self.episodes = len(self._episodes)
        self.max_steps = protocol.steps(benchmark, task)
        self.metadata = self.metadata | {"render_fps": 10}
        self.instruction = task.replace("_", " ")
        spec = protocol.env_spec
        self.state_layout, self.action_layout = spec.state_layout, spec.action_layout
        self.cameras = tuple(spec.cameras)
        self._base = np.array(protocol.robot_base)
        self._sim: Any = None
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            image=image_space(spec.cameras),
            state=spaces.Box(-np.inf, np.inf, (self.state_layout.size,), np.float32),
            instruction=spaces.Text(_MAX_INSTRUCTION, charset=_PRINTABLE),
        )
        low, high = (np.array(bound, np.float32) for bound in (_LOW, _HIGH))
        self.action_space = spaces.Box(low, high)

    @property
    def idle_action(self) -> Action:  # type: ignore[override]
        """The action that holds the gripper's current pose."""
        state = self._state()
        return np.append(state[:-1], 1 - state[-1])

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        self.close()
        name = f"{self.protocol.track}/{self._task}/{episode}/{seed}"
        scene = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        self._sim = self._source.load(self._task, self._episodes[episode], scene)
        self.instruction = str(self._sim.task.get_instruction())
        return self._outcome(False)

    def _advance(self, action: Action) -> StepOutcome:
        position = action[:3].astype(float) + self._base
        quaternion = self._source.euler_to_quaternion(*action[3:6].astype(float))
        # As in upstream's evaluator, the arm moves to where the search ended, solved or not.
        _, joints = self._sim.robot.get_qpos_from_ee_pos(
            physics=self._sim.physics, pos=position, quat=quaternion
        )
        opening = _FINGERS_OPEN if action[6] >= self.protocol.open_from else 0.0
        control = np.concatenate([joints, np.full(_FINGERS, opening)])
        for _ in range(self.protocol.max_substeps):
            if self._sim.step(control).last():
                return self._outcome(True)
        return self._outcome(False)

    def _outcome(self, success: bool) -> StepOutcome:
        """Return upstream's scores and conditions."""
        task, physics = self._sim.task, self._sim.physics
        names = task.config["task"]["conditions"]
        facts = {
            str(name): bool(condition.is_met(physics))
            for name, condition in zip(names, task.conditions.conditions, strict=True)
        }
        if task.target_is_grasped:
            facts["touched"] = all(map(bool, task.target_is_grasped.values()))
        targets = task.target_entity
        target = targets[-1] if isinstance(targets, list) else targets
        # Upstream tracks only targets that can move; for others its intention score raises.
        if target in task.intention_distance:
            radius = self.protocol.intention_radius
            facts["intention"] = bool(self._sim.get_intention_score(threshold=radius))
        return StepOutcome(success, float(self._sim.get_task_progress()), facts)

    def _state(self) -> Action:
        """Return the state that upstream's openpi client sends."""
        state = np.asarray(self._sim.robot.get_ee_state(self._sim.physics), float)
        euler = self._source.quaternion_to_euler(state[3:7])
        return np.concatenate([state[:3] - self._base, euler, state[7:]]).astype(np.float32)

    def _observe(self, cameras: Sequence[str]) -> Observation:
        height, width = self.protocol.camera_size
        number = self.protocol.cameras
        return {
            "image": {
                role: self._sim.render(camera_id=number[role], height=height, width=width)
                for role in cameras
            },
            "state": self._state(),
            "instruction": self.instruction,
        }

    def state_bytes(self) -> bytes:
        """Return MuJoCo's positions, velocities and activations."""
        state: bytes = self._sim.physics.get_state().tobytes()
        return state

    def close(self) -> None:
        """Close the simulator and free its reference cycles."""
        if self._sim is not None:
            self._sim.close()
            self._sim = None
            gc.collect()

"""A LIBERO task as a Gymnasium environment.

Non-obvious behaviours:
- `set_init_state` does not restore fixtures: the random stream places cabinets, stoves and racks.
  The stream is seeded before every reset, so their places follow from the spec.
- Resets are soft. robosuite's own soft reset keeps the gripper's commanded position of the last
  episode and starts the solver from another guess. Both are corrected, see `_begin` and `control`.
- robosuite samples its sensors at the first physics substep of a control step. Images and state
  show that moment, as in every other LIBERO evaluation (see `rendering.Snapshot`).
- Under `rotate180` the images are mirrored left to right, as in the published training data.
- The wait steps do not count as steps of the episode, and a success during them is ignored.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from benchmarks.libero import rendering, stepping
from benchmarks.libero.catalog import TaskFiles
from benchmarks.libero.control import build_control, fixture_bodies
from benchmarks.libero.goal import Goal
from benchmarks.libero.protocol import CAMERAS, LiberoProtocol
from benchmarks.libero.shuffle import displace_hand, shuffle
from benchmarks.spaces import observation_space
from harness.contracts.environment import Action, BenchmarkEnv, Expert, Observation, StepOutcome

SENSORS = ("robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos")
"""The observables that are read; all others are disabled to save time."""

_IDLE = np.array([0, 0, 0, 0, 0, 0, -1], np.float32)
_PERTURBATION = np.array([0.8, 0.8, 0.8, 0, 0, 0.4, 0], np.float32)
"""Added to actions for a few steps, it moves the hand by some centimetres."""
_SHUT = np.array([0, 0, 0, 0, 0, 0, 2], np.float32)
"""Every second perturbation also shuts an open hand.

The demonstration then shows how to open again after closing on nothing.
"""


class LiberoEnv(BenchmarkEnv):
    """One task of a LIBERO suite, under one protocol."""

    def __init__(
        self,
        suite: str,
        files: TaskFiles,
        protocol: LiberoProtocol,
    ) -> None:
        """Build the task's simulator; it takes seconds."""
        super().__init__()
        self.protocol = protocol
        self.instruction = files.instruction
        self.max_steps = protocol.limit(suite)
        self.episodes = len(files.states)
        spec = protocol.env_spec
        self.state_layout, self.action_layout = spec.state_layout, spec.action_layout
        self.idle_action = _IDLE
        self.perturbations = -_PERTURBATION, _PERTURBATION + _SHUT
        self.cameras = tuple(spec.cameras)
        self.observation_space = observation_space(
            spec.cameras, self.state_layout.size, self.instruction
        )
        self.action_space = spaces.Box(-1.0, 1.0, (self.action_layout.size,), np.float32)
        self._files = files
        self._control = build_control(files)
        self._step = stepping.fastest(self._control)
        self._goal = Goal(self._control.env)
        self._sensed: dict[str, Any] = {}
        self._snapshot = rendering.Snapshot(self._control.sim.model._model)
        observables = self._control.env._observables
        rendering.on_sample(
            observables[SENSORS[0]],
            lambda: self._snapshot.take(self._control.sim.data._data),
        )
        for name, observable in observables.items():
            observable.set_enabled(name in SENSORS)

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        gripper = self._control.robots[0].gripper
        gripper.current_action = np.zeros(gripper.dof)
        scene = self.protocol.scene_seed(seed, episode, self._files.bddl.stem)
        self._control.seed(scene)
        self._sensed = self._control.reset()
        if self.protocol.init_states == "official":
            self._sensed = self._control.set_init_state(self._files.states[episode])
        elif self.protocol.init_states == "drawn":
            shuffle(self._control.env, scene)
            displace_hand(self._control.env, scene)
        wait_action = np.array(self.protocol.wait_action)
        for _ in range(self.protocol.wait_steps):
            self._sensed, _ = self._step(wait_action)
        self._goal.begin()
        return self._goal.outcome(success=False)

    def _advance(self, action: Action) -> StepOutcome:
        self._sensed, success = self._step(action)
        return self._goal.outcome(success)

    def _observe(self, cameras: Sequence[str]) -> Observation:
        return {
            "image": {role: self._image(role) for role in cameras},
            "state": _state(self._sensed),
            "instruction": self.instruction,
        }

    def state_bytes(self) -> bytes:
        """Return time, positions and velocities."""
        state: NDArray[np.float64] = self._control.get_sim_state()
        return state.tobytes()

    def fixture_positions(self) -> dict[str, NDArray[np.float64]]:
        """Return where the fixtures stand; `state_bytes` does not contain it."""
        positions = self._control.sim.model.body_pos
        bodies = fixture_bodies(self._control.env)
        return {name: positions[body].copy() for name, body in bodies.items()}

    def expert(self) -> Expert:
        """Return the scripted expert for this task."""
        from benchmarks.libero.expert import LiberoExpert

        return LiberoExpert(self._control.env)

    def close(self) -> None:
        """Close the simulator and the GL contexts."""
        self._snapshot.close()
        self._control.close()

    def _image(self, role: str) -> NDArray[np.uint8]:
        upright = self._snapshot.draw(CAMERAS[role], self.protocol.camera_size)
        turned = upright[:, ::-1] if self.protocol.flip == "rotate180" else upright[::-1]
        return np.ascontiguousarray(turned)


def _state(sensed: dict[str, Any]) -> NDArray[np.float32]:
    position, quaternion, fingers = (sensed[name] for name in SENSORS)
    parts = (position, axis_angle(quaternion), fingers)
    return np.concatenate(parts).astype(np.float32)


def axis_angle(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert an xyzw quaternion to an axis-angle vector, as LIBERO's evaluations do.

    The angle is not folded into half a turn, because the policies' training data has it unfolded.
    """
    w = float(np.clip(quaternion[3], -1.0, 1.0))
    length = math.sqrt(1.0 - w * w)
    if math.isclose(length, 0.0):
        return np.zeros(3)
    return quaternion[:3] * 2.0 * math.acos(w) / length

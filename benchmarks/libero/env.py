"""A LIBERO task as a Gymnasium environment.

Non-obvious behaviours:
- `set_init_state` restores no fixtures: cabinets, stoves and racks stand where the random stream
  put them. The stream is seeded before every reset, so they follow from the spec.
- Resets are soft. robosuite's own soft reset leaves the gripper's commanded position as the last
  episode had it and starts the solver elsewhere; both are mended, see `_begin` and `control`.
- robosuite samples its sensors at the first physics substep of a control step; images and state
  are of that moment, as in every other LIBERO evaluation (see `rendering.Snapshot`).
- The images are mirrored left to right under `rotate180`, as everybody's training data is.
- The wait steps are no steps of the episode, and a success during them is not seen.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from benchmarks.libero import rendering
from benchmarks.libero.catalog import TaskFiles
from benchmarks.libero.control import build_control, fixture_bodies
from benchmarks.libero.goal import Goal
from benchmarks.libero.protocol import LiberoProtocol
from benchmarks.libero.shuffle import displace_hand, shuffle
from harness.contracts.environment import Action, BenchmarkEnv, Expert, Observation, StepOutcome
from harness.contracts.vectors import Layout, Part

CAMERAS = {"main": "agentview", "wrist": "robot0_eye_in_hand"}
SENSORS = ("robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos")
"""The only observables that are looked at; the others would be computed for nobody."""

STATE = Layout(
    (
        Part("eef_position", 3, "m, world"),
        Part("eef_orientation", 3, "axis-angle in rad of the xyzw quaternion"),
        Part("gripper_qpos", 2, "m, one number a finger"),
    )
)
ACTION = Layout(
    (
        Part("eef_translation", 3, "delta, 1 = 0.05 m"),
        Part("eef_rotation", 3, "delta axis-angle, 1 = 0.5 rad"),
        Part("gripper", 1, "-1 opens, +1 closes"),
    )
)
IDLE = np.array([0, 0, 0, 0, 0, 0, -1], np.float32)
PUSH = np.array([0.8, 0.8, 0.8, 0, 0, 0.4, 0], np.float32)
"""Of a few steps, it takes the hand some centimetres away."""
SHUT = np.array([0, 0, 0, 0, 0, 0, 2], np.float32)
"""Every second push shuts an open hand besides: who closed on nothing has to open again."""
PRINTABLE = frozenset(map(chr, range(32, 127)))


class LiberoEnv(BenchmarkEnv):
    """One task of a LIBERO suite, under one protocol."""

    def __init__(
        self,
        suite: str,
        files: TaskFiles,
        protocol: LiberoProtocol,
        render_mode: str | None = None,
    ) -> None:
        """Build the task's simulator, which takes seconds."""
        super().__init__(render_mode)
        self.protocol = protocol
        self.instruction = files.instruction
        self.max_steps = protocol.limit(suite)
        self.episodes = len(files.states)
        self.state_layout, self.action_layout = STATE, ACTION
        self.idle_action = IDLE
        self.pushes = -PUSH, PUSH + SHUT
        self.cameras = tuple(CAMERAS)
        height, width = protocol.camera_size
        picture = spaces.Box(0, 255, (height, width, 3), np.uint8)
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            image=spaces.Dict(dict.fromkeys(self.cameras, picture)),
            state=spaces.Box(-np.inf, np.inf, (STATE.size,), np.float32),
            instruction=spaces.Text(
                max(len(self.instruction), 1), charset=PRINTABLE | set(self.instruction)
            ),
        )
        self.action_space = spaces.Box(-1.0, 1.0, (ACTION.size,), np.float32)
        self._files = files
        self._control = build_control(files)
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
            self._sensed, *_ = self._control.step(wait_action)
        self._goal.forget()
        return self._goal.outcome(success=False)

    def _advance(self, action: Action) -> StepOutcome:
        self._sensed, _, done, _ = self._control.step(action)
        return self._goal.outcome(success=bool(done))

    def _observe(self, cameras: Sequence[str]) -> Observation:
        return {
            "image": {role: self._picture(role) for role in cameras},
            "state": _state(self._sensed),
            "instruction": self.instruction,
        }

    def state_bytes(self) -> bytes:
        """Return time, positions and velocities."""
        state: NDArray[np.float64] = self._control.get_sim_state()
        return state.tobytes()

    def fixture_positions(self) -> dict[str, NDArray[np.float64]]:
        """Return where the fixtures stand, which no part of the state tells."""
        positions = self._control.sim.model.body_pos
        bodies = fixture_bodies(self._control.env)
        return {name: positions[body].copy() for name, body in bodies.items()}

    def expert(self) -> Expert:
        """Return the scripted expert for this task."""
        from benchmarks.libero.expert import Expert as LiberoExpert

        return LiberoExpert(self._control.env)

    def close(self) -> None:
        """Give the simulator and the GL contexts back."""
        self._snapshot.close()
        self._control.close()

    def _picture(self, role: str) -> NDArray[np.uint8]:
        upright = self._snapshot.draw(CAMERAS[role], self.protocol.camera_size)
        turned = upright[:, ::-1] if self.protocol.flip == "rotate180" else upright[::-1]
        return np.ascontiguousarray(turned)


def _state(sensed: dict[str, Any]) -> NDArray[np.float32]:
    position, quaternion, fingers = (sensed[name] for name in SENSORS)
    parts = (position, axis_angle(quaternion), fingers)
    return np.concatenate(parts).astype(np.float32)


def axis_angle(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn an xyzw quaternion into an axis-angle vector, by the formula that LIBERO's users share.

    It does not fold the angle into half a turn: policies were trained on what it gives.
    """
    w = float(np.clip(quaternion[3], -1.0, 1.0))
    length = math.sqrt(1.0 - w * w)
    if math.isclose(length, 0.0):
        return np.zeros(3)
    return quaternion[:3] * 2.0 * math.acos(w) / length

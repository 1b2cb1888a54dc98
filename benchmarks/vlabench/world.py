"""The physics of an episode: poses, contacts and time steps."""

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.vlabench.assets import asset
from benchmarks.vlabench.layouts import JOINTS
from benchmarks.vlabench.panda import BASE, FINGERS, HOME, OPEN, TOOL
from benchmarks.vlabench.scene import Scene

Vector = NDArray[np.float64]
SUBSTEPS = 100
RATE = 10
"""Substeps of 1 ms in a control step, and control steps in a second."""
_CLOSED_BELOW = 0.035
"""Upstream's gripper counts as closed with both fingers this near to the middle, in metres."""
_MIN_FORCE, _MAX_FORCE = 0.01, 100.0
"""The range of forces in newtons in which upstream's button counts as touched."""
_ROOT_AT_BASE = ("toy", "container")
"""Kinds of assets whose root is at their base in upstream; other roots are in the middle."""


class World:
    """The physics of one episode."""

    def __init__(self, model: mujoco.MjModel, scene: Scene) -> None:
        """Put the robot in its home pose."""
        self.model, self.data, self.scene = model, mujoco.MjData(model), scene
        self.kinds = {thing.name: asset(thing.asset).kind for thing in scene.things}
        pose = np.array([*HOME, OPEN, -OPEN])
        self.data.qpos[: len(pose)] = pose
        self.data.ctrl[:] = pose
        self._tool = self.data.site(TOOL)
        fingers = [model.body(name).id for name in FINGERS]
        bodies = [model.geom_bodyid, model.body_parentid[model.geom_bodyid]]
        self._fingers = [np.isin(bodies, finger).any(axis=0) for finger in fingers]
        self._owners = model.body_rootid[model.geom_bodyid]
        self._presses = self.kinds[scene.target] == "button"
        self.pressed_for = 0
        """The number of consecutive substeps in which the target, a button, was pressed."""
        mujoco.mj_forward(model, self.data)

    def step(self, command: Vector) -> None:
        """Simulate one control step with these target positions of seven joints and two fingers."""
        self.data.ctrl[:] = command
        if self._presses:
            self._step_button()
        else:
            mujoco.mj_step(self.model, self.data, SUBSTEPS)
        # Otherwise the bodies' positions are those before the last substep.
        mujoco.mj_step1(self.model, self.data)

    def _step_button(self) -> None:
        force = self.data.sensor(self.scene.target).data
        for _ in range(SUBSTEPS):
            mujoco.mj_step(self.model, self.data)
            touched = _MIN_FORCE <= force[0] <= _MAX_FORCE
            self.pressed_for = self.pressed_for + 1 if touched else 0

    def settle(self, steps: int) -> None:
        """Hold the home pose for some control steps."""
        for _ in range(steps):
            self.step(self.data.ctrl.copy())
        self.pressed_for = 0

    def root(self, name: str) -> Vector:
        """Return the position of a thing's root, as upstream defines it."""
        body = self.data.body(name)
        if self.kinds[name] in _ROOT_AT_BASE:
            return body.xpos.copy()
        height = asset(self.scene.thing(name).asset).half_size[2]
        return body.xpos + body.xmat.reshape(3, 3) @ (0, 0, height)

    def base(self, name: str) -> Vector:
        """Return the position of the centre of a thing's base."""
        return self.data.body(name).xpos.copy()

    def grasp_point(self, name: str) -> Vector:
        """Return the point at which the fingers grasp a thing or press a button."""
        body = self.data.body(name)
        height = asset(self.scene.thing(name).asset).grasp_height
        return body.xpos + body.xmat.reshape(3, 3) @ (0, 0, height)

    def grasp_axis(self, name: str) -> Vector:
        """Return the horizontal direction in which the fingers close on a thing."""
        return self.data.body(name).xmat.reshape(3, 3)[:2, 0].copy()

    def in_frame_of(self, container: str, point: Vector) -> Vector:
        """Return a point in the frame of a container's base."""
        body = self.data.body(container)
        return body.xmat.reshape(3, 3).T @ (point - body.xpos)

    def is_touched(self, name: str) -> bool:
        """Return whether a finger touches a thing."""
        return any(self._touching(name))

    def holds(self, name: str) -> bool:
        """Return whether both fingers touch a thing."""
        return all(self._touching(name))

    def _touching(self, name: str) -> list[bool]:
        """Return for each finger whether it touches a thing."""
        pairs = self.data.contact.geom
        other = self._owners[pairs[:, ::-1]] == self.model.body(name).id
        return [bool((finger[pairs] & other).any()) for finger in self._fingers]

    @property
    def joints(self) -> Vector:
        """The positions of the arm's joints in radians."""
        return self.data.qpos[:JOINTS].copy()

    @property
    def fingers(self) -> Vector:
        """The distances of the fingers from the middle in metres."""
        return self.data.qpos[JOINTS : JOINTS + 2] * (1, -1)

    @property
    def is_closed(self) -> bool:
        """Whether the gripper counts as closed in upstream's state."""
        return bool((self.fingers < _CLOSED_BELOW).all())

    @property
    def speed(self) -> float:
        """The speed of the arm's fastest joint in radians per second."""
        return float(np.abs(self.data.qvel[:JOINTS]).max())

    @property
    def tool(self) -> tuple[Vector, Vector]:
        """The position and the rotation matrix of the point between the fingertips."""
        return self._tool.xpos.copy(), self._tool.xmat.reshape(3, 3).copy()

    @property
    def angles(self) -> Vector:
        """The extrinsic xyz Euler angles of the tool in radians."""
        return Rotation.from_matrix(self.tool[1]).as_euler("xyz")

    def state_bytes(self) -> bytes:
        """Return MuJoCo's integration state."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, state, kind)
        return state.tobytes()


def from_base(point: Vector) -> Vector:
    """Return a point relative to the robot's base, along the world's axes."""
    return point - BASE

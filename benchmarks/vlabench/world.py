"""The simulated table: steps it, and tells where things are and what touches what."""

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.vlabench.assets import asset
from benchmarks.vlabench.layout import Scene
from benchmarks.vlabench.panda import BASE, FINGERS, HOME, OPEN, TOOL

Vector = NDArray[np.float64]
SUBSTEPS = 100
RATE = 10
"""Control steps a second, of that many milliseconds each."""
JOINTS = 7
CLOSED_BELOW = 0.035
"""Metres: with both fingers nearer to the middle than this, upstream's state says closed."""
LOWEST_FORCE, HIGHEST_FORCE = 0.01, 100.0
"""Newtons between which upstream's button counts as touched."""
STANDING_ROOTS = ("toy", "container")
"""Kinds whose root upstream has at their base; that of the others is in their middle."""


class World:
    """One episode's physics."""

    def __init__(self, model: mujoco.MjModel, scene: Scene) -> None:
        """Put the robot in its first pose."""
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
        """For how many substeps in a row the target, a button, has been touched as it should."""
        mujoco.mj_forward(model, self.data)

    def step(self, command: Vector) -> None:
        """Hold seven joints and two fingers at these positions for a control step."""
        self.data.ctrl[:] = command
        if self._presses:
            self._step_watching()
        else:
            mujoco.mj_step(self.model, self.data, SUBSTEPS)
        # After a step the positions of bodies are those before its last substep.
        mujoco.mj_step1(self.model, self.data)

    def _step_watching(self) -> None:
        force = self.data.sensor(self.scene.target).data
        for _ in range(SUBSTEPS):
            mujoco.mj_step(self.model, self.data)
            touched = LOWEST_FORCE <= force[0] <= HIGHEST_FORCE
            self.pressed_for = self.pressed_for + 1 if touched else 0

    def settle(self, steps: int) -> None:
        """Hold the first pose for some control steps."""
        for _ in range(steps):
            self.step(self.data.ctrl.copy())
        self.pressed_for = 0

    def root(self, name: str) -> Vector:
        """Return where upstream would say that a thing is."""
        body = self.data.body(name)
        if self.kinds[name] in STANDING_ROOTS:
            return body.xpos.copy()
        height = asset(self.scene.thing(name).asset).half_size[2]
        return body.xpos + body.xmat.reshape(3, 3) @ (0, 0, height)

    def base(self, name: str) -> Vector:
        """Return where the centre of a thing's base is."""
        return self.data.body(name).xpos.copy()

    def grasp_point(self, name: str) -> Vector:
        """Return where fingers close on a thing, or where a button is pressed."""
        body = self.data.body(name)
        height = asset(self.scene.thing(name).asset).grasp_height
        return body.xpos + body.xmat.reshape(3, 3) @ (0, 0, height)

    def across(self, name: str) -> Vector:
        """Return along which horizontal direction fingers close on a thing."""
        return self.data.body(name).xmat.reshape(3, 3)[:2, 0].copy()

    def seen_from(self, container: str, point: Vector) -> Vector:
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
        """The positions of the arm's joints."""
        return self.data.qpos[:JOINTS].copy()

    @property
    def fingers(self) -> Vector:
        """How far the fingers stand away from the middle."""
        return self.data.qpos[JOINTS : JOINTS + 2] * (1, -1)

    @property
    def is_closed(self) -> bool:
        """Whether upstream's state says that the gripper is closed."""
        return bool((self.fingers < CLOSED_BELOW).all())

    @property
    def speed(self) -> float:
        """How fast the arm's fastest joint turns, in radians a second."""
        return float(np.abs(self.data.qvel[:JOINTS]).max())

    @property
    def tool(self) -> tuple[Vector, Vector]:
        """The position and the rotation matrix of the point between the fingertips."""
        return self._tool.xpos.copy(), self._tool.xmat.reshape(3, 3).copy()

    @property
    def angles(self) -> Vector:
        """The extrinsic xyz Euler angles of that rotation."""
        return Rotation.from_matrix(self.tool[1]).as_euler("xyz")

    def state_bytes(self) -> bytes:
        """Return all that the further course follows from."""
        what = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(self.model, what))
        mujoco.mj_getState(self.model, self.data, state, what)
        return state.tobytes()


def from_base(point: Vector) -> Vector:
    """Return a point as upstream gives it to openpi: from the robot's base, along world axes."""
    return point - BASE

"""A scripted expert for the selection tasks.

Each action depends on the current state alone: the tool's pose, the arm's speed, the positions of
the things, and the fingers' contacts. The expert has no memory.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.vlabench.assets import asset
from benchmarks.vlabench.control import Control
from benchmarks.vlabench.kinematics import Kinematics, rotation_between
from benchmarks.vlabench.panda import BASE
from benchmarks.vlabench.scene import TABLE
from benchmarks.vlabench.world import Vector, World
from harness.contracts.environment import Action

_MAX_MOVE, _MAX_PRESS = 0.06, 0.01
"""The tool's longest move in a step, and its longest move while it presses, in metres."""
_MAX_TURN = 0.4
"""The tool's largest rotation in a step, in radians."""
_ARRIVED, _ABOVE, _ALIGNED = 0.004, 0.012, 0.1
"""Tolerances: at the goal (m), straight above it (m), and in the right orientation (rad)."""
_BESIDE, _CENTRED = 0.06, 0.045
"""Distances from the container's middle, in metres, at which the expert lowers a carried thing to
the rim, and into the container. Near its base, the arm cannot reach the middle while high."""
_LEAN_FROM, _LEAN_RATE, _MAX_LEAN = 0.32, 4.0, 0.5
"""The hand leans within this distance (m) of the base, by this rate (rad/m), up to this angle."""
_STILL = 0.05
"""The arm stands still below this joint speed, in radians per second."""
_CLEARANCE = 0.03
"""The distance between a moving thing and the highest thing below it, in metres."""
_FINGERTIP, _PALM = 0.015, 0.025
"""The length of the fingers below the tool, and the room above it, in metres."""
_MAX_RAISE = 0.01
"""A tall thing is grasped up to this far above its grasp point, in metres, to have that room."""
_LIFT_HEIGHT = 1.0
"""The height to which a card is lifted, in metres."""
_PRESS_DEPTH = 0.01
"""The depth to which a button is pressed, in metres; less than its travel."""
_WRIST_LIMIT = 2.8
"""The largest angle of the last joint, in radians."""


class SelectionExpert:
    """Moves one thing to the target's goal, or presses one button."""

    def __init__(self, world: World, solver: Kinematics, control: Control, choice: str) -> None:
        """Set the episode and the thing to choose in it."""
        self._world, self._solver, self._control = world, solver, control
        self._choice = choice

    def act(self) -> Action:
        """Return the next action."""
        scene, opens = self._world.scene, False
        rotation = _downward(self._upright_yaw())
        if scene.goal == "press":
            place = self._press()
            rotation = self._leaning(self._choice) * rotation
        elif self._world.holds(self._choice):
            place = self._carry()
            if scene.container:
                rotation = self._leaning(scene.container) * rotation
        else:
            rotation = _downward(self._grasping_yaw())
            place, opens = self._fetch(rotation)
        here, matrix = self._world.tool
        way = place - here
        way *= min(1.0, _MAX_MOVE / max(float(np.linalg.norm(way)), _MAX_MOVE))
        angles = _turned(matrix, rotation).as_euler("xyz")
        return self._control.action(self._world, self._solver, here + way, angles, opens)

    def _press(self) -> Vector:
        """Return the next position of the closed fingers: above the button, then down."""
        top = self._world.grasp_point(self._choice) + np.array([0, 0, _FINGERTIP])
        here, _ = self._world.tool
        if _apart(here, top) > _ABOVE:
            return top + np.array([0, 0, 2 * _CLEARANCE])
        return np.array([*top[:2], max(here[2] - _MAX_PRESS, top[2] - _PRESS_DEPTH)])

    def _fetch(self, rotation: Rotation) -> tuple[Vector, bool]:
        """Return the next position on the way to the thing, and whether to open the fingers."""
        place = self._world.grasp_point(self._choice)
        place[2] += np.clip(self._top(self._choice) - _PALM - place[2], 0, _MAX_RAISE)
        here, matrix = self._world.tool
        safe = self._highest() + _FINGERTIP + _CLEARANCE
        away = np.linalg.norm(rotation_between(matrix, rotation.as_matrix()))
        if _apart(here, place) > _ABOVE or away > _ALIGNED:
            lifted = here[2] > safe - _CLEARANCE
            return np.array([*(place if lifted else here)[:2], safe]), True
        arrived = np.abs(here - place).max() < _ARRIVED and self._world.speed < _STILL
        return place, not arrived

    def _carry(self) -> Vector:
        """Return the next position with the thing between the fingers."""
        world, (here, _) = self._world, self._world.tool
        if world.scene.goal == "lift":
            return np.array([*here[:2], _LIFT_HEIGHT])
        name = world.scene.container
        container = world.base(name)
        base, root = world.base(self._choice), world.root(self._choice)
        shift = container - root
        if _apart(container, root) > _CENTRED:
            far = _apart(container, root) > _BESIDE
            up = (self._highest() if far else self._top(name)) + _CLEARANCE - base[2]
            sideways = shift[:2] if up < _CLEARANCE / 2 else (0, 0)
            return here + np.array([*sideways, up])
        floor = world.grasp_point(name)[2]
        return here + np.array([*shift[:2], floor - base[2]])

    def _leaning(self, name: str) -> Rotation:
        """Return the hand's lean away from the base, for a thing close to it.

        There the elbow's limit prevents a hand that points straight down.
        """
        inward = np.array(BASE[:2]) - self._world.base(name)[:2]
        far = float(np.linalg.norm(inward))
        lean = float(np.clip(_LEAN_RATE * (_LEAN_FROM - far), 0, _MAX_LEAN))
        x, y = inward / far
        return Rotation.from_rotvec(lean * np.array([y, -x, 0]))

    def _highest(self) -> float:
        """Return the top of the highest thing on the table, without the held one."""
        world = self._world
        tops = [
            self._top(thing.name)
            for thing in world.scene.things
            if thing.name != self._choice or not world.holds(self._choice)
        ]
        return float(max(tops, default=TABLE))

    def _top(self, name: str) -> float:
        """Return the height of an upright thing's top."""
        height = 2 * asset(self._world.scene.thing(name).asset).half_size[2]
        return float(self._world.base(name)[2] + height)

    def _upright_yaw(self) -> float:
        """Return the tool's current yaw."""
        _, matrix = self._world.tool
        return float(np.arctan2(matrix[1, 0], matrix[0, 0]))

    def _grasping_yaw(self) -> float:
        """Return the yaw at which the fingers close along the thing's x axis.

        There are two; the nearer one that the last joint can reach is returned.
        """
        now, joints = self._upright_yaw(), self._world.joints
        x, y = self._world.grasp_axis(self._choice)
        toward = self._world.grasp_point(self._choice)[:2] - np.array(BASE[:2])
        # The first joint will point to the thing, from the world's y axis on.
        swing = np.arctan2(-toward[0], toward[1]) - joints[0]
        turns = [
            (np.arctan2(y, x) + side * np.pi / 2 - now + np.pi) % (2 * np.pi) - np.pi
            for side in (-1, 1)
        ]
        able = [each for each in turns if abs(joints[-1] + swing - each) < _WRIST_LIMIT]
        return now + min(able or turns, key=abs)


def _apart(one: Vector, other: Vector) -> float:
    """Return the horizontal distance of two points."""
    return float(np.linalg.norm(one[:2] - other[:2]))


def _downward(yaw: float) -> Rotation:
    """Return the rotation of a tool that points down."""
    return Rotation.from_euler("xyz", (np.pi, 0, yaw))


def _turned(matrix: Vector, wanted: Rotation) -> Rotation:
    """Return the rotation after one step towards another."""
    way = rotation_between(matrix, wanted.as_matrix())
    way *= min(1.0, _MAX_TURN / max(float(np.linalg.norm(way)), _MAX_TURN))
    return Rotation.from_rotvec(way) * Rotation.from_matrix(matrix)

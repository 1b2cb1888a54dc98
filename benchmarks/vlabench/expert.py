"""A scripted expert for the selection tasks.

It decides each action from the present state alone, without a clock or a memory: where the tool is
and how fast the arm moves, where things are, and which of them the fingers touch.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.vlabench.assets import asset
from benchmarks.vlabench.control import Control
from benchmarks.vlabench.kinematics import Kinematics, turn
from benchmarks.vlabench.layout import TABLE
from benchmarks.vlabench.panda import BASE
from benchmarks.vlabench.world import Vector, World
from harness.contracts.environment import Action

STRIDE, GENTLE = 0.06, 0.01
"""How far the tool is sent in a step at most, and how far where it presses."""
LARGEST_TURN = 0.4
"""Radians that the tool is turned in a step at most."""
NEAR, ABOVE, ALIGNED = 0.004, 0.012, 0.1
"""When the tool is at its place, and when it is straight above it, in metres and radians."""
BESIDE, CENTRED = 0.06, 0.045
"""How near to its container's middle what is carried comes down to its rim, and into it: near its
base the arm reaches no further while the hand is high."""
CLOSE, STEEPER, STEEPEST = 0.32, 4.0, 0.5
"""From which distance to its base on the hand leans, by how many radians a metre, and at most."""
STILL = 0.05
"""Radians a second below which the arm stands still."""
CLEARANCE = 0.03
"""Metres between what moves and the highest thing below it."""
FINGERTIP, PALM = 0.015, 0.025
"""How far the fingers reach below the tool, and how much room there is above it between them."""
HIGHER = 0.01
"""How far above its middle something large is grasped at most for want of that room."""
RAISED = 1.0
"""The height to which a card is lifted."""
DEEPEST = 0.01
"""How far a button is pressed at most, short of its stop."""
WRIST_LIMIT = 2.8
"""Radians that the last joint is turned at most."""


class SelectionExpert:
    """Takes one thing to where the target has to go, or presses one button."""

    def __init__(self, world: World, solver: Kinematics, control: Control, choice: str) -> None:
        """Take the present episode and what shall be chosen in it."""
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
        way *= min(1.0, STRIDE / max(float(np.linalg.norm(way)), STRIDE))
        angles = _turned(matrix, rotation).as_euler("xyz")
        return self._control.action(self._world, self._solver, here + way, angles, opens)

    def _press(self) -> Vector:
        """Return where to go with closed fingers: above the button, then gently down."""
        top = self._world.grasp_point(self._choice) + np.array([0, 0, FINGERTIP])
        here, _ = self._world.tool
        if _apart(here, top) > ABOVE:
            return top + np.array([0, 0, 2 * CLEARANCE])
        return np.array([*top[:2], max(here[2] - GENTLE, top[2] - DEEPEST)])

    def _fetch(self, rotation: Rotation) -> tuple[Vector, bool]:
        """Return where to go for the thing, and whether to open the fingers."""
        place = self._world.grasp_point(self._choice)
        place[2] += np.clip(self._top(self._choice) - PALM - place[2], 0, HIGHER)
        here, matrix = self._world.tool
        safe = self._highest() + FINGERTIP + CLEARANCE
        away = np.linalg.norm(turn(matrix, rotation.as_matrix()))
        if _apart(here, place) > ABOVE or away > ALIGNED:
            lifted = here[2] > safe - CLEARANCE
            return np.array([*(place if lifted else here)[:2], safe]), True
        arrived = np.abs(here - place).max() < NEAR and self._world.speed < STILL
        return place, not arrived

    def _carry(self) -> Vector:
        """Return where to go with the thing between the fingers."""
        world, (here, _) = self._world, self._world.tool
        if world.scene.goal == "lift":
            return np.array([*here[:2], RAISED])
        name = world.scene.container
        container = world.base(name)
        base, root = world.base(self._choice), world.root(self._choice)
        shift = container - root
        if _apart(container, root) > CENTRED:
            far = _apart(container, root) > BESIDE
            up = (self._highest() if far else self._top(name)) + CLEARANCE - base[2]
            sideways = shift[:2] if up < CLEARANCE / 2 else (0, 0)
            return here + np.array([*sideways, up])
        floor = world.grasp_point(name)[2]
        return here + np.array([*shift[:2], floor - base[2]])

    def _leaning(self, name: str) -> Rotation:
        """Return how far the hand leans away from its base to reach what stands close to it.

        The elbow cannot be bent further than it is when the hand points straight down there.
        """
        inward = np.array(BASE[:2]) - self._world.base(name)[:2]
        far = float(np.linalg.norm(inward))
        lean = float(np.clip(STEEPER * (CLOSE - far), 0, STEEPEST))
        x, y = inward / far
        return Rotation.from_rotvec(lean * np.array([y, -x, 0]))

    def _highest(self) -> float:
        """Return how high whatever else is on the table reaches."""
        world = self._world
        tops = [
            self._top(thing.name)
            for thing in world.scene.things
            if thing.name != self._choice or not world.holds(self._choice)
        ]
        return float(max(tops, default=TABLE))

    def _top(self, name: str) -> float:
        """Return how high an upright thing reaches."""
        height = 2 * asset(self._world.scene.thing(name).asset).half_size[2]
        return float(self._world.base(name)[2] + height)

    def _upright_yaw(self) -> float:
        """Return the yaw of the tool if it only lacks to point down."""
        _, matrix = self._world.tool
        return float(np.arctan2(matrix[1, 0], matrix[0, 0]))

    def _grasping_yaw(self) -> float:
        """Return the yaw with which the fingers close along the thing's x axis.

        Of the two that do, it is the nearer one that the last joint can reach.
        """
        now, joints = self._upright_yaw(), self._world.joints
        x, y = self._world.across(self._choice)
        toward = self._world.grasp_point(self._choice)[:2] - np.array(BASE[:2])
        # The first joint will point to the thing, from the world's y axis on.
        swing = np.arctan2(-toward[0], toward[1]) - joints[0]
        turns = [
            (np.arctan2(y, x) + side * np.pi / 2 - now + np.pi) % (2 * np.pi) - np.pi
            for side in (-1, 1)
        ]
        able = [each for each in turns if abs(joints[-1] + swing - each) < WRIST_LIMIT]
        return now + min(able or turns, key=abs)


def _apart(one: Vector, other: Vector) -> float:
    """Return how far two points are apart seen from above."""
    return float(np.linalg.norm(one[:2] - other[:2]))


def _downward(yaw: float) -> Rotation:
    """Return the tool's rotation when it points down."""
    return Rotation.from_euler("xyz", (np.pi, 0, yaw))


def _turned(matrix: Vector, wanted: Rotation) -> Rotation:
    """Return the rotation that is nearer to the wanted one by one step."""
    way = turn(matrix, wanted.as_matrix())
    way *= min(1.0, LARGEST_TURN / max(float(np.linalg.norm(way)), LARGEST_TURN))
    return Rotation.from_rotvec(way) * Rotation.from_matrix(matrix)

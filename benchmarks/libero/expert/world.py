"""A read-only view of a LIBERO simulation, and the servo law from a pose to an action.

The scripted expert reads the simulator only through :class:`World`, which never writes to it. So
the expert can influence the simulation only by its actions.
"""

import math
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import mujoco
import numpy as np

from benchmarks.libero.expert.rotations import (
    Array,
    downward_rotation,
    rotation_between,
    wrap_yaw,
)
from benchmarks.libero.expert.solids import Solids
from harness.contracts.environment import Action

Predicate = tuple[str, ...]

OPEN = -1.0
CLOSE = 1.0

# OSC_POSE moves its set point by action * 0.05 m and action * 0.5 rad from the current pose.
_METRES_PER_ACTION = 0.05
_RADIANS_PER_ACTION = 0.5
# With gain 1 the controller is critically damped, but near full stretch the joints' dry friction
# stops the arm a centimetre short. This gain overcomes it and overshoots by less than 2 %.
_POSITION_GAIN = 1.5
_ROTATION_GAIN = 0.6
# Faster turns make the impedance controller lag in position, too.
_MAX_TURN = 0.6


class World:
    """A view of one LIBERO environment; names are those of its BDDL file.

    Geometry that is constant for a model is cached; everything else is read at each access. Build
    a new ``World`` when the environment loads a new model (``hard_reset=True``).

    Args:
        env: The robosuite environment, ``ControlEnv.env``.
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self.model: mujoco.MjModel = env.sim.model._model
        self.data: mujoco.MjData = env.sim.data._data
        gripper = env.robots[0].gripper
        self._hand_site = self.model.site("gripper0_grip_site").id
        self._finger_joints = [self.model.joint(name) for name in gripper.joints]
        self._robot_root = int(self.model.body_rootid[self.model.body("robot0_base").id])
        self._left_finger = self._body_and_children("gripper0_leftfinger")
        self._right_finger = self._body_and_children("gripper0_rightfinger")
        self._solids = Solids(self.model, self.data, self._robot_root)

    # --- the task ---

    @cached_property
    def goal(self) -> tuple[Predicate, ...]:
        """The predicates of the goal, such as ``("on", "bowl_1", "plate_1")``."""
        states = self.env.parsed_problem["goal_state"]
        return tuple((state[0].lower(), *state[1:]) for state in states)

    def holds(self, predicate: Predicate) -> bool:
        """Return whether the environment's own check finds a predicate true now."""
        return bool(self.env._eval_predicate(list(predicate)))

    # --- the hand ---

    @property
    def eef_position(self) -> Array:
        """Position of the point between the finger tips."""
        return self.data.site_xpos[self._hand_site].copy()

    @property
    def eef_rotation(self) -> Array:
        """Rotation of the hand: the fingers open along its x axis and point along its z axis."""
        return self.data.site_xmat[self._hand_site].reshape(3, 3).copy()

    @cached_property
    def base_position(self) -> Array:
        """Position of the robot's base."""
        return self.data.xpos[self._robot_root].copy()

    @property
    def finger_axis(self) -> Array:
        """Unit vector along which the fingers open."""
        return self.eef_rotation[:, 0]

    @property
    def finger_yaw(self) -> float:
        """Yaw of the finger axis, wrapped as in :func:`wrap_yaw`."""
        axis = self.finger_axis
        return wrap_yaw(math.atan2(axis[1], axis[0]))

    @property
    def tilt(self) -> float:
        """Angle in radians by which the hand points away from straight down."""
        return math.acos(float(np.clip(-self.eef_rotation[2, 2], -1.0, 1.0)))

    def turn_to(self, rotation: Array) -> float:
        """Return the angle between the hand and a rotation, in radians."""
        return float(np.linalg.norm(rotation_between(self.eef_rotation, rotation)))

    @property
    def finger_opening(self) -> float:
        """Distance between the finger pads: 0 when shut, 0.08 m when wide open."""
        return float(sum(abs(self.data.qpos[j.qposadr[0]]) for j in self._finger_joints))

    @property
    def finger_speed(self) -> float:
        """Rate of the finger opening in m/s, positive while the fingers open."""
        left, right = (self.data.qvel[j.dofadr[0]] for j in self._finger_joints)
        return float(left - right)

    @property
    def hand_velocity(self) -> Array:
        """Linear velocity of the hand in the world frame, m/s."""
        velocity = np.zeros(6)
        mujoco.mj_objectVelocity(
            self.model, self.data, mujoco.mjtObj.mjOBJ_SITE, self._hand_site, velocity, 0
        )
        return velocity[3:]

    @property
    def hand_speed(self) -> float:
        """Linear speed of the hand, m/s."""
        return float(np.linalg.norm(self.hand_velocity))

    # --- objects and regions ---

    def is_object(self, name: str) -> bool:
        """Return whether ``name`` is an object or fixture with a body, not a region."""
        return name in self.env.obj_body_id

    def position(self, name: str) -> Array:
        """Position of an object's body or of a region's site."""
        if self.is_object(name):
            return self.data.xpos[self.env.obj_body_id[name]].copy()
        return self.data.site_xpos[self.model.site(name).id].copy()

    def rotation(self, name: str) -> Array:
        """Rotation of an object's body or of a region's site."""
        if self.is_object(name):
            return self.data.xmat[self.env.obj_body_id[name]].reshape(3, 3).copy()
        return self.data.site_xmat[self.model.site(name).id].reshape(3, 3).copy()

    def region_half_size(self, region: str) -> Array:
        """Half extents of a region in its own frame."""
        return np.asarray(self.env.object_sites_dict[region].size, float)

    def is_articulated(self, region: str) -> bool:
        """Return whether a region belongs to a part that moves on a joint, such as a drawer."""
        return bool(self.env.object_sites_dict[region].joints)

    # --- collision geometry ---

    def vertices(self, name: str) -> Array:
        """World positions of the corners of an object's collision boxes, shape (n, 3)."""
        return self._solids.vertices(self._root(name))

    def extent(self, name: str) -> tuple[Array, Array]:
        """Lower and upper corner of an object's axis-aligned bounding box."""
        vertices = self.vertices(name)
        return vertices.min(axis=0), vertices.max(axis=0)

    def center(self, name: str) -> Array:
        """Middle of an object's bounding box."""
        low, high = self.extent(name)
        return (low + high) / 2

    def obstacle_distance(self, points: Array, ignore: Iterable[str] = ()) -> Array:
        """Distance from each point to the nearest solid other than the robot, up to 5 cm.

        Args:
            points: World positions, shape (..., 3).
            ignore: Objects that do not count.

        Returns:
            Distances, shape (...); zero inside a solid.
        """
        return self._solids.distance(points, [self._root(name) for name in ignore])

    def obstacle_height(
        self, start: Array, end: Array, radius: float, ignore: Iterable[str] = ()
    ) -> float:
        """Top of the highest solid under the straight path from ``start`` to ``end``.

        Args:
            start: One end of the path; only its x and y count.
            end: The other end.
            radius: Half the width of the moving object.
            ignore: Objects that do not count.
        """
        return self._solids.height(start, end, radius, [self._root(name) for name in ignore])

    # --- contacts ---

    def is_grasped(self, name: str) -> bool:
        """Return whether both fingers touch an object."""
        touching = self._solids.bodies_touching(self._root(name))
        return not touching.isdisjoint(self._left_finger) and not touching.isdisjoint(
            self._right_finger
        )

    def is_supported(self, name: str) -> bool:
        """Return whether an object touches anything that is not the robot."""
        own = self._root(name)
        touching = self._solids.bodies_touching(own)
        return any(self.model.body_rootid[body] not in (own, self._robot_root) for body in touching)

    # --- internals ---

    def _root(self, name: str) -> int:
        return int(self.model.body_rootid[self.env.obj_body_id[name]])

    def _body_and_children(self, name: str) -> set[int]:
        bodies = {self.model.body(name).id}
        for body in range(self.model.nbody):  # parents come before their children
            if self.model.body_parentid[body] in bodies:
                bodies.add(body)
        return bodies


def servo(
    world: World,
    target_position: Array,
    yaw: float | None,
    gripper: float,
    *,
    max_speed: float = 1.0,
    rotation: Array | None = None,
) -> Action:
    """Return the action that moves the hand toward a pose.

    Args:
        world: The simulation.
        target_position: The goal of the point between the finger tips.
        yaw: Finger-axis yaw of a hand that points down; None keeps the current yaw.
        gripper: ``OPEN`` or ``CLOSE``.
        max_speed: Cap on the length of the translation part of the action, in (0, 1].
        rotation: Full hand rotation, for a hand that does not point down; replaces ``yaw``.

    Returns:
        A 7-D action in [-1, 1].
    """
    if rotation is None:
        axis = world.finger_axis
        current_yaw = math.atan2(axis[1], axis[0])
        rotation = downward_rotation(current_yaw if yaw is None else wrap_yaw(yaw))
    move = (target_position - world.eef_position) * (_POSITION_GAIN / _METRES_PER_ACTION)
    move *= min(1.0, max_speed / max(float(np.linalg.norm(move)), 1e-9))
    turn = rotation_between(world.eef_rotation, rotation) * (_ROTATION_GAIN / _RADIANS_PER_ACTION)
    turn *= min(1.0, _MAX_TURN / max(float(np.linalg.norm(turn)), 1e-9))
    return np.concatenate([move, turn, [gripper]]).astype(np.float32)


def hold_still(gripper: float) -> Action:
    """Return the action that leaves the hand where it is."""
    return np.array([0, 0, 0, 0, 0, 0, gripper], np.float32)

"""Finds the movable parts of LIBERO's fixtures: drawer handles, stove knobs, microwave doors.

Parts are found by geometry, not by name, so the code works for every cabinet and stove. All values
are those of the simulator's present state.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from benchmarks.libero.expert.rotations import UP, Array, rotate_yaw
from benchmarks.libero.expert.world import World

ALIGNED_TURN = 0.15
"""A hand that is turned by less than this, in rad, may go to a handle or knob."""
GRIP_SLACK = 0.006
"""Fingers that are at most this much wider apart, in metres, hold what is between them."""


@dataclass(frozen=True)
class Handle:
    """The bar of a drawer.

    Attributes:
        center: Center of the bar.
        outward: Horizontal unit vector along which the drawer opens.
        thickness: Height of the bar, which is what the fingers close on.
        opened: How far the drawer is pulled out, in metres.
        travel: How far it can be pulled out.
    """

    center: Array
    outward: Array
    thickness: float
    opened: float
    travel: float


@dataclass(frozen=True)
class Knob:
    """The ridge on top of a stove's knob.

    Attributes:
        axis_point: Point on the knob's axis at the height of the ridge's top.
        along: Horizontal unit vector along the ridge that points away from the robot's base.
        thickness: Width of the ridge, which is what the fingers close on.
    """

    axis_point: Array
    along: Array
    thickness: float


@dataclass(frozen=True)
class Door:
    """A door that swings about a vertical hinge.

    Attributes:
        hinge: Point on the hinge at the height of the door's upper edge.
        along: Horizontal unit vector in the door from the hinge to its free edge.
        outward: Horizontal unit vector out of the door's outer face.
        half_thickness: Half the thickness of the door's panel.
        width: Distance from the hinge to the free edge.
        grip: Center of the upper end of the door's handle.
        grip_thickness: Diameter of the handle.
        angle: How far the door is open, in radians.
        travel: How far it can be opened.
    """

    hinge: Array
    along: Array
    outward: Array
    half_thickness: float
    width: float
    grip: Array
    grip_thickness: float
    angle: float
    travel: float


def _fixture_joint(world: World, name: str) -> int:
    """Return the joint of an articulated fixture, or of one region of it such as a drawer."""
    sites = world.env.object_sites_dict
    owner = sites[name] if name in sites else world.env.get_object(name)
    return int(world.model.joint(owner.joints[0]).id)


def find_handle(world: World, region: str) -> Handle:
    """Return the handle of the drawer that a region such as ``cabinet_1_top_region`` is in."""
    joint = _fixture_joint(world, region)
    sign, opened, travel = _opening(world, joint)
    outward = sign * world.data.xaxis[joint]
    boxes = _geoms(world, joint, mujoco.mjtGeom.mjGEOM_BOX)
    bar = max(boxes, key=lambda geom: float(world.data.geom_xpos[geom] @ outward))
    return Handle(
        center=world.data.geom_xpos[bar].copy(),
        outward=outward,
        thickness=2 * _half_extent(world, bar, UP),
        opened=opened,
        travel=travel,
    )


def find_knob(world: World, fixture: str) -> Knob:
    """Return the knob of a stove."""
    joint = _fixture_joint(world, fixture)
    anchor = world.data.xanchor[joint]

    def top(geom: int) -> float:
        return float(world.data.geom_xpos[geom][2]) + _half_extent(world, geom, UP)

    ridge = max(_geoms(world, joint, mujoco.mjtGeom.mjGEOM_BOX), key=top)
    axes = world.data.geom_xmat[ridge].reshape(3, 3).T
    horizontal = [axis for axis in axes if abs(axis @ UP) < 0.5]
    along, across = sorted(horizontal, key=lambda axis: -_half_extent(world, ridge, axis))
    # Computed for the knob at zero, so that the direction does not flip while the knob turns.
    away_from_robot = rotate_yaw(
        anchor - world.data.body("robot0_base").xpos,
        float(world.data.qpos[world.model.jnt_qposadr[joint]]),
    )
    return Knob(
        axis_point=np.array([anchor[0], anchor[1], top(ridge)]),
        along=along * (1.0 if along @ away_from_robot > 0 else -1.0),
        thickness=2 * _half_extent(world, ridge, across),
    )


def find_door(world: World, fixture: str) -> Door:
    """Return the door of a microwave."""
    joint = _fixture_joint(world, fixture)
    sign, angle, travel = _opening(world, joint)
    panel = max(
        _geoms(world, joint, mujoco.mjtGeom.mjGEOM_BOX),
        key=lambda geom: float(world.model.geom_size[geom].prod()),
    )
    hinge = world.data.xanchor[joint].copy()
    center = world.data.geom_xpos[panel]
    normal_index = int(np.argmin(world.model.geom_size[panel]))
    normal = world.data.geom_xmat[panel].reshape(3, 3)[:, normal_index]
    along = np.cross(normal, UP)
    along *= 1.0 if along @ (center - hinge) > 0 else -1.0
    # Opening turns the free edge toward the outer face.
    outward = np.cross(sign * world.data.xaxis[joint], along)
    hinge[2] = center[2] + _half_extent(world, panel, UP)
    bar = max(
        _geoms(world, joint, mujoco.mjtGeom.mjGEOM_CAPSULE),
        key=lambda geom: float(world.model.geom_size[geom][1]),
    )
    half_bar = world.model.geom_size[bar][0] + world.model.geom_size[bar][1]
    return Door(
        hinge=hinge,
        along=along,
        outward=outward,
        half_thickness=float(world.model.geom_size[panel][normal_index]),
        width=float((center - hinge) @ along) + _half_extent(world, panel, along),
        grip=world.data.geom_xpos[bar] + half_bar * UP,
        grip_thickness=2 * float(world.model.geom_size[bar][0]),
        angle=angle,
        travel=travel,
    )


def _opening(world: World, joint: int) -> tuple[float, float, float]:
    """Return the sign of a joint's opening direction, its opening, and its range of opening."""
    low, high = world.model.jnt_range[joint]
    sign = 1.0 if high > -low else -1.0
    position = float(world.data.qpos[world.model.jnt_qposadr[joint]])
    return sign, sign * position, float(max(high, -low))


def _geoms(world: World, joint: int, kind: int) -> list[int]:
    """Return the geoms of one type on the body that a joint moves."""
    on_body = world.model.geom_bodyid == world.model.jnt_bodyid[joint]
    return [int(geom) for geom in np.flatnonzero(on_body & (world.model.geom_type == kind))]


def _half_extent(world: World, geom: int, direction: Array) -> float:
    """Return half the size of a box along a direction."""
    axes = world.data.geom_xmat[geom].reshape(3, 3)
    return float(np.abs(axes.T @ direction) @ world.model.geom_size[geom])

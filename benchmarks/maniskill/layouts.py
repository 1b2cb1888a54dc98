"""Cameras and layouts of tasks with a Panda, from ManiSkill's source files; no simulator in it."""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.maniskill.catalog import TaskFacts
from benchmarks.maniskill.protocol import ManiSkillProtocol
from harness.contracts.environment import EnvSpec
from harness.contracts.vectors import Layout, Part

_PANDA_JOINTS = 9
_PANDA_CAMERAS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "panda": {},
    "panda_wristcam": {"hand_camera": (128, 128)},
}
"""The cameras that each model of the Panda carries, with height and width."""
_PANDA_GRIPPER = Part("gripper_joints", 1, "absolute, -1 = -0.01, +1 = 0.04")
_FRAME = "root_translation, root_aligned_body_rotation"
_PANDA_ARM: Mapping[str, tuple[Part, ...]] = {
    "pd_joint_pos": (Part("arm_joints", 7, "absolute, rad"),),
    "pd_joint_delta_pos": (Part("arm_joints", 7, "delta, -1 = -0.1, +1 = 0.1"),),
    "pd_ee_delta_pose": (
        Part("eef_translation", 3, f"delta, 1 = 0.1 m, {_FRAME}"),
        Part("eef_rotation", 3, "delta XYZ Euler angles, 1 = -0.1 rad"),
    ),
}
"""The arm's part of an action by ManiSkill's name of the controller."""


def env_spec(task: TaskFacts, protocol: ManiSkillProtocol) -> EnvSpec | None:
    """Return a task's cameras and layouts; None for another robot than a Panda."""
    robot = protocol.robot or task.robot
    arm = _PANDA_ARM.get(protocol.control_mode)
    if task.cameras is None or arm is None or not {task.robot, robot} <= {*_PANDA_CAMERAS}:
        return None
    sensors, renders = task.cameras
    sizes = {**sensors, **_PANDA_CAMERAS[robot], **renders}
    names = assign(protocol.cameras, sizes)
    cameras = {role: protocol.camera_size or sizes[name] for role, name in names.items()}
    state = state_layout(protocol.state, ("",), _PANDA_JOINTS)
    return EnvSpec(cameras, state, Layout((*arm, _PANDA_GRIPPER)))


def assign(wanted: Mapping[str, str], there: Iterable[str]) -> dict[str, str]:
    """Return the camera of each role, of those that a task has.

    Args:
        wanted: The protocol's camera for each role.
        there: The task's cameras, sensors first.
    """
    there = list(there)
    names = {role: name for role, name in wanted.items() if name in there}
    if "main" in wanted and "main" not in names and there:
        names = {"main": there[0]} | names
    return names


def state_layout(kind: str, robots: Sequence[str], joints: int) -> Layout:
    """Return the layout of a kind of state.

    Args:
        kind: ``eef``, ``qpos`` or ``qpos[:-1]``.
        robots: The robots' names; an empty one for a single robot.
        joints: The number of joints of all robots.
    """
    if kind == "eef":
        parts = [
            part
            for name in robots
            for part in (
                Part(f"{prefix(name)}eef_position", 3, "m, robot base"),
                Part(f"{prefix(name)}eef_orientation", 4, "wxyz, robot base"),
                Part(f"{prefix(name)}gripper_qpos", 2, "m, one number a finger"),
            )
        ]
        return Layout(tuple(parts))
    size = joints - (kind == "qpos[:-1]")
    return Layout((Part(kind, size, "rad or m, ManiSkill's order of joints"),))


def prefix(robot: str) -> str:
    """Return how the names of a robot's parts start."""
    return f"{robot}." if robot else ""

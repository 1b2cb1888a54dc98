"""Two Franka Pandas as a RoboTwin embodiment: a folder made from ManiSkill's model."""

import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from harness.contracts.spec import digest
from harness.contracts.venv import share_folder

NAME = "dual-panda"
_MODEL = "panda_v2"
"""ManiSkill's Panda without a camera body."""
_MESHES = "franka_description"
_CAMERA = """
  <link name="camera"/>
  <joint name="camera_joint" type="fixed">
    <parent link="panda_hand"/>
    <child link="camera"/>
    <origin xyz="0.0465 -0.02 0.036" rpy="0 -1.5707963 3.1415927"/>
  </joint>
</robot>
"""
"""The camera link that RoboTwin looks up, at the pose of ManiSkill's Panda with a wrist camera."""
_ARM = [f"panda_joint{number}" for number in range(1, 8)]
_HOME = [0.0, 0.19635, 0.0, -2.61799, 0.0, 2.94159, 0.7854]
"""ManiSkill's rest pose of the arm."""
_GRIPPER = {"base": "panda_finger_joint1", "mimic": [["panda_finger_joint2", 1.0, 0.0]]}
_BASE = [0.0, -0.65, 0.75, 0.70711, 0.0, 0.0, 0.70711]
"""The pose at the table's near edge, towards the table: x, y, z and a wxyz quaternion."""
CONFIG: dict[str, Any] = {
    "urdf_path": "./panda.urdf",
    "srdf_path": "./panda.srdf",
    "planner": "mplib_RRT",
    "dual_arm": False,
    "move_group": ["panda_hand"] * 2,
    "ee_joints": ["panda_hand_joint"] * 2,
    "arm_joints_name": [_ARM] * 2,
    "gripper_name": [_GRIPPER] * 2,
    "gripper_scale": [0.0, 0.04],
    # From the hand's frame to the fingertips. With 0.08 the inverse kinematics finds no grasp.
    "gripper_bias": 0.095,
    "joint_stiffness": 1000,
    "joint_damping": 200,
    "gripper_stiffness": 1000,
    "gripper_damping": 200,
    "homestate": [_HOME] * 2,
    "robot_pose": [_BASE] * 2,
    # In RoboTwin the hand points along x, in this model along z.
    "delta_matrix": [[0, 0, 1], [0, -1, 0], [1, 0, 0]],
    "global_trans_matrix": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
    "rotate_lim": [0.1, 0.8],
    "grasp_perfect_direction": ["right", "left"],
    "static_camera_list": [
        {
            "name": "head_camera",
            "type": "D435",
            "position": [-0.032, -0.45, 1.35],
            "forward": [0, 0.6, -0.8],
            "left": [-1, 0, 0],
        }
    ],
}
"""The robot in RoboTwin's format. The head camera has the pose of RoboTwin's own embodiments."""
DESCRIPTION = digest({"config": CONFIG, "camera": _CAMERA, "model": _MODEL})[:10]
"""A hash of these choices, for the protocol."""
_NO_CUROBO: dict[str, Any] = {"robot_cfg": {}}
"""RoboTwin reads cuRobo's settings even if it plans without cuRobo."""


def make_embodiment() -> Path:
    """Return the robot's folder; the first call makes it."""
    # RoboTwin's assets root is the third folder above a robot's folder.
    root = share_folder() / "robotwin" / DESCRIPTION
    home = root / "assets" / "embodiments" / NAME
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=home.parent))
        _fill(part)
        try:
            part.rename(home)
        except OSError:  # Another worker made it.
            shutil.rmtree(part)
    return home


def _fill(folder: Path) -> None:
    spec = find_spec("mani_skill")
    assert spec is not None
    assert spec.origin is not None
    given = Path(spec.origin).parent / "assets" / "robots" / "panda"
    urdf = (given / f"{_MODEL}.urdf").read_text()
    (folder / "panda.urdf").write_text(urdf.replace("</robot>", _CAMERA))
    shutil.copyfile(given / f"{_MODEL}.srdf", folder / "panda.srdf")
    os.symlink(given / _MESHES, folder / _MESHES)
    # RoboTwin's parser does not support YAML anchors.
    (folder / "config.yml").write_text(yaml.dump(CONFIG, Dumper=_Plain))
    for arm in ("left", "right"):
        (folder / f"curobo_{arm}_tmp.yml").write_text(yaml.safe_dump(_NO_CUROBO))


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

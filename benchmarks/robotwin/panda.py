"""Two Franka Pandas as RoboTwin wants a robot: a folder made from ManiSkill's model of the arm."""

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
MODEL = "panda_v2"
"""ManiSkill's Panda without a camera's body."""
MESHES = "franka_description"
CAMERA = """
  <link name="camera"/>
  <joint name="camera_joint" type="fixed">
    <parent link="panda_hand"/>
    <child link="camera"/>
    <origin xyz="0.0465 -0.02 0.036" rpy="0 -1.5707963 3.1415927"/>
  </joint>
</robot>
"""
"""Where ManiSkill's Panda with a wrist camera has it; RoboTwin looks for a link of this name."""
ARM = [f"panda_joint{number}" for number in range(1, 8)]
HOME = [0.0, 0.19635, 0.0, -2.61799, 0.0, 2.94159, 0.7854]
"""ManiSkill's resting pose of the arm."""
GRIPPER = {"base": "panda_finger_joint1", "mimic": [["panda_finger_joint2", 1.0, 0.0]]}
BASE = [0.0, -0.65, 0.75, 0.70711, 0.0, 0.0, 0.70711]
"""On the table's near edge, turned towards it: x, y, z and a wxyz quaternion."""
CONFIG: dict[str, Any] = {
    "urdf_path": "./panda.urdf",
    "srdf_path": "./panda.srdf",
    "planner": "mplib_RRT",
    "dual_arm": False,
    "move_group": ["panda_hand"] * 2,
    "ee_joints": ["panda_hand_joint"] * 2,
    "arm_joints_name": [ARM] * 2,
    "gripper_name": [GRIPPER] * 2,
    "gripper_scale": [0.0, 0.04],
    # From the hand's frame to between the fingertips. At 0.08 no grasp has an inverse kinematics.
    "gripper_bias": 0.095,
    "joint_stiffness": 1000,
    "joint_damping": 200,
    "gripper_stiffness": 1000,
    "gripper_damping": 200,
    "homestate": [HOME] * 2,
    "robot_pose": [BASE] * 2,
    # The hand's z axis points out of it, RoboTwin's x axis does.
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
"""The robot in RoboTwin's words; the head's camera is where RoboTwin's own embodiments have it."""
DESCRIPTION = digest({"config": CONFIG, "camera": CAMERA, "model": MODEL})[:10]
"""A hash of all that is chosen here: another robot is another protocol."""
NO_CUROBO: dict[str, Any] = {"robot_cfg": {}}
"""RoboTwin reads cuRobo's settings also where it plans without it."""


def make_embodiment() -> Path:
    """Return the robot's folder, which is made if it is not there."""
    # RoboTwin takes the third folder above a robot's for the root of the assets.
    root = share_folder() / "robotwin" / DESCRIPTION
    home = root / "assets" / "embodiments" / NAME
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=home.parent))
        _fill(part)
        try:
            part.rename(home)
        except OSError:  # Another worker was faster.
            shutil.rmtree(part)
    return home


def _fill(folder: Path) -> None:
    spec = find_spec("mani_skill")
    assert spec is not None
    assert spec.origin is not None
    given = Path(spec.origin).parent / "assets" / "robots" / "panda"
    urdf = (given / f"{MODEL}.urdf").read_text()
    (folder / "panda.urdf").write_text(urdf.replace("</robot>", CAMERA))
    shutil.copyfile(given / f"{MODEL}.srdf", folder / "panda.srdf")
    os.symlink(given / MESHES, folder / MESHES)
    # Without anchors, which only a full YAML parser could follow.
    (folder / "config.yml").write_text(yaml.dump(CONFIG, Dumper=_Plain))
    for arm in ("left", "right"):
        (folder / f"curobo_{arm}_tmp.yml").write_text(yaml.safe_dump(NO_CUROBO))


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

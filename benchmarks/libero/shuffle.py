"""Draws more of a demonstration's scene than the task's definition does.

These are the hand's start and, in the object suites, which object stands where.
"""

from typing import Any

import numpy as np

_FLOOR = "libero_floor_manipulation"
"""The problem class of the object suites. In other suites, instructions refer to places."""

_JOINT_NOISE = 0.02
"""Standard deviation of each joint at the start, in rad.

It is robosuite's default and that of the official states. LIBERO's own reset has no noise, so a
policy would see only one start.
"""


def displace_hand(env: Any, seed: int) -> None:
    """Add noise to the start position of each joint.

    Args:
        env: LIBERO's environment, after a reset.
        seed: The scene's seed.
    """
    arm = env.robots[0]
    noise = np.random.default_rng([seed, 1]).normal(0.0, _JOINT_NOISE, len(arm.init_qpos))
    env.sim.data.qpos[arm._ref_joint_pos_indexes] = arm.init_qpos + noise
    env.sim.forward()


def shuffle(env: Any, seed: int) -> None:
    """Exchange the places of all objects except the container that the goal names.

    In the object suites each object has its own spot and moves by at most 2.5 cm within it. So
    without the exchange, a policy that sees no images could still grasp the right object.

    Args:
        env: LIBERO's environment, after a reset.
        seed: The scene's seed.
    """
    if env.parsed_problem["problem_name"].lower() != _FLOOR:
        return
    goals = [predicate[-1] for predicate in env.parsed_problem["goal_state"]]
    joints = [
        thing.joints[-1]
        for name, thing in env.objects_dict.items()
        if not any(goal.startswith(name) for goal in goals)
    ]
    data = env.sim.data
    poses = [data.get_joint_qpos(joint).copy() for joint in joints]
    order = np.random.default_rng(seed).permutation(len(joints))
    for joint, pose, place in zip(joints, poses, order, strict=True):
        # Height and rotation stay those of the object.
        data.set_joint_qpos(joint, [*poses[place][:2], *pose[2:]])
    env.sim.forward()

"""Draws what a task's definition leaves alone, for demonstrations.

That is where the hand begins and, if things are told apart by what they are, which stands where.
"""

from typing import Any

import numpy as np

FLOOR = "libero_floor_manipulation"
"""The scenes of the object suites; in others, places are what tells two things apart."""

JOINT_NOISE = 0.02
"""In rad, the deviation of each joint at the start: robosuite's default, and that of the official
states. LIBERO's reset has none, and a policy that saw but one start knows no other."""


def displace_hand(env: Any, seed: int) -> None:
    """Let each joint begin a little beside where it usually does.

    Args:
        env: LIBERO's own environment, just reset.
        seed: The scene's.
    """
    arm = env.robots[0]
    noise = np.random.default_rng([seed, 1]).normal(0.0, JOINT_NOISE, len(arm.init_qpos))
    env.sim.data.qpos[arm._ref_joint_pos_indexes] = arm.init_qpos + noise
    env.sim.forward()


def shuffle(env: Any, seed: int) -> None:
    """Exchange the places of all things but the one that the goal puts something into.

    In the object suites every thing has a spot of its own, drawn within 2.5 cm, so that who cannot
    see may well grasp the right one.

    Args:
        env: LIBERO's own environment, just reset.
        seed: The scene's.
    """
    if env.parsed_problem["problem_name"].lower() != FLOOR:
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
        # Each stays as high as it is thick, and turned as it was.
        data.set_joint_qpos(joint, [*poses[place][:2], *pose[2:]])
    env.sim.forward()

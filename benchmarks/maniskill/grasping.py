"""Answers whether a Panda grasps a thing, without ManiSkill's arithmetic if a finger is free.

ManiSkill computes both fingers' forces and angles in PyTorch, which takes longer than the physics
of a step. A finger without a contact has the force 0, so the answer is False.
"""

from functools import partial
from typing import Any

import torch


def shorten(sim: Any) -> None:
    """Shorten `is_grasping` of the Pandas in the scene that was just built.

    Another robot has a method of its own, which stays.
    """
    from mani_skill.agents.robots.panda.panda import Panda

    agents = getattr(sim.agent, "agents_dict", None) or {"": sim.agent}
    for agent in agents.values():
        if getattr(type(agent), "is_grasping", None) is Panda.is_grasping:
            agent.is_grasping = partial(_is_grasping, agent)


def _is_grasping(agent: Any, thing: Any, min_force: float = 0.5, max_angle: float = 85) -> Any:
    """Return ManiSkill's answer, a tensor of one bool."""
    fingers = [agent.finger1_link, agent.finger2_link]
    if min_force > 0 and not all(_touching(agent.scene, fingers, thing)):
        return torch.zeros(1, dtype=torch.bool)
    return type(agent).is_grasping(agent, thing, min_force, max_angle)


def _touching(scene: Any, fingers: list[Any], thing: Any) -> list[bool]:
    """Return for each finger whether the physics has a contact between it and a thing."""
    target = thing._bodies[0].entity
    partners = []
    for contact in scene.px.get_contacts():
        one, other = (body.entity for body in contact.bodies)
        if target in (one, other):
            partners.append(other if one == target else one)
    return [finger._bodies[0].entity in partners for finger in fingers]

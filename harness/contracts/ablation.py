"""Control arms: the same policy without what it should need, to learn what its score is made of.

A policy that reaches a third of its score without pictures owes that third to something else. An
arm is part of the policy's identity (``flow+no-image``), so it has rows of its own, and it meets
the same scenes as the policy itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import BenchmarkEnv, Observation
from harness.contracts.errors import UsageError, require_known
from harness.contracts.policy import LocalPolicy, Policy
from harness.contracts.spec import EpisodeSpec

CONTROLS = ("no-image", "no-instruction", "shuffled-instruction")
GREY = 127


@dataclass(frozen=True)
class Control:
    """What an episode's policy is not shown or not told.

    Attributes:
        spec: The episode.
        instructions: What the tasks of its benchmark say, to shuffle.
    """

    spec: EpisodeSpec
    instructions: Sequence[str] = ()

    def observe(self, env: BenchmarkEnv, cameras: Sequence[str]) -> Observation:
        """Look at an environment; what would only be painted over is not drawn."""
        if arm_of(self.spec.policy) != "no-image":
            return self.tell(env.observe(cameras))
        space: Any = env.observation_space
        grey = {role: _grey(space["image"][role].shape) for role in cameras}
        return {**self.tell(env.observe(())), "image": grey}

    def cover(self, observation: Observation) -> Observation:
        """Return what the policy may know of what a batch saw."""
        if arm_of(self.spec.policy) != "no-image":
            return self.tell(observation)
        grey = {role: _grey(picture.shape) for role, picture in observation["image"].items()}
        return {**self.tell(observation), "image": grey}

    def tell(self, observation: Observation) -> Observation:
        """Return an observation with what the policy is told."""
        return {**observation, "instruction": self.told(observation["instruction"])}

    def told(self, instruction: str) -> str:
        """Return what the policy is told in an episode with this instruction."""
        arm = arm_of(self.spec.policy)
        if arm == "no-instruction":
            return ""
        if arm == "shuffled-instruction":
            others = sorted(set(self.instructions) - {instruction})
            return others[int(self.spec.scene, 16) % len(others)]
        return instruction


def arm_of(policy: str) -> str:
    """Return which arm a policy's identity names; none is empty."""
    arm = policy.rpartition("+")[2]
    return arm if arm in CONTROLS else ""


def under_control(policy: Policy, control: str) -> Policy:
    """Make a policy an arm of itself.

    Raises:
        UsageError: There is no such arm, or the policy does not look through observations.
    """
    require_known("control", control, CONTROLS)
    name = policy.spec.name
    if isinstance(policy, LocalPolicy):
        raise UsageError(f"{name} reaches into the environment; a control takes nothing from it")
    policy.spec = replace(policy.spec, name=f"{name}+{control}")
    return policy


def _grey(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.full(shape, GREY, np.uint8)

"""Ablations: a policy plays without an input, to show how much of its score needs that input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import BenchmarkEnv, Observation
from harness.contracts.spec import EpisodeSpec

ABLATIONS = ("no-image", "no-instruction", "shuffled-instruction")
GREY = 127


@dataclass(frozen=True)
class Ablation:
    """What the policy of an episode may see and read.

    Attributes:
        spec: The episode; its `ablation` names the missing input.
        instructions: The instructions of the benchmark's tasks, for `shuffled-instruction`.
    """

    spec: EpisodeSpec
    instructions: Sequence[str] = ()

    def observe(self, env: BenchmarkEnv, cameras: Sequence[str]) -> Observation:
        """Observe the environment; images that the ablation hides are not rendered."""
        if self.spec.ablation != "no-image":
            return self._with_instruction(env.observe(cameras))
        space: Any = env.observation_space
        grey = {role: _grey(space["image"][role].shape) for role in cameras}
        return {**self._with_instruction(env.observe(())), "image": grey}

    def instruction(self, instruction: str) -> str:
        """Return the instruction that the policy gets in place of the task's."""
        if self.spec.ablation == "no-instruction":
            return ""
        if self.spec.ablation == "shuffled-instruction":
            others = sorted(set(self.instructions) - {instruction})
            return others[int(self.spec.scene, 16) % len(others)]
        return instruction

    def _with_instruction(self, observation: Observation) -> Observation:
        return {**observation, "instruction": self.instruction(observation["instruction"])}


def _grey(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.full(shape, GREY, np.uint8)

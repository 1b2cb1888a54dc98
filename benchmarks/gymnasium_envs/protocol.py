"""The protocol cards of Gymnasium's environments, and what is known before one is built."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from harness.contracts.errors import UsageError
from harness.contracts.protocol import Protocol

FAMILY, PREFIX = "gymnasium", "gym:"
CARDS = Path(__file__).parent / "protocols"
UNLIMITED = 1000
"""The step limit of an environment without one."""


@dataclass(frozen=True, kw_only=True)
class GymProtocol(Protocol):
    """The fields that describe an environment. A step limit of 0 means its registered limit.

    Attributes:
        images: Where each camera role's image comes from: ``render``, or a key of the observation.
        state: The keys of the observation that make the state, in order. With none: the whole
            observation if it is a vector, otherwise its key ``observation``, otherwise all vectors
            in it.
        instruction: The instruction; empty for the words of the environment's name.
        success: The keys of `info` that state a success; the first that is there counts. If none
            is there, a termination is the success.
        arguments: Further arguments of `gymnasium.make`.
    """

    images: Mapping[str, str] = field(default_factory=lambda: {"main": "render"})
    state: tuple[str, ...] = ()
    instruction: str = ""
    success: tuple[str, ...] = ("is_success", "success")
    arguments: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def steps(self, benchmark: str) -> int:
        """Return the step limit of an environment."""
        return self.limit(benchmark) or registered(benchmark).max_episode_steps or UNLIMITED

    def seed(self, seed: int, episode: int) -> int:
        """Return the seed of an episode; it depends on the arguments alone."""
        return int(np.random.SeedSequence([seed, episode]).generate_state(1)[0]) % 2**31


@cache
def protocols() -> dict[str, GymProtocol]:
    """Return the cards by short name."""
    simulator = f"gymnasium {gymnasium.__version__}"
    return {
        path.stem: GymProtocol.load(path, FAMILY, simulator=simulator)
        for path in sorted(CARDS.glob("*.yaml"))
    }


def env_id(benchmark: str) -> str:
    """Return what `gymnasium.make` takes: ``ENV_ID`` or ``MODULE:ENV_ID``."""
    return benchmark.removeprefix(PREFIX)


@cache
def registered(benchmark: str) -> EnvSpec:
    """Return an environment's registration; its module is imported.

    Raises:
        UsageError: Gymnasium does not know the environment, or cannot import its module.
    """
    name = env_id(benchmark)
    module, _, _ = name.rpartition(":")
    try:
        if module:
            __import__(module)
        return gymnasium.spec(name.rpartition(":")[2])
    except (gymnasium.error.Error, ImportError, ValueError) as error:
        fix = "" if module else f"; if a package registers it, write {PREFIX}PACKAGE:{name or 'ID'}"
        text = " ".join(str(error).split())[:200]
        raise UsageError(f"Gymnasium has no environment {name!r} here ({text}){fix}") from error


def instruction(name: str) -> str:
    """Return the words of an environment's name: ``PickAndPlace-v4`` as pick and place."""
    bare = re.sub(r"-v\d+$", "", name.rpartition("/")[2])
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_-]+", " ", bare)
    return words.lower()

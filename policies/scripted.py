"""Policies that need no model: an upper bound and two lower bounds for every benchmark."""

from collections.abc import Sequence

import numpy as np

from harness.contracts.environment import BenchmarkEnv, Expert, Observation
from harness.contracts.policy import ActionChunk, Policy, PolicySpec
from harness.contracts.spec import EpisodeSpec


class OraclePolicy(Policy):
    """Plays the benchmark's scripted expert, which sees the simulator's state.

    It asks at every step, whatever the protocol's replan length, and looks at no image.
    """

    spec = PolicySpec("oracle")
    needs_env = True

    _expert: Expert

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Ask the environment for its expert.

        Raises:
            NotImplementedError: The task has none; the episode is an error, not a failure.
        """
        expert = self._ask(env)
        if expert is None:
            raise NotImplementedError(f"{spec.benchmark} has no expert for {spec.task}")
        self._expert = expert

    def _ask(self, env: BenchmarkEnv) -> Expert | None:
        return env.expert()

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Return the expert's next action."""
        return [self._expert.act()[np.newaxis]]


class WrongOraclePolicy(OraclePolicy):
    """Plays the scripted expert on a wrong choice: what it scores, skill alone gives.

    A score that is above the definition's says that choosing is not what is scored.
    """

    spec = PolicySpec("oracle-wrong")

    def _ask(self, env: BenchmarkEnv) -> Expert | None:
        return env.distractor_expert()


class RandomPolicy(Policy):
    """Draws every action uniformly from the action space."""

    spec = PolicySpec("random")
    needs_env = True

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Take the bounds of the action space."""
        space = env.action_space
        self._low, self._high = space.low, space.high  # type: ignore[attr-defined]

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Draw one action from the episode's own stream."""
        action = streams[0].uniform(self._low, self._high)
        return [action.astype(np.float32)[np.newaxis]]


class ZeroPolicy(Policy):
    """Never moves: what it scores, the scene gives away."""

    spec = PolicySpec("zero")
    needs_env = True

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Take the environment's idle action."""
        self._idle = env.idle_action

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Return the idle action."""
        return [self._idle[np.newaxis]]

"""Policies without a model: an upper bound and lower bounds for every benchmark."""

from collections.abc import Sequence

import numpy as np

from harness.contracts.environment import BenchmarkEnv, Expert
from harness.contracts.policy import ActionChunk, Policy, PolicySpec, Query
from harness.contracts.spec import EpisodeSpec


class OraclePolicy(Policy):
    """Plays the benchmark's scripted expert, which reads the simulator's state.

    The expert acts at every step, whatever the protocol's replan length. It needs no images.
    """

    spec = PolicySpec("oracle")
    needs_env = True
    errors_may_pass = True

    _expert: Expert

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Get the environment's expert.

        Raises:
            NotImplementedError: The task has no expert. The episode becomes an error.
        """
        expert = self._find_expert(env)
        if expert is None:
            raise NotImplementedError(f"{spec.benchmark} has no expert for {spec.task}")
        self._expert = expert

    def _find_expert(self, env: BenchmarkEnv) -> Expert | None:
        return env.expert()

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return the expert's next action."""
        return [self._expert.act()[np.newaxis]]


class WrongOraclePolicy(OraclePolicy):
    """Plays the scripted expert with a distractor instead of the target.

    It moves as well as the oracle but chooses wrongly. So its score shows how much of the
    benchmark's score a policy gets without choosing the right target.
    """

    spec = PolicySpec("oracle-wrong")

    def _find_expert(self, env: BenchmarkEnv) -> Expert | None:
        return env.distractor_expert()


class RandomPolicy(Policy):
    """Draws every action uniformly from the action space."""

    spec = PolicySpec("random")
    needs_env = True
    errors_may_pass = True

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Read the bounds of the action space."""
        space = env.action_space
        self._low, self._high = space.low, space.high  # type: ignore[attr-defined]

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Draw one action from the episode's random stream."""
        action = queries[0].stream.uniform(self._low, self._high)
        return [action.astype(np.float32)[np.newaxis]]


class ZeroPolicy(Policy):
    """Never moves: its score is what the initial scene alone gives."""

    spec = PolicySpec("zero")
    needs_env = True
    errors_may_pass = True

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Read the environment's idle action."""
        self._idle = env.idle_action

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return the idle action."""
        return [self._idle[np.newaxis]]

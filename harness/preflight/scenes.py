"""Collects a few states of a benchmark, with the actions of its scripted expert."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import Action, BenchmarkEnv, EnvSpec, Observation
from harness.contracts.errors import UsageError
from harness.contracts.extras import program_name
from harness.contracts.policy import PolicySpec, check_compatible
from harness.contracts.setup import BenchmarkSetup
from harness.inference.serialization import from_plain, to_plain
from harness.play.worker import SimulatorCache

STRIDE = 8
"""Steps of the expert between two states that may be used."""
HORIZON = 64
"""The expert's actions that are kept from each state on."""

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Moment:
    """A state in which the policy is asked.

    Attributes:
        task: The task's name.
        episode: The scene's episode.
        step: Steps that the expert took to reach the state.
        observation: What the policy sees.
        idle: The action that keeps the robot where it is.
        expert: The expert's next actions, (count, size); none without a successful expert.
    """

    task: str
    episode: int
    step: int
    observation: Observation
    idle: Vector
    expert: Vector


@dataclass(frozen=True)
class SceneStates:
    """The states of one episode, and the environment they come from.

    Attributes:
        moments: The first state and later ones of the expert's episode.
        spec: The cameras and layouts.
        low: The lower bounds of an action.
        high: The upper bounds of an action.
        limit: The step limit.
        expert: What became of the expert: ``succeeded``, ``failed`` or ``none``.
        seconds: Median seconds of a `reset`, a `step` and a `render`.
    """

    moments: tuple[Moment, ...]
    spec: EnvSpec
    low: Vector
    high: Vector
    limit: int
    expert: str
    seconds: Mapping[str, float]

    def to_plain(self) -> dict[str, Any]:
        """Return the scene with plain bytes for arrays, for another version of numpy."""
        values = {**vars(self), "moments": [to_plain(_nested(each)) for each in self.moments]}
        plain: dict[str, Any] = to_plain(values)
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "SceneStates":
        """Return the scene that `to_plain` converted."""
        values = {name: from_plain(value) for name, value in plain.items() if name != "moments"}
        moments = tuple(Moment(**from_plain(each)) for each in plain["moments"])
        return cls(moments=moments, **values)


def _nested(moment: Moment) -> dict[str, Any]:
    return {**vars(moment), "observation": dict(moment.observation)}


@dataclass(frozen=True)
class _Seen:
    step: int
    observation: Observation
    idle: Vector


class SceneReader:
    """Builds simulators and reads scenes from them."""

    def __init__(self) -> None:
        """Start without a simulator."""
        self._simulators = SimulatorCache()
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def scene(
        self,
        setup: BenchmarkSetup,
        policy: PolicySpec,
        task: str,
        episode: int,
        seed: int,
        states: int,
    ) -> SceneStates:
        """Return a scene with at most so many states.

        Raises:
            UsageError: The simulator cannot start, or the policy does not fit it.
        """
        try:
            env = self._simulators.get(setup, task)
        except ImportError as error:
            raise UsageError(
                f"{setup.benchmark} cannot start ({error}); run: {program_name()} doctor"
            ) from error
        check_compatible(policy, env)
        with self._measure("reset"):
            env.begin(episode, seed)
        seen = [self._look(env, policy.cameras)]
        expert, actions = self._play_expert(env, policy.cameras, seen, states)
        if expert != "succeeded":
            del seen[1:]
        taken = np.unique(np.linspace(0, len(seen) - 1, states).astype(int))
        moments = tuple(
            Moment(
                task,
                episode,
                seen[index].step,
                seen[index].observation,
                seen[index].idle,
                _following(actions, seen[index].step, len(seen[index].idle), expert),
            )
            for index in taken
        )
        space: Any = env.action_space
        seconds = {part: float(np.median(values)) for part, values in self._seconds.items()}
        return SceneStates(
            moments, _env_spec(env), space.low, space.high, env.max_steps, expert, seconds
        )

    def scene_plain(self, *values: Any) -> dict[str, Any]:
        """Do the same for a process with another numpy."""
        return self.scene(*values).to_plain()

    def close(self) -> None:
        """Close the simulator."""
        self._simulators.close()

    def _play_expert(
        self, env: BenchmarkEnv, cameras: Sequence[str], seen: list[_Seen], states: int
    ) -> tuple[str, list[Action]]:
        """Play the expert to the end; return what became of it, and its actions."""
        actions: list[Action] = []
        try:
            expert = env.expert()
            if expert is None:
                return "none", actions
            while env.steps < env.max_steps:
                action = np.asarray(expert.act(), np.float32).copy()
                if getattr(expert, "over", False):
                    break
                with self._measure("step"):
                    outcome = env.advance(action)
                actions.append(action)
                if outcome.success:
                    return "succeeded", actions
                if states > 1 and env.steps % STRIDE == 0:
                    seen.append(self._look(env, cameras))
        except UsageError:
            raise
        except Exception:  # noqa: BLE001 - a planner may raise anything; its scene has no expert
            return "failed", actions
        return "failed", actions

    def _look(self, env: BenchmarkEnv, cameras: Sequence[str]) -> _Seen:
        with self._measure("render"):
            observation = env.observe(cameras)
        copied: Observation = {
            "image": {role: np.array(image) for role, image in observation["image"].items()},
            "state": np.array(observation["state"], np.float32),
            "instruction": observation["instruction"],
        }
        return _Seen(env.steps, copied, np.array(env.idle_action, np.float32))

    @contextmanager
    def _measure(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._seconds[part].append(time.perf_counter() - start)


def _following(actions: Sequence[Action], step: int, size: int, expert: str) -> Vector:
    if expert != "succeeded":
        return np.zeros((0, size), np.float32)
    return np.array(actions[step : step + HORIZON], np.float32).reshape(-1, size)


def _env_spec(env: BenchmarkEnv) -> EnvSpec:
    space: Any = env.observation_space
    sizes = {role: space["image"][role].shape for role in env.cameras}
    return EnvSpec(
        {role: (size[0], size[1]) for role, size in sizes.items()},
        env.state_layout,
        env.action_layout,
    )

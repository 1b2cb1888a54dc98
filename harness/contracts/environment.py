"""The environment contract: a Gymnasium environment that renders only what a policy observes."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, SupportsFloat, TypedDict

import gymnasium
import numpy as np
from numpy.typing import NDArray

from harness.contracts.vectors import Layout

Action = NDArray[np.float32]


class Observation(TypedDict):
    """Images by camera role, the state vector and the instruction."""

    image: dict[str, NDArray[np.uint8]]
    state: NDArray[np.float32]
    instruction: str


@dataclass(frozen=True)
class StepOutcome:
    """The result of one step.

    Attributes:
        success: The task's own success check.
        progress: The process score in [0, 1], or nan where the task defines none.
        subgoals: The task's named conditions, for the table of where episodes end.
    """

    success: bool
    progress: float = float("nan")
    subgoals: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class EnvSpec:
    """What an environment offers a policy, known before the simulator is built.

    Attributes:
        cameras: Height and width of the images, by camera role.
        state_layout: The meaning of the state's numbers.
        action_layout: The meaning of the action's numbers.
    """

    cameras: Mapping[str, tuple[int, int]]
    state_layout: Layout
    action_layout: Layout


class Expert(Protocol):
    """A scripted controller that reads the simulator's state.

    An expert that plans ahead may set an attribute `over` when its plan has ended.
    """

    def act(self) -> Action:
        """Return the next action for the current state."""
        ...


class BenchmarkEnv(gymnasium.Env[Observation, Action]):
    """One task of a benchmark.

    A subclass sets `observation_space`, `action_space` and the attributes below, and implements
    `_begin`, `_advance`, `_observe` and `state_bytes`. Gymnasium's `step` advances and observes.
    The engine advances through a chunk of actions and observes once.

    Attributes:
        instruction: The language instruction of the current episode.
        max_steps: The step limit; reaching it truncates the episode.
        episodes: The number of distinct episodes; None if unlimited.
        state_layout: The meaning of the state's numbers.
        action_layout: The meaning of the action's numbers.
        idle_action: The action that keeps the robot still.
        cameras: The camera roles; the first one is the main camera.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    instruction: str
    max_steps: int
    episodes: int | None
    state_layout: Layout
    action_layout: Layout
    idle_action: Action
    cameras: tuple[str, ...]

    perturbations: tuple[Action, Action] | None = None
    """The bounds of the random perturbations that recording may add to the expert's actions.

    None if the task's expert cannot recover from a perturbation.
    """

    steps: int = 0
    """Steps taken in the current episode."""

    def __init__(self, render_mode: str | None = None) -> None:
        """Set the render mode; `rgb_array` shows the main camera."""
        self.render_mode = render_mode

    @abstractmethod
    def _begin(self, episode: int, seed: int) -> StepOutcome:
        """Build the scene of an episode. It may depend on these two numbers only."""

    @abstractmethod
    def _advance(self, action: Action) -> StepOutcome:
        """Execute one action without rendering."""

    @abstractmethod
    def _observe(self, cameras: Sequence[str]) -> Observation:
        """Return the observation; render only these cameras."""

    @abstractmethod
    def state_bytes(self) -> bytes:
        """Return the simulator's full state; records hold its hash."""

    def expert(self) -> Expert | None:
        """Return a scripted expert for the task, or None."""
        return None

    def distractor_expert(self) -> Expert | None:
        """Return an expert that takes a distractor instead of the target, or None."""
        return None

    def begin(self, episode: int, seed: int) -> StepOutcome:
        """Start an episode without observing it."""
        self.steps = 0
        return self._begin(episode, seed)

    def advance(self, action: Action) -> StepOutcome:
        """Execute one action without observing the result."""
        self.steps += 1
        return self._advance(action)

    def observe(self, cameras: Sequence[str] | None = None) -> Observation:
        """Return the observation with these cameras, or with all."""
        return self._observe(self.cameras if cameras is None else cameras)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the episode `options["episode"]` of run seed `seed`; missing values are drawn."""
        super().reset(seed=seed)
        episode = (options or {}).get("episode")
        if episode is None:
            episode = int(self.np_random.integers(self.episodes or 2**31))
        scene_seed = seed if seed is not None else int(self.np_random.integers(2**31))
        outcome = self.begin(episode, scene_seed)
        return self.observe(), self._info(outcome)

    def step(self, action: Action) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Advance and observe. `terminated` means success, `truncated` the step limit."""
        outcome = self.advance(action)
        return self.transition(outcome)

    def transition(
        self, outcome: StepOutcome
    ) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Return Gymnasium's five values for an outcome of the present state."""
        truncated = not outcome.success and self.steps >= self.max_steps
        info = self._info(outcome)
        return self.observe(), float(outcome.success), outcome.success, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """Return the main camera's image."""
        if self.render_mode != "rgb_array":
            return None
        return self.observe(self.cameras[:1])["image"][self.cameras[0]]

    def _info(self, outcome: StepOutcome) -> dict[str, Any]:
        return {
            "success": outcome.success,
            "progress": None if math.isnan(outcome.progress) else outcome.progress,
            "subgoals": dict(outcome.subgoals),
        }


def play(env: BenchmarkEnv, actions: Sequence[Action] | Action) -> tuple[StepOutcome, int]:
    """Execute actions until one succeeds, the limit is reached, or none is left.

    Returns:
        The last outcome and how many actions were executed.
    """
    start = env.steps
    for action in actions:
        outcome = env.advance(action)
        if outcome.success or env.steps >= env.max_steps:
            break
    return outcome, env.steps - start

"""Plays an episode with fixed actions, and hashes all that it gives."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import BenchmarkEnv, Observation, StepOutcome

SCRIPT_KEY = 20261130
"""The key of the fixed actions."""


@dataclass(frozen=True)
class Play:
    """An episode to play.

    Attributes:
        episode: Its index.
        seed: The run's seed.
        steps: Actions to execute, at most.
        looks: Whether all cameras are drawn at the beginning, in the middle and at the end.
    """

    episode: int
    seed: int
    steps: int
    looks: bool = False


@dataclass
class Trace:
    """What an episode gave.

    Attributes:
        states: A hash of the simulator's states, the outcomes and the observed states.
        begin: A hash of the first of them, which tells two scenes apart.
        images: A hash of the images; empty if none was drawn.
        faults: What broke the contract, each once.
        steps: Actions that were executed.
    """

    states: str = ""
    begin: str = ""
    images: str = ""
    faults: dict[str, None] = field(default_factory=dict)
    steps: int = 0


def scripted_actions(env: BenchmarkEnv, steps: int) -> NDArray[np.float32]:
    """Return actions that are the same for every environment with this action space."""
    low = np.maximum(env.action_space.low, -1.0)  # type: ignore[attr-defined]
    high = np.minimum(env.action_space.high, 1.0)  # type: ignore[attr-defined]
    share = np.random.default_rng(SCRIPT_KEY).uniform(size=(steps, len(low)))
    # Half of the way from the idle action, so that arms with absolute targets move, too.
    wanted = low + share * (high - low)
    actions: NDArray[np.float32] = (0.5 * (wanted + env.idle_action)).astype(np.float32)
    return actions


def trace(env: BenchmarkEnv, play: Play) -> Trace:
    """Play an episode and return its trace."""
    found, states, images = Trace(), hashlib.sha256(), hashlib.sha256()
    outcome = env.begin(play.episode, play.seed)
    _keep(env, outcome, states, found)
    found.begin = states.hexdigest()
    if outcome.success:
        found.faults["an episode begins with a success"] = None
    actions = scripted_actions(env, min(play.steps, env.max_steps))
    for step, action in enumerate(actions):
        if play.looks and step in (0, len(actions) // 2):
            _look(env, images, found)
        outcome = env.advance(action)
        _keep(env, outcome, states, found)
        found.steps += 1
        if outcome.success or env.steps >= env.max_steps:
            break
    if play.looks:
        _look(env, images, found)
        found.images = images.hexdigest()
    if env.steps != found.steps:
        found.faults[f"env.steps is {env.steps} after {found.steps} actions"] = None
    found.states = states.hexdigest()
    return found


def _keep(env: BenchmarkEnv, outcome: StepOutcome, states: "hashlib._Hash", found: Trace) -> None:
    seen = env.observe([])
    states.update(env.state_bytes())
    states.update(repr(outcome).encode())
    states.update(np.ascontiguousarray(seen["state"]).tobytes())
    states.update(seen["instruction"].encode())
    found.faults.update(dict.fromkeys(_faults(env, outcome, seen)))


def _faults(env: BenchmarkEnv, outcome: StepOutcome, seen: Observation) -> Iterator[str]:
    progress, state = outcome.progress, seen["state"]
    if not (math.isnan(progress) or 0 <= progress <= 1):
        yield f"a progress of {progress:g} is outside [0, 1]"
    if outcome.success and not math.isnan(progress) and progress != 1:
        yield f"a success has a progress of {progress:g}; it must be 1"
    if state.dtype != np.float32 or state.shape != (env.state_layout.size,):
        yield f"the state is {state.dtype} {state.shape}, its layout has {env.state_layout.size}"
    elif not np.isfinite(state).all():
        yield "the state is not finite"
    if seen["image"]:
        yield "observe([]) draws images"
    if not isinstance(outcome.success, bool):
        yield f"success is {type(outcome.success).__name__}, not bool"


def _look(env: BenchmarkEnv, images: "hashlib._Hash", found: Trace) -> None:
    seen, again = env.observe(), env.observe()
    for role in env.cameras:
        image = seen["image"].get(role)
        if image is None:
            found.faults[f"observe() lacks the camera {role}"] = None
            continue
        images.update(np.ascontiguousarray(image).tobytes())
        if not np.array_equal(image, again["image"][role]):
            found.faults[f"two looks at one state give two images of {role}"] = None
    if not env.observation_space.contains(seen):
        space: Any = env.observation_space
        given: Any = seen
        parts = [key for key in space if key not in given or not space[key].contains(given[key])]
        found.faults[f"{', '.join(parts)} not in the observation space"] = None

"""Asks a policy the same question with one input changed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import EnvSpec, Observation
from harness.contracts.errors import PolicyError, UsageError
from harness.contracts.policy import Policy, Query, ask, checked_chunk, refuse_first_answer
from harness.contracts.spec import EpisodeSpec, policy_stream
from harness.preflight.scenes import Moment

Picture = NDArray[np.uint8]
Chunk = NDArray[np.float32]

VIEWS: Mapping[str, Callable[[Picture], Picture]] = {
    "turned by 180 degrees": lambda image: image[::-1, ::-1],
    "mirrored left to right": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "with red and blue swapped": lambda image: image[..., ::-1],
}
"""What a policy's preprocessing may have done to its pictures, by its name in the report."""

PLAIN, AGAIN, DRAW = "plain", "again", "draw"
PICTURE, STATE, INSTRUCTION = "pictures", "state", "instruction"


@dataclass
class Interview:
    """The policy's answers, by the changed input.

    Attributes:
        policy: The policy, loaded.
        base: The spec of an episode; task and episode are replaced.
        env: The environment's layouts.
        executed: Actions of a chunk that the protocol executes; None for all of them.
        seconds: Seconds of each answer, in order.
        lengths: Actions in each chunk, before the protocol cuts it.
        failures: Why answers were unusable.
    """

    policy: Policy
    base: EpisodeSpec
    env: EnvSpec
    executed: int | None
    seconds: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def answer(self, moment: Moment, observation: Observation, draw: int = 0) -> Chunk:
        """Return the actions that would be executed; none if the answer is unusable.

        Raises:
            UsageError: The first answer has the wrong type, shape or dtype.
            PolicyCrashed: The policy's code raised an exception.
        """
        spec = replace(
            self.base, task=moment.task, episode=moment.episode, seed=self.base.seed + draw
        )
        query = Query(_copied(observation), policy_stream(spec, moment.step), {}, 0)
        start = time.perf_counter()
        size = self.env.action_layout.size
        try:
            (chunk,) = ask(self.policy, [query])
            actions = np.array(checked_chunk(chunk, size), np.float32)
        except PolicyError as error:
            if not self.seconds:
                refuse_first_answer(error, self.policy.spec, self.env)
            self.failures.append(error.reason)
            actions = np.zeros((0, size), np.float32)
        except (UsageError, ModuleNotFoundError):
            raise
        except Exception as error:
            if self.policy.errors_may_pass:  # E.g. a server that reports an exception.
                raise UsageError(f"{self.policy.spec.name} does not answer: {error}") from error
            raise
        self.seconds.append(time.perf_counter() - start)
        self.lengths.append(len(actions))
        return actions[: self.executed]


def variants(
    moments: Sequence[Moment], cameras: Sequence[str], instructions: Sequence[str]
) -> dict[str, list[Observation]]:
    """Return what the policy is asked with, one observation for each state, by name.

    Args:
        moments: The states.
        cameras: The policy's cameras.
        instructions: All instructions of the benchmark.
    """
    plain = [moment.observation for moment in moments]
    asked = {PLAIN: plain, DRAW: plain}
    if cameras:
        asked.update(_replaced(moments, PICTURE, "image"))
        for name, view in VIEWS.items():
            asked[name] = [_viewed(each, view, cameras) for each in plain]
        asked.update(_one_camera(plain, cameras))
    asked.update(_replaced(moments, STATE, "state"))
    told = [_other_instruction(each["instruction"], instructions) for each in plain]
    asked[INSTRUCTION] = _with(plain, "instruction", told)
    asked[AGAIN] = plain  # Last, so that a state kept between calls shows.
    return asked


def one_camera_name(camera: str) -> str:
    """Return the name of the variant that turns one camera's picture."""
    return f"with only {camera} turned by 180 degrees"


def _one_camera(
    plain: Sequence[Observation], cameras: Sequence[str]
) -> Iterator[tuple[str, list[Observation]]]:
    """Yield the observations with one picture turned; with one camera it is known already."""
    view = next(iter(VIEWS.values()))
    for camera in cameras if len(cameras) > 1 else ():
        yield one_camera_name(camera), [_viewed(each, view, (camera,)) for each in plain]


def _replaced(
    moments: Sequence[Moment], variant: str, key: Literal["image", "state"]
) -> Iterator[tuple[str, list[Observation]]]:
    """Yield the observations with another scene's pictures or state, if these differ."""
    values = [_others(moments, moment, key) for moment in moments]
    if all(values):
        plain = [moment.observation for moment in moments]
        yield variant, _with(plain, key, [value[0] for value in values])


def _others(moments: Sequence[Moment], moment: Moment, key: Literal["image", "state"]) -> list[Any]:
    """Return other scenes' values, the likest first: those of the same task at a like step."""

    def unlike(other: Moment) -> tuple[bool, int, int]:
        apart = (other.episode - moment.episode) % (1 + max(each.episode for each in moments))
        return other.task != moment.task, abs(other.step - moment.step), apart

    elsewhere = [m for m in moments if (m.task, m.episode) != (moment.task, moment.episode)]
    here = moment.observation[key]
    values = [other.observation[key] for other in sorted(elsewhere, key=unlike)]
    return [value for value in values if not _equal(value, here)]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return all(np.array_equal(one[role], other[role]) for role in one)
    return np.array_equal(one, other)


def _other_instruction(instruction: str, instructions: Sequence[str]) -> str:
    others = sorted(set(instructions) - {instruction})
    return others[len(others) // 2] if others else ""


def _with(plain: Sequence[Observation], key: str, values: Sequence[object]) -> list[Observation]:
    return [
        {**each, key: value}  # type: ignore[misc]
        for each, value in zip(plain, values, strict=True)
    ]


def _viewed(
    observation: Observation, view: Callable[[Picture], Picture], cameras: Sequence[str]
) -> Observation:
    images = dict(observation["image"])
    for camera in cameras:
        images[camera] = np.ascontiguousarray(view(images[camera]))
    return {**observation, "image": images}


def _copied(observation: Observation) -> Observation:
    """Return a copy, because a policy may write into its observation."""
    return {
        "image": {role: image.copy() for role, image in observation["image"].items()},
        "state": observation["state"].copy(),
        "instruction": observation["instruction"],
    }

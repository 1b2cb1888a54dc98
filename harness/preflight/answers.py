"""The policy's answers as numbers: movements, their spread, and how far two answers differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.contracts.vectors import Layout, Part
from harness.preflight.chance import Numbers, scene_means
from harness.preflight.interview import PLAIN, Chunk
from harness.preflight.scenes import Moment, Vector

_TINY = 1e-9
_LEAST_SPREAD = 1e-3
"""The share of the action space below which a number counts as constant."""


@dataclass(frozen=True)
class Number:
    """One number of an action.

    Attributes:
        label: Its name in the report, e.g. ``eef_translation 2``.
        part: The part of the layout it belongs to.
        index: Its place in the action.
    """

    label: str
    part: Part
    index: int

    @property
    def is_gripper(self) -> bool:
        """Whether it opens and closes a gripper."""
        return "gripper" in self.part.name.lower()

    @property
    def is_angle(self) -> bool:
        """Whether it is an absolute Euler angle, which jumps from -pi to pi."""
        words = f"{self.part.name} {self.part.meaning}".lower()
        return "euler" in words and "delta" not in words

    @property
    def is_quaternion(self) -> bool:
        """Whether it belongs to a quaternion, whose sign has no meaning."""
        return "quaternion" in self.part.name.lower()


def numbers_of(layout: Layout) -> list[Number]:
    """Return the numbers of an action in order."""
    found: list[Number] = []
    for part in layout.parts:
        for place in range(part.size):
            label = part.name if part.size == 1 else f"{part.name} {place + 1}"
            found.append(Number(label, part, len(found)))
    return found


@dataclass(frozen=True)
class Answers:
    """What the policy answered in each state, and the expert's actions there.

    Attributes:
        moments: The states.
        chunks: The executed actions in each state, by the changed input.
        low: The lower bounds of an action.
        high: The upper bounds of an action.
        layout: The meaning of an action.
    """

    moments: Sequence[Moment]
    chunks: Mapping[str, Sequence[Chunk]]
    low: Vector
    high: Vector
    layout: Layout

    @cached_property
    def numbers(self) -> list[Number]:
        """The numbers of an action."""
        return numbers_of(self.layout)

    @cached_property
    def scenes(self) -> NDArray[np.int64]:
        """The scene of each state, as a number."""
        names = [(moment.task, moment.episode) for moment in self.moments]
        known = list(dict.fromkeys(names))
        return np.array([known.index(name) for name in names])

    @cached_property
    def actions(self) -> Numbers:
        """All actions that the policy would have executed, (count, size)."""
        return np.concatenate(list(self.chunks[PLAIN])).astype(np.float64)

    @cached_property
    def expert(self) -> list[Chunk]:
        """The expert's actions in each state, as many as the policy's at most."""
        return [
            moment.expert[: len(chunk)]
            for moment, chunk in zip(self.moments, self.chunks[PLAIN], strict=True)
        ]

    @cached_property
    def has_expert(self) -> NDArray[np.bool_]:
        """Whether the expert's actions are known, for each state."""
        return np.array([len(chunk) > 0 for chunk in self.expert])

    @cached_property
    def policy_moves(self) -> Numbers:
        """The policy's mean movement in each state, (states, size)."""
        return self._moves(self.chunks[PLAIN])

    @cached_property
    def expert_moves(self) -> Numbers:
        """The expert's mean movement in each state; nan without an expert."""
        return self._moves(self.expert)

    def change(self, variant: str) -> Numbers:
        """Return how much each answer changes with the input, in spreads of the answers."""
        pairs = zip(self.chunks[PLAIN], self.chunks[variant], strict=True)
        return np.array([self._distance(*pair, self._own_spread) for pair in pairs])

    def error(self, variant: str) -> Numbers:
        """Return how far each answer is from the expert's, in spreads of the expert's."""
        pairs = zip(self.chunks[variant], self.expert, strict=True)
        return np.array([self._distance(*pair, self._expert_spread) for pair in pairs])

    def same(self, variant: str) -> int:
        """Return how many answers have the same bits as the plain ones."""
        pairs = zip(self.chunks[PLAIN], self.chunks[variant], strict=True)
        return sum(np.array_equal(one, other) for one, other in pairs)

    def by_scene(self, values: Numbers) -> Numbers:
        """Return the mean of each scene."""
        return scene_means(values, self.scenes)

    @cached_property
    def is_constant(self) -> bool:
        """Whether the policy answers the same in all states of several scenes."""
        first = self.chunks[PLAIN][0]
        same = all(np.array_equal(first, chunk) for chunk in self.chunks[PLAIN])
        return same and len(set(self.scenes)) > 1

    @cached_property
    def _own_spread(self) -> Numbers:
        return np.asarray(np.nanstd(self.policy_moves, axis=0))

    @cached_property
    def _expert_spread(self) -> Numbers:
        known = self.has_expert
        if not known.any():
            return np.zeros(self.layout.size)
        return np.asarray(np.nanstd(self.expert_moves[known], axis=0))

    def _moves(self, chunks: Sequence[Chunk]) -> Numbers:
        empty = np.full(self.layout.size, np.nan)
        rows = [
            self.movement(chunk, moment.idle).mean(axis=0) if len(chunk) else empty
            for chunk, moment in zip(chunks, self.moments, strict=True)
        ]
        return np.array(rows)

    def movement(self, actions: Chunk, idle: Vector) -> Numbers:
        """Return actions minus the action that keeps the robot still; grippers stay as they are."""
        moved = actions.astype(np.float64) - idle
        for number in self.numbers:
            if number.is_gripper:
                moved[:, number.index] = actions[:, number.index]
            elif number.is_angle:
                moved[:, number.index] = _wrapped(moved[:, number.index])
        return moved

    def _used(self, spread: Numbers) -> NDArray[np.int64]:
        """Return the numbers that vary; the noise of a constant one would outweigh the others."""
        width = np.where(np.isfinite(self.low) & np.isfinite(self.high), self.high - self.low, 0.0)
        varying = np.flatnonzero(spread > np.maximum(_LEAST_SPREAD * width, _TINY))
        return varying if len(varying) else np.flatnonzero(spread > _TINY)

    def _distance(self, one: Chunk, other: Chunk, spread: Numbers) -> float:
        count = min(len(one), len(other))
        used = self._used(spread)
        if count == 0 or not len(used):
            return float("nan")
        apart = one[:count].astype(np.float64) - other[:count]
        for number in self.numbers:
            if number.is_angle:
                apart[:, number.index] = _wrapped(apart[:, number.index])
        return float(np.mean(np.abs(apart[:, used]) / spread[used]))


def _wrapped(angles: Numbers) -> Numbers:
    wrapped: Numbers = (angles + np.pi) % (2 * np.pi) - np.pi
    return wrapped

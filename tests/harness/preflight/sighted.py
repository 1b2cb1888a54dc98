"""Policies for the benchmark `points_seen`: a good one, and copies with one planted defect."""

import random
from typing import Any

import numpy as np
from assay_points import towards

from harness.contracts.environment import Observation


class Sighted:
    """Finds the goal of its instruction in the picture; draws a little noise."""

    cameras = ("main",)
    chunk_length = 6

    def __call__(self, observation: Observation, stream: np.random.Generator) -> Any:
        image = self.view(observation["image"]["main"])
        channel = self.channel(observation["instruction"])
        rows, columns = np.nonzero(image[..., channel])
        goal = (np.array([columns[0], rows[0]]) + 0.5) / 16 - 1
        offset = goal - self.position(observation["state"])
        action = towards(offset)
        action[:2] += 0.02 * stream.normal(size=2).astype(np.float32)
        return self.form(np.tile(np.clip(action, -1, 1), (6, 1)))

    def view(self, image: Any) -> Any:
        return image

    def channel(self, instruction: str) -> int:
        return 2 if "blue" in instruction else 0

    def position(self, state: Any) -> Any:
        return state

    def form(self, chunk: Any) -> Any:
        return chunk


class Steady(Sighted):
    """Draws nothing."""

    def __call__(self, observation: Observation, stream: np.random.Generator) -> Any:
        return super().__call__(observation, np.random.default_rng(0))


class Turned(Sighted):
    """Turns its picture by 180 degrees."""

    def view(self, image: Any) -> Any:
        return image[::-1, ::-1]


class Mirrored(Sighted):
    """Mirrors its picture."""

    def view(self, image: Any) -> Any:
        return image[:, ::-1]


class Flipped(Sighted):
    """Turns its picture upside down."""

    def view(self, image: Any) -> Any:
        return image[::-1]


class Swapped(Sighted):
    """Swaps red and blue."""

    def view(self, image: Any) -> Any:
        return image[..., ::-1]


class Asleep(Sighted):
    """Asks for pictures and does not look at them."""

    def view(self, image: Any) -> Any:
        shown = np.zeros_like(image)
        shown[20, 9] = 255
        return shown


class Deaf(Sighted):
    """Does not read its instruction."""

    def channel(self, instruction: str) -> int:
        return 0


class Stateless(Sighted):
    """Does not use its state."""

    def position(self, state: Any) -> Any:
        return 0 * state


class OppositeGripper(Sighted):
    """Opens where it should close."""

    def form(self, chunk: Any) -> Any:
        return chunk * np.array([1, 1, -1], np.float32)


class UnitGripper(Sighted):
    """Its gripper is in 0 to 1."""

    def form(self, chunk: Any) -> Any:
        return chunk * np.array([1, 1, 0.5], np.float32) + np.array([0, 0, 0.5], np.float32)


class AlwaysOpen(Sighted):
    """Never closes its gripper."""

    def form(self, chunk: Any) -> Any:
        chunk[:, 2] = -1
        return chunk


class OppositeX(Sighted):
    """Moves the other way along x."""

    def form(self, chunk: Any) -> Any:
        return chunk * np.array([-1, 1, 1], np.float32)


class Tiny(Sighted):
    """Its velocities are ten times too small."""

    def form(self, chunk: Any) -> Any:
        return chunk * np.array([0.1, 0.1, 1], np.float32)


class Still(Sighted):
    """Its velocities are nearly 0."""

    def form(self, chunk: Any) -> Any:
        return chunk * np.array([1e-4, 1e-4, 1], np.float32)


class Centimetres(Sighted):
    """Its velocities are a hundred times too large."""

    def form(self, chunk: Any) -> Any:
        return chunk * np.array([100, 100, 1], np.float32)


class Constant(Sighted):
    """Answers the same always."""

    def form(self, chunk: Any) -> Any:
        return np.full((6, 3), 0.3, np.float32)


class Hidden(Sighted):
    """Draws from a generator that nothing seeds."""

    generator = random.SystemRandom()

    def position(self, state: Any) -> Any:
        return state + 0.1 * self.generator.random()


class Aimless(Sighted):
    """Answers at random, so nothing can be said about its signs."""

    def __call__(self, observation: Observation, stream: np.random.Generator) -> Any:
        return np.tile(stream.uniform(-1, 1, 3).astype(np.float32), (6, 1))


class NotFinite(Sighted):
    """Answers nan near the goal."""

    def form(self, chunk: Any) -> Any:
        return chunk * (np.nan if chunk[0, 2] > 0 else 1)


class WrongSize(Sighted):
    """Forgets the gripper."""

    def form(self, chunk: Any) -> Any:
        return chunk[:, :2]


class WrongType(Sighted):
    """Returns a list."""

    def form(self, chunk: Any) -> Any:
        return chunk.tolist()


class Crashing(Sighted):
    """Looks for a picture that is not there."""

    def view(self, image: Any) -> Any:
        raise KeyError("observation.images.wrist_image")


class CrashesUntold(Sighted):
    """Knows only its own instruction's words."""

    def channel(self, instruction: str) -> int:
        return {"reach red": 0}[instruction]


class OtherCamera(Sighted):
    """Asks for a camera that is not there."""

    cameras = ("wrist",)


class Short(Sighted):
    """Returns two actions."""

    def form(self, chunk: Any) -> Any:
        return chunk[:2]


class OtherSize(Sighted):
    """States another image size than the environment's."""

    image_size = (224, 224)

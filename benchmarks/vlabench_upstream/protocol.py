"""Upstream's protocol: a card for each of its tracks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmarks.vlabench_upstream import checkout
from harness.contracts.protocol import Protocol

CARDS = Path(__file__).parent / "protocols"
FAMILY = "vlabench"
SIMULATOR = {"mujoco": "3.2.2", "dm_control": "1.0.22"}
"""What upstream pins, and so does the environment that runs it."""


@dataclass(frozen=True, kw_only=True)
class UpstreamProtocol(Protocol):
    """What else changes a score.

    Attributes:
        track: Upstream's file of episodes, without the ending.
        task_steps: The step limit of the tasks that have one of their own.
        max_substeps: How often an action is stepped at most before the next one.
        intention_radius: Metres within which the gripper shows the right intention.
        robot_base: Where the robot stands in the world; actions and states count from there.
        open_from: The gripper's number from which on an action opens it.
        cameras: The simulator's camera for each role.
        camera_size: Height and width of the images.
    """

    track: str
    task_steps: Mapping[str, int] = field(default_factory=dict)
    max_substeps: int
    intention_radius: float
    robot_base: tuple[float, ...]
    open_from: float
    cameras: Mapping[str, int]
    camera_size: tuple[int, ...]


def protocols() -> dict[str, UpstreamProtocol]:
    """Return the cards by short name, stamped with the checkout that would run."""
    root = checkout.find()
    sources = checkout.sources_digest(root) if root is not None and root.is_dir() else ""
    return _stamped(f"VLABench {sources}".strip())


@cache
def _stamped(source: str) -> dict[str, UpstreamProtocol]:
    simulator = ", ".join([source, *(f"{name} {number}" for name, number in SIMULATOR.items())])
    return {
        path.stem: UpstreamProtocol.load(path, FAMILY, simulator=simulator)
        for path in sorted(CARDS.glob("*.yaml"))
    }

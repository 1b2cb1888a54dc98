"""RoboTwin's protocol cards: for the five tasks with blocks, and for all 50 tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.robotwin import panda
from benchmarks.robotwin.needs import SIMULATOR
from harness.contracts.errors import require_known
from harness.contracts.protocol import Protocol
from harness.contracts.spec import digest

_CARDS = Path(__file__).parent / "protocols"
BLOCKS, FULL = "robotwin-blocks", "robotwin"
"""The first part of the protocols' labels. Numbers of the two are not comparable."""
_NOTE = "dual-panda, default shader, not comparable to the leaderboard"


@dataclass(frozen=True, kw_only=True)
class RoboTwinProtocol(Protocol):
    """The fields of a RoboTwin card.

    Attributes:
        task_steps: The step limits of the tasks that have their own.
        settings: The name of RoboTwin's settings file, without the suffix.
        randomization: RoboTwin's settings of the scene's randomization.
        robot: The embodiment's name.
        arms_apart: The distance in metres of two one-armed robots; None for a two-armed robot.
        planner: ``curobo`` or ``mplib``, the planner of the expert and of actions that are poses.
        control: ``qpos``, joint targets, or ``ee``, gripper poses, in both actions and states.
        instructions: ``seen`` or ``unseen``, RoboTwin's set of templates.
        first_seed: The first scene of run seed s is this number times (1 + s).
        cameras: RoboTwin's camera for each role.
        shader: SAPIEN's shader.
        upstream_simulator: The versions that RoboTwin's package pins.
    """

    task_steps: Mapping[str, int] = field(default_factory=dict)
    settings: str
    randomization: Mapping[str, Any]
    robot: str
    arms_apart: float | None
    planner: str
    control: str
    instructions: str
    first_seed: int
    cameras: Mapping[str, str]
    shader: str
    upstream_simulator: str = field(metadata={"scored": False})

    def steps(self, benchmark: str, task: str) -> int:
        """Return the step limit of a task."""
        return self.task_steps.get(task, self.limit(benchmark))

    def first_scene(self, seed: int) -> int:
        """Return the seed of the first scene that the expert tries for this run seed."""
        return self.first_seed * (1 + seed)

    @property
    def scenes(self) -> str:
        """A hash of the fields that decide whether the expert can solve a scene."""
        deciding = ("settings", "randomization", "robot", "arms_apart", "planner", "simulator")
        return digest({name: self.rules[name] for name in deciding})[:10]


def protocols() -> dict[str, RoboTwinProtocol]:
    """Return the cards of the tasks with blocks by short name."""
    return _cards(BLOCKS, f"{panda.NAME} {panda.DESCRIPTION}", _NOTE)


def full_protocols(files: str) -> dict[str, RoboTwinProtocol]:
    """Return the cards of all tasks by short name, with the digest of the user's files."""
    return _cards(FULL, files, "")


def find_card(name: str, files: str) -> RoboTwinProtocol:
    """Return a card by its full name, e.g. ``robotwin-blocks/blocks``.

    Raises:
        UsageError: No card has that name.
    """
    cards = {card.name: card for card in (*protocols().values(), *full_protocols(files).values())}
    require_known("protocol of RoboTwin", name, cards)
    return cards[name]


@cache
def _cards(family: str, files: str, note: str) -> dict[str, RoboTwinProtocol]:
    parts = [f"{name} {number}" for name, number in SIMULATOR.items()]
    simulator = ", ".join([*parts, *([files] if files else [])])
    return {
        path.stem: RoboTwinProtocol.load(path, family, simulator=simulator, note=note)
        for path in sorted((_CARDS / family).glob("*.yaml"))
    }

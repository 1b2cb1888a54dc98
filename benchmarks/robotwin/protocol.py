"""RoboTwin's protocol cards: the five tasks with blocks, and all 50 as upstream evaluates them."""

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

CARDS = Path(__file__).parent / "protocols"
BLOCKS, FULL = "robotwin-blocks", "robotwin"
"""What the labels begin with: numbers of the two are never compared."""
NOTE = "dual-panda, default shader, not comparable to the leaderboard"


@dataclass(frozen=True, kw_only=True)
class RoboTwinProtocol(Protocol):
    """What else changes a score.

    Attributes:
        task_steps: The step limit of the tasks that have one of their own.
        settings: RoboTwin's file of settings, without the ending.
        randomization: What of a scene is drawn at random, in RoboTwin's words.
        robot: The embodiment's name.
        arms_apart: Metres between two robots of one arm each; None for a robot with two.
        planner: ``curobo`` or ``mplib``: what the expert, and actions as poses, are planned with.
        control: ``qpos``, joint targets, or ``ee``, poses of the grippers. The state is the same.
        instructions: ``seen`` or ``unseen``: which of RoboTwin's templates are drawn from.
        first_seed: Times one more than the run's seed, it is the first scene that is tried.
        cameras: RoboTwin's camera for each role.
        shader: SAPIEN's shaders that draw them.
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

    def start(self, seed: int) -> int:
        """Return the first scene that is tried in a run with this seed."""
        return self.first_seed * (1 + seed)

    @property
    def scenes(self) -> str:
        """A hash of all that decides whether the expert can solve a scene: what a list is for."""
        deciding = ("settings", "randomization", "robot", "arms_apart", "planner", "simulator")
        return digest({name: self.rules[name] for name in deciding})[:10]


def protocols() -> dict[str, RoboTwinProtocol]:
    """Return the cards of the tasks with blocks by short name."""
    return _cards(BLOCKS, f"{panda.NAME} {panda.DESCRIPTION}", NOTE)


def full_protocols(files: str) -> dict[str, RoboTwinProtocol]:
    """Return the cards of all tasks by short name, stamped with which files would be used."""
    return _cards(FULL, files, "")


def find_card(name: str, files: str) -> RoboTwinProtocol:
    """Return the card of a name with its family, e.g. ``robotwin-blocks/blocks``.

    Raises:
        UsageError: There is none.
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
        for path in sorted((CARDS / family).glob("*.yaml"))
    }

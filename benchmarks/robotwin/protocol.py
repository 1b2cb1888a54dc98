"""RoboTwin's protocol cards: for the five tasks with blocks, and for all 50 tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from benchmarks.robotwin import panda
from benchmarks.robotwin.needs import SIMULATOR
from harness.contracts.errors import UsageError, require_known
from harness.contracts.protocol import Protocol
from harness.contracts.spec import digest

_CARDS = Path(__file__).parent / "protocols"
BLOCKS, FULL = "robotwin-blocks", "robotwin"
"""The first part of the protocols' labels. Numbers of the two are not comparable."""
_DECIDING = ("settings", "randomization", "robot", "arms_apart", "planner", "simulator")
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
    planner: Literal["curobo", "mplib"]
    control: Literal["qpos", "ee"]
    instructions: Literal["seen", "unseen"]
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
        return digest({name: self.rules[name] for name in _DECIDING})[:10]


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


def card_of_scenes(protocol: RoboTwinProtocol, files: str) -> str | None:
    """Return the name of a bundled card with the same scenes, or None."""
    cards = (*protocols().values(), *full_protocols(files).values())
    return next((card.name for card in cards if card.scenes == protocol.scenes), None)


def require_known_scenes(protocol: RoboTwinProtocol, files: str) -> None:
    """Require that an expert can have solved the scenes of a protocol.

    Raises:
        UsageError: No bundled card has these scenes, so there is no list of solved ones.
    """
    if card_of_scenes(protocol, files) is None:
        raise UsageError(
            f"{protocol.name} has other scenes than any bundled card; no expert has solved them: "
            f"leave {', '.join(_DECIDING[:-1])} as they are"
        )


@cache
def _cards(family: str, files: str, note: str) -> dict[str, RoboTwinProtocol]:
    parts = [f"{name} {number}" for name, number in SIMULATOR.items()]
    simulator = ", ".join([*parts, *([files] if files else [])])
    return {
        path.stem: RoboTwinProtocol.load(path, family, simulator=simulator, note=note)
        for path in sorted((_CARDS / family).glob("*.yaml"))
    }

"""The protocol cards of Meta-World."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.metaworld import catalog
from benchmarks.suites import require_image_size
from harness.contracts.environment import EnvSpec
from harness.contracts.errors import UsageError, require_known
from harness.contracts.protocol import Protocol
from harness.contracts.vectors import Layout, Part

FAMILY = "metaworld"
CARDS = Path(__file__).parent / "protocols"
OPTIONS = ("instructions",)
"""The options of ``--protocol CARD,OPTION=VALUE``."""
LARGEST_FILE = 2**20
LONGEST_INSTRUCTION = 500
CAMERAS = ("topview", "corner", "corner2", "corner3", "corner4", "behindGripper", "gripperPOV")
HAND = (Part("hand_position", 3, "m, world"), Part("gripper_opening", 1, "0 closed, 1 open"))
STATES = {
    4: Layout(HAND),
    8: Layout(
        (
            *HAND,
            Part("object_position", 3, "m, world"),
            Part("object_quaternion_w", 1, "the first number of the object's quaternion"),
        )
    ),
}
"""The states by their size: the first numbers of Meta-World's observation."""
ACTION = Layout(
    (
        Part("hand_translation", 3, "delta of the target, world, 1 = 0.01 m"),
        Part("gripper", 1, "-1 opens, +1 closes"),
    )
)


@dataclass(frozen=True, kw_only=True)
class MetaWorldProtocol(Protocol):
    """The fields that Meta-World adds.

    Attributes:
        camera: Meta-World's camera of the role ``main``.
        camera_position: Where the camera stands instead, in metres; empty for its own place.
        camera_size: Height and width of the rendered image.
        turned: Whether the image is turned by 180 degrees; some cameras are upside down.
        crop: The share of height and width that is kept, from the middle.
        shadows: Whether lights cast shadows.
        samples: Samples a pixel, MuJoCo's `offsamples`; 0 for none.
        state: Numbers of the state, 4 or 8.
        wait_steps: Steps with an action of zeros before the episode. They are not counted.
        rehearsal: Whether the scenes are those of demonstrations. No evaluation uses these.
        instructions_sha256: The SHA-256 of the file of instructions; empty for our own words.
        instructions: The instructions of that file by task.
        upstream_simulator: The versions that upstream pins; `simulator` has the installed ones.
    """

    camera: str
    camera_position: tuple[float, ...] = ()
    camera_size: tuple[int, int]
    turned: bool
    crop: float
    shadows: bool
    samples: int
    state: Literal[4, 8]
    wait_steps: int
    rehearsal: bool = False
    instructions_sha256: str = ""
    instructions: Mapping[str, str] = field(default_factory=dict, metadata={"scored": False})
    upstream_simulator: str = field(metadata={"scored": False})

    def check(self) -> None:
        """Refuse cameras and sizes that do not exist."""
        super().check()
        require_image_size(self.name, self.camera_size)
        require_known(f"camera of {self.name}", self.camera, CAMERAS)
        if len(self.camera_position) not in (0, 3):
            raise UsageError(f"camera_position of {self.name} must be empty or three numbers")
        if not (0 < self.crop <= 1 and 0 <= self.samples <= 16 and self.wait_steps >= 0):
            raise UsageError(
                f"{self.name}: crop must be in (0, 1], samples from 0 to 16, wait_steps at least 0"
            )

    @property
    def env_spec(self) -> EnvSpec:
        """The camera and the layouts."""
        height, width = (round(side * self.crop) for side in self.camera_size)
        return EnvSpec({"main": (height, width)}, STATES[self.state], ACTION)

    def instruction(self, task: str) -> str:
        """Return a task's instruction."""
        return self.instructions.get(task, catalog.TASKS[task].instruction)

    def generator(self, task: str, episode: int, seed: int) -> np.random.Generator:
        """Return the random stream of an episode's scene; it depends on the arguments alone."""
        index = catalog.TASKS[task].index
        return np.random.default_rng([int(self.rehearsal), index, seed, episode])


@cache
def protocols() -> dict[str, MetaWorldProtocol]:
    """Return the cards by short name, with the installed simulator's versions."""
    simulator = ", ".join(f"{name} {number}" for name, number in catalog.versions().items())
    return {
        path.stem: MetaWorldProtocol.load(path, FAMILY, simulator=simulator)
        for path in sorted(CARDS.glob("*.yaml"))
    }


def find_protocol(short: str, options: Mapping[str, str]) -> MetaWorldProtocol:
    """Return a card; the option ``instructions`` names LeRobot's metaworld_config.json.

    Raises:
        UsageError: The card or an option is unknown, or the file lacks an instruction.
    """
    require_known(f"protocol of {FAMILY}", short, protocols())
    for option in options:
        require_known(f"option of {FAMILY}'s protocols", option, OPTIONS)
    card = protocols()[short]
    if "instructions" not in options:
        return card
    found, digest = _read_instructions(Path(options["instructions"]))
    return replace(card, instructions=found, instructions_sha256=digest)


def _read_instructions(path: Path) -> tuple[dict[str, str], str]:
    """Read a JSON map of instructions by task, alone or under TASK_DESCRIPTIONS."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise ValueError("it is too large")
        read: Any = json.loads(raw)
        texts = read.get("TASK_DESCRIPTIONS", read)
        found = {task: texts[task] for task in catalog.TASKS}
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path} is not a JSON map of instructions by task, such as LeRobot's "
            f"metaworld_config.json ({type(error).__name__}: {str(error)[:100]})"
        ) from error
    for task, text in found.items():
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_INSTRUCTION:
            raise UsageError(f"{path}: the instruction of {task} is not a short text")
    return found, hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()

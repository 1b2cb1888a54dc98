"""LIBERO's protocol cards: how openpi, OpenVLA, LeRobot and others run the same suites."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from benchmarks.libero import catalog
from harness.contracts.protocol import Protocol

CARDS = Path(__file__).parent / "protocols"


@dataclass(frozen=True, kw_only=True)
class LiberoProtocol(Protocol):
    """What else changes a score on LIBERO.

    Attributes:
        wait_steps: Steps with `wait_action` in which the objects settle; they are not counted.
        wait_action: The action during the wait.
        env_seed: What seeds the scene before every reset: ``run`` (the run's seed),
            ``run+episode``, ``run+episode+task``, so that no two tasks share a scene's chances,
            or a fixed number.
        init_states: ``official``: the fixed states, by the episode's index; ``drawn``: as the
            task's definition draws them from the scene's seed; for demonstrations, things that the
            instruction names by what they are exchange their places, and the hand begins
            somewhere near its place, as in the official states.
        camera_size: Height and width of both cameras' images.
        flip: What is done to the images: ``rotate180``, or ``none`` for the simulator's own,
            which are upside down.
        control: The controller, its rate, and whether actions are absolute.
        instruction: ``filename``: as `catalog.TaskFiles.instruction` describes.
        success: ``any_step``: the episode ends at the first step where the goal holds.
        gripper: How the upstream's policy gripper becomes the environment's; documentation only,
            since here an action layout says what a policy's numbers mean.
        seed_before_reset: Whether upstream seeds before every reset; here it is always done.
        upstream_simulator: The versions upstream pins; `simulator` holds what runs here.
    """

    wait_steps: int
    wait_action: tuple[float, ...]
    env_seed: int | str
    init_states: str
    camera_size: tuple[int, int]
    flip: str
    control: Mapping[str, Any]
    instruction: str
    success: str
    gripper: str = field(metadata={"scored": False})
    seed_before_reset: bool = field(metadata={"scored": False})
    upstream_simulator: str = field(metadata={"scored": False})

    def scene_seed(self, seed: int, episode: int, task: str) -> int:
        """Return the number that seeds the scene of a task's episode."""
        if isinstance(self.env_seed, int):
            return self.env_seed
        if self.env_seed == "run+episode+task":
            return crc32(f"{seed} {episode} {task}".encode())
        return seed + episode if self.env_seed == "run+episode" else seed


@cache
def protocols() -> dict[str, LiberoProtocol]:
    """Return the cards by short name, stamped with the simulator that is installed."""
    installed = catalog.versions()
    simulator = ", ".join(
        f"{name} {installed[name]}" for name in catalog.SIMULATOR_PACKAGES if name in installed
    )
    return {
        path.stem: LiberoProtocol.load(path, "libero", simulator=simulator)
        for path in sorted(CARDS.glob("*.yaml"))
    }

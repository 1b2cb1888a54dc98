"""The protocol cards of VLABench's tracks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmarks.suites import require_image_size
from benchmarks.vlabench_upstream import checkout
from benchmarks.vlabench_upstream.catalog import TRACKS
from harness.contracts.environment import EnvSpec
from harness.contracts.errors import require_known
from harness.contracts.protocol import Protocol
from harness.contracts.vectors import Layout, Part

_CARDS = Path(__file__).parent / "protocols"
FAMILY = "vlabench"
SIMULATOR = {"mujoco": "3.2.2", "dm_control": "1.0.22"}
"""The versions that upstream and the virtual environment pin."""
STATE = Layout(
    (
        Part("eef_position", 3, "m, robot's base"),
        Part("eef_euler", 3, "rad, xyz"),
        Part("gripper", 1, "0 open, 1 closed"),
    )
)
ACTION = Layout(
    (
        Part("eef_position", 3, "m, robot's base, absolute"),
        Part("eef_euler", 3, "rad, xyz, absolute"),
        Part("gripper", 1, "0.1 or more open, less closed"),
    )
)


@dataclass(frozen=True, kw_only=True)
class UpstreamProtocol(Protocol):
    """The fields of a card for upstream's code.

    Attributes:
        track: The name of upstream's episode file, without the suffix.
        task_steps: The step limits of the tasks that have their own.
        max_substeps: The largest number of control steps for one action.
        intention_radius: The gripper's distance to the target, in metres, that shows intention.
        robot_base: The robot's position in the world; actions and states are relative to it.
        open_from: The smallest gripper value that opens the gripper.
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
    camera_size: tuple[int, int]

    def steps(self, benchmark: str, task: str) -> int:
        """Return the step limit of a task."""
        return self.task_steps.get(task, self.limit(benchmark))

    def check(self) -> None:
        """Refuse a track that upstream does not have, and sizes that no image has."""
        super().check()
        require_image_size(self.name, self.camera_size)
        require_known(f"track of {self.name}", self.track, [each.file for each in TRACKS.values()])

    @property
    def env_spec(self) -> EnvSpec:
        """The cameras and layouts of every task."""
        return EnvSpec(dict.fromkeys(self.cameras, self.camera_size), STATE, ACTION)


def protocols() -> dict[str, UpstreamProtocol]:
    """Return the cards by short name, with the digest of the current checkout."""
    root = checkout.find()
    sources = checkout.sources_digest(root) if root is not None and root.is_dir() else ""
    return _stamped(f"VLABench {sources}".strip())


@cache
def _stamped(source: str) -> dict[str, UpstreamProtocol]:
    simulator = ", ".join([source, *(f"{name} {number}" for name, number in SIMULATOR.items())])
    return {
        path.stem: UpstreamProtocol.load(path, FAMILY, simulator=simulator)
        for path in sorted(_CARDS.glob("*.yaml"))
    }

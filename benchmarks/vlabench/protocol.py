"""The protocol cards of the lite backend, and those that follow from them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks.vlabench import catalog
from benchmarks.vlabench.layout import Scene
from benchmarks.vlabench.scenes import draw_scene
from benchmarks.vlabench.tracks import TRACKS, Track, load_track
from harness.contracts.errors import UsageError
from harness.contracts.protocol import Protocol

FAMILY = "vlabench_lite"
CARDS = Path(__file__).parent / "protocols"
FOLDER = "VLABENCH_TRACKS"
"""The environment variable that says where the tracks' files are."""
NOTE = "procedural assets, not comparable to published VLABench numbers"


@dataclass(frozen=True, kw_only=True)
class LiteProtocol(Protocol):
    """What else changes a score.

    Attributes:
        task_steps: The step limits of tasks that have their own.
        settle_steps: Steps in which the things settle; they are not counted.
        scenes: Whether the target is from upstream's ``seen`` or ``unseen`` things, or ``track``.
        track: The number of upstream's track whose episodes are played, or 0.
        track_sha256: What the track's file holds; empty if there is no file here.
        rehearsal: Whether the scenes are those of demonstrations, which nobody evaluates.
        cameras: Upstream's camera for each role.
        task_cameras: The cameras of tasks that have others for some roles.
        camera_size: Height and width of the images.
        shadow_size: The side of the shadow map, 0 for no shadows.
        action: The action's format, a name in `control.CONTROLS`.
        state: The state's format, a name in `control.STATES`.
        process_score: ``code`` or ``paper``, whose definitions differ.
        upstream_simulator: The versions upstream pins; `simulator` holds what runs here.
        folder: Where the tracks' files are.
    """

    task_steps: Mapping[str, int]
    settle_steps: int
    scenes: str
    track: int = 0
    track_sha256: str = ""
    rehearsal: bool = False
    cameras: Mapping[str, str]
    task_cameras: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    camera_size: tuple[int, int]
    shadow_size: int
    action: str
    state: str
    process_score: str
    upstream_simulator: str = field(metadata={"scored": False})
    folder: str = field(default="", metadata={"scored": False})

    def task_limit(self, benchmark: str, task: str) -> int:
        """Return the step limit of a task."""
        return self.task_steps.get(task, self.limit(benchmark))

    def shortened(self, benchmark: str, steps: int) -> Self:
        """Return the protocol with another step limit, for tasks that have their own, too."""
        return replace(super().shortened(benchmark, steps), task_steps={})

    def views(self, task: str) -> dict[str, str]:
        """Return upstream's camera for each role in a task."""
        return dict(self.cameras) | dict(self.task_cameras.get(task, {}))

    def scene(self, task: str, episode: int, seed: int) -> Scene:
        """Return the scene of an episode, from these numbers alone.

        Raises:
            UsageError: The track's file is not there, is another one, or lacks the episode.
        """
        if self.track:
            return self._file().scene(task, episode)
        key = (int(self.rehearsal), list(catalog.TASKS).index(task), seed, episode)
        return draw_scene(task, self.scenes == "seen", np.random.default_rng(key))

    def require_task(self, task: str) -> None:
        """Refuse a task that a track has no episodes of, or a track without its file.

        Raises:
            UsageError: It has none, or the file is missing.
        """
        if self.track:
            self._file().scene(task, 0)

    def _file(self) -> Track:
        file = load_track(self.track, Path(self.folder)) if self.folder else None
        if file is None:
            raise UsageError(
                f"{self.name} needs track_{self.track}_{TRACKS[self.track]}.json of VLABench: set "
                f"{FOLDER} to the folder that has it, configs/evaluation/tracks in its repository"
            )
        if file.digest != self.track_sha256:
            raise UsageError(f"{file.path} has changed since the run was planned; start a new run")
        return file


def protocols() -> dict[str, LiteProtocol]:
    """Return the cards by short name, with the tracks' files that are here."""
    return _protocols(os.environ.get(FOLDER, ""))


@cache
def _protocols(folder: str) -> dict[str, LiteProtocol]:
    installed = catalog.versions()
    simulator = ", ".join(f"{name} {number}" for name, number in installed.items())
    cards = {
        path.stem: LiteProtocol.load(path, FAMILY, simulator=simulator, note=NOTE)
        for path in sorted(CARDS.glob("*.yaml"))
    }
    openpi = cards["openpi"]
    cards["unseen"] = _variant(
        openpi,
        "unseen",
        "As openpi, with targets from upstream's unseen things, as in track 2.",
        {"scenes": "VLABench@47b04bf VLABench/tasks/config_manager.py: get_unseen_task_config."},
        scenes="unseen",
    )
    cards["paper"] = _variant(
        openpi,
        "paper",
        "As openpi, with the process score as the paper defines it.",
        {"process_score": "The VLABench paper, and VLABench issue 55."},
        process_score="paper",
    )
    cards["small"] = _variant(
        openpi,
        "small",
        "As openpi, with 128 px and no shadows: for small policies and machines without a GPU.",
        {
            "camera_size": "Ours: what the policies that come along look at.",
            "shadow_size": "Ours, for speed: no light is drawn from a second time.",
        },
        camera_size=(128, 128),
        shadow_size=0,
    )
    for number in TRACKS:
        cards[f"track{number}"] = _of_track(openpi, number, folder)
    return cards


def _variant(
    card: LiteProtocol, short: str, summary: str, sources: Mapping[str, str], **changes: Any
) -> LiteProtocol:
    """Return a card that differs in some fields, each of which has its own source."""
    return replace(
        card,
        name=f"{FAMILY}/{short}",
        summary=summary,
        sources=dict(card.sources) | dict(sources),
        **changes,
    )


def _of_track(card: LiteProtocol, number: int, folder: str) -> LiteProtocol:
    """Return a card with the episodes of one of upstream's tracks."""
    file = load_track(number, Path(folder)) if folder else None
    where = f"VLABench@47b04bf configs/evaluation/tracks/track_{number}_{TRACKS[number]}.json"
    here = "" if file else f"; not here, set {FOLDER}"
    return _variant(
        card,
        f"track{number}",
        f"As openpi, on the places and instructions of track {TRACKS[number]}{here}.",
        {"scenes": where, "track": where, "track_sha256": "the file here"},
        scenes="track",
        track=number,
        track_sha256=file.digest if file else "",
        folder=folder,
    )

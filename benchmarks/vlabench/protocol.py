"""The protocol cards of VLABench lite."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from benchmarks.suites import require_image_size
from benchmarks.vlabench import catalog
from benchmarks.vlabench.layouts import ACTIONS, STATES
from benchmarks.vlabench.scene import Scene
from benchmarks.vlabench.tracks import TRACKS, Track, file_name, load_track
from harness.contracts.environment import EnvSpec
from harness.contracts.errors import UsageError, require_known
from harness.contracts.protocol import Protocol

FAMILY = "vlabench_lite"
CARDS = Path(__file__).parent / "protocols"
OPTIONS = ("tracks",)
"""The options of ``--protocol CARD,OPTION=VALUE``."""
TRACKS_VARIABLE = "VLABENCH_TRACKS"
"""The environment variable with the folder of the track files, where no option names it."""
NOTE = "procedural assets, not comparable to published VLABench numbers"


@dataclass(frozen=True, kw_only=True)
class LiteProtocol(Protocol):
    """The fields of a VLABench lite card.

    Attributes:
        task_steps: The step limits of the tasks that have their own.
        settle_steps: Steps before the episode in which the objects settle. They are not counted.
        scenes: ``seen`` or ``unseen``, upstream's set that has the target; or ``track``.
        track: The number of upstream's track, or 0.
        track_sha256: The SHA-256 of the track file; empty without the file.
        rehearsal: Whether the scenes are those of demonstrations. No evaluation uses these.
        cameras: Upstream's camera for each role.
        task_cameras: The cameras of single tasks that differ, by task and role.
        camera_size: Height and width of the images in pixels.
        shadow_size: The side of the shadow map in pixels; 0 for no shadows.
        multisampling: Whether MuJoCo takes four samples of each pixel, its default, or one.
        action: The action format, a key of `layouts.ACTIONS`.
        state: The state format, a key of `layouts.STATES`.
        process_score: ``code`` or ``paper``, upstream's two definitions.
        upstream_simulator: The versions that upstream pins; `simulator` has the installed ones.
        folder: The folder of the track files; empty if unknown.
    """

    task_steps: Mapping[str, int]
    settle_steps: int
    scenes: Literal["seen", "unseen", "track"]
    track: int = 0
    track_sha256: str = ""
    rehearsal: bool = False
    cameras: Mapping[str, str]
    task_cameras: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    camera_size: tuple[int, int]
    shadow_size: int
    multisampling: bool = True
    action: str
    state: str
    process_score: Literal["code", "paper"]
    upstream_simulator: str = field(metadata={"scored": False})
    folder: str = field(default="", metadata={"scored": False})

    def check(self) -> None:
        """Refuse unknown layouts, and a track, whose file only the bundled cards find."""
        super().check()
        require_image_size(self.name, self.camera_size)
        require_known(f"action of {self.name}", self.action, ACTIONS)
        require_known(f"state of {self.name}", self.state, STATES)
        if self.scenes == "track" or self.track:
            raise UsageError(f"{self.name} plays a track; only the card track1,tracks=FOLDER can")

    @property
    def rules(self) -> dict[str, Any]:
        """The fields that change a score; MuJoCo's own multisampling is not part of the hash."""
        rules = super().rules
        if self.multisampling:
            del rules["multisampling"]
        return rules

    def task_limit(self, benchmark: str, task: str) -> int:
        """Return the step limit of a task."""
        return self.task_steps.get(task, self.limit(benchmark))

    def shortened(self, benchmark: str, steps: int) -> Self:
        """Return the protocol with this step limit for every task."""
        return replace(super().shortened(benchmark, steps), task_steps={})

    def views(self, task: str) -> dict[str, str]:
        """Return upstream's camera for each role in a task."""
        return dict(self.cameras) | dict(self.task_cameras.get(task, {}))

    def env_spec(self, task: str) -> EnvSpec:
        """Return the cameras and layouts of a task."""
        cameras = dict.fromkeys(self.views(task), self.camera_size)
        return EnvSpec(cameras, STATES[self.state], ACTIONS[self.action])

    def scene(self, task: str, episode: int, seed: int) -> Scene:
        """Return the scene of an episode; it depends on the arguments alone.

        Raises:
            UsageError: The track file is missing, has changed, or lacks the episode.
        """
        if self.track:
            return self._file().scene(task, episode)
        # Importing the assets takes longer than listing every benchmark.
        from benchmarks.vlabench.random_scenes import draw_scene

        key = (int(self.rehearsal), list(catalog.TASKS).index(task), seed, episode)
        return draw_scene(task, self.scenes == "seen", np.random.default_rng(key))

    def require_task(self, task: str) -> None:
        """Refuse a task without episodes in the track.

        Raises:
            UsageError: The track has none, or its file is missing.
        """
        if self.track:
            self._file().scene(task, 0)

    def _file(self) -> Track:
        file = load_track(self.track, Path(self.folder)) if self.folder else None
        if file is None:
            raise _missing_track(self.track, self.folder)
        if file.digest != self.track_sha256:
            raise UsageError(f"{file.path} has changed since the run was planned; start a new run")
        return file


def protocols(folder: str = "") -> dict[str, LiteProtocol]:
    """Return the cards by short name.

    Args:
        folder: The folder of the track files; by default that of VLABENCH_TRACKS.
    """
    folder = folder or os.environ.get(TRACKS_VARIABLE, "")
    return _protocols(str(Path(folder).expanduser().absolute()) if folder else "")


def find_protocol(short: str, options: Mapping[str, str]) -> LiteProtocol:
    """Return a card by its short name.

    Args:
        short: The short name.
        options: Only ``tracks``, the folder of the track files.

    Raises:
        UsageError: The card or an option is unknown, the option is given for a card without a
            track, or the track's file is missing.
    """
    for option in options:
        require_known(f"option of the protocols of {FAMILY}", option, OPTIONS)
    folder = options.get("tracks", "")
    cards = protocols(folder)
    require_known(f"protocol of {FAMILY}", short, cards)
    card = cards[short]
    if folder and not card.track:
        known = " ".join(f"track{number}" for number in TRACKS)
        raise UsageError(f"{card.name} plays no track; leave out tracks={folder}, or use {known}")
    if card.track and not card.track_sha256:
        raise _missing_track(card.track, card.folder)
    return card


def _missing_track(number: int, folder: str) -> UsageError:
    """Return the error for a track whose file is not in the folder; empty for no folder."""
    if folder and not Path(folder).is_dir():
        return UsageError(f"the folder of VLABench's tracks does not exist: {folder}")
    where = f"{folder} has no" if folder else f"{FAMILY}/track{number} needs"
    return UsageError(
        f"{where} {file_name(number)}; it is in VLABench's repository in "
        f"configs/evaluation/tracks: use --protocol track{number},tracks=FOLDER or set "
        f"{TRACKS_VARIABLE}"
    )


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
        "As openpi, with targets from upstream's unseen set, as in track 2.",
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
            "camera_size": "Ours: the image size of the bundled policies.",
            "shadow_size": "Ours, for speed: shadows need a second rendering from the light.",
        },
        camera_size=(128, 128),
        shadow_size=0,
    )
    cards["quick"] = _variant(
        cards["small"],
        "quick",
        "As small, without multisampling: an image costs half the time.",
        {
            "multisampling": "Ours, for speed: edges are jagged, and things look the same "
            "(docs/vlabench.md)."
        },
        multisampling=False,
    )
    for number in TRACKS:
        cards[f"track{number}"] = _of_track(openpi, number, folder)
    return cards


def _variant(
    card: LiteProtocol, short: str, summary: str, sources: Mapping[str, str], **changes: Any
) -> LiteProtocol:
    """Return a card that differs in some fields; `sources` has an entry for each of them."""
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
    where = f"VLABench@47b04bf configs/evaluation/tracks/{file_name(number)}"
    here = "" if file else f"; needs upstream's file: track{number},tracks=FOLDER"
    return _variant(
        card,
        f"track{number}",
        f"As openpi, with the scenes and instructions of track {TRACKS[number]}{here}.",
        {"scenes": where, "track": where, "track_sha256": "The installed file."},
        scenes="track",
        track=number,
        track_sha256=file.digest if file else "",
        folder=folder,
    )

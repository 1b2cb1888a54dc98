"""Plays recorded actions again, to check a record or to make a video of it."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.ablation import Ablation
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import StorageError
from harness.contracts.record import EpisodeRecord
from harness.contracts.setup import BenchmarkSetup
from harness.play.rollout import finish_episode
from harness.play.worker import SimulatorCache
from harness.runs.folder import Run
from harness.runs.plan import BenchmarkRequest, Plan, resolve
from harness.runs.protocols import with_kept_card

FrameSink = Callable[[NDArray[np.uint8]], None]


class Replayer:
    """Replays episodes in this process and keeps the simulator of the last task."""

    def __init__(self) -> None:
        """Start without a simulator."""
        self._simulators = SimulatorCache()

    def play(
        self, setup: BenchmarkSetup, run: Run, record: EpisodeRecord, video: Path | None
    ) -> list[str]:
        """Replay an episode; write a video if a file is named.

        Returns:
            The fields that differ from the record; none if it is reproduced.
        """
        env = self._simulators.get(setup, record.spec.task)
        if video is None:
            return replay_episode(run, record, setup, env)
        with video_file(video, env) as show:
            return replay_episode(run, record, setup, env, show)

    def close(self) -> None:
        """Close the simulator."""
        self._simulators.close()


def recorded_setup(run: Run, record: EpisodeRecord) -> BenchmarkSetup:
    """Return the benchmark and protocol of an episode of a run.

    Raises:
        UsageError: The protocol or the simulator differs from the record's.
    """
    spec = record.spec
    protocol = with_kept_card(run.path, spec.protocol)
    request = BenchmarkRequest(spec.benchmark, (spec.task,), protocol)
    return resolve(Plan((), (request,), spec.episode + 1, spec.seed)).setups[0]


def replay_episode(
    run: Run,
    record: EpisodeRecord,
    setup: BenchmarkSetup,
    env: BenchmarkEnv,
    show: FrameSink | None = None,
) -> list[str]:
    """Play an episode's actions again.

    Returns:
        The fields that differ from the record; none if it is reproduced.
    """
    spec, ablation = record.spec, Ablation(record.spec, setup.instructions)
    actions = run.actions(spec.key)
    outcome = env.begin(spec.episode, spec.seed)
    for action in actions:
        if show:
            show(_frame(env))
        outcome = env.advance(action)
    if show:
        show(_frame(env))
    again = finish_episode(env, ablation, outcome, list(actions), record.reason).record
    before, after = record.deterministic(), again.deterministic()
    return [
        f"{name}: recorded {before[name]}, replayed {after[name]}"
        for name in before
        if before[name] != after[name]
    ]


@contextmanager
def video_file(path: Path, env: BenchmarkEnv) -> Iterator[FrameSink]:
    """Open an mp4 file that browsers play; yield the function that adds a frame.

    Raises:
        StorageError: The disk is full or gone.
    """
    import imageio.v2 as imageio

    partial = path.with_suffix(".partial.mp4")
    with _storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        writer: Any = imageio.get_writer(
            partial, fps=env.metadata["render_fps"], codec="libx264", quality=7, macro_block_size=2
        )

    def show(frame: NDArray[np.uint8]) -> None:
        with _storing(path):
            writer.append_data(frame)

    try:
        yield show
    finally:
        with _storing(path):
            writer.close()
    with _storing(path):
        # FFmpeg writes this part last, and imageio does not say when it failed.
        if b"moov" not in partial.read_bytes():
            raise OSError(errno.ENOSPC, "the video is incomplete; the disk may be full")
        partial.replace(path)


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error).partition("\n")[0]
        raise StorageError(f"cannot write {path}: {why}") from error


def _frame(env: BenchmarkEnv) -> NDArray[np.uint8]:
    """Return all cameras side by side."""
    images = env.observe()["image"]
    return np.concatenate([images[role] for role in env.cameras], axis=1)

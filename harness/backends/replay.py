"""Plays recorded actions again: to check a record, and to film it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageio.v2 as imageio
import numpy as np
from numpy.typing import NDArray

from harness.contracts.ablation import Control
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import UsageError
from harness.contracts.record import EpisodeRecord
from harness.play.rollout import finish_episode
from harness.play.worker import Simulators
from harness.runs.folder import Run
from harness.runs.plan import BenchmarkRequest, Cell, Plan, resolve

if TYPE_CHECKING:
    from harness.backends.ray.remote_replayer import RemoteReplayer

FrameSink = Callable[[NDArray[np.uint8]], None]


class Replayer:
    """Plays recorded episodes again in this process, and keeps the last task's simulator."""

    def __init__(self) -> None:
        """Start with no simulator."""
        self._simulators = Simulators()

    def play(self, cell: Cell, run: Run, record: EpisodeRecord, video: Path | None) -> list[str]:
        """Play an episode's actions again, and film it if a file is named.

        Returns:
            The fields that came out different; none means that the record is reproduced.
        """
        env = self._simulators.get(cell, record.spec.task)
        if video is None:
            return replay_episode(run, record, cell, env)
        with video_file(video, env) as show:
            return replay_episode(run, record, cell, env, show)

    def close(self) -> None:
        """Give the simulator back."""
        self._simulators.close()


class Replayers:
    """Plays recorded episodes again, each in the Python environment that plays its benchmark."""

    def __init__(self) -> None:
        """Start with the one that works here."""
        self._here = Replayer()
        self._apart: dict[str, RemoteReplayer] = {}

    def play(
        self, cell: Cell, run: Run, record: EpisodeRecord, video: Path | None = None
    ) -> list[str]:
        """Play one as `Replayer.play` does."""
        if cell.family.venv is None:
            return self._here.play(cell, run, record, video)
        interpreter = str(cell.family.venv.interpreter)
        if interpreter not in self._apart:
            from harness.backends.ray.remote_replayer import RemoteReplayer

            self._apart[interpreter] = RemoteReplayer(interpreter)
        return self._apart[interpreter].play(cell, run, record, video)

    def close(self) -> None:
        """Give everything back."""
        self._here.close()
        # The first one may have started the Ray that the others use.
        for replayer in reversed(self._apart.values()):
            replayer.close()


def cell_of(record: EpisodeRecord) -> Cell:
    """Return where a recorded episode was played, if it can be played here.

    Raises:
        UsageError: The protocol or the simulator is not the one of the record.
    """
    spec = record.spec
    short = spec.protocol.partition("@")[0].partition("/")[2]
    request = BenchmarkRequest(spec.benchmark, (spec.task,), short)
    cell = resolve(Plan((), (request,), spec.episode + 1, spec.seed)).cells[0]
    if cell.protocol.label != spec.protocol:
        raise UsageError(
            f"the episode ran under {spec.protocol}; here it would run under "
            f"{cell.protocol.label} ({cell.protocol.rules.get('simulator')})"
        )
    require_single(cell)
    return cell


def require_single(cell: Cell) -> None:
    """Refuse to replay what depends on the episodes that were played beside it.

    Raises:
        UsageError: The protocol plays in batches.
    """
    if cell.protocol.batch > 1:
        raise UsageError(
            f"{cell.protocol.name} plays {cell.protocol.batch} episodes together; "
            f"one of them alone cannot be replayed or filmed"
        )


def replay_episode(
    run: Run, record: EpisodeRecord, cell: Cell, env: BenchmarkEnv, show: FrameSink | None = None
) -> list[str]:
    """Play an episode's actions again and compare what follows with its record.

    Returns:
        The fields that came out different; none means that the record is reproduced.
    """
    spec, control = record.spec, Control(record.spec, cell.instructions)
    actions = run.actions(spec.key)
    outcome = env.begin(spec.episode, spec.seed)
    for action in actions:
        if show:
            show(_frame(env))
        outcome = env.advance(action)
    if show:
        show(_frame(env))
    state = env.state_bytes()
    again = finish_episode(env, control, outcome, list(actions), record.reason, state).record
    before, after = record.deterministic(), again.deterministic()
    return [
        f"{name}: recorded {before[name]}, replayed {after[name]}"
        for name in before
        if before[name] != after[name]
    ]


@contextmanager
def video_file(path: Path, env: BenchmarkEnv) -> Iterator[FrameSink]:
    """Open an mp4 that any browser plays, and give what takes its frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.mp4")
    writer: Any = imageio.get_writer(
        partial, fps=env.metadata["render_fps"], codec="libx264", quality=7, macro_block_size=2
    )
    with writer:
        yield writer.append_data
    partial.replace(path)


def _frame(env: BenchmarkEnv) -> NDArray[np.uint8]:
    """Return all cameras side by side."""
    images = env.observe()["image"]
    return np.concatenate([images[role] for role in env.cameras], axis=1)

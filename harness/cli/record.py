"""The command `record`."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.codes import EXIT_INCOMPLETE, EXIT_INTERRUPTED
from harness.cli.output import notes
from harness.cli.run import require_at_least
from harness.contracts.errors import RunStopped, UsageError

if TYPE_CHECKING:
    from harness.demonstrations.recorder import Recorder
    from harness.runs.evaluate import Backend, View


@dataclass(kw_only=True)
class RecordCommand:
    """Record demonstrations of a benchmark's scripted expert. The same command again continues."""

    benchmark: str
    """The benchmark, or one task as benchmark/task."""
    out: Path
    """The data set's folder."""
    episodes: int = 200
    """Demonstrations of each task. Only episodes that succeed count."""
    tasks: tuple[str, ...] = ()
    """Task numbers or names. Default: all tasks."""
    protocol: str = ""
    """The protocol card, for observations and actions. Default: the benchmark's own."""
    cameras: tuple[str, ...] = ()
    """Cameras to record, e.g. main wrist. Default: none."""
    every: int = 1
    """Record images at step 0 and then every so many steps, with a phase for each episode."""
    perturbations: float = 0.0
    """The share of steps at which a random perturbation of the robot begins, e.g. 0.05. The data
    then show how to recover from errors."""
    pixels: int = 0
    """Height and width of the recorded images, resized as policies do. Choose the size that the
    policy takes, e.g. 128. Default: the camera's size."""
    first_frames: int = 0
    """Record only so many steps of each episode, whether or not it succeeds: many scenes in little
    time, as an addition to whole demonstrations. Default: whole episodes."""
    after: str = ""
    """A trained policy that plays first, e.g. vla:checkpoints/libero/regression. The expert is
    recorded from a random step on: how to recover from the policy's own errors."""
    after_steps: int = 100
    """The most steps that the policy of --after plays."""
    workers: int = 0
    """Environment actors on Ray, one core each. 0 records in this process."""

    def __call__(self) -> int:
        """Play the missing episodes and write the data set."""
        recorder = self._recorder()
        try:
            summary = recorder.record(self._backend(), self._view, max(1, self.workers))
        except (KeyboardInterrupt, RunStopped) as stop:
            why = str(stop) or "interrupted"
            notes().print(f"\n{why}; run the same command again to continue", markup=False)
            return EXIT_INCOMPLETE if isinstance(stop, RunStopped) else EXIT_INTERRUPTED
        if summary is None:
            notes().print("some episodes ended in errors; run the same command again", style="red")
            return EXIT_INCOMPLETE
        print(summary)
        return 0

    def _recorder(self) -> "Recorder":
        for name in ("episodes", "every", "after_steps"):
            require_at_least(name, getattr(self, name), 1)
        for name in ("pixels", "first_frames", "workers"):
            require_at_least(name, getattr(self, name), 0)
        if not 0 <= self.perturbations <= 0.5:
            raise UsageError(f"--perturbations must be from 0 to 0.5, got {self.perturbations}")
        from harness.demonstrations.recorder import Recorder
        from harness.demonstrations.settings import RecordingSettings
        from harness.runs.plan import BenchmarkRequest

        settings = RecordingSettings(
            cameras=self.cameras,
            every=self.every,
            perturbations=self.perturbations,
            pixels=self.pixels,
            first_frames=self.first_frames,
            after=self.after,
            after_steps=self.after_steps,
        )
        request = BenchmarkRequest(self.benchmark, self.tasks, self.protocol)
        return Recorder(request, settings, self.out, self.episodes)

    def _backend(self) -> "Backend":
        if self.workers == 0:
            from harness.backends.inline import run_inline

            return run_inline
        from harness.backends.ray.backend import run_ray
        from harness.backends.ray.options import RayOptions

        return partial(run_ray, options=RayOptions(workers=self.workers))

    def _view(self) -> AbstractContextManager["View"]:
        from harness.cli.progress import ProgressView, UnscoredView

        return UnscoredView(notes()) if self.first_frames else ProgressView(notes())

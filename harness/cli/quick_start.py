"""The command `quick-start`."""

from dataclasses import dataclass
from pathlib import Path

from harness.cli.run import RunCommand, Videos
from harness.runs.plan import BenchmarkRequest, Plan

QUICK_START = Plan(
    policies=tuple(f"vla:checkpoints/maniskill/{h}" for h in ("e0", "flow", "fast", "masked")),
    benchmarks=(
        BenchmarkRequest(
            "maniskill_rdt", tasks=("PushCube-v1", "PickCube-v1"), protocol="rdt-small"
        ),
    ),
    episodes=5,
)
LONGER = Path("results/action-heads/maniskill/tables")
"""What these and other checkpoints gave over more episodes: `maniskill.md` and `heads.md`."""


@dataclass(kw_only=True)
class QuickStart:
    """The quick start: four small policies on two tasks of ManiSkill, in minutes."""

    out: Path = Path("results/quick-start")
    """The run's folder."""
    video: Videos = "none"
    """Which episodes to film afterwards."""
    workers: int = 2
    """Environment actors on Ray, each using one core; 0 runs the episodes in this process."""

    def __call__(self) -> int:
        """Run the plan that is built in, and show a longer run's table beside it."""
        code = RunCommand(workers=self.workers, out=self.out, video=self.video).carry_out(
            QUICK_START
        )
        if code == 0:
            print(f"A longer run, with other action heads ({LONGER}, docs/action-heads.md):")
            for name in ("maniskill.md", "heads.md"):
                print("\n" + (LONGER / name).read_text())
        return code

"""The command `quick-start`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.film import Videos
from harness.cli.run import RunCommand
from harness.cli.shipped import shipped

if TYPE_CHECKING:
    from harness.runs.plan import Plan

_HEADS = ("e0", "flow", "fast", "masked")
_TASKS = ("PushCube-v1", "PickCube-v1")
_EPISODES = 5
LONGER_RUN = "results/action-heads/maniskill/tables"
"""Results of all action heads over more episodes: `maniskill.md` and `heads.md`."""


@dataclass(kw_only=True)
class QuickStart:
    """Evaluate four small policies on two tasks of ManiSkill. This takes a few minutes."""

    out: Path = Path("results/quick-start")
    """The run's folder."""
    video: Videos = "none"
    """Episodes to film after the run, by replaying their actions."""
    workers: int = 2
    """Environment actors on Ray, one core each. 0 runs the episodes in this process."""

    def __call__(self) -> int:
        """Run the built-in plan and print reference results beside it."""
        command = RunCommand(workers=self.workers, out=self.out, video=self.video)
        code = command.run(quick_start_plan())
        if code == 0:
            tables = shipped(LONGER_RUN)
            print(f"Reference: more heads and episodes ({tables}, docs/action-head-results.md):")
            for name in ("maniskill.md", "heads.md"):
                print("\n" + (tables / name).read_text(encoding="utf-8"))
        return code


def quick_start_plan() -> "Plan":
    """Return the built-in plan."""
    from harness.runs.plan import BenchmarkRequest, Plan

    return Plan(
        policies=tuple(f"vla:{shipped(f'checkpoints/maniskill/{head}')}" for head in _HEADS),
        benchmarks=(BenchmarkRequest("maniskill_rdt", _TASKS, "rdt-small"),),
        episodes=_EPISODES,
    )

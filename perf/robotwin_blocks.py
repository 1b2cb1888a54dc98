"""Measures the CPU time of RoboTwin's tasks with blocks: a scene, an action, images, the expert.

    .venv/share/assay/envs/robotwin/bin/python perf/robotwin_blocks.py --tasks stack_blocks_two

It runs in RoboTwin's virtual environment. The times are means over the expert's episode in the
first verified scene of each task. The last line is one JSON object.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

from benchmarks.robotwin.catalog import BLOCKS
from benchmarks.robotwin.env import RoboTwinEnv
from benchmarks.robotwin.protocol import protocols
from perf.task_costs import CpuClock, print_rows

IMAGES = 3


def measure(task: str, limit: int) -> dict[str, Any]:
    """Return the costs of one task."""
    env, clock = RoboTwinEnv("robotwin_blocks", task, protocols()["blocks"]), CpuClock()
    env.begin(0, 7)
    env.observe()  # The first rendering compiles shaders.
    outcome = clock.measure("build", lambda: env.begin(0, 7))
    for _ in range(IMAGES):
        clock.measure("three_images", env.observe)
        clock.measure("main_image", lambda: env.observe(("main",)))
    expert = env.expert()
    assert expert is not None
    while not outcome.success and env.steps < min(limit, env.max_steps):
        action = clock.measure("expert", expert.act)
        outcome = clock.measure("action", lambda action=action: env.advance(action))  # type: ignore[misc]
    env.close()
    return clock.milliseconds() | {
        "expert_episode_s": round(clock.seconds["expert"], 2),
        "actions_episode_s": round(clock.seconds["action"], 2),
        "steps": env.steps,
        "success": outcome.success,
    }


def main() -> None:
    """Measure every task and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=list(BLOCKS))
    parser.add_argument("--limit", type=int, default=10_000, help="most actions of an episode")
    options = parser.parse_args()
    print_rows("robotwin_blocks", options.tasks, lambda task: measure(task, options.limit))


if __name__ == "__main__":
    main()

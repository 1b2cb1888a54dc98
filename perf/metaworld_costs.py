"""Measures the CPU time of Meta-World: building an episode, a step, the expert and an image.

    python perf/metaworld_costs.py [--tasks drawer-open-v3 ...] [--steps 100]

The image is that of each protocol card. The times are means in this process. The last line is one
JSON object.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

from benchmarks.metaworld.catalog import SUITES, TASKS
from benchmarks.metaworld.env import MetaWorldEnv
from benchmarks.metaworld.protocol import protocols
from perf.task_costs import CpuClock, print_rows

IMAGES = 8


def measure(task: str, steps: int) -> dict[str, Any]:
    """Return the costs of one task."""
    clock = CpuClock()
    for name, card in protocols().items():
        env = MetaWorldEnv("metaworld_mt50", TASKS[task], card)
        env.begin(0, 7)
        if name == "lerobot":
            clock.repeat("build", 5, lambda env=env: env.begin(0, 7))  # type: ignore[misc]
            idle, expert = env.idle_action, env.expert()
            clock.repeat("step", steps, lambda env=env, idle=idle: env.advance(idle))  # type: ignore[misc]
            clock.repeat("expert", steps, expert.act)
        env.observe()
        clock.repeat(f"image_{name}", IMAGES, lambda env=env: env.observe())  # type: ignore[misc]
        env.close()
    return clock.milliseconds()


def main() -> None:
    """Measure every task and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=list(SUITES["metaworld_mt10"]))
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    print_rows("metaworld", options.tasks, lambda task: measure(task, options.steps))


if __name__ == "__main__":
    main()

"""Measures the CPU time of VLABench lite: building an episode, a step, the expert and an image.

    python perf/vlabench.py [--tasks select_poker ...] [--steps 30]

Images are rendered without shadows and with shadow maps of several sizes, which cost the most. The
times are means in this process. The last line is one JSON object.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

from benchmarks.vlabench.catalog import SUITES, TASKS
from benchmarks.vlabench.env import LiteEnv
from benchmarks.vlabench.protocol import protocols
from perf.task_costs import CpuClock, print_rows

SHADOWS = (0, 1024, 8192)
"""No shadows, the size of the protocol cards, and upstream's size."""
IMAGES = 8


def measure(task: str, steps: int) -> dict[str, Any]:
    """Return the costs of one task."""
    card, clock = protocols()["openpi"], CpuClock()
    env = LiteEnv("vlabench_lite", TASKS[task], card)
    clock.repeat("build", 3, lambda: env.begin(0, 7))
    idle, expert = env.idle_action, env.expert()
    clock.repeat("step", steps, lambda: env.advance(idle))
    clock.repeat("expert", steps, expert.act)
    env.close()
    for size in SHADOWS:
        shaded = LiteEnv("vlabench_lite", TASKS[task], replace(card, shadow_size=size))
        shaded.begin(0, 7)
        clock.repeat(f"image_shadows_{size}", IMAGES, lambda env=shaded: env.observe(["main"]))  # type: ignore[misc]
        shaded.close()
    found = clock.milliseconds()
    plain = found["image_shadows_0_ms"]
    ratios = {
        f"shadows_{size}_ratio": round(found[f"image_shadows_{size}_ms"] / plain, 2)
        for size in SHADOWS[1:]
    }
    return found | ratios


def main() -> None:
    """Measure every task and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=list(SUITES["vlabench_lite"]))
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    print_rows("vlabench_lite", options.tasks, lambda task: measure(task, options.steps))


if __name__ == "__main__":
    main()

"""Milliseconds of VLABench lite: building an episode, a step, a picture, and asking the expert.

    python perf/vlabench.py [--tasks select_poker ...] [--steps 30]

CPU time in one process. Pictures are drawn with shadow maps of several sizes, in turns, since these
cost most; their ratios are to no shadows. The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

from benchmarks.vlabench.catalog import SUITES, TASKS
from benchmarks.vlabench.env import LiteEnv
from benchmarks.vlabench.protocol import protocols

SHADOWS = (0, 1024, 2048, 8192)
PICTURES = 8


def milliseconds(count: int, action: Callable[[], object]) -> float:
    """Return the CPU time of one call, after one that is not counted."""
    action()
    start = time.process_time()
    for _ in range(count):
        action()
    return round(1000 * (time.process_time() - start) / count, 2)


def measure(task: str, steps: int) -> dict[str, Any]:
    """Return what one task costs."""
    card = protocols()["openpi"]
    env = LiteEnv("vlabench_lite", TASKS[task], card)
    found: dict[str, Any] = {"build": milliseconds(3, lambda: env.begin(0, 7))}
    idle = env.idle_action
    found["step"] = milliseconds(steps, lambda: env.advance(idle))
    expert = env.expert()
    found["expert"] = milliseconds(steps, expert.act)
    env.close()
    for size in SHADOWS:
        shaded = LiteEnv("vlabench_lite", TASKS[task], replace(card, shadow_size=size))
        shaded.begin(0, 7)
        look = milliseconds(PICTURES, lambda env=shaded: env.observe(["main"]))  # type: ignore[misc]
        found[f"picture, shadows {size}"] = look
        shaded.close()
    plain = found[f"picture, shadows {SHADOWS[0]}"]
    for size in SHADOWS[1:]:
        found[f"shadows {size} / none"] = round(found[f"picture, shadows {size}"] / plain, 2)
    found["picture / step"] = round(found["picture, shadows 1024"] / found["step"], 2)
    return found


def main() -> None:
    """Measure some tasks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=list(SUITES["vlabench_lite"]))
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    result = {}
    for task in options.tasks:
        result[task] = measure(task, options.steps)
        print(task, result[task], flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""Seconds of RoboTwin's tasks with blocks: building a scene, an action, pictures and the expert.

    .venv/share/assay/envs/robotwin/bin/python perf/robotwin_blocks.py --tasks stack_blocks_two

It runs in RoboTwin's own Python. CPU time in one process, means over the expert's episode in the
first verified scene of each task. The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

from benchmarks.robotwin.catalog import BLOCKS
from benchmarks.robotwin.env import RoboTwinEnv
from benchmarks.robotwin.protocol import protocols

Value = TypeVar("Value")
LOOKS = 3


class Clock:
    """Adds up the CPU time of what it is handed."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.seconds: dict[str, float] = {}
        self._calls: dict[str, int] = {}

    def measure(self, name: str, action: Callable[[], Value]) -> Value:
        """Call something and add its time to a name."""
        start = time.process_time()
        value = action()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
        self._calls[name] = self._calls.get(name, 0) + 1
        return value

    def means(self) -> dict[str, float]:
        """Return the seconds of one call of each."""
        return {name: round(total / self._calls[name], 4) for name, total in self.seconds.items()}


def measure(task: str, limit: int) -> dict[str, float | bool]:
    """Return what one task costs."""
    env = RoboTwinEnv("robotwin_blocks", task, protocols()["blocks"])
    env.begin(0, 7)
    env.observe()  # The first one compiles shaders.
    clock = Clock()
    outcome = clock.measure("begin", lambda: env.begin(0, 7))
    for _ in range(LOOKS):
        clock.measure("three pictures", env.observe)
        clock.measure("main picture", lambda: env.observe(("main",)))
    expert = env.expert()
    assert expert is not None
    while not outcome.success and env.steps < min(limit, env.max_steps):
        action = clock.measure("expert", expert.act)
        outcome = clock.measure("action", lambda action=action: env.advance(action))  # type: ignore[misc]
    found = clock.means()
    env.close()
    return found | {
        "expert, episode": round(clock.seconds["expert"], 2),
        "actions, episode": round(clock.seconds["action"], 2),
        "three pictures / action": round(found["three pictures"] / found["action"], 2),
        "steps": env.steps,
        "success": outcome.success,
    }


def main() -> None:
    """Measure some tasks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=list(BLOCKS))
    parser.add_argument("--limit", type=int, default=10_000, help="actions of an episode at most")
    options = parser.parse_args()
    result = {}
    for task in options.tasks:
        result[task] = measure(task, options.limit)
        print(task, result[task], flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

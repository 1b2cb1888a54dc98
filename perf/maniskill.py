"""Steps a second of ManiSkill through the adapter, against a bare loop over `gym.make`.

    python perf/maniskill.py [--tasks PushCube-v1 StackCube-v1] [--repeats 3]

The same task, robot, cameras and actions in one process, in turns of eight steps, by CPU time:
state observations at every step, pictures of all sensor cameras at every step, and pictures at
every eighth step, which the bare loop cannot do. The last line is one JSON object; a ratio above 1
means that the adapter is the faster one.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

import gymnasium
import numpy as np
from numpy.typing import NDArray

from benchmarks.maniskill import catalog
from benchmarks.maniskill.env import ManiSkillEnv
from benchmarks.maniskill.protocol import protocols

BUDGET = 0.95
"""Of the bare loop's speed, what the adapter must reach at least."""
STEPS = {"state": 400, "pictures": 40}
REPLAN = 8
TURN = 8
"""Steps that a loop makes before it is the next one's turn."""


def actions(env: ManiSkillEnv, count: int) -> NDArray[np.float32]:
    """Return small motions around where the robot stands."""
    space: Any = env.action_space
    noise = np.random.default_rng(0).normal(0, 0.05, (count, *space.shape))
    return np.clip(env.idle_action + noise, space.low, space.high).astype(np.float32)


def rates(count: int, loops: Mapping[str, Callable[[int], object]]) -> dict[str, float]:
    """Return each loop's steps a second of CPU time; by taking turns they see the same noise."""
    for step in loops.values():
        for index in range(3):
            step(index)
    taken = dict.fromkeys(loops, 0.0)
    for first in range(0, count, TURN):
        for name, step in loops.items():
            start = time.process_time()
            for index in range(first, first + TURN):
                step(index)
            taken[name] += time.process_time() - start
    return {name: count / seconds for name, seconds in taken.items()}


def measure(task: str, kind: str) -> dict[str, float]:
    """Return the speed of both loops, and of looking at every eighth step."""
    pictures = kind == "pictures"
    cameras = {"main": "base_camera", "wrist": "hand_camera"} if pictures else {}
    protocol = replace(
        protocols()["rdt"], cameras=cameras, camera_size=(128, 128), shader="minimal"
    )
    ours = ManiSkillEnv("maniskill", catalog.tasks()[task], protocol)
    bare = gymnasium.make(
        task,
        obs_mode="rgb" if pictures else "state",
        control_mode=protocol.control_mode,
        reward_mode="none",
        sim_backend="physx_cpu",
        max_episode_steps=10**6,
    )
    count = STEPS[kind]
    ours.begin(0, 7)
    bare.reset(seed=protocol.scene_seed(7, 0))
    wanted = actions(ours, count)

    def on_demand(index: int) -> None:
        if index % REPLAN == 0:
            ours.observe()
        ours.advance(wanted[index])

    loops: dict[str, Callable[[int], object]] = {
        "bare": lambda index: bare.step(wanted[index]),
        "ours": lambda index: ours.step(wanted[index]),
    }
    found = rates(count, loops | ({"ours, every 8th": on_demand} if pictures else {}))
    ours.close()
    bare.close()
    return found


def main() -> None:
    """Measure and compare with the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["PushCube-v1", "StackCube-v1"])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    result: dict[str, Any] = {}
    for task in options.tasks:
        for kind in STEPS:
            rounds = [measure(task, kind) for _ in range(options.repeats)]
            rates = {name: round(median(one[name] for one in rounds), 1) for name in rounds[0]}
            ratios = [one["ours"] / one["bare"] for one in rounds]
            line = {"steps_per_cpu_second": rates, "ratio": round(median(ratios), 3)}
            line["ratios"] = [round(ratio, 3) for ratio in ratios]
            if "ours, every 8th" in rates:
                line["on demand"] = round(rates["ours, every 8th"] / rates["bare"], 1)
            line["within"] = median(ratios) >= BUDGET
            result[f"{task} {kind}"] = line
            print(task, kind, line, flush=True)
    print(json.dumps({"budget": BUDGET} | result))


if __name__ == "__main__":
    main()

"""Measures ManiSkill's steps per second: the adapter against a bare loop over `gym.make`.

    python perf/maniskill.py [--tasks PushCube-v1 ...] [--kinds state images] [--repeats 3]

Both loops have the same task, robot, cameras and actions. They run in one process, alternate every
eight steps, and are measured in CPU time. There are three cases: state observations at every step,
images of all sensor cameras at every step, and images at every eighth step. The bare loop cannot do
the third. Resets, which build the scene anew, are measured too. At the end of the first case, the
states of both simulators must have the same bytes. The last line is one JSON object. A ratio above
1 means that the adapter is faster.
"""

import argparse
import gc
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

TASKS = ["PushCube-v1", "StackCube-v1", "PegInsertionSide-v1", "PlugCharger-v1"]
BUDGET = 0.95
"""The least acceptable ratio of the adapter's speed to the bare loop's."""
STEPS = {"state": 400, "images": 40}
RESETS = 3
REPLAN = 8
TURN = 8
"""Steps of one loop before the other loop continues."""


def actions(env: ManiSkillEnv, count: int) -> NDArray[np.float32]:
    """Return small random motions around the robot's present pose."""
    space: Any = env.action_space
    noise = np.random.default_rng(0).normal(0, 0.05, (count, *space.shape))
    return np.clip(env.idle_action + noise, space.low, space.high).astype(np.float32)


def rates(count: int, loops: Mapping[str, Callable[[int], object]]) -> dict[str, float]:
    """Return each loop's steps per CPU second; the loops alternate, so noise affects them alike."""
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


def reset_ms(reset: Callable[[], object]) -> float:
    """Return the CPU milliseconds of a reset; the first one is not measured."""
    reset()
    start = time.process_time()
    for _ in range(RESETS):
        reset()
    return 1000 * (time.process_time() - start) / RESETS


def first_image(task: str) -> float:
    """Return the CPU seconds of the process's first image, for which SAPIEN makes its tables."""
    env = ManiSkillEnv("maniskill", catalog.tasks()[task], protocols()["rdt-small"])
    env.begin(0, 7)
    start = time.process_time()
    env.observe(["wrist"])
    taken = time.process_time() - start
    env.close()
    return taken


def measure(task: str, kind: str) -> dict[str, float]:
    """Return the speed of both loops and of their resets, and of images at every eighth step.

    Raises:
        RuntimeError: The two simulators are in different states after the same actions.
    """
    images = kind == "images"
    cameras = {"main": "base_camera", "wrist": "hand_camera"} if images else {}
    protocol = replace(
        protocols()["rdt"], cameras=cameras, camera_size=(128, 128), shader="minimal"
    )
    adapter = ManiSkillEnv("maniskill", catalog.tasks()[task], protocol)
    bare = gymnasium.make(
        task,
        obs_mode="rgb" if images else "state",
        control_mode=protocol.control_mode,
        reward_mode="none",
        sim_backend="physx_cpu",
        max_episode_steps=10**6,
    )
    count, seed = STEPS[kind], protocol.scene_seed(7, 0)
    resets = {"adapter": reset_ms(lambda: adapter.begin(0, 7))}
    gc.unfreeze()  # What the adapter set aside is there again in an evaluation without it.
    resets["bare"] = reset_ms(lambda: bare.reset(seed=seed, options={"reconfigure": True}))
    gc.freeze()
    wanted = actions(adapter, count)

    def on_demand(index: int) -> None:
        if index % REPLAN == 0:
            adapter.observe()
        adapter.advance(wanted[index])

    loops: dict[str, Callable[[int], object]] = {
        "bare": lambda index: bare.step(wanted[index]),
        "adapter": lambda index: adapter.step(wanted[index]),
    }
    found = rates(count, loops | ({"adapter_every_8th": on_demand} if images else {}))
    theirs: Any = bare.unwrapped
    if not images and adapter.state_bytes() != theirs.get_state().numpy().tobytes():
        raise RuntimeError(f"{task}: the adapter's state is not ManiSkill's")
    adapter.close()
    bare.close()
    return found | {f"{name}_reset_ms": taken for name, taken in resets.items()}


def main() -> None:
    """Measure every task and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--kinds", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    results = []
    first = first_image(options.tasks[0]) if "images" in options.kinds else None
    for task in options.tasks:
        for kind in options.kinds:
            rounds = [measure(task, kind) for _ in range(options.repeats)]
            found = {name: round(median(one[name] for one in rounds), 1) for name in rounds[0]}
            speeds = {name: one for name, one in found.items() if not name.endswith("_ms")}
            ratios = [one["adapter"] / one["bare"] for one in rounds]
            row = {"task": task, "observations": kind, "steps_per_cpu_second": speeds}
            row |= {name: one for name, one in found.items() if name.endswith("_ms")}
            row |= {"ratio": round(median(ratios), 3)}
            row |= {"ratios": [round(ratio, 3) for ratio in ratios]}
            if "adapter_every_8th" in speeds:
                row |= {"ratio_every_8th": round(speeds["adapter_every_8th"] / speeds["bare"], 1)}
            row |= {"within_budget": median(ratios) >= BUDGET}
            results.append(row)
            print(row, flush=True)
    summary = {"benchmark": "maniskill", "budget": BUDGET, "repeats": options.repeats}
    if first:
        summary["first_image_s"] = round(first, 2)
    print(json.dumps(summary | {"results": results}))


if __name__ == "__main__":
    main()

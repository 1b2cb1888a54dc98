"""Steps a second of ManiSkill's batches on the GPU, against one environment on the CPU.

    python perf/maniskill_gpu.py [--tasks PushCube-v1] [--rounds 10] [--repeats 3]

The same task under `rdt` and `rdt-gpu`, in turns, each in a process of its own: a look at the
states of all environments, or also through the main camera, then eight steps, and so on. By wall
time, since a GPU has no CPU time; the last line is one JSON object, whose ratios above 1 mean that
the batch makes more steps a second, all its environments together. Without a GPU it says why not.
"""

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

import numpy as np

from benchmarks.maniskill import catalog, cuda
from benchmarks.maniskill.protocol import protocols

CARDS = {"single": "rdt", "batched": "rdt-gpu"}
REPLAN = 8


def measure(task: str, card: str, rounds: int) -> dict[str, float]:
    """Return the steps of all environments together a second, after one round to warm up."""
    from benchmarks.maniskill.batch import ManiSkillBatch

    protocol = replace(protocols()[card], camera_size=(128, 128), shader="minimal")
    env = ManiSkillBatch("maniskill", catalog.tasks()[task], protocol)
    rows = list(range(protocol.batch))
    env.begin([(row, 7) for row in rows])
    actions = np.stack([env.idle_action(row) for row in rows])
    found = {}
    for kind, cameras in {"state": [], "pictures": ["main"]}.items():
        start = 0.0
        for index in range(rounds + 1):
            if index == 1:
                start = time.perf_counter()
            env.observe(cameras, rows)
            for _ in range(REPLAN):
                env.advance(actions)
        found[kind] = rounds * REPLAN * len(rows) / (time.perf_counter() - start)
    env.close()
    return found


def compare(task: str, rounds: int, repeats: int) -> dict[str, Any]:
    """Return the speeds of both cards and their ratios."""
    # SAPIEN cannot take back that a process simulates on the GPU.
    fresh = ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1)
    with fresh as pool:
        turns = [
            {
                name: pool.submit(measure, task, card, rounds).result()
                for name, card in CARDS.items()
            }
            for _ in range(repeats)
        ]
    result: dict[str, Any] = {}
    for kind in turns[0]["single"]:
        ratios = [turn["batched"][kind] / turn["single"][kind] for turn in turns]
        result[kind] = {
            "steps_per_second": {n: round(median(t[n][kind] for t in turns), 1) for n in CARDS},
            "ratio": round(median(ratios), 2),
            "ratios": [round(ratio, 2) for ratio in ratios],
        }
    return result


def main() -> None:
    """Measure, or say why not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["PushCube-v1", "StackCube-v1"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    problem = cuda.problem()
    if problem:
        print(problem)
        print(json.dumps({"skipped": problem}))
        return
    found = {task: compare(task, options.rounds, options.repeats) for task in options.tasks}
    print(json.dumps({"batch": protocols()["rdt-gpu"].batch} | found))


if __name__ == "__main__":
    main()

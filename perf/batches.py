"""Measures a checkpoint's answers a second: one by one (exact), and in one batch (fast).

    python perf/batches.py [--checkpoints checkpoints/maniskill/flow ...] [--batches 1 8]
        [--turns 15]

Both ways answer the same queries: random pictures, and states near those of the training data, each
with its own random stream. They run in one process and alternate, with new queries in each turn.
Times are CPU times on one core, with a GPU wall times; rates are medians. The last line is one JSON
object. A ratio of 2 means that a batch gives twice as many answers a second. A difference is of a
number of an action, in units of the scaling with which the checkpoint was trained; answers that
differ by more than 1e-4 count as changed: one of their tokens is another one.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from harness.play.threads import use_one_core

use_one_core()

import numpy as np
import torch
from numpy.typing import NDArray

from harness.contracts.environment import Observation
from harness.contracts.policy import ActionChunk, Query
from policies.learned import LearnedPolicy
from policies.vla.checkpoint import Checkpoint

PIXELS = 128
TEXTS = ("push the cube to the goal", "pick up the red cube and put it on the green cube")


def seconds() -> float:
    """Return this process's CPU time; with a GPU, whose results are copied back, the wall time."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def observed(checkpoint: Checkpoint, seed: int) -> Observation:
    """Return a random observation."""
    rng, state = np.random.default_rng(seed), checkpoint.contract.normalization.state
    shape = (PIXELS, PIXELS, 3)
    return {
        "image": {
            role: rng.integers(0, 256, shape, dtype=np.uint8)
            for role in checkpoint.contract.network.cameras
        },
        "state": (state.centre + rng.normal(size=state.size) * state.span).astype(np.float32),
        "instruction": TEXTS[seed % len(TEXTS)],
    }


def queries(seen: Sequence[Observation]) -> list[Query]:
    """Return a query for each observation; the streams are always the same."""
    return [Query(each, np.random.default_rng(seed)) for seed, each in enumerate(seen)]


def one_by_one(policy: LearnedPolicy, asked: Sequence[Query]) -> Sequence[ActionChunk]:
    """Return the answers, each from a batch of one."""
    return [policy.infer([query])[0] for query in asked]


WAYS: dict[str, Callable[[LearnedPolicy, Sequence[Query]], Sequence[ActionChunk]]] = {
    "exact": one_by_one,
    "fast": LearnedPolicy.infer,
}


def measure(folder: str, batches: Sequence[int], turns: int) -> list[dict[str, Any]]:
    """Measure one checkpoint at every size of a batch."""
    policy, checkpoint = LearnedPolicy(str(ROOT / folder)), Checkpoint.open(ROOT / folder)
    policy.load()
    rows = []
    for batch in batches:
        taken: dict[str, list[float]] = {name: [] for name in WAYS}
        answers: dict[str, list[NDArray[np.float32]]] = {name: [] for name in WAYS}
        for turn in range(turns + 2):
            seen = [observed(checkpoint, turn * batch + row) for row in range(batch)]
            for name, answer in WAYS.items():
                start = seconds()
                answers[name] += answer(policy, queries(seen))
                if turn > 1:  # The first turns warm up.
                    taken[name].append(seconds() - start)
        pairs = zip(taken["exact"], taken["fast"], strict=True)
        span = np.array(checkpoint.contract.normalization.action.span)
        exact, fast = (np.stack(answers[name]) for name in WAYS)
        difference = np.abs(exact - fast) / span
        rows.append(
            {
                "checkpoint": folder,
                "batch": batch,
                **{name: round(batch / median(each), 1) for name, each in taken.items()},
                "ratio": round(median(one / other for one, other in pairs), 2),
                "largest_difference": float(f"{difference.max():.2g}"),
                "changed_answers": round(float((difference > 1e-4).any((1, 2)).mean()), 3),
                "same_bits": bool(np.array_equal(exact, fast)),
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure the checkpoints one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", nargs="+", default=["checkpoints/maniskill/flow"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    rows = [
        row
        for folder in options.checkpoints
        for row in measure(folder, options.batches, options.turns)
    ]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    print(json.dumps({"device": device, "turns": options.turns, "answers_a_second": rows}))


if __name__ == "__main__":
    main()

"""Measures LIBERO's control step: robosuite's loop against our exact one.

    python perf/libero_step.py [--suites libero_object ...] [--tasks 0 1 2 3 4 5 6 7 8 9]
        [--episodes 5] [--steps 150]

Each episode is played by both loops, one after the other, in the same simulator: once by the
scripted expert and once with random actions. CPU time is that of the steps, wait steps included.
Everything that a step gives goes into a hash: the simulator's state, the observed state, the
success, the sub-goals. Equal loops give one hash per episode, two otherwise. The last line is one
JSON object. A ratio of 2 means that robosuite's loop takes twice as long.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

import numpy as np
from numpy.typing import NDArray

from benchmarks.libero import catalog, stepping
from benchmarks.libero.env import LiberoEnv
from benchmarks.libero.protocol import protocols

STANDARD = ["libero_spatial", "libero_object", "libero_goal", "libero_10"]
LOOPS = {"robosuite": stepping.robosuites_own, "ours": stepping.fastest}


class Timed:
    """A loop that adds up the CPU seconds of its steps."""

    def __init__(self, step: stepping.Step) -> None:
        """Wrap a loop."""
        self._step = step
        self.seconds, self.steps = 0.0, 0

    def __call__(self, action: NDArray[Any]) -> tuple[dict[str, Any], bool]:
        """Execute an action."""
        start = time.process_time()
        result = self._step(action)
        self.seconds += time.process_time() - start
        self.steps += 1
        return result


def actions_of(env: LiberoEnv, kind: str, episode: int) -> Iterator[NDArray[np.float32]]:
    """Return the actions of an episode, each computed when it is needed."""
    if kind == "oracle":
        expert = env.expert()
        while True:
            yield expert.act()
    stream = np.random.default_rng(episode)
    while True:
        yield stream.uniform(-1, 1, 7).astype(np.float32)


def play(env: LiberoEnv, loop: str, kind: str, episode: int, steps: int) -> tuple[Timed, str]:
    """Play an episode; return the loop with its time, and a hash of all results."""
    env._step = timed = Timed(LOOPS[loop](env._control))
    seen = hashlib.sha256()
    outcome = env.begin(episode, 7)
    for _, action in zip(range(steps), actions_of(env, kind, episode), strict=False):
        seen.update(env.state_bytes() + env.observe(())["state"].tobytes())
        seen.update(repr(outcome).encode())
        outcome = env.advance(action)
        if outcome.success:
            break
    seen.update(env.state_bytes() + repr(outcome).encode())
    return timed, seen.hexdigest()


def measure(suite: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for the expert's and one for the random actions in a suite."""
    totals = {(kind, loop): [0.0, 0] for kind in ("oracle", "random") for loop in LOOPS}
    equal = dict.fromkeys(("oracle", "random"), 0)
    hashes: dict[str, list[str]] = {kind: [] for kind in equal}
    for task in options.tasks:
        env = LiberoEnv(suite, catalog.suites()[suite][task], protocols()["openpi"])
        play(env, "ours", "random", 0, 2)
        for episode in range(options.episodes):
            for kind in equal:
                digests = set()
                for loop in list(LOOPS)[:: 1 if episode % 2 else -1]:
                    timed, digest = play(env, loop, kind, episode, options.steps)
                    digests.add(digest)
                    totals[kind, loop][0] += timed.seconds
                    totals[kind, loop][1] += timed.steps
                equal[kind] += len(digests) == 1
                hashes[kind].append(" ".join(sorted(each[:16] for each in digests)))
        env.close()
    rows = []
    for kind, count in equal.items():
        ms = {loop: 1000 * totals[kind, loop][0] / totals[kind, loop][1] for loop in LOOPS}
        row = {"suite": suite, "actions": kind, "episodes": len(options.tasks) * options.episodes}
        row |= {"equal": count, "steps": totals[kind, "ours"][1]}
        row |= {f"{loop}_ms": round(value, 2) for loop, value in ms.items()}
        row |= {"ratio": round(ms["robosuite"] / ms["ours"], 2), "hashes": hashes[kind]}
        rows.append(row)
    return rows


def main() -> None:
    """Measure every suite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", nargs="+", default=STANDARD)
    parser.add_argument("--tasks", nargs="+", type=int, default=list(range(10)))
    parser.add_argument("--episodes", type=int, default=5, help="per task")
    parser.add_argument("--steps", type=int, default=150, help="at most, per episode")
    options = parser.parse_args()
    results = []
    for suite in options.suites:
        for row in measure(suite, options):
            results.append(row)
            print({name: value for name, value in row.items() if name != "hashes"}, flush=True)
    mean = float(np.mean([row["ratio"] for row in results]))
    identical = all(row["equal"] == row["episodes"] for row in results)
    print(json.dumps({"identical": identical, "mean_ratio": round(mean, 2), "results": results}))


if __name__ == "__main__":
    main()

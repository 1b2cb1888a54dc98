"""Measures the seconds of a LIBERO episode: rendering on demand against every step.

    python perf/rendering.py [--steps 40] [--suites libero_object ...] [--replans 5 10 20]
        [--repeats 1]

Both play the same random actions in the same simulator, one after the other, and observe at every
`replan`-th step. The only difference is whether the other steps are rendered, too. The last line
is one JSON object. A ratio of 2 means that rendering at every step takes twice as long.
"""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks.libero import catalog
from benchmarks.libero.env import LiberoEnv
from benchmarks.libero.protocol import protocols

STANDARD = ["libero_spatial", "libero_object", "libero_goal", "libero_10"]


def play(env: LiberoEnv, steps: int, replan: int, every_step: bool) -> tuple[float, str]:
    """Play an episode; return its seconds and a hash of its observations and final state."""
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, 7)).astype(np.float32)
    seen = hashlib.sha256()
    start = time.perf_counter()
    env.begin(0, 7)
    for step, action in enumerate(actions):
        if step % replan == 0:
            observation = env.observe()
            seen.update(observation["state"].tobytes())
            for image in observation["image"].values():
                seen.update(image.tobytes())
        elif every_step:
            env.observe()
        env.advance(action)
    seen.update(env.state_bytes())
    return time.perf_counter() - start, seen.hexdigest()


def main() -> None:
    """Measure every suite at every replan length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--suites", nargs="+", default=STANDARD)
    parser.add_argument("--replans", nargs="+", type=int, default=[5, 10, 20])
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    results = []
    for suite in options.suites:
        env = LiberoEnv(suite, catalog.suites()[suite][0], protocols()["openpi"])
        play(env, 2, 1, every_step=True)
        for replan in options.replans:
            pairs = [
                [play(env, options.steps, replan, every_step) for every_step in (False, True)]
                for _ in range(options.repeats)
            ]
            assert len({digest for pair in pairs for _, digest in pair}) == 1
            demand, every = (float(np.median([p[i][0] for p in pairs])) for i in (0, 1))
            ratio = float(np.median([p[1][0] / p[0][0] for p in pairs]))
            row = {"suite": suite, "replan": replan, "ratio": round(ratio, 2)}
            row |= {"on_demand_s": round(demand, 2), "every_step_s": round(every, 2)}
            results.append(row)
            print(row, flush=True)
        env.close()
    summary = {"benchmark": "libero", "steps": options.steps, "repeats": options.repeats}
    print(json.dumps(summary | {"identical": True, "results": results}))


if __name__ == "__main__":
    main()

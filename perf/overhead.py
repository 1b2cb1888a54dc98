"""CPU milliseconds per step that the engine adds to a bare loop over the environment.

    python perf/overhead.py [--episodes 4] [--repeats 3]

The environment has two 256-pixel cameras and no physics, and the policy does not move, so only the
engine costs time. Every figure is the CPU time of this process and its children (Ray's daemons
included) between the end of the first episode and the end of the last, divided by the steps. The
last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from perf import _points

_points.add_to_path()

from assay_points import FilmedEnv

from harness.backends.inline import run_inline
from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.contracts.record import Episode
from harness.runs.plan import BenchmarkRequest, Plan, Work, resolve

STEPS = 1000
"""Of each episode, set by the benchmark's protocols."""
BUDGETS = {
    "inline, chunk 1": 0.05,
    "inline, chunk 10": 0.05,
    "ray, chunk 10": 0.5,
    "ray, chunk 1": 3.0,
}


def work(protocol: str, episodes: int) -> Work:
    """Return the benchmark's episodes under a protocol."""
    request = BenchmarkRequest("points_filmed", ("left",), protocol)
    return resolve(Plan(("still",), (request,), episodes))


def bare(steps: int) -> float:
    """Return the milliseconds of a step of the environment with a look at both cameras."""
    env = FilmedEnv("left", steps)
    env.begin(0, 0)
    start = time.process_time()
    for _ in range(steps):
        env.observe()
        env.advance(env.idle_action)
    return 1000 * (time.process_time() - start) / steps


def slope(episodes: Iterator[Episode]) -> float:
    """Return the CPU milliseconds of a step between the first episode's end and the last's."""
    first = next(episodes)
    cpu, steps = _points.cpu_seconds(), 0
    last = cpu
    for episode in episodes:
        steps += episode.record.steps
        last = _points.cpu_seconds()
    assert first.record.steps == STEPS
    return 1000 * (last - cpu) / steps


def measure(episodes: int) -> dict[str, float]:
    """Return the milliseconds that each backend adds to a step."""
    base = bare(10 * STEPS)
    options = RayOptions(workers=1, replicas=1)
    added = {"bare": base}
    for chunk, protocol in ((1, "every"), (10, "tenth")):
        plan = work(protocol, episodes)
        added[f"inline, chunk {chunk}"] = slope(run_inline(plan, plan.specs, print)) - base
        through_ray = slope(run_ray(plan, plan.specs, print, options=options))
        added[f"ray, chunk {chunk}"] = through_ray - base
    return added


def main() -> None:
    """Measure and compare with the budgets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rounds = []
    for _ in range(options.repeats):
        rounds.append(measure(options.episodes))
        print({name: round(value, 4) for name, value in rounds[-1].items()}, flush=True)
    result = {name: round(median(r[name] for r in rounds), 4) for name in rounds[0]}
    within = {name: result[name] <= budget for name, budget in BUDGETS.items()}
    print(json.dumps({"cpu_ms_per_step": result, "budget": BUDGETS, "within": within}))


if __name__ == "__main__":
    main()

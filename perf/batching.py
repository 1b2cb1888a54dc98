"""Throughput of one policy actor with 1 to 16 environments, against the ideal.

    python perf/batching.py [--environments 1 2 4 8 16] [--episodes 8]

The policy takes 100 ms a call whatever the batch, the environment next to nothing: ideally every
environment gets an answer every 100 ms. `learnt` is the default; `no wait` takes what has arrived.
The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from perf import stand_in

stand_in.on_path()

from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.runs.plan import BenchmarkRequest, Plan, resolve

SECONDS = 0.1
"""Of a call to the stand-in's policy `slow`."""
MODES: dict[str, dict[str, float | int | None]] = {
    "learnt": {},
    "no wait": {"max_batch": 16, "max_wait": 0.0},
}


def answers_per_second(environments: int, episodes: int, mode: str) -> float:
    """Return the rate once all have begun and batches are learnt, and before some are done."""
    request = BenchmarkRequest("points_filmed", ("left",), "forty")
    plan = resolve(Plan(("slow",), (request,), environments * episodes))
    options = RayOptions(workers=environments, replicas=1, **MODES[mode])  # type: ignore[arg-type]
    ends, answers = [], []
    for episode in run_ray(plan, plan.specs, print, options=options):
        ends.append(time.monotonic())
        answers.append(sum(episode.record.batches.values()))
    settled, last = 2 * environments - 1, len(ends) - 3 * environments - 1
    return sum(answers[settled + 1 : last + 1]) / (ends[last] - ends[settled])


def main() -> None:
    """Measure every number of environments in every mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--episodes", type=int, default=8)
    options = parser.parse_args()
    results = []
    for environments in options.environments:
        ideal = environments / SECONDS
        row: dict[str, float] = {"environments": environments, "ideal_per_s": ideal}
        for mode in MODES:
            rate = answers_per_second(environments, options.episodes, mode)
            row[mode] = round(rate / ideal, 3)
        results.append(row)
        print(row, flush=True)
    print(json.dumps({"share_of_ideal": results}))


if __name__ == "__main__":
    main()

"""How LIBERO scales from one worker to two, and what 20,000 episodes cost the driver.

    python perf/scaling.py [--episodes 6] [--repeats 3] [--many 20000]

The first part plays episodes of two LIBERO tasks with one worker and with two in turn, and compares
the steps per second. The policy observes both cameras every ten steps. The second part plays very
short episodes of an environment without physics through the whole engine, log included. It measures
the driver's CPU time and memory ten times on the way. The last line is one JSON object.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from perf import _points

_points.add_to_path()

import psutil
from rich.console import Console

from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.cli.progress import ProgressView
from harness.contracts.record import EpisodeRecord
from harness.runs.evaluate import evaluate
from harness.runs.folder import RunWriter
from harness.runs.plan import BenchmarkRequest, Plan, resolve


def steps_per_second(workers: int, episodes: int) -> float:
    """Return the workers' speeds added up, each from its first finished episode to its last."""
    request = BenchmarkRequest("libero_object", ("0", "1"), "openvla-oft")
    plan = resolve(Plan(("watching",), (request,), episodes))
    ends: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for episode in run_ray(plan, plan.specs, print, options=RayOptions(workers=workers)):
        ends[episode.record.worker].append((time.monotonic(), episode.record.steps))
    assert len(ends) == workers
    return sum(
        sum(steps for _, steps in done[1:]) / (done[-1][0] - done[0][0]) for done in ends.values()
    )


class DriverView(ProgressView):
    """Counts episodes in silence and looks at this process every tenth of the way."""

    def __init__(self, every: int) -> None:
        """Look every so many episodes."""
        super().__init__(Console(quiet=True))
        self._every, self._count_down = every, every
        self._process = psutil.Process()
        self.looks: list[dict[str, float]] = []
        self._cpu = 0.0

    def add(self, record: EpisodeRecord) -> None:
        """Count an episode."""
        super().add(record)
        self._count_down -= 1
        if self._count_down == 0:
            self._count_down = self._every
            times = self._process.cpu_times()
            cpu, self._cpu = times.user + times.system - self._cpu, times.user + times.system
            memory = self._process.memory_info().rss / 2**20
            look = {"cpu_ms_per_episode": round(1000 * cpu / self._every, 3)}
            self.looks.append(look | {"memory_mib": round(memory, 1)})
            print(self.looks[-1], flush=True)


def drive(episodes: int) -> list[dict[str, float]]:
    """Return the driver's CPU milliseconds per episode and its memory, every tenth of the way."""
    request = BenchmarkRequest("points_filmed", ("left", "right"), "short")
    plan = resolve(Plan(("random",), (request,), episodes // 2))
    options = RayOptions(workers=2)
    view = DriverView(episodes // 10)
    with tempfile.TemporaryDirectory() as folder, RunWriter(Path(folder), plan) as run, view:
        assert evaluate(run, plan, lambda *given: run_ray(*given, options=options), view)
        assert len(run.records()) == len(plan.specs)
    return view.looks


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--many", type=int, default=20000)
    options = parser.parse_args()
    result: dict[str, Any] = {}
    if options.repeats:
        pairs = []
        for _ in range(options.repeats):
            pairs.append([steps_per_second(workers, options.episodes) for workers in (1, 2)])
            print({"steps_per_s": [round(speed, 1) for speed in pairs[-1]]}, flush=True)
        efficiency = median(two / (2 * one) for one, two in pairs)
        result["libero"] = {"efficiency": round(efficiency, 3), "steps_per_s": pairs}
    if options.many:
        looks = drive(options.many)
        last, early = looks[-1], looks[1]
        result["driver"] = {
            "looks": looks,
            "cpu_ratio": round(last["cpu_ms_per_episode"] / early["cpu_ms_per_episode"], 2),
            "memory_growth_mib": round(last["memory_mib"] - early["memory_mib"], 1),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

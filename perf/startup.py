"""CPU seconds until a command has answered, and until a run's first step.

    python perf/startup.py [--repeats 5] [--runs 3] [--trees . OTHER_CHECKOUT]

Each command runs in a new process. A run is `run --workers 2` of one episode with one step: a
benchmark without physics, LIBERO with a scripted policy, ManiSkill with a checkpoint. Every figure
is a median. CPU time counts all processes, Ray's too; wall times are as noisy as the machine. The
runs of several checkouts alternate. The last line is one JSON object.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from perf._first_step import ROOT, RUNS, launch

COMMANDS: dict[str, tuple[list[str], float | None]] = {
    "--help": (["run_eval.py", "--help"], 0.5),
    "run --help": (["run_eval.py", "run", "--help"], 0.5),
    "list benchmarks": (["run_eval.py", "list", "benchmarks"], 0.8),
    "list policies": (["run_eval.py", "list", "policies"], 0.8),
    "import assay": (["-c", "import assay"], 0.8),
}
"""What Python is given, and the budget in CPU seconds."""


def cpu_seconds(arguments: list[str]) -> float:
    """Return the CPU seconds of one run of Python."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def medians(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of every number; one that is missing counts as 0."""
    names = dict.fromkeys(name for one in measured for name in one)
    return {
        name: medians([one.get(name, {}) for one in measured])
        if any(isinstance(one.get(name), dict) for one in measured)
        else round(median(one.get(name, 0) for one in measured), 2)
        for name in names
    }


def main() -> None:
    """Measure every command and every run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="of each command")
    parser.add_argument("--runs", type=int, default=3, help="of each run")
    parser.add_argument("--only", nargs="+", default=list(RUNS), choices=RUNS)
    parser.add_argument("--trees", nargs="+", type=Path, default=[ROOT], help="checkouts")
    options = parser.parse_args()
    commands = {
        name: round(median(cpu_seconds(arguments) for _ in range(options.repeats)), 2)
        for name, (arguments, _) in COMMANDS.items()
        if options.repeats
    }
    launches: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in options.only:
        for _ in range(options.runs):
            for tree in options.trees:
                costs = launch(name, tree.resolve())
                print(name, tree, json.dumps(medians([costs])), flush=True)
                launches.setdefault(str(tree), {}).setdefault(name, []).append(costs)
    result = {
        "cpu_seconds": commands,
        "budget": {name: budget for name, (_, budget) in COMMANDS.items()},
        "repeats": options.repeats,
        "first_step": {
            tree: {name: medians(costs) for name, costs in runs.items()}
            for tree, runs in launches.items()
        },
        "runs": options.runs,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""CPU seconds until the command line has answered.

    python perf/startup.py [--repeats 5]

Each command runs in a new process. The figure is the median of its user and system CPU time. The
last line is one JSON object.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
COMMANDS = {
    "--help": 0.5,
    "run --help": 0.5,
    "list benchmarks": 0.8,
    "list policies": None,
}
"""Commands and their budgets in CPU seconds."""


def cpu_seconds(command: str) -> float:
    """Return the CPU seconds of one run of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = [sys.executable, str(ROOT / "run_eval.py"), *command.split()]
    subprocess.run(arguments, cwd=ROOT, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure every command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    result = {
        command: round(median(cpu_seconds(command) for _ in range(repeats)), 2)
        for command in COMMANDS
    }
    print(json.dumps({"cpu_seconds": result, "budget": COMMANDS, "repeats": repeats}))


if __name__ == "__main__":
    main()

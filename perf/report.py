"""Seconds and memory of the report of a million records.

    python perf/report.py [--records 1000000]

The log is synthetic: ten policies on a hundred tasks of ten suites. `run_eval.py report` runs in
its own process, and its peak memory is measured. The last line is one JSON object.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psutil

from harness.contracts.record import EpisodeRecord
from harness.contracts.spec import EpisodeSpec

POLICIES, SUITES, TASKS = 10, 10, 10
LABEL = "made-up/card@0123456789"


def write_log(folder: Path, records: int) -> None:
    """Write a run of that many episodes."""
    episodes = records // (POLICIES * SUITES * TASKS)
    suites = {f"suite_{s}": [f"task_{s}_{t}" for t in range(TASKS)] for s in range(SUITES)}
    policies = [f"policy_{p}" for p in range(POLICIES)]
    requests = [{"name": s, "tasks": names, "protocol": LABEL} for s, names in suites.items()]
    plan = {"policies": policies, "benchmarks": requests, "episodes": episodes, "seed": 7}
    plan |= {"ablations": [], "stop_when_decided": False, "first": 0}
    origin = {"reference": "none", "files": {}, "code": []}
    facts = {"plans": [plan], "players": policies, "task_order": suites}
    facts |= {"policies": dict.fromkeys(policies, origin), "versions": {"none": "1"}}
    facts |= {"git": None, "command": "", "created": "2026-11-30T00:00:00+00:00"}
    facts["protocols"] = {LABEL: {"rules": {"max_steps": {"suite": 300}}, "sources": {}}}
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "sessions.jsonl").write_text(json.dumps({"started": 0.0, "workers": 8}) + "\n")
    chance = random.Random(0)
    parts = ("build", "reset", "env", "render", "policy", "queue", "total")
    with (folder / "episodes.jsonl").open("w") as log:
        for policy in policies:
            for suite, names in suites.items():
                for task in names:
                    for episode in range(episodes):
                        success = chance.random() < 0.8
                        record = EpisodeRecord(
                            spec=EpisodeSpec(policy, suite, task, episode, 7, LABEL),
                            outcome="success" if success else "failure",
                            success=success,
                            progress=1.0 if success else round(chance.random(), 3),
                            subgoals={"grasped": True, "placed": success},
                            steps=chance.randrange(50, 300),
                            reason="success" if success else "step_limit",
                            instruction=f"do {task}",
                            actions_sha256="0" * 64,
                            state_sha256="0" * 64,
                            started=float(episode),
                            timing={part: round(chance.random(), 4) for part in parts},
                            cpu={part: round(chance.random(), 4) for part in parts},
                            worker="machine:1",
                            versions={"none": "1"},
                        )
                        log.write(record.to_json() + "\n")


def main() -> None:
    """Measure the report command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_log(folder, options.records)
        size = (folder / "episodes.jsonl").stat().st_size / 2**20
        print(f"{options.records} records, {size:.0f} MiB", flush=True)
        root = Path(__file__).parent.parent
        start, peak = time.perf_counter(), 0
        command = [sys.executable, str(root / "run_eval.py"), "report", name]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=root) as process:
            while process.poll() is None:
                try:
                    peak = max(peak, psutil.Process(process.pid).memory_info().rss)
                except psutil.NoSuchProcess:
                    break
                time.sleep(0.05)
        seconds = time.perf_counter() - start
        assert process.returncode == 0
    result = {"records": options.records, "seconds": round(seconds, 1)}
    print(json.dumps(result | {"peak_mib": round(peak / 2**20)}))


if __name__ == "__main__":
    main()

"""Where the seconds of a run on Ray go until its first episode has taken one step."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).parent.parent
RUNS: dict[str, tuple[str, str, str]] = {
    "points": ("points_two/left", "homing", "short"),
    "libero": ("libero_object/0", "oracle", "benchmarks/libero/protocols/original.yaml"),
    "maniskill": (
        "maniskill_rdt/PushCube-v1",
        "vla:checkpoints/maniskill/flow",
        "benchmarks/maniskill/protocols/rdt-small.yaml",
    ),
}
"""Benchmark and task, policy, and protocol of each run.

A card is copied with a limit of one step, so an episode's end is its first step.
"""
KINDS = {
    "EnvActor": "worker",
    "PolicyActor": "policy actor",
    "gcs_server": "GCS and raylet",
    "raylet/raylet": "GCS and raylet",
    "monitor.py": "Ray's services",
    "dashboard.py": "Ray's services",
    "gent": "Ray's services",  # agent.py, runtime_env/agent/main.py, ray::DashboardAgent
    "ray::": "idle workers",
    "default_worker.py": "idle workers",
}
"""Kinds of processes, by a part of the first words of their command line."""
INTERVAL = 0.05
"""Seconds between two looks at the processes."""
_TITLE = 5
"""Words of a command line that tell the program; later ones name others."""


@dataclass
class _Seen:
    """A process that was seen: its kind and CPU seconds."""

    kind: str
    cpu: float


def launch(run: str, tree: Path) -> dict[str, Any]:
    """Play one episode with two workers, and return what its start cost.

    Args:
        run: One of `RUNS`.
        tree: The checkout whose code is measured.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            *(sys.executable, "run_eval.py", "run", "--workers", "2", "--episodes", "1"),
            *("--out", f"{scratch}/run", *_request(run, tree, Path(scratch))),
        ]
        paths = [str(tree / "tests" / "outside_package"), str(tree)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        started = time.time()
        with subprocess.Popen(
            command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as driver:
            log = Path(scratch, "run", "episodes.jsonl")
            samples = list(_watched(driver, log))
            output = driver.communicate()[0].decode()
        if driver.returncode:
            raise RuntimeError(output)
        return _costs(started, samples, yaml.safe_load(log.read_text()), log.parent)


def _request(run: str, tree: Path, scratch: Path) -> list[str]:
    benchmark, policy, protocol = RUNS[run]
    benchmark, _, task = benchmark.partition("/")
    if protocol.endswith(".yaml"):
        card = yaml.safe_load((tree / protocol).read_text())
        card["name"] = "one-step"
        card["max_steps"]["value"] = dict.fromkeys(card["max_steps"]["value"], 1)
        protocol = str(scratch / "card.yaml")
        Path(protocol).write_text(yaml.safe_dump(card))
    return [
        *("--benchmark", benchmark, "--tasks", task),
        *("--policy", policy, "--protocol", protocol),
    ]


def _watched(driver: "subprocess.Popen[bytes]", log: Path) -> Iterator[dict[int, _Seen]]:
    """Yield the processes that have run so far, until the first episode is in the log."""
    root = psutil.Process(driver.pid)
    seen: dict[int, _Seen] = {}
    while driver.poll() is None:
        for process in (root, *root.children(recursive=True)):
            try:
                times, words = process.cpu_times(), process.cmdline()
            except psutil.Error:
                continue
            if not words:
                continue  # It is ending.
            kind = "driver" if process.pid == driver.pid else _kind(words)
            seen[process.pid] = _Seen(kind, times.user + times.system)
        yield dict(seen)
        if log.exists() and log.read_bytes().endswith(b"\n"):
            return
        time.sleep(INTERVAL)


def _kind(words: list[str]) -> str:
    title = " ".join(words[:_TITLE])
    return next((kind for part, kind in KINDS.items() if part in title), "helpers")


def _costs(
    started: float, samples: list[dict[int, _Seen]], record: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Return the wall seconds of each phase and the CPU seconds of each kind of process."""
    checked = (folder / "run.json").stat().st_mtime - started
    begun = record["started"] - started
    ended = (folder / "episodes.jsonl").stat().st_mtime - started
    cpu: dict[str, float] = {}
    processes: dict[str, int] = {}
    for process in samples[-1].values():
        cpu[process.kind] = cpu.get(process.kind, 0.0) + process.cpu
        processes[process.kind] = processes.get(process.kind, 0) + 1
    return {
        "wall": {
            "imports and plan checks": checked,
            "Ray and actors": begun - checked,
            "episode of one step": ended - begun,
            "until the first step": ended,
        },
        "cpu": {**cpu, "total": sum(cpu.values())},
        "processes": processes,
        "of the worker's CPU": {"build": record["cpu"].get("build", 0.0)},
    }

"""Watches one long run of many workers: does its memory, or anything else, grow?

    python perf/soak.py [--minutes 20] [--workers 20] [--out FOLDER]

The run plays short episodes with two pictures of 256 pixels in every step until it gets a SIGTERM.
Every few seconds a look counts the memory, open descriptors, threads and processes of each kind of
process, the bytes in Ray's folder, and the episodes so far. Memory is what the processes have
written: anonymous pages, and their part of the shared memory with pictures. The pages of programs
and libraries are left out, since every other Ray on the machine shares them.

For each series a line is fitted to the looks from a quarter of the time on. It is flat if the line
changes by less than 5 % of its mean over these looks, or by less than the smallest change that is
worth a word (`SMALLEST`). FOLDER gets soak.json and soak.png. The last line is one JSON object.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from perf import _points

_points.add_to_path()

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import psutil
from matplotlib.axes import Axes
from rich.console import Console
from rich.progress import track

from perf._processes import by_kind, start, still_alive

MEBI = 2**20
KINDS = ("driver", "GCS", "raylet", "policy actor", "env actor", "guard", "reaper", "helper")
UNITS = {"memory": "MiB", "descriptors": "", "threads": "", "processes": "", "folder": "MiB"}
SMALLEST = {"memory": 2.0, "descriptors": 3.0, "threads": 3.0, "processes": 1.0, "folder": 0.5}
SHARE = 0.05
FIRST = 0.25
"""The share of the time that is left out: actors start, and every buffer is filled once."""
STOPPING = 60.0
"""Seconds in which the run must end after the SIGTERM."""
Look = dict[str, float]


def written(process: psutil.Process) -> float:
    """Return the MiB that a process has written, its part of shared memory included."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    kinds = ("Pss_Anon:", "Pss_Shmem:")
    return sum(int(line.split()[1]) for line in lines if line.startswith(kinds)) / 1024


def folder_mebibytes(folder: Path) -> float:
    """Return the disk space of the files in a folder, those in shared memory not counted."""
    total = 0
    for path in folder.rglob("*"):
        try:
            if not path.is_symlink() and path.is_file():
                total += path.stat().st_blocks * 512
        except OSError:  # Removed meanwhile.
            continue
    return total / MEBI


def look(driver: int, temporary: Path, log: Path, seen: set[psutil.Process]) -> Look:
    """Return what the run uses now; `seen` gets its processes."""
    found: Look = {"folder": folder_mebibytes(temporary)}
    family = by_kind(driver)
    for kind in KINDS:
        sums = dict.fromkeys(("memory", "descriptors", "threads", "processes"), 0.0)
        for process in family[kind]:
            try:
                used = (written(process), process.num_fds(), process.num_threads(), 1)
            except (OSError, psutil.Error):  # It has ended meanwhile.
                continue
            seen.add(process)
            for name, value in zip(sums, used, strict=True):
                sums[name] += value
        found |= {f"{name}: {kind}": value for name, value in sums.items()}
    for name in ("memory", "descriptors", "threads", "processes"):
        found[f"{name}: all"] = sum(found[f"{name}: {kind}"] for kind in KINDS)
    found["episodes"] = log.read_bytes().count(b"\n") if log.exists() else 0
    return found


def watch(
    command: Sequence[str], folder: Path, seconds: float, pause: float, kept: Path
) -> tuple[list[Look], dict[str, Any]]:
    """Run the command for so many seconds; return the looks, also in `kept`, and how it ended."""
    out, temporary, said = folder / "run", folder / "ray", folder / "said.txt"
    temporary.mkdir()
    seen: set[psutil.Process] = set()
    looks: list[Look] = []
    driver = start([*command, "--out", str(out)], temporary, said)
    begun = time.monotonic()
    try:
        times = np.arange(pause, seconds + pause, pause)
        for due in track(times, "watching", console=Console(stderr=True)):
            time.sleep(max(0.0, begun + due - time.monotonic()))
            if driver.poll() is not None:
                break
            taken = look(driver.pid, temporary, out / "episodes.jsonl", seen)
            looks.append({"minute": (time.monotonic() - begun) / 60} | taken)
            with kept.open("a") as file:
                file.write(json.dumps(looks[-1]) + "\n")
        early = driver.poll()
        driver.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):  # Then its exit code is -9.
            driver.wait(STOPPING)
    finally:
        driver.kill()
        driver.wait()
    left = still_alive(seen, STOPPING)
    folders = len(list(temporary.iterdir()))
    ended = {"exit_code": driver.returncode, "ended_early": early is not None}
    ended["left"] = {"processes": len(left), "folders_of_ray": folders}
    if early is not None:
        ended["last_words"] = said.read_text(errors="replace")[-2000:]
    return looks, ended


def judge(name: str, looks: Sequence[Look]) -> dict[str, Any]:
    """Fit a line over the episodes to a series and say whether it grows."""
    values = np.array([each[name] for each in looks])
    thousands = np.array([each["episodes"] for each in looks]) / 1000
    slope = float(np.polyfit(thousands, values, 1)[0]) if np.ptp(thousands) else 0.0
    change = slope * float(np.ptp(thousands))
    quantity = name.partition(":")[0]
    enough = max(SMALLEST[quantity], SHARE * float(values.mean()))
    unit = f" {UNITS[quantity]}".rstrip()
    verdict = f"grows by {slope:.3g}{unit} per 1000 episodes"
    if change <= -enough:
        verdict = verdict.replace("grows by -", "falls by ")
    elif change < enough:
        verdict = "flat"
    return {
        "first": round(float(values[0]), 2),
        "last": round(float(values[-1]), 2),
        "per_1000_episodes": round(slope, 4),
        "change_of_the_line": round(change, 2),
        "verdict": verdict,
    }


def draw(looks: Sequence[Look], path: Path, title: str) -> None:
    """Draw four panels."""
    minutes = [each["minute"] for each in looks]

    def lines(axes: Axes, names: Mapping[str, str], heading: str) -> None:
        for name, label in names.items():
            axes.plot(minutes, [each[name] for each in looks], label=label, linewidth=1.4)
        axes.set_title(heading, fontsize=10)
        axes.set_xlabel("minutes")
        axes.set_xlim(0, minutes[-1])
        axes.set_ylim(0, axes.get_ylim()[1] * 1.3)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, ncols=2, loc="upper left", framealpha=0.9)

    def second_scale(axes: Axes, values: Sequence[float], label: str) -> None:
        right = axes.twinx()
        right.plot(minutes, values, color="tab:gray", linestyle="--", label=f"{label} (right)")
        right.set_ylim(0, max(1.0, max(values)) * 1.3)
        right.legend(fontsize=8, loc="upper right", framealpha=0.9)

    figure, ((first, second), (third, fourth)) = plt.subplots(2, 2, figsize=(10, 7))
    one = ("driver", "GCS", "raylet", "policy actor")
    lines(first, {f"memory: {kind}": kind for kind in one}, "memory of one process each, MiB")
    many = {"env actor": "env actors", "helper": "Ray's helpers", "all": "all processes"}
    lines(second, {f"memory: {kind}": label for kind, label in many.items()}, "memory, MiB")
    names = ("descriptors", "threads")
    lines(third, {f"{name}: all": name for name in names}, "of all processes")
    second_scale(third, [each["processes: all"] for each in looks], "processes")
    lines(fourth, {"folder": "Ray's folder, MiB"}, "disk and episodes")
    second_scale(fourth, [each["episodes"] / 1000 for each in looks], "thousand episodes")
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> int:
    """Watch, judge and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--seconds-between", type=float, default=5.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    command = ["--policy", "still", "--benchmark", "points_filmed", "--protocol", "forty"]
    command += ["--episodes", "100000", "--workers", str(options.workers)]
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp("", "soak-", "/tmp"))  # Sockets need a short path.
    try:
        kept = (options.out or folder) / "looks.jsonl"
        looks, ended = watch(command, folder, 60 * options.minutes, options.seconds_between, kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    late = [
        each for each in looks if each["minute"] >= FIRST * options.minutes and each["episodes"]
    ]
    found: dict[str, Any] = {"minutes": options.minutes, "workers": options.workers} | ended
    if len(late) > 1:
        names = [name for name in late[0] if name not in ("minute", "episodes")]
        found["episodes"] = int(late[-1]["episodes"])
        found["series"] = {name: judge(name, late) for name in names}
        found["grows"] = [n for n, each in found["series"].items() if "grows" in each["verdict"]]
    if options.out and len(looks) > 1:
        kept.unlink()
        table = {name: [round(each[name], 2) for each in looks] for name in looks[0]}
        (options.out / "soak.json").write_text(json.dumps(found | {"looks": table}) + "\n")
        title = f"{options.workers} workers, {looks[-1]['episodes']:,.0f} episodes"
        draw(looks, options.out / "soak.png", title)
    print(json.dumps(found))
    return 0 if "series" in found and not ended["ended_early"] else 1


if __name__ == "__main__":
    sys.exit(main())

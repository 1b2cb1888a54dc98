"""Measures building LIBERO's tasks, with and without the cache of models.

    python perf/building.py [--suites libero_object ...] [--tasks 0] [--repeats 3] [--out FILE]

CPU seconds of building a task's simulator, after all imports:

- first: in a new process, the models compiled and not kept (`ASSAY_CACHE=`), as before the cache;
- keeping: in a new process, with an empty cache, which it fills;
- kept: in a new process, with the model in the cache;
- second: in a process that has built another task, not kept;
- second_kept: in a process that has built another task, both in the cache.

`cache_mb` is the size of the cache after these tasks and as many others. Imports are timed apart.
Each build's model and some of its random steps go into a hash, which must be the same in every row
of a task. The ratio is first divided by kept; the one with imports divides the sums. The last line
is one JSON object.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

STANDARD = ["libero_spatial", "libero_object", "libero_goal", "libero_10"]


def build(suite: str, tasks: list[int]) -> dict[str, Any]:
    """Build tasks in this process; return the seconds, the hash of the last, and the memory."""
    start = time.process_time()
    from harness.play.threads import use_one_core

    use_one_core()

    import contextlib
    import io
    import resource

    import mujoco
    import numpy as np

    from benchmarks.libero import catalog, control
    from benchmarks.libero.env import LiberoEnv
    from benchmarks.libero.protocol import protocols

    control._do_without_cv2()
    control._let_gl_be_chosen()
    with contextlib.redirect_stdout(io.StringIO()):
        import libero.libero.envs.env_wrapper  # noqa: F401
    imports = time.process_time() - start
    for task in tasks:
        files = catalog.suites()[suite][task]
        start = time.process_time()
        env = LiberoEnv(suite, files, protocols()["openpi"])
        seconds = time.process_time() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        seen = hashlib.sha256()
        model = env._control.sim.model._model
        whole = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
        mujoco.mj_saveModel(model, None, whole)
        seen.update(whole.data)
        env.begin(0, 7)
        for action in np.random.default_rng(0).uniform(-1, 1, (20, 7)):
            env.advance(action.astype(np.float32))
            seen.update(env.state_bytes())
        env.close()
    return {"s": seconds, "imports": imports, "hash": seen.hexdigest(), "peak_mib": memory}


def in_new_process(suite: str, tasks: list[int], cache: str) -> dict[str, Any]:
    """Build tasks in a new process."""
    words = [sys.executable, __file__, "--build", suite, *map(str, tasks)]
    environment = os.environ | {"ASSAY_CACHE": cache}
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(suite: str, tasks: list[int], repeats: int, folder: str) -> dict[str, Any]:
    """Return a suite's row."""
    builds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    equal = 0
    for task in tasks:
        other = (task + 1) % 10
        in_new_process(suite, [other, task], folder)
        hashes = set()
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as empty:
                rows = {
                    "first": ([task], ""),
                    "keeping": ([task], empty),
                    "kept": ([task], folder),
                    "second": ([other, task], ""),
                    "second_kept": ([other, task], folder),
                }
                for name, (order, cache) in rows.items():
                    builds[name].append(in_new_process(suite, order, cache))
                    hashes.add(builds[name][-1]["hash"])
        equal += len(hashes) == 1
    row: dict[str, Any] = {"suite": suite, "tasks": len(tasks), "equal": equal}
    for name, found in builds.items():
        seconds = [one["s"] for one in found]
        low, high = min(seconds), max(seconds)
        row[name] = {"s": round(mean(seconds), 2), "from": round(low, 2), "to": round(high, 2)}
        row[name] |= {"n": len(found), "peak_mib": max(one["peak_mib"] for one in found)}
    row["imports_s"] = round(mean(one["imports"] for one in builds["kept"]), 2)
    total = {name: sum(one["s"] for one in builds[name]) for name in ("first", "kept")}
    imports = {name: sum(one["imports"] for one in builds[name]) for name in total}
    row["ratio"] = round(total["first"] / total["kept"], 2)
    with_imports = [total[name] + imports[name] for name in total]
    row["ratio_with_imports"] = round(with_imports[0] / with_imports[1], 2)
    return row


def main() -> None:
    """Measure every suite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", nargs="+", default=STANDARD)
    parser.add_argument("--tasks", nargs="+", type=int, default=[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="rows of other suites in it stay")
    parser.add_argument("--build", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        print(json.dumps(build(options.build[0], [int(task) for task in options.build[1:]])))
        return
    rows = (
        json.loads(options.out.read_text())["rows"] if options.out and options.out.exists() else []
    )
    for suite in options.suites:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(suite, options.tasks, options.repeats, folder)
            files = [path for path in Path(folder).rglob("*") if path.is_file()]
            row["cache_mb"] = round(sum(path.stat().st_size for path in files) / 1e6)
        print(row, flush=True)
        rows = [*(one for one in rows if one["suite"] != suite), row]
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()

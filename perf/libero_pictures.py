"""Measures LIBERO's pictures: `mujoco.Renderer` against ours, which leaves out what is not seen.

    python perf/libero_pictures.py [--suites libero_object ...] [--looks 16] [--firsts 1]
        [--keep FILE]

A look is both cameras at 256 pixels. Both renderers draw each look of the same state, one after the
other, and every pixel is compared. The states lie ten steps apart, along the scripted expert's
actions or along random ones. By default they are three tasks of each standard suite, six of
libero_90 and one of each LIBERO-PRO suite whose objects are installed.

The suites in `keep` are not measured again, and each new one is added to it. `firsts` is the number
of new processes for each standard suite and renderer in which the first look is measured. The last
line is one JSON object. CPU time is that of all threads.
"""

import argparse
import gc
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

import numpy as np
from numpy.typing import NDArray

from benchmarks.libero import catalog
from benchmarks.libero.env import LiberoEnv
from benchmarks.libero.protocol import CAMERAS, protocols

STANDARD = ("libero_spatial", "libero_object", "libero_goal", "libero_10")
SIZE = (256, 256)
STEPS = 10
Draw = Callable[[str], NDArray[np.uint8]]


def plain(env: LiberoEnv) -> Draw:
    """Return MuJoCo's own renderer for the state of the last observation."""
    import mujoco

    model, snapshot = env._control.sim.model._model, env._snapshot
    option = mujoco.MjvOption()
    option.geomgroup[0], option.geomgroup[1] = 0, 1
    renderer = mujoco.Renderer(model, *SIZE, max_geom=1000)

    def draw(camera: str) -> NDArray[np.uint8]:
        now = model.site_rgba.copy()
        model.site_rgba[:] = snapshot._site_rgba
        renderer.update_scene(snapshot._data, camera, option)
        pixels: NDArray[np.uint8] = renderer.render()
        model.site_rgba[:] = now
        return pixels

    return draw


def ours(env: LiberoEnv) -> Draw:
    """Return our renderer."""
    return lambda camera: env._snapshot.draw(camera, SIZE)


RENDERERS = {"plain": plain, "ours": ours}


def timed(draw: Draw, camera: str) -> tuple[float, NDArray[np.uint8]]:
    """Return the CPU milliseconds of a picture, and the picture."""
    start = time.process_time()
    pixels = draw(camera)
    return 1000 * (time.process_time() - start), pixels


def looks(env: LiberoEnv, kind: str, number: int) -> Iterator[None]:
    """Play an episode; pause at its beginning and after every STEPS steps."""
    env.begin(0, 7)
    expert = env.expert() if kind == "oracle" else None
    stream = np.random.default_rng(0)
    for _ in range(number):
        yield
        for _ in range(STEPS):
            random = stream.uniform(-1, 1, 7).astype(np.float32)
            env.advance(expert.act() if expert else random)


def compare(suite: str, task: int, kind: str, number: int) -> list[dict[str, Any]]:
    """Return a row for every picture of a task."""
    env = LiberoEnv(suite, catalog.suites()[suite][task], protocols()["openpi"])
    rows = []
    draws: dict[str, Draw] = {}
    for look, _ in enumerate(looks(env, kind, number)):
        if not draws:
            draws = {name: make(env) for name, make in RENDERERS.items()}
            for camera in CAMERAS.values():
                for draw in draws.values():
                    draw(camera)
        for role, camera in CAMERAS.items():
            found = {
                name: timed(draws[name], camera)
                for name in (list(draws) if look % 2 else list(draws)[::-1])
            }
            scene = env._snapshot._canvases[SIZE]._scene
            rows.append(
                {name: ms for name, (ms, _) in found.items()}
                | {"camera": role, "mirror": bool(scene.flags[2])}
                | {"equal": np.array_equal(found["plain"][1], found["ours"][1])}
            )
    draws.clear()
    env.close()
    del env
    gc.collect()
    return rows


def first(suite: str, renderer: str) -> float:
    """Return the CPU seconds of the first look in this process."""
    env = LiberoEnv(suite, catalog.suites()[suite][0], protocols()["openpi"])
    env.begin(0, 7)
    start = time.process_time()
    draw = RENDERERS[renderer](env)
    for camera in CAMERAS.values():
        draw(camera)
    return time.process_time() - start


def first_looks(repeats: int) -> dict[str, dict[str, float]]:
    """Return the mean CPU seconds of the first look in a new process, by suite and renderer."""
    found: dict[str, dict[str, float]] = {}
    for suite in STANDARD if repeats else ():
        for renderer in RENDERERS:
            seconds = []
            for _ in range(repeats):
                spawn = multiprocessing.get_context("spawn")
                with ProcessPoolExecutor(1, mp_context=spawn) as pool:
                    seconds.append(pool.submit(first, suite, renderer).result())
            found.setdefault(suite, {})[renderer] = round(float(np.mean(seconds)), 2)
        print(suite, found[suite], flush=True)
    return found


def line(suite: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a suite's mean CPU ms of a picture, and the share that is saved."""
    found: dict[str, Any] = {"suite": suite, "looks": len(rows) // len(CAMERAS)}
    found["pictures_with_mirror"] = sum(row["mirror"] for row in rows)
    found["different"] = sum(not row["equal"] for row in rows)
    for name in RENDERERS:
        for role in CAMERAS:
            shown = [row[name] for row in rows if row["camera"] == role]
            found[f"{name}_{role}_ms"] = round(float(np.mean(shown)), 1)
    total = {name: sum(row[name] for row in rows) for name in RENDERERS}
    return found | {"saved": round(1 - total["ours"] / total["plain"], 3)}


def measure(suite: str, looks: int) -> dict[str, Any]:
    """Return the line of a suite."""
    tasks = [0]
    if suite in STANDARD:
        tasks = [0, 3, 6]
    elif suite == "libero_90":
        tasks = [5, 20, 35, 50, 65, 80]
    number = looks if suite in STANDARD else max(1, looks // 2)
    rows: list[dict[str, Any]] = []
    for task in tasks:
        kind = "random" if task % 2 or suite == "libero_90" else "oracle"
        rows += compare(suite, task, kind, number)
    return line(suite, rows)


def main() -> None:
    """Compare the looks of every suite, then measure first looks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", nargs="+", default=list(catalog.suites()))
    parser.add_argument("--looks", type=int, default=16, help="of a task of a standard suite")
    parser.add_argument("--firsts", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    kept: Path | None = options.keep
    results = json.loads(kept.read_text()) if kept and kept.exists() else []
    missing = {}
    for suite in options.suites:
        if suite in [found["suite"] for found in results]:
            continue
        try:
            results.append(measure(suite, options.looks))
        except FileNotFoundError as error:
            missing[suite] = Path(error.filename).name
            continue
        print(results[-1], flush=True)
        if kept:
            kept.write_text(json.dumps(results))
    saved = [found["saved"] for found in results if found["suite"] in STANDARD]
    summary = {
        "looks": sum(found["looks"] for found in results),
        "pictures_with_mirror": sum(found["pictures_with_mirror"] for found in results),
        "identical": not any(found["different"] for found in results),
        "mean_saved_standard": round(float(np.mean(saved)), 3) if saved else None,
        "missing": missing,
        "first_look_s": first_looks(options.firsts),
        "results": results,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()

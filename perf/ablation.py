"""What each change saves of a LIBERO episode, what remains, and what a GPU server would do.

    python perf/ablation.py [--suites libero_object ...] [--tasks 1] [--episodes 2]
        [--parts rows rest policies] [--out results/performance/ablation.json]

`rows`: the scripted expert plays every episode once and its actions are kept. Then each row plays
these actions again through the ordinary engine. In every row the policy looks at both cameras each
5 steps, as under the protocol openpi. All that it sees, the record and the final state go into one
hash per episode, which must be the same in every row. CPU seconds are those of the process that
steps, without building the simulator and its first pictures.

`rest`: what the parts of an episode cost, and what of them is MuJoCo and the drawing itself.

`policies`: two episodes of each task by real policies, in turn with robosuite's step and all drawn,
and as it is now.

The file of results keeps what other suites and parts gave, so they can be measured one by one. The
last line is one JSON object: the file's content with the means over its suites, and the prediction
for a GPU server (`perf/_server.py`).
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.gl import choose_gl
from perf import _points

_points.add_to_path()
os.environ.setdefault("MUJOCO_GL", choose_gl())

import mujoco
import numpy as np

from benchmarks.libero import catalog, culling, rendering, stepping
from benchmarks.libero.env import LiberoEnv
from benchmarks.libero.protocol import protocols
from harness.backends.inline import run_inline
from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.contracts.environment import BenchmarkEnv, StepOutcome
from harness.contracts.policy import ActionChunk, Policy, PolicySpec, Query
from harness.contracts.record import EpisodeRecord
from harness.contracts.spec import EpisodeSpec
from harness.runs.plan import BenchmarkRequest, Plan, Work, resolve
from perf import _loops, _server

STANDARD = ["libero_spatial", "libero_object", "libero_goal", "libero_10"]
ROWS: dict[str, _loops.Change] = {
    "naive loop": _loops.render_every_step,
    "+ rendering on demand": _loops.robosuites_step,
    "+ exact step": _loops.draw_everything,
    "+ culling": _loops.as_it_is,
}
BEFORE, NOW = "+ rendering on demand", "+ culling"
TWO_WORKERS = "+ 2 workers"
CHECKPOINT = "vla:checkpoints/libero/regression"
RESULTS = ROOT / "results" / "performance" / "ablation.json"
PARTS = ("reset", "env", "render", "policy")
SUBSTEPS = 25
"""Of a control step."""
EVERY = 30
"""Steps between two moments at which MuJoCo's part is measured."""


class Recorded(Policy):
    """Plays kept actions, looks at both cameras, and writes a hash of what it saw."""

    spec = PolicySpec("recorded", ("main", "wrist"))
    needs_env = True

    def __init__(self, folder: Path) -> None:
        """Take the folder of the actions."""
        self._folder = folder

    def load(self) -> None:
        """Let this process's simulators draw when they are built, so that no episode has to."""
        _loops.draw_after_building()

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Load the episode's actions."""
        self._env, self._scene, self._seen = env, spec.scene, hashlib.sha256()
        self._actions = np.load(self._folder / f"{spec.scene}.npy")

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return the next actions."""
        (query,) = queries
        self._seen.update(query.observation["state"].tobytes())
        for image in query.observation["image"].values():
            self._seen.update(image.tobytes())
        return [self._actions[self._env.steps : self._env.steps + _server.REPLAN]]

    def end(self, outcome: StepOutcome) -> None:
        """Keep the hash."""
        del outcome
        (self._folder / f"{self._scene}.sha256").write_text(self._seen.hexdigest())


def request(suite: str, task: int) -> BenchmarkRequest:
    """Return a task under the protocol openpi."""
    return BenchmarkRequest(suite, (str(task),), "openpi")


def record_actions(requests: Sequence[BenchmarkRequest], episodes: int, folder: Path) -> None:
    """Play the expert and keep its actions by scene."""
    work = resolve(Plan(("oracle",), tuple(requests), episodes))
    for episode in run_inline(work, work.specs, print):
        np.save(folder / f"{episode.record.spec.scene}.npy", episode.actions)


def replay(requests: Sequence[BenchmarkRequest], episodes: int, folder: Path) -> Work:
    """Return the episodes with the kept actions."""
    plan = Plan(("object:recorded",), tuple(requests), episodes)
    return resolve(plan, objects={"object:recorded": Recorded(folder)})


def digest(record: EpisodeRecord, folder: Path) -> str:
    """Return a hash of a record and of all that was seen."""
    if record.outcome == "error":
        sys.exit(record.reason)
    seen = (folder / f"{record.spec.scene}.sha256").read_text()
    text = json.dumps(record.deterministic(), sort_keys=True) + seen
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_build(record: EpisodeRecord, seconds: str = "cpu") -> float:
    """Return the CPU or wall seconds of an episode without building its simulator."""
    by_part: Mapping[str, float] = getattr(record, seconds)
    return by_part["total"] - by_part["build"]


def summary(records: Sequence[EpisodeRecord], folder: Path) -> dict[str, Any]:
    """Return the costs of an episode in a row, and the hashes in the order of the scenes."""
    records = sorted(records, key=lambda record: record.spec.scene)
    walls: dict[str, list[float]] = defaultdict(list)
    for record in records:
        walls[record.worker].append(without_build(record, "timing"))
    parts = {part: mean(each.cpu.get(part, 0.0) for each in records) for part in PARTS}
    return {
        "cpu_s": round(mean(without_build(each) for each in records), 3),
        "parts": {part: round(seconds, 3) for part, seconds in parts.items()},
        "wall_episodes_per_hour": round(sum(3600 / mean(seconds) for seconds in walls.values())),
        "steps": sum(each.steps for each in records),
        "hashes": [digest(record, folder) for record in records],
    }


def play_rows(suite: str, tasks: Sequence[int], episodes: int) -> dict[str, dict[str, Any]]:
    """Play all rows of a suite, in turn in each task; two workers come last."""
    records: dict[str, list[EpisodeRecord]] = defaultdict(list)
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record_actions([request(suite, task) for task in tasks], episodes, folder)
        for row, change in ROWS.items():
            work = replay([request(suite, task) for task in tasks], episodes, folder)
            with _loops.changed(change):
                records[row] = [each.record for each in run_inline(work, work.specs, print)]
            rows[row] = summary(records[row], folder)
            print(suite, row, rows[row], flush=True)
        work = replay([request(suite, task) for task in tasks], episodes, folder)
        ray = run_ray(work, work.specs, print, options=RayOptions(workers=2))
        rows[TWO_WORKERS] = summary([each.record for each in ray], folder)
        print(suite, TWO_WORKERS, rows[TWO_WORKERS], flush=True)
    return rows


def table(suites: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the means of each row over the suites."""
    measured_rows = {suite: found["rows"] for suite, found in suites.items() if "rows" in found}
    lines = []
    for name in (*ROWS, TWO_WORKERS) if measured_rows else ():
        rows = [found[name] for found in measured_rows.values()]
        first = [found[next(iter(ROWS))] for found in measured_rows.values()]
        cpu = mean(row["cpu_s"] for row in rows)
        line = {"row": name, "cpu_s_per_episode": round(cpu, 2)}
        line |= {"episodes_per_cpu_hour": round(3600 / cpu)}
        line |= {part: round(mean(row["parts"][part] for row in rows), 2) for part in PARTS}
        pairs = zip(rows, first, strict=True)
        lines.append(line | {"same_hashes": all(r["hashes"] == f["hashes"] for r, f in pairs)})
    return lines


def play_policy(policy: str, suite: str, tasks: Sequence[int]) -> dict[str, Any]:
    """Return the CPU seconds of two episodes a task, before and now."""
    seconds, equal, successes = dict.fromkeys(("before", "now"), 0.0), 0, 0
    steps = episodes = 0
    for task in tasks:
        work = resolve(Plan((policy,), (request(suite, task),), 2))
        both = []
        for name in seconds:
            with _loops.changed(ROWS[BEFORE if name == "before" else NOW]):
                records = [episode.record for episode in run_inline(work, work.specs, print)]
            seconds[name] += sum(without_build(each) for each in records)
            both.append([each.deterministic() for each in records])
        equal += sum(one == other for one, other in zip(*both, strict=True))
        episodes += len(records)
        steps += sum(each.steps for each in records)
        successes += sum(bool(each.success) for each in records)
    row = {"policy": policy, "suite": suite, "episodes": episodes, "equal": equal, "steps": steps}
    row |= {"successes": successes} | {name: round(value, 1) for name, value in seconds.items()}
    return row | {"ratio": round(seconds["before"] / seconds["now"], 2)}


def measured(action: Callable[[], Any], repeats: int = 1) -> float:
    """Return the CPU milliseconds of an action."""
    start = time.process_time()
    for _ in range(repeats):
        action()
    return 1000 * (time.process_time() - start)


def exact_physics(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Do what the exact loop asks of MuJoCo in a substep."""
    mujoco.mj_forwardSkip(model, data, mujoco.mjtStage.mjSTAGE_NONE, 1)
    mujoco.mj_fwdConstraint(model, data)
    mujoco.mj_forwardSkip(model, data, mujoco.mjtStage.mjSTAGE_VEL, 1)
    mujoco.mj_Euler(model, data)


def measure_mujoco(env: LiberoEnv, sums: dict[str, list[float]]) -> None:
    """Measure MuJoCo's part of a control step and the parts of a look, and restore the state."""
    model, data = env._control.sim.model._model, env._control.sim.data._data
    every = mujoco.mjtState.mjSTATE_INTEGRATION
    kept = np.zeros(mujoco.mj_stateSize(model, every))
    mujoco.mj_getState(model, data, kept, every)
    for name, substep in (("mj_step", mujoco.mj_step), ("mujoco", exact_physics)):
        sums[name].append(measured(partial(substep, model, data), SUBSTEPS))
        mujoco.mj_setState(model, data, kept, every)
    mujoco.mj_forward(model, data)
    mujoco.mj_setState(model, data, kept, every)
    leave_out = env._snapshot.leave_out
    for name, choice in (("whole_picture", culling.everything), ("picture", leave_out)):
        env._snapshot.leave_out = choice
        for role in env.cameras:
            env.observe((role,))
            sums[name].append(measured(partial(env.observe, (role,))))
            sums[f"drawing_{name}"].append(measured(partial(draw, env._snapshot)))


def draw(snapshot: rendering.Snapshot) -> None:
    """Draw the present scene and read its pixels, without computing it."""
    (canvas,) = snapshot._canvases.values()
    mujoco.mjr_render(canvas._rect, canvas._scene, canvas._context)
    height, width = canvas._size
    pixels = np.empty((height, width, 3), np.uint8)
    mujoco.mjr_readPixels(pixels, None, canvas._rect, canvas._context)


def rest(suite: str, task: int) -> dict[str, float]:
    """Return what the parts of an episode cost, and what of them is MuJoCo and the drawing."""
    files, protocol = catalog.suites()[suite][task], protocols()["openpi"]
    LiberoEnv(suite, files, protocol).close()
    built: list[LiberoEnv] = []
    build = measured(lambda: built.append(LiberoEnv(suite, files, protocol)))
    (env,) = built
    steps = {"robosuite": stepping.robosuites_own(env._control), "exact": env._step}
    sums: dict[str, list[float]] = defaultdict(list)
    for name, step in steps.items():
        env._step = step
        env.begin(0, 7)
        sums[f"begin_{name}"].append(measured(lambda: env.begin(0, 7)))
        expert, outcome = env.expert(), None
        while env.steps < env.max_steps and not (outcome and outcome.success):
            action, before = expert.act(), time.process_time()
            outcome = env.advance(action)
            sums[f"step_{name}"].append(1000 * (time.process_time() - before))
            if name == "exact" and env.steps % EVERY == EVERY // 2:
                measure_mujoco(env, sums)
    env.close()
    count = float(len(sums["step_robosuite"]))
    return {"steps": count, "build": build} | {name: mean(values) for name, values in sums.items()}


def as_suite(parts: dict[str, float]) -> _server.Suite:
    """Return the parts as the server's model takes them."""
    return _server.Suite(
        steps=parts["steps"],
        reset_s=(parts["begin_exact"] - _server.WAIT_STEPS * parts["step_exact"]) / 1000,
        build_s=parts["build"] / 1000,
        step_ms={name: parts[f"step_{name}"] for name in ("robosuite", "exact")},
        picture_ms={"robosuite": parts["whole_picture"], "exact": parts["picture"]},
    )


def measure(suite: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the chosen parts of a suite."""
    found: dict[str, Any] = {}
    if "rows" in options.parts:
        found["rows"] = play_rows(suite, options.tasks, options.episodes)
    if "rest" in options.parts:
        each = [rest(suite, task) for task in options.tasks]
        found["rest_ms"] = {name: round(mean(one[name] for one in each), 2) for name in each[0]}
        print(suite, found["rest_ms"], flush=True)
    for policy in options.policies if "policies" in options.parts else ():
        found[policy] = play_policy(policy, suite, options.tasks)
        print(suite, found[policy], flush=True)
    return found


def main() -> None:
    """Measure suite by suite, and sum up what the file has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", nargs="*", default=STANDARD)
    parser.add_argument("--tasks", nargs="+", type=int, default=[1])
    parser.add_argument("--episodes", type=int, default=2, help="per task, of the rows")
    parser.add_argument("--parts", nargs="+", default=["rows", "rest"])
    parser.add_argument("--policies", nargs="+", default=["oracle", CHECKPOINT])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    suites: dict[str, Any] = {}
    if options.out.is_file():
        suites = json.loads(options.out.read_text())["suites"]
    for suite in options.suites:
        suites[suite] = suites.get(suite, {}) | measure(suite, options)
    result: dict[str, Any] = {"suites": suites, "table": table(suites)}
    parts = {name: as_suite(each["rest_ms"]) for name, each in suites.items() if "rest_ms" in each}
    if len(parts) == len(STANDARD):
        result["server"] = [_server.predict(parts, setting) for setting in _server.SETTINGS]
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    for line in (*result["table"], *result.get("server", ())):
        print(line)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""What each change saves of a LIBERO episode, what remains, and what a GPU server would do.

    python perf/ablation.py [--suites libero_object ...] [--tasks 0 1] [--episodes 3]
        [--parts table server] [--policies oracle vla:checkpoints/libero/regression]

The scripted expert plays every episode once and its actions are kept. Then each row plays these
actions again through the ordinary engine. In every row the policy looks at both cameras each 5
steps, as under the protocol openpi. All that it sees, the record and the final state go into one
hash per episode, which must be the same in every row. CPU seconds are those of the process that
steps, without building the simulator; the first episode of a simulator is not counted, because it
also makes the GL context. The last line is one JSON object.

`--parts policies` plays two episodes of each task by real policies, with robosuite's step and with
ours in turn. Both draw on demand.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.gl import choose_gl
from perf import _points

_points.add_to_path()
os.environ.setdefault("MUJOCO_GL", choose_gl())

import mujoco
import numpy as np

from benchmarks.libero import catalog, stepping
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
    "rendering on demand": _loops.robosuites_step,
    "exact step": _loops.as_it_is,
}
OURS = "exact step"
TWO_WORKERS = "2 workers"
CHECKPOINT = "vla:checkpoints/libero/regression"
PARTS = ("reset", "env", "render", "policy")
SUBSTEPS = 25
"""Of a control step."""
EVERY = 10
"""Steps between two moments at which MuJoCo's part is measured."""


class Recorded(Policy):
    """Plays kept actions, looks at both cameras, and writes a hash of what it saw."""

    spec = PolicySpec("recorded", ("main", "wrist"))
    needs_env = True

    def __init__(self, folder: Path) -> None:
        """Take the folder of the actions."""
        self._folder = folder

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


@dataclass(frozen=True)
class Played:
    """An episode of a row.

    Attributes:
        record: Its record.
        digest: The hash of the record and of all that was seen.
        first: Whether it was the first in its simulator.
    """

    record: EpisodeRecord
    digest: str
    first: bool

    @property
    def cpu(self) -> float:
        """The CPU seconds without building the simulator."""
        return self.record.cpu["total"] - self.record.cpu["build"]


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


def played(records: Sequence[EpisodeRecord], folder: Path) -> dict[str, Played]:
    """Return the episodes by scene."""
    found: dict[str, Played] = {}
    simulators = set()
    for record in sorted(records, key=lambda each: each.started):
        if record.outcome == "error":
            sys.exit(record.reason)
        seen = (folder / f"{record.spec.scene}.sha256").read_text()
        text = json.dumps(record.deterministic(), sort_keys=True) + seen
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        simulator = (record.worker, record.spec.benchmark, record.spec.task)
        found[record.spec.scene] = Played(record, digest, simulator not in simulators)
        simulators.add(simulator)
    return found


def play_rows(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, Played]]:
    """Play all rows, in turn in each task; two workers come last."""
    rows: dict[str, dict[str, Played]] = defaultdict(dict)
    requests = [request(suite, task) for suite in options.suites for task in options.tasks]
    for each in requests:
        record_actions([each], options.episodes, folder)
        work = replay([each], options.episodes, folder)
        for name, change in ROWS.items():
            with _loops.changed(change):
                records = [episode.record for episode in run_inline(work, work.specs, print)]
            rows[name] |= played(records, folder)
            seconds = mean(one.cpu for one in played(records, folder).values() if not one.first)
            print(f"{each.name} {each.tasks[0]}, {name}: {seconds:.2f} CPU-s", flush=True)
    work = replay(requests, options.episodes, folder)
    ray = run_ray(work, work.specs, print, options=RayOptions(workers=2))
    rows[TWO_WORKERS] = played([episode.record for episode in ray], folder)
    return rows


def table(rows: dict[str, dict[str, Played]]) -> list[dict[str, Any]]:
    """Return the costs of each row, over the scenes that no row played first in a simulator."""
    scenes = [s for s in rows[TWO_WORKERS] if not any(row[s].first for row in rows.values())]
    found = []
    for name, row in rows.items():
        counted = [row[scene] for scene in scenes]
        cpu = mean(one.cpu for one in counted)
        by_worker: dict[str, list[float]] = defaultdict(list)
        for one in counted:
            wall = one.record.timing["total"] - one.record.timing["build"]
            by_worker[one.record.worker].append(wall)
        found.append(
            {
                "row": name,
                "cpu_s_per_episode": round(cpu, 2),
                "episodes_per_cpu_hour": round(3600 / cpu),
                "episodes_per_hour": round(sum(3600 / mean(w) for w in by_worker.values())),
                "parts": {part: round(_part(counted, part), 3) for part in PARTS},
                "by_suite": {
                    suite: round(
                        mean(o.cpu for o in counted if o.record.spec.benchmark == suite), 2
                    )
                    for suite in dict.fromkeys(one.record.spec.benchmark for one in counted)
                },
                "scenes": len(scenes),
                "hash": hashlib.sha256(
                    "".join(row[scene].digest for scene in sorted(row)).encode()
                ).hexdigest()[:16],
            }
        )
    return found


def _part(counted: Sequence[Played], part: str) -> float:
    return mean(one.record.cpu.get(part, 0.0) for one in counted)


def _by_suite(counted: Sequence[Played]) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for one in counted:
        found[one.record.spec.benchmark].append(one.cpu)
    return {suite: round(mean(seconds), 2) for suite, seconds in found.items()}


def play_policy(policy: str, suite: str, tasks: Sequence[int]) -> dict[str, Any]:
    """Return the CPU seconds of two episodes a task with robosuite's step and with ours."""
    seconds, equal, successes = dict.fromkeys(("robosuite", "exact"), 0.0), 0, 0
    steps = episodes = 0
    for task in tasks:
        work = resolve(Plan((policy,), (request(suite, task),), 2))
        both = []
        for name in seconds:
            with _loops.changed(ROWS["rendering on demand" if name == "robosuite" else OURS]):
                records = [episode.record for episode in run_inline(work, work.specs, print)]
            seconds[name] += sum(each.cpu["total"] - each.cpu["build"] for each in records)
            both.append([each.deterministic() for each in records])
        equal += sum(one == other for one, other in zip(*both, strict=True))
        episodes += len(records)
        steps += sum(each.steps for each in records)
        successes += sum(bool(each.success) for each in records)
    row = {"policy": policy, "suite": suite, "episodes": episodes, "equal": equal, "steps": steps}
    row |= {"successes": successes} | {name: round(value, 1) for name, value in seconds.items()}
    return row | {"ratio": round(seconds["robosuite"] / seconds["exact"], 2)}


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
    env.observe()
    for role in env.cameras:
        sums["picture"].append(measured(partial(env.observe, (role,))))
        (renderer,) = env._snapshot._renderers.values()
        sums["drawing"].append(measured(renderer.render))


def remaining(suite: str, task: int) -> dict[str, float]:
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
        picture_ms=parts["picture"],
    )


def main() -> None:
    """Measure the table, then what remains, and predict the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", nargs="+", default=STANDARD)
    parser.add_argument("--tasks", nargs="+", type=int, default=[0, 1])
    parser.add_argument(
        "--episodes", type=int, default=3, help="per task; the first is not counted"
    )
    parser.add_argument("--parts", nargs="+", default=["table", "server"])
    parser.add_argument("--policies", nargs="+", default=["oracle", CHECKPOINT])
    options = parser.parse_args()
    result: dict[str, Any] = {}
    if "table" in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            rows = play_rows(options, Path(folder))
        result["table"] = table(rows)
        result["identical"] = len({row["hash"] for row in result["table"]}) == 1
        for row in result["table"]:
            print(row, flush=True)
    if "server" in options.parts:
        parts = {}
        for suite in options.suites:
            each = [remaining(suite, task) for task in options.tasks]
            parts[suite] = {name: mean(one[name] for one in each) for name in each[0]}
            print(
                suite, {name: round(value, 2) for name, value in parts[suite].items()}, flush=True
            )
        suites = {suite: as_suite(values) for suite, values in parts.items()}
        result["server"] = [_server.predict(suites, setting) for setting in _server.SETTINGS]
        result["parts_ms"] = {
            suite: {name: round(value, 2) for name, value in values.items()}
            for suite, values in parts.items()
        }
        for line in result["server"]:
            print(line, flush=True)
    if "policies" in options.parts:
        result["policies"] = []
        for suite in options.suites:
            for policy in options.policies:
                result["policies"].append(play_policy(policy, suite, options.tasks))
                print(result["policies"][-1], flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

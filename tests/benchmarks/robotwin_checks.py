"""Checks of RoboTwin's simulator that run in its virtual environment; prints the results.

`test_robotwin_env.py` runs this program and checks the results. The argument is a folder with
stand-ins for the user's files.
"""

import ctypes
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.robotwin import assets
from benchmarks.robotwin import env as adapter
from benchmarks.robotwin.catalog import BLOCKS, TASKS
from benchmarks.robotwin.env import RoboTwinEnv
from benchmarks.robotwin.protocol import RoboTwinProtocol, full_protocols, protocols
from benchmarks.robotwin.source import silence, source
from harness.contracts.environment import StepOutcome

CARD = protocols()["blocks"]
CAMERAS = ("head_camera", "left_camera", "right_camera")


def make(task: str, card: RoboTwinProtocol = CARD) -> RoboTwinEnv:
    return RoboTwinEnv("robotwin_blocks", task, card)


def any_scene(
    scenes: str, task: str, start: int, episode: int, *ignored: object
) -> tuple[int, dict[str, str]]:
    """Replace the lists of verified scenes, which these checks do not need."""
    del scenes, ignored
    letters = {"stack_blocks_two": "ABab", "handover_block": ""}.get(task, "ABCabc")
    return start + episode, {f"{{{letter}}}": "block" for letter in letters}


def state_hash(env: RoboTwinEnv) -> str:
    return hashlib.sha256(env.state_bytes()).hexdigest()[:16]


def random_actions(env: RoboTwinEnv, seed: int) -> NDArray[np.float32]:
    """Return random actions near the current state, with random grippers."""
    draw = np.random.default_rng(seed)
    actions = env.idle_action + draw.normal(0, 0.05, (4, 16))
    actions[:, [7, 15]] = draw.uniform(0, 1, (4, 2))
    return actions.astype(np.float32)


def put(env: RoboTwinEnv, places: dict[str, Sequence[float]]) -> StepOutcome:
    """Move blocks to positions and simulate a step."""
    for name, place in places.items():
        block = getattr(env._task, name).actor
        pose = block.get_pose()
        pose.p = np.array(place, np.float32)
        block.set_pose(pose)
    return env.advance(env.idle_action)


def same_episode_again() -> dict[str, Any]:
    """Play the same actions before and after another episode; the second time, render images."""
    env = make("stack_blocks_two")
    env.begin(0, 7)
    actions = random_actions(env, 0)
    for action in actions:
        env.advance(action)
    first = state_hash(env)
    env.begin(1, 7)
    for action in random_actions(env, 1):
        env.advance(action)
    other = state_hash(env)
    env.begin(0, 7)
    for action in actions:
        env.observe()
        env.advance(action)
    found = {"first": first, "other": other, "again": state_hash(env), "like_upstream": first}
    found["like_upstream"] = bare_loop(env, actions)
    found["pictures"] = pictures_like_upstreams(env)
    env.close()
    return found


def plans_while_others_draw() -> list[list[float]]:
    """Start the expert after different numbers of calls of C's `rand()`."""
    env, libc = make("handover_block"), ctypes.CDLL(None)
    begun = []
    for drawn in (0, 1, 2):
        env.begin(0, 7)
        for _ in range(drawn):
            libc.rand()
        expert = env.expert()
        assert expert is not None
        begun.append(expert.act().tolist())
    env.close()
    return begun


def bare_loop(env: RoboTwinEnv, actions: NDArray[np.float32]) -> str:
    """Play the actions in RoboTwin's unchanged class, which updates its renderer at every step."""
    upstream = env._task
    plain = type(upstream).__mro__[1]
    quiet = source()._task_class
    source()._task_class = lambda task: plain  # type: ignore[method-assign]
    try:
        env._task = source().begin("stack_blocks_two", CARD, env._robot, 800_000)
        for action in actions:
            with silence():
                env._task.take_action(action.astype(float), "qpos")
        return state_hash(env)
    finally:
        source()._task_class = quiet  # type: ignore[method-assign]
        env._task = upstream


def pictures_like_upstreams(env: RoboTwinEnv) -> dict[str, Any]:
    """Compare images on demand with RoboTwin's observation."""
    task, plain = env._task, type(env._task).__mro__[1]
    before = state_hash(env)
    seen = env.observe()
    task._update_render = task.sync_render
    given = plain.get_obs(task)
    return {
        "same": {
            role: bool(np.array_equal(given["observation"][name]["rgb"], seen["image"][role]))
            for role, name in env.protocol.cameras.items()
        },
        "state": bool(
            np.array_equal(seen["state"], given["joint_action"]["vector"].astype(np.float32))
        ),
        "shapes": [list(image.shape) for image in seen["image"].values()],
        "spread": [float(image.std()) for image in seen["image"].values()],
        "nothing_moved": state_hash(env) == before,
        "fits": bool(env.observation_space.contains(seen)),
    }


def scores() -> dict[str, Any]:
    """Move blocks to their goals, one after another, and return the scores."""
    found: dict[str, Any] = {}
    env = make("stack_blocks_three")
    begun = env.begin(0, 7)
    found["three"] = [begun.progress]
    table = float(env._task.block1.get_pose().p[2])
    for places in (
        {"block1": (0, -0.13, table)},
        {"block2": (0, -0.13, table + 0.05)},
        {"block2": (0.2, 0, table)},
        {"block2": (0, -0.13, table + 0.05), "block3": (0, -0.13, table + 0.1)},
    ):
        outcome = put(env, places)
        found["three"].append(round(outcome.progress, 3))
    found["three_success"] = outcome.success
    env.close()
    env = make("blocks_ranking_size")
    begun = env.begin(0, 7)
    z = [float(getattr(env._task, f"block{k}").get_pose().p[2]) for k in (1, 2, 3)]
    row = {f"block{k + 1}": (0.1 * k - 0.1, -0.15, z[k]) for k in range(3)}
    first = put(env, {name: row[name] for name in ("block1", "block2")})
    last = put(env, row)
    found["ranking"] = [begun.progress, round(first.progress, 3), last.progress, last.success]
    env.close()
    env = make("handover_block")
    begun = env.begin(0, 7)
    raised = [*env._task.box.get_pose().p[:2], 1.2]
    found["handover"] = [begun.progress, round(put(env, {"box": raised}).progress, 3)]
    env.close()
    return found


def poses() -> dict[str, Any]:
    """Move the left gripper to a pose."""
    env = make("stack_blocks_two", protocols()["blocks-ee"])
    env.begin(0, 7)
    start = env.observe(())["state"]
    action = start.copy()
    action[:3] += [0.03, 0.02, 0.05]
    for _ in range(2):
        env.advance(action)
    end = env.observe(())["state"]
    found = {
        "asked": float(np.abs(end[:3] - action[:3]).max()),
        "other_arm": float(np.abs(end[8:11] - start[8:11]).max()),
        "size": len(start),
        "expert": env.expert() is not None,
    }
    env.close()
    return found


def full_mode(root: Path) -> dict[str, Any]:
    """Play a scene of two `robotwin` cards with stand-ins: two Pandas as the robot, no clutter."""
    os.environ[assets.VARIABLE] = str(root)
    assets.problem = lambda: None  # type: ignore[assignment]
    found: dict[str, Any] = {}
    for name in ("demo_clean-seen", "demo_randomized"):
        card = full_protocols("stand-in")[name]
        drawn = dict(card.randomization) | {"cluttered_table": False, "crazy_random_light_rate": 1}
        card = replace(card, planner="mplib", arms_apart=0.8, shader="default", randomization=drawn)
        env = RoboTwinEnv("robotwin", "stack_blocks_two", card)
        looks = []
        for _ in range(2):
            env.begin(0, 0)
            env.advance(env.idle_action)
            looks += [env.observe(("main",))["image"]["main"] for _ in range(2)]
        found[name] = {
            "steps": env.max_steps,
            "instruction": env.instruction,
            "table": float(env._task.table_z_bias),
            "same": all(np.array_equal(look, looks[0]) for look in looks),
            "spread": float(looks[0].std()),
        }
        env.close()
    return found


def cards() -> dict[str, Any]:
    """Compare the cards with RoboTwin's settings files."""
    settings = source()._config
    limits = settings("_eval_step_limit")
    all_cards = [*protocols().values(), *full_protocols("").values()]
    return {
        "limits": all(
            limits[task] == card.steps(benchmark, task)
            for card in all_cards
            for benchmark in card.max_steps
            for task in (TASKS if benchmark == "robotwin" else BLOCKS)
        ),
        "tasks": sorted(limits) == sorted(TASKS),
        "randomization": all(
            settings(card.settings)["domain_randomization"] == card.randomization
            for card in all_cards
        ),
    }


def main() -> None:
    """Run all checks."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    found: dict[str, Any] = {"cards": cards(), "episode": same_episode_again()}
    found["plans"] = plans_while_others_draw()
    adapter.find_scene = any_scene
    found |= {"scores": scores(), "poses": poses(), "full": full_mode(Path(sys.argv[1]))}
    print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()

"""Measures the CPU time of VLABench lite: building an episode, a step, the expert and an image.

    python perf/vlabench.py [--tasks select_poker ...] [--steps 30] [--shadows 0 1024 8192]

Images of the camera `main` are rendered without shadows and with shadow maps of several sizes,
which cost the most, and under the cards `small` and `quick`. An episode's first image is compared
with that of `mujoco.Renderer`, which makes a GL context for each model; their pixels must be equal.
The times are means in this process. The last line is one JSON object.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

from benchmarks.vlabench.catalog import SUITES, TASKS
from benchmarks.vlabench.env import LiteEnv
from benchmarks.vlabench.protocol import protocols
from perf.task_costs import CpuClock, print_rows

SHADOWS = (0, 1024, 8192)
"""No shadows, the size of the protocol cards, and upstream's size."""
IMAGES = 8
CARDS = ("small", "quick")
EPISODES = 3


def measure(task: str, steps: int, shadows: Sequence[int]) -> dict[str, Any]:
    """Return the costs of one task."""
    card, clock = protocols()["openpi"], CpuClock()
    env = LiteEnv("vlabench_lite", TASKS[task], card)
    clock.repeat("build", 3, lambda: env.begin(0, 7))
    idle, expert = env.idle_action, env.expert()
    clock.repeat("step", steps, lambda: env.advance(idle))
    clock.repeat("expert", steps, expert.act)
    env.close()
    compare_first_images(task, clock)
    for name in CARDS:
        drawn = LiteEnv("vlabench_lite", TASKS[task], protocols()[name])
        drawn.begin(0, 7)
        clock.repeat(f"image_{name}", IMAGES, lambda env=drawn: env.observe(["main"]))  # type: ignore[misc]
        drawn.close()
    for size in shadows:
        shaded = LiteEnv("vlabench_lite", TASKS[task], replace(card, shadow_size=size))
        shaded.begin(0, 7)
        clock.repeat(f"image_shadows_{size}", IMAGES, lambda env=shaded: env.observe(["main"]))  # type: ignore[misc]
        shaded.close()
    return clock.milliseconds()


def compare_first_images(task: str, clock: CpuClock) -> None:
    """Measure the first image of some episodes, ours and that of `mujoco.Renderer`.

    Raises:
        RuntimeError: Their pixels differ.
    """
    env = LiteEnv("vlabench_lite", TASKS[task], protocols()["quick"])
    env.begin(0, 7)
    env.observe(["main"])  # The process's first image compiles shaders.
    for episode in range(EPISODES):
        env.begin(episode, 7)
        mine = clock.measure("first_image", lambda: env.observe(["main"])["image"]["main"])
        theirs = clock.measure("first_image_mujoco", lambda: drawn_by_mujoco(env))
        if (mine != theirs).any():
            raise RuntimeError(f"{task}: the pixels of episode {episode} are not MuJoCo's")
    env.close()


def drawn_by_mujoco(env: LiteEnv) -> Any:
    """Return the image of the camera `main`, drawn as MuJoCo's documentation does it."""
    import mujoco  # After `benchmarks`, which chooses its GL backend.

    camera = env.protocol.cameras["main"]
    with mujoco.Renderer(env.world.model, *env.protocol.camera_size) as renderer:
        renderer.update_scene(env.world.data, camera)
        return renderer.render()


def main() -> None:
    """Measure every task and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=list(SUITES["vlabench_lite"]))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--shadows", nargs="*", type=int, default=SHADOWS)
    options = parser.parse_args()
    steps, shadows = options.steps, options.shadows
    print_rows("vlabench_lite", options.tasks, lambda task: measure(task, steps, shadows))


if __name__ == "__main__":
    main()

"""Measures what was tried on the simulators and not taken, in CPU milliseconds.

    python perf/not_taken.py

VLABench lite, by task: compiling the model and settling, which every episode does, and images under
`quick` as a whole and without what is outside their frusta; the pixels must be equal. ManiSkill: an
image of the wrist camera, as a whole and without the arm's first six links, which it hardly sees.
The last line is one JSON object.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

import numpy as np
from numpy.typing import NDArray

from benchmarks.libero.culling import Frustum
from benchmarks.maniskill import catalog
from benchmarks.maniskill.env import ManiSkillEnv
from benchmarks.maniskill.protocol import protocols as maniskill_cards
from benchmarks.vlabench.catalog import SUITES, TASKS
from benchmarks.vlabench.env import LiteEnv
from benchmarks.vlabench.model import build_model
from benchmarks.vlabench.protocol import protocols
from benchmarks.vlabench.world import World
from perf.task_costs import CpuClock, print_rows

IMAGES = 5
ROLES = ("main", "wrist")
MANISKILL = "PegInsertionSide-v1"
BEHIND = [f"panda_link{number}" for number in range(6)]


def measure(task: str) -> dict[str, Any]:
    """Return the costs of one task of either benchmark."""
    clock = CpuClock()
    if task == MANISKILL:
        maniskill(clock)
    else:
        vlabench(task, clock)
    return clock.milliseconds()


def vlabench(task: str, clock: CpuClock) -> None:
    """Measure the parts of an episode's beginning, and images with and without culling.

    Raises:
        RuntimeError: Culling changed a pixel.
    """
    import mujoco  # After `benchmarks`, which chooses its GL backend.

    card = protocols()["quick"]
    env = LiteEnv("vlabench_lite", TASKS[task], card)
    env.begin(0, 7)
    model, data, above = env.world.model, env.world.data, task == "select_painting"
    looks = card.shadow_size, card.multisampling, card.camera_size
    clock.repeat("compile", 2, lambda: build_model(env.scene, above, *looks))
    world = World(model, env.scene)
    clock.measure("settle", lambda: world.settle(card.settle_steps))
    model.light_castshadow[:] = False  # `quick` draws no shadows, but the culling cannot know it.
    cull, renderer = Frustum(model), mujoco.Renderer(model, *card.camera_size)

    def image(role: str, culled: bool) -> NDArray[np.uint8]:
        renderer.update_scene(data, card.views(task)[role])
        if culled:
            cull(renderer.scene, data, 1.0)
        return np.asarray(renderer.render())

    for role in ROLES:
        if (image(role, culled=True) != image(role, culled=False)).any():
            raise RuntimeError(f"{task}: culling changed the pixels of {role}")
        clock.repeat(role, IMAGES, lambda role=role: image(role, culled=False))  # type: ignore[misc]
        clock.repeat(f"{role}_culled", IMAGES, lambda role=role: image(role, culled=True))  # type: ignore[misc]
    renderer.close()
    env.close()


def maniskill(clock: CpuClock) -> None:
    """Measure images of a wrist camera with and without the links behind it."""
    env = ManiSkillEnv("maniskill", catalog.tasks()[MANISKILL], maniskill_cards()["rdt-small"])
    env.begin(0, 7)
    clock.repeat("three_images", IMAGES, env.observe)
    clock.repeat("wrist", IMAGES, lambda: env.observe(["wrist"]))
    env._images.leave_out(BEHIND)
    clock.repeat("wrist_culled", IMAGES, lambda: env.observe(["wrist"]))
    env.close()


def main() -> None:
    """Measure and print the results."""
    print_rows("not_taken", [*SUITES["vlabench_lite"], MANISKILL], measure)


if __name__ == "__main__":
    main()

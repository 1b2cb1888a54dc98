"""A model of 2,000 LIBERO episodes on a GPU server, from the measured parts of an episode.

Nothing here was measured on such a server. Each constant names its source or says `assumed`.
"""

from dataclasses import dataclass

EPISODES = 2000
"""Four suites of 10 tasks with 50 episodes each, the standard evaluation."""
SUCCESS = {
    "libero_spatial": 0.988,
    "libero_object": 0.982,
    "libero_goal": 0.980,
    "libero_10": 0.924,
}
"""pi0.5's success rates in openpi's README (harness/published/tables/openpi.csv)."""
LIMITS = {"libero_spatial": 220, "libero_object": 280, "libero_goal": 300, "libero_10": 520}
"""Steps of a failed episode: benchmarks/libero/protocols/openpi.yaml."""
WAIT_STEPS = 10
"""Before each episode: benchmarks/libero/protocols/openpi.yaml."""
REPLAN = 5
"""Steps between looks: benchmarks/libero/protocols/openpi.yaml."""
CAMERAS = 2
TASKS = 40
CORES = 64
"""Of the server."""
WORKERS = 60
"""Assumed: four cores are left to the policy, the driver and Ray."""
CORE_SPEED = 1.0
"""Assumed: the server's cores are as fast as those of the measurement."""
PICTURE_MS = 1.0
"""Of GPU and of CPU time, if the GPU draws. MuJoCo's maintainers: "GPU rendering is consistently
< 1ms / call" (google-deepmind/mujoco, issue 1485)."""
CHUNK_MS = {1: 25.35, 8: 94.1, 32: 340.5}
"""pi0 by batch size on an H200, 10 denoising steps (github.com/sunxxuns/openpi-1, README.md).
Assumed: pi0.5 on an H100, which computes as fast, takes as long."""
SEND_MS = 2.2
"""CPU time of a worker for sending two pictures to the policy and getting a chunk: `perf/
overhead.py`, Ray with a chunk of 1."""
START_S = 60.0
"""Assumed: loading the policy and starting the workers."""


@dataclass(frozen=True)
class Suite:
    """The measured parts of an episode.

    Attributes:
        steps: Steps of a successful episode; here those of our scripted expert.
        reset_s: CPU seconds of a reset without its wait steps.
        build_s: CPU seconds of building a task's simulator.
        step_ms: CPU milliseconds of a control step by the name of the loop.
        picture_ms: CPU milliseconds of a picture that the CPU draws, by the name of the loop.
    """

    steps: float
    reset_s: float
    build_s: float
    step_ms: dict[str, float]
    picture_ms: dict[str, float]


@dataclass(frozen=True)
class Setting:
    """How the server plays.

    Attributes:
        name: The row's name.
        workers: Environments at the same time.
        batch: Observations in a batch of the policy.
        step: The loop that steps, a key of `Suite.step_ms` and `Suite.picture_ms`.
        every_step: Whether both cameras are drawn in every step.
        gpu_draws: Whether the GPU draws.
    """

    name: str
    workers: int
    batch: int
    step: str
    every_step: bool
    gpu_draws: bool


SETTINGS = [
    Setting("one process, naive loop", 1, 1, "robosuite", True, True),
    Setting("one process, ours", 1, 1, "exact", False, True),
    Setting("60 workers, naive loop", WORKERS, 32, "robosuite", True, True),
    Setting("60 workers, rendering on demand", WORKERS, 32, "robosuite", False, True),
    Setting("60 workers, exact step too", WORKERS, 32, "exact", False, True),
    Setting("60 workers, naive loop, CPU draws", WORKERS, 32, "robosuite", True, False),
    Setting("60 workers, ours, CPU draws", WORKERS, 32, "exact", False, False),
]


def predict(suites: dict[str, Suite], setting: Setting) -> dict[str, object]:
    """Return core-hours, GPU-hours, minutes and the bottleneck of all episodes."""
    cpu = gpu = chunks = 0.0
    for name, suite in suites.items():
        share = EPISODES / len(suites)
        steps = SUCCESS[name] * suite.steps + (1 - SUCCESS[name]) * LIMITS[name]
        looks = steps / REPLAN
        pictures = CAMERAS * (steps + WAIT_STEPS if setting.every_step else looks)
        picture_ms = (
            PICTURE_MS if setting.gpu_draws else suite.picture_ms[setting.step] / CORE_SPEED
        )
        step_ms = suite.step_ms[setting.step] / CORE_SPEED
        of_episode = (steps + WAIT_STEPS) * step_ms + pictures * picture_ms + looks * SEND_MS
        cpu += share * (of_episode / 1000 + suite.reset_s / CORE_SPEED)
        # Every worker builds about one simulator more than its share of the tasks.
        cpu += (TASKS + setting.workers) / len(suites) * suite.build_s / CORE_SPEED
        gpu += share * (pictures * PICTURE_MS / 1000 if setting.gpu_draws else 0.0)
        chunks += share * looks
    policy = chunks * CHUNK_MS[setting.batch] / setting.batch / 1000
    waiting = chunks * CHUNK_MS[setting.batch] / 1000
    limits = {
        "the workers' cores": cpu / min(setting.workers, CORES),
        "the GPU": policy + gpu,
        # A worker stands still while its chunk is computed.
        "waiting for chunks": (cpu + waiting) / setting.workers,
    }
    if setting.workers == 1:
        limits = {"waiting for chunks": cpu + waiting}
    bottleneck = max(limits, key=lambda name: limits[name])
    return {
        "setting": setting.name,
        "core_hours": round(cpu / 3600, 2),
        "gpu_hours": round((policy + gpu) / 3600, 2),
        "minutes": round((limits[bottleneck] + START_S) / 60, 1),
        "bottleneck": bottleneck if setting.workers > 1 else "one after the other",
        "cores_that_feed_the_gpu": round(cpu / (policy + gpu), 1),
    }

"""A package outside Assay with benchmarks and policies: a point moves to a goal.

The engine's tests use it instead of a simulator. Assay finds it through its entry points, like
any installed package.
"""

import ctypes
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from harness.contracts.benchmark import Benchmark, Task
from harness.contracts.environment import Action, BenchmarkEnv, EnvSpec, Observation, StepOutcome
from harness.contracts.errors import PolicyError
from harness.contracts.policy import Policy, PolicySpec, Query
from harness.contracts.protocol import Protocol
from harness.contracts.spec import EpisodeSpec
from harness.contracts.vectors import Layout, Part
from harness.contracts.venv import VirtualEnv

STATE = Layout((Part("position", 2, "m"),))
ACTION = Layout((Part("velocity", 2, "m per step"),))


class PointEnv(BenchmarkEnv):
    """A point starts on a circle of radius 1 and must reach the origin."""

    faults: ClassVar[list[Exception]] = []
    """Each call of `_advance` raises and removes the first, like a failing simulator."""
    built: ClassVar[list[str]] = []
    """The task of each environment that was created."""
    looks: ClassVar[int] = 0
    """Number of rendered images."""

    def __init__(self, task: str, max_steps: int) -> None:
        super().__init__()
        self.built.append(task)
        self.instruction, self.max_steps, self.episodes = f"reach {task}", max_steps, 20
        self.state_layout, self.action_layout = STATE, ACTION
        self.idle_action = np.zeros(2, np.float32)
        self.cameras = ("main",)
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            image=spaces.Dict({"main": spaces.Box(0, 255, (8, 8, 3), np.uint8)}),
            state=spaces.Box(-np.inf, np.inf, (2,), np.float32),
            instruction=spaces.Text(32, charset=frozenset(map(chr, range(32, 127)))),
        )
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        angle = np.random.default_rng([seed, episode]).uniform(0, 2 * np.pi)
        self.position = np.array([np.cos(angle), np.sin(angle)])
        return StepOutcome(False, 0.0)

    def _advance(self, action: Action) -> StepOutcome:
        if self.faults:
            raise self.faults.pop(0)
        _fault_once("ASSAY_POINTS_HANG")
        self.position = self.position + 0.1 * action
        distance = float(np.linalg.norm(self.position))
        return StepOutcome(distance < 0.1, max(0.0, 1 - distance), {"near": distance < 0.5})

    def _observe(self, cameras: Sequence[str]) -> Observation:
        type(self).looks += len(cameras)
        image = np.zeros((8, 8, 3), np.uint8)
        return {
            "image": dict.fromkeys(cameras, image),
            "state": self.position.astype(np.float32),
            "instruction": self.instruction,
        }

    def state_bytes(self) -> bytes:
        return self.position.tobytes()


def _fault_once(variable: str) -> None:
    """Hang in native code or exit once, if the file that the variable names exists."""
    flag = os.environ.get(variable)
    if flag and os.path.exists(flag):
        fault = Path(flag).read_text()
        os.unlink(flag)
        if fault == "exit":
            os._exit(1)
        ctypes.PyDLL(None).sleep(3600)  # PyDLL keeps the global interpreter lock.


class FilmedEnv(PointEnv):
    """Never ends early and has two images of 256 pixels, to measure the engine's overhead."""

    def __init__(self, task: str, max_steps: int) -> None:
        super().__init__(task, max_steps)
        self.cameras, self.episodes = ("main", "wrist"), None
        box = spaces.Box(0, 255, (256, 256, 3), np.uint8)
        self.observation_space = spaces.Dict(
            image=spaces.Dict(dict.fromkeys(self.cameras, box)),
            state=spaces.Box(-np.inf, np.inf, (2,), np.float32),
            instruction=spaces.Text(32, charset=frozenset(map(chr, range(32, 127)))),
        )
        self._image = np.zeros((256, 256, 3), np.uint8)
        self._still = StepOutcome(False, 0.0)

    def _advance(self, action: Action) -> StepOutcome:
        return self._still

    def _observe(self, cameras: Sequence[str]) -> Observation:
        state = self.position.astype(np.float32)
        images = dict.fromkeys(cameras, self._image)
        return {"image": images, "state": state, "instruction": self.instruction}


class Points(Benchmark):
    """The family of the point tasks."""

    name = "points"
    default_protocol = "plain"

    def benchmarks(self) -> Sequence[str]:
        return ["points_two", "points_filmed"]

    def tasks(self, benchmark: str) -> Sequence[Task]:
        return [Task("left", "reach left"), Task("right", "reach right")]

    def protocols(self) -> Mapping[str, Protocol]:
        cards = {
            "plain": (30, 4),
            "short": (5, 4),
            "forty": (40, 1),
            "every": (1000, 1),
            "tenth": (1000, 10),
        }
        return {
            name: Protocol(
                name=f"points/{name}", max_steps=dict.fromkeys(self.benchmarks(), steps), replan=k
            )
            for name, (steps, k) in cards.items()
        }

    def episodes(self, benchmark: str, task: str) -> int | None:
        return 20 if benchmark == "points_two" else None

    def env_spec(self, benchmark: str, task: str, protocol: Protocol) -> EnvSpec:
        filmed = benchmark.endswith("filmed")
        cameras = dict.fromkeys(("main", "wrist"), (256, 256)) if filmed else {"main": (8, 8)}
        return EnvSpec(cameras, STATE, ACTION)

    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        made = PointEnv if benchmark == "points_two" else FilmedEnv
        return made(task, protocol.limit(benchmark))

    def problem(self, images: bool) -> str | None:
        return None

    def rendering(self) -> str:
        return "black images"

    def versions(self) -> Mapping[str, str]:
        return {"points": "1"}


class PointsApart(Points):
    """Point tasks that need a package from their own virtual environment."""

    name = "points_apart"
    venv = VirtualEnv(name="points_apart", packages=("points-lens==1",), imports=("points_lens",))

    def benchmarks(self) -> Sequence[str]:
        return ["points_apart", "points_apart_filmed"]

    def episodes(self, benchmark: str, task: str) -> int | None:
        return None

    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        import points_lens

        made = PointEnv if benchmark == "points_apart" else FilmedEnv
        return made(points_lens.seen(task), protocol.limit(benchmark))

    def versions(self) -> Mapping[str, str]:
        return {"points-lens": "1"}


class Homing(Policy):
    """Moves to the origin with noise from the episode's stream, in chunks of 6 actions."""

    batching = "exact"

    spec = PolicySpec("homing", state_layout=STATE, action_layout=ACTION)

    def infer(self, queries: Sequence[Query]) -> Sequence[Any]:
        self.evaluations += 2  # Counts like a network with two forward passes.
        return [
            np.tile(
                np.clip(-q.observation["state"] + 0.5 * q.stream.normal(size=2), -1, 1).astype(
                    np.float32
                ),
                (6, 1),
            )
            for q in queries
        ]


class Broken(Policy):
    """Returns the object that a test sets."""

    spec = PolicySpec("broken")
    answer: ClassVar[Any] = None

    def infer(self, queries: Sequence[Query]) -> Sequence[Any]:
        return [self.answer]


class Remembering(Homing):
    """Moves to the mean of all states that it has seen in the episode, in chunks of 6 actions."""

    remembers = True
    spec = PolicySpec("remembering", state_layout=STATE, action_layout=ACTION)

    def infer(self, queries: Sequence[Query]) -> Sequence[Any]:
        _fault_once("ASSAY_POINTS_HANG_POLICY")
        for query in queries:
            query.memory.setdefault("seen", []).append(query.observation["state"])
        time.sleep(0.1)
        return [
            np.tile(np.clip(-0.2 * sum(query.memory["seen"]), -1, 1).astype(np.float32), (6, 1))
            for query in queries
        ]


class Slow(Homing):
    """Sleeps at each call, so that a test can kill a busy process."""

    spec = PolicySpec("slow", state_layout=STATE, action_layout=ACTION)

    def infer(self, queries: Sequence[Query]) -> Sequence[Any]:
        _fault_once("ASSAY_POINTS_HANG_POLICY")
        time.sleep(0.1)
        return super().infer(queries)


class Ragged(Homing):
    """Does not batch; returns chunks of random length."""

    batching = "none"
    spec = PolicySpec("ragged", state_layout=STATE, action_layout=ACTION)

    def infer(self, queries: Sequence[Query]) -> Sequence[Any]:
        return [super().infer(queries)[0][: queries[0].stream.integers(1, 7)]]


class Still(Policy):
    """Needs two images and does not move, in chunks of 10 actions."""

    batching = "exact"
    spec = PolicySpec("still", ("main", "wrist"), STATE, ACTION)

    def infer(self, queries: Sequence[Query]) -> Sequence[Any]:
        return [np.zeros((10, 2), np.float32) for _ in queries]


class Watching(Policy):
    """Needs two images every ten steps and idles, in any benchmark."""

    needs_env = True
    spec = PolicySpec("watching", ("main", "wrist"))

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        self._idle = env.idle_action

    def infer(self, queries: Sequence[Query]) -> Sequence[Any]:
        return [np.tile(self._idle, (10, 1))]


class Fussy(Slow):
    """Raises an exception in the task `left`."""

    spec = PolicySpec("fussy", state_layout=STATE, action_layout=ACTION)

    def infer(self, queries: Sequence[Query]) -> Sequence[Any]:
        chunks = super().infer(queries)
        if any("left" in query.observation["instruction"] for query in queries):
            raise ValueError("not this one")
        return chunks


class Unloadable(Homing):
    """Fails to load."""

    spec = PolicySpec("unloadable", state_layout=STATE, action_layout=ACTION)

    def load(self) -> None:
        raise FileNotFoundError("no weights here")


class Single(Slow):
    """Can be loaded only once."""

    source = "FILE"

    def __init__(self, file: str) -> None:
        self.spec = PolicySpec(f"single:{file}", state_layout=STATE, action_layout=ACTION)
        self._file = file

    def load(self) -> None:
        open(self._file, "x").close()


class Witness(Policy):
    """Ends every episode with a reason that describes its image and instruction."""

    batching = "exact"
    spec = PolicySpec("witness", ("main",), STATE, ACTION)

    def infer(self, queries: Sequence[Query]) -> Sequence[Any]:
        seen = queries[0].observation
        image, instruction = seen["image"]["main"], seen["instruction"]
        raise PolicyError(f"shown {image.shape} {image.mean():.0f}, told {instruction}")


SEEN_ACTION = Layout((Part("velocity", 2, "m per step"), Part("gripper", 1, "-1 opens, +1 closes")))


class SeenEnv(PointEnv):
    """A point must reach the red or the blue goal, as the instruction says.

    Only the picture shows the goals. The gripper must close near the goal, which nothing checks.
    """

    def __init__(self, task: str, max_steps: int) -> None:
        super().__init__(task, max_steps)
        self.action_layout, self.idle_action = SEEN_ACTION, np.zeros(3, np.float32)
        self.observation_space = spaces.Dict(
            image=spaces.Dict({"main": spaces.Box(0, 255, (32, 32, 3), np.uint8)}),
            state=spaces.Box(-np.inf, np.inf, (2,), np.float32),
            instruction=spaces.Text(32, charset=frozenset(map(chr, range(32, 127)))),
        )
        self.action_space = spaces.Box(-1.0, 1.0, (3,), np.float32)
        self._channel = 0 if task == "red" else 2

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        goals = np.random.default_rng([seed, episode, 1]).uniform(-0.8, 0.8, (2, 2))
        self._goals = {0: goals[0], 2: goals[1]}
        return super()._begin(episode, seed)

    def _advance(self, action: Action) -> StepOutcome:
        super()._advance(action[:2])
        distance = float(np.linalg.norm(self.position - self._goals[self._channel]))
        return StepOutcome(distance < 0.1, max(0.0, 1 - distance))

    def _observe(self, cameras: Sequence[str]) -> Observation:
        image = np.zeros((32, 32, 3), np.uint8)
        for channel, goal in self._goals.items():
            column, row = np.floor((goal + 1) * 16).astype(int)
            image[row, column, channel] = 255
        return {**super()._observe(()), "image": dict.fromkeys(cameras, image)}

    def expert(self) -> "SeenExpert":
        """Return a controller that knows the goal."""
        return SeenExpert(self)

    def goal(self) -> Any:
        """Return the goal of the instruction."""
        return self._goals[self._channel]


class SeenExpert:
    """Moves to the goal, and closes the gripper near it."""

    def __init__(self, env: SeenEnv) -> None:
        self._env = env

    def act(self) -> Action:
        return towards(self._env.goal() - self._env.position)


def towards(offset: Any) -> Action:
    """Return the action that moves by an offset, with the gripper closed for a short one."""
    gripper = 1.0 if np.linalg.norm(offset) < 0.5 else -1.0
    return np.array([*np.clip(2 * offset, -1, 1), gripper], np.float32)


class PointsSeen(Points):
    """Point tasks with pictures that matter and with an expert."""

    name = "points_seen"

    def benchmarks(self) -> Sequence[str]:
        return ["points_seen"]

    def tasks(self, benchmark: str) -> Sequence[Task]:
        return [Task("red", "reach red"), Task("blue", "reach blue")]

    def episodes(self, benchmark: str, task: str) -> int | None:
        return 20

    def env_spec(self, benchmark: str, task: str, protocol: Protocol) -> EnvSpec:
        return EnvSpec({"main": (32, 32)}, STATE, SEEN_ACTION)

    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        return SeenEnv(task, protocol.limit(benchmark))

"""RoboTwin's modules, imported as they are from its package."""

import contextlib
import copy
import ctypes
import io
import os
import random
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from benchmarks import vulkan
from benchmarks.robotwin.protocol import RoboTwinProtocol
from benchmarks.stub_module import stub_module

NEVER_CALLED = ("huggingface_hub", "open3d", "torch", "torch.multiprocessing")
"""What is imported to download files, to look at point clouds and to plan on a GPU.

RoboTwin seeds torch and draws nothing from it. Who has installed them keeps them.
"""
PATIENCE = 60.0
"""Seconds by the clock for one plan, which takes a few tenths of a free core's."""
RAY_TRACING = (
    "set_ray_tracing_samples_per_pixel",
    "set_ray_tracing_path_depth",
    "set_ray_tracing_denoiser",
)


class Source:
    """What of RoboTwin an evaluation calls."""

    def __init__(self) -> None:
        """Import it."""
        vulkan.use_driver()
        for name in NEVER_CALLED:
            stub_module(name)
        with silence():
            self.mplib: Any = import_module("mplib")
            self._render: Any = import_module("sapien.render")
            self._base: Any = import_module("robotwin.envs._base_task").Base_Task
            self._config: Any = import_module("robotwin.config").load_task_config
            self.describe: Any = import_module("robotwin.description").generate_episode_descriptions
        self._patience = _Patience(self.mplib.Planner)
        self._chance = _Chance(import_module("mplib.pymp.kinematics.pinocchio").PinocchioModel)
        # A task may shift the bounds of the clutter, which upstream keeps in a default value.
        self._clutter = copy.deepcopy(self._base.get_cluttered_table.__defaults__)

    def begin(self, task: str, protocol: RoboTwinProtocol, robot: Path, seed: int) -> Any:
        """Return a task of RoboTwin with the scene of a seed.

        Raises:
            Exception: Whatever RoboTwin says of a seed whose objects do not lie still.
        """
        self._base.get_cluttered_table.__defaults__ = copy.deepcopy(self._clutter)
        # Where tasks look for objects and textures.
        os.environ["ASSETS_PATH"] = str(robot.parents[2])
        random.seed(seed)
        self.mplib.set_global_seed(seed % 2**31)
        self._chance.seed(seed % 2**31)
        made = self._task_class(task)()
        with silence(), self._shaders(protocol.shader):
            made.setup_demo(
                now_ep_num=0, seed=seed, is_test=True, **self._settings(task, protocol, robot)
            )
        return made

    def act(self, task: Any, action: Any, control: str) -> None:
        """Let a task execute an action.

        An arm stays where it is if its pose has no plan. mplib raises if it is there already.
        """
        self._patience.lenient = True
        try:
            with silence():
                task.take_action(action, control)
        finally:
            self._patience.lenient = False

    def _task_class(self, task: str) -> Any:
        """Return a task's class that draws nothing by itself, at up to 250 pictures a second."""
        with silence():
            upstream = getattr(import_module(f"robotwin.envs.{task}"), task)
        quiet = {
            "_update_render": _nothing,
            "get_obs": _nothing,
            "sync_render": upstream._update_render,
        }
        return type(task, (upstream,), quiet)

    def _settings(self, task: str, protocol: RoboTwinProtocol, robot: Path) -> dict[str, Any]:
        """Return what RoboTwin's own evaluator passes to a task."""
        config = yaml.safe_load((robot / "config.yml").read_text())
        settings: dict[str, Any] = self._config(protocol.settings)
        settings |= {
            "task_name": task,
            "domain_randomization": dict(protocol.randomization),
            "planner_backend": protocol.planner,
            "left_robot_file": str(robot),
            "right_robot_file": str(robot),
            "left_embodiment_config": config,
            "right_embodiment_config": copy.deepcopy(config),
            "dual_arm_embodied": protocol.arms_apart is None,
            "embodiment_dis": protocol.arms_apart,
            "eval_mode": True,
            "render_freq": 0,
            "save_freq": None,
        }
        return settings

    @contextlib.contextmanager
    def _shaders(self, shader: str) -> Iterator[None]:
        """Make what RoboTwin sets up draw with other shaders than the ray tracing that it names."""
        if shader == "rt":
            yield
            return
        choose = self._render.set_camera_shader_dir
        replaced = {name: getattr(self._render, name) for name in RAY_TRACING}
        for name in replaced:
            setattr(self._render, name, _nothing)
        self._render.set_camera_shader_dir = lambda _: choose(shader)
        try:
            yield
        finally:
            self._render.set_camera_shader_dir = choose
            for name, given in replaced.items():
                setattr(self._render, name, given)


@cache
def source() -> Source:
    """Return RoboTwin, imported once a process."""
    return Source()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Drop what RoboTwin prints."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


class _Patience:
    """Stands before mplib's planner.

    RoboTwin gives up after 2 s by the clock, so that a plan depends on how busy the machine is.

    Attributes:
        lenient: Whether to say of a pose that it has no plan where mplib raises.
    """

    def __init__(self, planner: Any) -> None:
        self.lenient = False
        given = planner.plan_pose

        def plan_pose(asked: Any, *values: Any, **named: Any) -> Any:
            try:
                return given(asked, *values, **named | {"planning_time": PATIENCE})
            except RuntimeError as error:
                if not self.lenient:
                    raise
                return {"status": str(error)}

        planner.plan_pose = plan_pose


class _Chance:
    """Gives mplib's inverse kinematics a `rand()` of their own.

    They begin at configurations that C's `rand()` draws, and all threads of a process draw from one
    sequence: where a thread of Ray's did so once since the scene was seeded, another plan came out.
    """

    def __init__(self, model: Any) -> None:
        self._libc = ctypes.CDLL(None)
        self._libc.initstate.argtypes = ctypes.c_uint, ctypes.c_void_p, ctypes.c_size_t
        self._libc.setstate.argtypes = (ctypes.c_void_p,)
        self._libc.initstate.restype = self._libc.setstate.restype = ctypes.c_void_p
        # As long as that of `srand`, so that the sequence is the same.
        self._state = ctypes.create_string_buffer(128)
        self.seed(1)
        given = model.get_random_configuration

        def draw(asked: Any) -> Any:
            others = self._libc.setstate(self._state)
            try:
                return given(asked)
            finally:
                self._libc.setstate(others)

        model.get_random_configuration = draw

    def seed(self, seed: int) -> None:
        """Begin the sequence of this seed."""
        self._libc.setstate(self._libc.initstate(seed, self._state, len(self._state)))


def _nothing(*values: object, **named: object) -> None:
    """Stand in for what draws."""

"""RoboTwin's modules, imported from its package without changes."""

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

_STUBBED = ("huggingface_hub", "open3d", "torch", "torch.multiprocessing")
"""Modules that RoboTwin imports only for downloads, point clouds and plans on a GPU.

RoboTwin seeds torch but draws no numbers from it. Installed modules are not replaced.
"""
_PLANNING_TIME = 60.0
"""The time limit of a plan in seconds, far above the usual time of a few tenths of a second."""
_RAY_TRACING = (
    "set_ray_tracing_samples_per_pixel",
    "set_ray_tracing_path_depth",
    "set_ray_tracing_denoiser",
)


class Source:
    """The parts of RoboTwin that an evaluation calls."""

    def __init__(self) -> None:
        """Import them."""
        vulkan.use_driver()
        for name in _STUBBED:
            stub_module(name)
        with silence():
            self.mplib: Any = import_module("mplib")
            self._render: Any = import_module("sapien.render")
            self._base: Any = import_module("robotwin.envs._base_task").Base_Task
            self._config: Any = import_module("robotwin.config").load_task_config
            self.describe: Any = import_module("robotwin.description").generate_episode_descriptions
        self._planner = _PatientPlanner(self.mplib.Planner)
        self._random = _RandomConfigurations(
            import_module("mplib.pymp.kinematics.pinocchio").PinocchioModel
        )
        # A default argument holds the bounds of the clutter, and some tasks change it.
        self._clutter = copy.deepcopy(self._base.get_cluttered_table.__defaults__)

    def begin(self, task: str, protocol: RoboTwinProtocol, robot: Path, seed: int) -> Any:
        """Return a task of RoboTwin with the scene of a seed.

        Raises:
            Exception: RoboTwin's error for a seed whose objects do not come to rest.
        """
        self._base.get_cluttered_table.__defaults__ = copy.deepcopy(self._clutter)
        # Tasks look for objects and textures in this folder.
        os.environ["ASSETS_PATH"] = str(robot.parents[2])
        random.seed(seed)
        self.mplib.set_global_seed(seed % 2**31)
        self._random.seed(seed % 2**31)
        made = self._task_class(task)()
        with silence(), self._shaders(protocol.shader):
            made.setup_demo(
                now_ep_num=0, seed=seed, is_test=True, **self._settings(task, protocol, robot)
            )
        return made

    def act(self, task: Any, action: Any, control: str) -> None:
        """Execute an action.

        An arm without a plan to its pose does not move. mplib raises if the arm is already at the
        pose; then the arm does not move either.
        """
        self._planner.lenient = True
        try:
            with silence():
                task.take_action(action, control)
        finally:
            self._planner.lenient = False

    def _task_class(self, task: str) -> Any:
        """Return a subclass of a task that does not render by itself at every physics step."""
        with silence():
            upstream = getattr(import_module(f"robotwin.envs.{task}"), task)
        quiet = {
            "_update_render": _nothing,
            "get_obs": _nothing,
            "sync_render": upstream._update_render,
        }
        return type(task, (upstream,), quiet)

    def _settings(self, task: str, protocol: RoboTwinProtocol, robot: Path) -> dict[str, Any]:
        """Return the settings that RoboTwin's evaluator passes to a task."""
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
        """Replace the ray tracing that RoboTwin selects by the protocol's shader."""
        if shader == "rt":
            yield
            return
        choose = self._render.set_camera_shader_dir
        replaced = {name: getattr(self._render, name) for name in _RAY_TRACING}
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
    """Return RoboTwin's modules, imported once in a process."""
    return Source()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Discard RoboTwin's output."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


class _PatientPlanner:
    """Gives mplib's planner a longer time limit.

    RoboTwin stops planning after 2 s of wall time, so its plans depend on the machine's load.

    Attributes:
        lenient: Whether an exception of mplib means that the pose has no plan.
    """

    def __init__(self, planner: Any) -> None:
        self.lenient = False
        given = planner.plan_pose

        def plan_pose(asked: Any, *values: Any, **named: Any) -> Any:
            try:
                return given(asked, *values, **named | {"planning_time": _PLANNING_TIME})
            except RuntimeError as error:
                if not self.lenient:
                    raise
                return {"status": str(error)}

        planner.plan_pose = plan_pose


class _RandomConfigurations:
    """Gives mplib's inverse kinematics a private state of C's `rand()`.

    mplib starts its search at random configurations from `rand()`, whose state all threads of a
    process share. A call by another thread, such as one of Ray, would change the plan.
    """

    def __init__(self, model: Any) -> None:
        self._libc = ctypes.CDLL(None)
        self._libc.initstate.argtypes = ctypes.c_uint, ctypes.c_void_p, ctypes.c_size_t
        self._libc.setstate.argtypes = (ctypes.c_void_p,)
        self._libc.initstate.restype = self._libc.setstate.restype = ctypes.c_void_p
        # The size that `srand` uses, so that the sequence is the same.
        self._state = ctypes.create_string_buffer(128)
        self.seed(1)
        given = model.get_random_configuration

        def draw(asked: Any) -> Any:
            shared = self._libc.setstate(self._state)
            try:
                return given(asked)
            finally:
                self._libc.setstate(shared)

        model.get_random_configuration = draw

    def seed(self, seed: int) -> None:
        """Start the sequence of this seed."""
        self._libc.setstate(self._libc.initstate(seed, self._state, len(self._state)))


def _nothing(*values: object, **named: object) -> None:
    """Replace functions that render."""

"""Builds LIBERO's own environment: silent, without cameras, and without a GL library if need be."""

import contextlib
import importlib
import importlib.util
import io
import logging
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.libero.catalog import TaskFiles


def build_control(files: TaskFiles) -> Any:
    """Return LIBERO's `ControlEnv` for a task; its pictures are drawn from snapshots."""
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    # The seed reaches what is drawn while the model is built; resets seed again.
    np.random.seed(0)
    _do_without_cv2()
    _let_gl_be_chosen()
    with contextlib.redirect_stdout(io.StringIO()):
        from libero.libero.envs.env_wrapper import ControlEnv

        control = ControlEnv(
            bddl_file_name=str(files.bddl),
            use_camera_obs=False,
            has_offscreen_renderer=False,
            hard_reset=False,
        )
    _reset_as_hard(control.sim, _unplaced(control.env))
    return control


def _do_without_cv2() -> None:
    """Let robosuite be imported where OpenCV cannot be, for want of a GL library.

    robosuite imports cv2 for its window on a desktop, which is never opened here.
    """
    try:
        importlib.import_module("cv2")
    except ImportError:
        sys.modules["cv2"] = ModuleType("cv2")


def _let_gl_be_chosen() -> None:
    """Keep robosuite from importing EGL where MUJOCO_GL says not to.

    It does so on import unless this macro is off, which must be said before the import.
    """
    name = "robosuite.macros"
    found = importlib.util.find_spec("robosuite")
    if name in sys.modules or found is None or not found.submodule_search_locations:
        return
    path = f"{found.submodule_search_locations[0]}/macros.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    macros = importlib.util.module_from_spec(spec)
    sys.modules[name] = macros
    spec.loader.exec_module(macros)
    macros.MUJOCO_GPU_RENDERING = False  # type: ignore[attr-defined]


def _unplaced(env: Any) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return where a new model has each fixture, before it is placed: position and quaternion."""
    found, bodies = {}, fixture_bodies(env)
    for fixture in env.fixtures_dict.values():
        if fixture.root_body in bodies:
            body = fixture.get_obj()
            told = [body.get("pos", "0 0 0"), body.get("quat", "1 0 0 0")]
            position, turn = (np.array(each.split(), np.float64) for each in told)
            found[bodies[fixture.root_body]] = position, turn
    return found


def fixture_bodies(env: Any) -> dict[str, int]:
    """Return the bodies that fixtures stand by, by name; what belongs to the room has none."""
    model = env.sim.model
    names = (fixture.root_body for fixture in env.fixtures_dict.values())
    return {name: model.body_name2id(name) for name in names if name in model.body_names}


def _reset_as_hard(
    sim: Any, unplaced: Mapping[int, tuple[NDArray[np.float64], NDArray[np.float64]]]
) -> None:
    """Make a soft reset bit for bit what a hard one is, without building the model anew.

    A hard reset computes the forward dynamics twice more: once for the new model and once for its
    new rendering context. Each time MuJoCo's solver starts from its last solution, so without them
    the states come out different in the 14th digit. And it begins with fixtures that are not placed
    yet, to whose place LIBERO adds where it finds their parts: after a soft one, what a scene draws
    onto a stove floats twice as far away, by where the last scene had it.
    """
    soft = sim.reset

    def reset() -> None:
        for body, (position, turn) in unplaced.items():
            sim.model.body_pos[body] = position
            sim.model.body_quat[body] = turn
        soft()
        sim.forward()
        sim.forward()

    sim.reset = reset

"""Builds LIBERO's own environment without output, cameras or the need of a GL library."""

import contextlib
import importlib
import importlib.util
import io
import logging
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import model_cache
from benchmarks.libero.catalog import TaskFiles


def build_control(files: TaskFiles) -> Any:
    """Return LIBERO's `ControlEnv` for a task."""
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    # Building the model draws random numbers, too.
    np.random.seed(0)
    _do_without_cv2()
    _let_gl_be_chosen()
    with contextlib.redirect_stdout(io.StringIO()):
        from libero.libero.envs.env_wrapper import ControlEnv

        with _models_kept():
            control = ControlEnv(
                bddl_file_name=str(files.bddl),
                use_camera_obs=False,
                has_offscreen_renderer=False,
                hard_reset=False,
            )
    _reset_as_hard(control.sim, _unplaced(control.env))
    return control


def _do_without_cv2() -> None:
    """Replace cv2 by an empty module if it cannot be imported, e.g. without a GL library.

    robosuite imports cv2 only for its window, which is never opened here.
    """
    try:
        importlib.import_module("cv2")
    except ImportError:
        sys.modules["cv2"] = ModuleType("cv2")


def _let_gl_be_chosen() -> None:
    """Keep robosuite from importing EGL against the user's MUJOCO_GL.

    robosuite imports EGL unless this macro is off, so the macro is set before its import.
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


@contextlib.contextmanager
def _models_kept() -> Iterator[None]:
    """Let robosuite take its model from the cache."""
    from robosuite.utils.binding_utils import MjSim

    compiling = vars(MjSim)["from_xml_string"]
    MjSim.from_xml_string = classmethod(lambda cls, xml: cls(model_cache.compiled(xml)))
    try:
        yield
    finally:
        MjSim.from_xml_string = compiling


def _unplaced(env: Any) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return each fixture's position and quaternion in a new model, before it is placed."""
    found, bodies = {}, fixture_bodies(env)
    for fixture in env.fixtures_dict.values():
        if fixture.root_body in bodies:
            body = fixture.get_obj()
            texts = [body.get("pos", "0 0 0"), body.get("quat", "1 0 0 0")]
            position, turn = (np.array(text.split(), np.float64) for text in texts)
            found[bodies[fixture.root_body]] = position, turn
    return found


def fixture_bodies(env: Any) -> dict[str, int]:
    """Return the body of each fixture by name; parts of the room have none."""
    model = env.sim.model
    names = (fixture.root_body for fixture in env.fixtures_dict.values())
    return {name: model.body_name2id(name) for name in names if name in model.body_names}


def _reset_as_hard(
    sim: Any, unplaced: Mapping[int, tuple[NDArray[np.float64], NDArray[np.float64]]]
) -> None:
    """Make a soft reset bit for bit equal to a hard one, without building the model again.

    A hard reset computes the forward dynamics twice more: for the new model, and for its new
    rendering context. Each time MuJoCo's solver starts from its last solution. Without these two
    computations the states differ in the 14th digit.

    A hard reset also starts with fixtures that are not placed yet. LIBERO adds each fixture's
    position to the positions that it reads of the fixture's parts. After a soft reset it would
    count the last scene's position twice, so an object drawn onto a stove would float beside it.
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

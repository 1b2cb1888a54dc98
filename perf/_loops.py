"""The ways to play LIBERO that the perf scripts compare; each row of the ablation adds a change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.libero import culling, stepping
from benchmarks.libero.env import LiberoEnv

Change = Callable[[LiberoEnv], None]
"""Changes a new environment."""


def draw_everything(env: LiberoEnv) -> None:
    """Draw also what no camera can see."""
    env._snapshot.leave_out = culling.everything


def robosuites_step(env: LiberoEnv) -> None:
    """Step with robosuite's own loop, and draw everything."""
    draw_everything(env)
    env._step = stepping.robosuites_own(env._control)


def render_every_step(env: LiberoEnv) -> None:
    """Compute every observable and draw both cameras in every step, wait steps included.

    This is what LIBERO's own environment does. A picture is drawn once: a policy that looks gets
    the one of the last step.
    """
    robosuites_step(env)
    for observable in env._control.env._observables.values():
        observable.set_enabled(True)
    step, draw = env._step, env._image
    drawn: dict[str, NDArray[np.uint8]] = {}

    def rendered(action: NDArray[Any]) -> tuple[dict[str, Any], bool]:
        result = step(action)
        drawn.update({role: draw(role) for role in env.cameras})
        return result

    env._step = rendered
    env._image = drawn.__getitem__  # type: ignore[method-assign, assignment]


def as_it_is(env: LiberoEnv) -> None:
    """Change nothing."""


def draw_after_building() -> None:
    """Let every new environment draw both cameras once, which makes its GL context."""
    build = LiberoEnv.__init__

    def draw(env: LiberoEnv, *args: Any, **options: Any) -> None:
        build(env, *args, **options)
        env.begin(0, 0)
        env.observe()

    LiberoEnv.__init__ = draw  # type: ignore[method-assign, assignment]


@contextmanager
def changed(change: Change) -> Iterator[None]:
    """Change every environment of LIBERO that this process builds."""
    build = LiberoEnv.__init__

    def changed_build(env: LiberoEnv, *args: Any, **options: Any) -> None:
        build(env, *args, **options)
        change(env)

    with mock.patch.object(LiberoEnv, "__init__", changed_build):
        yield

"""The GL backend that renders MuJoCo's images here, found without importing MuJoCo."""

import os
from ctypes import CDLL
from functools import cache

DISABLED = ("disabled", "disable", "off", "false", "0")
"""The values of MUJOCO_GL with which MuJoCo loads no GL library."""


def choose_gl() -> str:
    """Return the user's MUJOCO_GL, or else the first installed backend."""
    return os.environ.get("MUJOCO_GL", "").lower() or _installed_gl()


def problem(name: str) -> str | None:
    """Return why `name` cannot render images here, with the command that fixes it, or None."""
    if choose_gl() not in DISABLED:
        return None
    return (
        f"{name}'s images need a GL library; run: "
        "apt-get install -y libegl1 libegl-mesa0 libgl1-mesa-dri"
    )


@cache
def _installed_gl() -> str:
    for backend, library in (("egl", "libEGL.so.1"), ("osmesa", "libOSMesa.so.8")):
        try:
            CDLL(library)
        except OSError:
            continue
        return backend
    return DISABLED[0]

"""Which GL backend draws images here, found without importing MuJoCo."""

import os
from ctypes import CDLL
from functools import cache

DISABLED = ("disabled", "disable", "off", "false", "0")
"""The values of MUJOCO_GL with which MuJoCo loads no GL library."""


def choose_gl() -> str:
    """Return the backend: the user's MUJOCO_GL, else the first that is installed."""
    return os.environ.get("MUJOCO_GL", "").lower() or _installed_gl()


@cache
def _installed_gl() -> str:
    for backend, library in (("egl", "libEGL.so.1"), ("osmesa", "libOSMesa.so.8")):
        try:
            CDLL(library)
        except OSError:
            continue
        return backend
    return DISABLED[0]

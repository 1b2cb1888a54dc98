"""Which GL backend draws images here, found without importing MuJoCo."""

import os
from ctypes.util import find_library

DISABLED = ("disabled", "disable", "off", "false", "0")
"""The values of MUJOCO_GL with which MuJoCo loads no GL library."""


def choose_gl() -> str:
    """Return the backend: the user's MUJOCO_GL, else the first that is installed."""
    chosen = os.environ.get("MUJOCO_GL", "").lower()
    if chosen:
        return chosen
    if find_library("EGL"):
        return "egl"
    return "osmesa" if find_library("OSMesa") else DISABLED[0]

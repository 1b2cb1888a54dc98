"""Benchmarks: one folder per family; families import neither each other nor any policy."""

import os

from benchmarks import gl

# MuJoCo and robosuite read MUJOCO_GL at import and fail if that backend is missing. ManiSkill
# imports MuJoCo, too, so the variable is set before any family is imported.
os.environ["MUJOCO_GL"] = gl.choose_gl()

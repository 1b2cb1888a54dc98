"""Benchmarks: one folder per family; families import neither each other nor any policy.

Importing this package registers the tasks with Gymnasium, for
``gymnasium.make("libero/object-3-v0")``.
"""

from benchmarks import libero as libero
from benchmarks import maniskill as maniskill
from benchmarks import vlabench as vlabench

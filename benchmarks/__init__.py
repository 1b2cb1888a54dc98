"""Benchmarks: one folder per family, none of which knows another or any policy.

Importing this package registers every task with Gymnasium, for
``gymnasium.make("libero/object-3-v0")``.
"""

from benchmarks import libero as libero
from benchmarks import maniskill as maniskill
from benchmarks import vlabench as vlabench

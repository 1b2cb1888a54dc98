"""Keeps a process that evaluates on one core, so that N of them on N cores scale."""

import os

ONE_CORE = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS"), "1"
)
"""What the numeric libraries, and Mesa's software renderer (LP), read when they are imported."""


def use_one_core() -> None:
    """Limit this process, unless the user has set a limit; call it before other imports."""
    for variable, value in ONE_CORE.items():
        os.environ.setdefault(variable, value)

"""Keeps an evaluating process on one core, so that N processes scale on N cores."""

import os

ONE_CORE = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS"), "1"
)
"""Read by the numeric libraries and by Mesa's software renderer (LP) when they are imported."""


def use_one_core() -> None:
    """Limit this process unless the user set a limit. Call it before numpy is imported."""
    for variable, value in ONE_CORE.items():
        os.environ.setdefault(variable, value)

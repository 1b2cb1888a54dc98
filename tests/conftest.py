"""Puts the outside package on the path of every process that a test starts."""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

OUTSIDE = str(Path(__file__).parent / "outside_package")
sys.path.insert(0, OUTSIDE)
os.environ["PYTHONPATH"] = os.pathsep.join(
    [OUTSIDE, str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
)

from assay_points import PointEnv  # noqa: E402

# A shell's background jobs ignore Ctrl-C, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time, and no verdict on how fast a busy machine is.
settings.register_profile("assay", derandomize=True, deadline=None)
settings.load_profile("assay")


@pytest.fixture
def points() -> type[PointEnv]:
    """Reset what the point tasks count and break."""
    PointEnv.faults, PointEnv.built, PointEnv.looks = [], [], 0
    return PointEnv

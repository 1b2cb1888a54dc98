"""Puts the outside package on the import path of the tests and of the processes they start."""

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

from tests.helpers.cluster import cluster as cluster  # noqa: E402 - a fixture of several packages

# Background jobs of a shell ignore SIGINT, and their child processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Use the same examples in every run. Set no deadline, because a busy machine is slow.
settings.register_profile("assay", derandomize=True, deadline=None)
settings.load_profile("assay")


@pytest.fixture
def points() -> type[PointEnv]:
    """Reset the counters and the planned faults of the point tasks."""
    PointEnv.faults, PointEnv.built, PointEnv.looks = [], [], 0
    return PointEnv

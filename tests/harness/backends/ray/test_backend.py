"""Ray that cannot start is one clear line, not a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.backends.ray.backend import connect
from harness.backends.ray.options import RayOptions
from harness.contracts.errors import UsageError


def test_ray_that_cannot_start_is_one_line(tmp_path: Path) -> None:
    command = "from harness.cli.main import main; raise SystemExit(main())"
    arguments = ["run", "--policy", "homing", "--benchmark", "points_two", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments, "--out", str(tmp_path / "run")],
        env=os.environ | {"RAY_TMPDIR": "/proc/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Ray cannot start here" in done.stderr
    assert "leave out --workers" in done.stderr.replace("\n", " ")


def test_address_without_a_cluster_is_named() -> None:
    with pytest.raises(UsageError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        connect(RayOptions(workers=1, address="127.0.0.1:1"))

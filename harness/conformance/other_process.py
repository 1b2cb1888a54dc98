"""Plays a job in another process and returns what it printed."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from harness.preflight.remark import Remark

LONGEST_PLAY = 600.0
"""Seconds for the other process."""


def compared_elsewhere(job: Mapping[str, Any], compare: Callable[[Any], Remark]) -> Remark:
    """Play a job of `harness.conformance` in a new process, and compare its answer."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness.conformance", json.dumps(job)],
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST_PLAY,
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError, OSError) as error:
        text = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return Remark("problem", "process", f"another process fails: {text[-1][:300]}")
    return compare(answer)

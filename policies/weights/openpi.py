"""openpi's statistics of states and actions."""

import json
from pathlib import Path

import numpy as np

from harness.contracts.errors import UsageError
from harness.demonstrations.column_statistics import Statistics


def read_norm_stats(path: Path) -> dict[str, Statistics]:
    """Read the statistics of `state` and `action` from norm_stats.json.

    Raises:
        UsageError: The file cannot be read.
    """
    try:
        norm_stats = json.loads(path.read_text())["norm_stats"]
        return {
            kind: {name: np.array(values) for name, values in norm_stats[key].items() if values}
            for kind, key in (("state", "state"), ("action", "actions"))
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"cannot read {path}: {type(error).__name__}: {error}") from error

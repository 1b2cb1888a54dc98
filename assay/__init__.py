"""Evaluate robot policies from Python; see docs/python-api.md.

The import registers every task with Gymnasium, as ``libero/object-3-v0``.
"""

from assay.comparison import Comparison, compare
from assay.environments import make
from assay.evaluation import evaluate
from assay.registration import register_tasks
from assay.results import Results, load
from harness import __version__
from harness.contracts.errors import PolicyCrashed, StorageError, UsageError

register_tasks()

__all__ = [
    "Comparison",
    "PolicyCrashed",
    "Results",
    "StorageError",
    "UsageError",
    "__version__",
    "compare",
    "evaluate",
    "load",
    "make",
]

"""Seeds the global random generators from an episode's random stream."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from harness.contracts.spec import stream_key


@contextmanager
def seeded(stream: np.random.Generator) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and PyTorch; restore their states on exit.

    So the numbers that a policy draws depend only on the episode and the step. A simulator in
    the same process is not affected. PyTorch is skipped unless it is already imported.
    """
    seed = int(stream_key(stream)[0]) % 2**32  # Draws nothing: the stream stays unused.
    python, legacy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    forked = None
    if hasattr(torch, "__version__"):  # A stand-in of a benchmark has no version.
        assert torch is not None
        cuda = torch.cuda.is_initialized()
        devices = list(range(torch.cuda.device_count())) if cuda else []
        forked = torch.random.fork_rng(devices)
        forked.__enter__()
        torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)
        if forked is not None:
            forked.__exit__(None, None, None)

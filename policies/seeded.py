"""Gives code that draws from global generators the randomness of an episode's stream."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from harness.contracts.spec import stream_key


@contextmanager
def seeded(stream: np.random.Generator) -> Iterator[None]:
    """Seed the generators of Python, NumPy and, where it is imported, PyTorch, and restore them.

    So what such code draws follows from the episode and the step alone, and a simulator in the
    same process draws as if the code had not run.
    """
    seed = int(stream_key(stream)[0]) % 2**32  # Nothing is drawn, so the stream is the code's.
    python, legacy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    forked = None
    if torch is not None:
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

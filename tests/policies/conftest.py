"""Tests use one PyTorch thread: several wait busily, which is slow if cores are shared."""

from importlib.util import find_spec

if find_spec("torch"):
    import torch

    torch.set_num_threads(1)

"""Finds the checkpoints and tables that come with Assay."""

from pathlib import Path

from harness.contracts.errors import UsageError
from harness.contracts.extras import ROOT, is_checkout
from harness.contracts.venv import share_folder


def shipped(name: str) -> Path:
    """Return a file or folder of the checkout, or what a wheel installed of it.

    The path is relative if the current folder holds it.

    Raises:
        UsageError: The installation lacks it.
    """
    path = (ROOT if is_checkout() else share_folder()) / name
    if not path.exists():
        raise UsageError(f"there is no {path}; it is part of Assay's checkout: run this there")
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

"""Tests whether chance explains what a few scenes show.

The scenes are the independent units. The states of one scene are averaged first, because they
share the scene, and counting them as independent would exclude chance too early.
"""

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.01
"""The p-value below which a warning names a defect."""
_ENUMERATED = 14
"""Scenes up to which all patterns of signs are counted; beyond it some are drawn."""
_DRAWN = 9999

Numbers = NDArray[np.float64]


def scene_means(values: Numbers, scenes: NDArray[np.int64]) -> Numbers:
    """Return the mean of each scene's values; values that are not finite are left out."""
    finite = np.isfinite(values)
    means = [values[finite & (scenes == scene)] for scene in np.unique(scenes)]
    return np.array([each.mean() for each in means if len(each)])


def sign_flip_p(values: Numbers) -> float:
    """Return the one-sided p-value of a positive mean; the null is a symmetric distribution at 0.

    It counts how many patterns of signs give a mean at least as large (a paired permutation test).
    """
    return float(family_flip_p(np.asarray(values, np.float64)[np.newaxis])[0])


def family_flip_p(family: Numbers) -> Numbers:
    """Return the p-values of several `sign_flip_p` on the same scenes, corrected for their number.

    Each is compared with the largest of the family under each pattern of signs (Westfall and
    Young's max-T). Where the tests resemble each other this costs less power than Holm's method.

    Args:
        family: The values of each test, (tests, scenes).
    """
    tests, count = family.shape
    if count == 0:
        return np.ones(tests)
    size = np.linalg.norm(family, axis=1)
    scaled = family / np.where(size > 0, size, 1.0)[:, np.newaxis]
    if count <= _ENUMERATED:
        patterns = 2.0 * (np.arange(2**count)[:, np.newaxis] >> np.arange(count) & 1) - 1
    else:
        patterns = np.random.default_rng(0).choice((-1.0, 1.0), (_DRAWN, count))
        patterns = np.vstack([np.ones(count), patterns])
    largest = (patterns @ scaled.T).max(axis=1)
    observed = scaled.sum(axis=1)
    # The margin is for rounding. A test without any difference is no evidence.
    share = (largest[:, np.newaxis] >= observed - 1e-9).mean(axis=0)
    return np.where(size > 0, share, 1.0)


def chance_text(p: float) -> str:
    """Return a p-value as a report shows it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"

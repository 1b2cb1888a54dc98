"""How many GPUs each policy actor gets."""

import math
from collections.abc import Sequence

from harness.contracts.errors import UsageError

_SMALLEST = 1e-4
"""The smallest share of a GPU that Ray can count."""


def gpu_share(wanted: float | None, policies: int, there: float) -> float:
    """Return the GPUs for each policy actor: the user's number, or an even share of one GPU.

    Args:
        wanted: The user's number; None for the default.
        policies: Policies that run in actors.
        there: GPUs of the whole cluster.

    Raises:
        UsageError: Ray cannot hand out so many.
    """
    if wanted is None:
        return 1 / policies if policies and there >= 1 else 0.0
    part_of_many = wanted > 1 and wanted % 1 != 0
    if not math.isfinite(wanted) or 0 < wanted < _SMALLEST or part_of_many:
        raise UsageError(
            f"--policy-gpus must be 0, a fraction from {_SMALLEST} to 1, or a whole number of GPUs "
            f"for each policy, not {wanted:g}"
        )
    return wanted


def actors_on(gpus: float, share: float) -> int:
    """Return how many actors with this share fit on a node: each on one GPU, or on whole ones.

    Args:
        gpus: The node's GPUs.
        share: GPUs for each actor, more than 0.
    """
    # Ray counts in ten-thousandths, and rounds a share down.
    units = int(share / _SMALLEST + 1e-6)
    whole = round(1 / _SMALLEST)
    return int(gpus) * (whole // units) if units <= whole else int(gpus / share)


def require_gpus(share: float, actors: int, nodes: Sequence[float]) -> None:
    """Require that all policy actors get their GPUs.

    Args:
        share: GPUs for each.
        actors: How many there are.
        nodes: The GPUs of each node.

    Raises:
        UsageError: There are too few GPUs.
    """
    room = sum(actors_on(gpus, share) for gpus in nodes) if share else actors
    if room < actors:
        raise UsageError(
            f"{actors} policy actors with {share:.4g} GPUs each do not fit on the "
            f"{sum(nodes):g} GPUs that Ray finds: use another --policy-gpus (0 computes on the "
            f"CPU) or fewer --policy-replicas; see docs/gpu.md"
        )

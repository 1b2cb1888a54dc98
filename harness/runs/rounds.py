"""The rounds in which a run that may stop early plays its episodes.

Apart from what decides when to stop, since every worker imports the plan and none the statistics.
"""

from collections.abc import Iterator

ROUND = 2
"""Episodes of each task in a round: few, to look often; not one, since simulators are built."""


def rounds(episodes: int) -> Iterator[range]:
    """Divide the episodes of a task into rounds."""
    for start in range(0, episodes, ROUND):
        yield range(start, min(start + ROUND, episodes))

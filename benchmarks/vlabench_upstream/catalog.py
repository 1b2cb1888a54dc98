"""Upstream's tracks and their tasks, known without a checkout."""

from dataclasses import dataclass

TASKS = (
    "select_painting",
    "select_book",
    "select_drink",
    "select_chemistry_tube",
    "select_poker",
    "select_mahjong",
    "select_toy",
    "select_fruit",
    "add_condiment",
    "insert_flower",
)
COMMON_SENSE = {
    "select_poker": "select_nth_largest_poker",
    "select_mahjong": "select_unique_type_mahjong",
}
"""The tasks that track 3 puts in the place of two others."""


@dataclass(frozen=True)
class Track:
    """One of upstream's evaluation tracks.

    Attributes:
        file: Its file of episodes, without the ending.
        tasks: Its tasks.
    """

    file: str
    tasks: tuple[str, ...] = TASKS

    def episodes(self, task: str) -> int:
        """Return how many episodes the track has of a task."""
        return 10 if (self.file, task) == ("track_2_cross_category", "insert_flower") else 50


TRACKS = {
    "track1": Track("track_1_in_distribution"),
    "track2": Track("track_2_cross_category"),
    "track3": Track("track_3_common_sense", tuple(COMMON_SENSE.get(task, task) for task in TASKS)),
    "track4": Track("track_4_semantic_instruction"),
    "track6": Track("track_6_unseen_texture"),
}
"""By the short name of the track's protocol card."""

BENCHMARKS = {f"vlabench_{name}": track for name, track in TRACKS.items()}


def short_name(benchmark: str) -> str:
    """Return the short name of a benchmark's track, which is that of its card."""
    return benchmark.removeprefix("vlabench_")

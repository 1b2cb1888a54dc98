"""VLABench's tracks and their tasks, listed without a checkout."""

from dataclasses import dataclass

_TASKS = (
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
_COMMON_SENSE = {
    "select_poker": "select_nth_largest_poker",
    "select_mahjong": "select_unique_type_mahjong",
}
"""The tasks that replace two others in track 3."""


@dataclass(frozen=True)
class Track:
    """One of upstream's evaluation tracks.

    Attributes:
        file: The name of its episode file, without the suffix.
        tasks: The names of its tasks.
    """

    file: str
    tasks: tuple[str, ...] = _TASKS

    def episodes(self, task: str) -> int:
        """Return the number of episodes that the track has of a task."""
        return 10 if (self.file, task) == ("track_2_cross_category", "insert_flower") else 50


TRACKS = {
    "track1": Track("track_1_in_distribution"),
    "track2": Track("track_2_cross_category"),
    "track3": Track(
        "track_3_common_sense", tuple(_COMMON_SENSE.get(task, task) for task in _TASKS)
    ),
    "track4": Track("track_4_semantic_instruction"),
    "track6": Track("track_6_unseen_texture"),
}
"""The tracks by the short names of their protocol cards."""

BENCHMARKS = {f"vlabench_{name}": track for name, track in TRACKS.items()}


def short_name(benchmark: str) -> str:
    """Return the short name of a benchmark's protocol card."""
    return benchmark.removeprefix("vlabench_")

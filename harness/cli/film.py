"""Films the episodes of a run, with a progress bar."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from harness.contracts.record import EpisodeRecord
    from harness.contracts.spec import EpisodeSpec
    from harness.runs.folder import Run
    from harness.runs.plan import Work

Videos = Literal["none", "failures", "all"]


@dataclass
class Films:
    """What `film` did.

    Attributes:
        made: The number of new videos.
        different: Whether a replay differed from its record.
    """

    made: int = 0
    different: bool = False


def require_video(video: Videos) -> None:
    """Require the package that writes videos, before the run.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    if video != "none":
        import imageio  # noqa: F401


def film(run: "Run", work: "Work", video: Videos) -> Films:
    """Film the episodes that have no video yet, by replaying their actions."""
    films = Films()
    wanted = [] if video == "none" else _wanted(run, work, video)
    if not wanted:
        return films
    from harness.backends.replayers import Replayers
    from harness.cli.bar import Bar
    from harness.cli.output import notes

    with Bar(notes(), "videos") as bar, Replayers() as replayers:
        bar.begin("films", len(wanted), 0, "")
        for spec, record in wanted:
            path = run.path / "videos" / f"{spec.key}.mp4"
            for line in replayers.play(work.setup(spec), run, record, path):
                films.different = True
                where = f"{spec.player} {spec.task} episode {spec.episode}"
                bar.console.print(f"replay differs: {where}: {line}", style="red", markup=False)
            films.made += 1
            bar.advance(f"films of {spec.benchmark}", f"{spec.player} {spec.task}")
    return films


def _wanted(run: "Run", work: "Work", video: Videos) -> "list[tuple[EpisodeSpec, EpisodeRecord]]":
    outcomes = {"failures": ("failure",), "all": ("failure", "success")}[video]
    records = run.records()
    return [
        (spec, records[spec.key])
        for spec in work.specs
        if spec.key in records
        and records[spec.key].outcome in outcomes
        and not (run.path / "videos" / f"{spec.key}.mp4").exists()
    ]

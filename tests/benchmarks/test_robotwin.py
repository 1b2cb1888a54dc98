"""RoboTwin without its virtual environment: cards, lists of scenes, and problems."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.robotwin import RoboTwin, RoboTwinBlocks, assets, catalog
from benchmarks.robotwin.needs import VENV
from benchmarks.robotwin.protocol import RoboTwinProtocol, protocols
from benchmarks.robotwin.seeds import added_file, find_scene, read_lists
from benchmarks.robotwin.verify import extend_list
from harness.contracts.errors import UsageError
from harness.contracts.venv import MINOR
from harness.report.markdown import summary_markdown
from harness.report.paper.grid import make_grid
from harness.report.paper.layout import load_layout
from harness.report.summary import summarise
from harness.runs.folder import Run
from tests.helpers.runs import write_run

ROOT = Path(__file__).parent.parent.parent
CARD = protocols()["blocks"]


def test_both_families_have_their_tasks_and_cards() -> None:
    blocks, full = RoboTwinBlocks(), RoboTwin()
    assert [task.name for task in blocks.tasks("robotwin_blocks")] == list(catalog.BLOCKS)
    assert len(full.tasks("robotwin")) == len(set(catalog.TASKS)) == 50
    assert set(catalog.BLOCKS) <= set(catalog.TASKS)
    assert blocks.venv is full.venv
    for family in (blocks, full):
        cards = family.protocols()
        assert family.protocol_of(family.benchmarks()[0]) in cards
        for card in cards.values():
            assert isinstance(card, RoboTwinProtocol)
            assert set(card.task_steps) <= set(catalog.TASKS)
            assert bool(card.note) == (family is blocks)
    labels = {card.label.split("/")[0] for card in full.protocols().values()}
    assert labels == {"robotwin"}
    assert CARD.label.startswith("robotwin-blocks/blocks@")
    assert CARD.first_scene(0) == 100_000
    assert CARD.first_scene(7) == 800_000


def test_cards_with_the_same_scenes_share_a_list() -> None:
    cards = protocols()
    assert cards["blocks"].scenes == cards["blocks-ee"].scenes == cards["blocks-seen"].scenes
    assert len({card.label for card in cards.values()}) == 3
    full = RoboTwin().protocols()
    by_scenes = {name: card.scenes for name, card in full.items() if not name.endswith("-ee")}
    assert len({*by_scenes.values(), CARD.scenes}) == 3


def test_the_committed_lists_are_valid() -> None:
    lists = read_lists(CARD.scenes, Path("/nowhere"))
    assert set(lists) == set(catalog.BLOCKS)
    assert all(by_start["800000"].verified for by_start in lists.values())
    for by_start in lists.values():
        for start, found in by_start.items():
            seeds = [seed for seed, _ in found.verified]
            assert seeds == sorted(set(seeds))
            assert set(seeds) <= set(range(int(start), int(start) + found.tried))


class OddSeeds:
    """Solves the scenes with odd seeds and keeps the seeds that it tried."""

    def __init__(self) -> None:
        self.tried: list[int] = []

    def try_all(
        self, protocol: RoboTwinProtocol, task: str, seeds: Sequence[int]
    ) -> Iterator[dict[str, str] | None]:
        for seed in seeds:
            self.tried.append(seed)
            yield {"{A}": f"block {seed}"} if seed % 2 else None


def test_extending_a_list_tries_no_scene_twice(tmp_path: Path) -> None:
    solvers, path = OddSeeds(), added_file(CARD.scenes, tmp_path)
    for episodes in (2, 5, 3):
        extend_list(solvers, CARD, "stack_blocks_two", 3, episodes, path, tmp_path)
    extend_list(solvers, CARD, "handover_block", 3, 1, path, tmp_path)
    assert (
        len(solvers.tried) == len(set(solvers.tried)) + 2
    )  # The other task tries two of the same seeds.
    found = read_lists(CARD.scenes, tmp_path)["stack_blocks_two"]["400000"]
    assert [seed for seed, _ in found.verified[:5]] == [400_001 + 2 * k for k in range(5)]
    scene = find_scene(CARD.scenes, "stack_blocks_two", 400_000, 4, "the command", tmp_path)
    assert scene == (400_009, {"{A}": "block 400009"})
    with pytest.raises(UsageError, match="run: the command"):
        find_scene(CARD.scenes, "stack_blocks_three", 400_000, 0, "the command", tmp_path)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the files for all 50 tasks, but empty; the real ones have gigabytes."""
    root, packages = tmp_path / "files", tmp_path / "envs/robotwin/lib" / f"python{MINOR}"
    robot = root / "assets/embodiments/aloha-agilex"
    for folder in (robot, root / "assets/objects", packages / "site-packages/curobo"):
        folder.mkdir(parents=True)
    for name in ("config.yml", "curobo_left_tmp.yml"):
        (robot / name).touch()
    monkeypatch.setenv("ROBOTWIN_ASSETS", str(root))
    monkeypatch.setenv("ASSAY_ENVS", str(tmp_path / "envs"))
    return tmp_path


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("files/assets/objects", r"lacks assets/objects; run: git clone .*_download_assets.sh"),
        ("files/assets/embodiments", r"lacks assets/embodiments/aloha-agilex/config.yml"),
        (
            "files/assets/embodiments/aloha-agilex/curobo_left_tmp.yml",
            r"lacks assets/embodiments/aloha-agilex/curobo_left_tmp.yml",
        ),
        (
            f"envs/robotwin/lib/python{MINOR}/site-packages/curobo",
            r"--python .*/robotwin/bin/python install torch .*NVlabs/curobo",
        ),
    ],
)
def test_the_problem_names_the_missing_file(files: Path, missing: str, message: str) -> None:
    assert assets.problem() is None
    (files / missing).rename(files / "gone")
    problem = assets.problem()
    assert problem is not None
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problem)


def test_only_randomized_cards_need_background_textures(files: Path) -> None:
    cards = RoboTwin().protocols()
    clean, randomized = cards["demo_clean"], cards["demo_randomized"]
    assert isinstance(clean, RoboTwinProtocol)
    assert isinstance(randomized, RoboTwinProtocol)
    assert assets.robot(clean).name == "aloha-agilex"
    with pytest.raises(UsageError, match=r"needs .*background_texture; run: git clone"):
        assets.robot(randomized)


def test_the_label_depends_on_the_files(files: Path) -> None:
    before = RoboTwin().protocols()["demo_clean"].label
    (files / "files/assets/objects/mug.glb").write_text("a mug")
    assets._identity.cache_clear()
    assert RoboTwin().protocols()["demo_clean"].label != before
    assert protocols()["blocks"].label == CARD.label


def test_without_files_the_tasks_are_listed_and_the_problem_names_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ROBOTWIN_ASSETS", raising=False)
    family = RoboTwin()
    assert len(family.tasks("robotwin")) == 50
    assert "git clone https://github.com/RoboTwin-Platform/RoboTwin" in str(family.problem(False))
    assert str(VENV.home).endswith("robotwin")


SINGLE_ARM = 27
"""The number of tasks for one arm in Table 13."""


def test_table_13_has_all_tasks_in_two_groups(tmp_path: Path) -> None:
    layout = load_layout("e0-table-13")
    places = [place for place in layout.places if place.ours]
    assert sorted(place.ours for place in places) == sorted(f"robotwin/{t}" for t in catalog.TASKS)
    single = {place.ours.split("/")[1] for place in places if place.group == "Single-arm tasks"}
    label = RoboTwin().protocols()["demo_clean"].label
    write_run(
        tmp_path / "run",
        ["e0@1"],
        {"robotwin": catalog.TASKS},
        lambda policy, task, episode: 1.0 if task in single else 0.5,
        protocol=label,
        episodes=2,
    )
    grid = make_grid(summarise([Run.existing(tmp_path / "run")]), layout, reference=True)
    found = {
        row.label: cells[0].estimate
        for row, cells in zip(grid.rows, grid.cells, strict=True)
        if row.group == "Average" and cells[0] is not None
    }
    assert len(single) == SINGLE_ARM
    share = pytest.approx(SINGLE_ARM / len(places))
    assert found == {"single-arm": 1.0, "dual-arm": 0.0, "all tasks": share}


def test_tasks_with_blocks_are_refused_beside_published_numbers(tmp_path: Path) -> None:
    suite = {"robotwin_blocks": catalog.BLOCKS}
    write_run(tmp_path / "run", ["a"], suite, lambda *_: 1.0, protocol=CARD.label, episodes=2)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    facts["protocols"][CARD.label]["note"] = CARD.note
    (tmp_path / "run" / "run.json").write_text(json.dumps(facts))
    summary = summarise([Run.existing(tmp_path / "run")])
    layout = tmp_path / "mine.yaml"
    known = (ROOT / "harness" / "published" / "layouts" / "e0-table-13.yaml").read_text()
    layout.write_text(known.replace("ours: robotwin/", "ours: robotwin_blocks/"))
    with pytest.raises(UsageError, match=r"robotwin-blocks/blocks@.*not comparable to the leader"):
        make_grid(summary, load_layout(str(layout)), reference=True)
    assert "not comparable to the leaderboard" in summary_markdown(summary)

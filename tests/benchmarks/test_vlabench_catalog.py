"""VLABench lite's tasks, cards, drawn scenes and tracks, without a simulator."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.vlabench import VLABenchLite, catalog
from benchmarks.vlabench.assets import asset, names
from benchmarks.vlabench.catalog import SUITES, TASKS
from benchmarks.vlabench.layout import Scene
from benchmarks.vlabench.protocol import CARDS, FOLDER, NOTE, protocols
from benchmarks.vlabench.tracks import TRACKS, load_track
from harness.contracts.errors import UsageError
from harness.runs.plan import BenchmarkRequest, Plan, resolve

OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "vlabench_tracks"
OPENPI = protocols()["openpi"]
HERE = [task for task in TASKS if task in SUITES["vlabench_lite"]]


def scenes(task: str, count: int = 60, card: str = "openpi") -> list[Scene]:
    return [protocols()[card].scene(task, episode, 7) for episode in range(count)]


def test_listing_imports_no_simulator() -> None:
    code = (
        "import sys; from harness.contracts.registry import families;"
        "f = families()['vlabench_lite'];"
        "[f.tasks(b) for b in f.benchmarks()]; f.problem(images=True); f.protocols();"
        "print([m for m in ('mujoco', 'robosuite') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("card", sorted(CARDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_field_of_a_card_has_its_source(card: Path) -> None:
    fields = yaml.safe_load(card.read_text())
    assert all(entry["source"] for key, entry in fields.items() if key not in ("name", "summary"))


def test_every_card_says_what_its_numbers_are_not() -> None:
    for card in protocols().values():
        assert card.name.startswith("vlabench_lite/")
        assert card.note == VLABenchLite().demonstration_protocol(card).note == NOTE


def test_the_suite_is_the_five_and_a_task_can_be_named_behind_it() -> None:
    plan = Plan(("zero",), (BenchmarkRequest("vlabench_lite"),), 1)
    assert resolve(plan).cells[0].tasks == tuple(HERE)
    plan = Plan(("zero",), (BenchmarkRequest("vlabench_lite/select_poker"),), 1)
    assert resolve(plan).cells[0].tasks == ("select_poker",)


@pytest.mark.parametrize("task", TASKS)
def test_a_scene_follows_from_its_spec_alone(task: str) -> None:
    again = OPENPI.scene(task, 3, 7)
    assert again == OPENPI.scene(task, 3, 7)
    drawn = scenes(task)
    assert drawn[3] == again
    assert len({scene.things for scene in drawn}) == len(drawn)
    assert OPENPI.scene(task, 3, 8).things != again.things


@pytest.mark.parametrize("task", TASKS)
def test_demonstrations_have_scenes_of_their_own(task: str) -> None:
    rehearsal = VLABenchLite().demonstration_protocol(OPENPI)
    assert rehearsal.label != OPENPI.label
    assert not {rehearsal.scene(task, n, 7).things for n in range(60)} & {
        scene.things for scene in scenes(task)
    }


@pytest.mark.parametrize("card", ["openpi", "unseen"])
@pytest.mark.parametrize("task", TASKS)
def test_nothing_overlaps_and_the_target_is_there(task: str, card: str) -> None:
    for scene in scenes(task, card=card):
        assert scene.target in scene.choices
        assert scene.wrong() in set(scene.choices) - {scene.target}
        assert len({thing.name for thing in scene.things}) == len(scene.things)
        loose = [t for t in scene.things if asset(t.asset).kind not in ("painting", "poker")]
        for one, other in combinations(loose, 2):
            gap = np.subtract(one.position, other.position)[:2]
            near = min(asset(one.asset).half_size[:2]) + min(asset(other.asset).half_size[:2])
            assert np.linalg.norm(gap) > near, (one, other)


def test_seen_and_unseen_targets_are_upstreams() -> None:
    for card, toys, fruit in (
        ("openpi", catalog.SEEN_TOYS, catalog.SEEN_FRUIT),
        ("unseen", catalog.UNSEEN_TOYS, catalog.UNSEEN_FRUIT),
    ):
        for scene in scenes("select_toy", card=card):
            (series,) = (each for each in toys if scene.target in each)
            assert [toy for toy in scene.choices if toy in series] == [scene.target]
        assert {scene.target for scene in scenes("select_fruit", card=card)} == set(fruit)


def test_reasoning_tasks_ask_for_what_they_say() -> None:
    orders = {"the the largest": 1, "the the 2nd largest": 2, "the the 3rd largest": 3}
    for scene in scenes("select_nth_largest_poker"):
        ranks = sorted((name.split("_")[0] for name in scene.choices), key=catalog.RANKS.index)
        words = scene.instruction.removeprefix("Please pick ").removesuffix(" poker")
        nth = orders.get(words, len(ranks))
        assert scene.target.split("_")[0] == ranks[-nth]
    for scene in scenes("select_unique_type_mahjong"):
        suits = [name.split("_")[1] for name in scene.choices]
        assert suits.count(scene.target.split("_")[1]) == 1
        assert all(suits.count(suit) > 1 for suit in set(suits) - {scene.target.split("_")[1]})


def test_step_limits_are_upstreams() -> None:
    limits = {task: OPENPI.task_limit("vlabench_lite", task) for task in TASKS}
    short = {"select_painting", "select_poker", "select_nth_largest_poker"}
    assert limits == {task: 100 if task in short else 200 for task in TASKS}
    short = OPENPI.shortened("vlabench_lite", 8)
    assert {short.task_limit("vlabench_lite", task) for task in TASKS} == {8}


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="upstream's tracks are not beside the project")
@pytest.mark.parametrize("number", TRACKS)
def test_every_official_episode_can_be_laid_out(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(OFFICIAL))
    card = protocols()[f"track{number}"]
    assert card.track_sha256
    track = load_track(number, OFFICIAL)
    assert track is not None
    assert len(track.episodes) == 5
    for task, episodes in track.episodes.items():
        assert len(episodes) == 50
        for index, episode in enumerate(episodes):
            given, scene = episode["task"], card.scene(task, index, 7)
            assert [scene.instruction] == given["instructions"]
            there = {each["name"]: each for each in given["components"] if each["name"] != "table"}
            assert {thing.name for thing in scene.things} == set(there)
            for thing in scene.things:
                np.testing.assert_allclose(
                    thing.position[:2], there[thing.name]["position"][:2], atol=1e-5
                )
            wanted = given["conditions"].get("press_button", {}).get("target_button")
            assert scene.target == (wanted or given["target_entity"][0])


def small_track(folder: Path, change: Callable[[Any], None] = lambda episode: None) -> Path:
    """Write a track of one episode: an apple and a pear beside a plate."""

    def component(kind: str, name: str, x: float) -> dict[str, Any]:
        return {"class": kind, "name": name, "position": [x, 0, 0.8], "orientation": [1, 0, 0, 0]}

    table = component("Table", "table", 0) | {"materials": ["stone2"]}
    fruit = [component("Fruit", name, x) for name, x in (("apple", 0), ("pear", 0.2))]
    episode = {
        "components": [table, component("Plate", "plate_seen", -0.2), *fruit],
        "scene": {"floor_textures": ["floor3"]},
        "instructions": ["Something sweet, please."],
        "conditions": {"contain": {"container": "plate_seen", "entities": ["apple"]}},
        "target_entity": ["apple"],
        "target_container": "plate_seen",
    }
    change(episode)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "track_4_semantic_instruction.json"
    path.write_text(json.dumps({"select_fruit": [{"task": episode}], "insert_flower": []}))
    return path


def test_what_a_track_says_is_part_of_its_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = []
    for name, told in (("one", "Something sweet."), ("two", "Something sour.")):
        path = small_track(tmp_path / name, lambda e, t=told: e.update(instructions=[t]))
        monkeypatch.setenv(FOLDER, str(tmp_path / name))
        card = protocols()["track4"]
        labels.append(card.label)
        scene = card.scene("select_fruit", 0, 7)
        assert (scene.instruction, scene.table, scene.floor) == (told, "stone2", "floor3")
        assert scene == card.scene("select_fruit", 0, 99)
    packed = tmp_path / "packed" / f"{path.name}.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(path.read_bytes()))
    monkeypatch.setenv(FOLDER, str(packed.parent))
    labels.append(protocols()["track4"].label)
    assert labels[0] != labels[1] == labels[2]


def test_mistakes_with_tracks_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    family = VLABenchLite()
    with pytest.raises(UsageError, match=f"set {FOLDER} to the folder"):
        family.make("vlabench_lite", "select_toy", protocols()["track1"])
    small_track(tmp_path)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    card = protocols()["track4"]
    with pytest.raises(UsageError, match="no episodes of select_toy; it has those of select_fruit"):
        family.make("vlabench_lite", "select_toy", card)
    with pytest.raises(UsageError, match="use --episodes 1"):
        card.scene("select_fruit", 1, 7)
    with pytest.raises(UsageError, match="has changed since"):
        replace(card, track_sha256="0").scene("select_fruit", 0, 7)


@pytest.mark.parametrize(
    "change",
    [
        lambda episode: episode.pop("scene"),
        lambda episode: episode.update(target_entity=["lemon"]),
        lambda episode: episode["components"][2].update(name="../apple"),
        lambda episode: episode["components"][2].update({"class": "Bomb"}),
        lambda episode: episode["components"][2].update(position=["here", 0, 0]),
    ],
)
def test_a_damaged_track_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], None]
) -> None:
    small_track(tmp_path, change)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(UsageError, match="episode 0 of select_fruit is not as VLABench writes it"):
        protocols()["track4"].scene("select_fruit", 0, 7)


def test_what_is_no_track_is_refused(tmp_path: Path) -> None:
    for text in ("[", "[]", '{"select_toy": 3}'):
        path = tmp_path / str(len(text)) / "track_1_in_distribution.json"
        path.parent.mkdir()
        path.write_text(text)
        with pytest.raises(UsageError, match="track"):
            load_track(1, path.parent)


def test_there_is_a_thing_for_every_name() -> None:
    toys = {toy for series in catalog.SEEN_TOYS + catalog.UNSEEN_TOYS for toy in series}
    assert toys == set(names("toy"))
    assert set(catalog.SEEN_FRUIT + catalog.UNSEEN_FRUIT) == set(names("fruit"))
    assert set(catalog.TILES) <= set(names("mahjong"))

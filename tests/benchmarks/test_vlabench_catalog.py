"""VLABench lite's tasks, protocol cards, scenes and tracks, without a simulator."""

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
from benchmarks.vlabench.protocol import CARDS, NOTE, TRACKS_VARIABLE, LiteProtocol, protocols
from benchmarks.vlabench.scene import Scene
from benchmarks.vlabench.tracks import TRACKS, load_track
from harness.contracts.errors import UsageError
from harness.runs.plan import BenchmarkRequest, Plan, resolve

OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "vlabench_tracks"
OPENPI = protocols()["openpi"]
SUITE = [task for task in TASKS if task in SUITES["vlabench_lite"]]


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
def test_every_field_of_a_card_has_a_source(card: Path) -> None:
    fields = yaml.safe_load(card.read_text())
    assert all(entry["source"] for key, entry in fields.items() if key not in ("name", "summary"))


def test_every_card_has_the_note_about_procedural_assets() -> None:
    for card in protocols().values():
        assert card.name.startswith("vlabench_lite/")
        assert card.note == VLABenchLite().demonstration_protocol(card).note == NOTE


def test_a_benchmark_is_a_suite_or_a_single_task() -> None:
    plan = Plan(("zero",), (BenchmarkRequest("vlabench_lite"),), 1)
    assert resolve(plan).setups[0].tasks == tuple(SUITE)
    plan = Plan(("zero",), (BenchmarkRequest("vlabench_lite/select_poker"),), 1)
    assert resolve(plan).setups[0].tasks == ("select_poker",)


@pytest.mark.parametrize("task", TASKS)
def test_a_scene_depends_on_its_spec_alone(task: str) -> None:
    again = OPENPI.scene(task, 3, 7)
    assert again == OPENPI.scene(task, 3, 7)
    drawn = scenes(task)
    assert drawn[3] == again
    assert len({scene.things for scene in drawn}) == len(drawn)
    assert OPENPI.scene(task, 3, 8).things != again.things


@pytest.mark.parametrize("task", TASKS)
def test_demonstrations_and_evaluations_share_no_scene(task: str) -> None:
    demonstrations = VLABenchLite().demonstration_protocol(OPENPI)
    assert demonstrations.label != OPENPI.label
    assert not {demonstrations.scene(task, n, 7).things for n in range(60)} & {
        scene.things for scene in scenes(task)
    }


@pytest.mark.parametrize("card", ["openpi", "unseen"])
@pytest.mark.parametrize("task", TASKS)
def test_things_do_not_overlap_and_the_target_is_a_choice(task: str, card: str) -> None:
    for scene in scenes(task, card=card):
        assert scene.target in scene.choices
        assert scene.distractor() in set(scene.choices) - {scene.target}
        assert len({thing.name for thing in scene.things}) == len(scene.things)
        loose = [t for t in scene.things if asset(t.asset).kind not in ("painting", "poker")]
        for one, other in combinations(loose, 2):
            gap = np.subtract(one.position, other.position)[:2]
            near = min(asset(one.asset).half_size[:2]) + min(asset(other.asset).half_size[:2])
            assert np.linalg.norm(gap) > near, (one, other)


def test_targets_are_from_upstreams_seen_and_unseen_sets() -> None:
    for card, toys, fruit in (
        ("openpi", catalog.SEEN_TOYS, catalog.SEEN_FRUIT),
        ("unseen", catalog.UNSEEN_TOYS, catalog.UNSEEN_FRUIT),
    ):
        for scene in scenes("select_toy", card=card):
            (series,) = (each for each in toys if scene.target in each)
            assert [toy for toy in scene.choices if toy in series] == [scene.target]
        assert {scene.target for scene in scenes("select_fruit", card=card)} == set(fruit)


def test_the_targets_of_reasoning_tasks_match_their_instructions() -> None:
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


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="upstream's track files are missing")
@pytest.mark.parametrize("number", TRACKS)
def test_every_official_episode_becomes_a_scene(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRACKS_VARIABLE, str(OFFICIAL))
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
            parts = {each["name"]: each for each in given["components"] if each["name"] != "table"}
            assert {thing.name for thing in scene.things} == set(parts)
            for thing in scene.things:
                np.testing.assert_allclose(
                    thing.position[:2], parts[thing.name]["position"][:2], atol=1e-5
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


def test_the_content_of_a_track_file_is_part_of_the_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = []
    for name, instruction in (("one", "Something sweet."), ("two", "Something sour.")):
        path = small_track(tmp_path / name, lambda e, t=instruction: e.update(instructions=[t]))
        monkeypatch.setenv(TRACKS_VARIABLE, str(tmp_path / name))
        card = protocols()["track4"]
        labels.append(card.label)
        scene = card.scene("select_fruit", 0, 7)
        assert (scene.instruction, scene.table, scene.floor) == (instruction, "stone2", "floor3")
        assert scene == card.scene("select_fruit", 0, 99)
    packed = tmp_path / "packed" / f"{path.name}.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(path.read_bytes()))
    monkeypatch.setenv(TRACKS_VARIABLE, str(packed.parent))
    labels.append(protocols()["track4"].label)
    assert labels[0] != labels[1] == labels[2]


def test_errors_of_tracks_name_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRACKS_VARIABLE, raising=False)
    family = VLABenchLite()
    with pytest.raises(UsageError, match=f"tracks=FOLDER or set {TRACKS_VARIABLE}"):
        family.make("vlabench_lite", "select_toy", protocols()["track1"])
    small_track(tmp_path)
    monkeypatch.setenv(TRACKS_VARIABLE, str(tmp_path))
    card = protocols()["track4"]
    with pytest.raises(UsageError, match="no episodes of select_toy; it has those of select_fruit"):
        family.make("vlabench_lite", "select_toy", card)
    with pytest.raises(UsageError, match="use --episodes 1"):
        card.scene("select_fruit", 1, 7)
    with pytest.raises(UsageError, match="has changed since"):
        replace(card, track_sha256="0").scene("select_fruit", 0, 7)


def resolve_tracks(protocol: str) -> LiteProtocol:
    """Return the protocol of a run of select_fruit with this value of ``--protocol``."""
    request = BenchmarkRequest("vlabench_lite/select_fruit", protocol=protocol)
    (setup,) = resolve(Plan(("zero",), (request,), 1)).setups
    assert isinstance(setup.protocol, LiteProtocol)
    return setup.protocol


def test_an_option_of_the_protocol_names_the_folder_of_the_tracks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_track(tmp_path / "option")
    small_track(tmp_path / "variable", lambda e: e.update(instructions=["Something sour."]))
    monkeypatch.setenv(TRACKS_VARIABLE, str(tmp_path / "variable"))
    card = resolve_tracks(f"track4,tracks={tmp_path / 'option'}")
    assert card.scene("select_fruit", 0, 7).instruction == "Something sweet, please."
    by_variable = resolve_tracks("track4")
    assert by_variable.scene("select_fruit", 0, 7).instruction == "Something sour."
    # The label depends on the file's content and not on the way in which the folder was named.
    monkeypatch.setenv(TRACKS_VARIABLE, str(tmp_path / "option"))
    assert resolve_tracks("track4").label == card.label != by_variable.label
    assert resolve_tracks(f"{card.label},tracks={tmp_path / 'option'}").label == card.label


def test_a_recorded_track_without_its_file_names_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TRACKS_VARIABLE, raising=False)
    small_track(tmp_path)
    label = resolve_tracks(f"track4,tracks={tmp_path}").label
    for protocol in (label, "track4"):
        with pytest.raises(UsageError, match="use --protocol track4,tracks=FOLDER or set"):
            resolve_tracks(protocol)


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        (
            "track4,track=.",
            "unknown option of the protocols of vlabench_lite 'track'; did you mean",
        ),
        ("track4,seed=3", "unknown option of the protocols of vlabench_lite 'seed'; known: tracks"),
        ("track4,tracks", "'tracks' in --protocol track4,tracks is not OPTION=VALUE"),
        ("track4,tracks=.,tracks=.", "gives tracks twice"),
        ("trak4,tracks=.", "unknown protocol of vlabench_lite 'trak4'; did you mean track4"),
        ("track4,tracks=/missing", "the folder of VLABench's tracks does not exist: /missing"),
        ("track4,tracks=.", "has no track_4_semantic_instruction.json"),
        ("openpi,tracks=.", "vlabench_lite/openpi plays no track; leave out tracks="),
    ],
)
def test_errors_of_the_tracks_option_name_the_fix(protocol: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve_tracks(protocol)


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
    monkeypatch.setenv(TRACKS_VARIABLE, str(tmp_path))
    with pytest.raises(UsageError, match="episode 0 of select_fruit has not VLABench's format"):
        protocols()["track4"].scene("select_fruit", 0, 7)


def test_a_file_that_is_no_track_is_refused(tmp_path: Path) -> None:
    for text in ("[", "[]", '{"select_toy": 3}'):
        path = tmp_path / str(len(text)) / "track_1_in_distribution.json"
        path.parent.mkdir()
        path.write_text(text)
        with pytest.raises(UsageError, match="track"):
            load_track(1, path.parent)


def test_there_is_an_asset_for_every_name() -> None:
    toys = {toy for series in catalog.SEEN_TOYS + catalog.UNSEEN_TOYS for toy in series}
    assert toys == set(names("toy"))
    assert set(catalog.SEEN_FRUIT + catalog.UNSEEN_FRUIT) == set(names("fruit"))
    assert set(catalog.TILES) <= set(names("mahjong"))

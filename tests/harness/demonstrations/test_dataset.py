"""Data sets: writing them from shards and reading them again."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from harness.contracts.errors import UsageError
from harness.demonstrations.column_statistics import QUANTILES, image_statistics
from harness.demonstrations.dataset import Provenance, write_dataset
from harness.demonstrations.images import decode_image, encode_png, image_histogram
from harness.demonstrations.reader import Demonstrations
from harness.demonstrations.shards import write_shard
from tests.helpers.demonstrations import ACTION, PROVENANCE, STATE, assert_same, made


def test_a_chunk_ends_with_a_perturbed_step(tmp_path: Path) -> None:
    perturbed = made(stride=1, perturbed_steps=np.array([4, 5, 9]))
    for demonstration in (perturbed, made(1, stride=1)):
        write_shard(tmp_path, demonstration)
    write_dataset(tmp_path, PROVENANCE)
    data = Demonstrations(tmp_path)
    assert_same(data.episode(0), perturbed)
    samples = data.samples(4)
    # The expert's action at a perturbed step is known; its next one without it is not.
    assert (~samples.padded[:11]).sum(1).tolist() == [4, 4, 3, 2, 1, 1, 4, 3, 2, 1, 1]
    np.testing.assert_array_equal(samples.chunk[2], perturbed.action[[2, 3, 4, 4]])
    assert np.flatnonzero(samples.cut).tolist() == [2, 3, 4, 5, 7, 8, 9]
    assert (~samples.padded[11:]).sum(1).tolist() == [4] * 8 + [3, 2, 1]


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file of the data set, without its shards."""
    files = [path for path in folder.rglob("*") if path.is_file() and "shards" not in path.parts]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("stride", [0, 1, 4])
def test_reading_returns_the_written_demonstrations(tmp_path: Path, stride: int) -> None:
    written = [
        made(task=task, instruction=f"do {task}", episode=episode, stride=stride, steps=5 + episode)
        for task in ("lift", "push")
        for episode in (2, 10)
    ]
    for demonstration in reversed(written):
        write_shard(tmp_path, demonstration)
    assert write_dataset(tmp_path, PROVENANCE) == 4
    read = Demonstrations(tmp_path)
    assert len(read) == 4
    assert read.tasks == ("suite/lift", "suite/push")
    assert read.instructions == ("do lift", "do push")
    assert (read.state_layout, read.action_layout) == (STATE, ACTION)
    assert read.cameras == (dict.fromkeys(["main", "wrist"], (6, 8)) if stride else {})
    for index, demonstration in enumerate(written):
        assert_same(read.episode(index), demonstration)


@settings(max_examples=15, deadline=None)
@given(
    state=arrays.arrays(np.float32, (3, 4), elements=st.floats(-(2.0**99), 2.0**99, width=32)),
    instruction=st.text(),
    image_steps=st.sets(st.integers(0, 2)),
)
def test_reading_returns_any_numbers_and_instruction(
    tmp_path_factory: pytest.TempPathFactory, state: Any, instruction: str, image_steps: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    image = {"main": np.zeros((len(image_steps), 2, 2, 3), np.uint8)} if image_steps else {}
    steps = np.array(sorted(image_steps), np.int64)
    demonstration = made(
        steps=3, state=state, instruction=instruction, image=image, image_steps=steps
    )
    write_shard(folder, demonstration)
    write_dataset(folder, PROVENANCE)
    assert_same(Demonstrations(folder).episode(0), demonstration)


def test_the_same_demonstrations_give_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        for episode in (0, 1, 2):
            path = write_shard(folder, made(episode, stride=2))
            if folder == folders[0] and episode == 1:
                write_dataset(folder, PROVENANCE)
        write_dataset(folder, PROVENANCE)
    again = write_shard(tmp_path / "three", made(2, stride=2))
    assert again.read_bytes() == path.read_bytes()
    assert hashes(folders[0]) == hashes(folders[1])


def test_per_task_takes_the_first_episodes(tmp_path: Path) -> None:
    for episode in (10, 9, 2):
        write_shard(tmp_path, made(episode))
    assert write_dataset(tmp_path, PROVENANCE, per_task=2) == 2
    read = Demonstrations(tmp_path)
    assert [read.episode(index).episode for index in range(2)] == [2, 9]


def test_writing_again_repairs_a_killed_writer(tmp_path: Path) -> None:
    write_shard(tmp_path, made(0))
    write_dataset(tmp_path, PROVENANCE)
    before = hashes(tmp_path)
    (tmp_path / "meta").rename(tmp_path / "dataset.partial")
    with pytest.raises(UsageError, match="was interrupted"):
        Demonstrations(tmp_path)
    write_dataset(tmp_path, PROVENANCE)
    assert hashes(tmp_path) == before


def test_a_full_data_file_is_followed_by_the_next(tmp_path: Path) -> None:
    written = [made(episode, stride=1, steps=20) for episode in range(6)]
    for demonstration in written:
        write_shard(tmp_path, demonstration)
    write_dataset(tmp_path, PROVENANCE, file_bytes=30_000)
    files = sorted((tmp_path / "data/chunk-000").iterdir())
    assert [path.name for path in files] == [f"file-{n:03d}.parquet" for n in range(len(files))]
    assert 2 < len(files) <= 6
    assert sum(pq.read_metadata(path).num_rows for path in files) == 120
    read = Demonstrations(tmp_path)
    for index, demonstration in enumerate(written):
        assert_same(read.episode(index), demonstration)
    assert len(read.samples(4)) == 120


def test_a_data_set_has_one_shape_and_one_protocol(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="record some"):
        write_dataset(tmp_path, PROVENANCE)
    write_shard(tmp_path, made(0))
    write_shard(tmp_path, made(1, stride=1))
    with pytest.raises(UsageError, match="one folder each"):
        write_dataset(tmp_path, PROVENANCE)
    write_shard(tmp_path, made(1, protocol="suite/card@2"))
    with pytest.raises(UsageError, match="one folder for each protocol"):
        write_dataset(tmp_path, PROVENANCE)
    write_shard(tmp_path, made(1))
    with pytest.raises(UsageError, match="4 state numbers, not move"):
        write_dataset(tmp_path, Provenance(ACTION, ACTION))
    assert not (tmp_path / "meta").exists()


def test_data_sets_of_other_programs_are_not_replaced(tmp_path: Path) -> None:
    write_shard(tmp_path, made())
    (tmp_path / "data").mkdir()
    with pytest.raises(UsageError, match="choose another folder"):
        write_dataset(tmp_path, PROVENANCE)


def test_statistics_agree_with_numpy(tmp_path: Path) -> None:
    written = [made(episode, stride=3, steps=9 + episode) for episode in range(3)]
    for demonstration in written:
        write_shard(tmp_path, demonstration)
    write_dataset(tmp_path, PROVENANCE)
    read = Demonstrations(tmp_path)
    for kind in ("state", "action"):
        values = np.concatenate([getattr(d, kind) for d in written]).astype(np.float64)
        found = read.statistics[kind]
        np.testing.assert_allclose(found["mean"], values.mean(0))
        np.testing.assert_allclose(found["std"], values.std(0))
        np.testing.assert_array_equal(found["min"], values.min(0))
        np.testing.assert_array_equal(found["max"], values.max(0))
        np.testing.assert_allclose(found["q10"], np.quantile(values, 0.1, axis=0))
        assert found["count"].tolist() == [len(values)]
    stats = json.loads((tmp_path / "meta/stats.json").read_text())["observation.images.main"]
    images = np.concatenate([d.image["main"] for d in written]) / 255
    np.testing.assert_allclose(np.array(stats["mean"])[:, 0, 0], images.mean((0, 1, 2)))
    np.testing.assert_allclose(np.array(stats["std"])[:, 0, 0], images.std((0, 1, 2)))
    assert stats["count"] == [len(images)]


@given(arrays.arrays(np.uint8, (2, 3, 2, 3)))
def test_image_statistics_follow_from_the_histogram(images: Any) -> None:
    found = image_statistics(image_histogram(images), len(images))
    for channel in range(3):
        values = images[..., channel] / 255
        assert found["min"][channel, 0, 0] == values.min()
        assert found["max"][channel, 0, 0] == values.max()
        assert found["std"][channel, 0, 0] == pytest.approx(values.std(), abs=1e-12)
        for name, quantile in QUANTILES.items():
            expected = np.quantile(values, quantile, method="inverted_cdf")
            assert found[name][channel, 0, 0] == expected


def test_samples_pad_the_last_chunks_of_an_episode(tmp_path: Path) -> None:
    written = [made(episode, stride=4, steps=steps) for episode, steps in enumerate((6, 9))]
    for demonstration in written:
        write_shard(tmp_path, demonstration)
    write_dataset(tmp_path, PROVENANCE)
    read = Demonstrations(tmp_path)
    samples = read.samples(5)
    assert samples.episode.tolist() == [0, 0, 1, 1, 1]
    assert samples.step.tolist() == [0, 4, 0, 4, 8]
    assert samples.padded.sum(axis=1).tolist() == [0, 3, 0, 0, 4]
    for row, (episode, step) in enumerate(zip(samples.episode, samples.step, strict=True)):
        demonstration = written[episode]
        ahead = np.minimum(np.arange(step, step + 5), len(demonstration) - 1)
        np.testing.assert_array_equal(samples.state[row], demonstration.state[step])
        np.testing.assert_array_equal(samples.chunk[row], demonstration.action[ahead])
    images = np.concatenate([demonstration.image["wrist"] for demonstration in written])
    np.testing.assert_array_equal(samples.image["wrist"][:], images)
    np.testing.assert_array_equal(samples.image["wrist"][[3, 0]], images[[3, 0]])
    blind = read.samples(5, cameras=())
    assert len(blind) == 15
    assert not blind.image
    with pytest.raises(UsageError, match="did you mean main"):
        read.samples(5, cameras=("mian",))


def test_provenance_holds_protocols_seeds_rates_and_versions(tmp_path: Path) -> None:
    for episode in (0, 1, 2):
        write_shard(tmp_path, made(episode, seed=40 - episode))
    name = "suite/push"
    write_dataset(
        tmp_path,
        replace(PROVENANCE, attempts={name: 4}, successes={name: 3}, versions={"sim": "1"}),
    )
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    assert provenance["protocols"] == {"suite": "suite/card@1"}
    assert provenance["tasks"][name]["seeds"] == [38, 39, 40]
    assert provenance["tasks"][name]["success_rate"] == 0.75
    assert provenance["versions"]["sim"] == "1"


def test_the_columns_follow_lerobot(tmp_path: Path) -> None:
    write_shard(tmp_path, made(stride=4))
    write_dataset(tmp_path, PROVENANCE)
    info = json.loads((tmp_path / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["features"]["observation.state"]["names"][2:] == ["eef_position.2", "gripper"]
    schema = pq.read_schema(tmp_path / "data/chunk-000/file-000.parquet")
    assert schema.names == list(info["features"])
    assert str(schema.field("action").type) == "fixed_size_list<element: float>[2]"
    assert schema.field("timestamp").type == "float"
    tasks = pq.read_table(tmp_path / "meta/tasks.parquet").to_pandas()
    assert tasks.iloc[0].name == "push the cube"
    episodes = pq.read_table(tmp_path / "meta/episodes/chunk-000/file-000.parquet")
    assert len(episodes["stats/observation.images.main/q99"][0].as_py()) == 3


def test_a_description_with_other_files_or_version_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path, made())
    write_dataset(tmp_path, PROVENANCE)
    path = tmp_path / "meta/info.json"
    whole = path.read_text()
    for old, new in (("data/chunk", "../chunk"), ("v3.0", "v2.1"), ("{", ""), ('"fps"', '"x"')):
        path.write_text(whole.replace(old, new, 1))
        with pytest.raises(UsageError, match=r"cannot read .*info\.json"):
            Demonstrations(tmp_path)


def test_data_sets_of_other_programs_are_read_without_their_names(tmp_path: Path) -> None:
    write_shard(tmp_path, made(stride=1))
    write_dataset(tmp_path, PROVENANCE)
    (tmp_path / "provenance.json").unlink()
    path = tmp_path / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    pq.write_table(table.select([n for n in table.column_names if "assay" not in n]), path)
    read = Demonstrations(tmp_path)
    assert read.state_layout is None
    assert read.tasks == ("lerobot/push the cube",)
    assert read.episode(0).seed == 0
    assert len(read.samples(3)) == 11
    (tmp_path / "data/chunk-000/file-000.parquet").write_bytes(b"PAR1")
    for use in (lambda: read.episode(0), lambda: read.samples(3)):
        with pytest.raises(UsageError, match="cannot read"):
            use()


def test_an_image_of_another_size_is_refused() -> None:
    content = encode_png(np.zeros((4, 5, 3), np.uint8))
    assert decode_image(content, (4, 5)).shape == (4, 5, 3)
    with pytest.raises(ValueError, match="not"):
        decode_image(content, (5, 4))
    file = io.BytesIO()
    Image.new("RGB", (5, 4)).save(file, "GIF")
    for bad in (content[:40], file.getvalue(), b""):
        with pytest.raises(ValueError, match="cannot be read"):
            decode_image(bad, (4, 5))

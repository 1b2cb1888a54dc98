"""LeRobot data sets of v2.0, v2.1 and v3.0, with images or films, under any column names.

The files are written by hand, in the layout of each version.
"""

import json
from pathlib import Path
from typing import Any

import imageio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from harness.contracts.errors import UsageError
from harness.demonstrations.columns import ColumnNames
from harness.demonstrations.images import encode_png
from harness.demonstrations.reader import Demonstrations

SIDE, LENGTHS = 32, (5, 7)
OLD_DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
OLD_FILMS = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FILMS = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
KEY = "observation.images.main"
LIBERO = ColumnNames.parse(("state=state", "action=actions", "main=image", "wrist=wrist_image"))


def grey(episode: int, step: int) -> int:
    return 100 * episode + 15 * step + 5


def picture(episode: int, step: int) -> NDArray[np.uint8]:
    return np.full((SIDE, SIDE, 3), grey(episode, step), np.uint8)


def write_film(path: Path, frames: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"codec": "libx264", "macro_block_size": 1, "fps": 10}
    imageio.mimwrite(path, frames, output_params=["-g", "2"], **options)


def table(episode: int, state: str, action: str, images: tuple[str, ...]) -> pa.Table:
    """The rows of an episode."""
    steps = np.arange(LENGTHS[episode])
    columns: dict[str, Any] = {
        state: [[float(episode), float(step)] for step in steps],
        action: [[10.0 * episode + step] * 3 for step in steps],
        "timestamp": (steps / 10).astype(np.float32),
        "frame_index": steps,
        "episode_index": np.full_like(steps, episode),
        "index": steps,
        "task_index": np.zeros_like(steps),
    }
    for name in images:
        files = [encode_png(picture(episode, step)) for step in steps]
        columns[name] = [{"bytes": content, "path": None} for content in files]
    return pa.table(columns)


def write_info(folder: Path, version: str, features: dict[str, Any]) -> None:
    old = version != "v3.0"
    (folder / "meta").mkdir(parents=True, exist_ok=True)
    info = {
        "codebase_version": version,
        "fps": 10,
        "chunks_size": 1000,
        "data_path": OLD_DATA if old else DATA,
        "video_path": OLD_FILMS if old else FILMS,
        "features": features,
    }
    (folder / "meta/info.json").write_text(json.dumps(info))


def write_old(folder: Path, version: str) -> Path:
    """Write v2.0 with the column names of physical-intelligence/libero, or v2.1 with films."""
    films = version == "v2.1"
    state, action = ("observation.state", "action") if films else ("state", "actions")
    images = () if films else ("image", "wrist_image")
    features: dict[str, Any] = {
        state: {"dtype": "float32", "shape": [2], "names": None},
        action: {"dtype": "float32", "shape": [3], "names": None},
    }
    shape = {"shape": [SIDE, SIDE, 3], "names": ["height", "width", "channel"]}
    kind = "video" if films else "image"
    features |= {name: {"dtype": kind, **shape} for name in images or (KEY,)}
    write_info(folder, version, features)
    (folder / "data/chunk-000").mkdir(parents=True)
    lines = []
    for episode, length in enumerate(LENGTHS):
        path = OLD_DATA.format(episode_chunk=0, episode_index=episode)
        pq.write_table(table(episode, state, action, images), folder / path)
        lines.append({"episode_index": episode, "tasks": [f"task {episode}"], "length": length})
        if films:
            path = OLD_FILMS.format(episode_chunk=0, episode_index=episode, video_key=KEY)
            write_film(folder / path, [picture(episode, step) for step in range(length)])
    (folder / "meta/episodes.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    tasks = [{"task_index": episode, "task": f"task {episode}"} for episode in range(2)]
    (folder / "meta/tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)) + "\n")
    return folder


def write_new(folder: Path) -> Path:
    """Write v3.0 with one film of both episodes."""
    write_info(
        folder,
        "v3.0",
        {
            "observation.state": {"dtype": "float32", "shape": [2], "names": None},
            "action": {"dtype": "float32", "shape": [3], "names": None},
            KEY: {"dtype": "video", "shape": [3, SIDE, SIDE], "names": ["c", "h", "w"]},
        },
    )
    rows = [table(episode, "observation.state", "action", ()) for episode in range(2)]
    path = folder / DATA.format(chunk_index=0, file_index=0)
    path.parent.mkdir(parents=True)
    pq.write_table(pa.concat_tables(rows), path)
    listed = [
        {
            "episode_index": episode,
            "tasks": [f"task {episode}"],
            "length": LENGTHS[episode],
            "data/chunk_index": 0,
            "data/file_index": 0,
            f"videos/{KEY}/chunk_index": 0,
            f"videos/{KEY}/file_index": 0,
            f"videos/{KEY}/from_timestamp": start,
            f"videos/{KEY}/to_timestamp": start + LENGTHS[episode] / 10,
        }
        for episode, start in enumerate((0.0, LENGTHS[0] / 10))
    ]
    path = folder / "meta/episodes/chunk-000/file-000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(listed), path)
    frames = [picture(e, step) for e, length in enumerate(LENGTHS) for step in range(length)]
    write_film(folder / FILMS.format(video_key=KEY, chunk_index=0, file_index=0), frames)
    return folder


def written(folder: Path, version: str) -> Demonstrations:
    if version == "v3.0":
        return Demonstrations(write_new(folder))
    return Demonstrations(write_old(folder, version), LIBERO if version == "v2.0" else None)


def refusal(data: Demonstrations) -> str:
    with pytest.raises(UsageError) as refused:
        _ = [images[:] for images in data.samples(3).image.values()]
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v3.0"])
def test_every_version_is_read(version: str, tmp_path: Path) -> None:
    data = written(tmp_path, version)
    assert len(data) == 2
    assert data.fps == 10
    assert data.instructions == ("task 0", "task 1")
    assert set(data.cameras) == ({"main", "wrist"} if version == "v2.0" else {"main"})
    assert data.cameras["main"] == (SIDE, SIDE)
    samples = data.samples(3)
    assert samples.state.tolist() == [[e, s] for e, n in enumerate(LENGTHS) for s in range(n)]
    assert samples.chunk[6, :, 0].tolist() == [11, 12, 13]
    assert samples.padded[4].tolist() == [False, True, True]
    wanted = [grey(e, s) for e, n in enumerate(LENGTHS) for s in range(n)]
    for images in samples.image.values():
        assert len(images) == sum(LENGTHS)
        for indices in (slice(None), [7, 2, 3, 11, 4, 5, 0]):
            found = images[indices].reshape(-1, SIDE * SIDE * 3).astype(float)
            chosen = np.array(wanted)[indices]
            # A film's colours are rounded; its neighbours differ by 15.
            assert np.abs(found - chosen[:, None]).max() <= (0 if version == "v2.0" else 3)
    episode = data.episode(1)
    assert episode.image["main"].shape == (LENGTHS[1], SIDE, SIDE, 3)
    assert abs(int(episode.image["main"][3, 0, 0, 0]) - grey(1, 3)) <= 3
    assert episode.instruction == "task 1"


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_damaged_film_is_named_with_its_row(version: str, tmp_path: Path) -> None:
    data = written(tmp_path, version)
    film = next(tmp_path.rglob("*.mp4"))
    whole = film.read_bytes()
    frames = [picture(0, step) for step in range(3)]
    write_film(film, frames)
    assert "frame 3 of the episode is missing" in refusal(data)
    assert str(film) in refusal(data)
    assert "row 0 (from 0), observation.images.main" in refusal(data)
    write_film(film, [frame[:16] for frame in frames])
    assert f"its frames are not of {SIDE} x {SIDE} pixels" in refusal(data)
    film.write_bytes(whole[: len(whole) // 2])
    assert str(film) in refusal(data)
    film.unlink()
    assert str(film) in refusal(data)


def test_a_film_that_is_longer_than_its_episode_is_refused(tmp_path: Path) -> None:
    data = written(tmp_path, "v2.1")
    film = sorted(tmp_path.rglob("*.mp4"))[1]
    write_film(film, [picture(1, step) for step in range(LENGTHS[1] + 1)])
    assert "it has more frames than the 7 steps of its episode" in refusal(data)


def test_a_playlist_in_place_of_a_film_opens_nothing(tmp_path: Path) -> None:
    data = written(tmp_path, "v2.1")
    film = sorted(tmp_path.rglob("*.mp4"))[0]
    other = sorted(tmp_path.rglob("*.mp4"))[1]
    film.write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{other}\n#EXT-X-ENDLIST\n")
    assert str(film) in refusal(data)


def test_rows_in_another_order_are_named(tmp_path: Path) -> None:
    data = written(tmp_path, "v2.0")
    path = tmp_path / OLD_DATA.format(episode_chunk=0, episode_index=1)
    rows = pq.read_table(path)
    pq.write_table(rows.take([0, 2, 1, 3, 4, 5, 6]), path)
    assert f"{path}: row 1 (from 0) holds step 2 of episode 1" in refusal(data)
    pq.write_table(rows.slice(0, 6), path)
    assert f"{path}: it has 6 rows, but its demonstrations have 7" in refusal(data)
    other = tmp_path / OLD_DATA.format(episode_chunk=0, episode_index=0)
    pq.write_table(rows, path)
    path.rename(other)
    assert str(other) in refusal(data)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "row 1 (from 0)"),
        ("[]", "row 1 (from 0): it must be a map"),
        ('{"episode_index": 1, "tasks": ["x"]}', "length must be a whole number"),
        ('{"episode_index": -1, "tasks": ["x"], "length": 7}', "episode_index must be from 0"),
    ],
)
def test_a_damaged_list_is_named(line: str, message: str, tmp_path: Path) -> None:
    folder = write_old(tmp_path, "v2.0")
    path = folder / "meta/episodes.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(UsageError) as refused:
        Demonstrations(folder, LIBERO)
    assert str(path) in str(refused.value)
    assert message in str(refused.value)


def test_names_that_the_data_lacks_are_refused(tmp_path: Path) -> None:
    folder = write_old(tmp_path, "v2.0")
    with pytest.raises(UsageError, match=r"observation\.state"):
        Demonstrations(folder)
    names = ColumnNames.parse(("state=state", "action=actions", "main=front"))
    with pytest.raises(UsageError, match="'front' holds no images; image, wrist_image do"):
        Demonstrations(folder, names)
    for texts in (("state",), ("state=a", "state=b"), ("=x",)):
        with pytest.raises(UsageError, match="is not NAME=COLUMN"):
            ColumnNames.parse(texts)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("codebase_version", "v1.6", "it is not of version v2.0, v2.1, v3.0"),
        ("data_path", "../{episode_index}.parquet", "other file names"),
        ("video_path", "/etc/{video_key}", "video_path must be"),
        ("chunks_size", 0, "chunks_size must be from 1"),
    ],
)
def test_other_descriptions_are_refused(
    name: str, value: object, message: str, tmp_path: Path
) -> None:
    folder = write_old(tmp_path, "v2.1")
    info = json.loads((folder / "meta/info.json").read_text())
    (folder / "meta/info.json").write_text(json.dumps(info | {name: value}))
    with pytest.raises(UsageError, match=message):
        Demonstrations(folder)


def test_a_film_s_folder_must_be_a_plain_name(tmp_path: Path) -> None:
    folder = write_old(tmp_path, "v2.1")
    info = json.loads((folder / "meta/info.json").read_text())
    info["features"]["../other"] = info["features"].pop(KEY)
    (folder / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(UsageError, match="is no name of a folder"):
        Demonstrations(folder)

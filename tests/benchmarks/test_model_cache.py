"""Kept models equal compiled ones, and everything that is not as it was is compiled again."""

import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.libero import catalog
from tests.benchmarks.test_file_cache import cut, flip, small_files

mujoco = pytest.importorskip("mujoco")
from benchmarks import model_cache  # noqa: E402

BOX = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
FACES = "0 1 3 0 3 2 4 6 7 4 7 5 0 4 5 0 5 1 2 3 7 2 7 6 0 2 6 0 6 4 1 5 7 1 7 3"
ARRAYS = ("tex_data", "mesh_vert", "mesh_polyvert", "mesh_polymapadr", "bvh_aabb")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def xml(tmp_path: Path) -> str:
    """A model with two textures, a mesh from a file, and one whose texture has no coordinates."""
    path = tmp_path / "mesh.obj"
    write_mesh(path, 1)
    vertices = " ".join(map(str, (BOX * 2).ravel()))
    return f"""<mujoco><asset>
      <texture name="sky" type="skybox" builtin="gradient" rgb1="1 0 0" width="16" height="16"/>
      <texture name="net" type="2d" builtin="checker" rgb1="1 0 0" width="64" height="64"/>
      <material name="net" texture="net"/>
      <mesh name="filed" file="{path}"/>
      <mesh name="written" vertex="{vertices}" face="{FACES}"/></asset>
      <worldbody><geom type="plane" size="3 3 1"/>
      <body pos="0 0 2"><freejoint/><geom type="mesh" mesh="filed" material="net"/></body>
      <body pos="1 0 5"><freejoint/><geom type="mesh" mesh="written"/><geom size=".2"/></body>
      </worldbody></mujoco>"""


def write_mesh(path: Path, size: int) -> None:
    corners = [f"v {x} {y} {z}" for x, y, z in BOX * size]
    numbers = [int(number) + 1 for number in FACES.split()]
    marks = [f"{number}/1" for number in numbers]
    faces = [f"f {' '.join(marks[at : at + 3])}" for at in range(0, len(marks), 3)]
    path.write_text("\n".join([*corners, "vt 0.5 0.5", *faces]))


def saved(model: Any) -> str:
    """Return a hash of everything that MuJoCo writes of a model."""
    content = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, content)
    return hashlib.sha256(content.data).hexdigest()


def fields(part: Any) -> dict[str, Any]:
    """Return every number, text and array of a model, those of its options and visuals included.

    Left out is the signature, by which an mjSpec knows the model that it compiled. Here is none.
    """
    found: dict[str, Any] = {}
    for name in dir(part):
        value = None if name.startswith("_") or name == "signature" else getattr(part, name)
        if isinstance(value, np.ndarray):
            found[name] = value.dtype.str, value.shape, value.tobytes()
        elif isinstance(value, int | float | str | bytes):
            found[name] = value
        elif type(value).__module__.startswith("mujoco"):
            found |= {f"{name}.{field}": each for field, each in fields(value).items()}
    return found


def check_same(first: Any, second: Any) -> None:
    expected = fields(first)
    assert len(expected) > 400
    assert set(ARRAYS) < set(expected)
    assert fields(second) == expected
    assert saved(second) == saved(first)


def fresh(xml: str) -> Any:
    return mujoco.MjModel.from_xml_string(xml)


def is_kept(xml: str) -> bool:
    """Return whether a model comes from the cache: it can be had without compiling."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mujoco, "MjModel", OnlyLoads)
        try:
            model_cache.compiled(xml)
        except CompilesError:
            return False
    return True


class CompilesError(Exception):
    """MuJoCo was asked to compile."""


class OnlyLoads:
    """MjModel without its compiler."""

    from_binary_path = mujoco.MjModel.from_binary_path

    @staticmethod
    def from_xml_string(xml: str) -> None:
        raise CompilesError


def test_a_kept_model_is_the_compiled_one(folder: Path, xml: str) -> None:
    expected = fresh(xml)
    assert not is_kept(xml)
    check_same(expected, model_cache.compiled(xml))
    assert is_kept(xml)
    check_same(expected, model_cache.compiled(xml))


def test_models_share_their_textures_and_meshes(folder: Path, xml: str) -> None:
    model_cache.compiled(xml)
    before = len(list(folder.iterdir()))
    other = xml.replace("0 0 2", "0 0 3")
    model_cache.compiled(other)
    assert len(list(folder.iterdir())) == before + 2
    check_same(fresh(other), model_cache.compiled(other))


def test_changed_file_of_the_same_size_and_time_is_noticed(
    folder: Path, xml: str, tmp_path: Path
) -> None:
    model_cache.compiled(xml)
    path = tmp_path / "mesh.obj"
    before = path.stat()
    write_mesh(path, 2)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert not is_kept(xml)
    check_same(fresh(xml), model_cache.compiled(xml))
    assert is_kept(xml)


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_any_harmed_file_is_noticed(folder: Path, xml: str, harm: Callable[[Path], None]) -> None:
    expected = fresh(xml)
    model_cache.compiled(xml)
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) > 6
    for name in names:
        harm(folder / name)
        assert not is_kept(xml), name
        check_same(expected, model_cache.compiled(xml))
        assert is_kept(xml), name


def test_the_list_of_another_model_is_refused(folder: Path, xml: str) -> None:
    other = xml.replace("0 0 2", "0 0 3")
    model_cache.compiled(xml)
    (mine,) = folder.glob("*.key")
    model_cache.compiled(other)
    (theirs,) = set(folder.glob("*.key")) - {mine}
    shutil.copy(mine, theirs)
    check_same(fresh(other), model_cache.compiled(other))


@pytest.mark.parametrize("place", ["/proc/none", "/dev/null", ""])
def test_without_a_usable_folder_models_are_compiled(
    xml: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_CACHE", place)
    check_same(fresh(xml), model_cache.compiled(xml))


def test_on_a_full_disk_models_are_compiled(folder: Path, xml: str) -> None:
    with small_files():
        model = model_cache.compiled(xml)
    check_same(fresh(xml), model)
    assert list(folder.iterdir()) == []


def test_the_cache_stays_within_its_limit(
    folder: Path, xml: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 2 * mujoco.mj_sizeModel(fresh(xml)) + 4096
    monkeypatch.setattr(model_cache, "_LIMIT", limit)
    for width in range(32, 72, 8):
        model_cache.compiled(xml.replace('width="64"', f'width="{width}"'))
        assert sum(path.stat().st_size for path in folder.iterdir()) <= limit
    assert is_kept(xml)
    monkeypatch.setattr(model_cache, "_LIMIT", limit // 2)
    other = xml.replace("0 0 2", "0 0 3")
    model_cache.compiled(other)
    assert not is_kept(other)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<mujoco>", '<mujoco><compiler strippath="true"/>'),
        ("<mujoco>", '<mujoco><include file="{folder}/more.xml"/>'),
        ('file="{folder}/', 'file="'),
    ],
)
def test_models_whose_files_are_not_known_are_not_kept(
    folder: Path, xml: str, tmp_path: Path, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.xml").write_text('<mujoco><option timestep="0.001"/></mujoco>')
    changed = xml.replace(old.format(folder=tmp_path), new.format(folder=tmp_path))
    assert changed != xml
    check_same(fresh(changed), model_cache.compiled(changed))
    assert not folder.exists() or not list(folder.iterdir())


def build_together(xml: str, start: Barrier, results: Any) -> None:
    start.wait(60)
    results.put(saved(model_cache.compiled(xml)))


def test_processes_may_build_one_model_at_the_same_moment(folder: Path, xml: str) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(4), context.Queue()
    workers = [context.Process(target=build_together, args=(xml, start, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    seen = {results.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join(60)
    assert seen == {saved(fresh(xml))}
    assert not list(folder.glob("new-*"))
    assert is_kept(xml)


def played(control: Any) -> str:
    """Return a hash of some random steps."""
    control.seed(3)
    control.reset()
    stream, seen = np.random.default_rng(0), hashlib.sha256()
    for _ in range(8):
        observation, *_ = control.step(stream.uniform(-1, 1, 7))
        for name in sorted(observation):
            seen.update(np.asarray(observation[name]).tobytes())
        seen.update(control.get_sim_state().tobytes())
    return seen.hexdigest()


@pytest.mark.libero
@pytest.mark.parametrize(
    ("suite", "task"),
    [
        ("libero_object", 3),
        pytest.param("libero_spatial", 2, marks=pytest.mark.slow),
        pytest.param("libero_goal", 5, marks=pytest.mark.slow),
        pytest.param("libero_10", 2, marks=pytest.mark.slow),
        pytest.param("libero_10", 5, marks=pytest.mark.slow),
        pytest.param("libero_object_swap", 2, marks=pytest.mark.slow),
    ],
)
def test_libero_is_the_same_with_kept_models(
    folder: Path, suite: str, task: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.libero.control import build_control

    files = catalog.suites()[suite][task]
    monkeypatch.setenv("ASSAY_CACHE", "")
    control = build_control(files)
    expected, steps = fields(control.sim.model._model), played(control)
    control.close()
    monkeypatch.setenv("ASSAY_CACHE", str(folder.parent))
    for kept in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if kept:
                patch.setattr(mujoco, "MjModel", OnlyLoads)
            control = build_control(files)
        assert fields(control.sim.model._model) == expected, kept
        assert played(control) == steps
        control.close()

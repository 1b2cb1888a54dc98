"""Benchmarks with a virtual environment: built once, played there, with the same bytes."""

import json
import os
import pickletools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray import cloudpickle

from harness.backends.ray.backend import connect
from harness.backends.ray.options import RayOptions
from harness.backends.ray.schedule import Schedule
from harness.cli import main as run_eval
from harness.contracts.errors import UsageError
from harness.contracts.registry import families
from harness.contracts.spec import EpisodeSpec, policy_stream
from harness.contracts.venv import ENGINE, VirtualEnv
from harness.inference.serialization import from_plain, plain_stream, stream_from_plain, to_plain
from harness.runs.folder import Run
from harness.venvs.build import build
from tests.helpers.wheels import write_wheel, write_wheels

DECLARED = families()["points_apart"].venv
assert DECLARED is not None
NUMPY = "numpy==1.26.4" if np.__version__.startswith("2") else "numpy==2.3.4"
"""The other numpy."""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    write_wheels(folder)
    return folder


@pytest.fixture(autouse=True)
def offline(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))


@pytest.fixture(scope="module")
def envs(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Build the environment once, and start Ray once, for the tests that only use them."""
    folder = tmp_path_factory.mktemp("envs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_ENVS", str(folder))
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(wheels))
        assert build(DECLARED, print)
        connect(RayOptions(workers=2))
        yield folder
    ray.shutdown()


def evaluate(out: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    """Run the command line and return what follows from the specs alone, by key."""
    assert run_eval.main(["run", "--out", str(out), *arguments]) == 0
    records = Run.existing(out).records()
    return {key: record.deterministic() for key, record in records.items()}


def test_benchmarks_in_one_run_use_their_own_environments(envs: Path, tmp_path: Path) -> None:
    what = ("--policy", "homing", "random", "--episodes", "3")
    where = ("--benchmark", "points_two", "points_apart")
    inline = evaluate(tmp_path / "inline", *what, *where)
    assert len(inline) == 2 * 2 * 2 * 3
    assert {record["outcome"] for record in inline.values()} <= {"success", "failure"}
    assert evaluate(tmp_path / "apart", *what, *where, "--workers", "2") == inline
    records = Run.existing(tmp_path / "apart").records().values()
    by_benchmark = {
        name: {record.worker for record in records if record.spec.benchmark == name}
        for name in ("points_two", "points_apart")
    }
    assert by_benchmark["points_two"].isdisjoint(by_benchmark["points_apart"])


@pytest.mark.slow
def test_replay_and_video_use_the_environment(
    envs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, film = tmp_path / "run", tmp_path / "film.mp4"
    arguments = ("--policy", "zero", "--benchmark", "points_apart_filmed/left")
    records = evaluate(
        out, *arguments, "--episodes", "1", "--protocol", "short", "--video", "failures"
    )
    (key,) = records
    assert (out / "videos" / f"{key}.mp4").stat().st_size > 0
    assert run_eval.main(["replay", str(out), key, "--video", str(film)]) == 0
    assert "identical" in capsys.readouterr().out
    assert film.stat().st_size > 0


@pytest.mark.slow
def test_another_numpy_gives_the_same_records(
    wheels: Path, envs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = tmp_path / "fetched"
    monkeypatch.delenv("PIP_NO_INDEX")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(fetched), NUMPY]
    done = subprocess.run(pip, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"{NUMPY} cannot be downloaded here")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{wheels} {fetched}")
    # A policy in an actor of this numpy, and one beside the environment in the other.
    what = ("--policy", "homing", "random", "--benchmark", "points_apart", "--episodes", "2")
    this = evaluate(tmp_path / "this", *what)
    monkeypatch.setenv("ASSAY_ENVS", str(tmp_path / "envs"))
    other = replace(DECLARED, packages=(*DECLARED.packages, NUMPY))
    monkeypatch.setattr(families()["points_apart"], "venv", other)
    assert build(other, print)
    assert evaluate(tmp_path / "other", *what) == this
    versions = {r.versions["numpy"] for r in Run.existing(tmp_path / "other").records().values()}
    assert versions == {NUMPY.partition("==")[2]}


def test_plain_messages_hold_no_numpy_object() -> None:
    stream = policy_stream(EpisodeSpec("p", "b", "t", 0, 7, "c"), 3)
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)[:, ::2]
    observation = {"image": {"main": image}, "state": np.ones(2, np.float32), "instruction": "go"}
    sent = cloudpickle.dumps((to_plain(observation), plain_stream(stream)))
    assert not [
        argument
        for _, argument, _ in pickletools.genops(sent)
        if isinstance(argument, str) and "numpy" in argument
    ]
    back, again = from_plain(to_plain(observation)), stream_from_plain(plain_stream(stream))
    np.testing.assert_array_equal(back["image"]["main"], image)
    assert (back["state"].dtype, back["instruction"]) == (np.float32, "go")
    np.testing.assert_array_equal(again.normal(size=9), stream.normal(size=9))


def test_a_worker_imports_only_packages_of_its_environment() -> None:
    code = (
        "import sys, json, harness.backends.ray.env_actor, harness.backends.replay; "
        "print(json.dumps({name: getattr(m, '__file__', '') for name, m in sys.modules.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded: dict[str, str] = json.loads(done.stdout)
    assert {"pandas", "scipy", "statsmodels"}.isdisjoint(loaded)
    engine = [Path(file) for name, file in loaded.items() if name.startswith("harness.")]
    packages = packages_distributions()
    imported = {name for path in engine for name in imports(path) if name in packages}
    there = {name.lower() for name in (*ENGINE, "assay")}
    assert {packages[name][0].lower() for name in imported & loaded.keys()} <= there


def imports(path: Path) -> set[str]:
    """Return the top-level names of what a file imports."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[1].partition(".")[0] for words in lines if words[:1] in (["import"], ["from"])}


def test_an_environment_that_is_not_built_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSAY_ENVS", str(tmp_path))
    assert run_eval.main(["list", "benchmarks"]) == 0
    assert "points_apart" in capfd.readouterr().out
    run = ["run", "--policy", "zero", "--benchmark", "points_apart", "--out", str(tmp_path / "r")]
    assert run_eval.main(run) == 2
    assert "python run_eval.py env build points_apart" in capfd.readouterr().err
    assert run_eval.main(["env", "list"]) == 0
    assert "is not built" in capfd.readouterr().out


def test_the_command_builds_once_and_again_when_the_declaration_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSAY_ENVS", str(tmp_path))
    said = []
    for _ in range(2):
        assert run_eval.main(["env", "build", "points_apart"]) == 0
        said.append(capfd.readouterr().out)
    assert said[0].startswith("points_apart: ready in")
    assert said[1].startswith("points_apart: was ready in")
    changed = replace(DECLARED, packages=("points-lens==2",))
    problem = changed.problem()
    assert problem is not None
    assert "was built from another declaration" in problem
    with pytest.raises(UsageError, match="points-lens==2"):
        build(changed, print)
    assert DECLARED.problem() is None  # What was there before is still there, and nothing else.
    assert sorted(os.listdir(tmp_path)) == [".points_apart.lock", "points_apart"]
    assert run_eval.main(["env", "remove", "points_apart"]) == 0
    assert os.listdir(tmp_path) == [".points_apart.lock"]


def test_shared_folders_are_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_ENVS", str(tmp_path))
    sharing = replace(DECLARED, name="sharing", shares=("drivers",))
    assert sharing.stamp != DECLARED.stamp
    assert build(sharing, print)
    link = sharing.home / "share" / "assay" / "drivers"
    assert link.readlink() == Path(sys.prefix) / "share" / "assay" / "drivers"


def test_an_environment_that_cannot_import_is_not_built(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_ENVS", str(tmp_path))
    write_wheel(wheels, "points-blind", "1", {"points_blind.py": "import no_such_library\n"})
    blind = VirtualEnv(
        name="blind",
        packages=("points-blind==1",),
        imports=("points_blind",),
        libraries=("libno-such-library0",),
    )
    with pytest.raises(UsageError, match="No module named 'no_such_library'"):
        build(blind, print)
    assert blind.problem() is not None
    assert os.listdir(tmp_path) == [".blind.lock"]


def test_a_python_version_without_packages_is_named() -> None:
    old = replace(DECLARED, versions=("2.7",))
    with pytest.raises(UsageError, match=r"support Python 2\.7, and this is 3\..*PYTHON=python2"):
        build(old, print)
    with pytest.raises(UsageError, match="must not pin ray"):
        _ = replace(DECLARED, packages=("ray==1",)).requirements


def one(task: str, episode: int) -> EpisodeSpec:
    return EpisodeSpec("p", "b", task, episode, 0, "c")


def test_a_worker_takes_tasks_of_its_own_python_first() -> None:
    specs = [one(task, k) for task in ("a1", "b1", "a2") for k in range(2)]
    schedule = Schedule(specs, lambda spec: spec.task[0])
    assert schedule.interpreters == ["a", "b", "a"]
    assert [schedule.next("x", "a") for _ in range(4)] == [*specs[:2], *specs[4:]]
    foreign = schedule.next("x", "a")
    assert foreign == one("b1", 0)
    schedule.put_back(foreign)
    schedule.hand_over("x", "y")
    # The successor has the task, so nobody else starts another Python for it.
    assert schedule.next("z", "b") is None
    assert schedule.next("y", "b") == one("b1", 0)

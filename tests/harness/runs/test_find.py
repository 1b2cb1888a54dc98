"""`replay` finds an episode by policy, task and number."""

from pathlib import Path

import pytest

from harness.cli import main as run_eval
from harness.runs.find import find_episode
from harness.runs.folder import Run
from tests.helpers.runs import GOOD, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a policy in two versions, and another one."""
    path = tmp_path_factory.mktemp("found") / "run"
    policies = ("flow@1a", "flow@2b", "zero")
    suites = {"one": ("left", "right"), "two": ("left",)}
    return write_run(path, policies, suites, lambda *spec: GOOD, episodes=3, ablations=["no-image"])


@pytest.mark.parametrize(
    ("policy", "benchmark", "task"),
    [("zero", "one", "right"), ("flow@2b", "two", "left"), ("zero (no-image)", "one", "1")],
)
def test_episode_is_found(run: Run, policy: str, benchmark: str, task: str) -> None:
    spec = find_episode(run, policy, task, 2, benchmark).spec
    names = {"1": "right"}
    assert (spec.player, spec.benchmark, spec.task, spec.episode) == (
        policy,
        benchmark,
        names.get(task, task),
        2,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--policy", "zero", "--task", "0", "--episode", "1"], "give --benchmark: one, two"),
        (["--benchmark", "one", "--policy", "zero", "--episode", "1"], "give --task: left, right"),
        (["--benchmark", "two", "--episode", "1"], "give --policy: flow@1a, flow@1a (no-image)"),
        (
            ["--benchmark", "two", "--policy", "flow", "--episode", "1"],
            "--policy flow fits flow@1a and flow@2b; give one of them",
        ),
        (["--benchmark", "two", "--policy", "zerro", "--episode", "1"], "did you mean zero"),
        (["--benchmark", "two", "--policy", "zero", "--episode", "3"], "there are 0 to 2"),
        (["--benchmark", "one", "--task", "2", "--episode", "1"], "out of range: 0 to 1"),
        (["--policy", "zero"], "name the episode"),
        (["abc", "--policy", "zero"], "not both"),
    ],
)
def test_mistakes_name_the_choices(
    run: Run, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert run_eval.main(["replay", str(run.path), *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.usefixtures("points")
def test_only_choice_may_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--policy", "homing", "--benchmark", "points_two/left", "--episodes", "2"]
    assert run_eval.main([*command, "--out", str(tmp_path)]) == 0
    assert run_eval.main(["replay", str(tmp_path), "--episode", "1"]) == 0
    assert "identical: " in capsys.readouterr().out

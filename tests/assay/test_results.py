"""assay.load, compare, make, and the command line under the name assay."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import assay
from harness.cli.main import main
from harness.contracts.environment import Observation


def home(observation: Observation) -> Any:
    return np.tile(np.clip(-observation["state"], -1, 1), (4, 1))


def idle(observation: Observation) -> Any:
    return np.zeros((4, 2))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> assay.Results:
    path = tmp_path_factory.mktemp("runs") / "run"
    options = {"episodes": 8, "ablate": ["no-instruction"], "progress": False}
    made: assay.Results = assay.evaluate([home, idle], "points_two", out=path, **options)
    return assay.load(made.path)


def test_a_policy_of_a_run(run: assay.Results) -> None:
    assert len(run.players) == 4
    one = run.select("home")
    assert len(one.players) == 1
    assert set(one.episodes()["policy"]) == set(one.players)
    assert set(one.episodes()["ablation"]) == {""}
    (ablated,) = [name for name in run.players if name.startswith("idle") and "no-inst" in name]
    assert set(run.select(ablated).summary()["ablation"]) == {"no-instruction"}
    with pytest.raises(assay.UsageError, match=r"unknown policy of .*known: home@"):
        run.select("homme")
    with pytest.raises(assay.UsageError, match="holds no run"):
        assay.load(run.path / "nothing")


def test_compare_prints_and_holds_what_the_command_line_prints(
    run: assay.Results, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = run.select("home"), run.select("idle")
    found = assay.compare(a, b)
    shown = capsys.readouterr().out.rstrip("\n")
    names = a.players[0], b.players[0]
    assert main(["compare", f"{run.path}:{names[0]}", f"{run.path}:{names[1]}"]) == 0
    assert capsys.readouterr().out.startswith(shown)
    assert shown == found.text
    assert (found.outcome, found.n, found.names) == ("better", 16, names)
    rates = [one.summary().iloc[-1]["success"] for one in (a, b)]
    assert found.difference == rates[0] - rates[1] == 1
    assert 0 < found.interval[0] < found.interval[1] == 1
    assert found.p < 0.05
    assert found.table["level"].tolist() == ["benchmark", "task", "task"]
    with pytest.raises(assay.UsageError, match=r"choose one with \.select"):
        assay.compare(run, a)


def test_one_benchmark_is_compared_at_a_time(tmp_path: Path) -> None:
    benchmarks = ["points_two", "points_seen"]
    one, other = (
        assay.evaluate(policy, benchmarks, episodes=2, out=tmp_path / policy, progress=False)
        for policy in ("random", "zero")
    )
    found = assay.compare(one, other)
    assert found.table["level"].tolist()[:2] == ["benchmark", "benchmark"]
    with pytest.raises(assay.UsageError, match="2 benchmarks are compared"):
        _ = found.difference


def test_make_gives_the_environment_of_an_evaluation() -> None:
    env = assay.make("points_two", task="right", protocol="short", render_mode="rgb_array")
    assert isinstance(env, gymnasium.Env)
    assert (env.max_steps, env.instruction, env.render_mode) == (5, "reach right", "rgb_array")
    observation, _ = env.reset(seed=7, options={"episode": 1})
    again, _ = assay.make("points_two", task=1).reset(seed=7, options={"episode": 1})
    assert np.array_equal(observation["state"], again["state"])


@pytest.mark.parametrize(
    ("benchmark", "task", "message"),
    [
        ("points_too", 0, "did you mean points_two"),
        ("points_two", 2, "out of range"),
        ("points_two", "lefd", "did you mean left"),
        ("points_apart", 0, "Python environment of its own"),
    ],
)
def test_make_refuses(benchmark: str, task: int | str, message: str) -> None:
    with pytest.raises(assay.UsageError, match=message):
        assay.make(benchmark, task)


def test_the_api_is_typed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import assay\n\n"
        'run = assay.evaluate("random", "points_two", tasks=[0, "right"])\n'
        "reveal_type(run.summary())\n"
        'reveal_type(assay.compare(run, "results/x").difference)\n'
        'assay.make("points_two", task=1.5)\n'
    )
    root = Path(__file__).parents[2]
    words = ("--strict", "--cache-dir", str(tmp_path / "cache"), "--config-file", "")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, str(script)],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    own = [line for line in done.stdout.splitlines() if str(script) in line]
    assert len(own) == 3, done.stdout + done.stderr
    assert 'Revealed type is "pandas' in own[0]
    assert 'Revealed type is "float"' in own[1] or "builtins.float" in own[1]
    assert "[arg-type]" in own[2]

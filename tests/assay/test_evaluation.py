"""assay.evaluate: objects and references, folders, mistakes, and what it leaves as it was."""

import io
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from assay_points import Ragged
from rich.console import Console
from threadpoolctl import threadpool_info

import assay
from assay.untouched import untouched
from harness.cli.main import main
from harness.cli.progress import ProgressView
from harness.contracts.environment import Observation


class Homing:
    """Moves towards the origin."""

    def __init__(self, gain: float) -> None:
        self.gain = gain

    def __call__(self, observation: Observation) -> Any:
        return np.tile(np.clip(-self.gain * observation["state"], -1, 1), (4, 1))


class Noisy(Homing):
    """Draws from the global generators, which the engine seeds."""

    def __call__(self, observation: Observation) -> Any:
        noise = random.random() + np.random.normal() + torch.rand(1).item()
        return super().__call__(observation) + 0.01 * noise


class Dividing:
    """Raises an exception."""

    def __call__(self, observation: Observation) -> Any:
        return 1 / 0


class Module(torch.nn.Module):
    """A network that moves towards the origin."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(-1.0))

    def forward(self, observation: Observation) -> torch.Tensor:
        move = self.gain * torch.as_tensor(observation["state"])
        return move.clip(-1, 1).expand(4, 2)


class Interrupting(Homing):
    """Is interrupted in the second episode."""

    def __call__(self, observation: Observation) -> Any:
        if observation["instruction"] == "reach right":
            raise KeyboardInterrupt
        return super().__call__(observation)


def still(observation: Observation) -> Any:
    return np.zeros((4, 2))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(policy: Any, **options: Any) -> assay.Results:
    return assay.evaluate(policy, "points_two", **({"progress": False, "episodes": 2} | options))


def lines(run: assay.Results) -> int:
    return len((run.path / "episodes.jsonl").read_text().splitlines())


def outcomes(run: assay.Results) -> list[tuple[Any, ...]]:
    records = [*assay.load(run.path)._run.log()]
    return sorted((r.spec.key, r.outcome, r.steps, r.actions_sha256) for r in records)


def test_results_of_an_object() -> None:
    run = evaluate(Homing(1.0), episodes=3)
    assert run.path == Path("results/Homing-points_two")
    assert run.complete
    episodes = run.episodes()
    assert (len(episodes), episodes["success"].dtype, episodes["success"].all()) == (
        6,
        "boolean",
        True,
    )
    summary = run.summary()
    assert summary["level"].tolist() == ["task", "task", "suite"]
    assert summary["n"].tolist() == [3, 3, 6]
    assert (summary["low"] < summary["success"]).all()


def test_functions_classes_policies_references_and_lists() -> None:
    class Ready(Homing):
        def __init__(self) -> None:
            super().__init__(1.0)

    assert not evaluate(still).episodes()["success"].any()
    assert evaluate(Ready).episodes()["success"].all()
    run = evaluate(["random", Homing(1.0), Ragged()], out="three")
    assert [name.partition("@")[0] for name in run.players] == ["random", "Homing", "ragged"]


def test_a_network_is_known_by_its_weights() -> None:
    module = Module()
    run = evaluate(module)
    assert run.episodes()["success"].all()
    with torch.no_grad():
        module.gain.zero_()
    trained = evaluate(module)
    assert trained.players != run.players
    assert not trained.episodes()["success"].any()


def test_the_same_call_plays_nothing_again_and_more_episodes_continue() -> None:
    run = evaluate(Homing(1.0))
    again = evaluate(Homing(1.0))
    assert (again, lines(again)) == (run, 4)
    grown = evaluate(Homing(1.0), episodes=5)
    assert (grown.path, lines(grown), len(grown.episodes())) == (run.path, 10, 10)


def test_another_state_is_another_policy_in_the_same_folder() -> None:
    fast, slow = evaluate(Homing(1.0)), evaluate(Homing(0.1))
    assert fast.path == slow.path
    assert fast.players != slow.players
    assert fast.episodes()["success"].all()
    assert not slow.episodes()["success"].any()
    assert assay.load(fast.path).players == fast.players + slow.players


@pytest.mark.slow
def test_ray_plays_the_same_bits() -> None:
    here = evaluate([Noisy(1.0), still], out="here")
    there = evaluate([Noisy(1.0), still], out="there", workers=2)
    assert outcomes(here) == outcomes(there)


def test_options_reach_the_plan() -> None:
    run = evaluate(
        Homing(1.0), tasks=["right"], protocol="short", seed=9, ablate=["no-image"], replan=2
    )
    episodes = run.episodes()
    assert set(episodes["task"]) == {"right"}
    assert set(episodes["seed"]) == {9}
    assert set(episodes["ablation"]) == {"", "no-image"}
    assert episodes["protocol"].str.startswith("points/short,replan=2@").all()


def test_the_command_line_reads_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    run = evaluate(Homing(1.0))
    assert main(["report", str(run.path)]) == 0
    assert run.players[0].partition("@")[0] in capsys.readouterr().out
    assert main(["run", "--plan", str(run.path / "run.json"), "--out", "other"]) == 2
    assert "was an object in Python" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_exception_of_the_policy_is_the_cause(workers: int) -> None:
    with pytest.raises(assay.PolicyCrashed, match="division by zero") as caught:
        evaluate(Dividing(), workers=workers)
    cause = caught.value.__cause__
    assert isinstance(cause, ZeroDivisionError) or "return 1 / 0" in str(cause)
    assert workers or isinstance(cause, ZeroDivisionError)
    run = evaluate(Dividing(), keep_going=True)
    assert run.episodes()["success"].isna().all()
    assert not run.complete


def test_an_interruption_keeps_the_finished_episodes() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        evaluate(Interrupting(1.0))
    assert caught.value.__notes__ == [
        "The finished episodes are kept in results/Interrupting-points_two; "
        "the same call continues."
    ]
    assert len(assay.load("results/Interrupting-points_two").episodes()) == 2


@pytest.mark.parametrize(
    ("policy", "options", "message"),
    [
        (3, {}, "int is no policy"),
        (lambda observation: observation, {}, "pass another name="),
        (threading.Lock(), {}, "no policy"),
        ("vlaa:x", {}, "did you mean vla"),
        ("random", {"name": "mine"}, "name= names a single policy"),
        ([], {}, "no policy to evaluate"),
        (still, {"workers": -1}, "workers must be at least 0"),
        (still, {"replan": 0}, "replan must be at least 1"),
        (still, {"tasks": [7]}, "out of range"),
        (still, {"episodes": 0}, "episodes must be at least 1"),
        (still, {"name": "a b"}, "may only have letters"),
    ],
)
def test_mistakes_raise(policy: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(assay.UsageError, match=message):
        evaluate(policy, **options)


def test_a_first_answer_of_the_wrong_shape_raises() -> None:
    with pytest.raises(assay.UsageError, match=r"shape \(length, 2\)"):
        evaluate(lambda observation: np.zeros(2), name="flat")


def test_an_object_without_a_digest_needs_a_name() -> None:
    policy = Homing(1.0)
    policy.log = (Path.cwd() / "log").open("w")  # type: ignore[attr-defined]
    with pytest.raises(assay.UsageError, match=r"Homing\.log is a TextIOWrapper.*Pass name="):
        evaluate(policy)
    assert evaluate(policy, name="step-20k").players == ("step-20k",)


def state() -> list[Any]:
    """Return what an evaluation must leave as it is."""
    numbers = np.random.get_state(legacy=False)["state"]
    return [
        random.getstate(),
        (numbers["pos"], numbers["key"].tobytes()),
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        {library["filepath"]: library["num_threads"] for library in threadpool_info()},
        {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")},
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
    ]


def test_the_process_stays_as_it_was() -> None:
    before = state()
    evaluate(Noisy(1.0))
    assert state() == before


def meddle() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(3)
    np.random.seed(0)
    random.seed(0)
    torch.manual_seed(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise RuntimeError


def test_what_a_library_changes_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = state()
    with pytest.raises(RuntimeError), untouched():
        meddle()
    assert state() == before


def test_it_works_in_another_thread() -> None:
    found: list[assay.Results] = []
    thread = threading.Thread(target=lambda: found.append(evaluate(Homing(1.0))))
    thread.start()
    thread.join()
    assert found[0].complete


@pytest.mark.slow
def test_libraries_that_it_loads_keep_their_threads(tmp_path: Path) -> None:
    source = """
import os, sys
import assay
assert "torch" not in sys.modules
class Late:
    def __call__(self, observation):
        import numpy, torch
        assert torch.get_num_threads() == 1
        return numpy.zeros((4, 2))
assay.evaluate(Late(), "points_two", episodes=1, progress=False)
import torch
print(torch.get_num_threads(), len(os.sched_getaffinity(0)), os.environ.get("OMP_NUM_THREADS"))
"""
    environment = {name: v for name, v in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    threads, cores, variable = done.stdout.split()
    assert (threads, variable) == (cores, "None")


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(Homing(1.0), episodes=1)
    assert capsys.readouterr() == ("", "")
    evaluate(Homing(1.0), episodes=2, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "4/4 episodes, success 100.0 %" in shown.err


def test_a_notebook_without_ipywidgets_gets_lines() -> None:
    console = Console(force_jupyter=True, file=io.StringIO())
    with ProgressView(console) as view:
        view.begin("episodes", 2, 0, "success -")
        assert view._bar is None

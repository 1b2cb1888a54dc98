"""The cost of a run: seconds by part, sessions, policy actors, and slow episodes."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main as run_eval
from harness.contracts.record import EpisodeRecord
from harness.contracts.spec import EpisodeSpec
from harness.report.cost import make_cost
from harness.report.frame import read_frame
from harness.runs.folder import Run
from tests.helpers.runs import listed_run


def record(episode: int, **measured: Any) -> str:
    values: dict[str, Any] = {
        "outcome": "failure",
        "success": False,
        "progress": None,
        "subgoals": {},
        "steps": 10,
        "reason": "step_limit",
        "instruction": "",
        "actions_sha256": "ab" * 32,
        "state_sha256": "cd" * 32,
    }
    spec = EpisodeSpec("mine", "b", "t", episode, 7, "points/plain@1234567890")
    return EpisodeRecord(spec=spec, **(values | measured)).to_json()


def cost_of(tmp_path: Path, lines: list[str]) -> Any:
    """Return the cost of a run with these lines in its log."""
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    run = listed_run(tmp_path / "run", {"mine": {"t": []}}, 4, "b")
    run.log_path.write_text("".join(line + "\n" for line in lines))
    return cost_in(run.path)


def cost_in(path: Path) -> Any:
    runs = [Run.existing(path)]
    return make_cost(read_frame(runs))


def test_costs_add_up(tmp_path: Path) -> None:
    shared: dict[str, Any] = {"gpu": 0.5, "batches": {"2": 4}, "replica": "a:1"}
    lines = [
        record(
            k,
            started=100.0 + start,
            timing={"env": 2.0, "policy": 1.0, "queue": 0.5, "total": total},
            cpu={"env": 1.5, "total": 2.0},
            worker=f"a:{k % 2}",
            **shared,
        )
        for k, start, total in ((0, 0, 4.0), (1, 0, 4.0), (2, 4, 4.0), (3, 4, 16.0))
    ]
    cost = cost_of(tmp_path, lines)
    parts = cost.parts.set_index("part")
    assert parts.loc["env", "wall_s"] == 8
    assert parts.loc["queue", "wall_s"] == 2
    assert parts["wall_s"].sum() == 28
    assert parts["cpu_s"].sum() == 8
    assert parts["gpu_s"].sum() == parts.loc["policy", "gpu_s"] == 2
    workers, actors, slow = cost.lines
    assert workers == (
        "4 episodes took 28.0 s of worker time on 2 worker processes, 8.6 a minute on each worker."
    )
    assert "1 policy actor, busy 20% of the time; batch sizes 2 to 2, mean 2.0" in actors
    assert "episode 3" in slow
    assert "took 16.0 s, 4.0 times" in slow


def test_clocks_of_two_machines_do_not_matter(tmp_path: Path) -> None:
    late = [record(0, started=100.0, timing={"total": 30.0}, worker="near:1")]
    late += [record(1, started=9000.0, timing={"total": 30.0}, worker="far:1")]
    (line,) = cost_of(tmp_path, late).lines
    assert line == (
        "2 episodes took 60.0 s of worker time on 2 worker processes, 2.0 a minute on each worker."
    )


def test_a_clock_that_is_set_back_gives_no_impossible_share(tmp_path: Path) -> None:
    timing = {"policy": 8.0, "total": 10.0}
    lines = [
        record(k, started=started, timing=timing, replica="a:1", batches={"1": 3})
        for k, started in enumerate((5000.0, 5000.0, 5000.0))
    ]
    assert "busy 100% of the time" in cost_of(tmp_path, lines).lines[1]
    assert len(cost_of(tmp_path, [record(0, replica="a:1")]).lines) == 1


def test_a_crash_of_the_policy_is_no_error_of_the_simulator(tmp_path: Path) -> None:
    error = {"outcome": "error", "success": None, "actions_sha256": None, "state_sha256": None}
    crash = record(0, reason="policy_crash: KeyError: 'x' (mine.py:3)", **error)
    assert len(cost_of(tmp_path, [crash]).lines) == 1
    lines = [crash, record(1, reason="OSError: gone", retries=2, **error), record(2, retries=1)]
    assert (
        cost_of(tmp_path, lines).lines[-1]
        == "2 episodes were played again after an error of the simulator or of a worker."
    )


@pytest.mark.usefixtures("points")
def test_a_run_writes_its_cost_next_to_its_results(tmp_path: Path) -> None:
    command = ["run", "--policy", "homing", "--benchmark", "points_two", "--episodes", "3"]
    assert run_eval.main([*command, "--out", str(tmp_path)]) == 0
    assert "6 episodes took" in (tmp_path / "tables" / "cost.md").read_text()
    parts = cost_in(tmp_path).parts.set_index("part")["wall_s"]
    assert (parts >= 0).all()
    assert parts["policy"] > 0
    assert parts["env"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("points")
def test_inline_and_ray_count_the_same_chunks_and_evaluations(
    tmp_path: Path,
) -> None:
    command = ["run", "--policy", "homing", "--benchmark", "points_two", "--episodes", "2"]
    counts = []
    for name, extra in (("inline", []), ("ray", ["--workers", "2"])):
        assert run_eval.main([*command, *extra, "--out", str(tmp_path / name)]) == 0
        records = Run.existing(tmp_path / name).records()
        counts.append({key: (r.chunks, r.evaluations) for key, r in records.items()})
    assert counts[0] == counts[1]
    assert all(evaluations == 2 * chunks > 0 for chunks, evaluations in counts[0].values())

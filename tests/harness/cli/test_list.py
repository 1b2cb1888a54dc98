"""The command `list`."""

import subprocess
import sys

import pytest

from harness.cli import main as run_eval


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run_eval.main(["list", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_list_tasks_shows_names_cameras_layouts_and_limits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = listed(capsys, "tasks", "libero_object")
    assert lines[0].startswith("libero_object under libero/openpi@")
    assert lines[0].endswith(": 50 episodes a task, 5 actions of a chunk")
    facts = {line.split()[0]: line for line in lines[1:6]}
    assert list(facts) == ["cameras", "state", "action", "limit", "episodes"]
    assert facts["cameras"].endswith("main 256x256, wrist 256x256")
    assert "eef_position[3] (m, world) + eef_orientation[3]" in facts["state"]
    assert facts["action"].endswith("gripper[1] (-1 opens, +1 closes)")
    assert facts["limit"].endswith("280 steps")
    assert facts["episodes"].endswith("50 distinct ones")
    name = "pick_up_the_bbq_sauce_and_place_it_in_the_basket"
    assert lines[9].split()[:2] == ["3", name]
    assert lines[9].endswith(name.replace("_", " "))
    assert len(lines) == 16


def test_list_tasks_follows_the_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    lines = listed(capsys, "tasks", "libero_object", "--protocol", "original,replan=2")
    assert lines[0].startswith("libero_object under libero/original,replan=2@")
    assert "2 actions of a chunk" in lines[0]
    assert lines[1].endswith("main 128x128, wrist 128x128")


def test_list_tasks_shows_where_a_task_differs(capsys: pytest.CaptureFixture[str]) -> None:
    lines = listed(capsys, "tasks", "maniskill_rdt")
    assert lines[1].endswith("main 512x512, wrist 128x128")
    at = next(index for index, line in enumerate(lines) if "PickCube-v1" in line)
    assert lines[at + 1].strip() == "cameras: main 512x512"
    assert lines[at + 2].split()[0] == "2"

    lines = listed(capsys, "tasks", "maniskill", "--protocol", "native")
    at = next(index for index, line in enumerate(lines) if "PushCube-v1" in line)
    assert lines[at + 1].strip() == "cameras: main 128x128"
    assert listed(capsys, "tasks", "points_two")[1].split() == ["cameras", "main", "8x8"]


def test_a_misspelt_name_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["tasks", "libero_objct"], "did you mean libero_object"),
        (["tasks", "libero_object", "--protocol", "opnpi"], "did you mean openpi"),
        (["tasks"], "list tasks needs a benchmark; see: list benchmarks"),
        (["policies", "libero_object"], "list policies takes no benchmark"),
    ):
        assert run_eval.main(["list", *arguments]) == 2
        error = capsys.readouterr().err
        assert expected in error
        assert error.count("\n") == 1


def test_a_family_that_cannot_run_takes_one_short_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROBOTWIN_ASSETS", raising=False)
    for what in ("benchmarks", "protocols"):
        assert run_eval.main(["list", what]) == 0
        told = capsys.readouterr().err.splitlines()
        about = [line for line in told if line.startswith("robotwin ")]
        assert len(about) == 1
        assert about[0].endswith(" doctor")
        assert max(map(len, told)) < 100


def test_listing_tasks_imports_no_simulator() -> None:
    code = (
        "import sys; from harness.cli import main as run_eval\n"
        "for name in ('libero_10', 'maniskill', 'vlabench_lite', 'robotwin_blocks'):\n"
        "    assert run_eval.main(['list', 'tasks', name]) == 0\n"
        "names = ('mujoco', 'robosuite', 'sapien', 'mani_skill', 'torch', 'pandas')\n"
        "print('imported', [name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported []"

"""What all families of benchmarks share, without a simulator."""

import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

import assay
from assay.registration import task_ids
from benchmarks.robotwin.needs import VENV
from benchmarks.suites import installed_versions
from harness.contracts.errors import UsageError
from harness.contracts.registry import families, find_benchmark

IDS = {name: (benchmark, task) for name, benchmark, task in task_ids()}
SIMULATORS = ("mujoco", "robosuite", "sapien", "mani_skill", "torch", "libero.libero")


def test_every_gymnasium_id_names_a_task_of_its_benchmark() -> None:
    assert assay.__version__
    for name, (benchmark, task) in IDS.items():
        assert gymnasium.registry[name].kwargs == {"benchmark": benchmark, "task": task}
        family = find_benchmark(benchmark)
        assert name.startswith(f"{family.name}/")
        assert task in [each.name for each in family.tasks(benchmark)]


def test_every_task_has_exactly_one_scheme_of_ids() -> None:
    assert IDS["libero/object-3-v0"][0] == "libero_object"
    assert IDS["libero/object_swap-0-v0"][0] == "libero_object_swap"
    assert IDS["maniskill/PickCube-v1"] == ("maniskill", "PickCube-v1")
    assert IDS["vlabench_lite/select_poker-v0"] == ("vlabench_lite", "select_poker")
    assert IDS["robotwin_blocks/handover_block-v0"] == ("robotwin_blocks", "handover_block")
    assert IDS["robotwin/lift_pot-v0"] == ("robotwin", "lift_pot")
    assert IDS["vlabench/track3-4-v0"] == ("vlabench_track3", "select_nth_largest_poker")
    assert "points/left-v0" in IDS
    known = set(IDS.values())
    for family in families().values():
        tasks = {task.name for name in family.benchmarks() for task in family.tasks(name)}
        assert tasks <= {task for _, task in known}


def test_the_docs_name_every_family() -> None:
    page = Path("docs/architecture.md").read_text()
    shown = set(re.findall(r"`([a-z_]+/[\w.-]+-v\d)`", page))
    assert shown <= set(IDS)
    bundled = {name.partition("/")[0] for name in IDS if not name.startswith("points")}
    assert {name.partition("/")[0] for name in shown} == bundled


@pytest.mark.parametrize(
    "name", ["libero/object-3-v0", "maniskill/PickCube-v1", "vlabench_lite/select_poker-v0"]
)
def test_an_unknown_protocol_is_refused_before_a_simulator_starts(name: str) -> None:
    with pytest.raises(UsageError, match=r"unknown protocol of \w+ 'xyz'; known: "):
        gymnasium.make(name, protocol="xyz")


def test_gymnasium_imports_assay_by_the_prefix_of_an_id() -> None:
    code = (
        "import gymnasium\n"
        "env = gymnasium.make('assay:vlabench_lite/select_poker-v0', render_mode='rgb_array',"
        " protocol='small,replan=2')\n"
        "print(env.unwrapped.protocol.name, env.unwrapped.render_mode)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["vlabench_lite/small,replan=2", "rgb_array"]


def test_registering_imports_no_simulator() -> None:
    code = (
        "import sys, assay, gymnasium\n"
        "print(len([name for name in gymnasium.registry if '/' in name]))\n"
        f"print([name for name in {SIMULATORS} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, imported = done.stdout.splitlines()
    assert int(count) >= len([name for name in IDS if not name.startswith("points")])
    assert imported == "[]"


def test_a_family_with_a_virtual_environment_is_not_made_here() -> None:
    if VENV.problem():
        pytest.skip("RoboTwin's virtual environment is not built")
    with pytest.raises(UsageError, match=r"a Python environment of its own; use assay\.evaluate"):
        gymnasium.make("robotwin_blocks/handover_block-v0")


def test_versions_leave_out_packages_that_are_not_installed() -> None:
    assert set(installed_versions(("numpy", "no-such-package"))) == {"numpy"}

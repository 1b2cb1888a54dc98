"""ManiSkill's tasks and protocol cards, without importing ManiSkill."""

import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from benchmarks import vulkan
from benchmarks.maniskill import ManiSkill, catalog
from benchmarks.maniskill.protocol import CARDS, DERIVED, ManiSkillProtocol, protocols
from harness.contracts.errors import UsageError
from harness.contracts.registry import find_benchmark
from harness.runs.plan import BenchmarkRequest, Plan, resolve


@pytest.mark.maniskill
def test_the_catalog_equals_maniskills_own_registry() -> None:
    code = (
        "import mani_skill.envs; from mani_skill.utils.registration import REGISTERED_ENVS as R\n"
        "for name, spec in R.items(): print(name, spec.max_episode_steps, *spec.asset_download_ids)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    theirs = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    for name, task in catalog.tasks().items():
        assert [str(task.max_steps), *task.assets] == theirs[name]
    unlisted = set(theirs) - set(catalog.tasks())
    assert all(not catalog._is_scored(name) for name in unlisted)


def test_maniskill_rdt_has_five_tasks_and_maniskill_all() -> None:
    family = find_benchmark("maniskill_rdt")
    assert isinstance(family, ManiSkill)
    assert [task.name for task in family.tasks("maniskill_rdt")] == list(catalog.RDT_TASKS)
    names = [task.name for task in family.tasks("maniskill")]
    assert {*catalog.RDT_TASKS, "TwoRobotPickCube-v1", "PushT-v1", "PickSingleYCB-v1"} <= {*names}


def test_every_task_has_an_instruction_of_one_sentence() -> None:
    for name, task in catalog.tasks().items():
        assert task.description, name
        assert not set(task.description) & set("*[]\n"), name
    assert catalog.tasks()["PickCube-v1"].description == "pick cube"
    assert catalog.tasks()["PushT-v1"].description.startswith("A simulated version")


def test_listing_imports_no_simulator() -> None:
    code = (
        "import sys; from harness.contracts.registry import families; f = families()['maniskill'];"
        "[f.tasks(b) for b in f.benchmarks()]; f.problem(images=True); f.protocols();"
        "print([m for m in ('sapien', 'mani_skill', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("card", sorted(CARDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_field_of_a_card_has_its_source(card: Path) -> None:
    protocol = protocols()[card.stem]
    required = {field.name for field in fields(ManiSkillProtocol) if field.default is MISSING}
    required -= {"name", "sources", "instructions"}
    optional = ("instructions", "robot", "camera_size", "undrawn", "replan")
    required |= {name for name in optional if getattr(protocol, name)}
    assert required <= set(protocol.sources)
    assert all(len(source) >= 15 for source in protocol.sources.values())


def test_rdts_scene_seeds_do_not_depend_on_the_runs_seed() -> None:
    rdt = protocols()["rdt"]
    assert [rdt.scene_seed(seed, 24) for seed in (0, 7)] == [20241225, 20241225]


def test_derived_seeds_are_distinct_and_above_all_fixed_seeds() -> None:
    native = protocols()["native"]
    seeds = {native.scene_seed(seed, episode) for seed in range(20) for episode in range(50)}
    assert len(seeds) == 1000
    assert min(seeds) >= DERIVED
    assert max(seeds) < 2**31


def test_a_request_can_name_benchmark_and_task() -> None:
    names = ("maniskill/PushCube-v1", "maniskill_rdt", "maniskill/1", "maniskill/PickCube-v1")
    plan = Plan(("zero",), tuple(map(BenchmarkRequest, names)), 1)
    tasks = {setup.benchmark: setup.tasks for setup in resolve(plan).setups}
    assert tasks == {
        "maniskill": ("PushCube-v1", list(catalog.tasks())[1], "PickCube-v1"),
        "maniskill_rdt": catalog.RDT_TASKS,
    }


def test_a_request_cannot_name_a_task_twice() -> None:
    plan = Plan(("zero",), (BenchmarkRequest("maniskill/PushCube-v1", tasks=("0",)),), 1)
    with pytest.raises(UsageError, match="names its task; leave out --tasks"):
        resolve(plan)


def test_without_a_vulkan_driver_the_problem_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vulkan, "OURS", Path("/nowhere"))
    monkeypatch.setattr(vulkan, "SYSTEM", ())
    for variable in vulkan.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    vulkan.find_driver.cache_clear()
    problem = ManiSkill().problem(images=False)
    vulkan.find_driver.cache_clear()
    assert problem is not None
    assert "run: make setup" in problem


def test_a_vulkan_driver_that_is_too_old_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vulkan, "OURS", tmp_path / "none.json")
    monkeypatch.setattr(vulkan, "SYSTEM", (tmp_path,))
    for variable in vulkan.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    manifest = tmp_path / "lvp_icd.x86_64.json"
    for text, usable in (
        ('{"ICD": {"api_version": "1.3.230"}}', False),
        ("[]", False),
        ('{"ICD": {"api_version": "1.4.305"}}', True),
    ):
        manifest.write_text(text)
        vulkan.find_driver.cache_clear()
        assert (vulkan.find_driver().file == manifest) is usable, text
    vulkan.find_driver.cache_clear()

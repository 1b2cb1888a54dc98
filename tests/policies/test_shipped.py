"""The included checkpoints: small, described by their pages, equal with any worker count."""

import json
import re
from pathlib import Path

import pytest
from safetensors.torch import load_file

from harness.backends.inline import run_inline
from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.runs.folder import Run
from harness.runs.plan import BenchmarkRequest, Plan, resolve
from policies.learned import LearnedPolicy
from policies.train.recipe import load_recipe
from policies.vla.checkpoint import Checkpoint
from tests.test_house import ROOT

FOLDERS = sorted(path.parent for path in (ROOT / "checkpoints").glob("*/*/model.safetensors"))
RECIPE = {training.out: training for training in load_recipe("tiny-all", ROOT / "checkpoints")}
MAX_BYTES = 60e6
EACH = pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f"{f.parent.name}-{f.name}")


def tables(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the two tables of a page: the facts and the settings."""
    page = (folder / "README.md").read_text()
    facts, settings = page.split("| setting", 1)
    row = re.compile(r"^\| *([^|]*?) *\| *([^|]*?) *\|$", re.MULTILINE)
    return dict(row.findall(facts)), dict(row.findall(settings))


def test_all_checkpoints_together_are_small() -> None:
    assert FOLDERS
    files = [file for folder in FOLDERS for file in folder.iterdir() if file.is_file()]
    assert sum(file.stat().st_size for file in files if file.name != "log.jsonl") < MAX_BYTES


@EACH
def test_a_page_has_the_settings_of_the_recipe(folder: Path) -> None:
    training = RECIPE[folder]
    facts, settings = tables(folder)
    for name, value in training.settings.as_json().items():
        assert settings[name] == str(value), name
    origin = rf"{training.init.name} \([0-9a-f]{{10}}\), .*" if training.init else "nothing"
    assert re.fullmatch(origin, facts["starts from"])
    commands = re.findall(
        r"^python -m policies.train (.*)$", (folder / "README.md").read_text(), re.M
    )
    assert len(commands) == 1
    assert f"{folder.parent.name}/{folder.name}" in commands[0].split()


@EACH
def test_a_page_describes_the_checkpoint_beside_it(folder: Path) -> None:
    contract = Checkpoint.open(folder).contract
    facts, settings = tables(folder)
    assert (contract.head, f"{contract.replan}") == (settings["head"], settings["replan"])
    assert f"{contract.options['horizon']}" == settings["horizon"]
    assert facts["cameras"] == (", ".join(contract.network.cameras) or "none")
    count = sum(weight.numel() for weight in load_file(folder / "model.safetensors").values())
    assert facts["network"] == f"{settings['size']}, {count / 1e6:.2f} million weights"
    cost = json.loads((folder / "cost.json").read_text())
    assert facts["time"] == f"{cost['seconds'] / 60:.1f} min"
    assert facts["training"].startswith(f"{cost['steps']} steps of {cost['batch']} samples")
    assert facts["hardware"] == cost["hardware"]


@EACH
def test_a_page_has_results_of_the_weights_beside_it(folder: Path) -> None:
    page = (folder / "README.md").read_text()
    results = page.partition("\n## Result\n")[2]
    assert f"| {LearnedPolicy(str(folder)).spec.name} " in results
    assert not re.search(r"/(home|root|work|tmp|Users)/", page), "a path of somebody's machine"


@pytest.mark.maniskill
def test_two_workers_give_the_same_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    # Only the keys are compared with the committed run, because other processors round differently.
    kept = Run.existing(ROOT / "results/action-heads/maniskill/e0").records()
    benchmark = BenchmarkRequest("maniskill_rdt", ("PushCube-v1",), "rdt-small")
    work = resolve(Plan(("vla:checkpoints/maniskill/e0",), (benchmark,), episodes=2))
    inline = [episode.record for episode in run_inline(work, work.specs, print)]
    parallel = run_ray(work, work.specs, print, options=RayOptions(workers=2))
    found = {episode.record.spec.key: episode.record.deterministic() for episode in parallel}
    assert found == {record.spec.key: record.deterministic() for record in inline}
    assert set(found) <= set(kept)

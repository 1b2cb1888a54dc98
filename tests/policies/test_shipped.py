"""The checkpoints that come along: small, with a page, and the same on any number of workers."""

import re
from pathlib import Path

import pytest

from harness.backends.inline import run_inline
from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.cli import main as run_eval
from harness.runs.folder import Run
from harness.runs.plan import BenchmarkRequest, Plan, resolve
from policies.learned import LearnedPolicy
from tests.test_house import ROOT

FOLDERS = sorted(
    path.parent
    for path in (ROOT / "checkpoints").glob("*/*/model.safetensors")
    if path.parent.name != "trunk"
)
MOST = 60e6
"""Bytes of all of them."""


def test_all_of_them_together_are_small() -> None:
    assert FOLDERS
    files = [file for folder in FOLDERS for file in folder.iterdir() if file.is_file()]
    assert sum(file.stat().st_size for file in files if file.name != "log.jsonl") < MOST


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_page_says_where_it_is_from_and_what_it_gave(folder: Path) -> None:
    page = (folder / "README.md").read_text()
    for told in ("data", "time", "hardware", "python -m policies.train", "## Result"):
        assert told in page
    assert LearnedPolicy(str(folder)).spec.name in page
    # What a machine calls its folders is nobody's business.
    assert not re.search(r"/(home|root|work|tmp|Users)/", page)


@pytest.mark.maniskill
def test_two_workers_play_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    # Its actions are not compared: another processor rounds otherwise.
    kept = Run.existing(ROOT / "results/action-heads/maniskill/e0").records()
    wanted = run_eval.QUICK_START
    quick = Plan(
        (wanted.policies[0],),
        (BenchmarkRequest("maniskill_rdt", ("PushCube-v1",), "rdt-small"),),
        episodes=2,
    )
    work = resolve(quick)
    inline = [episode.record for episode in run_inline(work, work.specs, print)]
    parallel = run_ray(work, work.specs, print, options=RayOptions(workers=2))
    found = {episode.record.spec.key: episode.record.deterministic() for episode in parallel}
    assert found == {record.spec.key: record.deterministic() for record in inline}
    assert set(found) <= set(kept)

"""The files in `examples/`, used as a user would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay.testing import BenchmarkContract

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "add_a_benchmark"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the environment of processes that have the example installed."""
    entry = "[assay.benchmarks]\nreach2d = reach2d:Reach2D\n"
    assert entry.splitlines()[1].partition(" = ")[2] in (EXAMPLE / "pyproject.toml").read_text()
    info = tmp_path / "reach2d-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: reach2d\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(entry)
    folders = [str(tmp_path), str(EXAMPLE), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def assay(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "run_eval.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_is_short() -> None:
    assert len((EXAMPLE / "reach2d.py").read_text().splitlines()) < 100


@pytest.mark.slow
@pytest.mark.rendering
def test_the_example_of_a_benchmark_is_complete(installed: dict[str, str], tmp_path: Path) -> None:
    printed = assay(installed, "check-benchmark", "reach2d")
    assert printed.endswith("0 problems, 0 warnings\n")
    out = tmp_path / "run"
    policies = ("--policy", "oracle", "random", "--benchmark", "reach2d")
    assay(installed, "run", *policies, "--episodes", "3", "--out", str(out))
    records = [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]
    assert len(records) == 12
    assert {r["success"] for r in records if r["policy"] == "oracle"} == {True}


def test_the_guide_shows_the_contract_that_exists() -> None:
    page = (ROOT / "docs" / "adding-a-benchmark.md").read_text()
    assert f"import {BenchmarkContract.__name__}" in page

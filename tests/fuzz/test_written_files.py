"""Files that a user writes: plans, layouts, protocol cards, recipes and settings of a training."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from harness.cli.main import main
from harness.contracts.registry import find_benchmark
from harness.contracts.yaml_files import parse_yaml
from harness.report.paper.layout import load_layout
from harness.runs.plan import resolve
from harness.runs.plan_file import load_plans
from harness.runs.protocols import find_protocol_of
from policies.train.recipe import load_recipe
from policies.train.settings import load_settings
from tests.fuzz.inputs import BRIEFLY_AND_LONG, damaged_text, read_all

PLAN = {
    "policies": ["homing"],
    "benchmarks": ["points_two", {"name": "points_two", "tasks": ["left", 1], "protocol": "short"}],
    "episodes": 3,
    "first": 1,
    "seed": 7,
    "stop_when_decided": False,
    "ablations": ["no-instruction"],
}
LAYOUT = {
    "title": "A table",
    "metric": "success",
    "places": [
        {"label": "One", "ours": "points_two/left", "group": "g", "published": {"suite": "x"}},
        {"label": "Mean", "mean": ["g"], "weigh": "places"},
    ],
    "policies": [{"label": "P", "ours": "homing*"}],
    "differences": [{"label": "D", "ours": "a - b"}],
    "sources": [{"source": "s", "table": "1"}],
}
SETTINGS = {
    "head": "e0",
    "options": {"bins": 64},
    "learning-rate": 1e-4,
    "steps": 7,
    "blind": False,
    "cameras": ["main"],
    "augmentation": {"crop": 1.0, "spherical": {"share": 0.5}},
}
RECIPE = yaml.safe_load(Path("policies/train/recipes/tiny-all.yaml").read_text())
CARDS = {
    "libero_object": "libero/protocols/openpi.yaml",
    "vlabench_track1": "vlabench_upstream/protocols/track1.yaml",
    "robotwin": "robotwin/protocols/robotwin/demo_clean.yaml",
}


def read_card_of(benchmark: str, path: Path) -> Any:
    return find_protocol_of(find_benchmark(benchmark), benchmark, str(path))


READERS: dict[str, tuple[Any, Callable[[Path], Any]]] = {
    "plan": (PLAN, lambda path: resolve(*load_plans(path))),
    "layout": (LAYOUT, lambda path: load_layout(str(path))),
    "settings": (SETTINGS, lambda path: load_settings(str(path)).head_options),
    "recipe": (RECIPE, lambda path: load_recipe(str(path), path.parent)),
    **{
        benchmark: (
            yaml.safe_load((Path("benchmarks") / card).read_text()) | {"name": "mine"},
            partial(read_card_of, benchmark),
        )
        for benchmark, card in CARDS.items()
    },
}


@BRIEFLY_AND_LONG
@pytest.mark.parametrize("kind", READERS)
def test_a_file_is_read_or_refused_in_a_line(kind: str, examples: int, tmp_path: Path) -> None:
    whole, read = READERS[kind]
    path = tmp_path / "one.yaml"
    path.write_text(json.dumps(whole))
    read(path)

    def written(text: bytes) -> None:
        path.write_bytes(text)
        read(path)

    read_all(damaged_text(whole), written, examples)


@BRIEFLY_AND_LONG
def test_run_json_is_a_plan_or_refused_in_a_line(examples: int, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = ["run", "--policy", "homing", "--benchmark", "points_two", "--episodes", "1"]
    assert main([*command, "--out", str(folder)]) == 0
    path = folder / "run.json"
    whole = json.loads(path.read_text())

    def written(text: bytes) -> None:
        path.write_bytes(text)
        resolve(*load_plans(path))

    read_all(damaged_text(whole), written, examples)


YAML = st.text(st.sampled_from("{}[]:,-?&*!|>'\"%@#~ \n\tab1.<=e"), max_size=40)


@BRIEFLY_AND_LONG
def test_yaml_gives_plain_values_or_a_value_error(examples: int) -> None:
    def read(text: str) -> None:
        value = parse_yaml(text)
        json.dumps(value)
        assert value is None or type(value) in (bool, int, float, str, list, dict)

    read_all(YAML | st.text(max_size=40), read, 10 * examples, ValueError)

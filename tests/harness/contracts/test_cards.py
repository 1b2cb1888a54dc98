"""Protocol cards by file: what is read, what is refused, and what a run keeps."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli import main as run_eval
from harness.contracts.cards import described, fits, read_card
from harness.contracts.errors import UsageError
from harness.contracts.registry import find_benchmark
from harness.contracts.yaml_files import LARGEST_YAML
from harness.runs.folder import Run
from harness.runs.protocols import find_protocol_of

LIBERO = find_benchmark("libero_object")
FOLDERS = {
    "robotwin_blocks": "robotwin",
    "vlabench_lite": "vlabench",
    "vlabench_track1": "vlabench_upstream",
}
"""The folders of families that have other names."""
TRACK1 = "vlabench_upstream/protocols/track1.yaml"
OPENPI = Path("benchmarks/libero/protocols/openpi.yaml")


def card(folder: Path, **changes: Any) -> Path:
    """Write openpi's card under the name mine, with other values; None removes a field."""
    content = yaml.safe_load(OPENPI.read_text()) | {"name": "mine"}
    for key, value in changes.items():
        if key in ("name", "summary"):
            content[key] = value
        elif value is None:
            del content[key]
        else:
            content[key] = {"value": value, "source": "ours"}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def found(path: Path, options: str = "") -> Any:
    return find_protocol_of(LIBERO, "libero_object", f"{path}{options}")


def test_a_card_by_file_has_a_label_of_its_own_and_the_installed_simulator(tmp_path: Path) -> None:
    bundled = LIBERO.protocols()["openpi"]
    same = found(card(tmp_path))
    assert same.rules == bundled.rules
    assert same.simulator == bundled.simulator
    assert same.label == bundled.label.replace("openpi", "mine")
    other = found(card(tmp_path, replan=3))
    assert other.replan == 3
    assert other.label.startswith("libero/mine@")
    assert other.label != same.label
    assert other.sources["replan"] == "ours"
    assert found(card(tmp_path), ",replan=2").name == "libero/mine,replan=2"


def test_a_recorded_label_is_found_again_by_its_file_alone(tmp_path: Path) -> None:
    path = card(tmp_path, replan=3)
    label = found(path).label
    with pytest.raises(UsageError, match=rf"if it came from a file, .* {label},card=FILE"):
        find_protocol_of(LIBERO, "libero_object", label)
    again = find_protocol_of(LIBERO, "libero_object", f"{label},card={path}")
    assert again.label == label
    card(tmp_path, replan=4)
    with pytest.raises(UsageError, match=f"the protocol was {label}; here it is libero/mine@"):
        find_protocol_of(LIBERO, "libero_object", f"{label},card={path}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "openpi"}, "has the name of a bundled card, openpi; give it another one"),
        ({"name": "a/b"}, "name 'a/b' may hold letters, digits, dots and hyphens"),
        ({"name": 7}, "a name is missing, or is not text"),
        ({"summary": None}, "a summary is missing, or is not text"),
        ({"camera_sise": 3}, r"unknown field in mine.yaml 'camera_sise'; did you mean camera_size"),
        ({"simulator": "x"}, "unknown field in mine.yaml 'simulator'"),
        ({"flip": None, "success": None}, "lacks the fields flip, success"),
        ({"flip": "rotate-180"}, "flip must be rotate180 or none, got 'rotate-180'"),
        ({"camera_size": [256]}, r"camera_size must be a list of 2: a whole number, got \[256\]"),
        ({"camera_size": [0, 256]}, "must be 1 to 4096 pixels"),
        ({"wait_steps": True}, "wait_steps must be a whole number, got True"),
        ({"wait_action": [0, 0]}, "needs a wait_action of 7 numbers"),
        ({"max_steps": {"libero_object": "x"}}, "max_steps must be a mapping from text to a whole"),
        ({"max_steps": {"libero_object": -1}}, "max_steps of libero/mine must not be negative"),
        ({"max_steps": {"libero_goal": 9}}, "libero/mine has no step limit for libero_object"),
        ({"replan": 0}, "replan of libero/mine must be at least 1"),
        ({"env_seed": "dice"}, "env_seed must be a whole number or run or run"),
        ({"control": {"controller": "JOINT"}}, "control of libero/mine must be .*OSC_POSE"),
    ],
)
def test_a_mistake_in_a_card_is_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        found(card(tmp_path, **changes))


def test_a_field_needs_its_source(tmp_path: Path) -> None:
    content = yaml.safe_load(card(tmp_path).read_text())
    for entry in ({"value": 3}, {"value": 3, "source": " "}, 3):
        content["replan"] = entry
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
        with pytest.raises(UsageError, match=r"needs a value and a source|a source is missing"):
            found(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[1, 2]", "must hold a mapping of fields"),
        (b"a: [", "is not YAML"),
        (b"\xff\xfe\xff", "cannot read|is not YAML"),
        (b"a: &x [1]\nb: [*x, *x]", "a reference"),
        (b"!!python/object/apply:os.system ['true']", "is not YAML"),
        (b"a: " + b"[" * 5000, "nested too deeply|is not YAML"),
        (b"#" * (LARGEST_YAML + 1), "more than 262144 bytes"),
    ],
)
def test_a_hostile_file_is_refused_in_one_line(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "card.yaml"
    path.write_bytes(text)
    with pytest.raises(UsageError, match=message) as error:
        read_card(path)
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="cannot read the protocol card"):
        read_card(tmp_path / "nowhere.yaml")


def test_no_option_but_replan_goes_with_a_card_by_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a card by file has no option tracks"):
        found(card(tmp_path), ",tracks=x")


def test_values_are_compared_with_the_declared_types() -> None:
    assert fits(3, float)
    assert not fits(float("nan"), float)
    assert not fits(True, int)
    assert fits((), tuple[int, ...])
    assert fits((1, 2), tuple[int, int] | tuple[()])
    assert fits((), tuple[int, int] | tuple[()])
    assert not fits((1,), tuple[int, int])
    assert described(int | None) == "a whole number or null"


@pytest.mark.parametrize(
    "name", ["maniskill", "robotwin_blocks", "vlabench_lite", "vlabench_track1"]
)
def test_every_family_takes_a_card_by_file(tmp_path: Path, name: str) -> None:
    family = find_benchmark(name)
    stem = family.protocol_of(name)
    folder = FOLDERS.get(name, name)
    (bundled,) = (Path("benchmarks") / folder / "protocols").rglob(f"{stem}.yaml")
    content = yaml.safe_load(bundled.read_text()) | {"name": "mine"}
    path = tmp_path / "card.yml"
    path.write_text(yaml.safe_dump(content))
    made = find_protocol_of(family, name, str(path))
    assert made.rules == family.protocols()[stem].rules
    assert made.note == family.protocols()[stem].note
    assert made.name.endswith("/mine")


def test_what_a_family_cannot_play_is_refused(tmp_path: Path) -> None:
    for name, file, key, value, message in (
        ("vlabench_lite", "vlabench/protocols/openpi.yaml", "scenes", "track", "plays a track"),
        ("vlabench_lite", "vlabench/protocols/openpi.yaml", "action", "x", "unknown action"),
        (
            "vlabench_track1",
            "vlabench_upstream/protocols/track1.yaml",
            "track",
            "x",
            "unknown track",
        ),
        (
            "robotwin_blocks",
            "robotwin/protocols/robotwin-blocks/blocks.yaml",
            "planner",
            "curobo",
            "no expert has solved them",
        ),
    ):
        content = yaml.safe_load((Path("benchmarks") / file).read_text()) | {"name": "mine"}
        content[key] = {"value": value, "source": "ours"}
        path = tmp_path / "card.yaml"
        path.write_text(yaml.safe_dump(content))
        with pytest.raises(UsageError, match=message):
            find_protocol_of(find_benchmark(name), name, str(path))


def example() -> str:
    """Return the card that the docs show."""
    page = Path("docs/architecture.md").read_text()
    _, _, after = page.partition("```yaml\nname: ")
    return "name: " + after.partition("```")[0]


def test_a_run_keeps_the_card_that_the_docs_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "hasty.yaml", tmp_path / "run"
    path.write_text(example().replace("libero_object", "points_two"))
    asked = ["run", "--policy", "zero", "--benchmark", "points_two", "--tasks", "0"]
    command = [*asked, "--protocol", str(path), "--out", str(out)]
    assert run_eval.main([*command, "--episodes", "1"]) == 0
    record = next(iter(Run.existing(out).records().values()))
    assert record.spec.protocol.startswith("points/hasty@")
    assert record.steps == 40
    copy = out / "protocols" / "points" / "hasty.yaml"
    assert copy.read_bytes() == path.read_bytes()
    assert run_eval.main([*command, "--episodes", "2"]) == 0

    path.unlink()
    capsys.readouterr()
    assert run_eval.main(["replay", str(out), record.spec.key]) == 0
    assert "identical: failure after 40 steps" in capsys.readouterr().out
    again = ["run", "--plan", str(out / "run.json"), "--out", str(tmp_path / "again")]
    assert run_eval.main(again) == 0
    repeated = Run.existing(tmp_path / "again").records()
    assert set(repeated) == set(Run.existing(out).records())

    copy.unlink()
    assert run_eval.main(["replay", str(out), record.spec.key]) == 2
    assert "points has no bundled card 'hasty'; if it came from a file" in capsys.readouterr().err

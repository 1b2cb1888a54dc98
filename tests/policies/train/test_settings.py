"""Settings and recipes from files and the command line; logs and their plots."""

from pathlib import Path

import pytest

from harness.contracts.errors import UsageError
from policies.heads import HEADS, build
from policies.train.__main__ import TrainCommand, main, parse
from policies.train.log import Log, read_log
from policies.train.recipe import load_recipe
from policies.train.run import network
from policies.train.settings import CONFIGS, Settings, config_names, load_settings


@pytest.mark.parametrize("name", config_names())
def test_every_included_file_makes_a_policy(name: str) -> None:
    settings = load_settings(name)
    config = network(settings, settings.cameras or ("main",), 8)
    options = settings.head_options | {"horizon": settings.horizon, "action_size": 7}
    assert build(settings.head, options, 64).config.horizon == settings.horizon
    assert config.state == settings.state


@pytest.mark.parametrize("name", config_names())
def test_every_value_of_an_included_file_has_a_source(name: str) -> None:
    groups: dict[int, bool] = {}
    for line in (CONFIGS / f"{name}.yaml").read_text().splitlines():
        if line.lstrip().startswith("#"):
            continue
        depth = len(line) - len(line.lstrip())
        # The source of a group counts for its members.
        sourced = "#" in line or any(groups[above] for above in groups if above < depth)
        groups = {above: groups[above] for above in groups if above < depth}
        if line.endswith(":") or ": #" in line:
            groups[depth] = "#" in line
        else:
            assert sourced, line


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "head: e0\noptions: {bins: 64, decode: argmax}\nlearning-rate: 1e-4\nsteps: 7\n"
        "augmentation: {crop: 1, spherical: {share: 0.5}}\n"
    )
    for spelled in (["--config", f"{tmp_path}/mine.yaml"], [f"--config={tmp_path}/mine.yaml"]):
        command = parse([*spelled, "--steps", "9", "--augmentation.spherical.yaw", "3"])
        assert isinstance(command, TrainCommand)
        settings = command.settings
        assert (settings.head, settings.steps, settings.learning_rate) == ("e0", 9, 1e-4)
        assert settings.head_options == {"bins": 64, "decode": "argmax"}
        assert (settings.augmentation.crop, settings.augmentation.rotation) == (1.0, 5.0)
        assert (settings.augmentation.spherical.share, settings.augmentation.spherical.yaw) == (
            0.5,
            3,
        )
    assert load_settings(str(tmp_path / "mine.yaml")) != Settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heads: e0", "unknown setting in .*'heads'; did you mean head"),
        ("steps: many", "steps cannot be 'many'"),
        ("steps: 1.5", "steps cannot be 1.5"),
        ("steps: 1\nsteps: 2", "line 2: the key steps stands twice"),
        ("learning-rate: .nan", "--learning-rate must be a finite number, got nan"),
        ("clip: inf", "--clip must be a finite number, got inf"),
        ("blind: 1", "blind cannot be 1"),
        ("state: somewhere", "state cannot be 'somewhere'"),
        ("augmentation: {spherical: 3}", "must hold a mapping"),
        ("augmentation: {crops: 1}", "unknown setting"),
        ("- head", "must hold a mapping"),
        ("steps: !!python/object/apply:os.system [ls]", "cannot read"),
        ("batch: 7\naccumulate: 2", "--batch 7 has no 2 equal parts"),
        ("replan: 17", "--replan 17 is more than the 16 actions of a chunk"),
        ("held-out: 1", "--held-out 1 leaves nothing"),
        ("ema: 1.0", "--ema must be at least 0 and less than 1"),
        ("{blind: true, cameras: [main]}", "leave out --blind or --cameras"),
        ("{frozen: true, acting: language}", "--frozen leaves nothing to train"),
        ("learning-rate: 0", "--learning-rate must be more than 0"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_settings(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("polices: {}", "unknown part of .*did you mean policies"),
        ("heads: {}", "must hold at least one policy"),
        ("policies: {../up: {data: [demos]}}", "'../up' cannot be a name"),
        ("policies: {lights: {data: demos}}", "lights must hold data: a list"),
        ("policies: {lights: {data: [demos], steps: 3}}", "unknown setting of .*lights"),
        ("{heads: {step: 3}, policies: {lights: {data: [demos]}}}", "did you mean steps"),
    ],
)
def test_a_wrong_recipe_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_recipe(str(path), tmp_path)


def test_all_heads_of_a_recipe_have_the_same_settings() -> None:
    trainings = load_recipe("tiny-all", Path("out"), ["vlabench"])
    assert [training.out for training in trainings] == [
        Path("out/vlabench") / name for name in ("backbone", *HEADS, "blind")
    ]
    backbone, *heads, blind = trainings
    assert {head.init for head in heads} == {backbone.out}
    assert backbone.init is None
    assert blind.init is None
    assert blind.settings.blind
    settings = [head.settings.as_json() for head in heads]
    assert [each.pop("head") for each in settings] == list(HEADS)
    assert all(each == settings[0] for each in settings)
    assert len({training.data for training in trainings}) == 1
    assert load_recipe("tiny-all", Path("out"), ["vlabench/flow"]) == [
        training for training in heads if training.settings.head == "flow"
    ]


def test_mistakes_on_the_command_line_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    cases = (
        ([], "--out is missing"),
        (out, "--data is missing"),
        (["--config", "tinny"], "unknown config 'tinny'; did you mean tiny"),
        ([*out, "--save-every", "0"], "--save-every must be at least 1"),
        (["--recipe", "tiny-all", "--steps", "3"], "a recipe has its own data and settings"),
        (["--recipe", "tiny"], "unknown recipe 'tiny'; did you mean tiny-all"),
        (["--recipe", "tiny-all", "--only", "vlabench/eo"], "did you mean vlabench/e0"),
        ([*out, "--only", "libero"], "--only needs --recipe"),
        ([*out, "--data", str(tmp_path)], "holds no data set"),
        (["plot", str(tmp_path / "none.jsonl")], "there is no"),
    )
    for arguments, message in cases:
        assert main(arguments) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_a_log_continues_after_the_saved_step(tmp_path: Path) -> None:
    log = Log(tmp_path, 0)
    for step in range(1, 6):
        log.add(step=step, loss=1 / step, lr=0.1, grad_norm=1.0)
    log.close()
    path = tmp_path / "log.jsonl"
    path.write_text(path.read_text() + '{"step": 6, "lo')
    with pytest.raises(UsageError, match="line 6 of"):
        read_log(path)
    again = Log(tmp_path, 3)
    again.add(step=4, loss=9.0, lr=0.1, grad_norm=1.0)
    again.close()
    assert [(line["step"], line["loss"]) for line in read_log(path)] == [
        (1, 1.0),
        (2, 1 / 2),
        (3, 1 / 3),
        (4, 9.0),
    ]


def test_logs_are_plotted_into_one_picture(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        log = Log(tmp_path / name, 0)
        for step in range(1, 40):
            log.add(step=step, loss=1 / step, lr=0.1, grad_norm=1.0)
        log.add(step=39, validation=0.5)
        log.close()
    picture = tmp_path / "both.svg"
    logs = [str(path) for path in sorted(tmp_path.glob("*/log.jsonl"))]
    assert main(["plot", *logs, "--out", str(picture)]) == 0
    svg = picture.read_text()
    assert "<!-- one -->" in svg
    assert "<!-- two -->" in svg

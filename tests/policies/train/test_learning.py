"""Trained policies have learned, are saved, and act; recipes; reports of trainings."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.maniskill import ManiSkill
from benchmarks.maniskill.protocol import protocols
from harness.cli import main as run_eval
from harness.contracts.policy import Query, check_compatible
from harness.contracts.spec import player_name
from policies.heads import HEADS
from policies.learned import LearnedPolicy
from policies.train.__main__ import main
from tests.helpers.demos import demonstration, write_demos
from tests.helpers.runs import listed_run

QUICK = ("--size", "dummy", "--horizon", "4", "--replan", "3", "--held-out", "0", "--device", "cpu")
PLAIN = ("--augmentation.crop", "1", "--augmentation.rotation", "0")
PLAIN += tuple(f"--augmentation.{kind}=0" for kind in ("brightness", "contrast", "saturation"))


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def run(data: Path, out: Path, *more: str) -> int:
    return main(["--data", str(data), "--out", str(out), *QUICK, *more])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demos(tmp_path_factory.mktemp("demos"), range(4))


@pytest.mark.slow
def test_a_policy_overfits_a_few_demonstrations(data: Path, tmp_path: Path) -> None:
    settings = ("--head", "regression", "--relative", "2", "--steps", "150", "--batch", "20")
    settings += ("--warmup", "10", "--cameras", "main", "--stored", "float16")
    assert run(data, tmp_path, *PLAIN, *settings) == 0
    assert {w.dtype for w in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    found = losses(tmp_path)
    assert np.mean(found[-10:]) < np.mean(found[:5]) / 5
    # The policy inverts the normalisation: its actions are the demonstrated ones.
    policy = LearnedPolicy(str(tmp_path))
    policy.load()
    for episode in range(4):
        shown = demonstration(episode)
        seen = {
            "image": {"main": shown.image["main"][0]},
            "state": shown.state[0],
            "instruction": shown.instruction,
        }
        chunk = policy.infer([Query(seen, np.random.default_rng(0))])[0]
        assert chunk.shape == (3, 3)
        np.testing.assert_allclose(chunk, shown.action[:3], atol=0.25)


@pytest.mark.slow
def test_a_recipe_trains_every_head_from_one_backbone_and_skips_finished_ones(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "quick.yaml").write_text("{size: dummy, horizon: 4, replan: 3, batch: 4}")
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "checkpoints"
    recipe.write_text(
        f"config: {tmp_path / 'quick.yaml'}\n"
        "backbone: {head: regression, steps: 2}\nheads: {steps: 2}\n"
        "blind: {head: regression, steps: 1}\n"
        f"policies: {{lights: {{data: [{data}], settings: {{held-out: 0}}}}}}\n"
    )
    command = ["--recipe", str(recipe), "--out", str(out), "--device", "cpu"]
    assert main(command) == 0
    captured = capsys.readouterr()
    names = ["backbone", *HEADS, "blind"]
    folders = [Path(line.removeprefix("vla:")) for line in captured.out.split()]
    assert folders == [out / "lights" / name for name in names]
    policies = {folder.name: LearnedPolicy(str(folder)) for folder in folders}
    assert len({policy.spec.name for policy in policies.values()}) == len(names)
    assert policies["blind"].spec.cameras == ()
    assert set(policies["flow"].spec.cameras) == {"main", "wrist"}
    backbone = policies["backbone"].spec.name.rpartition("@")[2]
    for head in HEADS:
        assert f"backbone ({backbone[:10]}" in (out / "lights" / head / "README.md").read_text()
    # Remove one page, as if the recipe had been killed during that training.
    (out / "lights/flow/README.md").unlink()
    weights = (out / "lights/flow/model.safetensors").read_bytes()
    assert main(command) == 0
    message = " ".join(capsys.readouterr().err.split())
    assert message.count("is trained already") == len(names) - 1
    assert (out / "lights/flow/model.safetensors").read_bytes() == weights
    # A backbone with only its page, as in the repository, is trained again, to the same bits.
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (out / "lights/backbone" / name).unlink()
    assert main([*command, "--only", "lights/backbone"]) == 0
    assert LearnedPolicy(str(out / "lights/backbone")).spec.name.rpartition("@")[2] == backbone


def test_a_blind_policy_uses_no_camera(data: Path, tmp_path: Path) -> None:
    assert run(data, tmp_path, "--blind", "--steps", "2", "--batch", "4") == 0
    policy = LearnedPolicy(str(tmp_path))
    policy.load()
    assert policy.spec.cameras == ()
    seen = {"image": {}, "state": np.zeros(3, np.float32), "instruction": "reach the light"}
    assert policy.infer([Query(seen, np.random.default_rng(0))])[0].shape == (3, 3)


def test_results_of_runs_are_written_to_the_page_and_the_table(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "policy"
    assert run(data, out, "--blind", "--steps", "1", "--batch", "4") == 0
    name = LearnedPolicy(str(out)).spec.name
    assert name.startswith("flow-blind@")
    ablated = player_name(name, "no-image")
    fewer = LearnedPolicy(f"{out},steps=3").spec.name
    trained = (out / "README.md").read_text()
    for successes in (3, 4):
        ends = {name: [1.0] * successes, ablated: [0.0], "oracle": [1.0] * 10}
        ends[fewer] = [1.0, 0.0]
        scores = {policy: {"reach": each} for policy, each in ends.items()}
        played = listed_run(tmp_path / f"run{successes}", scores, 10)
        assert main(["result", str(out), "--runs", str(played.path)]) == 0
        page = (out / "README.md").read_text()
        assert page.startswith(trained)
        assert page.count("## Result") == 1
        rows = [line for line in page.splitlines() if "| reach" in line]
        assert [row.split("|")[1].strip() for row in rows] == [fewer, name, ablated]
        assert f"| {successes} " in rows[1]
        assert "oracle" not in page
    runs = [str(tmp_path / f"run{successes}") for successes in (3, 4)]
    policies = [str(out), f"{out},steps=3"]
    assert main(["table", *policies, "--runs", *runs, "--out", str(tmp_path / "tables")]) == 0
    rows = (tmp_path / "tables/heads.csv").read_text().splitlines()
    assert rows[0].startswith("benchmark,policy,ablation,n,success in %,progress,network runs")
    assert [row[:4] for row in csv.reader(rows[1:])] == [
        ["points_two", "policy", "-", "4"],
        ["points_two", "policy", "no-image", "1"],
        ["points_two", "policy,steps=3", "-", "2"],
    ]
    assert r"\toprule" in (tmp_path / "tables/heads.tex").read_text()
    capsys.readouterr()
    other = listed_run(tmp_path / "other", {"oracle": {"reach": [1.0]}}, 1)
    assert main(["result", str(out), "--runs", str(other.path)]) == 2
    assert "no episode of flow-blind" in " ".join(capsys.readouterr().err.split())


def test_the_seed_decides_the_losses(data: Path, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    for name, seed in (("one", "1"), ("again", "1"), ("other", "2")):
        assert run(data, tmp_path / name, "--steps", "3", "--batch", "4", "--seed", seed) == 0
    assert losses(tmp_path / "one") == losses(tmp_path / "again")
    assert losses(tmp_path / "one") != losses(tmp_path / "other")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_diverging_loss_ends_the_training(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ("--learning-rate", "1e30", "--warmup", "0", "--head", "flow")
    assert run(data, tmp_path, "--steps", "20", "--batch", "4", *wild) == 2
    assert "lower --learning-rate" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.maniskill
def test_a_trained_policy_plays_in_the_simulator(tmp_path: Path) -> None:
    data, out, card = tmp_path / "demos", tmp_path / "checkpoint", "rdt-small"
    command = ["record", "--benchmark", "maniskill_rdt/PushCube-v1", "--protocol", card]
    command += ["--episodes", "1", "--cameras", "main", "--every", "8", "--out", str(data)]
    assert run_eval.main(command) == 0
    assert run(data, out, "--relative", "7", "--steps", "5", "--batch", "2") == 0
    policy = LearnedPolicy(str(out))
    policy.load()
    env = ManiSkill().make("maniskill_rdt", "PushCube-v1", protocols()[card])
    check_compatible(policy.spec, env)
    env.begin(0, 20241201)
    seen = env.observe(policy.spec.cameras)
    before = seen["state"]
    chunk = policy.infer([Query(seen, np.random.default_rng(0))])[0]
    for action in chunk:
        env.advance(action)
    assert (env.observe([])["state"] != before).any()
    env.close()

"""What is trained has learned, is kept, and plays."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks import demos
from benchmarks.maniskill import ManiSkill
from benchmarks.maniskill.protocol import protocols
from harness.contracts.policy import check_compatible
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


def test_a_handful_of_demonstrations_is_learned_by_heart(data: Path, tmp_path: Path) -> None:
    settings = ("--head", "regression", "--relative", "2", "--steps", "150", "--batch", "20")
    settings += ("--warmup", "10", "--cameras", "main", "--stored", "float16")
    assert run(data, tmp_path, *PLAIN, *settings) == 0
    assert {w.dtype for w in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    found = losses(tmp_path)
    assert np.mean(found[-10:]) < np.mean(found[:5]) / 5
    # The policy undoes what training did to actions: it goes where the demonstration went.
    policy = LearnedPolicy(str(tmp_path))
    policy.load()
    for episode in range(4):
        shown = demonstration(episode)
        seen = {
            "image": {"main": shown.image["main"][0]},
            "state": shown.state[0],
            "instruction": shown.instruction,
        }
        chunk = policy.infer([seen], [np.random.default_rng(0)])[0]
        assert chunk.shape == (3, 3)
        np.testing.assert_allclose(chunk, shown.action[:3], atol=0.25)


def test_a_recipe_trains_every_head_from_one_trunk_and_skips_what_is_done(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "quick.yaml").write_text("{size: dummy, horizon: 4, replan: 3, batch: 4}")
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "checkpoints"
    recipe.write_text(
        f"config: {tmp_path / 'quick.yaml'}\n"
        "trunk: {head: regression, steps: 2}\nheads: {steps: 2}\n"
        "blind: {head: regression, steps: 1}\n"
        f"policies: {{lights: {{data: [{data}], settings: {{held-out: 0}}}}}}\n"
    )
    command = ["--recipe", str(recipe), "--out", str(out), "--device", "cpu"]
    assert main(command) == 0
    captured = capsys.readouterr()
    names = ["trunk", *HEADS, "blind"]
    folders = [Path(line.removeprefix("vla:")) for line in captured.out.split()]
    assert folders == [out / "lights" / name for name in names]
    policies = {folder.name: LearnedPolicy(str(folder)) for folder in folders}
    assert len({policy.spec.name for policy in policies.values()}) == len(names)
    assert policies["blind"].spec.cameras == ()
    assert set(policies["flow"].spec.cameras) == {"main", "wrist"}
    trunk = policies["trunk"].spec.name.rpartition("@")[2]
    for head in HEADS:
        assert f"trunk ({trunk[:10]}" in (out / "lights" / head / "README.md").read_text()
    # One of them is missing its page, as if the recipe had been killed in it.
    (out / "lights/flow/README.md").unlink()
    weights = (out / "lights/flow/model.safetensors").read_bytes()
    assert main(command) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("is trained already") == len(names) - 1
    assert (out / "lights/flow/model.safetensors").read_bytes() == weights
    # A trunk of which the page alone came along is trained again, to the same bits.
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (out / "lights/trunk" / name).unlink()
    assert main([*command, "--only", "lights/trunk"]) == 0
    assert LearnedPolicy(str(out / "lights/trunk")).spec.name.rpartition("@")[2] == trunk


def test_a_blind_policy_looks_at_no_camera(data: Path, tmp_path: Path) -> None:
    assert run(data, tmp_path, "--blind", "--steps", "2", "--batch", "4") == 0
    policy = LearnedPolicy(str(tmp_path))
    policy.load()
    assert policy.spec.cameras == ()
    seen = {"image": {}, "state": np.zeros(3, np.float32), "instruction": "reach the light"}
    assert policy.infer([seen], [np.random.default_rng(0)])[0].shape == (3, 3)


def test_what_runs_found_comes_on_the_page(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "policy"
    assert run(data, out, "--blind", "--steps", "1", "--batch", "4") == 0
    name = LearnedPolicy(str(out)).spec.name
    assert name.startswith("flow-blind@")
    fewer = LearnedPolicy(f"{out},steps=3").spec.name
    trained = (out / "README.md").read_text()
    for successes in (3, 4):
        ends = {name: [1.0] * successes, f"{name}+no-image": [0.0], "oracle": [1.0] * 10}
        ends[fewer] = [1.0, 0.0]
        found = listed_run(
            tmp_path / f"run{successes}", {who: {"reach": got} for who, got in ends.items()}, 10
        )
        assert main(["result", str(out), "--runs", str(found.path)]) == 0
        page = (out / "README.md").read_text()
        assert page.startswith(trained)
        assert page.count("## Result") == 1
        rows = [line for line in page.splitlines() if "| reach" in line]
        assert [row.split()[1] for row in rows] == [name, f"{name}+no-image", fewer]
        assert f"| {successes} " in rows[0]
        assert "oracle" not in page
    runs = [str(tmp_path / f"run{successes}") for successes in (3, 4)]
    shown = [str(out), f"{out},steps=3"]
    assert main(["table", *shown, "--runs", *runs, "--out", str(tmp_path / "tables")]) == 0
    rows = (tmp_path / "tables/heads.csv").read_text().splitlines()
    assert rows[0].startswith("benchmark,policy,control,n,success in %,progress,network runs")
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


def test_what_the_seed_decides(data: Path, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    for name, seed in (("one", "1"), ("again", "1"), ("other", "2")):
        assert run(data, tmp_path / name, "--steps", "3", "--batch", "4", "--seed", seed) == 0
    assert losses(tmp_path / "one") == losses(tmp_path / "again")
    assert losses(tmp_path / "one") != losses(tmp_path / "other")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_loss_without_bounds_ends_the_training(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ("--learning-rate", "1e30", "--warmup", "0", "--head", "flow")
    assert run(data, tmp_path, "--steps", "20", "--batch", "4", *wild) == 2
    assert "lower --learning-rate" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.maniskill
def test_a_trained_policy_plays_in_the_simulator(tmp_path: Path) -> None:
    data, out, card = tmp_path / "demos", tmp_path / "checkpoint", "rdt-small"
    command = ["--benchmark", "maniskill_rdt/PushCube-v1", "--protocol", card, "--episodes", "1"]
    command += ["--cameras", "main", "--every", "8", "--out", str(data)]
    assert demos.main(command) == 0
    assert run(data, out, "--relative", "7", "--steps", "5", "--batch", "2") == 0
    policy = LearnedPolicy(str(out))
    policy.load()
    env = ManiSkill().make("maniskill_rdt", "PushCube-v1", protocols()[card])
    check_compatible(policy.spec, env)
    env.begin(0, 20241201)
    seen = env.observe(policy.spec.cameras)
    before = seen["state"]
    chunk = policy.infer([seen], [np.random.default_rng(0)])[0]
    for action in chunk:
        env.advance(action)
    assert (env.observe([])["state"] != before).any()
    env.close()

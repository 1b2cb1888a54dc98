"""Policies and training on a GPU: `pytest -m gpu`, on a machine that has one; see docs/gpu.md."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.cli import main as run_eval
from harness.contracts.spec import keyed_stream
from harness.runs.folder import Run
from policies import learned
from policies.learned import LearnedPolicy
from policies.seeded import seeded
from policies.train import randomness
from policies.train.corpus import read_corpus
from policies.train.optimizer import Optimizer
from policies.train.run import make_task
from policies.train.settings import Settings
from policies.train.state import TrainingState, load_state, save_state
from policies.vla.checkpoint import contract_of, save
from tests.helpers.demos import PIXELS, write_demos
from tests.helpers.vla import model, network, normalization, tokenizer
from tests.policies.test_learned import SHIPPED, points_checkpoint, shipped_queries
from tests.policies.vla.test_devices import queries

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU"),
]
ROOT = Path(__file__).parents[2]
DEVICE = "cuda"
CONTINUOUS = ("regression", "flow", "diffusion")


def on(device: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> LearnedPolicy:
    """Return a checkpoint's policy, loaded on a device."""
    with monkeypatch.context() as patch:
        if device == "cpu":
            patch.setattr(learned, "find_device", lambda: torch.device("cpu"))
        policy = LearnedPolicy(str(folder))
        policy.load()
    assert {weight.device.type for weight in policy._model.parameters()} == {device}
    return policy


@pytest.mark.parametrize("number", [1, 3, 8])
@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_checkpoint_acts_as_on_the_cpu(
    folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last bits differ. At the border of two tokens they may decide which one is drawn."""
    policies = [on(device, monkeypatch, folder) for device in ("cpu", DEVICE)]
    cpu, gpu = (np.stack(policy.infer(shipped_queries(policy, number))) for policy in policies)
    difference = np.abs(cpu - gpu)
    print(f"{folder.name}, {number} at once: differences up to {difference.max():.2g}")
    if policies[0]._checkpoint.contract.head in CONTINUOUS:
        assert difference.max() < 1e-3
    else:
        assert (difference < 1e-3).mean() > 0.6


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_the_same_query_gives_the_same_bits_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = on(DEVICE, monkeypatch, folder)
    first, again = (policy.infer(shipped_queries(policy, 1))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_bfloat16_checkpoint_acts_almost_as_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vla = model(network(), "flow")
    chunks = []
    for dtype in (torch.float32, torch.bfloat16):
        folder = tmp_path / str(dtype)
        save(folder, vla.to(dtype), tokenizer(vla.config), contract_of(vla, normalization()))
        chunks.append(np.stack(on(DEVICE, monkeypatch, folder).infer(queries(3))))
    assert 0 < np.abs(chunks[0] - chunks[1]).max() < 0.2 * np.abs(chunks[0]).max()


def test_the_seed_of_a_policy_s_own_code_holds_on_the_gpu() -> None:
    drawn = []
    for _ in range(2):
        with seeded(keyed_stream(np.array([3, 5], np.uint64))):
            drawn.append(torch.rand(4, device=DEVICE).cpu())
        torch.rand(1, device=DEVICE)
    assert torch.equal(*drawn)


def records(out: Path, folder: Path, *options: str) -> list[dict[str, Any]]:
    """Play an untrained checkpoint on the points, and return the records in order."""
    arguments = ["run", "--policy", f"vla:{folder}", "--benchmark", "points_two"]
    arguments += ["--protocol", "plain", "--episodes", "3", "--out", str(out), *options]
    assert run_eval.main(arguments) == 0
    return [asdict(record) for _, record in sorted(Run.existing(out).records().items())]


@pytest.mark.slow
def test_runs_with_and_without_workers_have_the_same_outcomes(tmp_path: Path) -> None:
    folder = points_checkpoint(tmp_path, "flow", {"steps": 3})
    runs = {
        "inline": records(tmp_path / "inline", folder),
        "batches": records(tmp_path / "batches", folder, "--workers", "2"),
        "exact": records(tmp_path / "exact", folder, "--workers", "2", "--batching", "exact"),
        "cpu": records(tmp_path / "cpu", folder, "--workers", "2", "--policy-gpus", "0"),
    }
    outcomes = {name: [record["outcome"] for record in run] for name, run in runs.items()}
    assert all(found == outcomes["inline"] for found in outcomes.values())
    assert all(record["gpu"] > 0 for record in runs["batches"] + runs["exact"])
    assert all(record["gpu"] == 0 for record in runs["cpu"])


MEMORY = """
import torch
from harness.play.memory import limit_memory
limit_memory()
print(float((torch.ones(2**20, device="cuda") * 2).sum()))
"""


def test_the_memory_limit_of_an_actor_lets_cuda_start() -> None:
    """CUDA reserves far more addresses than the machine has memory."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 2**21


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_training_has_almost_the_losses_of_the_cpu(workers: str, tmp_path: Path) -> None:
    """The backbone is trained by regression, which draws no noise. Two processes share a GPU."""
    write_demos(tmp_path / "demos", range(6))
    recipe, settings = tmp_path / "recipe.yaml", tmp_path / "settings.yaml"
    settings.write_text("{size: tiny, horizon: 4, replan: 2, held-out: 0, batch: 8, warmup: 2}")
    recipe.write_text(
        f"config: {settings}\nbackbone: {{head: regression, steps: 6}}\n"
        f"heads: {{steps: 3, frozen: true}}\nblind: {{head: regression, steps: 3}}\n"
        f"policies: {{lights: {{data: [{tmp_path / 'demos'}]}}}}\n"
    )
    losses = {}
    for device in (DEVICE, "cpu"):
        out = tmp_path / device
        arguments = ["--recipe", recipe, "--out", out, "--device", device, "--workers", workers]
        only = ["--only", "lights/backbone", "lights/flow", "lights/blind"]
        # A process of its own: with several workers it forks, and must not have used a GPU.
        subprocess.run(
            [sys.executable, "-m", "policies.train", *map(str, arguments), *only],
            cwd=ROOT,
            check=True,
        )
        log = (out / "lights/backbone/log.jsonl").read_text().splitlines()
        losses[device] = [line["loss"] for line in map(json.loads, log) if "loss" in line]
    np.testing.assert_allclose(losses[DEVICE], losses["cpu"], rtol=0.02)


def test_a_saved_training_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    data = write_demos(tmp_path / "demos", range(6))
    settings = Settings(size="dummy", horizon=4, replan=2, batch=8, held_out=0, head="flow")
    corpus = read_corpus((data,), settings, PIXELS, 1.0, tmp_path)
    device = torch.device(DEVICE)
    weights = []
    for stopped in (False, True):
        task = make_task(corpus, settings, device)
        optimizer = Optimizer(task.model, settings)
        for step in range(4):
            if stopped and step == 2:
                save_state(tmp_path, TrainingState(step, 0.0, optimizer.state()))
                task = make_task(corpus, settings, device)
                optimizer = Optimizer(task.model, settings)
                saved = load_state(tmp_path, device)
                assert saved is not None
                optimizer.restore(saved.tensors, saved.step)
            noise = randomness.generator(0, "loss", step, device)
            optimizer.update([partial(task.loss, task.batch(task.epoch[:8], None), noise)])
        weights.append({name: value.cpu() for name, value in optimizer.state().items()})
    torch.testing.assert_close(weights[0], weights[1], atol=1e-5, rtol=1e-4)

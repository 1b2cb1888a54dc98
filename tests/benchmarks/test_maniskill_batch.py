"""ManiSkill's batches: a batch of one on the CPU, and, where there is a GPU, many on it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.maniskill import ManiSkill, catalog, cuda
from benchmarks.maniskill.batch import ManiSkillBatch
from benchmarks.maniskill.env import ManiSkillEnv
from benchmarks.maniskill.milestones import Milestones
from benchmarks.maniskill.protocol import protocols
from harness.cli import main as run_eval
from harness.cli.doctor import examine
from harness.contracts.ablation import Control
from harness.contracts.environment import BatchEnv, BenchmarkEnv
from harness.contracts.errors import UsageError
from harness.contracts.policy import Policy, PolicySpec
from harness.contracts.spec import EpisodeSpec
from harness.play.batch_rollout import run_block
from harness.play.meter import Meter
from harness.play.rollout import Episode, run_episode
from harness.runs.block import Block

CARD = replace(
    protocols()["rdt-gpu"], camera_size=(64, 64), shader="minimal", max_steps={"maniskill": 20}
)
"""Small pictures and short episodes."""
TASK = catalog.tasks().get("PickCube-v1")


class Drifting(Policy):
    """Moves every joint a little at random from where it is, after a look at the picture."""

    def __init__(self, env: BenchmarkEnv | BatchEnv) -> None:
        self.spec = PolicySpec(
            "drifting",
            cameras=("main",),
            state_layout=env.state_layout,
            action_layout=env.action_layout,
        )

    def infer(self, observations: Sequence[Any], streams: Sequence[Any]) -> Sequence[Any]:
        for observation in observations:
            assert observation["image"]["main"].shape == (64, 64, 3)
            assert observation["image"]["main"].any()
        return [
            (seen["state"] + stream.normal(0, 0.05, (8, seen["state"].size))).astype(np.float32)
            for seen, stream in zip(observations, streams, strict=True)
        ]


def block(rows: int, seed: int = 7) -> Block:
    specs = [EpisodeSpec("p", "maniskill", "PickCube-v1", k, seed, "c") for k in range(rows)]
    return Block(tuple(specs), tuple(range(rows)))


def played(batch: int) -> list[dict[str, Any]]:
    """Play a block in a simulator of its own."""
    assert TASK is not None
    protocol = replace(CARD, batch=batch)
    env = ManiSkillBatch("maniskill", TASK, protocol)
    episodes = run_block(env, Drifting(env), block(batch), (), protocol, Meter())
    env.close()
    return [record(episode) for episode in episodes]


def record(episode: Episode) -> dict[str, Any]:
    return dataclasses.asdict(episode.record)


@pytest.mark.maniskill
def test_a_batch_of_one_plays_what_the_ordinary_environment_plays() -> None:
    assert TASK is not None
    protocol = replace(CARD, batch=1)
    env = ManiSkillEnv("maniskill", TASK, protocol)
    (spec,) = block(1).specs
    single = run_episode(env, Drifting(env), Control(spec), protocol, Meter())
    env.close()
    assert single.record.steps == 20
    np.testing.assert_equal(played(1), [record(single)])


@pytest.mark.maniskill
def test_a_block_on_the_gpu_is_the_same_again() -> None:
    if cuda.problem():
        pytest.skip("needs an NVIDIA GPU")
    first = played(4)
    assert len({episode["state_sha256"] for episode in first}) == 4
    np.testing.assert_equal(played(4), first)


def test_every_row_has_milestones_of_its_own() -> None:
    sim: Any = SimpleNamespace(num_envs=3)
    milestones = Milestones("PickCube-v1", sim)
    milestones.begin()
    held, placed = torch.tensor([True, False, False]), torch.tensor([False, False, True])
    success = [False, False, True]
    milestones.look({"is_grasped": held, "is_obj_placed": held & False}, success)
    looks = milestones.look({"is_grasped": placed, "is_obj_placed": placed}, success)
    assert [score for _, score in looks] == [1 / 3, 0.0, 1.0]
    assert [facts["is_grasped"] for facts, _ in looks] == [False, False, True]
    milestones.begin()
    looks = milestones.look({"is_grasped": placed, "is_obj_placed": held}, [False] * 3)
    assert [score for _, score in looks] == [1 / 3, 0.0, 1 / 3]


def test_without_a_gpu_the_card_is_refused_and_the_doctor_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if cuda.problem() is None:
        pytest.skip("there is a GPU")
    arguments = ["run", "--policy", "zero", "--benchmark", "maniskill_rdt", "--protocol", "rdt-gpu"]
    assert run_eval.main([*arguments, "--out", str(tmp_path / "run")]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "on an NVIDIA GPU only" in shown
    assert "such as rdt" in shown
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="on an NVIDIA GPU only"):
        ManiSkill().make_batch("maniskill_rdt", "PickCube-v1", CARD)
    told = {check.name: check for check in examine()}["maniskill in batches"]
    assert told.problem is None
    assert told.detail.startswith("not here: ")

"""A checkpoint as a policy: its options, its actions, and the same bits with any worker count."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli import main as run_eval
from harness.contracts.environment import Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import Query, check_compatible
from harness.contracts.registry import find_benchmark, make_policy
from harness.contracts.vectors import Layout, Part
from harness.runs.folder import Run
from policies.learned import LearnedPolicy
from policies.vla.checkpoint import contract_of, save
from policies.vla.config import sized
from policies.vla.normalize import Normalization, Scaling
from tests.helpers.vla import CAMERAS, STATE, model, network, normalization, tokenizer

LAYOUT = Layout((Part("arm", STATE, "rad"),))


def observation(seed: int) -> Observation:
    rng = np.random.default_rng(seed)
    return {
        "image": {role: rng.integers(0, 256, (40, 40, 3), dtype=np.uint8) for role in CAMERAS},
        "state": rng.normal(size=STATE).astype(np.float32),
        "instruction": "push the cube to the goal",
    }


def loaded_policy(folder: Path, head: str = "flow", **fields: Any) -> LearnedPolicy:
    vla = model(network(), head)
    contract = contract_of(vla, normalization(), state_layout=LAYOUT, **fields)
    save(folder, vla, tokenizer(vla.config), contract)
    policy = make_policy(f"vla:{folder}")
    assert isinstance(policy, LearnedPolicy)
    policy.load()
    return policy


def test_chunk_depends_only_on_observation_and_stream(tmp_path: Path) -> None:
    policy = loaded_policy(tmp_path)
    observations = [observation(number) for number in range(3)]

    def act(numbers: list[int], streams: list[int]) -> list[np.ndarray]:
        pairs = zip(numbers, map(np.random.default_rng, streams), strict=True)
        return [policy.infer([Query(observations[n], stream)])[0] for n, stream in pairs]

    forward, backward = act([0, 1, 2], [5, 6, 7]), act([2, 1, 0], [7, 6, 5])
    for chunk, again in zip(forward, backward[::-1], strict=True):
        np.testing.assert_array_equal(chunk, again)
    assert not np.allclose(act([0], [5])[0], act([0], [6])[0])
    assert not np.allclose(act([0], [5])[0], act([1], [5])[0])
    assert not policy.batches


def test_evaluations_count_the_forward_passes(tmp_path: Path) -> None:
    policy = loaded_policy(tmp_path)
    for number in range(2):
        policy.infer([Query(observation(number), np.random.default_rng(0))])
    # Each inference runs the prefix once and the flow head ten times.
    assert policy.evaluations == 2 * 11


def test_chunk_is_cut_to_the_replan_length(tmp_path: Path) -> None:
    def infer(policy: LearnedPolicy) -> np.ndarray:
        return policy.infer([Query(observation(0), np.random.default_rng(0))])[0]

    whole = infer(loaded_policy(tmp_path / "a"))
    cut = infer(loaded_policy(tmp_path / "b", replan=2))
    assert (len(whole), len(cut)) == (4, 2)
    np.testing.assert_array_equal(whole[:2], cut)


def test_options_after_a_comma_change_the_checkpoint(tmp_path: Path) -> None:
    """Replan length and decoding steps can change without a new training."""
    loaded_policy(tmp_path)
    short = make_policy(f"vla:{tmp_path},steps=3,replan=2")
    plain = make_policy(f"vla:{tmp_path}")
    assert short.spec.name == plain.spec.name.replace("flow@", "flow,replan=2,steps=3@")
    assert make_policy(f"vla:{tmp_path},replan=2,steps=3").spec == short.spec
    short.load()
    chunk = short.infer([Query(observation(0), np.random.default_rng(0))])[0]
    assert (len(chunk), short.evaluations) == (2, 4)
    for option, message in {
        "steps=0": "steps must be",
        "steps=many": "steps of the head flow must be a whole number",
        "adaptive=true": "adaptive cannot be changed",
        "stpes=3": "unknown option of the head flow",
        "replan=5": "replan must be from 1 to 4",
        "replan=two": "replan must be from 1 to 4",
        "horizon=8": "horizon cannot be changed",
        "steps=3,steps=4": "given twice",
    }.items():
        with pytest.raises(UsageError, match=message):
            make_policy(f"vla:{tmp_path},{option}")
    # Only `load` can find that the weights do not fit an option.
    loaded_policy(tmp_path / "masked", "masked")
    with pytest.raises(UsageError, match="does not fit the model"):
        make_policy(f"vla:{tmp_path / 'masked'},bins=7").load()


def test_constructor_reads_no_weights(tmp_path: Path) -> None:
    name = loaded_policy(tmp_path).spec.name
    (tmp_path / "model.safetensors").unlink()
    policy = LearnedPolicy(str(tmp_path))
    assert policy.spec.name == name
    with pytest.raises(UsageError, match=r"model\.safetensors"):
        policy.load()


@pytest.mark.slow
def test_one_process_and_two_workers_give_the_same_records(tmp_path: Path) -> None:
    """A point's state follows every bit of its actions; `train/test_learning.py` covers images."""
    family = find_benchmark("points_two")
    env = family.make("points_two", "left", family.protocols()["plain"])
    sizes = env.state_layout.size, env.action_layout.size
    config = sized("tiny", cameras=("main",), state_size=sizes[0])
    vla = model(config, "flow", action_size=sizes[1], horizon=5, steps=3)
    scalings = [Scaling((0.0,) * size, (1.0,) * size) for size in sizes]
    layouts = {"state_layout": env.state_layout, "action_layout": env.action_layout}
    folder = tmp_path / "untrained"
    save(folder, vla, tokenizer(config), contract_of(vla, Normalization(*scalings), **layouts))
    check_compatible(LearnedPolicy(str(folder)).spec, env)
    plan = tmp_path / "plan.yaml"
    setup = "{name: points_two, protocol: plain}"
    plan.write_text(f"policies: ['vla:{folder}']\nepisodes: 3\nbenchmarks: [{setup}]\n")
    logs = []
    for workers in ("0", "2"):
        out = tmp_path / workers
        arguments = ["run", "--plan", str(plan), "--out", str(out), "--workers", workers]
        assert run_eval.main(arguments) == 0
        records = Run.existing(out).records()
        # One chunk for every four steps: the prefix once, and three steps of the flow.
        per_chunk = {record.evaluations / -(-record.steps // 4) for record in records.values()}
        assert per_chunk == {1 + 3}
        logs.append([record.deterministic() for _, record in sorted(records.items())])
    assert len(logs[0]) == 6
    assert logs[0] == logs[1]


def test_environment_with_another_layout_is_refused(tmp_path: Path) -> None:
    spec = replace(loaded_policy(tmp_path).spec, cameras=("main",))
    family = find_benchmark("points_two")
    env = family.make("points_two", "left", next(iter(family.protocols().values())))
    with pytest.raises(UsageError, match=r"disagree about the state.*arm\[5\]"):
        check_compatible(spec, env)

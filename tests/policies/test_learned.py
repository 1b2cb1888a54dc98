"""A checkpoint as a policy: what it takes, what it gives, and that it gives the same anywhere."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli import main as run_eval
from harness.contracts.environment import Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import check_compatible
from harness.contracts.registry import find_benchmark, make_policy
from harness.contracts.vectors import Layout, Part
from harness.runs.folder import Run
from policies.learned import LearnedPolicy
from policies.vla.checkpoint import contract_of, save
from policies.vla.config import sized
from policies.vla.normalize import Normalization, Scaling
from tests.helpers.vla import CAMERAS, STATE, model, network, normalization, text

LAYOUT = Layout((Part("arm", STATE, "rad"),))


def observation(seed: int) -> Observation:
    drawn = np.random.default_rng(seed)
    return {
        "image": {role: drawn.integers(0, 256, (40, 40, 3), dtype=np.uint8) for role in CAMERAS},
        "state": drawn.normal(size=STATE).astype(np.float32),
        "instruction": "push the cube to the goal",
    }


def played(folder: Path, head: str = "flow", **more: Any) -> LearnedPolicy:
    vla = model(network(), head)
    contract = contract_of(vla, normalization(), state_layout=LAYOUT, **more)
    save(folder, vla, text(vla.config), contract)
    policy = make_policy(f"vla:{folder}")
    assert isinstance(policy, LearnedPolicy)
    policy.load()
    return policy


def test_an_action_depends_on_its_observation_and_stream_alone(tmp_path: Path) -> None:
    policy = played(tmp_path)
    seen = [observation(number) for number in range(3)]

    def act(numbers: list[int], streams: list[int]) -> list[np.ndarray]:
        drawn = [np.random.default_rng(stream) for stream in streams]
        return [policy.infer([seen[n]], [s])[0] for n, s in zip(numbers, drawn, strict=True)]

    forth, back = act([0, 1, 2], [5, 6, 7]), act([2, 1, 0], [7, 6, 5])
    for one, other in zip(forth, back[::-1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.allclose(act([0], [5])[0], act([0], [6])[0])
    assert not np.allclose(act([0], [5])[0], act([1], [5])[0])
    assert not policy.batches


def test_the_network_s_runs_are_counted(tmp_path: Path) -> None:
    policy = played(tmp_path)
    for number in range(2):
        policy.infer([observation(number)], [np.random.default_rng(0)])
    # One for the prefix and ten for the flow's steps, each time.
    assert policy.evaluations == 2 * 11


def test_a_chunk_is_cut_to_what_is_executed(tmp_path: Path) -> None:
    whole = played(tmp_path / "a").infer([observation(0)], [np.random.default_rng(0)])[0]
    cut = played(tmp_path / "b", replan=2).infer([observation(0)], [np.random.default_rng(0)])[0]
    assert (len(whole), len(cut)) == (4, 2)
    np.testing.assert_array_equal(whole[:2], cut)


def test_options_are_changed_behind_a_comma(tmp_path: Path) -> None:
    """What is executed of a chunk and how often the network runs are not the weights' business."""
    played(tmp_path)
    short = make_policy(f"vla:{tmp_path},steps=3,replan=2")
    plain = make_policy(f"vla:{tmp_path}")
    assert short.spec.name == plain.spec.name.replace("flow@", "flow,replan=2,steps=3@")
    assert make_policy(f"vla:{tmp_path},replan=2,steps=3").spec == short.spec
    short.load()
    chunk = short.infer([observation(0)], [np.random.default_rng(0)])[0]
    assert (len(chunk), short.evaluations) == (2, 4)
    for wrong, said in {
        "steps=0": "steps must be",
        "steps=many": "steps of the head flow must be a whole number",
        "adaptive=true": "adaptive cannot be changed",
        "stpes=3": "unknown option of the head flow",
        "replan=5": "replan must be from 1 to 4",
        "replan=two": "replan must be from 1 to 4",
        "horizon=8": "horizon cannot be changed",
        "steps=3,steps=4": "given twice",
    }.items():
        with pytest.raises(UsageError, match=said):
            make_policy(f"vla:{tmp_path},{wrong}")
    # What the weights cannot do is found when they are read.
    played(tmp_path / "masked", "masked")
    with pytest.raises(UsageError, match="does not fit the model"):
        make_policy(f"vla:{tmp_path / 'masked'},bins=7").load()


def test_building_one_reads_no_weights(tmp_path: Path) -> None:
    name = played(tmp_path).spec.name
    (tmp_path / "model.safetensors").unlink()
    policy = LearnedPolicy(str(tmp_path))
    assert policy.spec.name == name
    with pytest.raises(UsageError, match=r"model\.safetensors"):
        policy.load()


def test_one_process_and_two_workers_give_the_same(tmp_path: Path) -> None:
    """On points, whose states follow every bit of an action; `test_train_learning` has pictures."""
    family = find_benchmark("points_two")
    env = family.make("points_two", "left", family.protocols()["plain"])
    sizes = env.state_layout.size, env.action_layout.size
    config = sized("tiny", cameras=("main",), state_size=sizes[0])
    vla = model(config, "flow", action_size=sizes[1], horizon=5, steps=3)
    scalings = [Scaling((0.0,) * size, (1.0,) * size) for size in sizes]
    layouts = {"state_layout": env.state_layout, "action_layout": env.action_layout}
    folder = tmp_path / "untrained"
    save(folder, vla, text(config), contract_of(vla, Normalization(*scalings), **layouts))
    check_compatible(LearnedPolicy(str(folder)).spec, env)
    plan = tmp_path / "plan.yaml"
    cell = "{name: points_two, protocol: plain}"
    plan.write_text(f"policies: ['vla:{folder}']\nepisodes: 3\nbenchmarks: [{cell}]\n")
    logs = []
    for workers in ("0", "2"):
        out = tmp_path / workers
        told = ["run", "--plan", str(plan), "--out", str(out), "--workers", workers]
        assert run_eval.main(told) == 0
        records = Run.existing(out).records()
        # A chunk is asked for every four steps: the prefix once, and three steps of the flow.
        asked = {record.evaluations / -(-record.steps // 4) for record in records.values()}
        assert asked == {1 + 3}
        logs.append([record.deterministic() for _, record in sorted(records.items())])
    assert len(logs[0]) == 6
    assert logs[0] == logs[1]


def test_an_environment_that_means_something_else_is_refused(tmp_path: Path) -> None:
    spec = replace(played(tmp_path).spec, cameras=("main",))
    family = find_benchmark("points_two")
    env = family.make("points_two", "left", next(iter(family.protocols().values())))
    with pytest.raises(UsageError, match=r"disagree about the state.*arm\[5\]"):
        check_compatible(spec, env)

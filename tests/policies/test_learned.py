"""A checkpoint as a policy: its options, its actions, and the same bits with any worker count."""

import hashlib
import warnings
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
from policies.heads import HEADS
from policies.learned import LearnedPolicy
from policies.vla.checkpoint import Checkpoint, contract_of, save
from policies.vla.config import sized
from policies.vla.normalize import Normalization, Scaling
from tests.helpers.vla import CAMERAS, STATE, model, network, normalization, tokenizer

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.parent for path in (ROOT / "checkpoints/maniskill").glob("*/config.json"))
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


def points_checkpoint(
    tmp_path: Path, head: str, options: dict[str, Any], scale: float = 1.0
) -> Path:
    """Save an untrained checkpoint for the points; `scale` multiplies its output layer."""
    family = find_benchmark("points_two")
    env = family.make("points_two", "left", family.protocols()["plain"])
    sizes = env.state_layout.size, env.action_layout.size
    config = sized("tiny", cameras=("main",), state_size=sizes[0])
    vla = model(config, head, action_size=sizes[1], horizon=5, **options)
    for name, weight in vla.head.named_parameters():
        if name.endswith("out_proj.weight"):
            weight.data *= scale
    scalings = [Scaling((0.0,) * size, (1.0,) * size) for size in sizes]
    layouts = {"state_layout": env.state_layout, "action_layout": env.action_layout}
    folder = tmp_path / "untrained"
    save(folder, vla, tokenizer(config), contract_of(vla, Normalization(*scalings), **layouts))
    check_compatible(LearnedPolicy(str(folder)).spec, env)
    return folder


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


def shipped_queries(policy: LearnedPolicy, count: int) -> list[Query]:
    """Return random observations near the checkpoint's data, each with its own stream."""
    contract = policy._checkpoint.contract
    state = contract.normalization.state
    texts = ("push the cube to the goal", "pick up the red cube, then lift it", "stack")
    queries = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        seen: Observation = {
            "image": {
                role: np.kron(
                    rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8)
                )
                for role in contract.network.cameras
            },
            "state": (state.centre + rng.normal(size=state.size) * state.span).astype(np.float32),
            "instruction": texts[seed % len(texts)],
        }
        queries.append(Query(seen, np.random.default_rng(100 + seed)))
    return queries


def test_every_head_is_shipped() -> None:
    found = {Checkpoint.open(folder).contract.head for folder in SHIPPED}
    assert found == set(HEADS)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_batch_changes_no_more_than_the_last_bits(folder: Path) -> None:
    """Each row draws from its own stream, and padding of prompts changes nothing."""
    policy = LearnedPolicy(str(folder))
    assert policy.batching == "fast"
    policy.load()
    apart, together = shipped_queries(policy, 6), shipped_queries(policy, 6)
    alone = np.stack([policy.infer([query])[0] for query in apart])
    batch = np.stack(policy.infer(together))
    drawn = [[query.stream.bit_generator.state for query in each] for each in (apart, together)]
    assert drawn[0] == drawn[1]
    difference = np.abs(batch - alone)
    if policy._checkpoint.contract.head in ("regression", "flow", "diffusion"):
        assert difference.max() < 1e-4
    else:  # The last bits may decide a tie between tokens, in one answer of about seventy.
        assert (difference < 1e-4).mean() > 0.6
    assert np.abs(alone - alone[0]).max() > 1e-3, "the observations are too much alike"


def test_pictures_of_different_sizes_share_a_batch(tmp_path: Path) -> None:
    policy = loaded_policy(tmp_path)
    seen = [observation(0), observation(1)]
    seen[1]["image"] = {role: np.full((1, 500, 3), 200, np.uint8) for role in CAMERAS}
    alone = [policy.infer([Query(each, np.random.default_rng(3))])[0] for each in seen]
    together = policy.infer([Query(each, np.random.default_rng(3)) for each in seen])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_state_far_from_the_training_data_is_warned_of_once(tmp_path: Path) -> None:
    policy = loaded_policy(tmp_path)
    scaling = policy._checkpoint.contract.normalization.state
    near, far = observation(0), observation(0)
    near["state"] = np.array(scaling.centre, np.float32) + 15 * np.array(scaling.span, np.float32)
    far["state"] = near["state"].copy()
    far["state"][1] = scaling.centre[1] + 57.3 * scaling.span[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy.infer([Query(near, np.random.default_rng(0))])
    with pytest.warns(RuntimeWarning, match=r"number 1 of a state is .* check the state's units"):
        policy.infer([Query(seen, np.random.default_rng(0)) for seen in (near, far)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy.infer([Query(far, np.random.default_rng(0))])


def test_a_state_of_another_size_is_a_mistake_in_the_request(tmp_path: Path) -> None:
    policy = loaded_policy(tmp_path)
    for state in (np.zeros(STATE + 1, np.float32), np.zeros((1, STATE), np.float32)):
        seen = observation(0)
        seen["state"] = state
        with pytest.raises(UsageError, match=rf"states of {STATE} numbers and gets \("):
            policy.infer([Query(each, np.random.default_rng(0)) for each in (observation(0), seen)])


def test_the_files_of_a_policy_are_hashed(tmp_path: Path) -> None:
    policy = loaded_policy(tmp_path)
    assert policy.files == {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()
    }


@pytest.mark.parametrize("head", ["regression", "bins", "e0", "masked"])
def test_an_overflowing_network_is_a_failure_and_not_scored(head: str, tmp_path: Path) -> None:
    """All weights are finite, but the outputs are not."""
    folder = points_checkpoint(tmp_path, head, {}, 3e38)
    out = tmp_path / "run"
    arguments = ["run", "--policy", f"vla:{folder}", "--benchmark", "points_two", "--protocol"]
    run_eval.main([*arguments, "plain", "--episodes", "1", "--out", str(out), "--workers", "0"])
    records = Run.existing(out).records().values()
    assert {(record.outcome, record.reason) for record in records} == {
        ("failure", "policy_nan: the network's outputs are not finite")
    }


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
    folder = points_checkpoint(tmp_path, "flow", {"steps": 3})
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

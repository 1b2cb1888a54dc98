"""Demonstrations as what a policy learns from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.contracts.errors import UsageError
from harness.contracts.vectors import Layout, Part
from harness.demonstrations.dataset import Facts, finish
from harness.demonstrations.parts import write_part
from harness.demonstrations.reader import Demonstrations
from policies.train.data import Corpus, read_corpus
from policies.train.loop import split
from policies.train.run import make_task
from policies.train.settings import Settings
from policies.vla.preparation import as_bytes
from policies.vla.preparation import pictures as prepared
from tests.helpers.demos import ACTION, PIXELS, STATE, TOLD, demonstration, write_demos

SETTINGS = Settings(horizon=4, replan=4, batch=8, size="dummy", held_out=3, relative=2)


def read(*folders: Path, settings: Settings = SETTINGS, memory: float = 1) -> Corpus:
    return read_corpus(folders, settings, PIXELS, memory, folders[0])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demos(tmp_path_factory.mktemp("demos"), range(12))


def test_several_folders_are_one_corpus(data: Path, tmp_path: Path) -> None:
    other = write_demos(tmp_path / "other", range(20, 23), instruction="another thing")
    both, one, two = read(data, other), read(data), read(other)
    assert both.episodes == 15
    assert sorted(both.instructions) == sorted([*TOLD, "another thing"])
    for name in ("state", "chunk", "valid"):
        parts = [getattr(corpus, name) for corpus in (one, two)]
        np.testing.assert_array_equal(getattr(both, name), np.concatenate(parts))
    for row in range(0, len(both), 7):
        corpus, own = (one, row) if row < len(one) else (two, row - len(one))
        told = corpus.instructions[corpus.instruction[own]]
        assert both.instructions[both.instruction[row]] == told
        np.testing.assert_array_equal(both.images["main"][row], corpus.images["main"][own])
    assert len(np.unique(both.episode)) == 15
    assert len({corpus.digest() for corpus in (both, one, two, read(data))}) == 3


@pytest.mark.parametrize(
    ("state", "action", "fps", "message"),
    [
        (Layout((Part("qpos", 3, "degrees"),)), ACTION, 10, "state layout"),
        (STATE, Layout((Part("arm_joints", 3, "absolute, rad"),)), 10, "action layout"),
        (STATE, ACTION, 20, "fps"),
    ],
)
def test_folders_that_mean_different_things_are_refused(
    data: Path, tmp_path: Path, state: Layout, action: Layout, fps: int, message: str
) -> None:
    other = write_demos(tmp_path / "other", range(2), state, action, fps=fps)
    with pytest.raises(UsageError, match=f"differ in their {message}"):
        read(data, other)


def test_pictures_that_do_not_fit_lie_in_a_file_that_goes(data: Path) -> None:
    before = sorted(data.iterdir())
    inside, outside = read(data), read(data, memory=0)
    assert isinstance(outside.images["main"], np.memmap)
    assert not isinstance(inside.images["main"], np.memmap)
    for role in ("main", "wrist"):
        np.testing.assert_array_equal(inside.images[role], outside.images[role])
    assert sorted(data.iterdir()) == before


def test_pictures_are_resized_to_what_the_policy_sees() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), np.uint8)
    kept = as_bytes(images, PIXELS)
    assert kept.shape == (3, PIXELS, PIXELS, 3)
    assert torch.equal(prepared(kept, PIXELS), prepared(images, PIXELS))


def test_whole_demonstrations_of_every_instruction_are_held_out(data: Path) -> None:
    corpus = read(data)
    training, validation = split(corpus, SETTINGS)
    assert sorted([*training, *validation]) == list(range(len(corpus)))
    held = set(corpus.episode[validation].tolist())
    assert held.isdisjoint(corpus.episode[training].tolist())
    told = [corpus.instruction[corpus.episode == episode][0] for episode in held]
    # Six of each instruction, every third.
    assert sorted(told) == [0, 0, 1, 1]
    assert not len(split(corpus, replace(SETTINGS, held_out=0))[1])
    with pytest.raises(UsageError, match="fewer than a batch"):
        split(corpus, replace(SETTINGS, batch=1000))


def test_joint_targets_are_counted_from_where_the_joints_are(data: Path) -> None:
    corpus = read(data)
    task = make_task(corpus, SETTINGS, torch.device("cpu"))
    rows = np.array([0, 25, 50])
    batch = task.samples(rows, None)
    # By hand: the difference, then the quantiles of all such differences that were done.
    moved = corpus.chunk.copy()
    moved[:, :, :2] -= corpus.state[:, None, :2]
    done = moved[task.training][corpus.valid[task.training]]
    low, high = np.quantile(done.astype(np.float64), [0.01, 0.99], axis=0)
    expected = (moved[rows] - low) / (high - low + 1e-6) * 2 - 1
    np.testing.assert_allclose(batch.actions.numpy(), expected, atol=1e-4)
    np.testing.assert_array_equal(batch.valid.numpy(), corpus.valid[rows])
    back = task.normalization.actions(batch.actions.numpy(), corpus.state[rows])
    np.testing.assert_allclose(back, corpus.chunk[rows], atol=1e-5)


def test_eulers_angles_are_counted_the_short_way_round(data: Path) -> None:
    corpus = read(data)
    pose = Layout((Part("position", 1, "m"), Part("turn", 2, "extrinsic xyz Euler angles in rad")))
    chosen = np.arange(len(corpus))
    turning = replace(corpus, action_layout=pose)
    # Only what is counted from the state goes round.
    assert turning.normalization(SETTINGS, chosen).angles == (1,)
    assert corpus.normalization(SETTINGS, chosen).angles == ()


def test_a_hand_that_points_down_has_one_state(data: Path) -> None:
    corpus = read(data)
    pose = Layout((Part("position", 1, "m"), Part("turn", 1, "extrinsic xyz Euler angles in rad")))
    state = corpus.state.copy()
    state[:, 1] = np.where(np.arange(len(state)) % 2, np.pi - 0.01, 0.02 - np.pi)
    down = replace(corpus, state_layout=pose, state=state)
    found = down.normalization(SETTINGS, np.arange(len(state)))
    assert found.state_angles == (1,)
    # What is between the two ways to write it is 0.03 rad, not a whole turn.
    assert found.state.span[1] == pytest.approx(0.015, abs=1e-4)
    np.testing.assert_allclose(found.states(state)[:2, 1], [1, -1], atol=1e-3)


def test_fast_learns_from_no_chunk_that_a_push_cuts_short(tmp_path: Path) -> None:
    corpus = read(write_demos(tmp_path, range(12), pushed=np.array([5])))
    assert set(np.flatnonzero(corpus.cut) % 10) == {3, 4, 5}
    for head, cut in (("fast", 0), ("flow", 24)):
        task = make_task(corpus, replace(SETTINGS, head=head), torch.device("cpu"))
        assert corpus.cut[task.training].sum() == cut
        assert not corpus.cut[task.validation].any() or head == "flow"
    with pytest.raises(UsageError, match="56 samples are fewer than a batch"):
        make_task(corpus, replace(SETTINGS, head="fast", batch=60), torch.device("cpu"))


def test_what_lies_behind_the_end_is_in_no_statistic(data: Path, tmp_path: Path) -> None:
    corpus = read(data)
    task = make_task(corpus, SETTINGS, torch.device("cpu"))
    spoiled = corpus.chunk.copy()
    spoiled[~corpus.valid] = 1e6
    again = make_task(replace(corpus, chunk=spoiled), SETTINGS, torch.device("cpu"))
    assert again.normalization == task.normalization


def test_a_sample_is_what_was_recorded(data: Path) -> None:
    corpus = read(data)
    task = make_task(corpus, SETTINGS, torch.device("cpu"))
    folder = Demonstrations(data)
    row = 47
    shown = folder.episode(int(corpus.episode[row]))
    step = row - int(np.argmax(corpus.episode == corpus.episode[row]))
    seen = task.samples(np.array([row]), None).inputs.images["wrist"][0]
    expected = torch.from_numpy(shown.image["wrist"][step]).permute(2, 0, 1) / 127.5 - 1
    torch.testing.assert_close(seen, expected)
    np.testing.assert_array_equal(corpus.state[row], shown.state[step])
    np.testing.assert_array_equal(corpus.chunk[row, 0], shown.action[step])


def test_training_changes_pictures_and_validation_does_not(data: Path) -> None:
    task = make_task(read(data), SETTINGS, torch.device("cpu"))
    rows = np.arange(8)
    plain, again = (task.samples(rows, None).inputs.images["main"] for _ in range(2))
    drawn = torch.Generator().manual_seed(0)
    changed = task.samples(rows, drawn).inputs.images["main"]
    assert torch.equal(plain, again)
    assert not torch.isclose(plain, changed).all(dim=(1, 2, 3)).any()
    assert -1 <= changed.min() <= changed.max() <= 1


def test_chunks_pass_over_waits(tmp_path: Path) -> None:
    # In each episode steps 2 and 5 are waited at; in the first also at the end.
    path = np.array([0, 1, 2, 2, 2, 3, 4, 4, 5, 6], np.float32) / 10
    for episode, end in ((0, 0.6), (1, 0.7)):
        place = np.append(path, [0.6, end]).astype(np.float32)
        state = np.column_stack([place[:-1], place[:-1], np.zeros(11)]).astype(np.float32)
        action = np.column_stack([place[1:], place[1:], np.zeros(11)]).astype(np.float32)
        shown = demonstration(episode, steps=11, state=state, action=action)
        write_part(tmp_path, shown)
    finish(tmp_path, Facts(STATE, ACTION))
    plain, passed = (read(tmp_path, settings=replace(SETTINGS, idle=idle)) for idle in (0, 0.05))
    np.testing.assert_array_equal(plain.state, passed.state)
    told = (10 * passed.chunk[:, :, 0]).round().tolist()
    assert told[0] == [1, 2, 2, 3]  # It arrives, which changes the state, and goes on.
    assert told[2] == [2, 3, 4, 4]
    assert told[3] == [3, 4, 4, 5]  # What was waited for is behind it.
    assert (10 * plain.chunk[3, :, 0]).round().tolist() == [2, 3, 4, 4]
    assert passed.valid[3].all()
    # At the end the last step that did something is repeated, once as done and else as filling.
    assert passed.valid[10].tolist() == [True, False, False, False]
    assert (passed.chunk[10, :, 0] == passed.chunk[10, 0, 0]).all()
    assert told[11][0] == 1  # Nothing runs over from one into the next.


def test_differences_have_no_waits_to_pass_over(tmp_path: Path) -> None:
    part = Part("arm", 3, "delta, normalised to [-1, 1]")
    folder = write_demos(tmp_path, range(3), action=Layout((part,)))
    with pytest.raises(UsageError, match="--idle 0, since these actions are differences"):
        read(folder, settings=replace(SETTINGS, idle=0.01, relative=0))


def test_mistakes_are_explained(data: Path, tmp_path: Path) -> None:
    bare = write_demos(tmp_path / "bare", range(1), image={}, looked=np.arange(0))
    moves = Layout((Part("move", 3, "delta, m"),))
    deltas = write_demos(tmp_path / "deltas", range(2), action=moves)
    cases = (
        ((), SETTINGS, "--data is missing"),
        ((data,), replace(SETTINGS, cameras=("top",)), "unknown camera in .* 'top'"),
        ((bare,), SETTINGS, "has no pictures; record them with --cameras, or train with --blind"),
    )
    for folders, settings, message in cases:
        with pytest.raises(UsageError, match=message):
            read_corpus(folders, settings, PIXELS, 1, tmp_path)
    with pytest.raises(UsageError, match="is a difference already; use --relative 0"):
        make_task(read(deltas), replace(SETTINGS, held_out=0), torch.device("cpu"))
    with pytest.raises(UsageError, match="an action has 3 numbers and a state 3"):
        make_task(read(data), replace(SETTINGS, relative=4), torch.device("cpu"))


def test_a_blind_corpus_has_every_step_and_no_picture(tmp_path: Path) -> None:
    shown = demonstration(0)
    few = {role: images[:2] for role, images in shown.image.items()}
    data = write_demos(tmp_path, range(3), image=few, looked=np.array([1, 5]))
    assert len(read(data)) == 6
    blind = read(data, settings=replace(SETTINGS, blind=True))
    assert len(blind) == 30
    assert not blind.images


def test_a_round_meets_first_looks_as_often_as_they_count(data: Path) -> None:
    corpus = read(data)
    task = make_task(corpus, replace(SETTINGS, first_looks=3), torch.device("cpu"))
    met = np.bincount(task.one_round, minlength=len(corpus))
    begins = np.unique(corpus.episode, return_index=True)[1]
    first = np.isin(np.arange(len(corpus)), begins)
    learned = np.isin(np.arange(len(corpus)), task.training)
    np.testing.assert_array_equal(met, learned * np.where(first, 3, 1))
    # Statistics are of what was recorded, however often it is met.
    plain = make_task(corpus, SETTINGS, torch.device("cpu"))
    assert task.normalization == plain.normalization
    np.testing.assert_array_equal(plain.one_round, plain.training)

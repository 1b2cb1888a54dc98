"""The training samples of demonstrations, and how they become batches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.contracts.errors import UsageError
from harness.contracts.vectors import Layout, Part
from harness.demonstrations.dataset import Provenance, write_dataset
from harness.demonstrations.reader import Demonstrations
from harness.demonstrations.resize import resize_images
from harness.demonstrations.shards import write_shard
from policies.train.corpus import Corpus, read_corpus
from policies.train.run import make_task
from policies.train.settings import Settings
from policies.train.task import split
from policies.vla.preparation import to_network
from tests.helpers.demos import ACTION, INSTRUCTIONS, PIXELS, STATE, demonstration, write_demos

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
    assert sorted(both.instructions) == sorted([*INSTRUCTIONS, "another thing"])
    for name in ("state", "chunk", "valid"):
        parts = [getattr(corpus, name) for corpus in (one, two)]
        np.testing.assert_array_equal(getattr(both, name), np.concatenate(parts))
    for row in range(0, len(both), 7):
        corpus, own = (one, row) if row < len(one) else (two, row - len(one))
        chunks = corpus.instructions[corpus.instruction[own]]
        assert both.instructions[both.instruction[row]] == chunks
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
def test_folders_with_different_layouts_are_refused(
    data: Path, tmp_path: Path, state: Layout, action: Layout, fps: int, message: str
) -> None:
    other = write_demos(tmp_path / "other", range(2), state, action, fps=fps)
    with pytest.raises(UsageError, match=f"differ in their {message}"):
        read(data, other)


def test_pictures_that_do_not_fit_into_memory_go_to_a_temporary_file(data: Path) -> None:
    before = sorted(data.iterdir())
    inside, outside = read(data), read(data, memory=0)
    assert isinstance(outside.images["main"], np.memmap)
    assert not isinstance(inside.images["main"], np.memmap)
    for role in ("main", "wrist"):
        np.testing.assert_array_equal(inside.images[role], outside.images[role])
    assert sorted(data.iterdir()) == before


def test_pictures_are_resized_as_for_the_network() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), np.uint8)
    kept = resize_images(images, PIXELS)
    assert kept.shape == (3, PIXELS, PIXELS, 3)
    assert torch.equal(to_network(kept, PIXELS), to_network(images, PIXELS))


def test_demonstrations_of_every_instruction_are_held_out(data: Path) -> None:
    corpus = read(data)
    training, validation = split(corpus, SETTINGS)
    assert sorted([*training, *validation]) == list(range(len(corpus)))
    held = set(corpus.episode[validation].tolist())
    assert held.isdisjoint(corpus.episode[training].tolist())
    chunks = [corpus.instruction[corpus.episode == episode][0] for episode in held]
    # Every third of six of each instruction.
    assert sorted(chunks) == [0, 0, 1, 1]
    assert not len(split(corpus, replace(SETTINGS, held_out=0))[1])
    with pytest.raises(UsageError, match="fewer than a batch"):
        split(corpus, replace(SETTINGS, batch=1000))


def test_relative_joint_targets_are_offsets_from_the_joints(data: Path) -> None:
    corpus = read(data)
    task = make_task(corpus, SETTINGS, torch.device("cpu"))
    rows = np.array([0, 25, 50])
    batch = task.batch(rows, None)
    # Compute it here: the offsets, then the quantiles of all valid offsets.
    moved = corpus.chunk.copy()
    moved[:, :, :2] -= corpus.state[:, None, :2]
    done = moved[task.training][corpus.valid[task.training]]
    low, high = np.quantile(done.astype(np.float64), [0.01, 0.99], axis=0)
    expected = (moved[rows] - low) / (high - low + 1e-6) * 2 - 1
    np.testing.assert_allclose(batch.actions.numpy(), expected, atol=1e-4)
    np.testing.assert_array_equal(batch.valid.numpy(), corpus.valid[rows])
    back = task.normalization.actions(batch.actions.numpy(), corpus.state[rows])
    np.testing.assert_allclose(back, corpus.chunk[rows], atol=1e-5)


def test_relative_euler_angles_are_wrapped(data: Path) -> None:
    corpus = read(data)
    pose = Layout((Part("position", 1, "m"), Part("turn", 2, "extrinsic xyz Euler angles in rad")))
    chosen = np.arange(len(corpus))
    wrapped = replace(corpus, action_layout=pose)
    # Only relative numbers are wrapped.
    assert wrapped.normalization(SETTINGS, chosen).angles == (1,)
    assert corpus.normalization(SETTINGS, chosen).angles == ()


def test_state_angles_near_pi_are_wrapped(data: Path) -> None:
    corpus = read(data)
    pose = Layout((Part("position", 1, "m"), Part("turn", 1, "extrinsic xyz Euler angles in rad")))
    state = corpus.state.copy()
    state[:, 1] = np.where(np.arange(len(state)) % 2, np.pi - 0.01, 0.02 - np.pi)
    down = replace(corpus, state_layout=pose, state=state)
    found = down.normalization(SETTINGS, np.arange(len(state)))
    assert found.state_angles == (1,)
    # The angles differ by 0.03 rad, not by a whole turn.
    assert found.state.span[1] == pytest.approx(0.015, abs=1e-4)
    np.testing.assert_allclose(found.states(state)[:2, 1], [1, -1], atol=1e-3)


def test_fast_ignores_chunks_that_a_perturbation_cuts_short(tmp_path: Path) -> None:
    corpus = read(write_demos(tmp_path, range(12), perturbed_steps=np.array([5])))
    assert set(np.flatnonzero(corpus.cut) % 10) == {3, 4, 5}
    for head, cut in (("fast", 0), ("flow", 24)):
        task = make_task(corpus, replace(SETTINGS, head=head), torch.device("cpu"))
        assert corpus.cut[task.training].sum() == cut
        assert not corpus.cut[task.validation].any() or head == "flow"
    with pytest.raises(UsageError, match="56 samples are fewer than a batch"):
        make_task(corpus, replace(SETTINGS, head="fast", batch=60), torch.device("cpu"))


def test_invalid_actions_are_not_in_the_statistics(data: Path, tmp_path: Path) -> None:
    corpus = read(data)
    task = make_task(corpus, SETTINGS, torch.device("cpu"))
    corrupted = corpus.chunk.copy()
    corrupted[~corpus.valid] = 1e6
    again = make_task(replace(corpus, chunk=corrupted), SETTINGS, torch.device("cpu"))
    assert again.normalization == task.normalization


def test_a_sample_equals_the_recorded_step(data: Path) -> None:
    corpus = read(data)
    task = make_task(corpus, SETTINGS, torch.device("cpu"))
    folder = Demonstrations(data)
    row = 47
    recorded = folder.episode(int(corpus.episode[row]))
    step = row - int(np.argmax(corpus.episode == corpus.episode[row]))
    seen = task.batch(np.array([row]), None).inputs.images["wrist"][0]
    expected = torch.from_numpy(recorded.image["wrist"][step]).permute(2, 0, 1) / 127.5 - 1
    torch.testing.assert_close(seen, expected)
    np.testing.assert_array_equal(corpus.state[row], recorded.state[step])
    np.testing.assert_array_equal(corpus.chunk[row, 0], recorded.action[step])


def test_only_training_augments_pictures(data: Path) -> None:
    task = make_task(read(data), SETTINGS, torch.device("cpu"))
    rows = np.arange(8)
    plain, again = (task.batch(rows, None).inputs.images["main"] for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    changed = task.batch(rows, generator).inputs.images["main"]
    assert torch.equal(plain, again)
    assert not torch.isclose(plain, changed).all(dim=(1, 2, 3)).any()
    assert -1 <= changed.min() <= changed.max() <= 1


def test_chunks_skip_idle_steps(tmp_path: Path) -> None:
    # Each episode waits at steps 2 and 5; the first also waits at its end.
    path = np.array([0, 1, 2, 2, 2, 3, 4, 4, 5, 6], np.float32) / 10
    for episode, end in ((0, 0.6), (1, 0.7)):
        place = np.append(path, [0.6, end]).astype(np.float32)
        state = np.column_stack([place[:-1], place[:-1], np.zeros(11)]).astype(np.float32)
        action = np.column_stack([place[1:], place[1:], np.zeros(11)]).astype(np.float32)
        recorded = demonstration(episode, steps=11, state=state, action=action)
        write_shard(tmp_path, recorded)
    write_dataset(tmp_path, Provenance(STATE, ACTION))
    plain, skipped = (read(tmp_path, settings=replace(SETTINGS, idle=idle)) for idle in (0, 0.05))
    np.testing.assert_array_equal(plain.state, skipped.state)
    chunks = (10 * skipped.chunk[:, :, 0]).round().tolist()
    assert chunks[0] == [1, 2, 2, 3]  # Arriving changes the state, so that step stays.
    assert chunks[2] == [2, 3, 4, 4]
    assert chunks[3] == [3, 4, 4, 5]  # The wait is over.
    assert (10 * plain.chunk[3, :, 0]).round().tolist() == [2, 3, 4, 4]
    assert skipped.valid[3].all()
    # At the end, the last step with a change is repeated as padding.
    assert skipped.valid[10].tolist() == [True, False, False, False]
    assert (skipped.chunk[10, :, 0] == skipped.chunk[10, 0, 0]).all()
    assert chunks[11][0] == 1  # Chunks do not continue into the next episode.


def test_differences_cannot_skip_idle_steps(tmp_path: Path) -> None:
    part = Part("arm", 3, "delta, normalised to [-1, 1]")
    folder = write_demos(tmp_path, range(3), action=Layout((part,)))
    with pytest.raises(UsageError, match="use --idle 0: these actions are differences"):
        read(folder, settings=replace(SETTINGS, idle=0.01, relative=0))


def test_mistakes_are_explained(data: Path, tmp_path: Path) -> None:
    bare = write_demos(tmp_path / "bare", range(1), image={}, image_steps=np.arange(0))
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


def test_a_blind_corpus_has_all_steps_and_no_pictures(tmp_path: Path) -> None:
    recorded = demonstration(0)
    few = {role: images[:2] for role, images in recorded.image.items()}
    data = write_demos(tmp_path, range(3), image=few, image_steps=np.array([1, 5]))
    assert len(read(data)) == 6
    blind = read(data, settings=replace(SETTINGS, blind=True))
    assert len(blind) == 30
    assert not blind.images


def test_an_epoch_repeats_first_samples(data: Path) -> None:
    corpus = read(data)
    task = make_task(corpus, replace(SETTINGS, first_looks=3), torch.device("cpu"))
    counts = np.bincount(task.epoch, minlength=len(corpus))
    begins = np.unique(corpus.episode, return_index=True)[1]
    first = np.isin(np.arange(len(corpus)), begins)
    learned = np.isin(np.arange(len(corpus)), task.training)
    np.testing.assert_array_equal(counts, learned * np.where(first, 3, 1))
    # Repetitions do not change the statistics.
    plain = make_task(corpus, SETTINGS, torch.device("cpu"))
    assert task.normalization == plain.normalization
    np.testing.assert_array_equal(plain.epoch, plain.training)

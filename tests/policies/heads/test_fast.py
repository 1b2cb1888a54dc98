"""FAST's tokenizer loses no more than rounding, and survives a checkpoint."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.fft import dct
from tokenizers import Tokenizer

from harness.contracts.errors import UsageError
from policies.heads.configs import FastConfig
from policies.heads.fast import FastHead
from policies.heads.fast_tokenizer import FastTokenizer
from tests.helpers.released_fast import write_released
from tests.helpers.toy_network import ToyNetwork

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4))
CHUNKS = SHAPES.flatmap(
    lambda shape: arrays.arrays(np.float32, shape, elements=st.floats(-1, 1, width=32))
)


def smooth(count: int, seed: int = 0) -> np.ndarray:
    """Return smooth random chunks of 16 actions of 4 numbers, one of them a gripper."""
    random = np.random.default_rng(seed)
    knots = random.normal(size=(count, 5, 4)).cumsum(1)
    times = np.linspace(0, 4, 16)
    low = times.astype(int).clip(max=3)
    share = (times - low)[None, :, None]
    chunks = np.tanh((knots[:, low] * (1 - share) + knots[:, low + 1] * share) / 2)
    chunks[:, :, 3] = np.where(random.random((count, 1)) < 0.5, 1, -1)
    return chunks.astype(np.float32)


@settings(max_examples=60)
@given(CHUNKS, st.sampled_from([1.0, 5.0, 10.0, 30.0]))
def test_a_decoded_chunk_is_within_the_error_bound(chunks: np.ndarray, scale: float) -> None:
    tokens = FastTokenizer.learn(chunks, scale, 1024)
    horizon, action_size = chunks.shape[1:]
    for chunk, encoded in zip(chunks, tokens.encode(chunks), strict=True):
        read = tokens.decode(encoded, horizon, action_size)
        assert read is not None
        assert np.abs(read - chunk).max() <= math.sqrt(horizon) / (2 * scale) + 1e-5


@settings(max_examples=30)
@given(CHUNKS)
def test_a_tokenizer_survives_json(chunks: np.ndarray) -> None:
    tokens = FastTokenizer.learn(chunks, 10.0, 1024)
    again = FastTokenizer.from_text(tokens.to_text())
    assert again.encode(chunks) == tokens.encode(chunks)
    assert again.to_text() == tokens.to_text() == FastTokenizer.learn(chunks, 10.0, 1024).to_text()


def test_new_smooth_chunks_have_few_tokens() -> None:
    tokens = FastTokenizer.learn(smooth(1000), 10.0, 512)
    assert tokens.count == 512
    new = smooth(200, seed=1)
    lengths = [len(encoded) for encoded in tokens.encode(new)]
    assert np.mean(lengths) < new[0].size / 2
    errors = [
        np.abs(tokens.decode(encoded, 16, 4) - chunk).max()
        for encoded, chunk in zip(tokens.encode(new), new, strict=True)
    ]
    assert np.median(errors) <= math.sqrt(16) / 20


def test_unseen_coefficients_are_clipped() -> None:
    tokens = FastTokenizer.learn(
        np.linspace(-0.5, 0.5, 40, dtype=np.float32).reshape(10, 4, 1), 10, 64
    )
    read = tokens.decode(tokens.encode(np.full((1, 4, 1), 9.0, np.float32))[0], 4, 1)
    assert read is not None
    assert 0.4 < read.max() < 1.0


def test_a_too_small_vocabulary_is_refused() -> None:
    with pytest.raises(UsageError, match="do not fit into a vocabulary of 8"):
        FastTokenizer.learn(smooth(10), 10.0, 8)
    with pytest.raises(UsageError, match="there are no chunks"):
        FastTokenizer.learn(np.zeros((0, 4, 2), np.float32), 10.0, 8)


def head(vocabulary: int = 256, **options: float) -> FastHead:
    torch.manual_seed(0)
    config = FastConfig(
        horizon=16, action_size=4, vocabulary=vocabulary, **{"temperature": 1.0, **options}
    )
    return FastHead(config, 16)


def sampled(head: FastHead, rows: Sequence[int]) -> torch.Tensor:
    """Return a head's chunks, each with its own stream."""
    torch.manual_seed(1)
    expert = ToyNetwork(1, 16, False).bind(torch.zeros(len(rows), 1))
    expert._network.places = torch.nn.Parameter(torch.zeros(100, 16))
    with torch.no_grad():
        return head.sample(expert, [np.random.default_rng(row) for row in rows])


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", json.dumps({"scale": 1, "low": 0, "high": 1, "tokenizer": {"a": 1}})]
)
def test_a_damaged_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="FAST tokens cannot be read"):
        head().restore({"fast.json": text})
    with pytest.raises(UsageError, match="not of a FAST head"):
        head().restore({})


def test_a_tokenizer_can_be_restored_but_not_into_a_smaller_head() -> None:
    first, second = head(), head()
    with pytest.raises(UsageError, match="call fit"):
        first.fitted()
    first.fit(smooth(300))
    second.restore(first.fitted())
    assert second.tokenizer.encode(smooth(5)) == first.tokenizer.encode(smooth(5))
    with pytest.raises(UsageError, match="raise it to that"):
        head(vocabulary=100).restore(first.fitted())


def test_undecodable_tokens_give_zeros_and_are_counted() -> None:
    untrained = head()
    untrained.fit(smooth(300))
    chunks = sampled(untrained, range(20))
    assert untrained.broken == int((chunks == 0).all((1, 2)).sum()) > 10
    assert untrained.evaluations <= 65


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_fitting_tokens_always_decode(temperature: float) -> None:
    untrained = head(temperature=temperature, fitting=True)
    untrained.fit(smooth(300))
    chunks = sampled(untrained, range(20))
    assert untrained.broken == 0
    assert (chunks != 0).any((1, 2)).all()
    assert untrained.evaluations <= 64
    for row in (0, 7):
        assert torch.equal(sampled(untrained, [row])[0], chunks[row])


@pytest.mark.slow
def test_fitting_does_not_change_tokens_that_fit_anyway() -> None:
    free, bound = head(temperature=0.0), head(temperature=0.0, fitting=True)
    free.fit(smooth(300))
    bound.restore(free.fitted())
    learned, valid = torch.from_numpy(smooth(1)), torch.ones(1, 16, dtype=torch.bool)
    network, seen = ToyNetwork(1, 16, False), torch.zeros(1, 1)
    weights = [*free.parameters(), *network.parameters()]
    optimizer = torch.optim.Adam(weights, 0.01)
    for _ in range(150):
        optimizer.zero_grad()
        free.loss(network.bind(seen), learned, valid, torch.Generator()).sum().backward()
        optimizer.step()
    bound.load_state_dict(free.state_dict())
    with torch.no_grad():
        chunks = [
            one.sample(network.bind(seen), [np.random.default_rng()]) for one in (free, bound)
        ]
    assert torch.equal(*chunks)
    assert (free.broken, bound.broken) == (0, 0)
    assert (chunks[0] - learned).abs().max() <= math.sqrt(16) / 20
    assert bound.evaluations == free.evaluations - 1, "END is not generated"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tokenizer in the released format, with coarse coefficients."""
    folder = tmp_path_factory.mktemp("fast") / "released"
    write_released(folder, smooth(500), vocabulary=256, scale=4)
    return folder


def test_the_released_tokenizer_agrees_with_its_class(released: Path) -> None:
    config = json.loads((released / "processor_config.json").read_text())
    theirs = Tokenizer.from_file(str(released / "tokenizer.json"))
    tokens, chunks = FastTokenizer.released(released), smooth(50)
    assert tokens.count == theirs.get_vocab_size() == 256
    for chunk, encoded in zip(chunks, tokens.encode(chunks), strict=True):
        places = np.around(dct(chunk, axis=0, norm="ortho") * config["scale"]) - config["min_token"]
        text = "".join(map(chr, places.astype(int).ravel()))
        assert encoded == theirs.encode(text).ids
        assert theirs.decode(encoded) == text
        read = tokens.decode(encoded, 16, 4)
        assert np.abs(read - chunk).max() <= math.sqrt(16) / 8 + 1e-5
    again = FastTokenizer.from_text(tokens.to_text())
    assert again.encode(chunks) == tokens.encode(chunks)


def test_coefficients_without_a_released_token_become_the_nearest(tmp_path: Path) -> None:
    """A coefficient missing from the training data has no token; the class drops it."""
    rare = np.array([[[0.0]], [[1.0]], [[9.0]]] * 5, np.float32)
    write_released(tmp_path / "few", rare, vocabulary=256, scale=1)
    tokens = FastTokenizer.released(tmp_path / "few")
    given = np.array([[[2.0]], [[7.0]], [[-5.0]], [[50.0]]], np.float32)
    assert [float(tokens.decode(one, 1, 1)) for one in tokens.encode(given)] == [1, 9, 0, 9]


def test_mend_pads_or_cuts_tokens(released: Path) -> None:
    tokens, chunk = FastTokenizer.released(released), smooth(1)
    encoded = tokens.encode(chunk)[0]
    assert tokens.decode(encoded[:-1], 16, 4) is None
    assert tokens.decode(encoded + encoded, 16, 4) is None
    short = tokens.decode(encoded[:-1], 16, 4, mend=True)
    lost = dct(short - tokens.decode(encoded, 16, 4), axis=0, norm="ortho").ravel()
    kept = len(Tokenizer.from_file(str(released / "tokenizer.json")).decode(encoded[:-1]))
    assert np.abs(lost[:kept]).max() < 1e-6
    np.testing.assert_array_equal(
        tokens.decode(encoded + encoded, 16, 4, mend=True), tokens.decode(encoded, 16, 4)
    )


def test_bytes_that_are_no_character_do_not_decode(tmp_path: Path) -> None:
    write_released(tmp_path / "wide", smooth(300), vocabulary=1024, scale=30)
    tokens = FastTokenizer.released(tmp_path / "wide")
    theirs = Tokenizer.from_file(str(tmp_path / "wide" / "tokenizer.json"))
    half = theirs.token_to_id("\u00c3")  # The first of two bytes.
    assert theirs.decode([half]) == "\ufffd"
    assert tokens.decode([half], 1, 1, mend=True) is None


@pytest.mark.parametrize("missing", ["processor_config.json", "tokenizer.json"])
def test_a_folder_without_a_released_tokenizer_is_refused(missing: str, tmp_path: Path) -> None:
    write_released(tmp_path / "made", smooth(20), vocabulary=256, scale=4)
    (tmp_path / "made" / missing).write_text("{}")
    with pytest.raises(UsageError, match="physical-intelligence/fast"):
        FastTokenizer.released(tmp_path / "made")
    (tmp_path / "made" / missing).unlink()
    with pytest.raises(UsageError, match="physical-intelligence/fast"):
        FastTokenizer.released(tmp_path / "made")


def test_several_tokens_may_lead() -> None:
    """Generation depends on all leading tokens; training predicts from the last one on."""
    torch.manual_seed(0)
    config = FastConfig(horizon=16, action_size=4, vocabulary=256, leading=3)
    leads = FastHead(config, 16)
    leads.fit(smooth(300))
    assert leads.start.shape == (3, 16)
    network = ToyNetwork(1, 16, False)
    chunks, seen = torch.from_numpy(smooth(4)), torch.zeros(4, 1)
    valid = torch.ones(4, 16, dtype=torch.bool)
    loss = leads.loss(network.bind(seen), chunks, valid, torch.Generator())
    loss.sum().backward()
    assert (leads.start.grad.abs().sum(1) > 0).all()
    # With memory, the probabilities are the same as in one pass.
    end, expert = config.vocabulary, network.bind(seen[:1])
    streams = [np.random.default_rng(0)]
    with torch.no_grad():
        encoded = leads.generate(expert, streams, 5, 0.0, leads.tokenizer.count, end)
        before = torch.cat([leads.start[None], leads.embed(encoded[:, :-1])], dim=1)
        logits = leads.out_proj(network.bind(seen[:1])(before, causal=True))[:, 2:]
    logits[..., leads.tokenizer.count : end] = -torch.inf
    assert logits.argmax(-1).tolist() == encoded.tolist()

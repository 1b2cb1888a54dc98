"""Which heads answer with one of two right chunks, and which mix them.

Every rate is of 300 chunks, and every limit far outside its Wilson interval. The trainings are
short: `perf/joint_consistency.py` measures longer ones.
"""

from typing import Any

import pytest
import torch

from policies.heads import build
from policies.heads.head import Head
from tests.helpers.toy_network import (
    ACTION_SIZE,
    HORIZON,
    Found,
    ToyNetwork,
    answers,
    draw,
    judge,
    train,
)

WIDTH, BINS, CHUNKS = 48, 32, 300
SIZE = {"horizon": HORIZON, "action_size": ACTION_SIZE}


def trained(name: str, options: dict[str, Any], steps: int) -> tuple[Head, ToyNetwork]:
    torch.manual_seed(0)
    head = build(name, SIZE | options, WIDTH)
    network = ToyNetwork(1, WIDTH, head.adaptive)
    train(head, network, steps)
    return head, network


def decoding(head: Head, name: str, options: dict[str, Any]) -> Head:
    """Return a head with the same weights that decodes in another way."""
    other = build(name, SIZE | options, WIDTH)
    other.load_state_dict(head.state_dict())
    other.restore(head.fitted())
    return other


def rate(found: Found) -> float:
    return float(found.consistent.float().mean())


def of_the_first(found: Found) -> float:
    return float(found.positive[found.consistent].float().mean())


@pytest.mark.parametrize(
    ("name", "options", "steps", "least"),
    [
        ("flow", {}, 300, 0.6),
        ("flow", {"adaptive": True}, 300, 0.6),
        ("diffusion", {"predicts": "chunk"}, 300, 0.6),
        ("bins", {"bins": BINS, "temperature": 1.0}, 200, 0.7),
        ("fast", {"vocabulary": 128, "temperature": 1.0}, 200, 0.8),
    ],
)
def test_a_head_with_a_joint_distribution_keeps_both_answers_whole(
    name: str, options: dict[str, Any], steps: int, least: float
) -> None:
    found = judge(*draw(*trained(name, options, steps), CHUNKS))
    assert rate(found) > least
    assert 0.35 < of_the_first(found) < 0.65


def test_regression_lies_between_the_answers() -> None:
    observations, chunks = draw(*trained("regression", {"distance": "mse"}, 100), CHUNKS)
    assert rate(judge(observations, chunks)) == 0
    assert chunks.abs().max() < answers(observations).abs().amax((1, 2)).min()


@pytest.fixture(scope="module")
def masked() -> tuple[Head, ToyNetwork]:
    return trained("masked", {"bins": BINS}, 300)


def test_masked_tokens_need_rounds(masked: tuple[Head, ToyNetwork]) -> None:
    head, network = masked
    rates = []
    for steps in (1, 2, 4, 12):
        decoder = decoding(head, "masked", {"bins": BINS, "steps": steps})
        found = judge(*draw(decoder, network, CHUNKS))
        rates.append(rate(found))
    assert rates[0] < 0.1
    assert rates[0] < rates[1] < rates[2]
    assert rates[3] > 0.6
    assert 0.35 < of_the_first(found) < 0.65


def test_e0_needs_a_loud_signal() -> None:
    head, network = trained("e0", {"bins": BINS}, 400)
    found = judge(*draw(head, network, CHUNKS))
    assert rate(found) > 0.6
    assert 0.35 < of_the_first(found) < 0.65
    quiet = {"bins": BINS, "smoothing": 0.1, "renoise": "fixed", "decode": "argmax"}
    assert rate(judge(*draw(decoding(head, "e0", quiet), network, CHUNKS))) < rate(found) - 0.2


def test_e0_as_the_paper_has_it_does_not_keep_both_answers() -> None:
    papers = {"bins": BINS, "smoothing": 0.1, "decode": "argmax"}
    found = judge(*draw(*trained("e0", papers, 300), CHUNKS))
    assert rate(found) < 0.5

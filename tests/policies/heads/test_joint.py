"""Which heads sample one of two correct chunks, and which mix them.

Every rate is of 300 chunks, and every limit is far outside its Wilson interval. Trainings are
short; `perf/joint_consistency.py` measures longer ones.
"""

from typing import Any

import pytest
import torch

from policies.heads import build
from policies.heads.head import Head
from tests.helpers.toy_network import (
    ACTION_SIZE,
    HORIZON,
    ToyNetwork,
    Verdict,
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
    """Return a head with the same weights and other decoding options."""
    other = build(name, SIZE | options, WIDTH)
    other.load_state_dict(head.state_dict())
    other.restore(head.fitted())
    return other


def consistent_rate(verdict: Verdict) -> float:
    return float(verdict.consistent.float().mean())


def first_answer_rate(verdict: Verdict) -> float:
    return float(verdict.positive[verdict.consistent].float().mean())


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
def test_a_joint_head_samples_both_answers_without_mixing(
    name: str, options: dict[str, Any], steps: int, least: float
) -> None:
    verdict = judge(*draw(*trained(name, options, steps), CHUNKS))
    assert consistent_rate(verdict) > least
    assert 0.35 < first_answer_rate(verdict) < 0.65


def test_regression_predicts_the_mean_of_the_answers() -> None:
    observations, chunks = draw(*trained("regression", {"distance": "mse"}, 100), CHUNKS)
    assert consistent_rate(judge(observations, chunks)) == 0
    assert chunks.abs().max() < answers(observations).abs().amax((1, 2)).min()


@pytest.fixture(scope="module")
def masked() -> tuple[Head, ToyNetwork]:
    return trained("masked", {"bins": BINS}, 300)


@pytest.mark.slow
def test_masked_decoding_needs_several_rounds(masked: tuple[Head, ToyNetwork]) -> None:
    head, network = masked
    rates = []
    for steps in (1, 2, 4, 12):
        decoder = decoding(head, "masked", {"bins": BINS, "steps": steps})
        verdict = judge(*draw(decoder, network, CHUNKS))
        rates.append(consistent_rate(verdict))
    assert rates[0] < 0.1
    assert rates[0] < rates[1] < rates[2]
    assert rates[3] > 0.6
    assert 0.35 < first_answer_rate(verdict) < 0.65


@pytest.mark.slow
def test_e0_needs_a_large_smoothing() -> None:
    head, network = trained("e0", {"bins": BINS}, 400)
    verdict = judge(*draw(head, network, CHUNKS))
    assert consistent_rate(verdict) > 0.6
    assert 0.35 < first_answer_rate(verdict) < 0.65
    quiet = {"bins": BINS, "smoothing": 0.1, "renoise": "fixed", "decode": "argmax"}
    assert (
        consistent_rate(judge(*draw(decoding(head, "e0", quiet), network, CHUNKS)))
        < consistent_rate(verdict) - 0.2
    )


@pytest.mark.slow
def test_e0_with_the_paper_s_options_mixes_the_answers() -> None:
    papers = {"bins": BINS, "smoothing": 0.1, "decode": "argmax"}
    verdict = judge(*draw(*trained("e0", papers, 300), CHUNKS))
    assert consistent_rate(verdict) < 0.5

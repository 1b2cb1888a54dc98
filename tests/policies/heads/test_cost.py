"""`perf/heads.py` compares the same work: caching does not change a chunk."""

import pytest
import torch

from perf.heads import CASES, FastFit, fit_fast, make_model, measure, workloads

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def fast() -> FastFit:
    return fit_fast()


@pytest.mark.parametrize("case", CASES)
def test_without_a_cached_prefix_the_chunk_is_the_same(case: str, fast: FastFit) -> None:
    model = make_model(case, "dummy", CPU, False, fast)
    todo = workloads(model, CPU)
    chunk, evaluations = todo["chunk"](), model.head.evaluations
    assert torch.equal(chunk, todo["uncached"]())  # type: ignore[arg-type]
    assert model.head.evaluations == 2 * evaluations
    if case == "fast":
        assert evaluations == fast.length < model.head.config.length


def test_the_measured_times_add_up(fast: FastFit) -> None:
    found = measure("regression", "dummy", CPU, False, fast, turns=1)
    assert found["evaluations"] == 1
    chunk, prefix = (found["ms"][name][0] for name in ("chunk", "prefix"))
    assert found["ms_an_evaluation"] == pytest.approx(chunk - prefix, abs=0.02)
    assert found["prefix_share"][0] == pytest.approx(prefix / chunk, abs=0.02)
    weights = found["weights"] + found["head_weights"]
    assert found["weights_mib"] == pytest.approx(4 * weights / 2**20, abs=0.06)

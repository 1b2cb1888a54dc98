"""Heads are built from JSON options; wrong options give a clear error."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from harness.contracts.errors import UsageError
from policies.heads import HEADS, build

SIZE = {"horizon": 4, "action_size": 2}


@pytest.mark.parametrize("name", HEADS)
def test_a_configuration_survives_json(name: str) -> None:
    config = build(name, SIZE, 16).config
    again = build(name, json.loads(json.dumps(asdict(config))), 16)
    assert again.config == config


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("flwo", SIZE, "did you mean flow"),
        ("flow", SIZE | {"stepz": 10}, "did you mean steps"),
        ("flow", {"horizon": 4}, "needs the option action_size"),
        ("flow", SIZE | {"horizon": 0}, "horizon must be from 1 to 10000, not 0"),
        ("flow", SIZE | {"steps": "10"}, "steps of the head flow must be a whole number, not '10'"),
        ("flow", SIZE | {"steps": True}, "must be a whole number"),
        ("flow", SIZE | {"steps": 0}, "steps must be from 1 to 10000"),
        ("flow", SIZE | {"adaptive": 1}, "must be true or false"),
        ("flow", SIZE | {"time_shape": 0}, "time_shape must be at least"),
        ("e0", SIZE | {"decode": "beam"}, "must be 'sample' or 'argmax', not 'beam'"),
        ("e0", SIZE | {"bins": 1}, "bins must be from 2 to"),
        ("e0", SIZE | {"smoothing": float("nan")}, "smoothing must be"),
        ("e0-hybrid", SIZE | {"smoothing": 0}, "smoothing must be"),
        ("masked", SIZE | {"remask": 2}, "remask must be from 0 to 1, not 2"),
        ("masked", SIZE | {"temperature": -1}, "temperature must be"),
        ("bins", SIZE | {"temperature": -1}, "temperature must be"),
        ("fast", SIZE | {"scale": 0}, "scale must be"),
        ("diffusion", SIZE | {"steps": 11, "levels": 10}, "steps must be from 1 to 10"),
        ("regression", SIZE | {"distance": "l2"}, "must be 'l1'"),
    ],
)
def test_a_wrong_option_is_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(name, options, 16)


def test_a_time_embedding_needs_an_even_width() -> None:
    with pytest.raises(UsageError, match="must be even"):
        build("flow", SIZE, 15)


def test_only_adaptive_heads_need_a_condition() -> None:
    assert build("flow", SIZE | {"adaptive": True}, 16).adaptive
    assert not build("flow", SIZE, 16).adaptive
    assert not build("bins", SIZE, 16).adaptive


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_flow_head_has_openpi_s_weight_names(adaptive: bool) -> None:
    time = "time_mlp" if adaptive else "action_time_mlp"
    modules = ["action_in_proj", "action_out_proj", f"{time}_in", f"{time}_out"]
    expected = {f"{module}.{kind}" for module in modules for kind in ("weight", "bias")}
    assert set(build("flow", SIZE | {"adaptive": adaptive}, 16).state_dict()) == expected

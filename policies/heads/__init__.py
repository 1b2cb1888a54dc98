"""Action heads: how the network represents, learns and samples actions. One file a head.

Their options are in `configs.py`, because a plan is checked without PyTorch.
"""

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from harness.contracts.errors import UsageError, require_known
from policies.heads.configs import (
    BinsConfig,
    DiffusionConfig,
    E0Config,
    E0HybridConfig,
    FastConfig,
    FlowConfig,
    HeadConfig,
    MaskedConfig,
    RegressionConfig,
)

if TYPE_CHECKING:
    from policies.heads.head import Head

HEADS: dict[str, tuple[type[HeadConfig], str]] = {
    "bins": (BinsConfig, "policies.heads.bins:BinsHead"),
    "diffusion": (DiffusionConfig, "policies.heads.diffusion:DiffusionHead"),
    "e0": (E0Config, "policies.heads.e0:E0Head"),
    "e0-hybrid": (E0HybridConfig, "policies.heads.e0_hybrid:E0HybridHead"),
    "fast": (FastConfig, "policies.heads.fast:FastHead"),
    "flow": (FlowConfig, "policies.heads.flow:FlowHead"),
    "masked": (MaskedConfig, "policies.heads.masked:MaskedHead"),
    "regression": (RegressionConfig, "policies.heads.regression:RegressionHead"),
}
"""The options of each head, and its class as ``module:Class``."""


def head_config(name: str, options: Mapping[str, Any]) -> HeadConfig:
    """Return the configuration of a head.

    Args:
        name: A key of HEADS.
        options: Its fields, as JSON gives them.

    Raises:
        UsageError: The head or an option does not exist, or a value has the wrong type or range.
    """
    require_known("action head", name, HEADS)
    config = HEADS[name][0]
    hints = get_type_hints(config)
    for option, value in options.items():
        require_known(
            f"option of the head {name}", option, (field.name for field in fields(config))
        )
        _require_type(f"{option} of the head {name}", value, hints[option])
    for field in fields(config):
        if field.name not in options and field.name in ("horizon", "action_size"):
            raise UsageError(f"the head {name} needs the option {field.name}")
    return config(**options)


def build(name: str, options: Mapping[str, Any], width: int) -> "Head":
    """Return a new head.

    Args:
        name: A key of HEADS.
        options: The fields of its configuration, as JSON gives them.
        width: Token width of the action expert.

    Raises:
        UsageError: The head or an option does not exist, or a value has the wrong type or range.
    """
    config = head_config(name, options)
    module, _, made = HEADS[name][1].partition(":")
    head: Head = getattr(import_module(module), made)(config, width)
    return head


def _require_type(label: str, value: object, hint: Any) -> None:
    if get_origin(hint) is Literal:
        known = get_args(hint)
        fits, wanted = value in known, " or ".join(map(repr, known))
    else:
        accepted = (int, float) if hint is float else (hint,)
        fits, wanted = (
            type(value) in accepted,
            {int: "a whole number", float: "a number"}.get(hint, "true or false"),
        )
    if not fits:
        raise UsageError(f"{label} must be {wanted}, not {value!r}")

"""Recipes: files that list policies to train, their data, and which starts from which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.contracts.errors import UsageError, require_known
from harness.contracts.registry import SAFE_NAME
from policies.heads import HEADS
from policies.train.settings import Settings, load_settings, names_in, override, read_mapping

_RECIPES = Path(__file__).parent / "recipes"
_BACKBONE, _BLIND = "backbone", "blind"


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of a recipe.

    Attributes:
        out: The checkpoint's folder.
        data: Folders with demonstrations.
        init: The checkpoint to start from; None for random weights.
        settings: How to train.
    """

    out: Path
    data: tuple[Path, ...]
    init: Path | None
    settings: Settings


def recipe_names() -> list[str]:
    """Return the names of the included recipes."""
    return names_in(_RECIPES)


def load_recipe(name: str, out: Path, only: Sequence[str] = ()) -> list[Training]:
    """Read an included recipe by name, or a YAML file by path.

    For each policy, the recipe trains a backbone, then a checkpoint of every head, which starts
    from the backbone, and a blind policy.

    Args:
        name: The recipe.
        out: The folder of all checkpoints: ``out/POLICY/HEAD``.
        only: Train only these, each as POLICY or POLICY/HEAD; empty for all.

    Raises:
        UsageError: The recipe cannot be read, or has unknown names.
    """
    content, path = read_mapping(name, _RECIPES, "recipe")
    for part in content:
        require_known(f"part of {path}", part, ("config", _BACKBONE, "heads", _BLIND, "policies"))
    policies = content.get("policies")
    if not isinstance(policies, Mapping) or not policies:
        raise UsageError(f"{path}: policies must hold at least one policy by its name")
    trainings: dict[str, Training] = {}
    for policy, description in policies.items():
        if not isinstance(policy, str) or not SAFE_NAME.fullmatch(policy):
            raise UsageError(f"{path}: {policy!r} cannot be a name; use letters and digits")
        parts = _policy_trainings(content, description, out / policy, path)
        trainings |= {f"{policy}/{part}": training for part, training in parts.items()}
    for wanted in only:
        require_known("training in the recipe", wanted, [*policies, *trainings])
    return [
        training
        for name, training in trainings.items()
        if not only or name in only or name.partition("/")[0] in only
    ]


def _policy_trainings(
    content: Mapping[str, Any], policy: Any, folder: Path, path: Path
) -> dict[str, Training]:
    """Return the trainings of a policy: the backbone, each head and the blind one."""
    where = f"{path}: {folder.name}"
    if not isinstance(policy, Mapping) or not isinstance(policy.get("data"), list):
        raise UsageError(f"{where} must hold data: a list of folders with demonstrations")
    for key in policy:
        require_known(f"setting of {where}", key, ("data", "settings"))
    shared = override(
        load_settings(str(content.get("config", "tiny"))), policy.get("settings", {}), path
    )
    data = tuple(Path(str(one)) for one in policy["data"])

    def training(part: str, stage: str, init: Path | None = None, **fixed: Any) -> Training:
        settings = replace(override(shared, content.get(stage, {}), path), **fixed)
        return Training(out=folder / part, data=data, init=init, settings=settings)

    heads = {head: training(head, "heads", folder / _BACKBONE, head=head) for head in HEADS}
    return {
        _BACKBONE: training(_BACKBONE, _BACKBONE),
        **heads,
        _BLIND: training(_BLIND, _BLIND, blind=True),
    }

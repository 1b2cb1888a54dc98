"""A recipe: a file that says which policies to train, from which data, one from another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.contracts.errors import UsageError, require_known
from harness.contracts.registry import SAFE_NAME
from policies.heads import HEADS
from policies.train.settings import Settings, changed, load_settings, names_in, read_mapping

RECIPES = Path(__file__).parent / "recipes"
TRUNK, BLIND = "trunk", "blind"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One training.

    Attributes:
        out: The checkpoint's folder.
        data: Folders with demonstrations.
        init: The checkpoint that it starts from; None starts from nothing.
        settings: How to train.
    """

    out: Path
    data: tuple[Path, ...]
    init: Path | None
    settings: Settings


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return names_in(RECIPES)


def load_recipe(name: str, out: Path, only: Sequence[str] = ()) -> list[Entry]:
    """Read a recipe from a YAML file of that path, or ours of that name.

    Each policy in it is a trunk, which is trained first, one policy of every head, which starts
    from the trunk, and a blind control.

    Args:
        name: Of the recipe.
        out: The folder of all checkpoints: ``out/POLICY/HEAD``.
        only: What to train of it, as POLICY or POLICY/HEAD; nothing for all.

    Raises:
        UsageError: It cannot be read, or says something that is not known.
    """
    content, path = read_mapping(name, RECIPES, "recipe")
    for part in content:
        require_known(f"part of {path}", part, ("config", TRUNK, "heads", BLIND, "policies"))
    policies = content.get("policies")
    if not isinstance(policies, Mapping) or not policies:
        raise UsageError(f"{path}: policies must hold at least one policy by its name")
    entries: dict[str, Entry] = {}
    for policy, told in policies.items():
        if not isinstance(policy, str) or not SAFE_NAME.fullmatch(policy):
            raise UsageError(f"{path}: {policy!r} cannot be a name; use letters and digits")
        entries |= {
            f"{policy}/{part}": entry
            for part, entry in _parts(content, told, out / policy, path).items()
        }
    for wanted in only:
        require_known("training in the recipe", wanted, [*policies, *entries])
    return [
        entry
        for name, entry in entries.items()
        if not only or name in only or name.partition("/")[0] in only
    ]


def _parts(content: Mapping[str, Any], told: Any, folder: Path, path: Path) -> dict[str, Entry]:
    """Return a policy's trainings: the trunk, each head and the control."""
    where = f"{path}: {folder.name}"
    if not isinstance(told, Mapping) or not isinstance(told.get("data"), list):
        raise UsageError(f"{where} must hold data: a list of folders with demonstrations")
    for key in told:
        require_known(f"setting of {where}", key, ("data", "settings"))
    shared = changed(
        load_settings(str(content.get("config", "tiny"))), told.get("settings", {}), path
    )
    data = tuple(Path(str(one)) for one in told["data"])

    def entry(part: str, stage: str, init: Path | None = None, **fixed: Any) -> Entry:
        settings = replace(changed(shared, content.get(stage, {}), path), **fixed)
        return Entry(out=folder / part, data=data, init=init, settings=settings)

    heads = {head: entry(head, "heads", folder / TRUNK, head=head) for head in HEADS}
    return {TRUNK: entry(TRUNK, TRUNK), **heads, BLIND: entry(BLIND, BLIND, blind=True)}

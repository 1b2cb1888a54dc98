"""Reads ManiSkill's tasks from its source files, without importing ManiSkill.

Importing ManiSkill loads torch and SAPIEN. That takes seconds in every process that lists tasks.
"""

import ast
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.suites import installed_versions

SIMULATOR_PACKAGES = ("mani_skill", "sapien")
RDT_TASKS = (
    "PegInsertionSide-v1",
    "PickCube-v1",
    "StackCube-v1",
    "PlugCharger-v1",
    "PushCube-v1",
)
"""The five tasks of RDT-1B's and E0's tables, in the tables' order."""
_UNSCORED_PATTERN = re.compile(
    r"MS-|AnymalC-Spin|UnitreeG1Stand|UnitreeH1Stand|.*SceneManipulation"
)
_UNSCORED_TASKS = ("CustomEnv-v1", "Empty-v1", "TableTopFreeDraw-v1", "RoboCasaKitchen-v1")
"""These tasks have no success condition, so there is nothing to score."""


@dataclass(frozen=True)
class TaskFacts:
    """A task as ManiSkill's source files define it.

    Attributes:
        name: The id that it is registered under.
        description: The first sentence of its documentation, or else the words of its id.
        max_steps: The registered step limit.
        assets: The ids of the assets that must be downloaded before it can run.
    """

    name: str
    description: str
    max_steps: int
    assets: tuple[str, ...]


@cache
def tasks() -> dict[str, TaskFacts]:
    """Return every task with a success condition, by its id."""
    spec = importlib.util.find_spec("mani_skill")
    if spec is None or spec.origin is None:
        return {}
    found = {
        task.name: task
        for path in sorted((Path(spec.origin).parent / "envs").rglob("*.py"))
        for task in _registered(path.read_text())
    }
    return {name: found[name] for name in sorted(found) if _is_scored(name)}


@cache
def versions() -> dict[str, str]:
    """Return the installed versions of ManiSkill and SAPIEN."""
    return installed_versions(SIMULATOR_PACKAGES)


def _is_scored(name: str) -> bool:
    return name not in _UNSCORED_TASKS and not _UNSCORED_PATTERN.match(name)


def _registered(source: str) -> Iterator[TaskFacts]:
    if "@register_env(" not in source:
        return
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "register_env":
                name = ast.literal_eval(call.args[0])
                given = {k.arg: k.value for k in call.keywords}
                yield TaskFacts(
                    name,
                    _first_sentence(ast.get_docstring(node) or "") or _words_of(name),
                    int(ast.literal_eval(given["max_episode_steps"])),
                    tuple(ast.literal_eval(given["asset_download_ids"]))
                    if "asset_download_ids" in given
                    else (),
                )


def _first_sentence(text: str) -> str:
    """Return the first sentence of a task's documentation, without markup."""
    text = re.sub(r"\*\*Task Description:?\*\*:?|^Task Description\s*-+", "", text.strip())
    text = text.strip().split("\n\n")[0].split("**")[0]
    text = " ".join(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).split()).lstrip("- ")
    return re.split(r"(?<=[.])\s", text, maxsplit=1)[0]


def _words_of(name: str) -> str:
    """Turn ``PickCube-v1`` into ``pick cube``."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|\d+", name.rpartition("-")[0])
    return " ".join(words).lower()

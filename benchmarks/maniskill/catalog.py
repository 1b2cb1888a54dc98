"""Reads ManiSkill's tasks from its source files, without importing ManiSkill.

Importing it pulls in torch and SAPIEN and takes seconds, also for who evaluates something else.
"""

import ast
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SIMULATOR_PACKAGES = ("mani_skill", "sapien")
RDT_TASKS = (
    "PegInsertionSide-v1",
    "PickCube-v1",
    "StackCube-v1",
    "PlugCharger-v1",
    "PushCube-v1",
)
"""The five tasks of RDT-1B's and E0's tables, in their order."""
NOT_SCORED = re.compile(r"MS-|AnymalC-Spin|UnitreeG1Stand|UnitreeH1Stand|.*SceneManipulation")
UNSCORED_TASKS = ("CustomEnv-v1", "Empty-v1", "TableTopFreeDraw-v1", "RoboCasaKitchen-v1")
"""They have a reward at most, and no condition of success that could be scored."""


@dataclass(frozen=True)
class TaskFacts:
    """What ManiSkill's source says of a task.

    Attributes:
        name: The id that it is registered under.
        description: The first sentence of its documentation, or what the id spells.
        max_steps: The registered step limit.
        assets: What has to be downloaded before it can run.
    """

    name: str
    description: str
    max_steps: int
    assets: tuple[str, ...]


@cache
def tasks() -> dict[str, TaskFacts]:
    """Return every task with a condition of success by its id."""
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
    """Return the versions of ManiSkill and of what simulates it."""
    found = {}
    for name in SIMULATOR_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _is_scored(name: str) -> bool:
    return name not in UNSCORED_TASKS and not NOT_SCORED.match(name)


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
                    _first_sentence(ast.get_docstring(node) or "") or _spelt(name),
                    int(ast.literal_eval(given["max_episode_steps"])),
                    tuple(ast.literal_eval(given["asset_download_ids"]))
                    if "asset_download_ids" in given
                    else (),
                )


def _first_sentence(text: str) -> str:
    """Return what a task's documentation says first, as an instruction could say it."""
    text = re.sub(r"\*\*Task Description:?\*\*:?|^Task Description\s*-+", "", text.strip())
    text = text.strip().split("\n\n")[0].split("**")[0]
    text = " ".join(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).split()).lstrip("- ")
    return re.split(r"(?<=[.])\s", text, maxsplit=1)[0]


def _spelt(name: str) -> str:
    """Turn ``PickCube-v1`` into ``pick cube``."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|\d+", name.rpartition("-")[0])
    return " ".join(words).lower()

"""Reads ManiSkill's tasks from its source files, without importing ManiSkill.

Importing ManiSkill loads torch and SAPIEN. That takes seconds in every process that lists tasks.
"""

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
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
_CAMERA_ARGUMENTS = ("uid", "pose", "width", "height")
"""The first arguments of ManiSkill's `CameraConfig`."""


Sizes = Mapping[str, tuple[int, int]]
"""Height and width of cameras by name."""


@dataclass(frozen=True)
class TaskFacts:
    """A task as ManiSkill's source files define it.

    Attributes:
        name: The id that it is registered under.
        description: The first sentence of its documentation, or else the words of its id.
        max_steps: The registered step limit.
        assets: The ids of the assets that must be downloaded before it can run.
        robot: ManiSkill's name of its robot; empty if its files do not say so plainly.
        cameras: The height and width of its sensor cameras and of its human render cameras, by
            name; None if its files do not say so plainly.
    """

    name: str
    description: str
    max_steps: int
    assets: tuple[str, ...]
    robot: str = ""
    cameras: tuple[Sizes, Sizes] | None = None


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
                    _robot(node) if "robot_uids" not in given else "",
                    _cameras(node),
                )


def _robot(task: ast.ClassDef) -> str:
    """Return the default of the argument `robot_uids` of a task's constructor, or nothing."""
    constructor = _method(task, "__init__")
    if constructor is None:
        return ""
    given = constructor.args
    defaults: dict[str, ast.expr | None] = {}
    for arguments, values in (
        (given.args[len(given.args) - len(given.defaults) :], given.defaults),
        (given.kwonlyargs, given.kw_defaults),
    ):
        defaults |= {each.arg: value for each, value in zip(arguments, values, strict=True)}
    default = defaults.get("robot_uids")
    if isinstance(default, ast.Constant) and isinstance(default.value, str):
        return default.value
    return ""


def _cameras(task: ast.ClassDef) -> tuple[Sizes, Sizes] | None:
    """Return the sizes of a task's sensor cameras and human render cameras, if all are literal."""
    kinds = ("_default_sensor_configs", "_default_human_render_camera_configs")
    found = [_camera_sizes(_method(task, kind)) for kind in kinds]
    sensors, renders = found
    return None if sensors is None or renders is None else (sensors, renders)


def _camera_sizes(method: ast.FunctionDef | None) -> Sizes | None:
    """Return the cameras that a method without branches returns; None for any other method."""
    if method is None:
        return None
    *before, last = method.body
    if not all(isinstance(line, ast.Assign | ast.Expr) for line in before):
        return None
    if not isinstance(last, ast.Return):
        return None
    listed = last.value.elts if isinstance(last.value, ast.List) else [last.value]
    sizes = {}
    for each in listed:
        if not (isinstance(each, ast.Call) and getattr(each.func, "id", "") == "CameraConfig"):
            return None
        given = dict(zip(_CAMERA_ARGUMENTS, each.args, strict=False))
        given |= {keyword.arg or "": keyword.value for keyword in each.keywords}
        values = [given.get(name) for name in ("uid", "height", "width")]
        if not all(isinstance(value, ast.Constant) for value in values):
            return None
        uid, height, width = (ast.literal_eval(value) for value in values if value)
        sizes[str(uid)] = int(height), int(width)
    return sizes


def _method(task: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    """Return a method that the class itself defines."""
    methods = (node for node in task.body if isinstance(node, ast.FunctionDef))
    return next((method for method in methods if method.name == name), None)


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

"""The settings of a training: everything that changes the policy, except its data."""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from harness.contracts.errors import UsageError, require_known
from harness.contracts.yaml_files import parse_yaml, read_yaml
from policies.augment.pictures import Augmentation
from policies.vla.config import Acting, State
from policies.vla.normalize import Kind

CONFIGS = Path(__file__).parent / "configs"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that changes the policy; from a YAML file and the command line."""

    head: str = "flow"
    """The action head, e.g. regression, flow or e0; see docs/heads.md."""
    options: tuple[str, ...] = ()
    """The head's options as NAME=VALUE, e.g. steps=10."""
    size: str = "tiny"
    """Size of the network: tiny, small, dummy or paligemma."""
    state: State = "token"
    """How the state enters: as a token (pi0), as text in the prompt (pi0.5), or not at all."""
    acting: Acting = "expert"
    """The stack that processes action tokens: the expert's, or the language stack (pi0-FAST)."""
    cameras: tuple[str, ...] = ()
    """Roles of the cameras to use; default: all cameras of the data."""
    columns: tuple[str, ...] = ()
    """The data's names of `state`, `action` and the cameras, as NAME=COLUMN, if they are not
    LeRobot's: state=state action=actions main=image wrist=wrist_image."""
    blind: bool = False
    """Use no camera: a baseline that shows whether a benchmark needs vision."""
    frozen: bool = False
    """Train only the head and the action expert, from --init. The image encoder and the language
    stack run once for each sample, without augmentation, so a step takes a fraction of the time."""
    first_looks: int = 1
    """How often an epoch contains the first sample of a demonstration; the others count once. In
    first samples only pictures and words show the goal; later the arm's pose shows it, too."""
    horizon: int = 16
    """Actions in a chunk."""
    replan: int = 8
    """Actions to execute before the next observation."""
    relative: int = 0
    """How many of an action's first numbers become offsets from the state's first numbers: joint
    targets become relative to the joints at the start of the chunk."""
    idle: float = 0.0
    """Chunks skip steps in which no number of state or action changes by more than this. A policy
    without memory cannot learn how long to wait. For joint targets only; 0 skips none."""
    normalization: Kind = "quantile"
    """Scale the 1st and 99th percentile to -1 and 1, or mean and deviation to 0 and 1."""
    floor: float = 0.0
    """The smallest divisor in normalisation, for numbers that hardly change."""
    steps: int = 3000
    """Updates of the weights."""
    batch: int = 32
    """Samples in an update."""
    accumulate: int = 1
    """Number of parts of a batch, which go through the network one by one to save memory."""
    learning_rate: float = 1e-3
    """The highest learning rate, after the warm-up."""
    final_learning_rate: float = 1e-5
    """The learning rate at the end of the cosine."""
    warmup: int = 100
    """Updates in which the learning rate rises from almost 0."""
    weight_decay: float = 1e-4
    """AdamW's weight decay, of matrices only."""
    beta2: float = 0.95
    """AdamW's decay of the second moment."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.99
    """Decay of the moving average of the weights, which becomes the policy; 0 for no average."""
    held_out: int = 12
    """Hold out every n-th demonstration for validation; 0 for none."""
    stored: Literal["float32", "float16"] = "float32"
    """Type of the stored weights. float16 halves the file; computation is in float32 either way."""
    seed: int = 0
    """Of the first weights, the order of the samples, and all noise."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """Of the pictures."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: A value is out of its range.
        """
        for name, value in asdict(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"{_flag(name)} must be a finite number, got {value}")
        least = dict.fromkeys(
            ("first_looks", "horizon", "replan", "steps", "batch", "accumulate"), 1
        )
        least |= dict.fromkeys(
            ("relative", "idle", "floor", "warmup", "weight_decay", "held_out"), 0
        )
        for name, low in least.items():
            if getattr(self, name) < low:
                raise UsageError(f"{_flag(name)} must be at least {low}, got {getattr(self, name)}")
        for name in ("learning_rate", "final_learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{_flag(name)} must be more than 0, got {getattr(self, name)}")
        for name in ("ema", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{_flag(name)} must be at least 0 and less than 1")
        if self.batch % self.accumulate:
            raise UsageError(
                f"--batch {self.batch} has no {self.accumulate} equal parts (--accumulate)"
            )
        if self.replan > self.horizon:
            raise UsageError(
                f"--replan {self.replan} is more than the {self.horizon} actions of a chunk"
            )
        if self.held_out == 1:
            raise UsageError("--held-out 1 leaves nothing to train from; 0 holds nothing out")
        if self.frozen and self.acting == "language":
            raise UsageError("--frozen leaves nothing to train with --acting language")
        if self.blind and self.cameras:
            raise UsageError("a blind policy has no camera; leave out --blind or --cameras")

    @property
    def head_options(self) -> dict[str, Any]:
        """The head's options by name; values are YAML.

        Raises:
            UsageError: An option is not NAME=VALUE.
        """
        options = {}
        for option in self.options:
            name, equals, value = option.partition("=")
            if not equals:
                raise UsageError(f"--options {option!r} is not NAME=VALUE")
            try:
                options[name] = parse_yaml(value)
            except ValueError as error:
                raise UsageError(f"--options {option!r:.80}: {error}") from error
        return options

    def as_json(self) -> dict[str, Any]:
        """Return JSON values, to be kept with the checkpoint."""
        written = asdict(self) | {"cameras": list(self.cameras), "options": list(self.options)}
        columns = written.pop("columns")
        return written | ({"columns": list(columns)} if columns else {})


def _flag(name: str) -> str:
    """Return a setting as a command line option."""
    return "--" + name.replace("_", "-")


def config_names() -> list[str]:
    """Return the names of the included settings."""
    return names_in(CONFIGS)


def load_settings(name: str) -> Settings:
    """Read included settings by name, or a YAML file by path.

    Raises:
        UsageError: The file cannot be read, or has unknown names or invalid values.
    """
    content, path = read_mapping(name, CONFIGS, "config")
    return override(Settings(), content, path)


def names_in(folder: Path) -> list[str]:
    """Return the names of a folder's YAML files."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_mapping(name: str, included: Path, kind: str) -> tuple[Mapping[str, Any], Path]:
    """Read a YAML file, and return its content and path.

    Args:
        name: Its path, or the name of an included file.
        included: The folder of included files.
        kind: What the file is, for the error.

    Raises:
        UsageError: The file does not exist, cannot be read, or holds no mapping.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        require_known(kind, name, names_in(included))
        path = included / f"{name}.yaml"
    content = read_yaml(path, kind)
    if not isinstance(content, Mapping):
        raise UsageError(f"{path} must hold a mapping from settings to values")
    return content, path


def override(settings: Settings, content: Any, path: Path) -> Settings:
    """Return the settings with the values of a mapping from a file.

    Raises:
        UsageError: The mapping has unknown names or invalid values.
    """
    result: Settings = _override(settings, content, path)
    return result


def _override(default: Any, content: Any, path: Path) -> Any:
    if not isinstance(content, Mapping):
        raise UsageError(f"{path} must hold a mapping from settings to values")
    known = {f.name.replace("_", "-"): f.name for f in fields(default)}
    hints, values = get_type_hints(type(default)), {}
    for key, value in content.items():
        require_known(f"setting in {path}", key, known)
        old = getattr(default, known[key])
        if is_dataclass(old):
            values[known[key]] = _override(old, value, path)
        else:
            values[known[key]] = _value(hints[known[key]], value, f"{path}: {key}")
    return replace(default, **values)


def _value(hint: Any, value: Any, where: str) -> Any:
    """Convert a YAML value to the type of a setting."""
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    if get_origin(hint) is tuple:
        if isinstance(value, Mapping):  # The options of a head are easier to read as a mapping.
            value = [f"{name}={_text(one)}" for name, one in value.items()]
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
    if type(value) is hint:
        return value
    if hint is float and type(value) in (int, str):
        with suppress(ValueError):  # YAML reads 1e-3 as text.
            return float(value)
    raise UsageError(f"{where} cannot be {value!r:.80}")


def _text(value: Any) -> str:
    """Return a value as YAML text."""
    return value if isinstance(value, str) else json.dumps(value)

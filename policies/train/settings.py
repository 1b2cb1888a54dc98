"""What decides how a policy turns out, apart from its data."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from harness.contracts.errors import UsageError, require_known
from policies.augment.pictures import Augmentation
from policies.vla.config import Acting, State
from policies.vla.normalize import Kind

CONFIGS = Path(__file__).parent / "configs"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that changes a trained policy; a YAML file or the command line sets it."""

    head: str = "flow"
    """How actions leave the network; e.g. regression, flow, e0; see docs/heads.md."""
    options: tuple[str, ...] = ()
    """The head's options as NAME=VALUE, e.g. steps=10."""
    size: str = "tiny"
    """How large the network is: tiny, small, dummy or paligemma."""
    state: State = "token"
    """Where the state goes: one token (pi0), written into the instruction (pi0.5), or nowhere."""
    acting: Acting = "expert"
    """Which layers action tokens go through: the expert's, or those that read (pi0-FAST)."""
    cameras: tuple[str, ...] = ()
    """Which cameras it looks at, by role; all that the data have if not given."""
    blind: bool = False
    """Look at no camera: the control that tells whether a benchmark needs eyes."""
    frozen: bool = False
    """Train the head and the expert below it alone, from --init: what sees and reads stays as it is
    and runs once a sample, without augmentation, so that a step takes a fraction of the time."""
    first_looks: int = 1
    """How often a round of learning meets a demonstration's first sample; the others, once. There
    pictures and words alone tell where to go; in all others the hand's own way does, too."""
    horizon: int = 16
    """Actions in a chunk."""
    replan: int = 8
    """Actions that are executed before the policy looks again."""
    relative: int = 0
    """So many of an action's first numbers are counted from the state's, which they begin with:
    joint targets from where the joints are when the chunk begins."""
    idle: float = 0.0
    """Chunks pass over steps at which no number of state or action changes by more than this: a
    policy without a memory cannot learn how long to wait. For joint targets; 0 keeps all steps."""
    normalization: Kind = "quantile"
    """What becomes -1 and 1, or a standard deviation from the mean."""
    floor: float = 0.0
    """The least that a normalised number is divided by, for those that hardly change."""
    steps: int = 3000
    """Updates of the weights."""
    batch: int = 32
    """Samples in an update."""
    accumulate: int = 1
    """Parts in which these go through the network, where they do not fit at once."""
    learning_rate: float = 1e-3
    """The highest, after the warm-up."""
    final_learning_rate: float = 1e-5
    """Where the cosine ends."""
    warmup: int = 100
    """Updates in which it rises from almost nothing."""
    weight_decay: float = 1e-4
    """How much matrices shrink at each update, times the learning rate."""
    beta2: float = 0.95
    """How slowly AdamW forgets how large gradients were."""
    clip: float = 1.0
    """The gradient's largest norm."""
    ema: float = 0.99
    """The share of the old in the average of the weights, which is what is kept; 0 for none."""
    held_out: int = 12
    """Every so many-th demonstration of each instruction is kept for validation; 0 keeps none."""
    stored: Literal["float32", "float16"] = "float32"
    """What the weights are rounded to at the end; float16 halves the file. Either way they are
    computed with in float32."""
    seed: int = 0
    """Decides the first weights, the order of the samples and all that is drawn."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """What is done to pictures."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            UsageError: A value is out of its range.
        """
        least = dict.fromkeys(
            ("first_looks", "horizon", "replan", "steps", "batch", "accumulate"), 1
        )
        least |= dict.fromkeys(
            ("relative", "idle", "floor", "warmup", "weight_decay", "held_out"), 0
        )
        for name, low in least.items():
            if getattr(self, name) < low:
                raise UsageError(f"{flag(name)} must be at least {low}, got {getattr(self, name)}")
        for name in ("learning_rate", "final_learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{flag(name)} must be more than 0, got {getattr(self, name)}")
        for name in ("ema", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{flag(name)} must be at least 0 and less than 1")
        if self.batch % self.accumulate:
            raise UsageError(f"--batch {self.batch} has no {self.accumulate} equal parts")
        if self.replan > self.horizon:
            raise UsageError(f"--replan {self.replan} is more than the {self.horizon} of a chunk")
        if self.held_out == 1:
            raise UsageError("--held-out 1 leaves nothing to train from; 0 holds nothing out")
        if self.frozen and self.acting == "language":
            raise UsageError("--frozen leaves nothing to train where --acting language")
        if self.blind and self.cameras:
            raise UsageError("a blind policy looks at no camera; leave out --blind or --cameras")

    @property
    def head_options(self) -> dict[str, Any]:
        """The head's options by name, their values read as YAML.

        Raises:
            UsageError: One is not NAME=VALUE.
        """
        found = {}
        for option in self.options:
            name, equals, value = option.partition("=")
            if not equals:
                raise UsageError(f"--options {option!r} is not NAME=VALUE")
            found[name] = yaml.safe_load(value)
        return found

    def as_json(self) -> dict[str, Any]:
        """Return plain values, to keep beside what was trained."""
        return asdict(self) | {"cameras": list(self.cameras), "options": list(self.options)}


def flag(name: str) -> str:
    """Return how the command line spells a setting."""
    return "--" + name.replace("_", "-")


def config_names() -> list[str]:
    """Return the names of the files that come with the package."""
    return names_in(CONFIGS)


def load_settings(name: str) -> Settings:
    """Read settings from a YAML file of that path, or from ours of that name.

    Raises:
        UsageError: There is no such file, or it says something that is no setting.
    """
    content, path = read_mapping(name, CONFIGS, "config")
    return changed(Settings(), content, path)


def names_in(folder: Path) -> list[str]:
    """Return what a folder's YAML files are called."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_mapping(name: str, ours: Path, kind: str) -> tuple[Mapping[str, Any], Path]:
    """Read a YAML file of that path, or one of ours of that name, and return it with its path.

    Raises:
        UsageError: There is no such file, or it does not hold a mapping.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        require_known(kind, name, names_in(ours))
        path = ours / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    if not isinstance(content, Mapping):
        raise UsageError(f"{path} must hold a mapping from settings to values")
    return content, path


def changed(settings: Settings, content: Any, path: Path) -> Settings:
    """Return settings with what a mapping in that file says in place of what they were.

    Raises:
        UsageError: It says something that is no setting.
    """
    made: Settings = _made(settings, content, path)
    return made


def _made(default: Any, content: Any, path: Path) -> Any:
    """Return a dataclass with what a mapping says in place of its defaults."""
    if not isinstance(content, Mapping):
        raise UsageError(f"{path} must hold a mapping from settings to values")
    known = {f.name.replace("_", "-"): f.name for f in fields(default)}
    hints, values = get_type_hints(type(default)), {}
    for key, value in content.items():
        require_known(f"setting in {path}", key, known)
        old = getattr(default, known[key])
        if is_dataclass(old):
            values[known[key]] = _made(old, value, path)
        else:
            values[known[key]] = _value(hints[known[key]], value, f"{path}: {key}")
    return replace(default, **values)


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return a value as a setting of that type takes it."""
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    if get_origin(hint) is tuple:
        if isinstance(value, Mapping):  # A head's options read better so.
            value = [f"{name}={_text(one)}" for name, one in value.items()]
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
    if type(value) is hint:
        return value
    if hint is float and type(value) in (int, str):
        with suppress(ValueError):  # YAML takes 1e-3 for a text.
            return float(value)
    raise UsageError(f"{where} cannot be {value!r}")


def _text(value: Any) -> str:
    """Return a value as YAML reads it again."""
    return value if isinstance(value, str) else json.dumps(value)

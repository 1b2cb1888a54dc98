"""The message keys of an observation: openpi names them differently for every robot."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from harness.contracts.environment import Observation
from harness.contracts.errors import UsageError
from harness.contracts.foreign_text import error_line, outline
from harness.contracts.policy import PolicySpec
from harness.serving.codec import WireError

LIBERO_IMAGES = {"main": "observation/image", "wrist": "observation/wrist_image"}
LONGEST_KEY = 200
"""Characters of a name in a message that is read or shown, at most."""
LONGEST_PROMPT = 10_000
"""Characters of an instruction, at most."""
_LISTED = 10
"""Keys that an error names."""
LARGEST_STATE = 1e6
"""No number of a state may be larger: in metres, radians, degrees or newtons it is a mistake."""
LARGEST_ASPECT = 16
"""The longer side of an image over the shorter one, at most; no camera has more."""


@dataclass(frozen=True)
class StateKey:
    """The message key of a part of the state.

    Attributes:
        key: The key.
        size: The count of numbers; None for all the rest.
    """

    key: str
    size: int | None = None


@dataclass(frozen=True)
class ObservationKeys:
    """The keys of a message. The defaults are those of openpi's LIBERO policies.

    Attributes:
        images: Keys by camera role.
        state: The keys of the state's parts, in order.
        prompt: The key of the instruction.
    """

    images: Mapping[str, str] = field(default_factory=lambda: dict(LIBERO_IMAGES))
    state: tuple[StateKey, ...] = (StateKey("observation/state"),)
    prompt: str = "prompt"

    @classmethod
    def parse(
        cls, images: Mapping[str, str], state: Iterable[str], prompt: str
    ) -> "ObservationKeys":
        """Read keys as a user gives them; empty ones keep their defaults.

        Args:
            images: Keys by camera role, added to the defaults.
            state: ``key`` or ``key:size``, where only the last may omit its size.
            prompt: The key of the instruction.

        Raises:
            UsageError: A size is missing or not a number.
        """
        parts = tuple(map(_state_key, state))
        if any(part.size is None for part in parts[:-1]):
            raise UsageError("with several keys for the state, write KEY:SIZE for each")
        default = cls()
        return cls({**LIBERO_IMAGES, **images}, parts or default.state, prompt or default.prompt)

    @classmethod
    def from_plain(cls, value: Any) -> "ObservationKeys":
        """Read the result of `plain`, from a server that is not trusted.

        Raises:
            WireError: The value is malformed.
        """
        try:
            state = tuple(
                StateKey(short_text(part["key"]), _size_or_none(part["size"]))
                for part in value["state"]
            )
            images = {short_text(role): short_text(k) for role, k in value["images"].items()}
            return cls(images, state, short_text(value["prompt"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise WireError(
                f"the keys of an observation are malformed ({type(error).__name__})"
            ) from error

    def plain(self) -> dict[str, Any]:
        """Return the keys as plain values, for a message."""
        return asdict(self)

    def pack(self, observation: Observation) -> dict[str, Any]:
        """Return the observation under these keys.

        Raises:
            UsageError: A camera has no key, or the state has another size than the environment's.
        """
        message: dict[str, Any] = {self.prompt: observation["instruction"]}
        for role, image in observation["image"].items():
            message[self.image_key(role)] = image
        state, used = observation["state"], 0
        for part in self.state:
            end = len(state) if part.size is None else used + part.size
            message[part.key] = state[used:end]
            used = end
        if used != len(state):
            raise UsageError(
                f"the keys of the state take {used} numbers, the environment has {len(state)}; "
                f"give KEY:SIZE for each part of its state"
            )
        return message

    def unpack(self, message: Mapping[str, Any], spec: PolicySpec) -> Observation:
        """Return the observation in a message, with the images that the policy needs.

        Raises:
            WireError: A value is missing, has the wrong type or shape, or is no possible number.
        """
        images = {}
        for role in spec.cameras:
            key = self.image_key(role)
            images[role] = _image(key, _found(message, key), spec.image_size)
        prompt = _found(message, self.prompt)
        if not isinstance(prompt, str):
            raise WireError(f"{self.prompt} must be a string, got {type(prompt).__name__}")
        if len(prompt) > LONGEST_PROMPT:
            raise WireError(f"{self.prompt} has {len(prompt)} characters, over {LONGEST_PROMPT}")
        return {"image": images, "state": self._state(message, spec), "instruction": prompt}

    def image_key(self, role: str) -> str:
        """Return the key of a camera's image.

        Raises:
            UsageError: There is none.
        """
        if role not in self.images:
            raise UsageError(
                f"no key is known for the camera {role!r}; give {role}=KEY (known: "
                f"{', '.join(f'{known}={key}' for known, key in self.images.items())})"
            )
        return self.images[role]

    def _state(self, message: Mapping[str, Any], spec: PolicySpec) -> Any:
        if spec.state_layout is None and not any(part.key in message for part in self.state):
            return np.zeros(0, np.float32)
        parts = [_numbers(part, _found(message, part.key)) for part in self.state]
        state = np.concatenate(parts).astype(np.float32)
        if spec.state_layout is not None and len(state) != spec.state_layout.size:
            raise WireError(
                f"the state must have {spec.state_layout.size} numbers, got {len(state)}: "
                f"{spec.state_layout}"
            )
        return state


def _state_key(text: str) -> StateKey:
    key, colon, size = text.rpartition(":")
    if not colon:
        return StateKey(text)
    if not key or not size.isdecimal():
        raise UsageError(f"{text!r} is not KEY or KEY:SIZE, e.g. observation/joint_position:7")
    return StateKey(key, int(size))


def _size_or_none(size: Any) -> int | None:
    if size is not None and (type(size) is not int or size < 0):
        raise WireError(f"{outline(size)} is not a size")
    return size


def short_text(value: Any) -> str:
    """Return a text that a stranger sent as a name.

    Raises:
        WireError: It is no text, too long, or holds control characters.
    """
    if not isinstance(value, str) or len(value) > LONGEST_KEY or not value.isprintable():
        raise WireError(
            f"a name must be a printable text of at most {LONGEST_KEY} characters, "
            f"not {outline(value)}"
        )
    return value


def _found(message: Mapping[str, Any], key: str) -> Any:
    if key not in message:
        few = [error_line(name, LONGEST_KEY) for name in sorted(message)[:_LISTED]]
        sent = ", ".join(few) + (", ..." if len(message) > _LISTED else "") or "nothing"
        raise WireError(f"{key} is missing; sent: {sent}. The server's options change the keys")
    return message[key]


def _image(key: str, value: Any, size: tuple[int, int] | None) -> Any:
    wanted = f"a uint8 array of shape {(*(size or ('height', 'width')), 3)}".replace("'", "")
    if not isinstance(value, np.ndarray):
        raise WireError(f"{key} must be {wanted}, got {type(value).__name__}")
    right = value.dtype == np.uint8 and value.ndim == 3 and value.shape[2] == 3 and value.size
    if not right or (size is not None and value.shape[:2] != size):
        raise WireError(f"{key} must be {wanted}, got {value.dtype} {value.shape}")
    if size is None and max(value.shape[:2]) > LARGEST_ASPECT * min(value.shape[:2]):
        raise WireError(
            f"{key} has shape {value.shape}: one side is over {LARGEST_ASPECT} times the other"
        )
    return value


def _numbers(part: StateKey, value: Any) -> Any:
    """Return a part of the state; some of openpi's robots send a single number."""
    if not isinstance(value, np.ndarray | np.generic | int | float | list):
        raise WireError(f"{part.key} must be numbers, got {type(value).__name__}")
    try:
        given = np.atleast_1d(np.asarray(value))
    except ValueError as error:
        raise WireError(f"{part.key} must be numbers, got lists of several lengths") from error
    if given.dtype.kind not in "biuf":  # Else NumPy would read "nan" and None as numbers.
        raise WireError(f"{part.key} must be numbers, got a list of something else")
    numbers = given.astype(np.float64)
    if numbers.ndim != 1 or (part.size is not None and len(numbers) != part.size):
        wanted = "a vector" if part.size is None else f"{part.size} numbers"
        raise WireError(f"{part.key} must be {wanted}, got shape {numbers.shape}")
    for index in np.flatnonzero(~(np.abs(numbers) <= LARGEST_STATE)):  # NaN is not smaller.
        raise WireError(
            f"number {index} of {part.key} is {numbers[index]:g}; "
            f"a state must be finite, from {-LARGEST_STATE:g} to {LARGEST_STATE:g}"
        )
    return numbers


def image_keys(given: tuple[str, ...]) -> dict[str, str]:
    """Read image keys of the form ROLE=KEY.

    Raises:
        UsageError: One has another form.
    """
    for text in given:
        role, _, key = text.partition("=")
        if not role or not key:
            known = " ".join(f"{known}={key}" for known, key in LIBERO_IMAGES.items())
            raise UsageError(f"{text!r} is not ROLE=KEY, e.g. {known}")
    return dict(text.split("=", 1) for text in given)

"""The metadata that a server sends to a new client: openpi's, with the policy's spec."""

import re
from dataclasses import dataclass
from typing import Any

from harness.contracts.foreign_text import error_line, outline
from harness.contracts.policy import PolicySpec
from harness.contracts.vectors import Layout, Part
from harness.serving.codec import WireError
from harness.serving.keys import ObservationKeys, short_text

FIELD = "assay"
"""Our field of the metadata; openpi's own server has none."""
STREAM_KEY = "assay/stream"
"""The message key under which a client may send a random stream, to get the same answer again."""
EPISODE_KEY = "assay/episode"
"""The message key of an episode's place: ``{"client": NAME, "call": N, "step": N}``."""
QUESTION_KEY = "assay/question"
"""The message key of a request's number, which its answer repeats."""
MEMORY_LOST = "assay/memory_lost"
"""The key of the answer when the server has no memory of the episode."""
POLICY_ERROR = "assay/policy_error"
"""The key of the answer to Assay's client when the policy broke its contract: the reason."""
MOST_PARTS = 64
"""Cameras, or parts of a layout, that a server may state."""
LARGEST_SIZE = 10**6
"""The largest size that a server may state."""
POLICY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@=,\[\]-]{0,99}")
"""Names reach tables and file names, and these come from the network."""


@dataclass(frozen=True)
class Greeting:
    """The served policy and its message keys.

    Attributes:
        spec: The policy's spec.
        keys: The message keys of an observation.
        remembers: Whether the policy uses a memory of the episode.
    """

    spec: PolicySpec
    keys: ObservationKeys
    remembers: bool = False

    def plain(self) -> dict[str, Any]:
        """Return the metadata to send."""
        spec = self.spec
        return {
            FIELD: {
                "policy": spec.name,
                "cameras": list(spec.cameras),
                "image_size": None if spec.image_size is None else list(spec.image_size),
                "state_layout": _plain_layout(spec.state_layout),
                "action_layout": _plain_layout(spec.action_layout),
                "chunk_length": spec.chunk_length,
                "keys": self.keys.plain(),
                "remembers": self.remembers,
            }
        }


def read_greeting(metadata: Any) -> Greeting | None:
    """Read a server's metadata; return None if it is openpi's own server.

    Raises:
        WireError: The metadata is malformed.
    """
    if not isinstance(metadata, dict):
        raise WireError(f"metadata must be a map, got {type(metadata).__name__}")
    if FIELD not in metadata:
        return None
    stated = metadata[FIELD]
    try:
        name = stated["policy"]
        if not isinstance(name, str) or not POLICY_NAME.fullmatch(name):
            raise WireError(f"{error_line(str(name), 100)!r} cannot be the name of a policy")
        size, length = stated["image_size"], stated["chunk_length"]
        spec = PolicySpec(
            name,
            tuple(short_text(role) for role in _few(stated["cameras"])),
            _layout(stated["state_layout"]),
            _layout(stated["action_layout"]),
            None if size is None else (_count(size[0]), _count(size[1])),
            None if length is None else _count(length),
        )
        keys = ObservationKeys.from_plain(stated["keys"])
        return Greeting(spec, keys, stated.get("remembers") is True)
    except WireError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise WireError(f"the policy's spec is malformed ({type(error).__name__})") from error


def _plain_layout(layout: Layout | None) -> list[list[Any]] | None:
    if layout is None:
        return None
    return [[part.name, part.size, part.meaning] for part in layout.parts]


def _layout(value: Any) -> Layout | None:
    if value is None:
        return None
    return Layout(
        tuple(
            Part(short_text(name), _count(size), short_text(why)) for name, size, why in _few(value)
        )
    )


def _few(values: Any) -> list[Any]:
    if not isinstance(values, list) or len(values) > MOST_PARTS:
        raise WireError(f"at most {MOST_PARTS} names are accepted, not {outline(values)}")
    return values


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= LARGEST_SIZE:
        raise WireError(f"a size must be from 1 to {LARGEST_SIZE}, not {outline(value)}")
    return value

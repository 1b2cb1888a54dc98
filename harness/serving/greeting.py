"""What a server says of its policy when somebody connects: openpi's metadata, with a spec in it."""

import re
from dataclasses import dataclass
from typing import Any

from harness.contracts.policy import PolicySpec
from harness.contracts.vectors import Layout, Part
from harness.serving.codec import WireError
from harness.serving.keys import ObservationKeys

FIELD = "assay"
"""The metadata's field that is ours; a server of openpi's own has none."""
STREAM_KEY = "assay/stream"
"""Where a client may send the key of the stream to draw from, so that an answer can be repeated."""
POLICY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@=,\[\]-]{0,99}")
"""A policy's name reaches tables and file names, and here it comes from the network."""


@dataclass(frozen=True)
class Greeting:
    """Which policy is served, and how to ask it.

    Attributes:
        spec: What the policy needs and means.
        keys: Under which keys it takes an observation.
    """

    spec: PolicySpec
    keys: ObservationKeys

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
            }
        }


def read_greeting(metadata: Any) -> Greeting | None:
    """Return what a server states about its policy, or None if it is openpi's own.

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
            raise WireError(f"{name!r} cannot be the name of a policy")
        size, length = stated["image_size"], stated["chunk_length"]
        spec = PolicySpec(
            name,
            tuple(str(role) for role in stated["cameras"]),
            _layout(stated["state_layout"]),
            _layout(stated["action_layout"]),
            None if size is None else (int(size[0]), int(size[1])),
            None if length is None else int(length),
        )
        return Greeting(spec, ObservationKeys.from_plain(stated["keys"]))
    except WireError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise WireError(f"the policy's spec is malformed: {error!r}") from error


def _plain_layout(layout: Layout | None) -> list[list[Any]] | None:
    if layout is None:
        return None
    return [[part.name, part.size, part.meaning] for part in layout.parts]


def _layout(value: Any) -> Layout | None:
    if value is None:
        return None
    return Layout(tuple(Part(str(name), int(size), str(why)) for name, size, why in value))

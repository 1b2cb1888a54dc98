"""The network's configuration, which a checkpoint stores, and its four sizes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.contracts.errors import UsageError, require_known

TOKENIZER_FILE = "tokenizer.json"
"""The tokenizer's file in a checkpoint."""

State = Literal["token", "text", "none"]
Acting = Literal["expert", "language"]
Prompts = Literal["openpi", "lerobot", "lerobot-padded"]


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """A stack of transformer layers.

    Attributes:
        width: Numbers in a token.
        depth: Layers.
        mlp: Width of the feed-forward part.
        heads: Attention heads for queries.
        kv_heads: Attention heads for keys and values.
        head_size: Numbers in a query; even.
    """

    width: int
    depth: int
    mlp: int
    heads: int
    kv_heads: int
    head_size: int

    def __post_init__(self) -> None:
        """Check that the numbers fit together."""
        if self.heads % self.kv_heads or self.head_size % 2:
            raise ValueError("heads must be a multiple of kv_heads, and head_size even")


@dataclass(frozen=True, kw_only=True)
class ConvConfig:
    """A small convolutional image encoder, trained with the rest.

    Attributes:
        pixels: Height and width of a picture.
        channels: Of each stage, multiples of 8. The first stage divides height and width by four,
            the others by two.
        tokens: Tokens of a picture, each of which pools one place.
    """

    pixels: int
    channels: tuple[int, ...]
    tokens: int

    def __post_init__(self) -> None:
        """Check the channels."""
        if not self.channels or any(channels % 8 for channels in self.channels):
            raise ValueError("channels must be multiples of 8")


@dataclass(frozen=True, kw_only=True)
class SiglipConfig:
    """A vision transformer like SigLIP's.

    Attributes:
        pixels: Height and width of a picture.
        patch: Height and width of a patch; each patch is a token.
        width: Numbers in a token.
        depth: Layers.
        mlp: Width of the feed-forward part.
        heads: Attention heads.
    """

    pixels: int
    patch: int
    width: int
    depth: int
    mlp: int
    heads: int

    def __post_init__(self) -> None:
        """Check that the numbers fit together."""
        if self.pixels < self.patch or self.width % self.heads:
            raise ValueError("pixels must be at least patch, and width a multiple of heads")

    @property
    def grid(self) -> int:
        """Tokens in a row and in a column."""
        return self.pixels // self.patch


@dataclass(frozen=True, kw_only=True)
class VLAConfig:
    """The backbone and its inputs.

    Attributes:
        cameras: The roles of the cameras, in the order of their tokens.
        state_size: Numbers in the network's state; shorter states are padded with zeros.
        state: How the state enters: `token` is one token of the expert, as in pi0; `text` is part
            of the prompt, in 256 levels, as in pi0.5; `none` leaves it out.
        adaptive: Whether a condition scales, shifts and gates the expert's layers (adaRMS).
        viewpoint: Whether the offset of a moved camera is an input.
        acting: The stack that processes action tokens: the expert's, or as in pi0-FAST the language
            stack. There is then no expert, and action tokens have the width of `language`.
        images: The image encoder.
        language: The stack that reads images and the instruction.
        expert: The stack of the action expert. Depth and heads are equal to those of `language`.
        vocabulary: Rows of the word embedding table.
        text_length: Prompts are cut to this number of tokens.
        prompts: The prompt format. If the language stack acts, LeRobot keeps capitals and ends the
            prompt with a second `<bos>`. `lerobot-padded` also pads a state in the text with zeros
            to `state_size`, as LeRobot 0.4 does.
    """

    cameras: tuple[str, ...]
    state_size: int
    state: State = "token"
    adaptive: bool = False
    viewpoint: bool = False
    acting: Acting = "expert"
    images: ConvConfig | SiglipConfig
    language: StackConfig
    expert: StackConfig
    vocabulary: int
    text_length: int
    prompts: Prompts = "openpi"

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        if len(set(self.cameras)) != len(self.cameras):
            raise UsageError("cameras must have different names")
        shared = ("depth", "heads", "kv_heads", "head_size")
        if any(getattr(self.language, name) != getattr(self.expert, name) for name in shared):
            raise ValueError(f"expert and language must have the same {', '.join(shared)}")
        if self.acting == "language" and (self.state == "token" or self.adaptive):
            raise ValueError(
                "without an expert, the state must be text or none, and adaptive false"
            )

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "VLAConfig":
        """Read the JSON of `dataclasses.asdict`."""
        values, images = dict(written), dict(written["images"])
        encoder = SiglipConfig if "patch" in images else ConvConfig
        if "channels" in images:
            images["channels"] = tuple(images["channels"])
        stacks = {name: StackConfig(**values[name]) for name in ("language", "expert")}
        cameras = {"cameras": tuple(values["cameras"])}
        return cls(**(values | stacks | cameras | {"images": encoder(**images)}))

    @property
    def width(self) -> int:
        """Numbers in an action token."""
        return (self.expert if self.acting == "expert" else self.language).width


_TINY = StackConfig(width=128, depth=3, mlp=256, heads=4, kv_heads=1, head_size=32)
_SMALL = StackConfig(width=384, depth=6, mlp=1536, heads=6, kv_heads=1, head_size=64)
_DUMMY = StackConfig(width=64, depth=4, mlp=128, heads=8, kv_heads=1, head_size=16)
_GEMMA_2B = StackConfig(width=2048, depth=18, mlp=16384, heads=8, kv_heads=1, head_size=256)
_GEMMA_300M = replace(_GEMMA_2B, width=1024, mlp=4096)
_OPENPI_STATE = 32
"""Numbers in the padded state of openpi's models."""


def _size(
    images: ConvConfig | SiglipConfig,
    language: StackConfig,
    expert: StackConfig,
    vocabulary: int,
    text_length: int,
    state_size: int = 0,
) -> VLAConfig:
    return VLAConfig(
        cameras=(),
        state_size=state_size,
        images=images,
        language=language,
        expert=expert,
        vocabulary=vocabulary,
        text_length=text_length,
    )


_SIZES = {
    "tiny": _size(ConvConfig(pixels=128, channels=(24, 48), tokens=16), _TINY, _TINY, 1024, 32),
    "small": _size(
        ConvConfig(pixels=128, channels=(48, 96, 192), tokens=32),
        _SMALL,
        replace(_SMALL, width=256, mlp=1024),
        2048,
        48,
    ),
    "dummy": _size(
        SiglipConfig(pixels=28, patch=14, width=32, depth=2, mlp=64, heads=4),
        _DUMMY,
        _DUMMY,
        512,
        48,
        _OPENPI_STATE,
    ),
    "paligemma": _size(
        SiglipConfig(pixels=224, patch=14, width=1152, depth=27, mlp=4304, heads=16),
        _GEMMA_2B,
        _GEMMA_300M,
        257152,
        48,
        _OPENPI_STATE,
    ),
}
SIZES = tuple(_SIZES)
"""The names of the sizes."""
_PIXELS = {
    base.images.channels: base.images.pixels
    for base in _SIZES.values()
    if isinstance(base.images, ConvConfig)
}
_STATE_TOKENS = 6
"""Prompt tokens that a number of a state may take."""


def trained_pixels(images: ConvConfig) -> int | None:
    """Return the height and width of the pictures that such an encoder was trained on, if known.

    Nothing in the weights of convolutions tells it.
    """
    return _PIXELS.get(images.channels)


def sized(
    size: str,
    *,
    cameras: tuple[str, ...],
    state_size: int,
    state: State = "token",
    adaptive: bool = False,
    viewpoint: bool = False,
    acting: Acting = "expert",
) -> VLAConfig:
    """Return the configuration of a size, for these cameras and this state.

    If the state is text, prompts may be longer.

    Raises:
        UsageError: The size does not exist.
        ValueError: The state is larger than the network's.
    """
    require_known("size", size, _SIZES)
    base = _SIZES[size]
    if state_size > base.state_size > 0:
        raise ValueError(f"a state of {state_size} numbers; size {size!r} takes {base.state_size}")
    state_tokens = _STATE_TOKENS * state_size if state == "text" else 0
    return replace(
        base,
        cameras=cameras,
        state_size=base.state_size or state_size,
        state=state,
        adaptive=adaptive,
        viewpoint=viewpoint,
        acting=acting,
        text_length=base.text_length + state_tokens,
    )

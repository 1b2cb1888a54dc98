"""How large the network is: four sizes, each field of which a checkpoint keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.contracts.errors import require_known

State = Literal["token", "text", "none"]
Acting = Literal["expert", "language"]
Prompts = Literal["openpi", "lerobot"]


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """A stack of transformer layers.

    Attributes:
        width: Numbers in a token.
        depth: Layers.
        mlp: Width of the feed-forward part.
        heads: Attention heads, each with queries of its own.
        kv_heads: Of these, how many have keys and values of their own.
        head_size: Numbers in a query; even.
    """

    width: int
    depth: int
    mlp: int
    heads: int
    kv_heads: int
    head_size: int


@dataclass(frozen=True, kw_only=True)
class ConvConfig:
    """A convolutional image encoder that is trained with the rest.

    Attributes:
        pixels: Height and width of a picture.
        channels: Of its stages, multiples of 8. The first quarters height and width, others halve.
        tokens: So many places it looks at in a picture.
    """

    pixels: int
    channels: tuple[int, ...]
    tokens: int


@dataclass(frozen=True, kw_only=True)
class SiglipConfig:
    """A vision transformer like SigLIP's.

    Attributes:
        pixels: Height and width of a picture.
        patch: Height and width of what becomes a token.
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

    @property
    def grid(self) -> int:
        """Tokens in a row and in a column."""
        return self.pixels // self.patch


@dataclass(frozen=True, kw_only=True)
class VLAConfig:
    """The network below the head, and what it is given.

    Attributes:
        cameras: The roles of the cameras, in the order of their tokens.
        state_size: Numbers in a state as the network gets it; shorter ones are filled with zeros.
        state: Where the state goes: `token` is one token of the expert's, as pi0's; `text` is
            written into the instruction in 256 steps, as pi0.5's; `none` leaves it out.
        adaptive: Whether a condition scales, shifts and gates the expert's layers (adaRMS).
        viewpoint: Whether it is told how far each camera was moved.
        acting: Which layers action tokens go through: the expert's, or as in pi0-FAST those that
            read the instruction; there is no expert then, and its width is `language`'s.
        images: The image encoder.
        language: What reads images and the instruction.
        expert: What acts. Depth, heads and their sizes are those of `language`.
        vocabulary: Rows of the table of word embeddings.
        text_length: Tokens that an instruction is cut off at.
        prompts: Who wrote what it has learned to read. Where the language stack acts, LeRobot keeps
            capitals and closes with a second token for the beginning; else the two agree.
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
        """Refuse what does not fit together."""
        shared = ("depth", "heads", "kv_heads", "head_size")
        if any(getattr(self.language, name) != getattr(self.expert, name) for name in shared):
            raise ValueError(f"expert and language must have the same {', '.join(shared)}")
        if self.acting == "language" and (self.state == "token" or self.adaptive):
            raise ValueError("without an expert, a state is text or none, and nothing is adaptive")

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "VLAConfig":
        """Read what `dataclasses.asdict` wrote, as JSON gives it back."""
        told, images = dict(written), dict(written["images"])
        encoder = SiglipConfig if "patch" in images else ConvConfig
        if "channels" in images:
            images["channels"] = tuple(images["channels"])
        stacks = {name: StackConfig(**told[name]) for name in ("language", "expert")}
        cameras = {"cameras": tuple(told["cameras"])}
        return cls(**(told | stacks | cameras | {"images": encoder(**images)}))

    @property
    def width(self) -> int:
        """Numbers in an action token."""
        return (self.expert if self.acting == "expert" else self.language).width


_LITTLE = StackConfig(width=128, depth=3, mlp=256, heads=4, kv_heads=1, head_size=32)
_MIDDLE = StackConfig(width=384, depth=6, mlp=1536, heads=6, kv_heads=1, head_size=64)
_TOY = StackConfig(width=64, depth=4, mlp=128, heads=8, kv_heads=1, head_size=16)
_GEMMA_2B = StackConfig(width=2048, depth=18, mlp=16384, heads=8, kv_heads=1, head_size=256)
_GEMMA_300M = replace(_GEMMA_2B, width=1024, mlp=4096)

_SIZES = {
    "tiny": VLAConfig(
        cameras=(),
        state_size=0,
        images=ConvConfig(pixels=128, channels=(24, 48), tokens=16),
        language=_LITTLE,
        expert=_LITTLE,
        vocabulary=1024,
        text_length=32,
    ),
    "small": VLAConfig(
        cameras=(),
        state_size=0,
        images=ConvConfig(pixels=128, channels=(48, 96, 192), tokens=32),
        language=_MIDDLE,
        expert=replace(_MIDDLE, width=256, mlp=1024),
        vocabulary=2048,
        text_length=48,
    ),
    "dummy": VLAConfig(
        cameras=(),
        state_size=32,
        images=SiglipConfig(pixels=28, patch=14, width=32, depth=2, mlp=64, heads=4),
        language=_TOY,
        expert=_TOY,
        vocabulary=512,
        text_length=48,
    ),
    "paligemma": VLAConfig(
        cameras=(),
        state_size=32,
        images=SiglipConfig(pixels=224, patch=14, width=1152, depth=27, mlp=4304, heads=16),
        language=_GEMMA_2B,
        expert=_GEMMA_300M,
        vocabulary=257152,
        text_length=48,
    ),
}
SIZES = tuple(_SIZES)
"""The names of the sizes."""


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
    """Return the network of this size for what it will see.

    Where the state is text, the instruction may be longer by six tokens a number.

    Raises:
        UsageError: There is no such size.
    """
    require_known("size", size, _SIZES)
    base = _SIZES[size]
    if state_size > base.state_size > 0:
        raise ValueError(f"a state of {state_size} numbers; size {size!r} takes {base.state_size}")
    written = 6 * state_size if state == "text" else 0
    return replace(
        base,
        cameras=cameras,
        state_size=base.state_size or state_size,
        state=state,
        adaptive=adaptive,
        viewpoint=viewpoint,
        acting=acting,
        text_length=base.text_length + written,
    )

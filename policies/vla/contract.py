"""Everything about a model except its weights, and its checks when it is read from a file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.contracts.errors import UsageError
from harness.contracts.vectors import Layout, Part
from policies.heads import build, head_config
from policies.vla.config import ConvConfig, VLAConfig, trained_pixels
from policies.vla.normalize import Normalization
from policies.vla.schema import require_fields

if TYPE_CHECKING:
    from policies.vla.model import VLA


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Everything about a model except its weights.

    Attributes:
        network: The backbone's configuration.
        head: The head's name.
        options: The head's configuration, as JSON.
        normalization: Of states and actions.
        replan: Actions of a chunk to execute unless the protocol has fewer; None for all.
        state_layout: The meaning of the state's numbers; None if unknown.
        action_layout: The meaning of the action's numbers; None if unknown.
    """

    network: VLAConfig
    head: str
    options: Mapping[str, Any]
    normalization: Normalization
    replan: int | None = None
    state_layout: Layout | None = None
    action_layout: Layout | None = None

    def __post_init__(self) -> None:
        """Check that the fields do not contradict each other."""
        _require_consistent(self)

    def as_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, written: Any) -> "Contract":
        """Read what `as_json` returned.

        Raises:
            UsageError: A field is missing, unknown, of the wrong type or range, or contradicts
                another one; the message names it.
        """
        require_fields(cls, written, "contract")
        layouts = {
            name: Layout(tuple(Part(**part) for part in written[name]["parts"]))
            for name in ("state_layout", "action_layout")
            if written.get(name)
        }
        try:
            network = VLAConfig.from_json(written["network"])
        except (ValueError, UsageError) as error:
            raise UsageError(f"contract.network: {error}") from error
        try:
            normalization = Normalization.from_json(written["normalization"])
        except UsageError as error:
            raise UsageError(f"contract.normalization: {error}") from error
        try:
            head_config(written["head"], written["options"])
        except UsageError as error:
            raise UsageError(f"contract.options: {error}") from error
        return cls(
            network=network,
            head=written["head"],
            options=written["options"],
            normalization=normalization,
            replan=written.get("replan"),
            **layouts,
        )

    def new_model(self) -> "VLA":
        """Return a model with random weights."""
        from policies.vla.model import VLA

        return VLA(self.network, build(self.head, self.options, self.network.width))


def _require_consistent(contract: Contract) -> None:
    """Require that fields of a contract do not contradict each other.

    Raises:
        UsageError: They do.
    """
    network, normalization = contract.network, contract.normalization
    head = head_config(contract.head, contract.options)
    adaptive = getattr(head, "adaptive", False)
    _require(network.adaptive == adaptive, "network.adaptive", f"{adaptive}, as the head's")
    executed = 1 if contract.replan is None else contract.replan
    _require(1 <= executed <= head.horizon, "replan", f"from 1 to the horizon, {head.horizon}")
    sizes = normalization.state.size, normalization.action.size
    _require(
        sizes[0] <= network.state_size,
        "normalization.state",
        f"for at most the network's {network.state_size} numbers",
    )
    _require(
        sizes[1] <= head.action_size,
        "normalization.action",
        f"for at most the head's {head.action_size} numbers",
    )
    known = all(source is None or source < sizes[0] for source in normalization.relative)
    _require(known, "normalization.relative", f"indices of a state of {sizes[0]} numbers")
    for name, size in zip(("state", "action"), sizes, strict=True):
        layout: Layout | None = getattr(contract, f"{name}_layout")
        fits = layout is None or layout.size == size
        _require(fits, f"{name}_layout", f"of {size} numbers, as its normalization")
    if isinstance(network.images, ConvConfig):
        pixels = trained_pixels(network.images)
        _require(
            pixels is None or network.images.pixels == pixels,
            "network.images.pixels",
            f"{pixels}, to which these weights' images were resized in training",
        )


def _require(fits: bool, field: str, wanted: str) -> None:
    if not fits:
        raise UsageError(f"contract.{field} must be {wanted}")
